import GRDB
import TocsinCore

/// What changes with every decision is kept apart from what is configured, and events are found by a number.
///
/// A decision then rewrites a row of some 250 bytes, where it was one with all of a site's configuration: a third of the
/// pages. An event's id is indexed by its 128 bits, which are half the size of its text and are compared as numbers.
enum Migration0010 {
    static func migrate(_ database: Database) throws {
        for statement in states + sites { try database.execute(sql: statement) }
        try addEventKeys(database)
    }

    private static let states = [
        """
        CREATE TABLE site_state (
            place INTEGER PRIMARY KEY NOT NULL,
            site_id TEXT NOT NULL REFERENCES site (id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            -- When the engine must look at the site; 0 asks for it at once.
            next_due INTEGER,
            -- The newest audit entry of the site's history; the entries are chained by audit.previous.
            last_history INTEGER,
            state BLOB NOT NULL
        ) STRICT
        """,
        """
        INSERT INTO site_state (place, site_id, version, next_due, last_history, state)
            SELECT rowid, id, version, next_due, last_history, state FROM site ORDER BY rowid
        """,
        "CREATE UNIQUE INDEX site_state_site ON site_state (site_id)",
        "DROP INDEX site_due",
        "CREATE INDEX site_due ON site_state (next_due, site_id) WHERE next_due IS NOT NULL",
    ]

    private static let sites = ["version", "next_due", "last_history", "state"].map { column in
        "ALTER TABLE site DROP COLUMN \(column)"
    }

    private static func addEventKeys(_ database: Database) throws {
        try database.execute(sql: "DROP INDEX event_id")
        for column in ["key_high", "key_low"] {
            try database.execute(sql: "ALTER TABLE event ADD COLUMN \(column) INTEGER NOT NULL DEFAULT 0")
        }
        let update = try PreparedStatement(database, "UPDATE event SET key_high = ?, key_low = ? WHERE rowid = ?")
        try database.each("SELECT rowid, id FROM event", []) { row in
            let key = (row.id(1) as EventID).key
            try update.run(key.high, key.low, row.integer(0))
            return true
        }
        try database.execute(sql: "CREATE UNIQUE INDEX event_key ON event (key_high, key_low)")
    }
}

extension EventID {
    /// The 128 bits that the id's 26 characters stand for; the first 48 are its time, so that keys sort as ids do.
    var key: (high: Int64, low: Int64) {
        var (high, low): (UInt64, UInt64) = (0, 0)
        for byte in text.utf8.dropFirst(EventNoun.prefix.utf8.count).prefix(26) {
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(Self.base32[Int(byte)])
        }
        return (Int64(bitPattern: high), Int64(bitPattern: low))
    }

    /// The digit that each byte stands for; whatever is none of Crockford's base 32 stands for 0.
    private static let base32: [UInt8] = {
        var digits = [UInt8](repeating: 0, count: 256)
        for (digit, byte) in "0123456789abcdefghjkmnpqrstvwxyz".utf8.enumerated() { digits[Int(byte)] = UInt8(digit) }
        return digits
    }()
}
