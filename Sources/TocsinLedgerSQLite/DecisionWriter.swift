import GRDB
import TocsinCore
import TocsinLedger

/// Writes decisions inside a group's transaction: the hot path.
///
/// Whatever may refuse a decision is asked before its first row is written but for the version, which the update of the
/// site itself checks; so a refused decision leaves nothing and needs no savepoint.
struct DecisionWriter {
    private let database: Database
    private let events: EventInsertion
    private let audits: AuditInsertion
    private let updateSite: PreparedStatement
    private let siteVersion: PreparedStatement
    /// What each dealer's counters will be once the group is committed; taken from the table once for each group.
    private var counters: [DealerID: Counters] = [:]

    private struct Counters {
        var sequence: Int64
        var alarm: Int64
    }

    init(_ database: Database) throws {
        self.database = database
        events = try EventInsertion(database)
        audits = try AuditInsertion(database)
        updateSite = try PreparedStatement(
            database,
            "UPDATE site SET state = ?, version = version + 1, next_due = ? WHERE id = ? AND version = ?"
        )
        siteVersion = try PreparedStatement(database, "SELECT 1 FROM site WHERE id = ? AND version = ?")
    }

    mutating func commit(_ decisions: [Decision]) throws -> [CommitOutcome] {
        var outcomes: [CommitOutcome] = []
        outcomes.reserveCapacity(decisions.count)
        for decision in decisions { outcomes.append(try commit(decision)) }
        return outcomes
    }

    /// Writes the counters back: before anything else reads them, and before the group's commit.
    mutating func flush() throws {
        guard !counters.isEmpty else { return }
        let update = try PreparedStatement(
            database,
            "UPDATE dealer SET last_sequence = ?, last_alarm = ? WHERE id = ?"
        )
        for (dealer, counters) in counters { try update.run(counters.sequence, counters.alarm, dealer) }
        counters.removeAll(keepingCapacity: true)
    }

    private mutating func commit(_ decision: Decision) throws -> CommitOutcome {
        for record in decision.idempotency {
            if let known = try IdempotencyRecord.stored(like: record, database) { return .knownKey(known) }
        }
        if let known = try knownReport(of: decision) { return .knownReport(id: known) }
        guard var counters = try counters(of: decision.dealerID) else { return .conflict }
        guard try checkVersion(of: decision) else { return .conflict }
        let newAlarms = try insertAlarms(of: decision, &counters)
        var logged: [LoggedEvent] = []
        logged.reserveCapacity(decision.events.count)
        for draft in decision.events {
            counters.sequence += 1
            let place = EventPlace(
                id: draft.id,
                sequence: counters.sequence,
                createdAt: decision.at,
                newAlarms: newAlarms
            )
            let event = LoggedEvent(
                draft,
                dealerID: decision.dealerID,
                partnerID: decision.partnerID,
                place: place
            )
            try events.insert(event)
            logged.append(event)
        }
        for entry in decision.audit { try audits.insert(entry) }
        try insertRest(of: decision)
        if !logged.isEmpty || !newAlarms.isEmpty { self.counters[decision.dealerID] = counters }
        let version = decision.newState == nil ? decision.baseVersion : decision.baseVersion + 1
        return .committed(events: logged, version: version)
    }

    private func checkVersion(of decision: Decision) throws -> Bool {
        guard let state = decision.newState else {
            return try siteVersion.first(decision.siteID, decision.baseVersion, read: { _ in true }) ?? false
        }
        return try updateSite.run(state.snapshot, state.nextDeadline, decision.siteID, decision.baseVersion) == 1
    }

    private func knownReport(of decision: Decision) throws -> String? {
        guard !decision.reportIDs.isEmpty else { return nil }
        let horizon = decision.at - Decision.reportIDLifetime
        let query = try PreparedStatement(
            database,
            "SELECT 1 FROM known_report WHERE site_id = ? AND report_id = ? AND seen_at > ?"
        )
        return try decision.reportIDs.first { report in
            try query.first(decision.siteID, report, horizon, read: { _ in true }) ?? false
        }
    }

    private mutating func counters(of dealer: DealerID) throws -> Counters? {
        if let known = counters[dealer] { return known }
        let query = try PreparedStatement(database, "SELECT last_sequence, last_alarm FROM dealer WHERE id = ?")
        return try query.first(dealer) { Counters(sequence: $0.integer(0), alarm: $0.integer(1)) }
    }

    private func insertAlarms(of decision: Decision, _ counters: inout Counters) throws -> [AlarmNumber] {
        guard !decision.alarms.isEmpty else { return [] }
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO alarm (dealer_id, number, site_id, partition_id, class, state, priority, "trigger", location,
                created_at) VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)
            """
        )
        var numbers: [AlarmNumber] = []
        for alarm in decision.alarms {
            counters.alarm += 1
            try insertion.run(
                decision.dealerID,
                counters.alarm,
                decision.siteID,
                alarm.partitionID,
                alarm.alarmClass.rawValue,
                alarm.priority.rawValue,
                alarm.trigger,
                alarm.location,
                decision.at
            )
            numbers.append(AlarmNumber(counters.alarm))
        }
        return numbers
    }

    private func insertRest(of decision: Decision) throws {
        for record in decision.idempotency { try record.store(database) }
        if !decision.reportIDs.isEmpty {
            let insertion = try PreparedStatement(
                database,
                "INSERT OR REPLACE INTO known_report (site_id, report_id, seen_at) VALUES (?, ?, ?)"
            )
            for report in decision.reportIDs { try insertion.run(decision.siteID, report, decision.at) }
        }
        guard let partner = decision.partnerID, !decision.marks.isEmpty else { return }
        let mark = try PreparedStatement(
            database,
            """
            INSERT INTO scorecard (partner_id, mark, count) VALUES (?, ?, 1)
                ON CONFLICT (partner_id, mark) DO UPDATE SET count = count + 1
            """
        )
        for name in decision.marks { try mark.run(partner, name.rawValue) }
    }
}

extension IdempotencyRecord {
    /// The record of the same caller and key that is still in force when this one is made.
    static func stored(like record: IdempotencyRecord, _ database: Database) throws -> IdempotencyRecord? {
        let stored = try find(record.caller, record.method, record.path, record.key, database)
        guard let stored, stored.createdAt > record.createdAt - lifetime else { return nil }
        return stored
    }

    static func find(
        _ caller: String,
        _ method: String,
        _ path: String,
        _ key: String,
        _ database: Database
    ) throws -> IdempotencyRecord? {
        let query = try PreparedStatement(
            database,
            """
            SELECT payload_hash, status, sealed_reply, created_at FROM idempotency_record
                WHERE caller = ? AND method = ? AND path = ? AND key = ?
            """
        )
        return try query.first(caller, method, path, key) { row in
            IdempotencyRecord(
                caller: caller,
                method: method,
                path: path,
                key: key,
                payloadHash: row.bytes(0),
                status: row.int(1),
                sealedReply: row.bytes(2),
                createdAt: row.instant(3)
            )
        }
    }

    /// Stores the record in place of one that has outlived its time.
    func store(_ database: Database) throws {
        let insertion = try PreparedStatement(
            database,
            """
            INSERT OR REPLACE INTO idempotency_record
                (caller, method, path, key, payload_hash, status, sealed_reply, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        try insertion.run(caller, method, path, key, payloadHash, status, sealedReply, createdAt)
    }
}
