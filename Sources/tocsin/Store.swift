import Foundation
import Logging
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite

/// An open ledger with the key that its secrets are sealed with.
struct Store: Sendable {
    /// In what part a command opens the ledger.
    enum Role {
        /// Alone in the data directory.
        case owner
        /// Alone there, and for long: the log is made ready for many commits.
        case server
        /// Beside a running server, if there is one.
        case guest
    }

    var ledger: any Ledger
    var vault: Vault
    var keyPlace: KeyPlace

    /// Opens the data directory's ledger, and makes both if there are none.
    ///
    /// - Parameters:
    ///   - settings: Where it is.
    ///   - role: An owner is alone in the directory; a guest works beside one.
    ///   - mayCreate: Whether a missing ledger is made.
    /// - Returns: The open store.
    /// - Throws: ``ProgramError`` with exit status 3 that says what to do.
    static func open(
        _ settings: Settings,
        role: Role,
        mayCreate: Bool = true
    ) async throws(ProgramError) -> Store {
        let ledger = try openLedger(settings, role: role, mayCreate: mayCreate)
        do {
            let isNew = try await ledger.read { try $0.fact(VaultRotation.checkFact) == nil }
            let (key, place) = try EncryptionKey.find(settings, mayCreate: isNew)
            guard let vault = try await vault(of: key, at: place, ledger) else {
                throw ProgramError.configuration(
                    "\(place) is not the key of the ledger \(settings.ledgerPath): give the key that it was made with, or "
                        + "last rotated to (--encryption-key-file), or restore the ledger's backup of that key"
                )
            }
            if isNew { try await ledger.write { try $0.setFact(VaultRotation.checkFact, to: vault.checkValue) } }
            return Store(ledger: ledger, vault: vault, keyPlace: place)
        } catch {
            try? await ledger.close()
            throw error as? ProgramError ?? .configuration("\(error)")
        }
    }

    /// The vault of the key, or of the one that a rotation had put beside it when it was broken off; nil if neither fits.
    private static func vault(of key: [UInt8], at place: KeyPlace, _ ledger: any Ledger) async throws -> Vault? {
        func opened(_ key: [UInt8]) async throws -> Vault? {
            try await ledger.read { try VaultRotation.vault(of: key, in: $0) }
        }
        if let vault = try await opened(key) { return vault }
        guard case .file(let path) = place, let pending = try EncryptionKey.pending(beside: path),
            let vault = try await opened(pending)
        else { return nil }
        try EncryptionKey.adoptPending(beside: path)
        return vault
    }

    /// Opens the ledger alone, for what needs no key.
    static func openLedger(
        _ settings: Settings,
        role: Role,
        mayCreate: Bool = true
    ) throws(ProgramError) -> any Ledger {
        let path = settings.ledgerPath
        if !FileManager.default.fileExists(atPath: path) {
            guard mayCreate else {
                throw .configuration("there is no ledger at \(path): name its directory with --data")
            }
            try makeDirectory(settings.dataDirectory)
        }
        do throws(LedgerError) {
            switch role {
            case .owner: return try SQLiteLedger.open(.file(path), role: .owner)
            case .server:
                let ledger = try SQLiteLedger.open(.file(path), role: .owner)
                prepareLog(of: ledger)
                return ledger
            case .guest:
                // Nobody else may have it open while its tables change.
                if try SQLiteLedger.needsMigration(path: path) { _ = try SQLiteLedger.open(.file(path), role: .owner) }
                return try SQLiteLedger.open(.file(path), role: .guest)
            }
        } catch {
            throw explain(error)
        }
    }

    /// A log that could not be prepared grows while it is written, as any does: no reason not to start.
    private static func prepareLog(of ledger: SQLiteLedger) {
        let logger = Logger(label: "tocsin")
        do throws(LedgerError) {
            let bytes = try ledger.prepareLog()
            logger.debug("the ledger's log is prepared", metadata: ["bytes": "\(bytes)"])
        } catch {
            logger.warning(
                "the ledger's log could not be prepared: commits take longer until it has grown",
                metadata: ["reason": "\(error.message)"]
            )
        }
    }

    /// The version that tables are brought to, and whether the ledger's are older.
    static func migration(_ settings: Settings) throws(ProgramError) -> (version: Int, isNeeded: Bool) {
        do throws(LedgerError) {
            let isNeeded = try SQLiteLedger.needsMigration(path: settings.ledgerPath)
            return (SQLiteLedger.currentSchemaVersion, isNeeded)
        } catch {
            throw explain(error)
        }
    }

    /// What to do about a ledger that cannot be opened.
    private static func explain(_ error: LedgerError) -> ProgramError {
        .configuration("the ledger cannot be opened: \(error.message)")
    }

    static func makeDirectory(_ path: String) throws(ProgramError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw .configuration("the directory \(path) cannot be made: \(error.localizedDescription)")
        }
    }

    func close() async { try? await ledger.close() }
}

/// Where the encryption key came from.
enum KeyPlace: Sendable, CustomStringConvertible {
    case setting
    case file(String)

    var description: String {
        switch self {
        case .setting: "the key in TOCSIN_ENCRYPTION_KEY"
        case .file(let path): "the key in \(path)"
        }
    }
}

/// Finds the key that secrets are sealed with, or makes one (design, delivery: secrets).
enum EncryptionKey {
    static func find(_ settings: Settings, mayCreate: Bool) throws(ProgramError) -> (key: [UInt8], place: KeyPlace) {
        if let text = settings.encryptionKey {
            guard let key = decode(text) else {
                throw .configuration("encryption_key: must be \(Vault.keyLength) bytes in base64")
            }
            return (key, .setting)
        }
        let path = settings.encryptionKeyFile ?? defaultPath(settings)
        if FileManager.default.fileExists(atPath: path) { return (try read(path), .file(path)) }
        guard mayCreate, settings.encryptionKeyFile == nil else {
            throw .configuration(
                "the encryption key \(path) is missing: give the key that the ledger was made with "
                    + "(--encryption-key-file, or TOCSIN_ENCRYPTION_KEY)"
            )
        }
        let key = SystemRandomness().bytes(Vault.keyLength)
        try writeDurably(key, to: path)
        Console.note(
            "warning: no encryption key was given, so \(path) was made. Whoever has it beside the ledger can read the "
                + "secrets in it; backups leave it out: keep a copy in another place"
        )
        return (key, .file(path))
    }

    static func defaultPath(_ settings: Settings) -> String { settings.dataDirectory + "/ledger.key" }

    static func read(_ path: String) throws(ProgramError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .configuration("the key file \(path) cannot be read: check its permissions")
        }
        if data.count == Vault.keyLength { return Array(data) }
        guard let key = decode(String(decoding: data, as: UTF8.self)) else {
            throw .configuration("the key file \(path) must have \(Vault.keyLength) bytes, plain or in base64")
        }
        let mode = (try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int) ?? 0
        if mode & 0o077 != 0 {
            Console.note("warning: others can read the key file \(path): chmod 600 it")
        }
        return key
    }

    private static func write(_ key: [UInt8], to path: String) throws(ProgramError) {
        let text = Data(key).base64EncodedString() + "\n"
        let made = FileManager.default.createFile(
            atPath: path,
            contents: Data(text.utf8),
            attributes: [.posixPermissions: 0o600]
        )
        if !made { throw .configuration("the key file \(path) cannot be written: check the directory's permissions") }
    }

    // MARK: Rotation

    /// Where a rotation puts the new key until the ledger has taken it.
    static func pendingPath(beside path: String) -> String { path + ".new" }

    /// Where a rotation leaves the key before it; backups that were made with it still need it.
    static func previousPath(beside path: String) -> String { path + ".previous" }

    static func pending(beside path: String) throws(ProgramError) -> [UInt8]? {
        let pending = pendingPath(beside: path)
        return FileManager.default.fileExists(atPath: pending) ? try read(pending) : nil
    }

    /// Puts the new key, which the ledger has taken, in the place of the old one; again after a crash.
    static func adoptPending(beside path: String) throws(ProgramError) {
        let (previous, pending) = (previousPath(beside: path), pendingPath(beside: path))
        // A second name first, so that in no moment one of the keys has none.
        unlink(previous)
        guard link(path, previous) == 0, rename(pending, path) == 0, isDurable(path) else {
            throw .configuration("the new key \(pending) cannot be renamed to \(path): do that by hand")
        }
    }

    /// Writes a key so that it outlives a crash; in no moment is there a part of it at its place.
    static func writeDurably(_ key: [UInt8], to path: String) throws(ProgramError) {
        let part = path + ".part"
        unlink(part)
        try write(key, to: part)
        guard isDurable(part), rename(part, path) == 0, isDurable(path) else {
            throw .configuration("the key file \(path) cannot be written to the disk: nothing was changed")
        }
    }

    /// Flushes a file and the directory that names it.
    private static func isDurable(_ path: String) -> Bool {
        let directory = URL(filePath: path).deletingLastPathComponent().path
        return [path, directory].allSatisfy { path in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return false }
            defer { close(descriptor) }
            return fsync(descriptor) == 0
        }
    }

    private static func decode(_ text: String) -> [UInt8]? {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let data = Data(base64Encoded: trimmed), data.count == Vault.keyLength else { return nil }
        return Array(data)
    }
}
