import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinTestSupport

@testable import TocsinServer

/// Commands that the partner is asked about, as their callers see it (decisions §5).
@Suite struct PartnerCommandTests {
    private static let rejection = PartnerAnswer(
        reply: Array(#"{"result":"rejected","reasons":[{"message":"the gate is open","zone_number":12}]}"#.utf8)
    )

    private func shop(_ world: ServerWorld) async throws -> ServerWorld.Shop {
        let partner = try await world.partner("Cloud", model: "platform_triggered")
        let dealer = try await world.dealer("Acme")
        let linked = try await world.send(.put, "/v1/dealers/\(dealer)/partners/\(partner.id)", as: world.admin)
        #expect(linked.status < 300, "\(linked.text)")
        let (_, key) = try await world.app(of: dealer, Set(Scope.allCases))
        return try await world.shop("Acme", of: dealer, key: key, partner: partner.id)
    }

    @Test func `what the partner accepts is answered as ever`() async throws {
        let partner = ScriptedCommander([.accepted, .accepted])
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            let armed = try await world.command("arm", shop, ["instant_arm": true])
            #expect(armed.status == 200, "\(armed.text)")
            #expect(armed.partition(0, "state") == "armed_away")
            #expect(armed.partition(0, "by")?["name"] == "Ann")
            let shown = try await world.arming(shop)
            #expect(shown.headers[.eTag] == armed.headers[.eTag])
            #expect(try await world.command("disarm", shop).partition(1, "state") == "disarmed")
            let body = try JSONParser.parse(partner.inquiries[0].body)
            #expect(EventType.armingCommand.bodySchema.validate(body, strict: true).isEmpty)
            let data = body["data"]
            #expect(data?["by"]?["name"] == "Ann")
            #expect(!String(decoding: partner.inquiries[0].body, as: UTF8.self).contains(ServerWorld.Shop.code))
        }
    }

    @Test func `a rejected arm is 409 with the partner's reasons, a rejected disarm goes through`() async throws {
        let partner = ScriptedCommander([Self.rejection, .accepted, Self.rejection])
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            let refused = try await world.command("arm", shop, ["instant_arm": true])
            #expect(refused.status == 409)
            #expect(refused.code == "arm_failed")
            #expect(refused.reasons.map { $0["code"] } == ["partner_rejected"])
            #expect(refused.reasons.first?["message"] == "Cannot arm - the gate is open")
            #expect(refused.reasons.first?["zone_number"] == 12)
            #expect(try await world.states(shop) == ["disarmed", "disarmed"])
            #expect(try await world.command("arm", shop, ["instant_arm": true]).status == 200)
            #expect(try await world.command("disarm", shop).partition(0, "state") == "disarmed")
        }
    }

    @Test func `a partner that does not answer makes an arm 504, and lets a disarm through`() async throws {
        let partner = ScriptedCommander([.unreachable("it answered 500"), .accepted, .unreachable("it is gone")])
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            let failed = try await world.command("arm", shop, ["instant_arm": true])
            #expect(failed.status == 504)
            #expect(failed.code == "partner_unreachable")
            _ = try await world.command("arm", shop, ["instant_arm": true])
            #expect(try await world.command("disarm", shop).status == 200)
            let path = "/v1/events?dealer_id=\(shop.dealer)&type=sync.failed"
            let log = try await world.send(.get, path, as: world.admin)
            #expect(log["data"]?.array?.compactMap { $0["event"]?["data"]?["command"] } == ["arm_away", "disarm"])
        }
    }

    @Test func `our own checks come first`() async throws {
        let partner = ScriptedCommander()
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            #expect(try await world.command("arm", shop, code: "0000").status == 403)
            _ = try await world.signal(shop, 5, "open")
            #expect(try await world.command("arm", shop).status == 409)
            #expect(try await world.command("disarm", shop).status == 200, "that is so already")
            #expect(partner.inquiries.isEmpty)
        }
    }

    @Test func `a repeated request is answered from the store, and the partner is asked once`() async throws {
        let partner = ScriptedCommander([.accepted])
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            let key = ["Idempotency-Key": "arm-1"]
            let first = try await world.command("arm", shop, ["instant_arm": true], headers: key)
            let again = try await world.command("arm", shop, ["instant_arm": true], headers: key)
            #expect(first.status == 200)
            #expect(again.text == first.text)
            #expect(again.headers[.idempotencyReplayed] == "true")
            #expect(partner.inquiries.count == 1)
        }
    }

    @Test func `a duress code is answered as the ordinary one, and its alarm does not wait`() async throws {
        let partner = ScriptedCommander([.accepted, .accepted, .accepted])
        try await ServerWorld.run(partners: partner) { world in
            let shop = try await shop(world)
            _ = try await world.command("arm", shop, ["instant_arm": true])
            async let disarm = world.command("disarm", shop, code: ServerWorld.Shop.duressCode)
            let reply = try await disarm
            #expect(reply.status == 200)
            #expect(reply.partition(0, "state") == "disarmed")
            #expect(reply.partition(0, "in_alarm") == false)
            let path = "/v1/events?dealer_id=\(shop.dealer)"
            let log = try await world.send(.get, path, as: world.admin)["data"]?.array ?? []
            let types = log.compactMap { $0["type"]?.string }
            let alarm = try #require(types.firstIndex(of: "alarm.created"))
            let disarmed = try #require(types.firstIndex(of: "partition.disarmed"))
            #expect(alarm < disarmed)
        }
    }

    // MARK: The subscription

    @Test func `only a partner's endpoint may subscribe, and the log does not know the type`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("Cloud", model: "platform_triggered")
            let dealer = try await world.dealer("Acme")
            let (app, _) = try await world.app(of: dealer, [.sitesRead])
            let body: JSON = ["url": "https://hooks.example.test/x", "events": ["arming.command"]]
            let taken = try await world.send(.post, "/v1/partners/\(partner.id)/endpoints", as: world.admin, body)
            #expect(taken.status == 201, "\(taken.text)")
            let refused = try await world.send(.post, "/v1/apps/\(app)/endpoints", as: world.admin, body)
            #expect(refused.status == 422)
            #expect(refused.field == "events")
            let path = "/v1/events?dealer_id=\(dealer)&type=arming.command"
            #expect(try await world.send(.get, path, as: world.admin).status == 422)
            let types = try await world.send(.get, "/v1/event-types", as: world.admin)
            let told = types["data"]?.array?.first { $0["type"] == "arming.command" }
            #expect(told?["subscribable"] == true)
            #expect(told?["schema"] != nil)
        }
    }
}
