import GRDB
import TocsinCore
import TocsinLedger

/// How many events one filtered read looks at: a sparse filter must not hold a reader for a whole log.
let eventSearchWindow = 2_000
/// The same for one site's events, which are few among its dealer's; some milliseconds.
let siteEventSearchWindow = 10_000

extension SQLiteReading {
    func events(of dealer: DealerID, after sequence: Int64, limit: Int) throws -> [LoggedEvent] {
        guard limit > 0, let log = try EventLog(of: dealer, database) else { return [] }
        var found: [LoggedEvent] = []
        try log.walk(after: sequence) { event in
            found.append(event.logged)
            return found.count < limit
        }
        return found
    }

    func events(
        of dealer: DealerID,
        after sequence: Int64,
        filter: EventFilter,
        limit: Int
    ) throws -> (events: [LoggedEvent], searchedTo: Int64) {
        guard let log = try EventLog(of: dealer, database) else { return ([], sequence) }
        let window = filter.siteID == nil ? eventSearchWindow : siteEventSearchWindow
        let audience = try AudienceRule(filter, database)
        var found: [LoggedEvent] = []
        var looked = 0
        var searchedTo = sequence
        try log.walk(after: sequence) { event in
            looked += 1
            searchedTo = event.sequence
            if filter.covers(event.head), audience.covers(event.head) { found.append(event.logged) }
            return found.count < limit && looked < window
        }
        // Nothing more is there: the reader may go on from the log's end, so that it does not search this twice.
        if found.count < limit, looked < window {
            searchedTo = max(searchedTo, try lastSequence(of: dealer))
        }
        return (found, searchedTo)
    }

    func event(_ id: EventID, within reach: Reach) throws -> LoggedEvent? {
        var condition = Condition()
        condition.add("id_time = ?", id.time)
        if case .dealer(let dealer) = reach { condition.add("dealer.id = ?", dealer) }
        // The rows of one millisecond: few, but at a closing time some hundreds.
        let sql = """
            SELECT dealer.id, dealer.place, event_batch.place, event_batch.created_at, packed FROM event_batch
                CROSS JOIN dealer ON dealer.place = \(LogPlace.dealerSQL("event_batch.place")) \(condition.sql)
            """
        var found: LoggedEvent?
        try database.each(sql, condition.values) { row in
            try PackedEvents.read(
                row.bytes(4),
                of: row.id(0),
                from: LogPlace(dealer: row.integer(1)).sequence(at: row.integer(2)),
                createdAt: row.instant(3)
            ) { event in
                guard event.head.id == id else { return true }
                found = event.logged
                return false
            }
        }
        if case .partner(let partner) = reach, found?.partnerID != partner { return nil }
        return found
    }

    func event(at position: EventPosition) throws -> LoggedEvent? {
        try EventLog(of: position.dealerID, database)?.event(position.sequence)?.logged
    }

    func lastSequence(of dealer: DealerID) throws -> Int64 {
        try database.number("SELECT last_sequence FROM dealer WHERE id = ?", [dealer])
    }

    func firstSequence(of dealer: DealerID) throws -> Int64 {
        try EventLog(of: dealer, database)?.firstSequence() ?? 1
    }

    func consumer(_ name: String, of dealer: DealerID, owner: String) throws -> Int64? {
        try database.first(
            "SELECT sequence FROM consumer WHERE dealer_id = ? AND owner = ? AND name = ?",
            [dealer, owner, name]
        ) { $0.integer(0) }
    }
}

extension SQLiteTransaction {
    func append(_ events: [EventDraft], to dealer: DealerID, at instant: Instant) throws -> [LoggedEvent] {
        guard !events.isEmpty else { return [] }
        var logged: [LoggedEvent] = []
        guard var end = try LogEnd.stored(of: dealer, database) else {
            throw LedgerError(.invalid, "the dealer \(dealer) does not exist")
        }
        for (index, draft) in events.enumerated() {
            let partner = try draft.siteID.flatMap { try partnerID(of: $0) }
            let sequence = end.sequence + Int64(index) + 1
            let place = EventPlace(id: draft.id, sequence: sequence, createdAt: instant)
            logged.append(
                LoggedEvent(
                    EventHead(draft, dealerID: dealer, partnerID: partner),
                    sequence: sequence,
                    createdAt: instant,
                    body: draft.body.encoded(at: place)
                )
            )
        }
        try EventInsertion(database).insert(logged, at: &end)
        try database.run(
            "UPDATE dealer SET last_sequence = ?, last_event_batch = ? WHERE id = ?",
            [end.sequence, end.row, dealer]
        )
        return logged
    }

    private func partnerID(of site: SiteID) throws -> PartnerID? {
        let stored = try database.first("SELECT partner_id FROM site WHERE id = ?", [site]) { row -> PartnerID? in
            row.optional(0, row.id)
        }
        return stored ?? nil
    }

    func setConsumer(_ name: String, of dealer: DealerID, owner: String, to sequence: Int64) throws {
        try database.run(
            """
            INSERT INTO consumer (dealer_id, owner, name, sequence) VALUES (?, ?, ?, ?)
                ON CONFLICT (dealer_id, owner, name) DO UPDATE SET sequence = excluded.sequence
            """,
            [dealer, owner, name, sequence]
        )
    }
}

/// Which notices a reader sees beside what is everyone's (decisions §2).
private struct AudienceRule {
    private let appID: AppID?
    private let isAdmin: Bool
    private let ownEndpoints: Set<EndpointID>

    init(_ filter: EventFilter, _ database: Database) throws {
        appID = filter.appID
        isAdmin = filter.appID == nil && filter.partnerID == nil
        if let appID = filter.appID {
            ownEndpoints = Set(try database.all("SELECT id FROM endpoint WHERE app_id = ?", [appID]) { $0.id(0) })
        } else {
            ownEndpoints = []
        }
    }

    func covers(_ event: EventHead) -> Bool {
        switch event.audience {
        case .everyone: true
        case .app(let app, except: _): isAdmin || app == appID
        case .endpoint(let endpoint): isAdmin || ownEndpoints.contains(endpoint)
        }
    }
}

extension EventFilter {
    fileprivate func covers(_ event: EventHead) -> Bool {
        if let siteID, event.siteID != siteID { return false }
        if let partnerID, event.partnerID != partnerID { return false }
        if let types, !types.contains(event.type) { return false }
        return true
    }
}
