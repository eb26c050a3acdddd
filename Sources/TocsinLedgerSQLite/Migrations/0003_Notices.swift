import GRDB

/// What a site's people are told by mail, until long after it was sent.
enum Migration0003 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        // The people of a site who can be told are found without reading those who cannot.
        """
        CREATE INDEX fixture_email ON fixture (site_id, id) WHERE CAST(settings AS TEXT) ->> '$.email' IS NOT NULL
        """,
        // Whoever is deleted takes what was for them along; their address stays in one place.
        """
        CREATE TABLE notice (
            id TEXT NOT NULL,
            person_id TEXT NOT NULL REFERENCES fixture (id) ON DELETE CASCADE,
            dealer_id TEXT NOT NULL,
            site_id TEXT NOT NULL,
            partition_id TEXT,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            text TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            next_attempt_at INTEGER,
            last_error TEXT,
            PRIMARY KEY (id, person_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX notice_person ON notice (person_id)",
        "CREATE INDEX notice_due ON notice (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
        "CREATE INDEX notice_settled ON notice (created_at) WHERE next_attempt_at IS NULL",
    ]
}
