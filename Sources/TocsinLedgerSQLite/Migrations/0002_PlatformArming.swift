import GRDB

/// What sites that Tocsin arms itself need beyond those of a partner: policies, codes, holidays, incidents, histories.
enum Migration0002 {
    static func migrate(_ database: Database) throws {
        for statement in sites + codes + log { try database.execute(sql: statement) }
    }

    private static let sites = [
        "ALTER TABLE site ADD COLUMN compliance_profile TEXT NOT NULL DEFAULT 'none'",
        // The newest audit entry of the site's history; the entries are chained by audit.previous.
        "ALTER TABLE site ADD COLUMN last_history INTEGER",
        // What of the partition's policy differs from the defaults.
        "ALTER TABLE partition ADD COLUMN settings BLOB",
        "ALTER TABLE dealer ADD COLUMN holidays BLOB",
    ]

    /// Who holds a code is one probe, and two cannot hold the same one.
    private static let codes = [
        """
        CREATE TABLE user_code (
            site_id TEXT NOT NULL,
            hash TEXT NOT NULL,
            user_id TEXT NOT NULL REFERENCES fixture (id) ON DELETE CASCADE,
            is_duress INTEGER NOT NULL,
            PRIMARY KEY (site_id, hash)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE UNIQUE INDEX user_code_user ON user_code (user_id, is_duress)",
        """
        INSERT OR IGNORE INTO user_code (site_id, hash, user_id, is_duress)
            SELECT site_id, CAST(settings AS TEXT) ->> '$.code_hash', id, 0 FROM fixture
                WHERE kind = 'user' AND CAST(settings AS TEXT) ->> '$.code_hash' IS NOT NULL
        """,
        """
        INSERT OR IGNORE INTO user_code (site_id, hash, user_id, is_duress)
            SELECT site_id, CAST(settings AS TEXT) ->> '$.duress_code_hash', id, 1 FROM fixture
                WHERE kind = 'user' AND CAST(settings AS TEXT) ->> '$.duress_code_hash' IS NOT NULL
        """,
    ]

    private static let log = [
        // The entry of the same site's history before this one: 0 for the first, null for what is no part of one. A
        // chain instead of an index by site: that would cost a page for each entry.
        "ALTER TABLE audit ADD COLUMN previous INTEGER",
        "ALTER TABLE alarm ADD COLUMN incident INTEGER",
        "DROP INDEX alarm_site",
        "CREATE INDEX alarm_incident ON alarm (site_id, incident)",
    ]
}
