import GRDB
import TocsinCore
import TocsinLedger

/// What is left in the log of attempts by an endpoint that is gone, or by a dealer whose events others were sent, too.
struct AttemptRemains {
    /// Attempts that are looked at in the time in which one is removed.
    private static let looksPerRemoval = 4

    private let database: Database

    init(_ database: Database) { self.database = database }

    /// Notes the attempts of an endpoint, just before it goes.
    func leave(of endpoint: EndpointID) throws {
        try database.run(
            "INSERT INTO remains (kind, endpoint_id) VALUES (?, ?)",
            [Remains.Kind.attempts.rawValue, endpoint]
        )
    }

    /// Notes the attempts of a dealer's events at endpoints that outlive it, just before it goes; none comes after that.
    func leave(ofEventsOf dealer: DealerID) throws {
        try database.run(
            """
            INSERT INTO remains (kind, dealer_id, last)
                VALUES (?, ?, (SELECT coalesce(max(id), 0) FROM delivery_attempt))
            """,
            [Remains.Kind.foreignAttempts.rawValue, dealer]
        )
    }

    func clear(_ item: Remains.Item, atMost limit: Int) throws -> Int {
        guard let endpoint = item.endpoint else { return 0 }
        return try AttemptLog(database).delete(of: endpoint, limit: limit)
    }

    /// Looks through the log, for nothing finds an endpoint's attempts by their dealer.
    func clearForeign(_ item: Remains.Item, atMost limit: Int) throws -> Int {
        var found: [Int64] = []
        var (looked, position) = (0, item.position)
        try database.each(
            "SELECT id, dealer_id FROM delivery_attempt WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            [item.position, item.last, limit * Self.looksPerRemoval]
        ) { row in
            looked += 1
            position = row.integer(0)
            if row.id(1) == item.dealer { found.append(position) }
            return found.count < limit
        }
        try AttemptLog(database).delete(rows: found)
        try database.run("UPDATE remains SET position = ? WHERE id = ?", [position, item.id])
        return max(found.count, (looked + Self.looksPerRemoval - 1) / Self.looksPerRemoval)
    }
}
