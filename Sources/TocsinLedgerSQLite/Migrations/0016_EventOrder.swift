import GRDB
import TocsinCore

/// The log's rows stand in the order of their commits, and each tells the one before it in its dealer's log.
///
/// They stood in the order of their dealers, so that nearly every page that filled was in the middle of the table, and was
/// written with its neighbours; half of what a commit wrote was that. A dealer's rows are found from marks, one every 64
/// events. Row after row is moved, in one transaction: 23 s and 52 MiB of memory for a million rows, for which the disk must
/// have room once more (0.9 GB).
enum Migration0016 {
    static func migrate(_ database: Database) throws {
        try database.execute(sql: "ALTER TABLE dealer ADD COLUMN last_event_batch INTEGER NOT NULL DEFAULT 0")
        try database.execute(sql: "DROP INDEX event_batch_time")
        try database.execute(sql: "ALTER TABLE event_batch RENAME TO old_event_batch")
        try database.execute(sql: tables)
        // Before the rows, for it would be sorted in memory.
        try database.execute(sql: "CREATE INDEX event_batch_time ON event_batch (id_time)")
        try moveEvents(database)
        try database.execute(sql: "DROP TABLE old_event_batch")
    }

    private static let tables = """
        CREATE TABLE event_batch (
            id INTEGER PRIMARY KEY NOT NULL,
            -- The dealer's number and the sequence of the first event.
            place INTEGER NOT NULL,
            -- The row before it in its dealer's log; 0 for the first.
            previous INTEGER NOT NULL,
            events INTEGER NOT NULL,
            -- The milliseconds that the events' ids begin with.
            id_time INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            packed BLOB NOT NULL
        ) STRICT;
        CREATE TABLE event_mark (
            -- The place of the row.
            place INTEGER PRIMARY KEY NOT NULL,
            event_batch INTEGER NOT NULL
        ) STRICT
        """

    /// Rows that are moved before their old ones go: what SQLite keeps to undo one statement is in memory.
    private static let rowsPerStep = 5_000

    private static func moveEvents(_ database: Database) throws {
        let insertion = try EventInsertion(database)
        let update = try PreparedStatement(database, "UPDATE dealer SET last_event_batch = ? WHERE place = ?")
        let deletion = try PreparedStatement(database, "DELETE FROM old_event_batch WHERE place <= ?")
        var end: LogEnd?
        var last: Int64?
        repeat {
            last = nil
            try database.each(
                "SELECT place, events, id_time, created_at, packed FROM old_event_batch ORDER BY place LIMIT ?",
                [rowsPerStep]
            ) { row in
                let place = row.integer(0)
                let log = LogPlace.log(with: place)
                // A purged log does not begin with its first event.
                var next = LogEnd(log: log, sequence: log.sequence(at: place) - 1, row: 0)
                if let end, end.log == log {
                    next.row = end.row
                } else if let end {
                    try update.run(end.row, end.log.dealer)
                }
                try insertion.insert(events: row.integer(1), row.integer(2), row.instant(3), row.bytes(4), at: &next)
                (end, last) = (next, place)
                return true
            }
            if let last { try deletion.run(last) }
        } while last != nil
        if let end { try update.run(end.row, end.log.dealer) }
    }
}
