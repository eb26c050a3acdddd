import GRDB

/// A dealer's audit entries are found through one another instead of through an index.
///
/// The index cost every decision an entry, and every commit a page for each of its dealers: a seventh of what the log of
/// writes held.
enum Migration0015 {
    static func migrate(_ database: Database) throws {
        // The dealer's entry before it, if it is one's; 0 for the first.
        try database.execute(sql: "ALTER TABLE audit ADD COLUMN dealer_previous INTEGER")
        try database.execute(sql: "ALTER TABLE dealer ADD COLUMN last_audit INTEGER NOT NULL DEFAULT 0")
        try database.execute(
            sql: """
                UPDATE audit SET dealer_previous =
                    coalesce((SELECT max(id) FROM audit AS other WHERE other.dealer = audit.dealer AND other.id < audit.id), 0)
                    WHERE dealer IS NOT NULL
                """
        )
        try database.execute(
            sql: "UPDATE dealer SET last_audit = coalesce((SELECT max(id) FROM audit WHERE dealer = dealer.place), 0)"
        )
        try database.execute(sql: "DROP INDEX audit_dealer")
    }
}
