import GRDB

/// What deletions leave to the housekeeping is written down, and deliveries no longer go with their endpoint by themselves.
///
/// A dealer's whole log went in one commit, for which all others waited: 7 s with 800,000 events. The rows of deliveries
/// are copied once, for SQLite cannot take a foreign key back.
enum Migration0017 {
    static func migrate(_ database: Database) throws {
        try database.execute(sql: remains)
        try database.execute(sql: "ALTER TABLE exceptional_delivery RENAME TO old_exceptional_delivery")
        try database.execute(sql: deliveries)
        try database.execute(
            sql: """
                INSERT INTO exceptional_delivery (\(columns))
                    SELECT \(columns) FROM old_exceptional_delivery
                    -- What was under way to a partner when its dealer went was written down once more.
                    WHERE dealer_id IN (SELECT id FROM dealer) ORDER BY endpoint_id, dealer_id, sequence
                """
        )
        // Its indexes go with it.
        try database.execute(sql: "DROP TABLE old_exceptional_delivery")
        for index in indexes { try database.execute(sql: "CREATE INDEX exceptional_delivery_\(index)") }
    }

    private static let remains = """
        CREATE TABLE remains (
            -- The oldest goes first.
            id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
            kind TEXT NOT NULL,
            -- The number of the dealer, where its rows are told by it: it is nobody else's as long as this stands here.
            dealer INTEGER,
            dealer_id TEXT,
            endpoint_id TEXT,
            site_id TEXT,
            -- Where to go on, and where it ends: rows, or events of a log, as the kind says.
            position INTEGER NOT NULL DEFAULT 0,
            last INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX remains_dealer ON remains (dealer) WHERE dealer IS NOT NULL
        """

    private static let columns = """
        endpoint_id, dealer_id, sequence, event_id, state, attempts, next_attempt_at, event_created_at, updated_at,
            task_id, task_prior, answers
        """

    private static let deliveries = """
        CREATE TABLE exceptional_delivery (
            endpoint_id TEXT NOT NULL,
            dealer_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            event_id TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            next_attempt_at INTEGER,
            event_created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            task_id TEXT,
            task_prior TEXT,
            answers INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (endpoint_id, dealer_id, sequence)
        ) STRICT, WITHOUT ROWID
        """

    private static let indexes = [
        """
        due ON exceptional_delivery (endpoint_id, next_attempt_at, dealer_id, sequence)
            WHERE next_attempt_at IS NOT NULL
        """,
        "event ON exceptional_delivery (endpoint_id, event_id)",
        "state ON exceptional_delivery (endpoint_id, state, event_id)",
        """
        pending ON exceptional_delivery (dealer_id, sequence) WHERE state IN ('retrying', 'waiting', 'parked')
        """,
        """
        settled ON exceptional_delivery (updated_at) WHERE state IN ('delivered', 'dead', 'withdrawn')
        """,
        "task ON exceptional_delivery (task_id, state) WHERE task_id IS NOT NULL",
        """
        aside ON exceptional_delivery (endpoint_id, dealer_id, sequence)
            WHERE next_attempt_at IS NULL AND state IN ('retrying', 'waiting')
        """,
    ]
}
