import GRDB

/// Images and videos; the bytes are files beside the ledger.
enum Migration0007 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        // It outlives its device, as alarms do, but not its site.
        """
        CREATE TABLE snapshot (
            id TEXT PRIMARY KEY NOT NULL,
            dealer_id TEXT NOT NULL,
            site_id TEXT NOT NULL REFERENCES site (id) ON DELETE CASCADE,
            device_id TEXT NOT NULL,
            alarm INTEGER,
            media_type TEXT NOT NULL,
            size INTEGER NOT NULL,
            content TEXT NOT NULL,
            taken_at INTEGER,
            created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX snapshot_dealer ON snapshot (dealer_id, id)",
        "CREATE INDEX snapshot_site ON snapshot (site_id, id)",
        "CREATE INDEX snapshot_device ON snapshot (device_id, id)",
        "CREATE INDEX snapshot_alarm ON snapshot (dealer_id, alarm, id) WHERE alarm IS NOT NULL",
        "CREATE INDEX snapshot_content ON snapshot (dealer_id, content, size)",
    ]
}
