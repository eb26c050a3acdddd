import Foundation
import Synchronization
import TocsinLedger

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Says who owns a ledger's file: an advisory lock on a file beside it, which the system drops when the owner dies.
///
/// SQLite's own locks come and go with each transaction, and an exclusive one would keep readers beside the owner out.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32?>

    init(path: String) throws(LedgerError) {
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw LedgerError(.unavailable, "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            Self.closeFile(opened)
            throw LedgerError(.locked, "\(path) is held by another process: stop it first, or use its address (--url)")
        }
        descriptor = Mutex(opened)
    }

    /// Whether somebody holds the lock just now.
    static func isHeld(path: String) -> Bool {
        let opened = open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { return false }
        defer { closeFile(opened) }
        return flock(opened, LOCK_SH | LOCK_NB) != 0
    }

    deinit { release() }

    func release() {
        descriptor.withLock { descriptor in
            if let open = descriptor { Self.closeFile(open) }
            descriptor = nil
        }
    }

    private static func closeFile(_ descriptor: Int32) { _ = close(descriptor) }
}
