import ArgumentParser
import Foundation
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension Admin {
    /// `tocsin admin rotate-key`: the encryption key is replaced, and the old one refused from then on.
    struct RotateKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seal everything in the ledger with a new encryption key.",
            discussion: """
                Stop the server first. A key that is in a file is replaced there; the old one is kept as FILE.previous, \
                because backups made before need it. With --new-key-file the new key is read from that file (made if it \
                is missing), and the next start must name it; so it is where TOCSIN_ENCRYPTION_KEY holds the key. Broken \
                off at any moment, the ledger has the old key or the new one; where the key's file is replaced, the next \
                start finds out which.
                """
        )

        @OptionGroup var global: GlobalOptions
        @Option(help: ArgumentHelp("File of the new key, 32 bytes plain or in base64.", valueName: "file"))
        var newKeyFile: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let settings = try await Settings.load(global)
            let store = try await Store.open(settings, role: .owner, mayCreate: false)
            let rotated: (path: String, count: Int)
            do {
                rotated = try await rotate(store)
                await store.close()
            } catch {
                await store.close()
                throw error as? ProgramError ?? .failed("the key was not rotated, and nothing was changed: \(error)")
            }
            if json { return Console.print(["key": .string(rotated.path), "resealed": JSON(rotated.count)]) }
            Console.print("\(rotated.count) values were sealed anew; the key is now in \(rotated.path)")
            if newKeyFile != nil {
                Console.print("start with --encryption-key-file \(rotated.path); the old key is refused")
            } else {
                let previous = EncryptionKey.previousPath(beside: rotated.path)
                Console.print("the old key is refused from now on; backups made before need it: it is in \(previous)")
            }
        }

        private func rotate(_ store: Store) async throws -> (path: String, count: Int) {
            if let newKeyFile {
                if !FileManager.default.fileExists(atPath: newKeyFile) {
                    try EncryptionKey.writeDurably(SystemRandomness().bytes(Vault.keyLength), to: newKeyFile)
                }
                return (newKeyFile, try await reseal(store, with: try EncryptionKey.read(newKeyFile)))
            }
            guard case .file(let path) = store.keyPlace else {
                throw ProgramError.configuration(
                    "the key comes from TOCSIN_ENCRYPTION_KEY: name a file for the new one with --new-key-file"
                )
            }
            let key = SystemRandomness().bytes(Vault.keyLength)
            try EncryptionKey.writeDurably(key, to: EncryptionKey.pendingPath(beside: path))
            let count = try await reseal(store, with: key)
            try EncryptionKey.adoptPending(beside: path)
            return (path, count)
        }

        private func reseal(_ store: Store, with key: [UInt8]) async throws -> Int {
            let (vault, now) = (store.vault, SystemClock().now)
            if Vault(key: key).checkValue == vault.checkValue {
                throw ProgramError.configuration("the new key is the old one: give another")
            }
            return try await store.ledger.write { transaction in
                try VaultRotation.run(in: transaction, from: vault, to: key, at: now)
            }
        }
    }
}
