import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteReading {
    func audit(
        within reach: Reach,
        filter: AuditFilter,
        page request: PageRequest
    ) throws -> Page<(id: Int64, entry: AuditEntry)> {
        let after = try request.after.map { after in
            guard let id = Int64(after) else { throw LedgerError(.invalid, "the page cursor is not one of this list") }
            return id
        }
        let limit = request.boundedLimit
        let partnerOfSite = try PreparedStatement(database, "SELECT partner_id FROM site WHERE id = ?")
        var found: [(id: Int64, entry: AuditEntry)] = []
        func take(_ row: ResultRow) throws -> Bool {
            let entry = try AuditEntry(row)
            if let since = filter.since, entry.at < since { return true }
            guard filter.covers(entry) else { return true }
            if case .partner(let partner) = reach {
                let owner = try entry.siteID.flatMap { try partnerOfSite.first($0) { $0.text(0) } }
                guard owner == partner.text else { return true }
            }
            found.append((id: row.integer(0), entry: entry))
            return found.count <= limit
        }
        switch try dealers(of: filter, within: reach) {
        case .all:
            try database.each(
                """
                \(AuditEntry.select) WHERE id < ? AND (dealer IS NULL OR dealer IN (SELECT place FROM dealer))
                    ORDER BY id DESC
                """,
                [after ?? Int64.max],
                body: take
            )
        case .one(let dealer): try AuditChain(of: dealer, database)?.walk(before: after, take)
        case .none: break
        }
        return Page(found, limit: limit) { String($0.id) }
    }

    /// Whose entries these may be; a site's entries are all its dealer's.
    private func dealers(of filter: AuditFilter, within reach: Reach) throws -> AuditedDealers {
        var dealer: DealerID?
        if case .dealer(let own) = reach { dealer = own }
        if let site = filter.siteID {
            let owner: DealerID? = try database.first("SELECT dealer_id FROM site WHERE id = ?", [site]) { $0.id(0) }
            if let dealer, let owner, dealer != owner { return .none }
            dealer = dealer ?? owner
        }
        return dealer.map(AuditedDealers.one) ?? .all
    }
}

/// Whose entries are asked for.
private enum AuditedDealers {
    case all
    case one(DealerID)
    case none
}

/// A dealer's audit entries, each of which tells the one before it: what an index would cost every decision a page for.
private struct AuditChain {
    private let database: Database
    private let log: LogPlace
    /// The newest entry; 0 if there is none.
    private let newest: Int64

    /// Looks the dealer up; nil if there is none.
    init?(of dealer: DealerID, _ database: Database) throws {
        let query = try PreparedStatement(database, "SELECT place, last_audit FROM dealer WHERE id = ?")
        guard let found = try query.first(dealer, read: { (place: $0.integer(0), newest: $0.integer(1)) }) else {
            return nil
        }
        self.database = database
        log = LogPlace(dealer: found.place)
        newest = found.newest
    }

    /// Hands out the rows of the entries with ids below `end`, the newest first, until `body` returns false.
    func walk(before end: Int64?, _ body: (ResultRow) throws -> Bool) throws {
        let link = try PreparedStatement(database, "\(AuditEntry.select) WHERE id = ? AND dealer = ?")
        var next = newest
        // The entry that a page ended with leads on; where it is none of this dealer's the chain is walked from its start.
        if let end, let previous = try link.first(end, log.dealer, read: { $0.integer(AuditEntry.previousOfDealer) }) {
            next = previous
        }
        while next > 0 {
            var goesOn = false
            // Where the log was purged the chain ends.
            let previous = try link.first(next, log.dealer) { row in
                goesOn = try end.map { row.integer(0) < $0 } == false || body(row)
                return row.integer(AuditEntry.previousOfDealer)
            }
            guard goesOn, let previous else { return }
            next = previous
        }
    }
}

extension SQLiteReading {
    func history(
        of site: SiteID,
        within reach: Reach,
        page request: PageRequest
    ) throws -> Page<(id: Int64, entry: AuditEntry)> {
        guard try self.site(site, within: reach) != nil else { return Page(items: [], next: nil) }
        let link = try PreparedStatement(database, "\(AuditEntry.select) WHERE id = ? AND previous IS NOT NULL")
        func read(_ id: Int64) throws -> (entry: AuditEntry, previous: Int64)? {
            let read = try link.first(id) { (try AuditEntry($0), $0.integer(AuditEntry.previousColumn)) }
            // Where the log was purged the chain ends.
            return read.flatMap { $0.0.siteID == site ? $0 : nil }
        }
        var next =
            try database.first("SELECT last_history FROM site_state WHERE site_id = ?", [site]) { $0.integer(0) } ?? 0
        if let after = request.after {
            guard let id = Int64(after) else { throw LedgerError(.invalid, "the page cursor is not one of this list") }
            next = try read(id)?.previous ?? 0
        }
        let limit = request.boundedLimit
        var found: [(id: Int64, entry: AuditEntry)] = []
        while found.count <= limit, next > 0, let read = try read(next) {
            found.append((id: next, entry: read.entry))
            next = read.previous
        }
        return Page(found, limit: limit) { String($0.id) }
    }
}

extension SQLiteTransaction {
    func append(_ entry: AuditEntry) throws {
        let id = try AuditInsertion.lastID(database) + 1
        var previous: Int64?
        if entry.changesState, let site = entry.siteID {
            previous =
                try database.first("SELECT last_history FROM site_state WHERE site_id = ?", [site]) { $0.integer(0) }
                ?? 0
            try database.run("UPDATE site_state SET last_history = ? WHERE site_id = ?", [id, site])
        }
        let dealer = try entry.dealerID.flatMap { dealer in
            try database.first("SELECT place, last_audit FROM dealer WHERE id = ?", [dealer]) { row in
                AuditInsertion.Dealer(log: LogPlace(dealer: row.integer(0)), previous: row.integer(1))
            }
        }
        if let dealer {
            try database.run("UPDATE dealer SET last_audit = ? WHERE place = ?", [id, dealer.log.dealer])
        }
        try AuditInsertion(database)
            .insert(PackedAudit.pack(entry), as: id, at: entry.at, of: dealer, previous: previous)
    }
}

/// Inserts audit entries with one prepared statement.
struct AuditInsertion {
    /// Whose entry it is.
    struct Dealer {
        var log: LogPlace
        /// The dealer's entry before it; 0 for the first.
        var previous: Int64
    }

    private let statement: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        statement = try PreparedStatement(
            database,
            "INSERT INTO audit (id, at, dealer, previous, packed, dealer_previous) VALUES (?, ?, ?, ?, ?, ?)",
            on: desk
        )
    }

    /// The id of the newest entry, after which new ones are numbered.
    static func lastID(_ database: Database) throws -> Int64 {
        try database.number("SELECT max(id) FROM audit")
    }

    /// Inserts an entry; `previous` is the one before it in its site's history, if it is a part of one.
    func insert(_ packed: [UInt8], as id: Int64, at: Instant, of dealer: Dealer?, previous: Int64?) throws {
        try statement.run(id, at, dealer?.log.dealer, previous, packed, dealer?.previous)
    }
}

extension AuditFilter {
    fileprivate func covers(_ entry: AuditEntry) -> Bool {
        if let siteID, entry.siteID != siteID { return false }
        if let action, entry.action != action { return false }
        if let actorID, entry.actor.id != actorID { return false }
        return true
    }
}

extension AuditEntry {
    fileprivate static let select = "SELECT id, at, previous, packed, dealer_previous FROM audit"
    fileprivate static let previousColumn: Int32 = 2
    fileprivate static let previousOfDealer: Int32 = 4

    fileprivate init(_ row: ResultRow) throws {
        self = try PackedAudit.unpack(
            row.bytes(3),
            at: row.instant(1),
            changesState: !row.isNull(Self.previousColumn)
        )
    }
}
