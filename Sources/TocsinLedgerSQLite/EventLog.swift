import GRDB
import TocsinCore
import TocsinLedger

/// Where a dealer's events stand among all others', which is told by the dealer's number: 2^40 events each.
struct LogPlace: Hashable, Sendable {
    /// The dealer's own number, which counts up from 1.
    let dealer: Int64

    private static let bits: Int64 = 40
    /// SQL that gives a place's dealer number.
    static func dealerSQL(_ place: String) -> String { "\(place) >> \(bits)" }
    /// The log that a place belongs to.
    static func log(with place: Int64) -> LogPlace { LogPlace(dealer: place >> bits) }

    func place(of sequence: Int64) -> Int64 { dealer << Self.bits + sequence }
    func sequence(at place: Int64) -> Int64 { place - dealer << Self.bits }
    /// Before the first place of the next log.
    var end: Int64 { (dealer + 1) << Self.bits }
}

/// Where a dealer's log ends, which is where it goes on.
struct LogEnd: Hashable, Sendable {
    let log: LogPlace
    /// The last event's; 0 before the first.
    var sequence: Int64
    /// The row with the last event; 0 before the first.
    var row: Int64
}

/// One dealer's log, whose events lie in rows of what was written together.
///
/// The rows of all dealers stand in the order of their commits. Each tells the one before it in its log, and the newest is told by the dealer; every 64 events a mark tells a row's
/// place. So a commit writes the end of one table whoever its events are of, and what is sought is at most that far from a
/// mark.
struct EventLog {
    private static let eventsPerMark: Int64 = 64

    /// What one row holds.
    struct Row {
        let id: Int64
        /// The place of its first event.
        let place: Int64
        let previous: Int64
        let events: Int64
        let createdAt: Instant
        /// Nothing where only the rows themselves are asked for.
        let packed: [UInt8]
    }

    let dealer: DealerID
    let end: LogEnd
    private let database: Database

    var place: LogPlace { end.log }

    /// Looks the dealer up; nil if there is none.
    init?(of dealer: DealerID, _ database: Database) throws {
        guard let end = try LogEnd.stored(of: dealer, database) else { return nil }
        self.init(of: dealer, endingAt: end, database)
    }

    /// The log of a dealer who may be gone already.
    init(of dealer: DealerID, endingAt end: LogEnd, _ database: Database) {
        self.dealer = dealer
        self.end = end
        self.database = database
    }

    /// Whether a row of so many events behind this sequence gets a mark.
    static func isMarked(after sequence: Int64, events: Int64) -> Bool {
        (sequence + events) / eventsPerMark > sequence / eventsPerMark
    }

    /// Walks through the events after a sequence, in their order, until `body` returns false.
    func walk(after sequence: Int64, _ body: (PackedEvent) throws -> Bool) throws {
        try eachRow(after: sequence) { row in
            try read(row) { event in
                // The sequence may stand inside a row.
                if event.sequence <= sequence { return true }
                return try body(event)
            }
        }
    }

    /// Walks through the rows that have events after a sequence, in their order, until `body` returns false.
    ///
    /// What `body` has been given it may delete.
    func eachRow(after sequence: Int64, isWhole: Bool = true, _ body: (Row) throws -> Bool) throws {
        var sequence = max(0, sequence)
        while sequence < end.sequence {
            let start = sequence
            for row in try rows(after: start, isWhole: isWhole).reversed() {
                let last = place.sequence(at: row.place) + row.events - 1
                if last <= sequence { continue }
                guard try body(row) else { return }
                sequence = last
            }
            // The rest of the log is gone.
            if sequence == start { return }
        }
    }

    /// The oldest event that is kept; where none is, the one that comes next.
    func firstSequence() throws -> Int64 {
        var first = end.sequence + 1
        try eachRow(after: 0, isWhole: false) { row in
            first = place.sequence(at: row.place)
            return false
        }
        return first
    }

    /// Removes rows with their marks, the oldest first, for as long as `mayGo` says so.
    ///
    /// What is left is whole whenever this ends, so that nobody has to remember how far it got.
    func removeRows(while mayGo: (Row) throws -> Bool) throws {
        let deletion = try PreparedStatement(database, "DELETE FROM event_batch WHERE id = ?")
        var last: Int64?
        try eachRow(after: 0, isWhole: false) { row in
            guard try mayGo(row) else { return false }
            try deletion.run(row.id)
            last = row.place
            return true
        }
        guard let last else { return }
        try database.run("DELETE FROM event_mark WHERE place >= ? AND place <= ?", [place.place(of: 0), last])
    }

    /// The event with this sequence.
    func event(_ sequence: Int64) throws -> PackedEvent? {
        guard let id = try rows(after: sequence - 1, isWhole: false).last?.id, let row = try row(id, isWhole: true)
        else {
            return nil
        }
        var found: PackedEvent?
        try read(row) { event in
            if event.sequence == sequence { found = event }
            return event.sequence < sequence
        }
        return found
    }

    /// Goes through a row's events until `body` returns false; returns whether it never did.
    @discardableResult
    private func read(_ row: Row, _ body: (PackedEvent) throws -> Bool) throws -> Bool {
        try PackedEvents.read(
            row.packed,
            of: dealer,
            from: place.sequence(at: row.place),
            createdAt: row.createdAt,
            body
        )
    }

    /// The rows from the one with the event behind a sequence up to the next mark or the log's end, the newest first.
    private func rows(after sequence: Int64, isWhole: Bool) throws -> [Row] {
        let sought = place.place(of: sequence + 1)
        let mark = try PreparedStatement(
            database,
            "SELECT event_batch FROM event_mark WHERE place > ? AND place < ? ORDER BY place LIMIT 1"
        )
        var next = try mark.first(sought, place.end) { $0.integer(0) } ?? end.row
        var before = place.end
        var rows: [Row] = []
        while before > sought, let row = try row(next, isWhole: isWhole) {
            // Where the log was purged the chain ends; the number may be another row's by now.
            guard row.place >= place.place(of: 0), row.place < before else { break }
            rows.append(row)
            (before, next) = (row.place, row.previous)
        }
        return rows
    }

    private func row(_ id: Int64, isWhole: Bool) throws -> Row? {
        let query = try PreparedStatement(
            database,
            isWhole
                ? "SELECT place, previous, events, created_at, packed FROM event_batch WHERE id = ?"
                : "SELECT place, previous, events, created_at FROM event_batch WHERE id = ?"
        )
        return try query.first(id) { row in
            Row(
                id: id,
                place: row.integer(0),
                previous: row.integer(1),
                events: row.integer(2),
                createdAt: row.instant(3),
                packed: isWhole ? row.bytes(4) : []
            )
        }
    }
}

extension LogEnd {
    static func stored(of dealer: DealerID, _ database: Database) throws -> LogEnd? {
        let query = try PreparedStatement(
            database,
            "SELECT place, last_sequence, last_event_batch FROM dealer WHERE id = ?"
        )
        return try query.first(dealer) { row in
            LogEnd(log: LogPlace(dealer: row.integer(0)), sequence: row.integer(1), row: row.integer(2))
        }
    }
}

/// Inserts events with prepared statements.
struct EventInsertion {
    private let database: Database
    private let statement: PreparedStatement
    private let mark: PreparedStatement

    init(_ database: Database, on desk: BindingDesk? = nil) throws {
        self.database = database
        statement = try PreparedStatement(
            database,
            "INSERT INTO event_batch (place, previous, events, id_time, created_at, packed) VALUES (?, ?, ?, ?, ?, ?)",
            on: desk
        )
        mark = try PreparedStatement(database, "INSERT INTO event_mark (place, event_batch) VALUES (?, ?)", on: desk)
    }

    /// Appends a row to a log that ends there.
    func insert(_ row: PackedEvents, at end: inout LogEnd) throws {
        try insert(events: Int64(row.count), row.idTime, row.createdAt, row.bytes, at: &end)
    }

    /// The same for events of one moment that are whole already.
    func insert(_ events: [LoggedEvent], at end: inout LogEnd) throws {
        let whole = events.map { (head: $0.head, body: EncodedBody(unfinished: $0.body, endsWithSequence: false)) }
        guard let createdAt = events.first?.createdAt else { return }
        for row in PackedEvents.pack(whole, at: createdAt) { try insert(row, at: &end) }
    }

    /// The same for what is packed already.
    func insert(
        events: Int64,
        _ idTime: Int64,
        _ createdAt: Instant,
        _ packed: [UInt8],
        at end: inout LogEnd
    ) throws {
        let place = end.log.place(of: end.sequence + 1)
        try statement.run(place, end.row, events, idTime, createdAt, packed)
        end.row = database.lastInsertedRowID
        if EventLog.isMarked(after: end.sequence, events: events) { try mark.run(place, end.row) }
        end.sequence += events
    }
}
