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
        var condition = Condition()
        if case .dealer(let dealer) = reach { condition.add("dealer = \(AuditEntry.numberOfDealer)", dealer) }
        if let site = filter.siteID {
            // A site's entries are all its dealer's, and those are indexed.
            let dealer = try database.first("SELECT dealer_id FROM site WHERE id = ?", [site]) { $0.text(0) }
            if let dealer { condition.add("dealer = \(AuditEntry.numberOfDealer)", dealer) }
        }
        condition.add("at >= ?", ifPresent: filter.since)
        if let after = request.after {
            guard let id = Int64(after) else { throw LedgerError(.invalid, "the page cursor is not one of this list") }
            condition.add("id < ?", id)
        }
        let limit = request.boundedLimit
        let partnerOfSite = try PreparedStatement(database, "SELECT partner_id FROM site WHERE id = ?")
        var found: [(id: Int64, entry: AuditEntry)] = []
        try database.each("\(AuditEntry.select) \(condition.sql) ORDER BY id DESC", condition.values) { row in
            let entry = try AuditEntry(row)
            guard filter.covers(entry) else { return true }
            if case .partner(let partner) = reach {
                let owner = try entry.siteID.flatMap { try partnerOfSite.first($0) { $0.text(0) } }
                guard owner == partner.text else { return true }
            }
            found.append((id: row.integer(0), entry: entry))
            return found.count <= limit
        }
        return Page(found, limit: limit) { String($0.id) }
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
        let log = try entry.dealerID.flatMap { try EventLog(of: $0, database)?.place }
        try AuditInsertion(database).insert(PackedAudit.pack(entry), as: id, at: entry.at, of: log, previous: previous)
    }
}

/// Inserts audit entries with one prepared statement.
struct AuditInsertion {
    private let statement: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        statement = try PreparedStatement(
            database,
            "INSERT INTO audit (id, at, dealer, previous, packed) VALUES (?, ?, ?, ?, ?)",
            on: desk
        )
    }

    /// The id of the newest entry, after which new ones are numbered.
    static func lastID(_ database: Database) throws -> Int64 {
        try database.number("SELECT max(id) FROM audit")
    }

    /// Inserts an entry; `previous` is the one before it in its site's history, if it is a part of one.
    func insert(_ packed: [UInt8], as id: Int64, at: Instant, of log: LogPlace?, previous: Int64?) throws {
        try statement.run(id, at, log?.dealer, previous, packed)
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
    fileprivate static let numberOfDealer = "(SELECT place FROM dealer WHERE id = ?)"
    fileprivate static let select = "SELECT id, at, previous, packed FROM audit"
    fileprivate static let previousColumn: Int32 = 2

    fileprivate init(_ row: ResultRow) throws {
        self = try PackedAudit.unpack(
            row.bytes(3),
            at: row.instant(1),
            changesState: !row.isNull(Self.previousColumn)
        )
    }
}
