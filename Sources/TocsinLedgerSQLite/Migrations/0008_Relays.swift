import GRDB

/// What those who switch relays are told, until long after they were.
enum Migration0008 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        // A relay that is deleted takes its commands along: nobody knows any more where they would go.
        """
        CREATE TABLE relay_command (
            position INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            relay_id TEXT NOT NULL REFERENCES fixture (id) ON DELETE CASCADE,
            device_id TEXT,
            site_id TEXT NOT NULL,
            dealer_id TEXT NOT NULL,
            until INTEGER,
            duration_seconds INTEGER,
            created_at INTEGER NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            next_attempt_at INTEGER,
            last_error TEXT
        ) STRICT
        """,
        "CREATE INDEX relay_command_relay ON relay_command (relay_id)",
        "CREATE INDEX relay_command_due ON relay_command (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
        "CREATE INDEX relay_command_settled ON relay_command (created_at) WHERE next_attempt_at IS NULL",
    ]
}
