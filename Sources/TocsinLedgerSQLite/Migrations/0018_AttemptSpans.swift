import GRDB
import TocsinCore

/// The attempts log is looked up by event; in which seconds an endpoint had deliveries is noted beside it.
///
/// Its index began with the endpoint, so that each commit wrote a page of it for every endpoint that was sent to: ten
/// times what was new. Attempts are made in the order of their events, more or less, and such an index grows at its end. Row
/// after row is moved, in one transaction, for which the disk must have room once more; no row names its endpoint as a
/// reference any longer, for the endpoint's end would have to read all of them.
enum Migration0018 {
    static func migrate(_ database: Database) throws {
        try database.execute(sql: "DROP INDEX delivery_attempt_event")
        try database.execute(sql: "ALTER TABLE delivery_attempt RENAME TO old_delivery_attempt")
        try database.execute(sql: tables)
        try moveAttempts(database)
        try database.execute(sql: "DROP TABLE old_delivery_attempt")
    }

    private static let tables = """
        CREATE TABLE delivery_attempt (
            id INTEGER PRIMARY KEY NOT NULL,
            endpoint_id TEXT NOT NULL,
            dealer_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            event_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            -- The first attempt succeeded: such a delivery has no other row.
            is_plain INTEGER NOT NULL,
            at INTEGER NOT NULL,
            succeeded INTEGER NOT NULL,
            status INTEGER,
            failure TEXT,
            failure_message TEXT,
            address TEXT,
            dns_us INTEGER,
            connect_us INTEGER,
            tls_us INTEGER,
            first_byte_us INTEGER,
            total_us INTEGER NOT NULL,
            request_headers TEXT NOT NULL,
            response_body BLOB NOT NULL
        ) STRICT;
        CREATE INDEX delivery_attempt_event ON delivery_attempt (event_id, endpoint_id, is_plain);
        CREATE TABLE attempt_span (
            endpoint_id TEXT NOT NULL,
            is_plain INTEGER NOT NULL,
            -- What the ids of all events of about one second begin with.
            span TEXT NOT NULL,
            PRIMARY KEY (endpoint_id, is_plain, span)
        ) STRICT, WITHOUT ROWID
        """

    /// Rows that are moved before their old ones go: what SQLite keeps to undo one statement is in memory.
    private static let rowsPerStep: Int64 = 5_000

    private static func moveAttempts(_ database: Database) throws {
        while let first = try oldest(database) {
            let end = first + rowsPerStep
            try database.run("INSERT INTO delivery_attempt SELECT * FROM old_delivery_attempt WHERE id < ?", [end])
            try database.run(
                """
                INSERT OR IGNORE INTO attempt_span
                    SELECT DISTINCT endpoint_id, is_plain, substr(event_id, 1, ?) FROM old_delivery_attempt WHERE id < ?
                """,
                [AttemptLog.spanLength, end]
            )
            try database.run("DELETE FROM old_delivery_attempt WHERE id < ?", [end])
        }
    }

    private static func oldest(_ database: Database) throws -> Int64? {
        try database.first("SELECT id FROM old_delivery_attempt ORDER BY id LIMIT 1") { $0.integer(0) }
    }
}
