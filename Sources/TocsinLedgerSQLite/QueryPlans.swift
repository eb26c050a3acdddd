import GRDB
import Synchronization
import TocsinLedger

/// A statement that a query ran, and how SQLite goes about it.
package struct QueryPlan: Sendable, CustomStringConvertible {
    package var sql: String
    /// The lines of `EXPLAIN QUERY PLAN`: `SEARCH …` uses an index, `SCAN …` reads a whole table.
    package var steps: [String]

    package var description: String { "\(sql)\n  " + steps.joined(separator: "\n  ") }
}

extension SQLiteLedger {
    /// Tells how the statements that `body` runs are carried out; for tests, and for whoever wonders why it is slow.
    ///
    /// What `body` writes is undone.
    package func queryPlans(
        of body: @escaping @Sendable (any LedgerTransaction) throws -> Void
    ) async throws -> [QueryPlan] {
        try await writer.writeWithoutTransaction { database in
            var statements: [String] = []
            database.trace { statements.append($0.description) }
            defer { database.trace() }
            try database.inTransaction {
                try body(SQLiteTransaction(database: database))
                return .rollback
            }
            database.trace()
            let seen = statements.filter { ["SELECT", "UPDATE", "DELETE", "INSERT"].contains($0.prefix(6)) }
            return try seen.map { sql in
                QueryPlan(sql: sql, steps: try database.all("EXPLAIN QUERY PLAN \(sql)") { $0.text(3) })
            }
        }
    }
}
