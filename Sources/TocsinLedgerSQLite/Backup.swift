import Foundation
import GRDB
import TocsinLedger

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Copies a ledger into a file that never exists half.
struct Backup {
    /// What a disk must keep free: a server on the same one takes nothing more as soon as it is full.
    static let bytesLeftFree: Int64 = 32 << 20

    private let source: any DatabaseWriter
    private let location: SQLiteLedger.Location
    private let freeBytes: (_ directory: String) -> Int64?

    /// Makes a copy's plan; `freeBytes` tells what the disk with a directory has left, or nothing.
    init(
        of source: any DatabaseWriter,
        at location: SQLiteLedger.Location,
        freeBytes: @escaping (_ directory: String) -> Int64? = SQLiteLedger.freeBytes(beside:)
    ) {
        self.source = source
        self.location = location
        self.freeBytes = freeBytes
    }

    func run(to path: String) async throws(LedgerError) {
        let files = FileManager.default
        if files.fileExists(atPath: path) {
            throw LedgerError(.invalid, "\(path) exists already; a backup overwrites nothing")
        }
        let partial = path + ".partial"
        do {
            try await checkRoom(for: path)
            try? files.removeItem(atPath: partial)
            try await copy(to: partial)
            try flush(partial)
            try files.moveItem(atPath: partial, toPath: path)
            try flush(directory(of: path))
        } catch {
            try? files.removeItem(atPath: partial)
            throw ledgerError(error, path: path)
        }
    }

    /// Refuses a copy that may fill its disk, before anything is written.
    private func checkRoom(for path: String) async throws {
        guard let free = freeBytes(directory(of: path)) else { return }
        let size = try await source.read { database in
            let pages = try database.number("PRAGMA page_count") - database.number("PRAGMA freelist_count")
            return pages * (try database.number("PRAGMA page_size"))
        }
        guard size + Self.bytesLeftFree > free else { return }
        func mebibytes(_ bytes: Int64) -> String { "\((bytes + (1 << 20) - 1) >> 20) MiB" }
        throw LedgerError(
            .full,
            "a backup takes up to \(mebibytes(size)) and leaves \(mebibytes(Self.bytesLeftFree)) free, and the disk of \(path) "
                + "has \(mebibytes(free)) left; nothing was written: choose another disk"
        )
    }

    private func directory(of path: String) -> String {
        let directory = (path as NSString).deletingLastPathComponent
        return directory.isEmpty ? "." : directory
    }

    private func copy(to path: String) async throws {
        let copy: @Sendable (Database) throws -> Void = { try $0.execute(sql: "VACUUM INTO ?", arguments: [path]) }
        switch location {
        case .memory: try await source.writeWithoutTransaction(copy)
        case .file(let file):
            // A connection of its own: the copy takes long, and neither writers nor readers shall wait for it.
            try await DatabaseQueue(path: file).writeWithoutTransaction(copy)
        }
    }

    /// `VACUUM INTO` leaves the new file to the system's cache.
    private func flush(_ path: String) throws(LedgerError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { _ = close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw LedgerError(.unavailable, "\(path) cannot be made durable: \(String(cString: strerror(errno)))")
        }
    }
}
