import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func dueDeliveries(of endpoint: EndpointID, by instant: Instant, limit: Int) throws -> [ExceptionalDelivery] {
        try database.all(
            """
            \(ExceptionalDelivery.select) WHERE endpoint_id = ? AND next_attempt_at IS NOT NULL AND next_attempt_at <= ?
                AND \(Remains.hasOwners) ORDER BY next_attempt_at, dealer_id, sequence LIMIT ?
            """,
            [endpoint, instant, limit],
            read: ExceptionalDelivery.init
        )
    }

    func nextDue(of endpoint: EndpointID) throws -> Instant? {
        try database.first(
            """
            SELECT next_attempt_at FROM exceptional_delivery WHERE endpoint_id = ? AND next_attempt_at IS NOT NULL
                AND \(Remains.hasOwners) ORDER BY next_attempt_at LIMIT 1
            """,
            [endpoint]
        ) { $0.instant(0) }
    }

    func exceptionalDelivery(of event: EventPosition, to endpoint: EndpointID) throws -> ExceptionalDelivery? {
        try database.first(
            """
            \(ExceptionalDelivery.select) WHERE endpoint_id = ? AND dealer_id = ? AND sequence = ?
                AND \(Remains.hasOwners)
            """,
            [endpoint, event.dealerID, event.sequence],
            read: ExceptionalDelivery.init
        )
    }

    func attempts(of event: EventPosition, to endpoint: EndpointID) throws -> [DeliveryAttempt] {
        guard let id = try self.event(at: event)?.id else { return [] }
        return try database.all(
            """
            \(DeliveryAttempt.select) WHERE endpoint_id = ? AND is_plain IN (0, 1) AND event_id = ?
                ORDER BY number, id
            """,
            [endpoint, id],
            read: DeliveryAttempt.init
        )
    }

    func deliveredAtOnce(_ events: [LoggedEvent], to endpoint: EndpointID) throws -> Set<Int64> {
        guard !events.isEmpty else { return [] }
        let forgotten = try database.number(
            "SELECT coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM fact WHERE name = ?), 0)",
            [EndpointFact.forgottenAttempts(of: endpoint)]
        )
        let query = try PreparedStatement(
            database,
            "SELECT 1 FROM delivery_attempt WHERE endpoint_id = ? AND is_plain = 1 AND event_id = ? AND id > ?"
        )
        return Set(
            try events.filter { try query.first(endpoint, $0.id, forgotten, read: { _ in true }) ?? false }
                .map(\.sequence)
        )
    }

    func deadCount(of endpoint: EndpointID) throws -> Int {
        Int(
            try database.number(
                """
                SELECT count(*) FROM exceptional_delivery WHERE endpoint_id = ? AND state = 'dead'
                    AND \(Remains.hasOwners)
                """,
                [endpoint]
            )
        )
    }

    func deliveries(
        within reach: Reach,
        filter: DeliveryFilter,
        page request: PageRequest
    ) throws -> Page<DeliverySummary> {
        let limit = request.boundedLimit
        let list = try DeliveryList(database, filter: filter, after: request.after, limit: limit + 1)
        let found = try list.newest(of: try deliveryEndpoints(within: reach, filter: filter))
        return Page(found, limit: limit) { $0.id.text }
    }

    private func deliveryEndpoints(within reach: Reach, filter: DeliveryFilter) throws -> [EndpointID] {
        var condition = Endpoint.condition(reach)
        condition.add("id = ?", ifPresent: filter.endpointID)
        return try database.all("SELECT id FROM endpoint \(condition.sql)", condition.values) { $0.id(0) }
    }
}

/// Lists deliveries over many endpoints, newest first, from two tables that are each indexed by endpoint and event.
///
/// What succeeded at once is only an attempt; everything else is an exceptional delivery, which comes first.
private struct DeliveryList {
    private let database: Database
    private let filter: DeliveryFilter
    /// Only what stands behind this delivery in the list.
    private let after: (event: EventID, id: String)?
    private let limit: Int

    init(_ database: Database, filter: DeliveryFilter, after: String?, limit: Int) throws {
        self.database = database
        self.filter = filter
        self.limit = limit
        self.after = try after.map { text in
            guard let event = DeliveryID(text)?.event else {
                throw LedgerError(.invalid, "the page cursor is not one of this list")
            }
            return (event, text)
        }
    }

    func newest(of endpoints: [EndpointID]) throws -> [DeliverySummary] {
        // Only the endpoints with the newest events can have a part in the page: all others are asked for one row each.
        var candidates = endpoints
        if endpoints.count > limit {
            let newest = try endpoints.compactMap { endpoint in
                try summaries(of: endpoint, limit: 1).first.map { (endpoint, $0) }
            }
            candidates = newest.sorted { $0.1.id > $1.1.id }.prefix(limit).map(\.0)
        }
        let found = try candidates.flatMap { try summaries(of: $0, limit: limit) }
        return Array(found.sorted { $0.id > $1.id }.prefix(limit))
    }

    private func summaries(of endpoint: EndpointID, limit: Int) throws -> [DeliverySummary] {
        var found = try exceptional(of: endpoint, limit: limit)
        if filter.state == nil || filter.state == .delivered { found += try plain(of: endpoint, limit: limit) }
        return Array(found.sorted { $0.id > $1.id }.prefix(limit))
    }

    private func exceptional(of endpoint: EndpointID, limit: Int) throws -> [DeliverySummary] {
        var condition = condition(for: endpoint)
        condition.add("delivery.state = ?", ifPresent: filter.state?.rawValue)
        let sql = """
            SELECT delivery.dealer_id, delivery.sequence, delivery.event_id, delivery.state, delivery.attempts,
                delivery.next_attempt_at, delivery.updated_at FROM exceptional_delivery delivery
                \(condition.sql) ORDER BY delivery.event_id DESC
            """
        return try summaries(sql, condition.values, limit: limit) { row, position, type in
            DeliverySummary(
                endpointID: endpoint,
                position: position,
                eventID: row.id(2),
                eventType: type,
                state: try row.word(3),
                attempts: row.int(4),
                nextAttemptAt: row.optional(5, row.instant),
                updatedAt: row.instant(6)
            )
        }
    }

    private func plain(of endpoint: EndpointID, limit: Int) throws -> [DeliverySummary] {
        var condition = condition(for: endpoint)
        condition.add("delivery.is_plain = 1")
        // After a crash a first attempt may have been made twice, and counts once.
        let sql = """
            SELECT delivery.dealer_id, delivery.sequence, delivery.event_id, count(*), max(delivery.at)
                FROM delivery_attempt delivery \(condition.sql) AND NOT EXISTS (SELECT 1
                    FROM exceptional_delivery exception WHERE exception.endpoint_id = delivery.endpoint_id
                    AND exception.dealer_id = delivery.dealer_id AND exception.sequence = delivery.sequence)
                GROUP BY delivery.event_id ORDER BY delivery.event_id DESC
            """
        return try summaries(sql, condition.values, limit: limit) { row, position, type in
            DeliverySummary(
                endpointID: endpoint,
                position: position,
                eventID: row.id(2),
                eventType: type,
                state: .delivered,
                attempts: row.int(3),
                nextAttemptAt: nil,
                updatedAt: row.instant(4)
            )
        }
    }

    /// The deliveries of a query whose events the log still has and the filter lets through.
    private func summaries(
        _ sql: String,
        _ values: [any Bindable],
        limit: Int,
        _ summary: (ResultRow, EventPosition, EventType) throws -> DeliverySummary
    ) throws -> [DeliverySummary] {
        var logs: [DealerID: EventLog] = [:]
        var found: [DeliverySummary] = []
        try database.each(sql, values) { row in
            let position = EventPosition(dealerID: row.id(0), sequence: row.integer(1))
            if logs[position.dealerID] == nil {
                logs[position.dealerID] = try EventLog(of: position.dealerID, database)
            }
            guard let type = try logs[position.dealerID]?.event(position.sequence)?.head.type,
                filter.types?.contains(type) ?? true
            else { return true }
            found.append(try summary(row, position, type))
            return found.count < limit
        }
        return found
    }

    private func condition(for endpoint: EndpointID) -> Condition {
        var condition = Condition()
        condition.add("delivery.endpoint_id = ?", endpoint)
        condition.add("delivery.event_id = ?", ifPresent: filter.eventID)
        guard let after else { return condition }
        // The list is ordered by the delivery's id: the event's first, then the endpoint's.
        let isBehind = DeliveryID(of: after.event, to: endpoint).text < after.id
        condition.add(isBehind ? "delivery.event_id <= ?" : "delivery.event_id < ?", after.event)
        return condition
    }
}

extension ExceptionalDelivery {
    static let select = """
        SELECT endpoint_id, dealer_id, sequence, event_id, state, attempts, next_attempt_at, event_created_at, updated_at,
            task_id, task_prior, answers FROM exceptional_delivery
        """

    init(_ row: ResultRow) throws {
        self.init(
            endpointID: row.id(0),
            position: EventPosition(dealerID: row.id(1), sequence: row.integer(2)),
            eventID: row.id(3),
            state: try row.word(4),
            attempts: row.int(5),
            answers: row.int(11),
            nextAttemptAt: row.optional(6, row.instant),
            eventCreatedAt: row.instant(7),
            updatedAt: row.instant(8),
            task: row.isNull(9)
                ? nil : TaskMark(id: row.id(9), prior: row.isNull(10) ? nil : try row.word(10, DeliveryState.self))
        )
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
