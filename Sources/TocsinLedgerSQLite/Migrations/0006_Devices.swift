import GRDB

/// What devices tell of themselves, and when they were last seen.
///
/// A device's slot is given once and never again, so that a sighting that is written late can hit no other device.
enum Migration0006 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        """
        CREATE TABLE device (
            slot INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL REFERENCES fixture (id) ON DELETE CASCADE,
            site_id TEXT NOT NULL,
            firmware_version TEXT,
            is_offline INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE UNIQUE INDEX device_id ON device (id)",
        // Deletions come by many ways (a device, its site, its dealer): the trigger sees them all.
        "CREATE TABLE device_deletion (number INTEGER PRIMARY KEY AUTOINCREMENT, slot INTEGER NOT NULL) STRICT",
        """
        CREATE TRIGGER device_deleted AFTER DELETE ON device BEGIN
            INSERT INTO device_deletion (slot) VALUES (old.slot);
        END
        """,
        // A row holds a block of slots: eight bytes each, milliseconds since 1970, least significant first.
        "CREATE TABLE device_sighting (block INTEGER PRIMARY KEY, seen BLOB NOT NULL) STRICT",
        "INSERT INTO device (id, site_id) SELECT id, site_id FROM fixture WHERE kind = 'device' ORDER BY id",
    ]
}
