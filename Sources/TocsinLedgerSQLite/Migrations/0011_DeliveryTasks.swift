import GRDB

/// Tasks that send a part of the log to an endpoint again, and which deliveries they have put in the way.
enum Migration0011 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        // It outlives its endpoint, to tell why it has ended.
        """
        CREATE TABLE delivery_task (
            id TEXT PRIMARY KEY NOT NULL,
            kind TEXT NOT NULL,
            endpoint_id TEXT NOT NULL,
            app_id TEXT,
            dealer_id TEXT REFERENCES dealer (id) ON DELETE CASCADE,
            partner_id TEXT REFERENCES partner (id) ON DELETE CASCADE,
            since INTEGER,
            until INTEGER NOT NULL,
            types TEXT,
            site_id TEXT,
            rate INTEGER NOT NULL,
            actor_kind TEXT NOT NULL,
            actor_id TEXT NOT NULL,
            state TEXT NOT NULL,
            phase TEXT NOT NULL,
            reason TEXT,
            matched INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            dead INTEGER NOT NULL,
            withdrawn INTEGER NOT NULL,
            retrying INTEGER NOT NULL,
            waiting INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            ended_at INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX delivery_task_endpoint ON delivery_task (endpoint_id, id)",
        "CREATE INDEX delivery_task_dealer ON delivery_task (dealer_id, id)",
        "CREATE INDEX delivery_task_partner ON delivery_task (partner_id, id)",
        "CREATE INDEX delivery_task_running ON delivery_task (endpoint_id) WHERE state = 'running'",
        "CREATE INDEX delivery_task_ended ON delivery_task (created_at) WHERE ended_at IS NOT NULL",
        """
        CREATE TABLE delivery_task_lane (
            task_id TEXT NOT NULL REFERENCES delivery_task (id) ON DELETE CASCADE,
            dealer_id TEXT NOT NULL,
            position INTEGER NOT NULL,
            last INTEGER NOT NULL,
            PRIMARY KEY (task_id, dealer_id)
        ) STRICT, WITHOUT ROWID
        """,
        "ALTER TABLE exceptional_delivery ADD COLUMN task_id TEXT",
        "ALTER TABLE exceptional_delivery ADD COLUMN task_prior TEXT",
        """
        CREATE INDEX exceptional_delivery_task ON exceptional_delivery (task_id, state) WHERE task_id IS NOT NULL
        """,
        """
        CREATE INDEX exceptional_delivery_aside ON exceptional_delivery (endpoint_id, dealer_id, sequence)
            WHERE next_attempt_at IS NULL AND state IN ('retrying', 'waiting')
        """,
    ]
}
