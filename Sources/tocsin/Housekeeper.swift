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

    /// What deletions left is nobody's any more, and is looked for in little more than a look-up.
    static let remainsInterval: Duration = .seconds(5)
    /// Between two steps of its removal: whoever came during one is served before the next.
    static let pause: Duration = .milliseconds(20)

    /// Files that no snapshot has are what a crash leaves behind: seldom, and harmless.
    static let sweepInterval: Duration = .seconds(6 * 3600)

    let ledger: any Ledger
    let snapshots: SnapshotKeeper
    let clock: any WallClock
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var sweepAt = clock.now
            var remainsAt = clock.now + Self.remainsInterval
            var purgeAt = clock.now + Self.interval
            while !Task.isCancelled {
                do {
                    if clock.now >= sweepAt {
                        sweepAt = clock.now + Self.sweepInterval
                        try await snapshots.sweep()
                    }
                    try await clock.sleep(until: min(remainsAt, purgeAt))
                    if clock.now >= remainsAt {
                        // What cannot be written now is not tried every few seconds.
                        remainsAt = clock.now + Self.interval
                        try await clearRemains()
                        remainsAt = clock.now + Self.remainsInterval
                    }
                    if clock.now >= purgeAt {
                        purgeAt = clock.now + Self.interval
                        try await purge()
                        try await snapshots.purge()
                    }
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

    private func clearRemains() async throws {
        guard try await ledger.read({ try $0.hasRemains() }) else { return }
        while try await ledger.write({ try $0.clearRemains(limit: Self.rowsPerTransaction) }) >= Self.rowsPerTransaction
        {
            try await clock.sleep(until: clock.now + Self.pause)
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
