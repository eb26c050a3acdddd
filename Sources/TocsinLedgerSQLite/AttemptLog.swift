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
        let note = try PreparedStatement(
            database,
            "INSERT OR IGNORE INTO attempt_span (endpoint_id, span) VALUES (?, ?)"
        )
        // Most of what is written together is of one second.
        var noted: [EndpointID: String] = [:]
        for attempt in attempts {
            let span = Self.span(of: attempt.eventID)
            guard noted.updateValue(span, forKey: attempt.endpointID) != span else { continue }
            try note.run(attempt.endpointID, span)
        }
    }

    /// Forgets so many attempts at an endpoint, those at the oldest events first; returns how many there were.
    func delete(of endpoint: EndpointID, limit: Int) throws -> Int {
        let oldest = try PreparedStatement(
            database,
            "SELECT span FROM attempt_span WHERE endpoint_id = ? ORDER BY span LIMIT 1"
        )
        let deletion = try PreparedStatement(
            database,
            """
            DELETE FROM delivery_attempt WHERE id IN (SELECT id FROM delivery_attempt
                WHERE event_id >= ? AND event_id <= ? AND endpoint_id = ? LIMIT ?)
            """
        )
        let note = try PreparedStatement(database, "DELETE FROM attempt_span WHERE endpoint_id = ? AND span = ?")
        var count = 0
        while count < limit, let span = try oldest.first(endpoint, read: { $0.text(0) }) {
            count += try deletion.run(span, Self.end(of: span), endpoint, limit - count)
            // Where there was room left there is nothing left of it.
            if count < limit { try note.run(endpoint, span) }
        }
        return count
    }

    /// Forgets rows, whosever they are.
    func delete(rows: [Int64]) throws {
        let row = try PreparedStatement(database, "SELECT endpoint_id, event_id FROM delivery_attempt WHERE id = ?")
        let deletion = try PreparedStatement(database, "DELETE FROM delivery_attempt WHERE id = ?")
        var spans: [EndpointID: Set<String>] = [:]
        for id in rows {
            try row.forEach(id) { row in
                spans[row.id(0), default: []].insert(Self.span(of: row.id(1)))
                return false
            }
            try deletion.run(id)
        }
        // Something of the same second may have been sent, or sent anew, later.
        let note = try PreparedStatement(
            database,
            """
            DELETE FROM attempt_span WHERE endpoint_id = ?1 AND span = ?2 AND NOT EXISTS (SELECT 1 FROM delivery_attempt
                WHERE event_id >= ?2 AND event_id <= ?3 AND endpoint_id = ?1)
            """
        )
        for (endpoint, spans) in spans {
            for span in spans { try note.run(endpoint, span, Self.end(of: span)) }
        }
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
    /// It begins with the event `newest`, or, without one, at the end of the log.
    func eachPlain(of endpoints: Set<EndpointID>, from newest: EventID?, _ body: ([Plain]) throws -> Bool) throws {
        var spans = try SpanWalk(of: endpoints, from: newest.map(Self.span), database)
        while let span = try spans.next() {
            let end = Self.end(of: span)
            let last = newest.map { min($0.text, end) } ?? end
            guard try eachPlain(of: endpoints, in: span...last, body) else { return }
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
            "SELECT span FROM attempt_span WHERE endpoint_id = ? AND span < ? ORDER BY span DESC LIMIT 1"
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
