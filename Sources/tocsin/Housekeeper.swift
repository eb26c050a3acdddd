import Logging
import ServiceLifecycle
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Forgets what has outlived its time, a little at a time (decisions §14: retention).
struct Housekeeper: Service {
    /// Nothing that is kept for days needs to go to the minute.
    static let interval: Duration = .seconds(300)
    /// Rows of each kind in one transaction: a short write between those of the hot path.
    static let rowsPerTransaction = 500

    /// Files that no snapshot has are what a crash leaves behind: seldom, and harmless.
    static let sweepInterval: Duration = .seconds(6 * 3600)

    let ledger: any Ledger
    let snapshots: SnapshotKeeper
    let clock: any WallClock
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var sweepAt = clock.now
            while !Task.isCancelled {
                do {
                    if clock.now >= sweepAt {
                        sweepAt = clock.now + Self.sweepInterval
                        try await snapshots.sweep()
                    }
                    try await clock.sleep(until: clock.now + Self.interval)
                    try await purge()
                    try await snapshots.purge()
                } catch is CancellationError {
                    return
                } catch {
                    logger.warning(
                        "what has expired could not be removed; tried again later",
                        metadata: ["error": "\(error)"]
                    )
                }
            }
        }
    }

    private func purge() async throws {
        var isMore = true
        while isMore {
            try Task.checkCancellation()
            let now = clock.now
            let removed = try await ledger.write { try $0.purge(now: now, limit: Self.rowsPerTransaction) }
            isMore = removed.values.contains { $0 >= Self.rowsPerTransaction }
        }
    }
}
