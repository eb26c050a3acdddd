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

extension SQLiteTransaction {
    func append(_ entry: AuditEntry) throws { try AuditInsertion(database).insert(entry) }
}

/// Inserts audit entries with one prepared statement.
struct AuditInsertion {
    private let statement: PreparedStatement

    init(_ database: Database) throws {
        statement = try PreparedStatement(
            database,
            """
            INSERT INTO audit (at, dealer_id, site_id, actor_kind, actor_id, action, target, result, explanation, cause,
                request_id, trace_id, address, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
    }

    func insert(_ entry: AuditEntry) throws {
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
            entry.details.isEmpty ? nil : JSON.object(entry.details).bytes
        )
    }
}

extension AuditEntry {
    fileprivate static let select = """
        SELECT id, at, dealer_id, site_id, actor_kind, actor_id, action, target, result, explanation, cause, request_id,
            trace_id, address, details FROM audit
        """

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
            details: try row.optional(14, row.bytes).flatMap { try JSONParser.parse($0).object } ?? [:]
        )
    }
}
