import Logging
import Metrics
import TocsinCore
import TocsinLedger

/// Forgets snapshots whose time is over, and the files that no snapshot has.
package struct SnapshotKeeper: Sendable {
    /// How long snapshots are kept unless something else is configured (decisions §7).
    package static let retentionDays = 30
    /// Rows in one transaction: a short write between those of the hot path.
    static let rowsPerTransaction = 500
    /// Contents that the ledger is asked about at once.
    static let contentsPerRead = 500

    private let ledger: any Ledger
    private let files: SnapshotFiles
    private let clock: any WallClock
    private let retention: Duration
    private let logger: Logger

    package init(
        ledger: any Ledger,
        files: SnapshotFiles,
        clock: any WallClock,
        retentionDays: Int,
        logger: Logger
    ) {
        self.ledger = ledger
        self.files = files
        self.clock = clock
        retention = .seconds(retentionDays * 86_400)
        self.logger = logger
    }

    /// Forgets what is older than the retention, and then the files of it.
    ///
    /// - Returns: How many snapshots.
    @discardableResult
    package func purge() async throws -> Int {
        var total = 0
        while true {
            try Task.checkCancellation()
            let now = clock.now
            let retention = retention
            let purged = try await ledger.write {
                try $0.purgeSnapshots(madeBefore: now - retention, limit: Self.rowsPerTransaction)
            }
            // A crash here leaves files that the next sweep finds.
            await files.remove(purged.unused, now: now)
            total += purged.count
            if purged.count < Self.rowsPerTransaction { return total }
        }
    }

    /// Removes files that no snapshot has, and directories of dealers that are gone.
    package func sweep() async throws {
        for dealer in try await files.onDisk({ () throws(SnapshotRefusal) in files.dealers() }) {
            try Task.checkCancellation()
            guard try await ledger.read({ try $0.dealer(dealer, within: .platform) }) != nil else {
                await files.removeAll(of: dealer)
                logger.info("the snapshots of a dealer that is gone were removed", metadata: ["dealer.id": "\(dealer)"])
                continue
            }
            for shard in try await files.onDisk({ () throws(SnapshotRefusal) in files.contents(of: dealer) }) {
                for start in stride(from: 0, to: shard.count, by: Self.contentsPerRead) {
                    let part = Array(shard[start..<min(start + Self.contentsPerRead, shard.count)])
                    let unused = try await ledger.read { reader in try part.filter { try !reader.isInUse($0) } }
                    await files.remove(unused, now: clock.now)
                }
            }
        }
    }
}

/// What became of uploads, as metrics.
package struct SnapshotMetrics: Sendable {
    private let stored = Counter(label: "tocsin_snapshots_stored_total")
    private let bytes = Counter(label: "tocsin_snapshots_stored_bytes_total")
    private let refused = Dictionary(
        uniqueKeysWithValues: SnapshotRefusal.reasons.map {
            ($0, Counter(label: "tocsin_snapshots_refused_total", dimensions: [("reason", $0)]))
        }
    )

    package init() {}

    package func record(stored size: Int) {
        stored.increment()
        bytes.increment(by: size)
    }

    package func record(_ refusal: SnapshotRefusal) { refused[refusal.reason]?.increment() }
}
