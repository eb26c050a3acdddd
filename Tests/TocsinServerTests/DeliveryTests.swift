import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct DeliveryTests {
    /// A site with eight events, and an endpoint of an app of its dealer.
    private struct Place {
        var scene: ServerWorld.Scene
        var dealer: DealerID
        var admin: String
        var app: AppID
        var key: String
        var endpoint: EndpointID

        init(_ world: ServerWorld) async throws {
            scene = try await world.scene()
            dealer = DealerID(stored: scene.dealer)
            admin = try await world.dealerAdmin(of: scene.dealer)
            (app, key) = try await world.app(of: scene.dealer, Set(Scope.allCases))
            let made = try await world.endpoint(ofApp: app.text, as: admin)
            endpoint = EndpointID(stored: try made.string("endpoint_id"))
            try await world.toggle(scene, times: 4)
        }

        /// The id of the delivery of an event to the endpoint.
        func delivery(_ sequence: Int64, _ world: ServerWorld) async throws -> DeliveryID {
            let position = EventPosition(dealerID: dealer, sequence: sequence)
            let event = try #require(try await world.ledger.read { try $0.event(at: position) })
            return DeliveryID(of: event.id, to: endpoint)
        }

        /// The sequence of the first event of a type.
        func sequence(of type: EventType, _ world: ServerWorld) async throws -> Int64 {
            let dealer = dealer
            let events = try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 100) }
            return try #require(events.first { $0.type == type }).sequence
        }
    }

    @Test func `deliveries are listed newest first, and found by endpoint, state and event`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let other = EndpointID(
                stored: try await world.endpoint(ofApp: place.app.text, as: place.admin).string("endpoint_id")
            )
            let states: [(Int64, DeliveryState?)] = [
                (1, nil), (2, .retrying), (3, .dead), (4, .withdrawn), (5, .delivered),
            ]
            for (sequence, state) in states {
                try await world.deliver(
                    sequence: sequence,
                    of: place.dealer,
                    to: place.endpoint,
                    state: state,
                    attempts: state == nil ? 1 : 2
                )
            }
            try await world.deliver(sequence: 1, of: place.dealer, to: other)

            func found(_ query: String, as token: String? = nil) async throws -> [(Int64, String)] {
                let answer = try await world.send(.get, "/v1/deliveries\(query)", as: token ?? place.admin)
                return try #require(answer["data"]?.array, "\(answer.text)").map { item in
                    (try #require(item["sequence"]?.integer), try #require(item["state"]?.string))
                }
            }
            let mine = try await found("?endpoint_id=\(place.endpoint)")
            // Two events of one report are of the same moment, and come in either order.
            #expect(mine.map { ($0.0 + 1) / 2 } == [3, 2, 2, 1, 1])
            let byState = Dictionary(uniqueKeysWithValues: mine)
            #expect(byState == [1: "delivered", 2: "retrying", 3: "dead", 4: "withdrawn", 5: "delivered"])
            #expect(try await found("").count == 6)
            #expect(try await found("?state=dead").map(\.0) == [3])
            #expect(try await found("?state=delivered&endpoint_id=\(place.endpoint)").map(\.0) == [5, 1])
            #expect(try await found("?state=waiting").isEmpty)
            let event = try await place.delivery(1, world)
            let id = try #require(event.event)
            #expect(try await found("?event_id=\(id)").map(\.0) == [1, 1])
            let first = try await world.send(.get, "/v1/deliveries?limit=4", as: place.admin)
            let cursor = try first.string("next_cursor")
            #expect(try await found("?limit=4&cursor=\(cursor)").count == 2)
            #expect(try await world.send(.get, "/v1/deliveries?state=lost", as: place.admin).field == "state")
            #expect(try await found("?endpoint_id=\(other)", as: place.key).map(\.0) == [1])
        }
    }

    @Test func `a delivery is shown with its attempts, and with no secret`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.delivery(2, world)
            try await world.deliver(sequence: 2, of: place.dealer, to: place.endpoint, state: .retrying, attempts: 2)
            let shown = try await world.send(.get, "/v1/deliveries/\(id)", as: place.key)
            #expect(shown.status == 200, "\(shown.text)")
            #expect(shown["delivery_id"]?.string == id.text)
            #expect(shown["attempts"]?.integer == 2)
            #expect(shown["next_attempt_at"]?.string != nil)
            let log = try #require(shown["attempt_log"]?.array)
            #expect(log.map { $0["number"]?.integer } == [1, 2])
            #expect(log[0]["status"]?.integer == 503)
            #expect(log[0]["timing_ms"]?["dns"]?.text == "1.500")
            #expect(log[0]["timing_ms"]?["first_byte"]?.text == "20.001")
            #expect(log[0]["timing_ms"]?["connect"] == nil)
            #expect(log[0]["request_headers"]?.array?.count == 2)
            #expect(log[0]["response_body"]?.string == "busy\u{FFFD}\u{FFFD}")
        }
    }

    @Test func `what the engine has not begun is pending, and only what the endpoint takes`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let taken = try await place.delivery(try await place.sequence(of: .partitionArmed, world), world)
            #expect(
                try await world.send(.get, "/v1/deliveries/\(taken)", as: place.admin)["state"]?.string == "pending"
            )
            let foreign = try await place.delivery(try await place.sequence(of: .armingStateChanged, world), world)
            #expect(
                try await world.send(.get, "/v1/deliveries/\(foreign)", as: place.admin).code == "delivery_not_found"
            )
        }
    }

    @Test func `a delivery is sent once more, if the endpoint is enabled`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.deliver(sequence: 2, of: place.dealer, to: place.endpoint, state: .dead, attempts: 3)
            let path = "/v1/deliveries/\(try await place.delivery(2, world))/actions/resend"
            _ = world.deliveries.take()
            let answer = try await world.send(.post, path, as: place.admin)
            #expect(answer.status == 202)
            #expect(world.deliveries.take() == ["resend 2 to \(place.endpoint)"])
            #expect(try await world.send(.post, path, as: place.key).code == "permission_denied")
            let audit = try await world.send(.get, "/v1/audit?action=delivery.resend", as: place.admin)
            #expect(audit["data"]?.array?.count == 1)

            _ = try await world.send(.post, "/v1/endpoints/\(place.endpoint)/actions/disable", as: place.admin)
            _ = world.deliveries.take()
            #expect(try await world.send(.post, path, as: place.admin).code == "endpoint_disabled")
            #expect(world.deliveries.take() == [])
        }
    }

    @Test func `a repeated resend is made once`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.deliver(sequence: 2, of: place.dealer, to: place.endpoint, state: .dead)
            let path = "/v1/deliveries/\(try await place.delivery(2, world))/actions/resend"
            _ = world.deliveries.take()
            for _ in 0..<2 {
                let answer = try await world.send(.post, path, as: place.admin, headers: ["Idempotency-Key": "k"])
                #expect(answer.status == 202)
            }
            #expect(world.deliveries.take().count == 1)
        }
    }

    @Test func `another tenant's deliveries do not exist`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.deliver(sequence: 2, of: place.dealer, to: place.endpoint, state: .dead)
            let id = try await place.delivery(2, world)
            let theirs = try await world.scene("Theirs")
            let admin = try await world.dealerAdmin(of: theirs.dealer)
            let (_, stranger) = try await world.app(of: theirs.dealer, Set(Scope.allCases))
            let (_, sibling) = try await world.app(of: place.scene.dealer, Set(Scope.allCases))
            for token in [admin, stranger, sibling, theirs.partner.token, place.scene.partner.token] {
                let answer = try await world.send(.get, "/v1/deliveries/\(id)", as: token)
                #expect(answer.code == "delivery_not_found", "\(answer.text)")
                let query = "/v1/deliveries?endpoint_id=\(place.endpoint)"
                #expect(try await world.send(.get, query, as: token).code == "endpoint_not_found")
                #expect(try await world.send(.get, "/v1/deliveries", as: token)["data"]?.array == [])
            }
            let resend = try await world.send(.post, "/v1/deliveries/\(id)/actions/resend", as: admin)
            #expect(resend.code == "delivery_not_found")
            for path in ["dlv_x", "dlv_", "evt_x", String(repeating: "d", count: 60)] {
                #expect(try await world.send(.get, "/v1/deliveries/\(path)", as: place.admin).status == 404)
            }
        }
    }

    @Test func `a partner sees the deliveries of its own endpoint, a test among them`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/partners/\(scene.partner.id)/endpoints"
            let body: JSON = ["url": "https://p.test/", "events": ["arming.state_changed"]]
            let endpoint = try await world.send(.post, path, as: world.admin, body).string("endpoint_id")
            let test = try await world.send(.post, "/v1/endpoints/\(endpoint)/actions/test", as: world.admin)
            let delivery = "/v1/deliveries/\(try test.string("delivery_id"))"
            let shown = try await world.send(.get, delivery, as: scene.partner.token)
            #expect(shown["event_type"]?.string == "test.ping", "\(shown.text)")
            let admin = try await world.dealerAdmin(of: scene.dealer)
            #expect(try await world.send(.get, delivery, as: admin).code == "delivery_not_found")
        }
    }
}
