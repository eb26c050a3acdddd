import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Events that were written together lie in one row, and so does all of an audit entry that nothing is looked up by.
///
/// An event cost a row with three indexes, all of them led by texts; now a decision's events are one row, found by its
/// place, which is made of the dealer's number and the first sequence, and by the time that their ids begin with.
enum Migration0014 {
    static func migrate(_ database: Database) throws {
        try database.execute(sql: "ALTER TABLE dealer ADD COLUMN place INTEGER")
        try database.execute(sql: "UPDATE dealer SET place = rowid")
        try database.execute(sql: "CREATE UNIQUE INDEX dealer_place ON dealer (place)")
        try database.execute(sql: events)
        try moveEvents(database)
        try database.execute(sql: "DROP TABLE event")
        try database.execute(sql: "CREATE INDEX event_batch_time ON event_batch (id_time)")
        try database.execute(sql: audit)
        try moveAudit(database)
        try database.execute(sql: "DROP TABLE audit")
        try database.execute(sql: "ALTER TABLE packed_audit RENAME TO audit")
        try database.execute(sql: "CREATE INDEX audit_dealer ON audit (dealer, id)")
        // Those of one moment stand in the order of their places, which are shorter than their ids.
        try database.execute(sql: "DROP INDEX site_due")
        try database.execute(sql: "CREATE INDEX site_due ON site_state (next_due) WHERE next_due IS NOT NULL")
    }

    private static let events = """
        CREATE TABLE event_batch (
            -- The dealer's number and the sequence of the first event.
            place INTEGER PRIMARY KEY NOT NULL,
            events INTEGER NOT NULL,
            -- The milliseconds that the events' ids begin with.
            id_time INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            packed BLOB NOT NULL
        ) STRICT
        """

    private static let audit = """
        CREATE TABLE packed_audit (
            id INTEGER PRIMARY KEY NOT NULL,
            at INTEGER NOT NULL,
            -- The number of the dealer whose entry it is, if it is one's.
            dealer INTEGER,
            -- The entry before it in its site's history, if it is a part of one; 0 for the first.
            previous INTEGER,
            packed BLOB NOT NULL
        ) STRICT
        """

    private static func moveEvents(_ database: Database) throws {
        let insertion = try PreparedStatement(
            database,
            "INSERT INTO event_batch (place, events, id_time, created_at, packed) VALUES (?, ?, ?, ?, ?)"
        )
        try database.each(
            """
            SELECT event.id, type, site_id, partner_id, audience, event.created_at, body, dealer_id, sequence,
                dealer.place FROM event JOIN dealer ON dealer.id = event.dealer_id ORDER BY dealer_id, sequence
            """,
            []
        ) { row in
            let event = LoggedEvent(
                dealerID: row.id(7),
                sequence: row.integer(8),
                id: row.id(0),
                type: try row.word(1),
                siteID: row.optional(2, row.id),
                partnerID: row.optional(3, row.id),
                audience: EventAudience(stored: row.text(4)),
                createdAt: row.instant(5),
                body: row.bytes(6)
            )
            let body = EncodedBody(unfinished: event.body, endsWithSequence: false)
            let place = LogPlace(dealer: row.integer(9)).place(of: event.sequence)
            for packed in PackedEvents.pack([(head: event.head, body: body)], at: event.createdAt) {
                try insertion.run(place, packed.count, packed.idTime, packed.createdAt, packed.bytes)
            }
            return true
        }
    }

    private static func moveAudit(_ database: Database) throws {
        let insertion = try PreparedStatement(
            database,
            "INSERT INTO packed_audit (id, at, dealer, previous, packed) VALUES (?, ?, ?, ?, ?)"
        )
        try database.each(
            """
            SELECT audit.id, at, dealer_id, site_id, actor_kind, actor_id, action, target, result, explanation, cause,
                request_id, trace_id, address, details, previous, dealer.place
                FROM audit LEFT JOIN dealer ON dealer.id = audit.dealer_id ORDER BY audit.id
            """,
            []
        ) { row in
            let entry = AuditEntry(
                at: row.instant(1),
                dealerID: row.optional(2, row.id),
                siteID: row.optional(3, row.id),
                actor: AuditEntry.Actor(try row.word(4), row.text(5)),
                action: row.text(6),
                target: row.optional(7, row.text),
                result: row.text(8),
                explanation: row.text(9),
                cause: row.text(10),
                requestID: row.optional(11, row.text),
                traceID: row.optional(12, row.text),
                address: row.optional(13, row.text),
                details: try row.optional(14, row.bytes).flatMap { try JSONParser.parse($0).object } ?? [:]
            )
            let (dealer, previous) = (row.optional(16, row.integer), row.optional(15, row.integer))
            try insertion.run(row.integer(0), entry.at, dealer, previous, PackedAudit.pack(entry))
            return true
        }
    }
}
