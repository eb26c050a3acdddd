import GRDB
import TocsinCore
import TocsinLedger

/// Where a dealer's log stands among all others' in `event_batch`: 2^40 events each.
struct LogPlace: Hashable, Sendable {
    /// The dealer's own number, which counts up from 1.
    let dealer: Int64

    private static let bits: Int64 = 40
    /// SQL that gives a place's dealer number.
    static func dealerSQL(_ place: String) -> String { "\(place) >> \(bits)" }
    /// SQL that gives the place of a dealer's event with this sequence.
    static func placeSQL(_ dealer: String, _ sequence: String) -> String { "(\(dealer) << \(bits)) + \(sequence)" }

    func place(of sequence: Int64) -> Int64 { dealer << Self.bits + sequence }
    func sequence(at place: Int64) -> Int64 { place - dealer << Self.bits }
    /// Before the first place of the next log.
    var end: Int64 { (dealer + 1) << Self.bits }
}

/// One dealer's log, as it lies in rows of events that were written together.
struct EventLog {
    let dealer: DealerID
    let place: LogPlace
    private let database: Database

    /// Looks the dealer up; nil if there is none.
    init?(of dealer: DealerID, _ database: Database) throws {
        let number = try PreparedStatement(database, "SELECT place FROM dealer WHERE id = ?")
            .first(dealer) { $0.integer(0) }
        guard let number else { return nil }
        self.dealer = dealer
        place = LogPlace(dealer: number)
        self.database = database
    }

    /// Walks through the events after a sequence, in their order, until `body` returns false.
    func walk(after sequence: Int64, _ body: (PackedEvent) throws -> Bool) throws {
        // The sequence may stand inside a row.
        let sought = place.place(of: max(0, sequence) + 1)
        let row = try PreparedStatement(
            database,
            "SELECT place FROM event_batch WHERE place >= ? AND place <= ? ORDER BY place DESC LIMIT 1"
        )
        let start = try row.first(place.place(of: 0), sought) { $0.integer(0) } ?? sought
        let rows = try PreparedStatement(
            database,
            "SELECT place, created_at, packed FROM event_batch WHERE place >= ? AND place < ? ORDER BY place"
        )
        try rows.forEach(start, place.end) { row in
            try PackedEvents.read(
                row.bytes(2),
                of: dealer,
                from: place.sequence(at: row.integer(0)),
                createdAt: row.instant(1)
            ) { event in
                if event.sequence <= sequence { return true }
                return try body(event)
            }
        }
    }

    /// The event with this sequence.
    func event(_ sequence: Int64) throws -> PackedEvent? {
        var found: PackedEvent?
        try walk(after: sequence - 1) { event in
            if event.sequence == sequence { found = event }
            return false
        }
        return found
    }
}

/// Inserts events with one prepared statement.
struct EventInsertion {
    private let statement: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        statement = try PreparedStatement(
            database,
            "INSERT INTO event_batch (place, events, id_time, created_at, packed) VALUES (?, ?, ?, ?, ?)",
            on: desk
        )
    }

    /// Appends a row to a log whose last sequence this is.
    func insert(_ row: PackedEvents, into log: LogPlace, after sequence: inout Int64) throws {
        try statement.run(log.place(of: sequence + 1), row.count, row.idTime, row.createdAt, row.bytes)
        sequence += Int64(row.count)
    }

    /// The same for events of one moment that are whole already.
    func insert(_ events: [LoggedEvent], into log: LogPlace, after sequence: inout Int64) throws {
        let whole = events.map { (head: $0.head, body: EncodedBody(unfinished: $0.body, endsWithSequence: false)) }
        guard let createdAt = events.first?.createdAt else { return }
        for row in PackedEvents.pack(whole, at: createdAt) { try insert(row, into: log, after: &sequence) }
    }
}
