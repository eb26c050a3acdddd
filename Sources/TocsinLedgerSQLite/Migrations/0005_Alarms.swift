import GRDB

/// Alarms with a life of their own: what becomes of them, and their timelines.
enum Migration0005 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        "ALTER TABLE dealer ADD COLUMN auto_resolve_cancelled INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alarm ADD COLUMN device_id TEXT",
        "ALTER TABLE alarm ADD COLUMN is_silent INTEGER NOT NULL DEFAULT 0",
        // How many entries its timeline has.
        "ALTER TABLE alarm ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
        // What nobody searches by, as JSON.
        "ALTER TABLE alarm ADD COLUMN facts BLOB",
        // Alarms are named by their incident within their site; those of before there were incidents count below zero.
        "UPDATE alarm SET incident = -number WHERE incident IS NULL",
        "UPDATE alarm SET is_silent = 1 WHERE class = 'duress'",
        // The operators' question: what is open, at a dealer or at a site.
        "CREATE INDEX alarm_unresolved ON alarm (dealer_id, number) WHERE state <> 'resolved'",
        "CREATE INDEX alarm_created ON alarm (created_at)",
        """
        CREATE TABLE alarm_entry (
            dealer_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            position INTEGER NOT NULL,
            at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            actor_kind TEXT NOT NULL,
            actor_id TEXT NOT NULL,
            text TEXT NOT NULL,
            details BLOB,
            event_id TEXT,
            PRIMARY KEY (dealer_id, number, position)
        ) STRICT, WITHOUT ROWID
        """,
        """
        INSERT INTO alarm_entry (dealer_id, number, position, at, kind, actor_kind, actor_id, text)
            SELECT dealer_id, number, 1, created_at, 'created', 'system', 'tocsin', 'Raised: ' || "trigger" FROM alarm
        """,
    ]
}
