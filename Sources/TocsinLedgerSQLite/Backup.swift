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
    private let source: any DatabaseWriter
    private let location: SQLiteLedger.Location

    init(of source: any DatabaseWriter, at location: SQLiteLedger.Location) {
        self.source = source
        self.location = location
    }

    func run(to path: String) async throws(LedgerError) {
        let files = FileManager.default
        if files.fileExists(atPath: path) {
            throw LedgerError(.invalid, "\(path) exists already; a backup overwrites nothing")
        }
        let partial = path + ".partial"
        do {
            try? files.removeItem(atPath: partial)
            try await copy(to: partial)
            try flush(partial)
            try files.moveItem(atPath: partial, toPath: path)
            try flush((path as NSString).deletingLastPathComponent)
        } catch {
            try? files.removeItem(atPath: partial)
            throw ledgerError(error, path: path)
        }
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
        let descriptor = open(path.isEmpty ? "." : path, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { _ = close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw LedgerError(.unavailable, "\(path) cannot be made durable: \(String(cString: strerror(errno)))")
        }
    }
}
