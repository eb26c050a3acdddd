import Foundation
import GRDB
import TocsinLedger

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension SQLiteLedger {
    /// Where a ledger is kept.
    package enum Location: Sendable, Hashable, CustomStringConvertible {
        case file(String)
        /// Gone when it is closed: for tests.
        case memory

        package var description: String {
            switch self {
            case .file(let path): path
            case .memory: "the ledger in memory"
            }
        }
    }

    /// In what part a program opens a ledger (decisions §13).
    package enum Role: Sendable {
        /// The one program that decides on it; a second is refused as `locked`.
        case owner
        /// A tool that works beside the owner.
        case guest
    }

    /// The version of the tables that this program reads and writes.
    package static var currentSchemaVersion: Int { Schema.currentVersion }

    /// How long a write waits for another process's before it counts as locked.
    static let busyTimeoutSeconds = 2.0
    /// Checked whole on opening up to this size: a second of reading at most.
    static let fullCheckByteLimit = 256 << 20

    /// Opens a ledger, and makes it if there is none.
    ///
    /// - Parameters:
    ///   - location: A file whose directory exists, or memory.
    ///   - role: Whether this program owns the ledger.
    ///   - migrate: Whether tables of an older version are brought up to date; if not, they are refused.
    /// - Returns: The ledger, ready for use.
    /// - Throws: `locked`, `corrupt`, `newerSchema`, `unavailable`, each with what to do.
    package static func open(
        _ location: Location,
        role: Role = .owner,
        migrate: Bool = true
    ) throws(LedgerError) -> SQLiteLedger {
        switch location {
        case .memory:
            let queue: DatabaseQueue = try attempt(location) {
                try DatabaseQueue(configuration: configuration(readers: 1))
            }
            try attempt(location) { try prepare(queue, migrate: true) }
            return SQLiteLedger(queue, at: location, ownership: nil, checkpoints: nil)
        case .file(let path):
            let isNew = try checkHeader(path)
            if isNew, !migrate { throw LedgerError(.unavailable, "\(path) does not exist") }
            var ownership: FileLock?
            if case .owner = role { ownership = try FileLock(path: path + ".owner") }
            try attempt(location) { try checkFile(path, isNew: isNew) }
            let pool: DatabasePool = try attempt(location) {
                try DatabasePool(path: path, configuration: configuration(readers: readerCount))
            }
            try attempt(location) { try prepare(pool, migrate: migrate) }
            let checkpoints = Checkpoints(freeBytes: { freeBytes(beside: path) }) {
                try DatabaseQueue(path: path, configuration: configuration(readers: 1))
            }
            pool.writeWithoutTransaction { checkpoints.attach(to: $0) }
            return SQLiteLedger(pool, at: location, ownership: ownership, checkpoints: checkpoints)
        }
    }

    /// Whether a ledger's tables are older than this program's, or there is no ledger yet; changes nothing.
    package static func needsMigration(path: String) throws(LedgerError) -> Bool {
        if try checkHeader(path) { return true }
        return try attempt(.file(path)) {
            let queue = try DatabaseQueue(path: path, configuration: configuration(readers: 1))
            defer { try? queue.close() }
            return try queue.read { try identify($0, path: path) } < Schema.currentVersion
        }
    }

    /// What the disk with this file has left; nil if it does not say.
    static func freeBytes(beside path: String) -> Int64? {
        var disk = statvfs()
        guard statvfs(path, &disk) == 0 else { return nil }
        let (bytes, overflow) = Int64(clamping: disk.f_bavail).multipliedReportingOverflow(
            by: Int64(clamping: disk.f_frsize)
        )
        return overflow ? nil : bytes
    }

    // Readers do little more than look rows up in the cache; more than this only contend on two cores.
    private static let readerCount = 4

    private static func configuration(readers: Int) -> Configuration {
        var configuration = Configuration()
        configuration.label = "tocsin.ledger"
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.maximumReaderCount = readers
        configuration.prepareDatabase { database in
            // Taken by a new file only: fewer, larger writes (measured: a tenth faster than 4 KiB).
            try database.execute(sql: "PRAGMA page_size = 8192")
            // 32 MiB of cache for each connection, the rest by the system's page cache through the map.
            try database.execute(sql: "PRAGMA cache_size = -32768")
            try database.execute(sql: "PRAGMA mmap_size = 1073741824")
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    /// Sets what must hold on the writing connection (GRDB itself chooses `synchronous=NORMAL` with WAL), then migrates.
    private static func prepare(_ writer: any DatabaseWriter, migrate: Bool) throws {
        try writer.writeWithoutTransaction { database in
            // Only where it is missing: to set it is a write, for which a tool would have to wait beside a busy server.
            if try database.number("PRAGMA application_id") != Int64(Schema.applicationID) {
                try database.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
            }
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // The log's usual size at most, so that its blocks are reused and not given back and asked for again.
            try database.execute(sql: "PRAGMA journal_size_limit = 268435456")
        }
        let version = try writer.read { try Schema.version($0) }
        if version == Schema.currentVersion { return }
        guard migrate else {
            throw LedgerError(.unavailable, "the ledger's tables are of version \(version); run `tocsin migrate`")
        }
        try Schema.migrator.migrate(writer)
    }

    /// Refuses what is no SQLite file before SQLite touches it; true if there is nothing yet.
    private static func checkHeader(_ path: String) throws(LedgerError) -> Bool {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return true }
        if isDirectory.boolValue { throw damaged(path, "it is a directory") }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw LedgerError(.unavailable, "\(path) cannot be read: check its permissions")
        }
        defer { try? handle.close() }
        let magic = Array("SQLite format 3\0".utf8)
        let start: [UInt8]
        do {
            start = Array(try handle.read(upToCount: magic.count) ?? .init())
        } catch {
            throw LedgerError(.unavailable, "\(path) cannot be read: \(error)")
        }
        if start.isEmpty { return true }
        if start != magic { throw damaged(path, "it is not an SQLite file") }
        return false
    }

    /// Refuses what is not ours, is newer, or is damaged, without changing it.
    private static func checkFile(_ path: String, isNew: Bool) throws {
        let queue = try DatabaseQueue(path: path, configuration: configuration(readers: 1))
        defer { try? queue.close() }
        try queue.writeWithoutTransaction { database in
            if isNew {
                // Before the first table and before WAL, so that the file says whose it is from its first page on.
                return try database.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
            }
            _ = try identify(database, path: path)
            let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
            if size <= fullCheckByteLimit {
                let finding = try database.first("PRAGMA quick_check(1)") { $0.text(0) }
                if let finding, finding != "ok" { throw damaged(path, finding) }
            } else {
                _ = try database.number("SELECT count(*) FROM sqlite_schema")
            }
        }
    }

    /// The version of a ledger's tables; throws if the file is another program's or a newer one's.
    private static func identify(_ database: Database, path: String) throws -> Int {
        let application = try database.number("PRAGMA application_id")
        let tables = try database.number("SELECT count(*) FROM sqlite_schema")
        if application != Int64(Schema.applicationID), application != 0 || tables > 0 {
            throw damaged(path, "it belongs to another program")
        }
        let version = try Schema.version(database)
        if version > Schema.currentVersion {
            throw LedgerError(
                .newerSchema,
                "\(path) has tables of version \(version), this program knows up to \(Schema.currentVersion): "
                    + "use the newer program, or restore a backup of before"
            )
        }
        return version
    }

    private static func attempt<T>(_ location: Location, _ body: () throws -> T) throws(LedgerError) -> T {
        do {
            return try body()
        } catch {
            let failure = ledgerError(error, path: location.description)
            guard failure.code == .full else { throw failure }
            // Nothing goes on by itself yet. Each migration is one transaction.
            throw LedgerError(
                .full,
                "no space is left for \(location); free some and start again: what was begun was undone"
            )
        }
    }
}
