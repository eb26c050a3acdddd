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
    private let alarms: AlarmWriter
    private(set) var states: StateWriter
    /// The id of the newest audit entry, once it is known to this group.
    private var lastAudit: Int64?
    /// What each dealer's counters will be once the group is committed; taken from the table once for each group.
    private var counters: [DealerID: Counters] = [:]

    private struct Counters {
        var log: LogEnd
        var alarm: Int64
        /// The newest audit entry.
        var audit: Int64
    }

    /// Takes what is known of sites from the groups before.
    init(_ database: Database, known: [SiteID: StoredState]) throws {
        self.database = database
        let desk = BindingDesk()
        events = try EventInsertion(database, on: desk)
        audits = try AuditInsertion(database, on: desk)
        states = try StateWriter(database, known: known, on: desk)
        alarms = AlarmWriter(database)
    }

    mutating func commit(_ decisions: [Decision]) throws -> [WrittenDecision] {
        var outcomes: [WrittenDecision] = []
        outcomes.reserveCapacity(decisions.count)
        // In their place: a copy of each would cost as much as a row.
        try decisions.withUnsafeBufferPointer { decisions in
            for index in decisions.indices { outcomes.append(try commit(decisions[index])) }
        }
        return outcomes
    }

    /// Writes the counters back: before anything else reads them, and before the group's commit.
    mutating func flush() throws {
        // Others append to the log too.
        lastAudit = nil
        guard !counters.isEmpty else { return }
        let update = try PreparedStatement(
            database,
            """
            UPDATE dealer SET last_sequence = ?, last_event_batch = ?, last_alarm = ?, last_audit = ? WHERE id = ?
            """
        )
        for (dealer, counters) in counters {
            try update.run(counters.log.sequence, counters.log.row, counters.alarm, counters.audit, dealer)
        }
        counters.removeAll(keepingCapacity: true)
    }

    private mutating func commit(_ decision: Decision) throws -> WrittenDecision {
        let encoded = decision.encoded ?? EncodedDecision(decision)
        if !encoded.isStateAlone, let refusal = try refusal(of: decision) { return .without(refusal) }
        guard var counters = try counters(of: decision.dealerID) else { return .without(.conflict) }
        guard let site = try storeState(of: decision, encoded) else { return .without(.conflict) }
        let stored = encoded.isStateAlone ? [:] : try alarms.store(decision.alarms, after: &counters.alarm)
        let incidentAlarms = try alarms(of: encoded.incidents, at: decision.siteID, beside: stored)
        let first = counters.log.sequence + 1
        let logged = try insertEvents(of: decision, encoded, incidentAlarms, &counters)
        try insertAudit(encoded.audit, &counters, after: site.history ?? 0)
        if !encoded.isStateAlone { try insertRest(of: decision, incidentAlarms) }
        try insertMarks(of: decision)
        if !encoded.events.isEmpty || !stored.isEmpty || !encoded.audit.isEmpty {
            self.counters[decision.dealerID] = counters
        }
        let version = encoded.snapshot == nil ? decision.baseVersion : decision.baseVersion + 1
        if let logged { return .without(.committed(events: logged, version: version)) }
        return .committed(encoded, first: first, version: version)
    }

    /// What keeps a decision from being stored whatever its site's version is.
    private func refusal(of decision: Decision) throws -> CommitOutcome? {
        for record in decision.idempotency {
            if let known = try IdempotencyRecord.stored(like: record, database) { return .knownKey(known) }
        }
        let known = try knownReports(of: decision)
        if !known.isEmpty { return .knownReports(ids: known) }
        if !decision.alarms.isEmpty, try !alarms.isCurrent(decision.alarms) { return .conflict }
        return nil
    }

    /// Appends the decision's events to its dealer's log.
    ///
    /// Returns them only where a body had to be encoded here; all others can be told from what was encoded before.
    private func insertEvents(
        of decision: Decision,
        _ encoded: EncodedDecision,
        _ incidentAlarms: [IncidentID: AlarmNumber],
        _ counters: inout Counters
    ) throws -> [LoggedEvent]? {
        if let rows = encoded.rows {
            for row in rows { try events.insert(row, at: &counters.log) }
            return nil
        }
        var sequence = counters.log.sequence
        let logged = encoded.events.indices.map { index in
            sequence += 1
            return LoggedEvent(
                encoded.events[index].head,
                sequence: sequence,
                createdAt: decision.at,
                body: encoded.events[index].body?.bytes(sequence: sequence)
                    ?? Self.body(of: decision.events[index], decision.at, sequence, incidentAlarms)
            )
        }
        try events.insert(logged, at: &counters.log)
        return logged
    }

    private static func body(
        of draft: EventDraft,
        _ createdAt: Instant,
        _ sequence: Int64,
        _ incidentAlarms: [IncidentID: AlarmNumber]
    ) -> [UInt8] {
        draft.body.encoded(
            at: EventPlace(id: draft.id, sequence: sequence, createdAt: createdAt, incidentAlarms: incidentAlarms)
        )
    }

    /// Stores the site's new state, and which entry is the newest of its history; returns what was there before, or nil
    /// if the site is gone or of another version.
    private mutating func storeState(of decision: Decision, _ encoded: EncodedDecision) throws -> StoredState? {
        try states.store(
            decision.siteID,
            version: decision.baseVersion,
            snapshot: encoded.snapshot,
            due: encoded.due,
            history: try encoded.lastChange.map { try nextAudit() + Int64($0) }
        )
    }

    /// The id that the next audit entry gets.
    private mutating func nextAudit() throws -> Int64 {
        if let lastAudit { return lastAudit + 1 }
        let last = try AuditInsertion.lastID(database)
        lastAudit = last
        return last + 1
    }

    /// Appends the decision's audit entries, chained to those of its dealer; those that change the state are chained to the
    /// site's history, too.
    private mutating func insertAudit(
        _ entries: [EncodedDecision.Audit],
        _ counters: inout Counters,
        after history: Int64
    ) throws {
        var history = history
        // By their numbers: to walk through them would copy each entry.
        for index in entries.indices {
            let id = try nextAudit()
            let isChange = entries[index].changesState
            try audits.insert(
                entries[index].packed,
                as: id,
                at: entries[index].at,
                of: AuditInsertion.Dealer(log: counters.log.log, previous: counters.audit),
                previous: isChange ? history : nil
            )
            counters.audit = id
            if isChange { history = id }
            lastAudit = id
        }
    }

    private func knownReports(of decision: Decision) throws -> [String] {
        guard !decision.reportIDs.isEmpty else { return [] }
        let horizon = decision.at - Decision.reportIDLifetime
        let query = try PreparedStatement(
            database,
            "SELECT 1 FROM known_report WHERE site_id = ? AND report_id = ? AND seen_at > ?"
        )
        return try decision.reportIDs.filter { report in
            try query.first(decision.siteID, report, horizon, read: { _ in true }) ?? false
        }
    }

    private mutating func counters(of dealer: DealerID) throws -> Counters? {
        if let known = counters[dealer] { return known }
        let query = try PreparedStatement(
            database,
            "SELECT place, last_sequence, last_event_batch, last_alarm, last_audit FROM dealer WHERE id = ?"
        )
        return try query.first(dealer) { row in
            Counters(
                log: LogEnd(log: LogPlace(dealer: row.integer(0)), sequence: row.integer(1), row: row.integer(2)),
                alarm: row.integer(3),
                audit: row.integer(4)
            )
        }
    }

    /// The numbers of the alarms that a decision's events name by their incident; those that it stored are known.
    private func alarms(
        of named: Set<IncidentID>,
        at site: SiteID,
        beside known: [IncidentID: AlarmNumber]
    ) throws -> [IncidentID: AlarmNumber] {
        if named.isEmpty { return known }
        let incidents = named.subtracting(known.keys)
        let query = try PreparedStatement(
            database,
            "SELECT number FROM alarm WHERE site_id = ? AND incident = ? ORDER BY number DESC"
        )
        var numbers = known
        for incident in incidents {
            numbers[incident] = try query.first(site, incident.value) { AlarmNumber($0.integer(0)) }
        }
        return numbers
    }

    /// Their alarms are those of the decision's events, so that their numbers are known.
    private func insertSnapshots(
        of decision: Decision,
        _ incidentAlarms: [IncidentID: AlarmNumber]
    ) throws {
        if decision.snapshots.isEmpty, decision.snapshotLinks.isEmpty { return }
        func number(_ alarm: AlarmReference) -> AlarmNumber? {
            switch alarm {
            case .existing(let number): number
            case .incident(let id): incidentAlarms[id]
            }
        }
        for draft in decision.snapshots { try draft.store(alarm: draft.alarm.flatMap(number), database) }
        for link in decision.snapshotLinks {
            guard let alarm = number(link.alarm) else { continue }
            try database.run(
                "UPDATE snapshot SET alarm = ? WHERE id = ? AND site_id = ? AND alarm IS NULL",
                [alarm.value, link.snapshotID, decision.siteID]
            )
        }
    }

    private func insertRest(of decision: Decision, _ incidentAlarms: [IncidentID: AlarmNumber]) throws {
        try insertSnapshots(of: decision, incidentAlarms)
        for change in decision.deviceChanges { try change.store(database) }
        for record in decision.idempotency { try record.store(database) }
        for notice in decision.notices { try notice.store(for: decision, database) }
        for command in decision.relayCommands { try command.store(database) }
        if !decision.reportIDs.isEmpty {
            let insertion = try PreparedStatement(
                database,
                "INSERT OR REPLACE INTO known_report (site_id, report_id, seen_at) VALUES (?, ?, ?)"
            )
            for report in decision.reportIDs { try insertion.run(decision.siteID, report, decision.at) }
        }
    }

    private func insertMarks(of decision: Decision) throws {
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
