import GRDB
import TocsinCore
import TocsinLedger

/// Checks every dealer's log, row after row in the order of their commits.
///
/// The log of each dealer goes without a gap from the oldest event that is kept to the dealer's last sequence, and its rows
/// are found.
struct LogVerification {
    /// What was seen of a dealer's log so far.
    private struct Walked {
        let dealer: DealerID
        /// What the dealer's counters say.
        let end: LogEnd
        var first: Int64?
        var next: Int64 = 1
        var row: Int64 = 0
        var isSound = true
    }

    private let database: Database
    private let maximum: Int
    /// By dealers' numbers.
    private var logs: [Int64: Walked] = [:]
    private(set) var findings: [String] = []

    /// Reads the whole log, and tells at most so many findings of each kind.
    init(_ database: Database, maximum: Int) throws {
        self.database = database
        self.maximum = maximum
        try database.each("SELECT id, place, last_sequence, last_event_batch FROM dealer", []) { row in
            let log = LogPlace(dealer: row.integer(1))
            let end = LogEnd(log: log, sequence: row.integer(2), row: row.integer(3))
            logs[log.dealer] = Walked(dealer: row.id(0), end: end)
            return true
        }
        let mark = try PreparedStatement(database, "SELECT 1 FROM event_mark WHERE place = ? AND event_batch = ?")
        // What is left of dealers who are gone is known, and removed soon.
        var strangers = Set(
            try database.all("SELECT dealer FROM remains WHERE kind = ?", [Remains.Kind.events.rawValue]) {
                $0.integer(0)
            }
        )
        try database.each(
            "SELECT id, place, events, packed, created_at, previous, id_time FROM event_batch ORDER BY id",
            []
        ) { row in
            let number = LogPlace.log(with: row.integer(1)).dealer
            guard var log = logs[number] else {
                if strangers.insert(number).inserted {
                    findings.append("there are events of the dealer number \(number), which does not exist")
                }
                return findings.count < maximum
            }
            if log.isSound {
                let found = try Self.check(row, mark, &log)
                findings += found
                log.isSound = found.isEmpty
                logs[number] = log
            }
            return findings.count < maximum
        }
        guard findings.isEmpty else { return }
        checkEnds()
        findings += try astrayMarks()
    }

    /// Whether an event is kept in its dealer's log.
    func holds(_ sequence: Int64, ofDealerNumbered number: Int64) -> Bool {
        guard let log = logs[number] else { return false }
        // What is wrong with it was told.
        guard log.isSound else { return true }
        return log.first.map { sequence >= $0 && sequence < log.next } ?? false
    }

    private static func check(_ row: ResultRow, _ mark: PreparedStatement, _ log: inout Walked) throws -> [String] {
        var findings: [String] = []
        let (id, place, events) = (row.integer(0), row.integer(1), row.integer(2))
        let (dealer, sequence) = (log.dealer, log.end.log.sequence(at: place))
        if log.first != nil {
            if sequence != log.next { findings.append("the log of \(dealer) has a gap before event \(sequence)") }
            if row.integer(5) != log.row {
                findings.append("event \(sequence) of \(dealer) does not tell the row before it")
            }
        }
        var (read, astray): (Int64, Int64?) = (0, nil)
        let time = row.integer(6)
        do {
            try PackedEvents.read(row.bytes(3), of: dealer, from: sequence, createdAt: row.instant(4)) { event in
                read += 1
                if astray == nil, event.head.id.time != time { astray = event.sequence }
                return true
            }
            if let astray {
                findings.append("event \(astray) of \(dealer) is not found by its id: its row tells another time")
            }
            if read != events {
                findings.append("event \(sequence) of \(dealer) stands with \(read) in a row of \(events)")
            }
        } catch let error as PackingError {
            findings.append("event \(sequence) of \(dealer) cannot be read: \(error)")
        }
        if EventLog.isMarked(after: sequence - 1, events: events), try mark.first(place, id, read: { _ in true }) == nil
        {
            findings.append("event \(sequence) of \(dealer) has no mark")
        }
        (log.first, log.next, log.row) = (log.first ?? sequence, sequence + events, id)
        return findings
    }

    private mutating func checkEnds() {
        for log in logs.values.sorted(by: { $0.end.log.dealer < $1.end.log.dealer }) where log.first != nil {
            if log.next - 1 != log.end.sequence {
                findings.append(
                    "the last event of \(log.dealer) is \(log.next - 1), its counter says \(log.end.sequence)"
                )
            } else if log.row != log.end.row {
                findings.append("the last row of the log of \(log.dealer) is not the one that it tells")
            }
        }
    }

    private func astrayMarks() throws -> [String] {
        try database.all(
            """
            SELECT place FROM event_mark WHERE NOT EXISTS
                (SELECT 1 FROM event_batch WHERE id = event_mark.event_batch AND place = event_mark.place) LIMIT ?
            """,
            [maximum]
        ) { "a mark tells the place \($0.integer(0)), where there is no event" }
    }
}
