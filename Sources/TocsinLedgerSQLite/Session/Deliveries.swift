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
        // What is left of an endpoint that is deleted is nobody's.
        guard try database.exists("SELECT 1 FROM endpoint WHERE id = ?", [endpoint]),
            let id = try self.event(at: event)?.id
        else { return [] }
        return try AttemptLog(database).attempts(of: id, to: endpoint)
    }

    func deliveredAtOnce(_ events: [LoggedEvent], to endpoint: EndpointID) throws -> Set<Int64> {
        guard !events.isEmpty else { return [] }
        let forgotten = try database.number(
            "SELECT coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM fact WHERE name = ?), 0)",
            [EndpointFact.forgottenAttempts(of: endpoint)]
        )
        let query = try PreparedStatement(
            database,
            "SELECT 1 FROM delivery_attempt WHERE event_id = ? AND endpoint_id = ? AND is_plain = 1 AND id > ?"
        )
        return Set(
            try events.filter { try query.first($0.id, endpoint, forgotten, read: { _ in true }) ?? false }
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
