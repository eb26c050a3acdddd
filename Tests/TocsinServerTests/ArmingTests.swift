import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

@Suite struct ArmingTests {
    @Test func `the document's own request arms the site, and the reply tells each partition`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()

            let answer = try await world.report(scene, headers: ["x-partner-trace-id": "trace-1"])

            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer["site_id"]?.string == scene.site)
            let partition = try #require(answer["partitions"]?.array?.first)
            #expect(partition["state"]?.string == "armed_away")
            #expect(partition["previous_state"]?.string == "disarmed")
            #expect(partition["applied"]?.bool == true)
            #expect(answer["event_ids"]?.array?.count == 2)
            #expect(answer.headers[.traceID] == "trace-1")
            #expect(answer.headers[.requestID]?.hasPrefix("req_") == true)

            let state = try await world.send(.get, "/v1/sites/\(scene.site)/arming", as: scene.partner.token)
            let now = try #require(state["partitions"]?.array?.first)
            #expect(now["state"]?.string == "armed_away")
            #expect(now["mode"]?.string == "away")
            #expect(now["by"]?["user_id"]?.string == "user_123")
            #expect(now["by"]?["method"]?.string == "keypad")
            #expect(state.headers[.eTag] != nil)
        }
    }

    @Test(
        arguments: [
            "all", "\"1\"", "1", "id",
        ]
    )
    func `a partition may be named in each of the four ways`(form: String) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let partition: JSON =
                switch form {
                case "id": .string(scene.partition)
                case "1": 1
                case "\"1\"": "1"
                default: .string(form)
                }
            let answer = try await world.report(scene, ["partition": partition, "state": "ARMED_STAY"])
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer["partitions"]?.array?.first?["partition_id"]?.string == scene.partition)
            #expect(answer["partitions"]?.array?.first?["state"]?.string == "armed_stay")
        }
    }

    @Test func `a transition that cannot be is refused with what can`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let answer = try await world.report(scene, ["state": "entry_delay"])
            #expect(answer.status == 409)
            #expect(answer.code == "invalid_transition")
            #expect(answer["error"]?["details"]?["current_state"]?.string == "disarmed")
            #expect(answer["error"]?["details"]?["allowed"]?.array?.contains("armed_away") == true)
        }
    }

    @Test func `the reply to a late report names what it changed, not what admins are told of it`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let at = (world.clock.now - .seconds(60)).rfc3339Milliseconds
            let answer = try await world.report(scene, ["timestamp": .string(at)])
            #expect(answer.status == 200, "\(answer.text)")
            let events = try await world.send(.get, "/v1/events", as: world.dealerAdmin(of: scene.dealer))
            let items = try #require(events["data"]?.array)
            #expect(items.contains { $0["type"] == "sync.late" })
            let named = Set(answer["event_ids"]?.array?.compactMap(\.string) ?? [])
            let changes = items.filter { $0["type"] != "sync.late" }.compactMap { $0["event"]?["id"]?.string }
            #expect(named == Set(changes) && !named.isEmpty, "\(answer.text) \(events.text)")
        }
    }

    @Test func `only the site's own partner reports`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let other = try await world.partner("Other panels")
            let (_, key) = try await world.app(of: scene.dealer, Set(Scope.allCases))

            #expect(try await world.report(scene, as: other.token).code == "site_not_found")
            #expect(try await world.report(scene, as: key).code == "permission_denied")
            #expect(try await world.report(scene, as: world.admin).code == "permission_denied")
        }
    }

    @Test func `a platform-triggered site takes no report`() async throws {
        try await ServerWorld.run { world in
            var scene = try await world.scene()
            let partner = try await world.partner("Cloud", model: "platform_triggered")
            scene.site = try await world.site("Cloud shop", dealer: scene.dealer, partner: partner.id).string("site_id")
            scene.partner = partner
            let answer = try await world.report(scene)
            #expect(answer.status == 409)
            #expect(answer.code == "arming_authority_conflict")
        }
    }

    @Test func `a second report with the same report id is a duplicate`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene, ["report_id": "r1"])
            world.clock.advance(.seconds(10))
            let again = try await world.report(scene, ["report_id": "r1", "state": "disarmed"])
            #expect(again.status == 200)
            #expect(again["partitions"]?.array?.first?["reason"]?.string == "duplicate")
            #expect(again["partitions"]?.array?.first?["state"]?.string == "armed_away")
        }
    }
}
