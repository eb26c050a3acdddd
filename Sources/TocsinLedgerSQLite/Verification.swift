import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Checks the ledger against itself, for `tocsin admin verify`.
struct Verification {
    /// More would only repeat itself; the first ones tell what is wrong.
    private static let findingsPerCheck = 20

    private let database: Database

    init(_ database: Database) { self.database = database }

    /// One sentence for each thing that is wrong; none for a sound ledger.
    func findings() throws -> [String] {
        let damage = try integrity() + references()
        let log = try LogVerification(database, maximum: Self.findingsPerCheck)
        return try damage + log.findings + alarms() + cursors() + lostDeliveries(log) + strangers() + states()
            + schedules() + devices()
    }

    private func integrity() throws -> [String] {
        try database.all("PRAGMA integrity_check(\(Self.findingsPerCheck))") { $0.text(0) }
            .filter { $0 != "ok" }
            .map { "the file is damaged: \($0)" }
    }

    private func references() throws -> [String] {
        try database.all("PRAGMA foreign_key_check") {
            "a row of \($0.text(0)) names a \($0.text(2)) that does not exist"
        }
    }

    /// Numbers count up, and every alarm is what its timeline says.
    private func alarms() throws -> [String] {
        try numbers() + timelines()
    }

    private func timelines() throws -> [String] {
        let uneven = try database.all(
            """
            SELECT alarm.dealer_id, alarm.number, alarm.version, count(position), max(position) FROM alarm
                LEFT JOIN alarm_entry USING (dealer_id, number) WHERE alarm.dealer_id IN (SELECT id FROM dealer)
                GROUP BY alarm.dealer_id, alarm.number
                HAVING alarm.version <> count(position) OR alarm.version <> max(position) LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { row in
            let (version, count) = (row.integer(2), row.integer(3))
            return "A-\(row.integer(1)) of \(row.text(0)) is of version \(version), its timeline has \(count) entries"
        }
        let astray = try database.all(
            """
            SELECT alarm.dealer_id, alarm.number, alarm.state, entry.kind FROM alarm
                JOIN alarm_entry entry USING (dealer_id, number)
                WHERE alarm.dealer_id IN (SELECT id FROM dealer) AND entry.position = (SELECT max(position) FROM alarm_entry WHERE dealer_id = alarm.dealer_id
                        AND number = alarm.number AND kind IN ('created', 'acknowledged', 'dispatched', 'resolved'))
                    AND CASE entry.kind WHEN 'created' THEN 'open' ELSE entry.kind END <> alarm.state LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { "A-\($0.integer(1)) of \($0.text(0)) is \($0.text(2)), its timeline says \($0.text(3))" }
        return uneven + astray
    }

    private func numbers() throws -> [String] {
        try database.all(
            """
            SELECT dealer.id, max(alarm.number), dealer.last_alarm FROM dealer JOIN alarm ON alarm.dealer_id = dealer.id
                GROUP BY dealer.id HAVING max(alarm.number) > dealer.last_alarm
            """
        ) { "\($0.text(0)) has an alarm A-\($0.integer(1)), its counter says \($0.integer(2))" }
    }

    /// Every device has its slot, and counts as offline where its site's state says so.
    private func devices() throws -> [String] {
        let missing = try database.all(
            "SELECT id FROM fixture WHERE kind = 'device' AND id NOT IN (SELECT id FROM device) LIMIT ?",
            [Self.findingsPerCheck]
        ) { "\($0.text(0)) has no slot" }
        let differing = try database.all(
            """
            SELECT device.id, is_offline FROM device JOIN site_state ON site_state.site_id = device.site_id
                WHERE is_offline <> (json_type(CAST(state AS TEXT), '$.offline."' || device.id || '"') IS NOT NULL)
                LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { "\($0.text(0)) is \($0.bool(1) ? "offline" : "online") in the list, and not in its site's state" }
        return missing + differing
    }

    private func cursors() throws -> [String] {
        let passed = try database.all(
            """
            SELECT endpoint_cursor.endpoint_id, endpoint_cursor.sequence, dealer.id, dealer.last_sequence
                FROM endpoint_cursor JOIN dealer ON dealer.id = endpoint_cursor.dealer_id
                WHERE endpoint_cursor.sequence > dealer.last_sequence
            """
        ) { "the cursor of \($0.text(0)) is at \($0.integer(1)), the log of \($0.text(2)) ends at \($0.integer(3))" }
        let missing = try database.all(
            """
            SELECT id FROM endpoint WHERE app_id IS NOT NULL AND id NOT IN (SELECT endpoint_id FROM endpoint_cursor)
                LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { "\($0.text(0)) has no cursor" }
        return passed + missing
    }

    /// What an endpoint still waits for is in the log.
    private func lostDeliveries(_ log: LogVerification) throws -> [String] {
        var findings: [String] = []
        try database.each(
            """
            SELECT endpoint_id, dealer_id, dealer.place, sequence FROM exceptional_delivery delivery
                JOIN dealer ON dealer.id = delivery.dealer_id
                WHERE state IN ('retrying', 'waiting', 'parked') AND endpoint_id IN (SELECT id FROM endpoint)
            """,
            []
        ) { row in
            if log.holds(row.integer(3), ofDealerNumbered: row.integer(2)) { return true }
            findings.append(
                "a delivery to \(row.text(0)) waits for event \(row.integer(3)) of \(row.text(1)), which is not in the log"
            )
            return findings.count < Self.findingsPerCheck
        }
        return findings
    }

    /// What is nobody's was left by a deletion, and is known to be.
    private func strangers() throws -> [String] {
        let deliveries = try database.all(
            """
            SELECT DISTINCT endpoint_id, dealer_id FROM exceptional_delivery delivery WHERE NOT EXISTS (SELECT 1 FROM remains
                    WHERE kind = 'deliveries' AND endpoint_id = delivery.endpoint_id
                    AND coalesce(dealer_id, delivery.dealer_id) = delivery.dealer_id)
                AND (endpoint_id NOT IN (SELECT id FROM endpoint) OR dealer_id NOT IN (SELECT id FROM dealer)) LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { "there are deliveries of events of \($0.text(1)) to \($0.text(0)), one of which does not exist" }
        let alarms = try database.all(
            """
            SELECT DISTINCT dealer_id FROM alarm WHERE dealer_id NOT IN (SELECT id FROM dealer) AND NOT EXISTS
                (SELECT 1 FROM remains WHERE kind = 'alarms' AND dealer_id = alarm.dealer_id) LIMIT ?
            """,
            [Self.findingsPerCheck]
        ) { "there are alarms of \($0.text(0)), which does not exist" }
        return deliveries + alarms
    }

    /// Every snapshot can be read, matches its partitions, its deadline, and the last change that the log tells (I21).
    private func states() throws -> [String] {
        var findings = try database.all(
            "SELECT id FROM site WHERE id NOT IN (SELECT site_id FROM site_state) LIMIT ?",
            [Self.findingsPerCheck]
        ) { "\($0.text(0)) has no state" }
        let told = try lastToldStates()
        try database.each("SELECT site_id, state, next_due FROM site_state", []) { row in
            let site: SiteID = row.id(0)
            do {
                let state = try SiteState(snapshot: row.bytes(1))
                findings += try differences(of: site, state, due: row.optional(2, row.instant), told[site] ?? [:])
            } catch let error as SnapshotError {
                findings.append("the state of \(site) cannot be read: \(error)")
            } catch let error as JSONError {
                findings.append("the state of \(site) cannot be read: \(error)")
            }
            return true
        }
        return findings
    }

    private func schedules() throws -> [String] {
        try database.all("SELECT \(Fixture.columns) FROM fixture WHERE kind = 'schedule'") { row -> String? in
            do {
                _ = try Schedule(try Fixture(row))
                return nil
            } catch let problem as ScheduleProblem {
                return "the schedule \(row.text(0)) does not run: \(problem.field) \(problem.message)"
            }
        }.compactMap { $0 }
    }

    private func differences(
        of site: SiteID,
        _ state: SiteState,
        due: Instant?,
        _ told: [PartitionID: String]
    ) throws -> [String] {
        var findings: [String] = []
        // 0 asks the engine to look at the site after a change of its configuration.
        if due != state.nextDeadline, due != Instant(millisecondsSinceEpoch: 0) {
            findings.append("the deadline of \(site) is not that of its state")
        }
        let configured = Set(
            try database.all("SELECT id FROM partition WHERE site_id = ?", [site]) { $0.id(0) as PartitionID }
        )
        if configured != Set(state.partitions.keys) {
            findings.append("the state of \(site) is of other partitions than its configuration")
        }
        for (partition, wireState) in told.sorted(by: { $0.key < $1.key }) {
            guard let stored = state.partitions[partition], stored.phase.wireState != wireState else { continue }
            findings.append(
                "\(partition) of \(site) is \(stored.phase.wireState), the last event in the log says \(wireState)"
            )
        }
        return findings
    }

    /// Folds the arming events that the log still holds: the last one of a partition wins.
    private func lastToldStates() throws -> [SiteID: [PartitionID: String]] {
        var states: [SiteID: [PartitionID: String]] = [:]
        try database.each(
            """
            SELECT dealer.id, event_batch.place, dealer.place, event_batch.created_at, packed FROM event_batch
                CROSS JOIN dealer ON dealer.place = \(LogPlace.dealerSQL("event_batch.place"))
                ORDER BY event_batch.id
            """,
            []
        ) { row in
            let first = LogPlace(dealer: row.integer(2)).sequence(at: row.integer(1))
            // What cannot be read was told already.
            _ = try? PackedEvents.read(row.bytes(4), of: row.id(0), from: first, createdAt: row.instant(3)) { event in
                guard event.head.type == .armingStateChanged, let site = event.head.siteID else { return true }
                let body = try? JSONParser.parse(event.logged.body)
                if let partition = body?["partition_id"]?.string, let state = body?["new_state"]?.string {
                    states[site, default: [:]][PartitionID(stored: partition)] = state
                }
                return true
            }
            return true
        }
        return states
    }
}
