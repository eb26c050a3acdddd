import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct AppTests {
    static let body: JSON = ["name": "nightly", "scopes": ["sites:read", "events:read"]]

    @Test func `an app's key is shown when it is made, and never again`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let admin = try await world.dealerAdmin(of: dealer)

            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)

            #expect(made.status == 201, "\(made.text)")
            #expect(made.headers[.cacheControl] == "no-store")
            #expect(made["dealer_id"]?.string == dealer)
            #expect(made["scopes"]?.array == ["events:read", "sites:read"])
            let (id, key) = (try made.string("app_id"), try made.string("api_key"))
            #expect(key.hasPrefix("tcs_live_"))
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            for path in ["/v1/apps/\(id)", "/v1/apps"] {
                let shown = try await world.send(.get, path, as: admin)
                #expect(shown.status == 200)
                #expect(!shown.text.contains("api_key") && !shown.text.contains(key), "\(shown.text)")
            }
            let stored = try await world.ledger.read { try $0.app(authenticatingWith: key) == nil }
            #expect(stored, "the ledger must hold a hash only")
        }
    }

    @Test func `a test key is one that says so`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let body: JSON = ["name": "trial", "scopes": ["sites:read"], "key_mode": "test"]
            let key = try await world.send(.post, "/v1/apps", as: admin, body).string("api_key")
            #expect(key.hasPrefix("tcs_test_"))
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
        }
    }

    @Test func `after a rotation the old key works for 24 hours more`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (id, old) = (try made.string("app_id"), try made.string("api_key"))

            let rotated = try await world.send(.post, "/v1/apps/\(id)/actions/rotate-key", as: admin)

            let new = try rotated.string("api_key")
            #expect(rotated.headers[.cacheControl] == "no-store")
            #expect(new != old)
            world.clock.advance(.seconds(86_399))
            #expect(try await world.send(.get, "/v1/sites", as: old).status == 200)
            #expect(try await world.send(.get, "/v1/sites", as: new).status == 200)
            world.clock.advance(.seconds(1))
            #expect(try await world.send(.get, "/v1/sites", as: old).code == "invalid_api_key")
            #expect(try await world.send(.get, "/v1/sites", as: new).status == 200)
        }
    }

    @Test func `a second rotation does not lengthen the first key's life`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (id, first) = (try made.string("app_id"), try made.string("api_key"))
            let rotate = "/v1/apps/\(id)/actions/rotate-key"
            let second = try await world.send(.post, rotate, as: admin).string("api_key")
            world.clock.advance(.seconds(3600))
            _ = try await world.send(.post, rotate, as: admin)
            world.clock.advance(.seconds(86_400 - 3600))
            #expect(try await world.send(.get, "/v1/sites", as: first).status == 401)
            #expect(try await world.send(.get, "/v1/sites", as: second).status == 200)
        }
    }

    @Test func `a revoked app's keys stop at once, the one in its overlap too`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (id, old) = (try made.string("app_id"), try made.string("api_key"))
            let new = try await world.send(.post, "/v1/apps/\(id)/actions/rotate-key", as: admin).string("api_key")
            for key in [old, new] { #expect(try await world.send(.get, "/v1/sites", as: key).status == 200) }
            _ = world.deliveries.take()

            let revoked = try await world.send(.post, "/v1/apps/\(id)/actions/revoke", as: admin)

            #expect(revoked["revoked"]?.bool == true)
            for key in [old, new] { #expect(try await world.send(.get, "/v1/sites", as: key).status == 401) }
            #expect(world.deliveries.take() == ["changed \(id)"])
        }
    }

    @Test func `a scope that is taken away is gone at once`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (id, key) = (try made.string("app_id"), try made.string("api_key"))
            _ = try await world.report(scene)
            #expect(try await world.send(.get, "/v1/sites/\(scene.site)", as: key).status == 200)
            #expect(try await world.events(as: key).types == ["arming.state_changed", "partition.armed"])
            _ = world.deliveries.take()

            let path = "/v1/apps/\(id)"
            let less = try await world.send(.patch, path, as: admin, ["scopes": ["events:read"]])
            #expect(less["scopes"]?.array == ["events:read"])
            #expect(world.deliveries.take() == ["changed \(id)"])
            #expect(try await world.send(.get, "/v1/sites/\(scene.site)", as: key).code == "permission_denied")
            #expect(try await world.events(as: key).types == [])
            _ = try await world.send(.patch, path, as: admin, ["scopes": []])

            let audit = try await world.send(.get, "/v1/audit?action=app.change", as: admin)
            let details = audit["data"]?.array?.compactMap { $0["details"]?["scopes_removed"]?.array }
            #expect(details == [["events:read"], ["sites:read"]])
        }
    }

    @Test(
        arguments: [
            ("198.51.100.0/24", nil), ("10.1.2.3", nil), ("2001:db8::/32", nil), ("10.0.0.0/33", "ip_allow_list[0]"),
            ("example.test", "ip_allow_list[0]"), ("10.0.0", "ip_allow_list[0]"),
        ] as [(String, String?)]
    )
    func `an allow list holds addresses and blocks`(entry: String, refused: String?) async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let body: JSON = ["name": "a", "scopes": ["sites:read"], "ip_allow_list": [.string(entry)]]
            let made = try await world.send(.post, "/v1/apps", as: admin, body)
            #expect(made.status == (refused == nil ? 201 : 422))
            #expect(made.field == refused)
        }
    }

    @Test func `an allow list acts as soon as it is set, and as soon as it is gone`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (path, key) = ("/v1/apps/\(try made.string("app_id"))", try made.string("api_key"))
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            _ = try await world.send(.patch, path, as: admin, ["ip_allow_list": ["203.0.113.0/24"]])
            #expect(try await world.send(.get, "/v1/sites", as: key).code == "permission_denied")
            _ = try await world.send(.patch, path, as: admin, ["ip_allow_list": []])
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
        }
    }

    @Test func `only a platform admin sets a tier`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let admin = try await world.dealerAdmin(of: dealer)
            let raised: JSON = ["name": "a", "scopes": ["sites:read"], "tier": "unlimited"]
            let refused = try await world.send(.post, "/v1/apps", as: admin, raised)
            #expect(refused.code == "permission_denied")
            #expect(refused.field == "tier")
            let id = try await world.send(.post, "/v1/apps", as: admin, Self.body).string("app_id")
            let patch = try await world.send(.patch, "/v1/apps/\(id)", as: admin, ["tier": "enterprise"])
            #expect(patch.code == "permission_denied")

            let limited = try await world.send(.patch, "/v1/apps/\(id)", as: world.admin, ["tier": "free"])
            #expect(limited["tier"]?.string == "free")
        }
    }

    @Test func `a platform admin says for which dealer an app is, a dealer's admin need not`() async throws {
        try await ServerWorld.run { world in
            let (mine, theirs) = (try await world.dealer("Mine"), try await world.dealer("Theirs"))
            let admin = try await world.dealerAdmin(of: mine)
            #expect(try await world.send(.post, "/v1/apps", as: world.admin, Self.body).code == "dealer_required")
            var body = try #require(Self.body.object)
            body["dealer_id"] = .string(theirs)
            #expect(try await world.send(.post, "/v1/apps", as: admin, .object(body)).code == "dealer_not_found")
            let made = try await world.send(.post, "/v1/apps", as: world.admin, .object(body))
            let id = try made.string("app_id")
            #expect(made["dealer_id"]?.string == theirs)

            let calls: [(HTTPRequest.Method, String, JSON?)] = [
                (.get, "", nil), (.patch, "", ["name": "x"]), (.delete, "", nil),
                (.post, "/actions/rotate-key", nil), (.post, "/actions/revoke", nil), (.get, "/endpoints", nil),
                (.post, "/endpoints", ["url": "https://a.test/", "events": ["partition.armed"]]),
            ]
            for (method, suffix, json) in calls {
                let answer = try await world.send(method, "/v1/apps/\(id)\(suffix)", as: admin, json)
                #expect(answer.code == "app_not_found", "\(method) \(suffix): \(answer.text)")
            }
            #expect(try await world.send(.get, "/v1/apps", as: admin)["data"]?.array == [])
        }
    }

    @Test func `an app reads itself and manages nothing`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let (id, key) = try await world.app(of: dealer, Set(Scope.allCases))
            let (other, _) = try await world.app(of: dealer, [])
            #expect(try await world.send(.get, "/v1/apps/\(id)", as: key)["app_id"]?.string == id.text)
            #expect(try await world.send(.get, "/v1/apps/\(other)", as: key).code == "app_not_found")
            #expect(try await world.send(.get, "/v1/apps/\(other)/endpoints", as: key).code == "app_not_found")
            for (method, path) in [
                (HTTPRequest.Method.get, "/v1/apps"), (.post, "/v1/apps/\(id)/actions/rotate-key"),
                (.delete, "/v1/apps/\(id)"), (.get, "/v1/audit"), (.get, "/v1/partners"), (.get, "/v1/dealers"),
            ] {
                let answer = try await world.send(method, path, as: key)
                #expect(answer.code == "permission_denied", "\(path): \(answer.text)")
            }
        }
    }

    @Test func `a deleted app takes its keys and endpoints with it`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let admin = try await world.dealerAdmin(of: dealer)
            let made = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            let (id, key) = (try made.string("app_id"), try made.string("api_key"))
            let endpoint = try await world.endpoint(ofApp: id, as: admin).string("endpoint_id")
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            _ = world.deliveries.take()

            #expect(try await world.send(.delete, "/v1/apps/\(id)", as: admin).status == 204)

            #expect(try await world.send(.get, "/v1/sites", as: key).status == 401)
            #expect(try await world.send(.get, "/v1/endpoints/\(endpoint)", as: admin).code == "endpoint_not_found")
            #expect(world.deliveries.take() == ["changed \(id)", "deleted \(endpoint)"])
        }
    }

    @Test func `a name is taken once in a dealer, and free in another`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("A"))
            let other = try await world.dealerAdmin(of: try await world.dealer("B"))
            #expect(try await world.send(.post, "/v1/apps", as: admin, Self.body).status == 201)
            let twice = try await world.send(.post, "/v1/apps", as: admin, Self.body)
            #expect(twice.code == "already_exists")
            #expect(twice.field == "name")
            #expect(try await world.send(.post, "/v1/apps", as: other, Self.body).status == 201)
        }
    }

    @Test func `a repeated create shows the same key, which the ledger keeps sealed`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let headers = ["Idempotency-Key": "once"]
            let first = try await world.send(.post, "/v1/apps", as: admin, Self.body, headers: headers)
            let again = try await world.send(.post, "/v1/apps", as: admin, Self.body, headers: headers)
            let key = try first.string("api_key")
            #expect(again.text == first.text)
            #expect(again.status == 201)
            #expect(again.headers[.idempotencyReplayed] == "true")
            #expect(again.headers[.cacheControl] == "no-store")
            #expect(try await world.send(.get, "/v1/apps", as: admin)["data"]?.array?.count == 1)

            let caller = "admin:\(TokenID(stored: "tok_\(try first.string("dealer_id"))"))"
            let record = try await world.ledger.read { reader in
                try reader.idempotencyRecord(caller: caller, method: "POST", path: "/v1/apps", key: "once")
            }
            let sealed = try #require(record).sealedReply
            #expect(!String(decoding: sealed, as: UTF8.self).contains(key))
            #expect(!String(decoding: sealed, as: UTF8.self).contains("api_key"))
        }
    }
}
