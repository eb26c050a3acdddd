import GRDB
import TocsinCore
import TocsinLedger

/// Lists deliveries over many endpoints, newest first: by event, then by the last characters of the endpoint's id.
///
/// What succeeded at once is only an attempt; everything else is an exceptional delivery, which comes first.
struct DeliveryList {
    private let database: Database
    private let filter: DeliveryFilter
    /// Only what stands behind this delivery in the list.
    private let after: (event: EventID, id: DeliveryID)?
    private let limit: Int

    init(_ database: Database, filter: DeliveryFilter, after: String?, limit: Int) throws {
        self.database = database
        self.filter = filter
        self.limit = limit
        self.after = try after.map { text in
            guard let id = DeliveryID(text), let event = id.event else {
                throw LedgerError(.invalid, "the page cursor is not one of this list")
            }
            return (event, id)
        }
    }

    func newest(of endpoints: [EndpointID]) throws -> [DeliverySummary] {
        var found = newest(try exceptional(of: endpoints))
        if filter.state == nil || filter.state == .delivered {
            // What is older than a whole page of others has no part in it.
            let oldest = found.count < limit ? nil : found.last?.eventID
            found = newest(found + (try plain(of: Set(endpoints), through: oldest)))
        }
        return found
    }

    private func newest(_ deliveries: [DeliverySummary]) -> [DeliverySummary] {
        Array(deliveries.sorted { $0.id > $1.id }.prefix(limit))
    }

    // MARK: What succeeded at once

    private func plain(of endpoints: Set<EndpointID>, through oldest: EventID?) throws -> [DeliverySummary] {
        let log = AttemptLog(database)
        let exception = try PreparedStatement(
            database,
            "SELECT 1 FROM exceptional_delivery WHERE endpoint_id = ? AND dealer_id = ? AND sequence = ?"
        )
        var types = EventTypes(database)
        var found: [DeliverySummary] = []
        func take(_ event: [AttemptLog.Plain]) throws -> Bool {
            guard let position = event.first?.position, let type = try types.type(at: position, filter) else {
                return true
            }
            for delivery in event {
                let summary = DeliverySummary(delivery, type)
                let isException = try exception.first(delivery.endpointID, position.dealerID, position.sequence) { _ in
                    true
                }
                if isException == nil, isBehind(summary.id) { found.append(summary) }
            }
            return found.count < limit
        }
        if let event = filter.eventID {
            _ = try take(try log.plain(of: endpoints, at: event))
        } else {
            try log.eachPlain(of: endpoints, from: after?.event, through: oldest, take)
        }
        return found
    }

    private func isBehind(_ id: DeliveryID) -> Bool { after.map { id < $0.id } ?? true }

    // MARK: Exceptional deliveries

    private func exceptional(of endpoints: [EndpointID]) throws -> [DeliverySummary] {
        // Only the endpoints with the newest events can have a part in the page: all others are asked for one row each.
        var candidates = endpoints
        if endpoints.count > limit {
            let newest = try endpoints.compactMap { endpoint in
                try exceptional(of: endpoint, limit: 1).first.map { (endpoint, $0) }
            }
            candidates = newest.sorted { $0.1.id > $1.1.id }.prefix(limit).map(\.0)
        }
        return try candidates.flatMap { try exceptional(of: $0, limit: limit) }
    }

    private func exceptional(of endpoint: EndpointID, limit: Int) throws -> [DeliverySummary] {
        var condition = condition(for: endpoint)
        condition.add("state = ?", ifPresent: filter.state?.rawValue)
        let sql = """
            SELECT dealer_id, sequence, event_id, state, attempts, next_attempt_at, updated_at
                FROM exceptional_delivery \(condition.sql) ORDER BY event_id DESC
            """
        var types = EventTypes(database)
        var found: [DeliverySummary] = []
        try database.each(sql, condition.values) { row in
            let position = EventPosition(dealerID: row.id(0), sequence: row.integer(1))
            guard let type = try types.type(at: position, filter) else { return true }
            found.append(
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
            )
            return found.count < limit
        }
        return found
    }

    private func condition(for endpoint: EndpointID) -> Condition {
        var condition = Condition()
        condition.add("endpoint_id = ?", endpoint)
        condition.add("event_id = ?", ifPresent: filter.eventID)
        guard let after else { return condition }
        let isBehind = isBehind(DeliveryID(of: after.event, to: endpoint))
        condition.add(isBehind ? "event_id <= ?" : "event_id < ?", after.event)
        return condition
    }
}

/// The types of events that the logs still have and a filter lets through.
private struct EventTypes {
    private let database: Database
    private var logs: [DealerID: EventLog] = [:]

    init(_ database: Database) { self.database = database }

    mutating func type(at position: EventPosition, _ filter: DeliveryFilter) throws -> EventType? {
        if logs[position.dealerID] == nil { logs[position.dealerID] = try EventLog(of: position.dealerID, database) }
        guard let type = try logs[position.dealerID]?.event(position.sequence)?.head.type else { return nil }
        return filter.types?.contains(type) ?? true ? type : nil
    }
}

extension DeliverySummary {
    fileprivate init(_ delivery: AttemptLog.Plain, _ type: EventType) {
        self.init(
            endpointID: delivery.endpointID,
            position: delivery.position,
            eventID: delivery.eventID,
            eventType: type,
            state: .delivered,
            attempts: delivery.count,
            nextAttemptAt: nil,
            updatedAt: delivery.at
        )
    }
}
