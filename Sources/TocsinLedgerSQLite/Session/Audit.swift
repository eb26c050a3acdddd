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
        switch reach {
        case .platform: break
        case .dealer(let id): condition.add("dealer_id = ?", id)
        case .partner(let id): condition.add("site_id IN (SELECT id FROM site WHERE partner_id = ?)", id)
        }
        if let site = filter.siteID {
            condition.add("site_id = ?", site)
            // A site's entries are all its dealer's, and those are indexed.
            let dealer = try database.first("SELECT dealer_id FROM site WHERE id = ?", [site]) { $0.text(0) }
            condition.add("dealer_id = ?", ifPresent: dealer)
        }
        condition.add("action = ?", ifPresent: filter.action)
        condition.add("actor_id = ?", ifPresent: filter.actorID)
        condition.add("at >= ?", ifPresent: filter.since)
        if let after = request.after {
            guard let id = Int64(after) else { throw LedgerError(.invalid, "the page cursor is not one of this list") }
            condition.add("id < ?", id)
        }
        let limit = request.boundedLimit
        let found = try database.all(
            "\(AuditEntry.select) \(condition.sql) ORDER BY id DESC LIMIT ?",
            condition.values + [limit + 1]
        ) { (id: $0.integer(0), entry: try AuditEntry($0)) }
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
        var next =
            try database.first("SELECT last_history FROM site_state WHERE site_id = ?", [site]) { $0.integer(0) } ?? 0
        if let after = request.after {
            guard let id = Int64(after) else { throw LedgerError(.invalid, "the page cursor is not one of this list") }
            next =
                try database.first(
                    "SELECT previous FROM audit WHERE id = ? AND site_id = ?",
                    [id, site]
                ) { $0.integer(0) } ?? 0
        }
        let limit = request.boundedLimit
        var found: [(id: Int64, entry: AuditEntry)] = []
        let link = try PreparedStatement(
            database,
            "\(AuditEntry.select) WHERE id = ? AND site_id = ? AND previous IS NOT NULL"
        )
        while found.count <= limit, next > 0 {
            // Where the log was purged the chain ends.
            let read = try link.first(next, site) { row in
                (entry: try AuditEntry(row), previous: row.integer(AuditEntry.previousColumn))
            }
            guard let read else { break }
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
        try AuditInsertion(database).insert(entry, entry.encodedDetails, as: id, previous: previous)
    }
}

/// Inserts audit entries with one prepared statement.
struct AuditInsertion {
    private let statement: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        statement = try PreparedStatement(
            database,
            """
            INSERT INTO audit (at, dealer_id, site_id, actor_kind, actor_id, action, target, result, explanation, cause,
                request_id, trace_id, address, details, id, previous)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            on: desk
        )
    }

    /// The id of the newest entry, after which new ones are numbered.
    static func lastID(_ database: Database) throws -> Int64 {
        try database.number("SELECT max(id) FROM audit")
    }

    /// Inserts an entry; `previous` is the one before it in its site's history, if it is a part of one.
    func insert(_ entry: AuditEntry, _ details: [UInt8]?, as id: Int64, previous: Int64?) throws {
        try statement.run(
            entry.at,
            entry.dealerID,
            entry.siteID,
            entry.actor.kind.rawValue,
            entry.actor.id,
            entry.action,
            entry.target,
            entry.result,
            entry.explanation,
            entry.cause,
            entry.requestID,
            entry.traceID,
            entry.address,
            details,
            id,
            previous
        )
    }
}

extension AuditEntry {
    fileprivate static let select = """
        SELECT id, at, dealer_id, site_id, actor_kind, actor_id, action, target, result, explanation, cause, request_id,
            trace_id, address, details, previous FROM audit
        """
    fileprivate static let previousColumn: Int32 = 15

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            at: row.instant(1),
            dealerID: row.optional(2, row.id),
            siteID: row.optional(3, row.id),
            actor: Actor(try row.word(4), row.text(5)),
            action: row.text(6),
            target: row.optional(7, row.text),
            result: row.text(8),
            explanation: row.text(9),
            cause: row.text(10),
            requestID: row.optional(11, row.text),
            traceID: row.optional(12, row.text),
            address: row.optional(13, row.text),
            details: try row.optional(14, row.bytes).flatMap { try JSONParser.parse($0).object } ?? [:],
            changesState: !row.isNull(Self.previousColumn)
        )
    }
}
