import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// Alarms over HTTP (decisions §6).
@Suite struct AlarmTests {
    private static let dispatch: JSON = [
        "responder_id": "rsp_8x2k", "responder_type": "guard", "eta_seconds": 240,
        "tracking_url": "https://dispatch.example.test/d/1",
    ]

    @Test func `an operator works an alarm from its beginning to its end, and finds the whole story`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            let opened = try await desk.get()
            #expect(opened["state"] == "open" && opened["priority"] == "HIGH" && opened["trigger"] == "door-forced")
            #expect(opened["zones"]?.array?.first?["name"] == "Back Door" && opened["location"] == "Back Door")
            #expect(opened.headers[.eTag] == "\"1\"")

            let asked = try await desk.act("verification", ["deadline_seconds": 90])
            #expect(asked["verification"]?["state"] == "open" && asked["verification"]?["requested_by"] == "app")
            let answered = try await desk.act("verification/answer", ["verdict": "confirmed", "notes": "a person"])
            #expect(answered["verification"]?["verdict"] == "confirmed" && answered["state"] == "open")
            let annotated = try await desk.act(
                "annotate",
                ["source": "model", "verdict": "person", "confidence": .decimal("0.92")]
            )
            #expect(annotated.status == 200, "\(annotated.text)")
            let taken = try await desk.act("acknowledge", ["reason": "AI verified, confidence=0.92"])
            #expect(taken["acknowledged"]?["operator_id"]?.string == desk.appID)
            let sent = try await desk.act("dispatch", Self.dispatch)
            #expect(sent["dispatched"]?["eta_seconds"] == 240 && sent["state"] == "dispatched")
            let closed = try await desk.act("resolve", ["resolution": "false-positive", "notes": "Cleaning crew"])
            #expect(closed["state"] == "resolved" && closed["resolved"]?["resolution"] == "false-positive")

            let story = try await desk.get()
            let kinds = story["timeline"]?.array?.compactMap { $0["kind"]?.string } ?? []
            #expect(
                kinds == [
                    "created", "verification_requested", "verification_answered", "annotated", "acknowledged",
                    "dispatched", "resolved",
                ]
            )
            #expect(story["version"]?.integer == Int64(kinds.count) && story.headers[.eTag] == closed.headers[.eTag])
            let log = try await world.send(.get, "/v1/events?after=0", as: desk.shop.key)
            let events = log["data"]?.array?.compactMap { $0["event"] } ?? []
            let acknowledged = events.first { $0["type"] == "alarm.acknowledged" }
            let data: JSON = [
                "alarm_id": .string(desk.number), "operator_id": .string(desk.appID),
                "reason": "AI verified, confidence=0.92",
            ]
            #expect(acknowledged?["data"] == data)
            #expect(try await world.arming(desk.shop).partition(0, "in_alarm") == false)
        }
    }

    @Test func `what cannot be done is refused with a clear code, and changes nothing`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            _ = try await desk.act("resolve", ["resolution": "handled"])
            let before = try await desk.get().text
            let twice = try await desk.act("resolve", ["resolution": "handled"])
            #expect(twice.status == 409 && twice.code == "invalid_alarm_transition")
            let details = twice.json["error"]?["details"]
            #expect(details?["state"] == "resolved" && details?["by"]?.string == desk.appID && details?["at"] != nil)
            for (action, body) in [
                ("acknowledge", [:] as JSON), ("dispatch", Self.dispatch), ("escalate", ["reason": "x"]),
                ("verification", [:]), ("verification/answer", ["verdict": "confirmed"]),
            ] {
                let refused = try await desk.act(action, body)
                #expect(
                    refused.status == 409 && refused.code == "invalid_alarm_transition",
                    "\(action) \(refused.text)"
                )
            }
            #expect(try await desk.get().text == before)
            let audit = try await world.send(.get, "/v1/audit?action=alarm.resolve", as: world.admin)
            let results = audit["data"]?.array?.compactMap { $0["result"]?.string } ?? []
            #expect(results == ["invalid_alarm_transition", "ok"])
        }
    }

    static let malformed: [(action: String, body: JSON, field: String)] = [
        ("dispatch", ["responder_id": "r", "responder_type": "guard"], "eta_seconds"),
        ("dispatch", ["responder_id": "r", "responder_type": "guard", "eta_seconds": -1], "eta_seconds"),
        ("dispatch", ["responder_id": "r", "responder_type": "guard", "eta_seconds": 86_401], "eta_seconds"),
        (
            "dispatch",
            ["responder_id": "r", "responder_type": "guard", "eta_seconds": 1, "tracking_url": "http://a.test/"],
            "tracking_url"
        ),
        (
            "dispatch",
            ["responder_id": "r", "responder_type": "guard", "eta_seconds": 1, "tracking_url": "https://a:b@c.test/"],
            "tracking_url"
        ),
        ("resolve", ["resolution": "done"], "resolution"), ("resolve", [:], "resolution"),
        ("escalate", [:], "reason"), ("escalate", ["reason": "x", "priority": "LOW"], "priority"),
        ("annotate", ["source": "me"], "notes"), ("annotate", ["confidence": .decimal("1.5")], "confidence"),
        ("annotate", ["confidence": "high"], "confidence"),
        ("verification", ["deadline_seconds": 9], "deadline_seconds"),
        ("verification", ["deadline_seconds": 3601], "deadline_seconds"),
        ("verification/answer", ["verdict": "maybe"], "verdict"),
    ]

    @Test func `a faulty body is refused with its field, and nothing has changed`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            let before = try await desk.get().text
            for (action, body, field) in Self.malformed {
                let refused = try await desk.act(action, body)
                #expect(refused.status == 422 && refused.field == field, "\(action) \(body.text): \(refused.text)")
            }
            #expect(try await desk.get().text == before)
        }
    }

    @Test func `an answer after the deadline is too late, and the alarm was escalated`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            _ = try await desk.act("verification", [:])
            let second = try await desk.act("verification", [:])
            #expect(second.status == 409 && second.json["error"]?["details"]?["deadline"] != nil)
            world.clock.advance(.seconds(90))
            let late = try await desk.act("verification/answer", ["verdict": "confirmed"])
            #expect(late.status == 409 && late.code == "invalid_alarm_transition", "\(late.text)")
            let after = try await desk.get()
            #expect(after["priority"] == "CRITICAL" && after["verification"]?["state"] == "expired")
            #expect(after["escalated"]?["reason"] == "verification-expired")
        }
    }

    @Test func `the second of two operators is told who was first, by If-Match too`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            let (_, other) = try await world.app(of: desk.shop.dealer, [.eventsRead, .eventsWrite])
            let stale = ["If-Match": "\"1\""]
            let first = try await desk.act("acknowledge", [:], headers: stale)
            #expect(first.status == 200 && first.headers[.eTag] == "\"2\"")
            let second = try await desk.act("acknowledge", [:], as: other)
            #expect(second.status == 409 && second.json["error"]?["details"]?["by"]?.string == desk.appID)
            let conflict = try await desk.act("annotate", ["notes": "x"], as: other, headers: stale)
            #expect(conflict.status == 412 && conflict.code == "version_conflict")
        }
    }

    @Test func `alarms are raised, joined, and named by the number that the commit gave, repeated or not`() async throws
    {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let key = ["Idempotency-Key": "k-1"]
            let body: JSON = ["site_id": .string(shop.site), "zone": 5, "trigger": "motion"]
            let raised = try await world.send(.post, "/v1/alarms", as: shop.key, body, headers: key)
            #expect(raised.status == 201, "\(raised.text)")
            #expect(raised["alarm_id"] == "A-1" && raised["location"] == "Back Door" && raised["class"] == "intrusion")
            #expect(raised["partition_id"]?.string == shop.partitions[0])
            let again = try await world.send(.post, "/v1/alarms", as: shop.key, body, headers: key)
            #expect(again.status == 201 && again.text == raised.text)
            #expect(again.headers[.idempotencyReplayed] == "true")
            let joined = try await world.send(.post, "/v1/alarms", as: shop.key, body)
            #expect(joined.status == 200 && joined["alarm_id"] == "A-1" && joined["version"] == 2)
            let fire: JSON = [
                "site_id": .string(shop.site), "class": "fire", "trigger": "smoke", "partition": 2,
                "location": "Kitchen",
            ]
            let second = try await world.send(.post, "/v1/alarms", as: shop.key, fire)
            #expect(second["alarm_id"] == "A-2" && second["priority"] == "CRITICAL")
            let log = try await world.send(.get, "/v1/events?after=0", as: shop.key)
            let types = log["data"]?.array?.compactMap { $0["type"]?.string } ?? []
            #expect(types == ["alarm.created", "alarm.activity", "alarm.created"])
        }
    }

    @Test func `what cannot be raised is refused with the field at fault`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let other = try await world.shop("Bolt")
            let cases: [(JSONObject, Int, String)] = [
                (["trigger": "x", "site_id": "site_nothing"], 404, "site_id"),
                (["trigger": "x", "site_id": .string(other.site)], 404, "site_id"),
                (["site_id": .string(shop.site)], 422, "trigger"),
                (["trigger": "x", "site_id": .string(shop.site), "zone": 99], 404, "zone"),
                (["trigger": "x", "site_id": .string(shop.site), "partition": 9], 404, "partition"),
                (["trigger": "x", "site_id": .string(shop.site), "partition": "all"], 422, "partition"),
                (["trigger": "x", "site_id": .string(shop.site), "partition": 2, "zone": 5], 422, "partition"),
                (["trigger": "x", "site_id": .string(shop.site), "device_id": "dev_nothing"], 404, "device_id"),
                (["trigger": "x", "site_id": .string(shop.site), "class": "boredom"], 422, "class"),
            ]
            let urgent: [(JSONObject, Int, String)] = ["duress", "panic", "fire"].map { name in
                let body: JSONObject = [
                    "trigger": "x", "site_id": .string(shop.site), "class": .string(name), "priority": "LOW",
                ]
                return (body, 422, "priority")
            }
            for (body, status, field) in cases + urgent {
                let refused = try await world.send(.post, "/v1/alarms", as: shop.key, .object(body))
                #expect(refused.status == status && refused.field == field, "\(body): \(refused.text)")
            }
            #expect(try await world.counts()["alarm"] == 0)
        }
    }

    @Test func `lists show the newest first, filtered, to those who may see them`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            for (index, alarmClass) in ["intrusion", "fire", "tamper"].enumerated() {
                world.clock.advance(.seconds(10))
                let body: JSON = [
                    "site_id": .string(shop.site), "class": .string(alarmClass), "trigger": "x",
                ]
                let raised = try await world.send(.post, "/v1/alarms", as: shop.key, body)
                #expect(raised["alarm_id"]?.string == "A-\(index + 1)")
            }
            func ids(_ query: String, as token: String? = nil) async throws -> [String] {
                let answer = try await world.send(.get, "/v1/alarms\(query)", as: token ?? shop.key)
                #expect(answer.status == 200, "\(answer.text)")
                return answer["data"]?.array?.compactMap { $0["alarm_id"]?.string } ?? []
            }
            #expect(try await ids("") == ["A-3", "A-2", "A-1"])
            #expect(try await ids("?state=open&priority=CRITICAL") == ["A-2"])
            #expect(try await ids("?class=tamper&site_id=\(shop.site)") == ["A-3"])
            #expect(try await ids("", as: world.admin) == ["A-3", "A-2", "A-1"])
            let since = (world.clock.now - .seconds(10)).rfc3339Milliseconds
            #expect(try await ids("?since=\(since)") == ["A-3", "A-2"])
            let first = try await world.send(.get, "/v1/alarms?limit=2", as: shop.key)
            let cursor = try #require(first["next_cursor"]?.string)
            #expect(try await ids("?limit=2&cursor=\(cursor)") == ["A-1"])
            let bad = try await world.send(.get, "/v1/alarms?cursor=c31", as: shop.key)
            #expect(bad.status == 422 && bad.code == "invalid_cursor")
            let foreign = try await world.send(.get, "/v1/alarms?site_id=site_other", as: shop.key)
            #expect(foreign.status == 404 && foreign.code == "site_not_found")
        }
    }

    @Test func `a number needs its dealer from whoever reaches several, and another tenant's is unknown`() async throws
    {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            let unnamed = try await world.send(.get, "/v1/alarms/A-1", as: world.admin)
            #expect(unnamed.status == 422 && unnamed.code == "dealer_required")
            let named = try await world.send(
                .get,
                "/v1/alarms/A-1?dealer_id=\(desk.shop.dealer)",
                as: world.admin
            )
            #expect(named.status == 200 && named["alarm_id"] == "A-1")
            let other = try await world.shop("Bolt")
            for id in ["A-1", "A-99", "A-0", "nonsense"] {
                for action in ["", "/acknowledge"] {
                    let answer = try await world.send(
                        action.isEmpty ? .get : .post,
                        "/v1/alarms/\(id)\(action)",
                        as: other.key,
                        action.isEmpty ? nil : [:]
                    )
                    #expect(answer.status == 404 && answer.code == "alarm_not_found", "\(id): \(answer.text)")
                }
            }
            let partner = try await world.partner("Strangers")
            let strange = try await world.send(
                .get,
                "/v1/alarms/A-1?dealer_id=\(desk.shop.dealer)",
                as: partner.token
            )
            #expect(strange.status == 404 && strange.code == "dealer_not_found")
        }
    }

    @Test func `scopes are what decisions say: reading, working, and dispatching are three`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk()
            func status(_ scopes: Set<Scope>, _ action: String, _ body: JSON?) async throws -> Int {
                let (_, key) = try await world.app(of: desk.shop.dealer, scopes)
                if action == "get" { return try await world.send(.get, "/v1/alarms/A-1", as: key).status }
                return try await desk.act(action, body ?? [:], as: key).status
            }
            #expect(try await status([.eventsRead], "get", nil) == 200)
            #expect(try await status([.eventsWrite, .alarmsWrite], "get", nil) == 403)
            #expect(try await status([.eventsRead, .alarmsWrite], "acknowledge", [:]) == 403)
            #expect(try await status([.eventsRead, .eventsWrite], "dispatch", Self.dispatch) == 403)
            #expect(try await status([.eventsRead, .eventsWrite], "annotate", ["notes": "x"]) == 200)
            #expect(try await status([.alarmsWrite], "dispatch", Self.dispatch) == 200)
        }
    }

    @Test func `a hidden alarm is unknown to whoever may not read events, and joins nothing of theirs`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await world.command("arm", shop, ["instant_arm": true])
            _ = try await world.command("disarm", shop, code: ServerWorld.Shop.duressCode)
            let listed = try await world.send(.get, "/v1/alarms?class=duress", as: shop.key)
            let number = try #require(listed["data"]?.array?.first?["alarm_id"]?.string)
            let (_, blind) = try await world.app(of: shop.dealer, [.eventsWrite, .alarmsWrite, .sitesRead])
            for action in ["acknowledge", "annotate"] {
                let answer = try await world.send(.post, "/v1/alarms/\(number)/\(action)", as: blind, ["notes": "x"])
                #expect(answer.status == 404, "\(answer.text)")
            }
            let body: JSON = ["site_id": .string(shop.site), "class": "duress", "trigger": "duress"]
            let raised = try await world.send(.post, "/v1/alarms", as: blind, body)
            #expect(raised.status == 201 && raised["trigger"] == nil && raised["alarm_id"]?.string != number)
            let seen = try await world.send(.post, "/v1/alarms", as: shop.key, body)
            #expect(seen.status == 200)
            // Working it leaves no trace in what the premises see.
            let before = try await world.arming(shop, as: blind)
            _ = try await world.send(.post, "/v1/alarms/\(number)/resolve", as: shop.key, ["resolution": "handled"])
            let after = try await world.arming(shop, as: blind)
            #expect(before.text == after.text && before.headers[.eTag] == after.headers[.eTag])
        }
    }

    @Test func `a dealer's wish to resolve cancelled alarms is a setting`() async throws {
        try await ServerWorld.run { world in
            let desk = try await world.alarmDesk(resolving: true)
            let dealer = try await world.send(.get, "/v1/dealers/\(desk.shop.dealer)", as: world.admin)
            #expect(dealer["auto_resolve_cancelled"] == true)
            _ = try await world.command("disarm", desk.shop)
            let alarm = try await desk.get()
            #expect(alarm["state"] == "resolved" && alarm["priority"] == "LOW")
            #expect(alarm["resolved"]?["operator_id"] == "tocsin")
        }
    }

    @Test func `a site with an alarm that is not resolved is not deleted unless that is forced`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let body: JSON = ["site_id": .string(shop.site), "trigger": "motion"]
            _ = try await world.send(.post, "/v1/alarms", as: shop.key, body)
            let refused = try await world.send(.delete, shop.path, as: world.admin)
            #expect(refused.status == 409 && refused.code == "site_in_alarm", "\(refused.text)")
            let forced = try await world.send(.delete, "\(shop.path)?force=true", as: world.admin)
            #expect(forced.status == 204)
            let kept = try await world.send(.get, "/v1/alarms/A-1", as: shop.key)
            #expect(kept.status == 200)
            let orphan = try await world.send(.post, "/v1/alarms/A-1/acknowledge", as: shop.key, [:])
            #expect(orphan.status == 409 && orphan.code == "invalid_alarm_transition")
        }
    }
}

/// Where a shop's alarm is worked, by the shop's app unless another one is named.
struct ServerAlarmDesk: Sendable {
    let world: ServerWorld
    let shop: ServerWorld.Shop
    let number: String
    let appID: String

    func get() async throws -> ServerWorld.Answer {
        try await world.send(.get, "/v1/alarms/\(number)", as: shop.key)
    }

    func act(
        _ action: String,
        _ body: JSON,
        as token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> ServerWorld.Answer {
        try await world.send(
            .post,
            "/v1/alarms/\(number)/\(action)",
            as: token ?? shop.key,
            body,
            headers: headers
        )
    }
}

extension ServerWorld {
    /// A shop whose back door was opened while it was armed.
    func alarmDesk(resolving: Bool = false) async throws -> ServerAlarmDesk {
        let dealer = try await dealer("Acme")
        if resolving {
            let path = "/v1/dealers/\(dealer)"
            let changed = try await send(.patch, path, as: admin, ["auto_resolve_cancelled": true])
            #expect(changed.status == 200)
        }
        let (id, key) = try await app(of: dealer, Set(Scope.allCases))
        let shop = try await shop("Acme", of: dealer, key: key)
        _ = try await command("arm", shop, ["instant_arm": true])
        clock.advance(.seconds(10))
        _ = try await signal(shop, 5, "open")
        let listed = try await send(.get, "/v1/alarms?state=open", as: key)
        let number = try #require(listed["data"]?.array?.first?["alarm_id"]?.string, "\(listed.text)")
        return ServerAlarmDesk(world: self, shop: shop, number: number, appID: id.text)
    }
}
