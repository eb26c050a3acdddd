import GRDB
import TocsinCore
import TocsinLedger

/// The attempts log: a row each, found by event, then endpoint.
///
/// For lists of one endpoint's deliveries it is noted in which spans of time events were sent to it. A span is what the
/// ids of all events of one second (1,024 ms) begin with. So a commit writes the ends of a table and an index, however many
/// endpoints it tells of, and once a second a line for each of them.
struct AttemptLog {
    /// The prefix `evt_` and eight of the ten characters that tell an id's milliseconds.
    static let spanLength = EventNoun.prefix.utf8.count + 8

    /// Attempts that are looked at in the time in which one is removed.
    private static let looksPerRemoval = 20

    /// Who was sent to in a second, and with what success: lists ask only for what succeeded at once.
    private struct Receiver: Hashable {
        let endpoint: EndpointID
        let isPlain: Bool
    }

    private let database: Database

    init(_ database: Database) { self.database = database }

    static func span(of event: EventID) -> String { String(event.text.prefix(spanLength)) }

    /// Stands behind every id that begins with the span.
    static func end(of span: String) -> String { span + "~" }

    // MARK: Writing

    func append(_ attempts: [DeliveryAttempt]) throws {
        guard !attempts.isEmpty else { return }
        try noteSpans(attempts)
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO delivery_attempt (endpoint_id, dealer_id, sequence, event_id, number, is_plain, at, succeeded,
                status, failure, failure_message, address, dns_us, connect_us, tls_us, first_byte_us, total_us,
                request_headers, response_body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        for attempt in attempts {
            try insertion.run(
                attempt.endpointID,
                attempt.position.dealerID,
                attempt.position.sequence,
                attempt.eventID,
                attempt.number,
                attempt.isPlain,
                attempt.at,
                attempt.succeeded,
                attempt.status,
                attempt.failure,
                attempt.failureMessage,
                attempt.address,
                attempt.dnsMicroseconds,
                attempt.connectMicroseconds,
                attempt.tlsMicroseconds,
                attempt.firstByteMicroseconds,
                attempt.totalMicroseconds,
                attempt.requestHeaders,
                attempt.responseBody
            )
        }
    }

    private func noteSpans(_ attempts: [DeliveryAttempt]) throws {
        let insertion = try PreparedStatement(
            database,
            "INSERT OR IGNORE INTO attempt_span (endpoint_id, is_plain, span) VALUES (?, ?, ?)"
        )
        // Most of what is written together is of one second.
        var noted: [Receiver: String] = [:]
        for attempt in attempts {
            let span = Self.span(of: attempt.eventID)
            let receiver = Receiver(endpoint: attempt.endpointID, isPlain: attempt.isPlain)
            guard noted.updateValue(span, forKey: receiver) != span else { continue }
            try insertion.run(receiver.endpoint, receiver.isPlain, span)
        }
    }

    // MARK: Forgetting

    /// Forgets attempts at an endpoint until so many are gone, or as many have been looked at as takes as long.
    ///
    /// Returns what that was of the limit; less than the limit where none is left.
    func delete(of endpoint: EndpointID, limit: Int) throws -> Int {
        let note = try PreparedStatement(
            database,
            "SELECT is_plain, span FROM attempt_span WHERE endpoint_id = ? LIMIT 1"
        )
        // All that is of this second: an endpoint may have one of thousands.
        let rows = try PreparedStatement(
            database,
            """
            SELECT id, endpoint_id = ? AND is_plain = ? FROM delivery_attempt WHERE event_id >= ? AND event_id <= ?
            """
        )
        let deletion = try PreparedStatement(database, "DELETE FROM delivery_attempt WHERE id = ?")
        var (removed, looked) = (0, 0)
        while removed < limit, looked < limit * Self.looksPerRemoval {
            guard let (isPlain, span) = try note.first(endpoint, read: { ($0.bool(0), $0.text(1)) }) else {
                return min(limit - 1, max(removed, looked / Self.looksPerRemoval))
            }
            var found: [Int64] = []
            let room = limit - removed
            try rows.forEach(endpoint, isPlain, span, Self.end(of: span)) { row in
                looked += 1
                if row.bool(1) { found.append(row.integer(0)) }
                return found.count < room
            }
            for id in found { try deletion.run(id) }
            removed += found.count
            // Where there was room left there is nothing left of it.
            if found.count < room { try forget([Receiver(endpoint: endpoint, isPlain: isPlain)], in: span) }
        }
        return limit
    }

    /// Forgets rows, whosever they are.
    func delete(rows: [Int64]) throws {
        let row = try PreparedStatement(
            database,
            "SELECT endpoint_id, is_plain, event_id FROM delivery_attempt WHERE id = ?"
        )
        let deletion = try PreparedStatement(database, "DELETE FROM delivery_attempt WHERE id = ?")
        var touched: [String: Set<Receiver>] = [:]
        for id in rows {
            try row.forEach(id) { row in
                let receiver = Receiver(endpoint: row.id(0), isPlain: row.bool(1))
                touched[Self.span(of: row.id(2)), default: []].insert(receiver)
                return false
            }
            try deletion.run(id)
        }
        for (span, receivers) in touched { try forget(try gone(receivers, from: span), in: span) }
    }

    /// Those of which nothing is left in a second: something of it may have been sent, or sent anew, later.
    private func gone(_ receivers: Set<Receiver>, from span: String) throws -> Set<Receiver> {
        let rows = try PreparedStatement(
            database,
            "SELECT endpoint_id, is_plain FROM delivery_attempt WHERE event_id >= ? AND event_id <= ?"
        )
        var gone = receivers
        try rows.forEach(span, Self.end(of: span)) { row in
            gone.remove(Receiver(endpoint: row.id(0), isPlain: row.bool(1)))
            return !gone.isEmpty
        }
        return gone
    }

    private func forget(_ receivers: Set<Receiver>, in span: String) throws {
        let deletion = try PreparedStatement(
            database,
            "DELETE FROM attempt_span WHERE endpoint_id = ? AND is_plain = ? AND span = ?"
        )
        for receiver in receivers { try deletion.run(receiver.endpoint, receiver.isPlain, span) }
    }

    // MARK: Reading

    /// All attempts at one delivery, in their order.
    func attempts(of event: EventID, to endpoint: EndpointID) throws -> [DeliveryAttempt] {
        try database.all(
            "\(DeliveryAttempt.select) WHERE event_id = ? AND endpoint_id = ? ORDER BY number, id",
            [event, endpoint],
            read: DeliveryAttempt.init
        )
    }

    /// A delivery whose first attempt succeeded.
    struct Plain {
        let endpointID: EndpointID
        let position: EventPosition
        let eventID: EventID
        /// After a crash a first attempt may have been made twice.
        var count: Int
        /// The last attempt's time.
        let at: Instant
    }

    /// Walks through what succeeded at once, event after event from the newest one, until `body` returns false.
    ///
    /// It begins with the event `newest`, or, without one, at the end of the log, and ends with `oldest`.
    func eachPlain(
        of endpoints: Set<EndpointID>,
        from newest: EventID?,
        through oldest: EventID? = nil,
        _ body: ([Plain]) throws -> Bool
    ) throws {
        var spans = try SpanWalk(of: endpoints, from: newest.map(Self.span), database)
        while let span = try spans.next() {
            let last = newest.map { min($0.text, Self.end(of: span)) } ?? Self.end(of: span)
            let first = oldest.map { max($0.text, span) } ?? span
            guard first <= last, try eachPlain(of: endpoints, in: first...last, body) else { return }
        }
    }

    /// What succeeded at once of one event.
    func plain(of endpoints: Set<EndpointID>, at event: EventID) throws -> [Plain] {
        var found: [Plain] = []
        _ = try eachPlain(of: endpoints, in: event.text...event.text) {
            found = $0
            return false
        }
        return found
    }

    /// Returns false where `body` did.
    private func eachPlain(
        of endpoints: Set<EndpointID>,
        in ids: ClosedRange<String>,
        _ body: ([Plain]) throws -> Bool
    ) throws -> Bool {
        let rows = try PreparedStatement(
            database,
            """
            SELECT event_id, endpoint_id, id FROM delivery_attempt
                WHERE event_id >= ?1 AND event_id <= ?2 AND is_plain = 1 AND (?3 IS NULL OR endpoint_id = ?3)
                ORDER BY event_id DESC, endpoint_id DESC, is_plain DESC, id DESC
            """
        )
        var event: [Plain] = []
        var goesOn = true
        let only = endpoints.count == 1 ? endpoints.first : nil
        try rows.forEach(ids.lowerBound, ids.upperBound, only) { row in
            let (eventID, endpoint): (EventID, EndpointID) = (row.id(0), row.id(1))
            guard endpoints.contains(endpoint) else { return true }
            if let last = event.last, last.eventID != eventID {
                goesOn = try body(event)
                event = []
            } else if event.last?.endpointID == endpoint {
                event[event.count - 1].count += 1
                return true
            }
            if goesOn, let found = try plain(row.integer(2), of: eventID, to: endpoint) { event.append(found) }
            return goesOn
        }
        if goesOn, !event.isEmpty { goesOn = try body(event) }
        return goesOn
    }

    private func plain(_ id: Int64, of event: EventID, to endpoint: EndpointID) throws -> Plain? {
        let query = try PreparedStatement(
            database,
            "SELECT dealer_id, sequence, at FROM delivery_attempt WHERE id = ?"
        )
        return try query.first(id) { row in
            Plain(
                endpointID: endpoint,
                position: EventPosition(dealerID: row.id(0), sequence: row.integer(1)),
                eventID: event,
                count: 1,
                at: row.instant(2)
            )
        }
    }
}

/// Walks through the spans in which any of some endpoints had deliveries, the newest first.
private struct SpanWalk {
    private let query: PreparedStatement
    /// Whose next span is which.
    private var waiting: [String: [EndpointID]] = [:]

    init(of endpoints: Set<EndpointID>, from newest: String?, _ database: Database) throws {
        query = try PreparedStatement(
            database,
            """
            SELECT span FROM attempt_span WHERE endpoint_id = ? AND is_plain = 1 AND span < ? ORDER BY span DESC LIMIT 1
            """
        )
        for endpoint in endpoints { try seek(endpoint, before: AttemptLog.end(of: newest ?? "")) }
    }

    mutating func next() throws -> String? {
        guard let span = waiting.keys.max(), let endpoints = waiting.removeValue(forKey: span) else { return nil }
        for endpoint in endpoints { try seek(endpoint, before: span) }
        return span
    }

    private mutating func seek(_ endpoint: EndpointID, before bound: String) throws {
        guard let span = try query.first(endpoint, bound, read: { $0.text(0) }) else { return }
        waiting[span, default: []].append(endpoint)
    }
}

extension DeliveryAttempt {
    fileprivate static let select = """
        SELECT endpoint_id, dealer_id, sequence, event_id, number, at, succeeded, status, failure, failure_message,
            address, dns_us, connect_us, tls_us, first_byte_us, total_us, request_headers, response_body
            FROM delivery_attempt
        """

    fileprivate init(_ row: ResultRow) {
        self.init(
            endpointID: row.id(0),
            position: EventPosition(dealerID: row.id(1), sequence: row.integer(2)),
            eventID: row.id(3),
            number: row.int(4),
            at: row.instant(5),
            succeeded: row.bool(6),
            status: row.optional(7, row.int),
            failure: row.optional(8, row.text),
            failureMessage: row.optional(9, row.text),
            address: row.optional(10, row.text),
            dnsMicroseconds: row.optional(11, row.int),
            connectMicroseconds: row.optional(12, row.int),
            tlsMicroseconds: row.optional(13, row.int),
            firstByteMicroseconds: row.optional(14, row.int),
            totalMicroseconds: row.int(15),
            requestHeaders: row.text(16),
            responseBody: row.bytes(17)
        )
    }
}
