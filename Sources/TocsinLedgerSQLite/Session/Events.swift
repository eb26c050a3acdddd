import GRDB
import TocsinCore
import TocsinLedger

/// How many events one filtered read looks at: a sparse filter must not hold a reader for a whole log.
let eventSearchWindow = 2_000
/// The same for one site's events, which are few among its dealer's; some milliseconds.
let siteEventSearchWindow = 10_000

extension SQLiteReading {
    func events(of dealer: DealerID, after sequence: Int64, limit: Int) throws -> [LoggedEvent] {
        try database.all(
            "\(LoggedEvent.select) WHERE dealer_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            [dealer, sequence, limit],
            read: LoggedEvent.init
        )
    }

    func events(
        of dealer: DealerID,
        after sequence: Int64,
        filter: EventFilter,
        limit: Int
    ) throws -> (events: [LoggedEvent], searchedTo: Int64) {
        let window = filter.siteID == nil ? eventSearchWindow : siteEventSearchWindow
        let sql = "\(LoggedEvent.select) WHERE dealer_id = ? AND sequence > ? ORDER BY sequence LIMIT \(window)"
        let audience = try AudienceRule(filter, database)
        var found: [LoggedEvent] = []
        var looked = 0
        var searchedTo = sequence
        try database.each(sql, [dealer, sequence]) { row in
            looked += 1
            searchedTo = row.integer(1)
            if try filter.covers(row), try audience.covers(row) { found.append(try LoggedEvent(row)) }
            return found.count < limit
        }
        // Nothing more is there: the reader may go on from the log's end, so that it does not search this twice.
        if found.count < limit, looked < window {
            searchedTo = max(searchedTo, try lastSequence(of: dealer))
        }
        return (found, searchedTo)
    }

    func event(_ id: EventID, within reach: Reach) throws -> LoggedEvent? {
        var condition = Site.condition(reach)
        let key = id.key
        condition.add("key_high = ? AND key_low = ? AND id = ?", key.high, key.low, id)
        return try database.first("\(LoggedEvent.select) \(condition.sql)", condition.values, read: LoggedEvent.init)
    }

    func event(at position: EventPosition) throws -> LoggedEvent? {
        try database.first(
            "\(LoggedEvent.select) WHERE dealer_id = ? AND sequence = ?",
            [position.dealerID, position.sequence],
            read: LoggedEvent.init
        )
    }

    func lastSequence(of dealer: DealerID) throws -> Int64 {
        try database.number("SELECT last_sequence FROM dealer WHERE id = ?", [dealer])
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
        let insertion = try EventInsertion(database)
        var logged: [LoggedEvent] = []
        guard
            let last = try database.first(
                "SELECT last_sequence FROM dealer WHERE id = ?",
                [dealer],
                read: { $0.integer(0) }
            )
        else { throw LedgerError(.invalid, "the dealer \(dealer) does not exist") }
        for (index, draft) in events.enumerated() {
            let partner = try draft.siteID.flatMap { try partnerID(of: $0) }
            let sequence = last + Int64(index) + 1
            let place = EventPlace(id: draft.id, sequence: sequence, createdAt: instant)
            let event = LoggedEvent(
                EventHead(draft, dealerID: dealer, partnerID: partner, createdAt: instant),
                sequence: sequence,
                body: draft.body.encoded(at: place)
            )
            try insertion.insert(event)
            logged.append(event)
        }
        try database.run("UPDATE dealer SET last_sequence = ? WHERE id = ?", [last + Int64(events.count), dealer])
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

    func covers(_ row: ResultRow) throws -> Bool {
        switch EventAudience(stored: row.text(6)) {
        case .everyone: true
        case .app(let app, except: _): isAdmin || app == appID
        case .endpoint(let endpoint): isAdmin || ownEndpoints.contains(endpoint)
        }
    }
}

extension EventFilter {
    fileprivate func covers(_ row: ResultRow) throws -> Bool {
        if let siteID, row.optional(4, row.id) != siteID { return false }
        if let partnerID, row.optional(5, row.id) != partnerID { return false }
        if let types, !types.contains(try row.word(3)) { return false }
        return true
    }
}

/// Inserts events with one prepared statement.
struct EventInsertion {
    private let statement: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        statement = try PreparedStatement(
            database,
            """
            INSERT INTO event (dealer_id, sequence, id, type, site_id, partner_id, audience, created_at, body,
                key_high, key_low) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            on: desk
        )
    }

    func insert(_ event: LoggedEvent) throws {
        let key = event.id.key
        try statement.run(
            event.dealerID,
            event.sequence,
            event.id,
            event.type.rawValue,
            event.siteID,
            event.partnerID,
            event.audience.stored,
            event.createdAt,
            event.body,
            key.high,
            key.low
        )
    }
}

extension LoggedEvent {
    static let select = """
        SELECT dealer_id, sequence, id, type, site_id, partner_id, audience, created_at, body FROM event
        """

    init(_ row: ResultRow) throws {
        self.init(
            dealerID: row.id(0),
            sequence: row.integer(1),
            id: row.id(2),
            type: try row.word(3),
            siteID: row.optional(4, row.id),
            partnerID: row.optional(5, row.id),
            audience: EventAudience(stored: row.text(6)),
            createdAt: row.instant(7),
            body: row.bytes(8)
        )
    }
}
