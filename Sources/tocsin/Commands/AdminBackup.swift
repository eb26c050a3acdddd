import ArgumentParser
import Foundation
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension Admin {
    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the ledger into one file, while it is in use.",
            discussion: """
                The encryption key is left out unless asked for: whoever has both can read the secrets. With --with-key \
                it is written beside the backup, as FILE.key. Snapshots are files beside the ledger: --with-snapshots \
                copies them into the directory FILE.snapshots.
                """
        )

        @OptionGroup var global: GlobalOptions
        @Option(name: .shortAndLong, help: ArgumentHelp("The new file.", valueName: "file")) var output: String
        @Flag(help: "Write the encryption key to FILE.key as well.") var withKey = false
        @Flag(help: "Copy the images and videos into FILE.snapshots as well.") var withSnapshots = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let settings = try await Settings.load(global)
            let store = try await Store.open(settings, role: .guest, mayCreate: false)
            let snapshots: Int?
            do {
                try await store.ledger.backup(to: output)
                snapshots = try await copySnapshots(of: store.ledger, settings)
            } catch {
                await store.close()
                throw ProgramError.failed((error as? LedgerError)?.message ?? "\(error)")
            }
            await store.close()
            try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: output)
            if withKey {
                try EncryptionKey.writeDurably(EncryptionKey.find(settings, mayCreate: false).key, to: output + ".key")
            }
            if json {
                return Console.print([
                    "backup": .string(output), "key": withKey ? .string(output + ".key") : .null,
                    "snapshots": snapshots.map { JSON($0) } ?? .null,
                ])
            }
            Console.print(
                snapshots.map { "\(output).snapshots holds the files of snapshots, \($0) in all" }
                    ?? "the files of snapshots were left out: they are in \(SnapshotFiles.root(in: settings.dataDirectory)), "
                    + "and --with-snapshots copies them"
            )
            Console.print(
                withKey
                    ? "\(output) holds the ledger, and \(output).key its encryption key: keep them apart"
                    : "\(output) holds the ledger without its encryption key; `admin restore` will ask for "
                        + "\(store.keyPlace)"
            )
        }

        /// After the ledger, so that what the ledger's copy tells of is there already.
        private func copySnapshots(of ledger: any Ledger, _ settings: Settings) async throws -> Int? {
            guard withSnapshots else { return nil }
            let stored = StoredSnapshots(ledger, dataDirectory: settings.dataDirectory)
            try Store.makeDirectory(output + ".snapshots")
            return try await stored.copy(to: SnapshotFiles(root: output + ".snapshots", clock: SystemClock())).copied
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a data directory from a backup.",
            discussion: """
                The directory must be empty or not exist. The backup itself is not changed. If FILE.snapshots is there, \
                the files of snapshots are restored from it.
                """
        )

        @OptionGroup var global: GlobalOptions
        @Argument(help: "The backup.") var file: String
        @Option(help: ArgumentHelp("The ledger's encryption key (default: FILE.key).", valueName: "file"))
        var keyFile: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            var settings = try await Settings.load(global)
            let files = FileManager.default
            guard files.fileExists(atPath: file) else {
                throw ProgramError.failed("there is no backup at \(file)")
            }
            let key = try key(settings)
            let directory = settings.dataDirectory
            if let entries = try? files.contentsOfDirectory(atPath: directory), !entries.isEmpty {
                throw ProgramError.configuration("\(directory) is not empty: restore into a new directory with --data")
            }
            if files.fileExists(atPath: settings.ledgerPath) {
                throw ProgramError.configuration("\(settings.ledgerPath) exists already: restore overwrites nothing")
            }
            try Store.makeDirectory(directory)
            do {
                try files.copyItem(atPath: file, toPath: settings.ledgerPath)
                if settings.encryptionKey == nil {
                    let path = EncryptionKey.defaultPath(settings)
                    try EncryptionKey.writeDurably(key, to: path)
                    settings.encryptionKeyFile = path
                }
                let store = try await Store.open(settings, role: .owner, mayCreate: false)
                let findings = try await store.ledger.read { try $0.verify() }
                let backedUp = StoredSnapshots(store.ledger, root: file + ".snapshots")
                let root = SnapshotFiles.root(in: directory)
                let snapshots = try await backedUp.copy(to: SnapshotFiles(root: root, clock: SystemClock()))
                await store.close()
                if snapshots.missing > 0 {
                    Console.note(
                        "warning: the backup lacks the files of \(snapshots.missing) snapshots: they answer 404"
                    )
                }
                try report(findings, directory)
            } catch {
                if (error as? ProgramError)?.status != .failed { try? files.removeItem(atPath: directory) }
                throw error as? ProgramError ?? .failed("the backup could not be restored: \(error)")
            }
        }

        private func key(_ settings: Settings) throws -> [UInt8] {
            if let keyFile { return try EncryptionKey.read(keyFile) }
            if settings.encryptionKey != nil || settings.encryptionKeyFile != nil {
                return try EncryptionKey.find(settings, mayCreate: false).key
            }
            guard FileManager.default.fileExists(atPath: file + ".key") else {
                throw ProgramError.configuration(
                    "the backup has no encryption key: give the ledger's key with --key-file "
                        + "(it was ledger.key in the data directory, unless another was configured)"
                )
            }
            return try EncryptionKey.read(file + ".key")
        }

        private func report(_ findings: [String], _ directory: String) throws {
            if json {
                Console.print(["data": .string(directory), "findings": JSON(findings)])
            } else {
                Console.print("restored to \(directory)")
                findings.forEach(Console.note)
            }
            if !findings.isEmpty {
                throw ProgramError.failed("the restored ledger has \(findings.count) findings")
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the ledger against itself, and that snapshots have their files.",
            discussion: "Exit status 1 if anything is found."
        )

        @OptionGroup var global: GlobalOptions
        @Flag(help: "Read the files of snapshots, and compare their hashes.") var deep = false
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let settings = try await Settings.load(global)
            let ledger = try Store.openLedger(settings, role: .guest, mayCreate: false)
            let (findings, counts): ([String], [String: Int64])
            do {
                let found = try await ledger.read { (try $0.verify(), try $0.counts()) }
                let stored = StoredSnapshots(ledger, dataDirectory: settings.dataDirectory)
                (findings, counts) = (try await found.0 + stored.findings(isDeep: deep), found.1)
                try? await ledger.close()
            } catch {
                try? await ledger.close()
                throw ProgramError.failed("the ledger cannot be read: \(error)")
            }
            if json {
                var object = JSONObject()
                for (noun, count) in counts.sorted(by: { $0.key < $1.key }) { object[noun] = .integer(count) }
                Console.print(["findings": JSON(findings), "counts": .object(object)])
            } else {
                let total = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
                findings.forEach { Console.print($0) }
                Console.print(findings.isEmpty ? "clean: \(total)" : "\(findings.count) findings in \(total)")
            }
            if !findings.isEmpty { throw ProgramError(status: .failed, message: "") }
        }
    }
}
