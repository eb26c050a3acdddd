import GRDB
import TocsinCore
import TocsinLedger

/// Forgets what has outlived its time, a bounded number of rows of each noun.
///
/// Logs are searched from their oldest row and left at the first that is kept, so that a run in vain costs nothing.
struct Purge {
    private let database: Database
    private let now: Instant
    private let limit: Int

    init(_ database: Database, now: Instant, limit: Int) {
        self.database = database
        self.now = now
        self.limit = limit
    }

    func run() throws -> [String: Int] {
        [
            "idempotency_record": try keyed(
                "idempotency_record",
                key: "caller, method, path, key",
                time: "created_at",
                before: now - IdempotencyRecord.lifetime
            ),
            "known_report": try keyed(
                "known_report",
                key: "site_id, report_id",
                time: "seen_at",
                before: now - Decision.reportIDLifetime
            ),
            "client_assertion": try keyed("client_assertion", key: "client_id, id", time: "expires_at", before: now),
            "exceptional_delivery": try settledDeliveries(),
            "delivery_task": try endedTasks(),
            "delivery_attempt": try attempts(),
            "notice": try settledNotices(),
            "relay_command": try settledRelayCommands(),
            "audit": try audit(),
            "event": try events(),
        ]
    }

    private func keyed(_ table: String, key: String, time: String, before: Instant) throws -> Int {
        try database.run(
            """
            DELETE FROM \(table) WHERE (\(key)) IN
                (SELECT \(key) FROM \(table) WHERE \(time) <= ? ORDER BY \(time) LIMIT ?)
            """,
            [before, limit]
        )
    }

    private func settledDeliveries() throws -> Int {
        try database.run(
            """
            DELETE FROM exceptional_delivery WHERE (endpoint_id, dealer_id, sequence) IN
                (SELECT endpoint_id, dealer_id, sequence FROM exceptional_delivery
                    WHERE state IN ('delivered', 'dead', 'withdrawn') AND updated_at <= ?
                    ORDER BY updated_at LIMIT ?)
            """,
            [now - Retention.settledDeliveries, limit]
        )
    }

    /// As soon as the first of its deliveries may have been forgotten.
    private func endedTasks() throws -> Int {
        try database.run(
            """
            DELETE FROM delivery_task WHERE id IN
                (SELECT id FROM delivery_task WHERE ended_at IS NOT NULL AND created_at <= ?
                    ORDER BY created_at LIMIT ?)
            """,
            [now - Retention.settledDeliveries, limit]
        )
    }

    private func settledNotices() throws -> Int {
        try database.run(
            """
            DELETE FROM notice WHERE (id, person_id) IN
                (SELECT id, person_id FROM notice WHERE next_attempt_at IS NULL AND created_at <= ?
                    ORDER BY created_at LIMIT ?)
            """,
            [now - Retention.notices, limit]
        )
    }

    /// The last of each relay stays, to tell what it was told last.
    private func settledRelayCommands() throws -> Int {
        try database.run(
            """
            DELETE FROM relay_command WHERE id IN
                (SELECT id FROM relay_command AS old WHERE next_attempt_at IS NULL AND created_at <= ?
                    AND EXISTS (SELECT 1 FROM relay_command WHERE relay_id = old.relay_id AND position > old.position)
                    ORDER BY created_at LIMIT ?)
            """,
            [now - Retention.relayCommands, limit]
        )
    }

    private func attempts() throws -> Int {
        let rows = try oldRows(of: "delivery_attempt", before: now - Retention.attempts)
        try AttemptLog(database).delete(rows: rows)
        return rows.count
    }

    private func audit() throws -> Int {
        guard let last = try oldRows(of: "audit", before: now - Retention.audit).last else { return 0 }
        return try database.run("DELETE FROM audit WHERE id <= ?", [last])
    }

    /// Rows are numbered in the order of their commit, which is near enough the order of their times.
    private func oldRows(of log: String, before: Instant) throws -> [Int64] {
        var rows: [Int64] = []
        try database.each("SELECT id, at FROM \(log) ORDER BY id LIMIT ?", [limit]) { row in
            guard row.instant(1) <= before else { return false }
            rows.append(row.integer(0))
            return true
        }
        return rows
    }

    /// Asks the dealers of the oldest rows; all of them only where those rows are many and kept.
    private func events() throws -> Int {
        let (oldest, areAll) = try dealersOfOldestEvents()
        var remaining = limit
        try purgeEvents(of: oldest, &remaining)
        if !areAll, remaining > 0 {
            try purgeEvents(of: try database.all("SELECT id FROM dealer", read: { $0.id(0) }), &remaining)
        }
        return limit - remaining
    }

    private func purgeEvents(of dealers: [DealerID], _ remaining: inout Int) throws {
        for dealer in dealers where remaining > 0 {
            guard let log = try EventLog(of: dealer, database) else { continue }
            remaining -= try events(of: log, atMost: remaining)
        }
    }

    /// Whose the rows are whose events' ids are old enough, some of the oldest, and whether these are all of them.
    ///
    /// An id is drawn before its event is committed.
    private func dealersOfOldestEvents() throws -> (dealers: [DealerID], areAll: Bool) {
        let dealer = try PreparedStatement(database, "SELECT id FROM dealer WHERE place = ?")
        var seen: Set<Int64> = []
        var dealers: [DealerID] = []
        var rows = 0
        try database.each(
            "SELECT \(LogPlace.dealerSQL("place")) FROM event_batch WHERE id_time <= ? ORDER BY id_time LIMIT ?",
            [now - Retention.events, limit]
        ) { row in
            rows += 1
            guard seen.insert(row.integer(0)).inserted else { return true }
            if let id = try dealer.first(row.integer(0), read: { $0.id(0) as DealerID }) { dealers.append(id) }
            return true
        }
        return (dealers, rows < limit)
    }

    /// Only the oldest events go, so that what is kept has no gaps; those of one decision together, be it some beyond the limit:
    /// fewer than that would say that there are no more.
    private func events(of log: EventLog, atMost limit: Int) throws -> Int {
        let bound = try lastUnneeded(of: log.dealer)
        var count = 0
        try log.removeRows { row in
            guard count < limit, row.createdAt <= now - Retention.events,
                log.place.sequence(at: row.place) + row.events - 1 <= bound
            else { return false }
            count += Int(row.events)
            return true
        }
        return count
    }

    /// The last event that no enabled endpoint and no running task has before it, and no delivery still waits for.
    private func lastUnneeded(of dealer: DealerID) throws -> Int64 {
        let passed = try database.first(
            """
            SELECT min(endpoint_cursor.sequence) FROM endpoint_cursor
                JOIN endpoint ON endpoint.id = endpoint_cursor.endpoint_id
                WHERE endpoint_cursor.dealer_id = ? AND endpoint.is_enabled
            """,
            [dealer]
        ) { $0.optional(0, $0.integer) }
        let pending = try database.first(
            "SELECT min(sequence) FROM exceptional_delivery WHERE dealer_id = ? AND state IN ('retrying', 'waiting', 'parked')",
            [dealer]
        ) { $0.optional(0, $0.integer) }
        // A task goes through logs that its endpoint follows, so that no list of all tasks' lanes is needed.
        let searched = try database.first(
            """
            SELECT min(delivery_task_lane.position) FROM endpoint_cursor
                JOIN delivery_task ON delivery_task.endpoint_id = endpoint_cursor.endpoint_id
                    AND delivery_task.state = 'running'
                JOIN delivery_task_lane ON delivery_task_lane.task_id = delivery_task.id
                    AND delivery_task_lane.dealer_id = endpoint_cursor.dealer_id
                WHERE endpoint_cursor.dealer_id = ? AND delivery_task_lane.position < delivery_task_lane.last
            """,
            [dealer]
        ) { $0.optional(0, $0.integer) }
        return min((passed ?? nil) ?? .max, (searched ?? nil) ?? .max, ((pending ?? nil) ?? .max) - 1)
    }
}
