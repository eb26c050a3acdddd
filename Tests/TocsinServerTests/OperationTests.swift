import HTTPTypes
import Testing
import TocsinJSON
import TocsinLedger

@testable import TocsinCore
@testable import TocsinServer

/// Durable tasks over the API.
@Suite struct OperationTests {
    /// A site with eight events, and an endpoint that has had all of them.
    private struct Place {
        var scene: ServerWorld.Scene
        var dealer: DealerID
        var admin: String
        var app: AppID
        var key: String
        var endpoint: EndpointID
        var actions: String { "/v1/endpoints/\(endpoint)/actions" }

        init(_ world: ServerWorld, _ changes: JSONObject = [:]) async throws {
            scene = try await world.scene()
            dealer = DealerID(stored: scene.dealer)
            admin = try await world.dealerAdmin(of: scene.dealer)
            (app, key) = try await world.app(of: scene.dealer, Set(Scope.allCases))
            try await world.toggle(scene, times: 4)
            let made = try await world.endpoint(ofApp: app.text, as: admin, changes)
            endpoint = EndpointID(stored: try made.string("endpoint_id"))
            _ = world.deliveries.take()
        }

        func replay(_ world: ServerWorld, _ changes: JSONObject = [:]) async throws -> ServerWorld.Answer {
            var body: JSONObject = ["since": "2026-05-26T09:00:00Z"]
            for member in changes.members { body[member.name] = member.value }
            return try await world.send(.post, "\(actions)/replay", as: admin, .object(body))
        }
    }

    @Test func `a replay is an operation that can be watched and cancelled`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let begun = try await place.replay(world, ["rate_per_second": 20, "types": ["partition.armed"]])
            #expect(begun.status == 202, "\(begun.text)")
            #expect(world.deliveries.take() == ["flush", "begun replay to \(place.endpoint)"])
            let id = try begun.string("operation_id")
            #expect(id.hasPrefix("task_"))
            #expect(begun["kind"]?.string == "replay" && begun["state"]?.string == "running")
            #expect(begun["progress"]?["unsearched"]?.integer == 8)
            #expect(begun["requested_by"]?["kind"]?.string == "admin")

            // What the service would do: two of them are in the way, and one was delivered.
            let task = try #require(
                try await world.ledger.read { try $0.deliveryTask(DeliveryTaskID(stored: id), within: .platform) }
            )
            #expect(task.rate == 20 && task.types == [.partitionArmed] && task.lanes.map(\.end) == [8])
            let now = world.clock.now
            try await world.ledger.write { transaction in
                var task = task
                _ = try transaction.place(transaction.events(of: place.dealer, after: 0, limit: 2), for: task, at: now)
                task.lanes[0].position = 2
                task.matched = 2
                try transaction.update(task)
            }
            try await world.deliver(sequence: 1, of: place.dealer, to: place.endpoint, state: .delivered)
            world.clock.advance(.seconds(2))
            let shown = try await world.send(.get, "/v1/operations/\(id)", as: place.key)
            #expect(shown["progress"]?["matched"]?.integer == 2 && shown["progress"]?["delivered"]?.integer == 1)
            #expect(shown["progress"]?["remaining"]?.integer == 1 && shown["progress"]?["unsearched"]?.integer == 6)
            #expect(shown["progress"]?["rate"]?.number == 0.5)

            let cancelled = try await world.send(.post, "/v1/operations/\(id)/actions/cancel", as: place.admin)
            #expect(cancelled.status == 200 && cancelled["state"]?.string == "cancelled")
            #expect(cancelled["progress"]?["withdrawn"]?.integer == 1)
            #expect(world.deliveries.take() == ["ended replay to \(place.endpoint)"])
            let again = try await world.send(.post, "/v1/operations/\(id)/actions/cancel", as: place.admin)
            #expect(again.status == 409 && again.code == "operation_ended")
            let audit = try await world.send(.get, "/v1/audit?limit=200", as: place.admin)
            let actions = audit["data"]?.array?.compactMap { $0["action"]?.string } ?? []
            #expect(actions.contains("endpoint.replay") && actions.contains("operation.cancel"))
        }
    }

    @Test func `one operation runs at an endpoint, and a few at a dealer`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let first = try await place.replay(world).string("operation_id")
            let second = try await place.replay(world)
            #expect(second.status == 409 && second.code == "operation_running")
            #expect(second["error"]?["details"]?["operation_id"]?.string == first)
            for number in 1...EndpointTasks.runningMaximum {
                let other = try await world.endpoint(ofApp: place.app.text, as: place.admin).string("endpoint_id")
                let answer = try await world.send(
                    .post,
                    "/v1/endpoints/\(other)/actions/resend-failed",
                    as: place.admin,
                    ["since": "2026-05-26T09:00:00Z"]
                )
                if number < EndpointTasks.runningMaximum {
                    #expect(answer.status == 202)
                } else {
                    #expect(answer.status == 409 && answer.code == "too_many")
                }
            }
            let running = try await world.send(.get, "/v1/operations?state=running&limit=3", as: place.admin)
            #expect(running["data"]?.array?.count == 3 && running["next_cursor"]?.string != nil)
            let own = try await world.send(.get, "/v1/operations?endpoint_id=\(place.endpoint)", as: place.key)
            #expect(own["data"]?.array?.compactMap { $0["operation_id"]?.string } == [first])
        }
    }

    @Test(
        arguments: [
            ([:], "since"), (["since": "2026-05-26T09:00:00Z", "after": 3], "since"),
            (["since": "yesterday"], "since"), (["since": "2026-05-27T09:00:00Z"], "since"),
            (["since": "2026-05-26T09:00:00Z", "until": "2026-05-26T08:00:00Z"], "until"),
            (["after": 0, "until": "2026-05-26T08:00:00Z", "through": 3], "through"),
            (["after": 0, "types": ["alarm.created"]], "types"),
            (["after": 0, "rate_per_second": 6], "rate_per_second"),
            (["after": 0, "rate_per_second": 0], "rate_per_second"),
        ] as [(JSON, String)]
    )
    func `a replay that says nothing usable is refused`(body: JSON, field: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world, ["rate_per_second": 5])
            let answer = try await world.send(.post, "\(place.actions)/replay", as: place.admin, body)
            #expect(answer.status == 422 && answer.field == field, "\(answer.text)")
            #expect(try await world.ledger.read { try $0.counts()["delivery_task"] } == 0)
        }
    }

    @Test func `a range is told by instants or by sequences`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let ranges: [(JSON, Int64, Int64)] = [
                (["after": 3, "through": 6], 3, 6), (["after": 3, "through": 99], 3, 8), (["after": 0], 0, 8),
                // The four reports were a second apart, two events each.
                (["since": "2026-05-26T10:00:03Z"], 4, 8),
                (["since": "2026-05-26T10:00:02Z", "until": "2026-05-26T10:00:03Z"], 2, 6),
            ]
            for (body, position, end) in ranges {
                let answer = try await world.send(.post, "\(place.actions)/replay", as: place.admin, body)
                let id = DeliveryTaskID(stored: try answer.string("operation_id"))
                let task = try await world.ledger.read { try $0.deliveryTask(id, within: .platform) }
                #expect(task?.lanes.map(\.position) == [position], "\(body)")
                #expect(task?.lanes.map(\.end) == [end], "\(body)")
                _ = try await world.send(.post, "/v1/operations/\(id)/actions/cancel", as: place.admin)
            }
        }
    }

    @Test func `an operation is another tenant's secret, and its endpoint must be enabled`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.replay(world).string("operation_id")
            let stranger = try await world.dealerAdmin(of: try await world.scene("Other").dealer)
            let (_, otherKey) = try await world.app(of: place.scene.dealer, Set(Scope.allCases))
            for token in [stranger, otherKey, place.scene.partner.token] {
                let answer = try await world.send(.get, "/v1/operations/\(id)", as: token)
                #expect(answer.status == 404 && answer.code == "operation_not_found")
                let list = try await world.send(.get, "/v1/operations", as: token)
                #expect(list["data"]?.array?.isEmpty == true)
            }
            let cancel = "/v1/operations/\(id)/actions/cancel"
            #expect(try await world.send(.post, cancel, as: stranger).status == 404)
            #expect(try await world.send(.post, cancel, as: place.key).status == 403)
            #expect(
                try await world.send(.post, "\(place.actions)/replay", as: place.key, ["after": 0]).status == 403
            )
            _ = try await world.send(.post, "\(place.actions)/disable", as: place.admin)
            let stalled = try await world.send(.get, "/v1/operations/\(id)", as: place.admin)
            #expect(stalled["stalled"]?.string == "endpoint_disabled")
            _ = try await world.send(.post, cancel, as: place.admin)
            let answer = try await place.replay(world)
            #expect(answer.status == 409 && answer.code == "endpoint_disabled")
        }
    }

    @Test func `an operation whose endpoint does not answer says so, and when it is tried again`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let begun = try await place.replay(world)
            #expect(begun["stalled"] == nil && begun["breaker"] == ["state": "closed"])
            let path = "/v1/operations/\(try begun.string("operation_id"))"
            var breaker = CircuitBreaker(failuresToOpen: 1)
            _ = breaker.failed(at: world.clock.now, asked: nil, jitter: 0.5)
            world.deliveries.set(breaker)
            let probe = try #require(breaker.pausesUntil)
            let shown = try await world.send(.get, path, as: place.key)
            #expect(shown["stalled"]?.string == "breaker_open")
            #expect(shown["breaker"] == ["state": "open", "probe_at": .string(probe.rfc3339Seconds)])
            let endpoint = try await world.send(.get, "/v1/endpoints/\(place.endpoint)", as: place.admin)
            #expect(endpoint["breaker"] == shown["breaker"])
            world.clock.advance(.seconds(60))
            let probing = try await world.send(.get, path, as: place.key)
            #expect(probing["stalled"]?.string == "breaker_open" && probing["breaker"]?["state"]?.string == "half_open")
            let list = try await world.send(.get, "/v1/operations", as: place.admin)
            #expect(list["data"]?.array?.first?["stalled"]?.string == "breaker_open")

            _ = try await world.send(.post, "\(place.actions)/disable", as: place.admin)
            let disabled = try await world.send(.get, path, as: place.admin)
            #expect(disabled["stalled"]?.string == "endpoint_disabled" && disabled["breaker"] == nil)
            let cancelled = try await world.send(.post, "\(path)/actions/cancel", as: place.admin)
            #expect(cancelled["stalled"] == nil && cancelled["breaker"] == nil)
        }
    }

    @Test(arguments: ["skip", "replay"])
    func `what an enable makes of the backlog ends an operation`(mode: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.replay(world).string("operation_id")
            _ = try await world.send(.post, "\(place.actions)/disable", as: place.admin)
            let body: JSON = ["mode": .string(mode), "since": "2026-05-26T09:00:00Z"]
            #expect(try await world.send(.post, "\(place.actions)/enable", as: place.admin, body).status == 200)
            let ended = try await world.send(.get, "/v1/operations/\(id)", as: place.admin)
            #expect(ended["state"]?.string == "cancelled")
        }
    }

    @Test func `a replay on re-enable sends also what had failed`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let dead = try await world.deliver(sequence: 3, of: place.dealer, to: place.endpoint, state: .dead)
            try await world.deliver(sequence: 5, of: place.dealer, to: place.endpoint, state: .delivered)
            _ = try await world.send(.post, "\(place.actions)/disable", as: place.admin)
            let body: JSON = ["mode": "replay", "since": "2026-05-26T09:00:00Z"]
            #expect(try await world.send(.post, "\(place.actions)/enable", as: place.admin, body).status == 200)
            // A row would make the log's reader pass over the event.
            for position in [dead.position, EventPosition(dealerID: place.dealer, sequence: 5)] {
                let row = try await world.ledger.read {
                    try $0.exceptionalDelivery(of: position, to: place.endpoint)
                }
                #expect(row == nil)
            }
        }
    }

    @Test func `an idempotency key starts one replay`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            var ids: Set<String> = []
            for _ in 1...2 {
                let answer = try await world.send(
                    .post,
                    "\(place.actions)/replay",
                    as: place.admin,
                    ["after": 0],
                    headers: ["Idempotency-Key": "once"]
                )
                #expect(answer.status == 202)
                ids.insert(try answer.string("operation_id"))
            }
            #expect(ids.count == 1)
            #expect(try await world.ledger.read { try $0.counts()["delivery_task"] } == 1)
        }
    }
}
