import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct EventTests {
    @Test func `an item of the log carries the body as it is delivered`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let answer = try await world.send(.get, "/v1/events", as: admin)
            let items = try #require(answer["data"]?.array)
            #expect(items.map { $0["sequence"]?.integer } == [1, 2])
            for item in items {
                #expect(item["site_id"]?.string == scene.site)
                let sequence = try #require(item["sequence"]?.integer)
                let stored = try #require(
                    try await world.ledger.read { reader in
                        try reader.event(
                            at: EventPosition(dealerID: DealerID(stored: scene.dealer), sequence: sequence)
                        )
                    }
                )
                let body = try JSONParser.parse(stored.body)
                #expect(item["event"] == body)
                #expect(item["type"]?.string == stored.type.rawValue)
            }
        }
    }

    @Test func `a place beyond the end of the log is refused, for it would skip what comes`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            let admin = try await world.dealerAdmin(of: scene.dealer)
            for path in ["/v1/events?after=3", "/v1/events/stream?after=3"] {
                let answer = try await world.send(.get, path, as: admin)
                #expect(answer.status == 422, "\(path): \(answer.text)")
                #expect(answer.field == "after")
            }
            #expect(try await world.send(.get, "/v1/events?after=2", as: admin).status == 200)
        }
    }

    @Test func `pages meet without gap or overlap, by after and by cursor`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await world.toggle(scene, times: 6)
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let end = try await world.lastSequence(of: scene.dealer)

            var seen: [Int64] = []
            var after: Int64 = 0
            while after < end {
                let part = try await world.events(as: admin, "?limit=5&after=\(after)")
                #expect(part.last > after)
                seen += part.sequences
                after = part.last
            }
            #expect(seen == Array(1...end))

            seen = []
            var query = "?limit=5"
            while true {
                let part = try await world.events(as: admin, query)
                seen += part.sequences
                guard let next = part.next else { break }
                query = "?limit=5&cursor=\(next)"
            }
            #expect(seen == Array(1...end))
        }
    }

    @Test func `a filter lets nothing slip, and tells how far it searched`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let second = try await world.site("Second", dealer: scene.dealer, partner: scene.partner.id)
            var other = scene
            other.site = try second.string("site_id")
            try await world.toggle(scene, times: 2)
            try await world.toggle(other, times: 2)
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let end = try await world.lastSequence(of: scene.dealer)

            let armed = try await world.events(as: admin, "?type=partition.armed")
            #expect(armed.types == ["partition.armed", "partition.armed"])
            #expect(armed.last == end)
            #expect(armed.next == nil)
            let site = try await world.events(as: admin, "?site_id=\(other.site)")
            #expect(site.sequences == Array(end / 2 + 1...end))
            let both = try await world.events(as: admin, "?site_id=\(other.site)&type=partition.disarmed&limit=1")
            #expect(both.types == ["partition.disarmed"])
            let none = try await world.events(as: admin, "?type=alarm.created")
            #expect(none.sequences == [])
            #expect(none.last == end)
            #expect(try await world.events(as: admin, "?after=\(end)").last == end)
            #expect(try await world.send(.get, "/v1/events?type=no.such", as: admin).field == "type")
            #expect(try await world.send(.get, "/v1/events?limit=201", as: admin).field == "limit")
            #expect(try await world.send(.get, "/v1/events?after=-1", as: admin).field == "after")
            #expect(try await world.send(.get, "/v1/events?cursor=c7a7a", as: admin).code == "invalid_cursor")
            #expect(try await world.send(.get, "/v1/events?cursor=c2d35", as: admin).code == "invalid_cursor")
        }
    }

    @Test func `a place in the log is kept by name, for its owner only`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await world.toggle(scene, times: 2)
            let (_, key) = try await world.app(of: scene.dealer, [.eventsRead, .sitesRead])
            let (_, other) = try await world.app(of: scene.dealer, [.eventsRead, .sitesRead])
            let path = "/v1/events/consumers/worker"
            #expect(try await world.send(.get, "/v1/events?consumer=worker", as: key).code == "consumer_not_found")

            #expect(try await world.send(.put, path, as: key, ["sequence": 3])["sequence"]?.integer == 3)
            #expect(try await world.events(as: key, "?consumer=worker").sequences == [4])
            #expect(try await world.send(.get, "/v1/events?consumer=worker", as: other).code == "consumer_not_found")
            #expect(try await world.send(.put, path, as: other, ["sequence": 1]).status == 200)
            #expect(try await world.events(as: key, "?consumer=worker").sequences == [4])
            #expect(try await world.events(as: other, "?consumer=worker").sequences == [2, 3, 4])

            // Back again, to read once more; never beyond what there is.
            #expect(try await world.send(.put, path, as: key, ["sequence": 0]).status == 200)
            #expect(try await world.events(as: key, "?consumer=worker").sequences == [1, 2, 3, 4])
            let beyond = try await world.send(.put, path, as: key, ["sequence": 5])
            #expect(beyond.status == 422)
            #expect(beyond.field == "sequence")
        }
    }

    @Test func `who reaches several dealers names the log`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let other = try await world.dealer("Other")
            for token in [world.admin, scene.partner.token] {
                let answer = try await world.send(.get, "/v1/events", as: token)
                #expect(answer.status == 422)
                #expect(answer.code == "dealer_required")
                #expect(answer.field == "dealer_id")
                let put = try await world.send(.put, "/v1/events/consumers/a", as: token, ["sequence": 0])
                #expect(put.code == "dealer_required")
                #expect(try await world.events(as: token, "?dealer_id=\(scene.dealer)").sequences == [])
            }
            let foreign = try await world.send(.get, "/v1/events?dealer_id=\(other)", as: scene.partner.token)
            #expect(foreign.code == "dealer_not_found")
            let admin = try await world.dealerAdmin(of: scene.dealer)
            #expect(try await world.send(.get, "/v1/events?dealer_id=\(other)", as: admin).code == "dealer_not_found")
            #expect(try await world.events(as: admin, "?dealer_id=\(scene.dealer)").sequences == [])
        }
    }

    @Test func `a partner sees the events of its own sites, and of no other`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let rival = try await world.partner("Rival")
            var theirs = scene
            theirs.partner = rival
            theirs.site = try await world.site("Theirs", dealer: scene.dealer, partner: rival.id).string("site_id")
            try await world.toggle(theirs, times: 1)
            try await world.toggle(scene, times: 1)
            try await world.toggle(theirs, times: 2)

            let mine = try await world.events(as: scene.partner.token, "?dealer_id=\(scene.dealer)")
            #expect(mine.sequences == [3, 4])
            #expect(mine.last > 4)
            #expect(try await mine.last == world.lastSequence(of: scene.dealer))
            let query = "?dealer_id=\(scene.dealer)&site_id=\(theirs.site)"
            let foreign = try await world.send(.get, "/v1/events\(query)", as: scene.partner.token)
            #expect(foreign.code == "site_not_found")
            #expect(try await world.events(as: rival.token, query).sequences.prefix(2) == [1, 2])
        }
    }

    @Test(arguments: [
        (Scope.sitesRead, ["arming.state_changed", "partition.armed"]), (.eventsRead, []), (.devicesRead, []),
    ])
    func `an app sees the types that its scopes cover`(scope: Scope, types: [String]) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await world.toggle(scene, times: 1)
            let (_, key) = try await world.app(of: scene.dealer, [scope])
            let part = try await world.events(as: key)
            #expect(part.types == types)
            #expect(part.last == 2)
            let asked = try await world.events(as: key, "?type=alarm.created")
            #expect(asked.sequences == [])
        }
    }

    @Test func `a notice of an endpoint is its app's, and a test is the endpoint's owner's`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let (app, key) = try await world.app(of: scene.dealer, [])
            let (_, other) = try await world.app(of: scene.dealer, Set(Scope.allCases))
            let id = try await world.endpoint(ofApp: app.text, as: admin).string("endpoint_id")
            let endpoint = EndpointID(stored: id)
            let draft = EventDraft(
                id: world.services.randomness.id(at: world.clock.now),
                siteID: nil,
                partitionID: nil,
                audience: .app(app, except: endpoint),
                body: .endpointDisabled(
                    EndpointNotice(
                        endpointID: endpoint,
                        url: "https://example.test/hook",
                        reason: "gone",
                        message: "The receiver answered 410.",
                        failingSince: nil
                    )
                )
            )
            let dealer = DealerID(stored: scene.dealer)
            let now = world.clock.now
            _ = try await world.ledger.write { try $0.append([draft], to: dealer, at: now) }
            #expect(try await world.send(.post, "/v1/endpoints/\(id)/actions/test", as: admin).status == 202)

            let all = ["endpoint.disabled", "test.ping"]
            #expect(try await world.events(as: key).types == all)
            #expect(try await world.events(as: other).types == [])
            #expect(try await world.events(as: admin).types == all)
            let partner = try await world.events(as: scene.partner.token, "?dealer_id=\(scene.dealer)")
            #expect(partner.types == [])
        }
    }
}
