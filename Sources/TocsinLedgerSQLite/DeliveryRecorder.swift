import GRDB
import TocsinCore
import TocsinLedger

/// Writes what became of deliveries inside a group's transaction.
struct DeliveryRecorder {
    private let database: Database

    init(_ database: Database) { self.database = database }

    /// An endpoint that was deleted meanwhile takes no more rows, nor do a deleted dealer's events: what was in flight is
    /// nobody's any more.
    func record(_ batch: DeliveryBatch) throws {
        var endpoints = try KnownIDs<EndpointNoun>("endpoint", database)
        var dealers = try KnownIDs<DealerNoun>("dealer", database)
        func exist(_ endpoint: EndpointID, _ dealer: DealerID) throws -> Bool {
            try endpoints.contains(endpoint) && dealers.contains(dealer)
        }
        try AttemptLog(database).append(batch.attempts.filter { try exist($0.endpointID, $0.position.dealerID) })
        try record(batch.exceptions.filter { try exist($0.endpointID, $0.position.dealerID) })
        try move(batch.cursors.filter { try exist($0.endpointID, $0.position.dealerID) })
        try change(batch.standings)
    }

    private func record(_ exceptions: [ExceptionalDelivery]) throws {
        guard !exceptions.isEmpty else { return }
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO exceptional_delivery (endpoint_id, dealer_id, sequence, event_id, state, attempts, answers,
                next_attempt_at, event_created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (endpoint_id, dealer_id, sequence) DO UPDATE SET event_id = excluded.event_id,
                state = excluded.state, attempts = excluded.attempts, answers = excluded.answers, next_attempt_at = excluded.next_attempt_at,
                event_created_at = excluded.event_created_at, updated_at = excluded.updated_at
            """
        )
        for delivery in exceptions {
            try insertion.run(
                delivery.endpointID,
                delivery.position.dealerID,
                delivery.position.sequence,
                delivery.eventID,
                delivery.state.rawValue,
                delivery.attempts,
                delivery.answers,
                delivery.state.isPending ? delivery.nextAttemptAt : nil,
                delivery.eventCreatedAt,
                delivery.updatedAt
            )
        }
    }

    private func move(_ cursors: [EndpointCursor]) throws {
        guard !cursors.isEmpty else { return }
        let update = try PreparedStatement(
            database,
            "UPDATE endpoint_cursor SET sequence = ?1 WHERE endpoint_id = ?2 AND dealer_id = ?3 AND sequence < ?1"
        )
        for cursor in cursors {
            try update.run(cursor.position.sequence, cursor.endpointID, cursor.position.dealerID)
        }
    }

    private func change(_ standings: [EndpointStanding]) throws {
        guard !standings.isEmpty else { return }
        let update = try PreparedStatement(
            database,
            "UPDATE endpoint SET failing_since = ? WHERE id = ?"
        )
        for standing in standings {
            try update.run(standing.failingSince, standing.endpointID)
        }
    }
}

/// Which ids of a table there are, each looked up once.
private struct KnownIDs<Noun: Identified> {
    private let query: PreparedStatement
    private var known: [ID<Noun>: Bool] = [:]

    init(_ table: String, _ database: Database) throws {
        query = try PreparedStatement(database, "SELECT 1 FROM \(table) WHERE id = ?")
    }

    mutating func contains(_ id: ID<Noun>) throws -> Bool {
        if let answer = known[id] { return answer }
        let answer = try query.first(id, read: { _ in true }) ?? false
        known[id] = answer
        return answer
    }
}
