import GRDB

/// Parks poison events of endpoints that ask for order: what is parked is still pending.
enum Migration0012 {
    static func migrate(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE exceptional_delivery ADD COLUMN answers INTEGER NOT NULL DEFAULT 0;
                DROP INDEX exceptional_delivery_pending;
                CREATE INDEX exceptional_delivery_pending ON exceptional_delivery (dealer_id, sequence)
                    WHERE state IN ('retrying', 'waiting', 'parked')
                """
        )
    }
}
