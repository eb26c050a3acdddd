import GRDB
import TocsinCore
import TocsinLedger

/// What deletions left to be removed a little at a time: all commits wait for a deletion, and a dealer's log takes seconds.
///
/// Nobody sees it any more. Whoever reads asks for the dealer or the endpoint whose it is, and that is gone; where a list
/// goes over all of them it leaves out what is nobody's. One row says what is left of one thing and how far its removal
/// has got, and is written in the same transaction as that, so that nothing is forgotten whenever the program ends.
struct Remains {
    enum Kind: String {
        /// Of an endpoint; those of a dealer's events only, where the endpoint outlives it.
        case deliveries
        /// Of an endpoint.
        case attempts
        /// Of a dealer's events, at endpoints that outlive it: all attempts have to be looked through.
        case foreignAttempts = "foreign_attempts"
        /// Of sites that are gone: sites are looked through in the order of their ids, from the one behind `site`.
        case reports
        /// The entries of a dealer's alarms, which go before them.
        case timelines
        case alarms
        /// A dealer's log.
        case events
        /// A dealer's audit entries, from the one at `position` back.
        case audit
    }

    struct Item {
        let id: Int64
        let kind: Kind
        var log: LogPlace?
        var dealer: DealerID?
        var endpoint: EndpointID?
        var site: SiteID?
        var position: Int64 = 0
        var last: Int64 = 0
    }

    private let database: Database
    private var attempts: AttemptRemains { AttemptRemains(database) }

    init(_ database: Database) { self.database = database }

    /// SQL that says whether a row of `exceptional_delivery` is still somebody's.
    ///
    /// The signs keep SQLite from looking for a delivery of each dealer in turn.
    static let hasOwners =
        "+endpoint_id IN (SELECT id FROM endpoint) AND +dealer_id IN (SELECT id FROM dealer)"

    // MARK: Leaving

    /// Notes what a dealer will leave, just before it goes.
    func leave(_ dealer: DealerID) throws {
        guard let log = try EventLog(of: dealer, database) else { return }
        try leaveEndpoints("dealer_id = ?", dealer)
        // A partner's endpoints outlive the dealer, but not their deliveries of its events.
        let partners: [EndpointID] = try database.all(
            """
            SELECT endpoint.id FROM endpoint_cursor JOIN endpoint ON endpoint.id = endpoint_cursor.endpoint_id
                WHERE endpoint_cursor.dealer_id = ? AND partner_id IS NOT NULL ORDER BY endpoint.id
            """,
            [dealer]
        ) { $0.id(0) }
        for endpoint in partners { try leaveDeliveries(of: endpoint, from: dealer) }
        if !partners.isEmpty { try attempts.leave(ofEventsOf: dealer) }
        try leaveReports()
        if try database.exists("SELECT 1 FROM alarm WHERE dealer_id = ? LIMIT 1", [dealer]) {
            for kind in [Kind.timelines, .alarms] {
                try database.run("INSERT INTO remains (kind, dealer_id) VALUES (?, ?)", [kind.rawValue, dealer])
            }
        }
        let audit = try database.number("SELECT last_audit FROM dealer WHERE id = ?", [dealer])
        for (kind, position) in [(Kind.events, log.end.row), (.audit, audit)] where position > 0 {
            try database.run(
                "INSERT INTO remains (kind, dealer, dealer_id, position, last) VALUES (?, ?, ?, ?, ?)",
                [kind.rawValue, log.place.dealer, dealer, position, kind == .events ? log.end.sequence : 0]
            )
        }
    }

    /// Notes what endpoints will leave, just before they go; `condition` tells which.
    func leaveEndpoints(_ condition: String, _ value: any Bindable) throws {
        let endpoints: [EndpointID] = try database.all(
            "SELECT id FROM endpoint WHERE \(condition) ORDER BY id",
            [value]
        ) { $0.id(0) }
        for endpoint in endpoints {
            try database.run("DELETE FROM fact WHERE name = ?", [EndpointFact.forgottenAttempts(of: endpoint)])
            try leaveDeliveries(of: endpoint, from: nil)
            try attempts.leave(of: endpoint)
        }
    }

    /// Notes that sites will go, whose reports nobody will ask for.
    func leaveReports() throws {
        guard try database.exists("SELECT 1 FROM known_report LIMIT 1", []) else { return }
        try database.run("INSERT INTO remains (kind) VALUES (?)", [Kind.reports.rawValue])
    }

    private func leaveDeliveries(of endpoint: EndpointID, from dealer: DealerID?) throws {
        let condition = Self.deliveries(of: endpoint, from: dealer)
        guard try database.exists("SELECT 1 FROM exceptional_delivery \(condition.sql) LIMIT 1", condition.values)
        else { return }
        try database.run(
            "INSERT INTO remains (kind, endpoint_id, dealer_id) VALUES (?, ?, ?)",
            [Kind.deliveries.rawValue, endpoint, dealer]
        )
    }

    private static func deliveries(of endpoint: EndpointID?, from dealer: DealerID?) -> Condition {
        var condition = Condition()
        condition.add("endpoint_id = ?", endpoint)
        condition.add("dealer_id = ?", ifPresent: dealer)
        return condition
    }

    // MARK: Clearing

    /// Removes so many rows at most, of the oldest deletion first; fewer mean that nothing is left.
    func clear(limit: Int) throws -> Int {
        var cleared = 0
        while cleared < limit, let item = try oldest() {
            let room = limit - cleared
            let removed = try clear(item, atMost: room)
            cleared += removed
            // Where there was room left there is nothing left; the row that said so counts, too.
            if removed < room { cleared += try database.run("DELETE FROM remains WHERE id = ?", [item.id]) }
        }
        return cleared
    }

    private func oldest() throws -> Item? {
        try database.first(
            "SELECT id, kind, dealer, dealer_id, endpoint_id, site_id, position, last FROM remains ORDER BY id LIMIT 1"
        ) { row in
            Item(
                id: row.integer(0),
                kind: try row.word(1),
                log: row.optional(2, row.integer).map { LogPlace(dealer: $0) },
                dealer: row.optional(3, row.id),
                endpoint: row.optional(4, row.id),
                site: row.optional(5, row.id),
                position: row.integer(6),
                last: row.integer(7)
            )
        }
    }

    /// Removes rows, or looks at as many as takes as long, and returns how many; fewer than `limit` only at the end.
    private func clear(_ item: Item, atMost limit: Int) throws -> Int {
        switch item.kind {
        case .deliveries:
            try keyed(
                "exceptional_delivery",
                key: "endpoint_id, dealer_id, sequence",
                Self.deliveries(of: item.endpoint, from: item.dealer),
                limit
            )
        case .attempts: try attempts.clear(item, atMost: limit)
        case .foreignAttempts: try attempts.clearForeign(item, atMost: limit)
        case .reports: try reports(item, limit)
        case .timelines:
            try keyed("alarm_entry", key: "dealer_id, number, position", Self.rows(of: item.dealer), limit)
        case .alarms: try keyed("alarm", key: "dealer_id, number", Self.rows(of: item.dealer), limit)
        case .events: try events(item, limit)
        case .audit: try audit(item, limit)
        }
    }

    private static func rows(of dealer: DealerID?) -> Condition {
        var condition = Condition()
        condition.add("dealer_id = ?", dealer)
        return condition
    }

    private func keyed(_ table: String, key: String, _ condition: Condition, _ limit: Int) throws -> Int {
        try database.run(
            "DELETE FROM \(table) WHERE (\(key)) IN (SELECT \(key) FROM \(table) \(condition.sql) LIMIT ?)",
            condition.values + [limit]
        )
    }

    private func events(_ item: Item, _ limit: Int) throws -> Int {
        guard let place = item.log, let dealer = item.dealer else { return 0 }
        var removed = 0
        try EventLog(
            of: dealer,
            endingAt: LogEnd(log: place, sequence: item.last, row: item.position),
            database
        ).removeRows { _ in
            guard removed < limit else { return false }
            removed += 1
            return true
        }
        return removed
    }

    private func audit(_ item: Item, _ limit: Int) throws -> Int {
        guard let log = item.log else { return 0 }
        let link = try PreparedStatement(database, "SELECT dealer_previous FROM audit WHERE id = ? AND dealer = ?")
        let deletion = try PreparedStatement(database, "DELETE FROM audit WHERE id = ?")
        var (next, removed) = (item.position, 0)
        // Where the log was purged the chain ends; the number may be another's entry by now.
        while removed < limit, let previous = try link.first(next, log.dealer, read: { $0.integer(0) }) {
            removed += try deletion.run(next)
            next = previous
        }
        try database.run("UPDATE remains SET position = ? WHERE id = ?", [next, item.id])
        return removed
    }

    /// Each site that is looked at counts as a row.
    private func reports(_ item: Item, _ limit: Int) throws -> Int {
        let following = try PreparedStatement(
            database,
            "SELECT site_id FROM known_report WHERE site_id > ? ORDER BY site_id LIMIT 1"
        )
        let owner = try PreparedStatement(database, "SELECT 1 FROM site WHERE id = ?")
        let deletion = try PreparedStatement(
            database,
            """
            DELETE FROM known_report WHERE (site_id, report_id) IN
                (SELECT site_id, report_id FROM known_report WHERE site_id = ? LIMIT ?)
            """
        )
        var done = item.site?.text ?? ""
        var removed = 0
        while removed < limit, let site = try following.first(done, read: { $0.text(0) }) {
            if try owner.first(site, read: { _ in true }) ?? false {
                removed += 1
            } else {
                removed += try deletion.run(site, limit - removed)
                // Some of them may be left.
                if removed == limit { break }
            }
            done = site
        }
        try database.run("UPDATE remains SET site_id = ? WHERE id = ?", [done, item.id])
        return removed
    }
}
