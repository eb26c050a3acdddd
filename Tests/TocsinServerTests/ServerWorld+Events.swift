import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

extension ServerWorld {
    /// A part of a log as `GET /v1/events` shows it.
    struct LogPart {
        var sequences: [Int64]
        var types: [String]
        var last: Int64
        var next: String?
    }

    func events(as token: String, _ query: String = "") async throws -> LogPart {
        let answer = try await send(.get, "/v1/events\(query)", as: token)
        #expect(answer.status == 200, "\(answer.text)")
        let items = try #require(answer["data"]?.array)
        return LogPart(
            sequences: items.compactMap { $0["sequence"]?.integer },
            types: items.compactMap { $0["type"]?.string }.sorted(),
            last: try #require(answer["last_sequence"]?.integer),
            next: answer["next_cursor"]?.string
        )
    }

    /// An endpoint of an app, made over the API.
    func endpoint(
        ofApp app: String,
        as token: String,
        _ changes: JSONObject = [:]
    ) async throws -> Answer {
        var body: JSONObject = [
            "url": "https://example.test/hook", "events": ["partition.armed", "partition.disarmed"],
        ]
        for member in changes.members { body[member.name] = member.value }
        let answer = try await send(.post, "/v1/apps/\(app)/endpoints", as: token, .object(body))
        #expect(answer.status == 201, "\(answer.text)")
        return answer
    }

    /// Arms and disarms the site, a second each, so often; two events a time.
    func toggle(_ scene: Scene, times: Int) async throws {
        for number in 0..<times {
            clock.advance(.seconds(1))
            let answer = try await report(scene, ["state": number % 2 == 0 ? "armed_away" : "disarmed"])
            #expect(answer.status == 200, "\(answer.text)")
        }
    }

    /// Lets the retention take so many of the oldest events: two for each time that a site was toggled.
    func forget(_ count: Int) async throws {
        let late = clock.now + .seconds(200 * 86_400)
        _ = try await ledger.write { try $0.purge(now: late, limit: count) }
    }

    func lastSequence(of dealer: String) async throws -> Int64 {
        try await ledger.read { try $0.lastSequence(of: DealerID(stored: dealer)) }
    }
}

extension ServerWorld {
    /// Records what the engine records of an event's delivery; `state` none stands for a first attempt that succeeded.
    @discardableResult
    func deliver(
        sequence: Int64,
        of dealer: DealerID,
        to endpoint: EndpointID,
        state: DeliveryState? = nil,
        attempts: Int = 1
    ) async throws -> ExceptionalDelivery {
        let position = EventPosition(dealerID: dealer, sequence: sequence)
        let event = try #require(try await ledger.read { try $0.event(at: position) })
        let row = ExceptionalDelivery(
            endpointID: endpoint,
            position: position,
            eventID: event.id,
            state: state ?? .delivered,
            attempts: attempts,
            nextAttemptAt: state == .retrying || state == .waiting ? clock.now + .seconds(5) : nil,
            eventCreatedAt: event.createdAt,
            updatedAt: clock.now
        )
        let made = (0..<attempts).map { number in
            let succeeded = number == attempts - 1 && row.state == .delivered
            return DeliveryAttempt(
                endpointID: endpoint,
                position: position,
                eventID: event.id,
                number: number + 1,
                at: clock.now,
                succeeded: succeeded,
                status: succeeded ? 200 : 503,
                failure: nil,
                failureMessage: nil,
                address: "203.0.113.7:443",
                dnsMicroseconds: 1_500,
                connectMicroseconds: nil,
                tlsMicroseconds: nil,
                firstByteMicroseconds: 20_001,
                totalMicroseconds: 21_000,
                requestHeaders: "webhook-id: \(event.id)\nauthorization: (redacted)",
                responseBody: Array("busy\0".utf8) + [0xFF]
            )
        }
        try await ledger.record(DeliveryBatch(attempts: made, exceptions: state == nil ? [] : [row]))
        return row
    }

    func retry(sequence: Int64, of dealer: DealerID, to endpoint: EndpointID) async throws -> ExceptionalDelivery {
        try await deliver(sequence: sequence, of: dealer, to: endpoint, state: .retrying)
    }
}
