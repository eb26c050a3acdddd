import Foundation
import GRDB
import TocsinLedger

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension SQLiteLedger {
    /// Gives the write-ahead log its usual size before there is work, so that it does not grow while it is written.
    ///
    /// A fdatasync of a file that grew commits the file system's own journal, and with it other files' data; of a file whose
    /// blocks have been written before it writes these blocks. For a server, which lives long; a tool's few commits never
    /// pay for it. Waits at most ``PreparedLog/patience`` and the disk's last step.
    ///
    /// - Returns: How many bytes the log has now.
    /// - Throws: `full`, `locked`, `unavailable`: the log is as it was, and the ledger works as well, only slower.
    @discardableResult
    package func prepareLog() throws(LedgerError) -> Int64 {
        guard case .file(let path) = location else { return 0 }
        let log = PreparedLog(path: path + "-wal")
        let size = PreparedLog.size(freeBytes: Self.freeBytes(beside: path))
        do {
            // SQLite's lock on the log: a tool beside us would otherwise write where it is made longer.
            return try writer.writeWithoutTransaction { database in
                var bytes: Int64 = 0
                try database.inTransaction(.immediate) {
                    bytes = try log.extend(to: size)
                    return .commit
                }
                return bytes
            }
        } catch {
            throw ledgerError(error, path: log.path)
        }
    }
}

/// A write-ahead log's file that is made longer by zeros, which SQLite takes for its end: no frame has page 0.
struct PreparedLog {
    /// What SQLite keeps of the log when it begins anew, too (`journal_size_limit`).
    static let bytesAtMost: Int64 = 256 << 20
    /// Less than that fills in a second, and such a disk has better use for it.
    static let bytesAtLeast: Int64 = 4 << 20
    /// A slow disk gets a shorter log: starting matters more (P9).
    static let patience: Duration = .milliseconds(500)
    /// What is written between two looks at the clock.
    static let step: Int64 = 16 << 20
    /// Written in one piece: of larger ones the system's cache makes larger folios, each to be gone through for every commit.
    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    let path: String
    /// Writes zeros to a descriptor, at an offset, so many of them; returns how many it wrote, or -1 (`errno`).
    var write: (Int32, Int64, Int) -> Int = { descriptor, offset, count in
        PreparedLog.zeros.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, min(count, $0.count), off_t(offset)) }
    }

    /// How long the log may become: a sixteenth of the free room at most; 0 if that is not worth it.
    static func size(freeBytes: Int64?) -> Int64 {
        // Whole pages of any file system.
        let bytes = min(bytesAtMost, (freeBytes ?? 0) / 16) & ~0xFFFF
        return bytes < bytesAtLeast ? 0 : bytes
    }

    /// Appends zeros up to a size, durably; the caller sees to it that nobody writes meanwhile.
    ///
    /// - Returns: The bytes that the file has then.
    /// - Throws: `full` or `unavailable`; the file has its old length.
    func extend(to size: Int64) throws(LedgerError) -> Int64 {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
        defer { _ = close(descriptor) }
        let before = Int64(lseek(descriptor, 0, SEEK_END))
        guard before >= 0 else { throw failure() }
        var end = before
        let start = ContinuousClock.now
        while end < size, ContinuousClock.now - start < Self.patience {
            do throws(LedgerError) {
                end = try append(to: descriptor, from: end, through: min(size, end + Self.step))
            } catch {
                _ = ftruncate(descriptor, off_t(before))
                throw error
            }
        }
        return end
    }

    private func append(to descriptor: Int32, from start: Int64, through end: Int64) throws(LedgerError) -> Int64 {
        var offset = start
        while offset < end {
            let count = write(descriptor, offset, Int(end - offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            offset += Int64(count)
        }
        guard fsync(descriptor) == 0 else { throw failure() }
        return offset
    }

    /// What `errno` says.
    private func failure() -> LedgerError {
        let number = errno
        let isFull = number == ENOSPC || number == EDQUOT
        return LedgerError(isFull ? .full : .unavailable, "\(path): \(String(cString: strerror(number)))")
    }
}
