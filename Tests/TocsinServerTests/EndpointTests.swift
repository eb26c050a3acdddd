import HTTPTypes
import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct EndpointTests {
    /// An app of a dealer with the dealer's admin.
    private struct Place {
        var scene: ServerWorld.Scene
        var admin: String
        var app: AppID
        var key: String

        init(_ world: ServerWorld) async throws {
            scene = try await world.scene()
            admin = try await world.dealerAdmin(of: scene.dealer)
            (app, key) = try await world.app(of: scene.dealer, [.sitesRead])
        }

        func endpoint(_ world: ServerWorld, _ changes: JSONObject = [:]) async throws -> EndpointID {
            EndpointID(stored: try await world.endpoint(ofApp: app.text, as: admin, changes).string("endpoint_id"))
        }
    }

    @Test func `an endpoint is made with its secret, changed and deleted, and the engine hears of each`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let made = try await world.endpoint(
                ofApp: place.app.text,
                as: place.admin,
                ["ordering": "site", "concurrency": 4, "rate_per_second": 10, "retry_schedule": [1, 2, 3]]
            )
            let id = try made.string("endpoint_id"), path = "/v1/endpoints/\(id)"
            let secret = try made.string("secret")
            #expect(secret.hasPrefix("whsec_"))
            #expect(made.headers[.cacheControl] == "no-store")
            #expect(made["app_id"]?.string == place.app.text)
            #expect(made["enabled"]?.bool == true)
            #expect(made["retry_schedule"]?.array == [1, 2, 3])

            let shown = try await world.send(.get, path, as: place.admin)
            #expect(shown.status == 200)
            #expect(!shown.text.contains("whsec_") && !shown.text.contains("\"secret\""))

            let changed = try await world.send(
                .patch,
                path,
                as: place.admin,
                ["url": "https://b.test/x", "events": ["alarm.created"], "rate_per_second": nil, "retry_schedule": nil]
            )
            #expect(changed["url"]?.string == "https://b.test/x")
            #expect(changed["events"]?.array == ["alarm.created"])
            #expect(changed["rate_per_second"] == nil && changed["retry_schedule"] == nil)
            #expect(changed["ordering"]?.string == "site" && changed["concurrency"]?.integer == 4)

            #expect(try await world.send(.delete, path, as: place.admin).status == 204)
            #expect(try await world.send(.get, path, as: place.admin).code == "endpoint_not_found")
            #expect(world.deliveries.take().suffix(3) == ["changed \(id)", "changed \(id)", "deleted \(id)"])
        }
    }

    @Test(
        arguments: [
            "http://example.test/hook", "https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3/x",
            "https://169.254.169.254/latest", "https://example.test:22/", "https://user:pass@example.test/", "ftp://a/",
            "not a url", "https:///x", "https://100.64.0.1/", "https://[::ffff:10.0.0.1]/", "",
        ]
    )
    func `a URL that must not be called is refused by its field`(url: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let path = "/v1/apps/\(place.app)/endpoints"
            let body: JSON = ["url": .string(url), "events": ["partition.armed"]]
            let refused = try await world.send(.post, path, as: place.admin, body)
            #expect(refused.status == 422, "\(refused.text)")
            #expect(refused.field == "url")

            let id = try await place.endpoint(world)
            let patch = try await world.send(.patch, "/v1/endpoints/\(id)", as: place.admin, ["url": .string(url)])
            #expect(patch.status == 422)
            #expect(patch.field == "url")
        }
    }

    @Test(
        arguments: [
            (["url": "https://a.test/"], "events"), (["url": "https://a.test/", "events": []], "events"),
            (["url": "https://a.test/", "events": ["no.such"]], "events[0]"),
            (["url": "https://a.test/", "events": ["partition.armed"], "concurrency": 0], "concurrency"),
            (["url": "https://a.test/", "events": ["partition.armed"], "retry_schedule": []], "retry_schedule"),
            (["url": "https://a.test/", "events": ["partition.armed"], "retry_schedule": [0]], "retry_schedule[0]"),
            (["url": "https://a.test/", "events": ["partition.armed"], "ordering": "best"], "ordering"),
        ] as [(JSON, String)]
    )
    func `a setting that cannot be is refused by its field`(body: JSON, field: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let refused = try await world.send(.post, "/v1/apps/\(place.app)/endpoints", as: place.admin, body)
            #expect(refused.status == 422)
            #expect(refused.field == field, "\(refused.text)")
        }
    }

    @Test func `headers are written, kept sealed, and shown by name only`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let made = try await world.endpoint(
                ofApp: place.app.text,
                as: place.admin,
                ["headers": ["X-Api-Key": "top-secret", "Authorization": "Basic abc"]]
            )
            #expect(made["header_names"]?.array == ["authorization", "x-api-key"])
            #expect(!made.text.contains("top-secret"))
            let id = EndpointID(stored: try made.string("endpoint_id"))
            let shown = try await world.send(.get, "/v1/endpoints/\(id)", as: place.admin)
            #expect(!shown.text.contains("top-secret") && shown["headers"] == nil)

            let stored = try #require(try await world.ledger.read { try $0.endpoint(id, within: .platform) })
            let sealed = try #require(stored.sealedHeaders["x-api-key"])
            #expect(!String(decoding: sealed, as: UTF8.self).contains("top-secret"))
            let context = WebhookSecret.vaultContext(ofHeader: "x-api-key", of: id)
            #expect(
                String(decoding: try world.services.vault.open(sealed, context: context), as: UTF8.self) == "top-secret"
            )

            let changed = try await world.send(.patch, "/v1/endpoints/\(id)", as: place.admin, ["headers": ["A": "b"]])
            #expect(changed["header_names"]?.array == ["a"])
        }
    }

    @Test(
        arguments: [
            ("Host", "x"), ("content-length", "1"), ("Transfer-Encoding", "chunked"), ("webhook-signature", "v1,x"),
            ("X-CHeKT-Signature", "v1=0"), ("x-chekt-anything", "x"), ("Connection", "close"), ("bad name", "x"),
            ("", "x"), ("X-Ok", "line\r\nbreak"), ("X-Ok", "ü"),
        ]
    )
    func `a header that would break or forge a delivery is refused`(name: String, value: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            var headers = JSONObject()
            headers[name] = .string(value)
            let body: JSON = ["url": "https://a.test/", "events": ["partition.armed"], "headers": .object(headers)]
            let refused = try await world.send(.post, "/v1/apps/\(place.app)/endpoints", as: place.admin, body)
            #expect(refused.status == 422, "\(refused.text)")
            #expect(refused.field == "headers.\(name)")
        }
    }

    @Test func `a rotated secret overlaps the old one for 24 hours`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            _ = world.deliveries.take()
            let rotated = try await world.send(
                .post,
                "/v1/endpoints/\(id)/actions/rotate-secret",
                as: place.admin
            )
            let secret = try rotated.string("secret")
            #expect(rotated.headers[.cacheControl] == "no-store")
            #expect(world.deliveries.take() == ["changed \(id)"])

            let secrets = try await world.ledger.read { try $0.secrets(of: id) }
            #expect(secrets.map(\.expiresAt) == [world.clock.now + .seconds(86_400), nil])
            let opened = try secrets.map { stored in
                let context = WebhookSecret.vaultContext(of: id)
                return String(decoding: try world.services.vault.open(stored.sealed, context: context), as: UTF8.self)
            }
            #expect(opened.last == secret)
            #expect(opened.first != secret)
        }
    }

    @Test func `no more than ten secrets live at once, and older ones make room when they end`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let path = "/v1/endpoints/\(try await place.endpoint(world))/actions/rotate-secret"
            for _ in 0..<9 {
                world.clock.advance(.seconds(1))
                #expect(try await world.send(.post, path, as: place.admin).status == 200)
            }
            let refused = try await world.send(.post, path, as: place.admin)
            #expect(refused.status == 409)
            #expect(refused.code == "too_many")
            world.clock.advance(.seconds(86_400))
            #expect(try await world.send(.post, path, as: place.admin).status == 200)
        }
    }

    @Test func `a disabled endpoint keeps its place, and its app and partner are told apart`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            _ = world.deliveries.take()
            let path = "/v1/endpoints/\(id)/actions"
            let off = try await world.send(.post, "\(path)/disable", as: place.admin)
            #expect(off["enabled"]?.bool == false)
            #expect(off["disabled_reason"]?.string == "admin")
            #expect(world.deliveries.take() == ["changed \(id)", "flush"])
            let test = try await world.send(.post, "\(path)/test", as: place.admin)
            #expect(test.code == "endpoint_disabled")
            try await world.toggle(place.scene, times: 2)

            let on = try await world.send(.post, "\(path)/enable", as: place.admin, ["mode": "resume"])
            #expect(on["enabled"]?.bool == true)
            #expect(on["disabled_reason"] == nil)
            #expect(try await Self.cursor(id, world) == 0)
            #expect(world.deliveries.take() == ["changed \(id)"])
        }
    }

    @Test func `on re-enable the admin skips to now, and what was to be retried is withdrawn`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 3)
            let dealer = DealerID(stored: place.scene.dealer)
            let retried = try await world.retry(sequence: 2, of: dealer, to: id)
            try await world.deliver(sequence: 4, of: dealer, to: id)
            let path = "/v1/endpoints/\(id)/actions"
            _ = try await world.send(.post, "\(path)/disable", as: place.admin)

            let enabled = try await world.send(.post, "\(path)/enable", as: place.admin, ["mode": "skip"])
            #expect(enabled.status == 200)
            // Three reports make six entries, of which the endpoint takes three: one has failed, one was delivered.
            #expect(enabled["skipped"] == ["log_entries": 6, "events": 1, "retries": 1])
            let audit = try await world.send(.get, "/v1/audit?action=endpoint.enable", as: place.admin)
            let entry = try #require(audit["data"]?.array?.first)
            #expect(entry["details"]?["skipped"] == enabled["skipped"])
            #expect(entry["explanation"]?.string?.contains("6 entries of the log passed over, 1 of them") == true)

            #expect(try await Self.cursor(id, world) == world.lastSequence(of: place.scene.dealer))
            #expect(try await world.ledger.read { try $0.nextDue(of: id) } == nil)
            let delivery = try await world.send(.get, "/v1/deliveries/\(retried.id)", as: place.admin)
            #expect(delivery["state"]?.string == "withdrawn")
        }
    }

    @Test func `a long backlog that is skipped is told by the log's positions alone`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            let dealer = DealerID(stored: place.scene.dealer)
            let entries = SkippedBacklog.countedMaximum + 1
            let before = try await world.lastSequence(of: place.scene.dealer)
            let drafts = (0..<entries).map { number in
                EventDraft(
                    id: world.services.randomness.id(at: ServerWorld.start + .milliseconds(number)),
                    siteID: nil,
                    partitionID: nil,
                    audience: .everyone,
                    body: .testPing(TestPing(endpointID: id, message: "One of many."))
                )
            }
            _ = try await world.ledger.write { try $0.append(drafts, to: dealer, at: ServerWorld.start) }
            let path = "/v1/endpoints/\(id)/actions"
            _ = try await world.send(.post, "\(path)/disable", as: place.admin)
            let enabled = try await world.send(.post, "\(path)/enable", as: place.admin, ["mode": "skip"])
            #expect(enabled["skipped"] == ["log_entries": .integer(entries), "retries": 0])
            #expect(try await Self.cursor(id, world) == before + entries)
            _ = try await world.send(.post, "\(path)/disable", as: place.admin)
            let again = try await world.send(.post, "\(path)/enable", as: place.admin, ["mode": "resume"])
            #expect(again["skipped"] == nil)
        }
    }

    @Test func `on re-enable the admin replays since an instant`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 2)
            let since = world.clock.now + .milliseconds(500)
            let before = try await world.lastSequence(of: place.scene.dealer)
            try await world.toggle(place.scene, times: 2)
            let path = "/v1/endpoints/\(id)/actions"
            _ = try await world.send(.post, "\(path)/disable", as: place.admin)

            let body: JSON = ["mode": "replay", "since": .string(since.rfc3339Milliseconds)]
            #expect(try await world.send(.post, "\(path)/enable", as: place.admin, body).status == 200)

            #expect(try await Self.cursor(id, world) == before)
        }
    }

    @Test(
        arguments: [
            (["mode": "replay"], 422, "since"), (["mode": "rewind"], 422, "mode"), ([:], 422, "mode"),
            (["mode": "replay", "since": "yesterday"], 422, "since"),
            (["mode": "replay", "since": "2026-05-26T10:00:00+02:00"], 422, "since"),
        ] as [(JSON, Int, String)]
    )
    func `an enable that says nothing usable is refused`(body: JSON, status: Int, field: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let path = "/v1/endpoints/\(try await place.endpoint(world))/actions"
            _ = try await world.send(.post, "\(path)/disable", as: place.admin)
            let answer = try await world.send(.post, "\(path)/enable", as: place.admin, body)
            #expect(answer.status == status)
            #expect(answer.field == field, "\(answer.text)")
        }
    }

    @Test(arguments: ["skip", "replay"])
    func `the place of an endpoint that is enabled is not moved`(mode: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 1)
            let body: JSON = ["mode": .string(mode), "since": .string(ServerWorld.start.rfc3339Seconds)]
            let answer = try await world.send(.post, "/v1/endpoints/\(id)/actions/enable", as: place.admin, body)
            #expect(answer.status == 409)
            #expect(answer.code == "endpoint_enabled")
            #expect(try await Self.cursor(id, world) == 0)
        }
    }

    @Test func `a test event is in the log, for this endpoint alone`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            let answer = try await world.send(.post, "/v1/endpoints/\(id)/actions/test", as: place.admin)
            #expect(answer.status == 202, "\(answer.text)")
            let event = try #require(
                try await world.ledger.read { reader in
                    try reader.event(at: EventPosition(dealerID: DealerID(stored: place.scene.dealer), sequence: 1))
                }
            )
            #expect(event.audience == .endpoint(id))
            #expect(answer["event_id"]?.string == event.id.text)
            let path = "/v1/deliveries/\(try answer.string("delivery_id"))"
            #expect(try await world.send(.get, path, as: place.key)["state"]?.string == "pending")
        }
    }

    @Test(arguments: [true, false])
    func `what is not delivered yet stands in the way of a delete, unless it is forced`(enabled: Bool) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            if !enabled { _ = try await world.send(.post, "/v1/endpoints/\(id)/actions/disable", as: place.admin) }
            try await world.toggle(place.scene, times: 1)
            for path in ["/v1/endpoints/\(id)", "/v1/apps/\(place.app)"] {
                let refused = try await world.send(.delete, path, as: place.admin)
                #expect(refused.status == 409)
                #expect(refused.code == "undelivered_events")
                #expect(refused["error"]?["details"]?["endpoint_id"]?.string == id.text)
            }
            let dealer = try await world.send(.delete, "/v1/dealers/\(place.scene.dealer)", as: world.admin)
            #expect(dealer.status == 409)
            let forced = try await world.send(.delete, "/v1/endpoints/\(id)?force=true", as: place.admin)
            #expect(forced.status == 204)
        }
    }

    @Test func `events that an endpoint does not take do not stand in the way of its delete`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world, ["events": ["alarm.created"]])
            try await world.toggle(place.scene, times: 3)
            #expect(try await world.send(.delete, "/v1/endpoints/\(id)", as: place.admin).status == 204)
        }
    }

    @Test func `a site goes once its events are delivered`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 2)
            let site = "/v1/sites/\(place.scene.site)"
            let refused = try await world.send(.delete, site, as: place.admin)
            #expect(refused.status == 409 && refused.code == "undelivered_events", "\(refused.text)")
            #expect(refused["error"]?["details"]?["endpoint_id"]?.string == id.text)
            let dealer = DealerID(stored: place.scene.dealer)
            let last = EventPosition(dealerID: dealer, sequence: try await world.lastSequence(of: place.scene.dealer))
            _ = try await world.retry(sequence: 1, of: dealer, to: id)
            try await world.ledger.write { try $0.setCursor(EndpointCursor(endpointID: id, position: last)) }
            #expect(try await world.send(.delete, site, as: place.admin).code == "undelivered_events")
            _ = try await world.ledger.write { try $0.withdrawDeliveries(of: id, at: ServerWorld.start) }
            #expect(try await world.send(.delete, site, as: place.admin).status == 204)
        }
    }

    @Test func `a retry that is due stands in the way of a delete`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 1)
            let dealer = DealerID(stored: place.scene.dealer)
            _ = try await world.retry(sequence: 1, of: dealer, to: id)
            let last = EventPosition(dealerID: dealer, sequence: try await world.lastSequence(of: place.scene.dealer))
            try await world.ledger.write { try $0.setCursor(EndpointCursor(endpointID: id, position: last)) }
            #expect(try await world.send(.delete, "/v1/endpoints/\(id)", as: place.admin).code == "undelivered_events")
        }
    }

    @Test func `apps see their own endpoints, partners theirs, and neither the other's`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (other, otherKey) = try await world.app(of: place.scene.dealer, Set(Scope.allCases))
            let mine = try await place.endpoint(world)
            let theirs = try await world.endpoint(ofApp: other.text, as: place.admin).string("endpoint_id")
            let partner = place.scene.partner
            let body: JSON = ["url": "https://p.test/", "events": ["arming.state_changed"]]
            let path = "/v1/partners/\(partner.id)/endpoints"
            #expect(try await world.send(.post, path, as: place.admin, body).code == "permission_denied")
            let made = try await world.send(.post, path, as: world.admin, body)
            let partners = try made.string("endpoint_id")
            #expect(made["partner_id"]?.string == partner.id)

            let sight: [(String, String, Bool)] = [
                (place.key, mine.text, true), (place.key, theirs, false), (place.key, partners, false),
                (otherKey, theirs, true), (otherKey, mine.text, false), (partner.token, partners, true),
                (partner.token, mine.text, false), (place.admin, partners, false), (world.admin, partners, true),
            ]
            for (token, id, sees) in sight {
                let answer = try await world.send(.get, "/v1/endpoints/\(id)", as: token)
                #expect(answer.status == (sees ? 200 : 404), "\(id) as \(token): \(answer.text)")
            }
            let own = try await world.send(.get, "/v1/apps/\(place.app)/endpoints", as: place.key)
            #expect(own["data"]?.array?.compactMap { $0["endpoint_id"]?.string } == [mine.text])
            let listed = try await world.send(.get, path, as: partner.token)
            #expect(listed["data"]?.array?.compactMap { $0["endpoint_id"]?.string } == [partners])
            let stranger = try await world.partner("Stranger")
            #expect(try await world.send(.get, path, as: stranger.token).code == "partner_not_found")
            #expect(try await world.send(.get, "/v1/endpoints/\(partners)", as: stranger.token).status == 404)
            for action in ["test", "disable", "rotate-secret"] {
                let own = "/v1/endpoints/\(mine)/actions/\(action)"
                #expect(try await world.send(.post, own, as: place.key).code == "permission_denied")
                let foreign = "/v1/endpoints/\(partners)/actions/\(action)"
                #expect(try await world.send(.post, foreign, as: place.admin).code == "endpoint_not_found")
            }
        }
    }

    @Test func `the engine hears when a partner is revoked or linked, and when a dealer goes`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            let partner = place.scene.partner.id
            let second = try await world.dealer("Second")
            _ = world.deliveries.take()
            _ = try await world.send(.put, "/v1/dealers/\(second)/partners/\(partner)", as: world.admin)
            _ = try await world.send(.post, "/v1/partners/\(partner)/actions/revoke", as: world.admin)
            #expect(world.deliveries.take() == ["changed \(partner)", "changed \(partner)"])
            let path = "/v1/dealers/\(place.scene.dealer)?force=true"
            #expect(try await world.send(.delete, path, as: world.admin).status == 204)
            #expect(world.deliveries.take() == ["deleted \(id)"])
        }
    }

    @Test func `a repeated create of an endpoint shows the same secret, and makes one`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let path = "/v1/apps/\(place.app)/endpoints"
            let body: JSON = ["url": "https://a.test/", "events": ["partition.armed"]]
            let headers = ["Idempotency-Key": "once"]
            let first = try await world.send(.post, path, as: place.admin, body, headers: headers)
            let again = try await world.send(.post, path, as: place.admin, body, headers: headers)
            #expect(first.status == 201)
            #expect(again.text == first.text)
            let list = try await world.send(.get, path, as: place.admin)
            #expect(list["data"]?.array?.count == 1)
        }
    }

    private static func cursor(_ id: EndpointID, _ world: ServerWorld) async throws -> Int64 {
        try await world.ledger.read { try #require(try $0.cursors(of: id).first).sequence }
    }
}
