import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON

@testable import TocsinServer

@Suite struct IdempotencyTests {
    static let key = ["Idempotency-Key": "key-1"]

    @Test func `a repeated create has no second effect and shows the same secret`() async throws {
        try await ServerWorld.run { world in
            let body: JSON = ["name": "PanelCo", "arming_model": "partner_triggered"]
            let first = try await world.send(.post, "/v1/partners", as: world.admin, body, headers: Self.key)
            let again = try await world.send(.post, "/v1/partners", as: world.admin, body, headers: Self.key)

            #expect(first.status == 201)
            #expect(again.status == 201)
            #expect(again.text == first.text)
            #expect(first.headers[.idempotencyReplayed] == nil)
            #expect(again.headers[.idempotencyReplayed] == "true")
            let all = try await world.send(.get, "/v1/partners", as: world.admin)
            #expect(all["data"]?.array?.count == 1)
        }
    }

    @Test func `a reply is not repeated to an app that may no longer see what it shows`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, [.alarmsWrite, .eventsRead, .eventsWrite])
            let body: JSON = ["site_id": .string(shop.site), "trigger": "button", "class": "duress"]
            func raise() async throws -> ServerWorld.Answer {
                try await world.send(.post, "/v1/alarms", as: key, body, headers: Self.key)
            }
            func hold(_ scopes: JSON) async throws {
                let answer = try await world.send(.patch, "/v1/apps/\(app)", as: world.admin, ["scopes": scopes])
                #expect(answer.status == 200, "\(answer.text)")
            }
            let first = try await raise()
            #expect(first.status == 201 && first["class"] == "duress", "\(first.text)")

            try await hold(["alarms:write", "events:write"])
            let blind = try await raise()
            #expect(blind.status == 409 && blind.code == "idempotency_conflict", "\(blind.text)")
            let number = try first.string("alarm_id")
            #expect(!blind.text.contains("duress") && !blind.text.contains(number))

            try await hold(["alarms:write", "events:read", "events:write"])
            let again = try await raise()
            #expect(again.text == first.text && again.headers[.idempotencyReplayed] == "true")
            #expect(try await world.counts()["alarm"] == 1)
        }
    }

    @Test func `a repeated report is answered from the store, even after the state went on`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let body: JSONObject = ["timestamp": .string(world.clock.now.rfc3339Seconds)]
            let first = try await world.report(scene, body, headers: Self.key)
            world.clock.advance(.seconds(5))
            #expect(try await world.report(scene, ["state": "disarmed"]).status == 200)

            let again = try await world.report(scene, body, headers: Self.key)

            #expect(again.status == 200)
            #expect(again.text == first.text)
            #expect(again.headers[.idempotencyReplayed] == "true")
        }
    }

    @Test func `the same key for other bytes is a conflict`() async throws {
        try await ServerWorld.run { world in
            let path = "/v1/dealers"
            _ = try await world.send(.post, path, as: world.admin, ["name": "A"], headers: Self.key)
            let other = try await world.send(.post, path, as: world.admin, ["name": "B"], headers: Self.key)
            #expect(other.status == 409)
            #expect(other.code == "idempotency_conflict")
        }
    }

    @Test func `a key is the caller's own, and the path's`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("A")
            let first = try await world.dealerAdmin(of: dealer)
            let body: JSON = ["name": "Shop", "timezone": "UTC"]
            #expect(try await world.send(.post, "/v1/sites", as: first, body, headers: Self.key).status == 201)
            let (_, key) = try await world.app(of: dealer, [.sitesWrite])
            let other: JSON = ["name": "Shop 2", "timezone": "UTC"]
            #expect(try await world.send(.post, "/v1/sites", as: key, other, headers: Self.key).status == 201)
        }
    }

    @Test func `a refusal may be tried again with its key`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let refused = try await world.report(scene, ["state": "entry_delay"], headers: Self.key)
            #expect(refused.status == 409)
            _ = try await world.report(scene)
            world.clock.advance(.seconds(1))
            let body: JSONObject = ["state": "entry_delay", "delay_seconds": 30]
            #expect(try await world.report(scene, body, headers: Self.key).status == 200)
        }
    }

    @Test func `a key is forgotten after 24 hours`() async throws {
        try await ServerWorld.run { world in
            let site = try await world.scene().site
            let path = "/v1/sites/\(site)"
            _ = try await world.send(.patch, path, as: world.admin, ["name": "One"], headers: Self.key)
            world.clock.advance(.seconds(86_400))
            let later = try await world.send(.patch, path, as: world.admin, ["name": "Two"], headers: Self.key)
            #expect(later.status == 200, "\(later.text)")
            #expect(later["name"]?.string == "Two")
        }
    }

    @Test func `a caller that lost its rights gets no stored reply`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene, headers: Self.key)
            _ = try await world.send(.post, "/v1/partners/\(scene.partner.id)/actions/revoke", as: world.admin)
            #expect(try await world.report(scene, headers: Self.key).status == 401)
        }
    }

    @Test(arguments: ["", "with space", "ü", String(repeating: "k", count: 256)])
    func `a key must be visible ASCII`(key: String) async throws {
        try await ServerWorld.run { world in
            let headers = ["Idempotency-Key": key]
            let answer = try await world.send(.post, "/v1/dealers", as: world.admin, ["name": "A"], headers: headers)
            #expect(answer.status == 400)
            #expect(answer.code == "invalid_idempotency_key")
        }
    }

    @Test func `a key whose first request still runs is in progress`() throws {
        let vault = Vault(key: Array(repeating: 1, count: 32))
        let claim = IdempotencyClaim(
            caller: .anonymous,
            method: "POST",
            path: "/x",
            key: "k",
            query: "",
            payload: [],
            vault: vault
        )
        let registry = IdempotencyRegistry()
        try registry.begin(claim)
        #expect { try registry.begin(claim) } throws: { ($0 as? APIError)?.code == .idempotencyInProgress }
        registry.end(claim)
        try registry.begin(claim)
    }
}
