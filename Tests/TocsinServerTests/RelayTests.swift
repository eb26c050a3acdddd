import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// Relays over the API (decisions §7, §11).
@Suite struct RelayTests {
    private static let bridge: JSON = ["type": "webhook", "url": "https://bridge.example.test/relay"]
    private static let onAlarm: JSON = ["on": "alarm.created", "duration_seconds": 60]

    private static func relay(
        _ world: ServerWorld,
        _ shop: ServerWorld.Shop,
        _ changes: JSONObject = [:]
    ) async throws -> (id: String, path: String) {
        var body: JSONObject = ["name": "Siren"]
        for member in changes.members { body[member.name] = member.value }
        let made = try await world.send(.post, "\(shop.path)/relays", as: shop.key, .object(body))
        #expect(made.status == 201, "\(made.text)")
        try await world.settled()
        let id = try made.string("relay_id")
        return (id, "/v1/relays/\(id)")
    }

    @Test func `a relay is made, read, changed and deleted`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let rule: JSON = [
                "on": "alarm.created", "priorities": ["HIGH", "CRITICAL"], "classes": ["fire"], "partitions": [2, 1],
                "zones": [5], "silent": true, "duration_seconds": 30,
            ]
            let (_, path) = try await Self.relay(world, shop, ["rules": [rule], "actuator": Self.bridge])

            let read = try await world.send(.get, path, as: shop.key)
            #expect(read["rules"]?.array?.first?["partitions"] == [1, 2])
            #expect(read["rules"]?.array?.first?["silent"] == true)
            #expect(read["actuator"] == Self.bridge)
            #expect(read["is_active"] == false && read["trigger"] == nil && read["last_command"] == nil)
            #expect(!read.text.contains("secret"))
            let list = try await world.send(.get, "\(shop.path)/relays", as: shop.key)
            #expect(list["data"]?.array == [read.json])

            let changed = try await world.send(.patch, path, as: shop.key, ["name": "Horn", "rules": nil])
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["name"] == "Horn" && changed["rules"] == [])
            #expect(changed["actuator"] == Self.bridge)
            #expect(try await world.send(.delete, path, as: shop.key).status == 204)
            #expect(try await world.send(.get, path, as: shop.key).code == "relay_not_found")
        }
    }

    @Test func `a bridge's secret is shown once, and kept while nobody changes it`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let made = try await world.send(
                .post,
                "\(shop.path)/relays",
                as: shop.key,
                ["name": "Siren", "actuator": Self.bridge]
            )
            let secret = try made.string("secret")
            #expect(WebhookSecret.key(of: secret) != nil)
            #expect(made.headers[.cacheControl]?.contains("no-store") == true)
            let id = RelayID(stored: try made.string("relay_id"))
            let path = "/v1/relays/\(id)"
            func kept() async throws -> String {
                let stored = try await world.ledger.read { try $0.fixture(id.text, kind: .relay, within: .platform) }
                let sealed = try #require(stored?.settings["actuator"]?["sealed_secret"]?.string)
                #expect(!sealed.contains(secret))
                return try RelaySecret.opened(sealed, of: id, vault: world.services.vault)
            }
            #expect(try await kept() == secret)

            let moved: JSON = ["actuator": ["type": "webhook", "url": "https://other.example.test/"]]
            let patched = try await world.send(.patch, path, as: shop.key, moved)
            #expect(patched.status == 200 && patched["secret"] == nil)
            #expect(try await kept() == secret)
            let rotated = try await world.send(.post, "\(path)/actions/rotate-secret", as: shop.key)
            #expect(try await kept() == rotated.string("secret"))
            #expect(try rotated.string("secret") != secret)
            // One that the caller chose is not repeated.
            let own: JSON = [
                "actuator": ["type": "webhook", "url": "https://other.example.test/", "secret": .string(secret)]
            ]
            let set = try await world.send(.patch, path, as: shop.key, own)
            #expect(!set.text.contains(secret))
            #expect(try await kept() == secret)
            _ = try await world.send(.patch, path, as: shop.key, ["actuator": nil])
            #expect(try await world.send(.get, path, as: shop.key)["actuator"] == ["type": "log"])
            let none = try await world.send(.post, "\(path)/actions/rotate-secret", as: shop.key)
            #expect(none.code == "invalid_transition")
            for entry in try await world.send(.get, "/v1/audit?limit=200", as: world.admin)["data"]?.array ?? [] {
                #expect(!entry.text.contains("whsec_"))
            }
        }
    }

    @Test func `a relay is switched by hand, for as long as it was asked for last and longest`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (id, path) = try await Self.relay(world, shop)
            func activate(_ seconds: Int) async throws -> ServerWorld.Answer {
                try await world.send(.post, "\(path)/activate", as: shop.key, ["duration_seconds": JSON(seconds)])
            }

            let first = try await activate(30)
            #expect(first.status == 200, "\(first.text)")
            #expect(first["outcome"] == "activated" && first["is_active"] == true)
            #expect(first["active_until"] == .string((world.clock.now + .seconds(30)).rfc3339Seconds))
            #expect(try await activate(60)["outcome"] == "extended")
            #expect(try await activate(10)["outcome"] == "unchanged")

            let read = try await world.send(.get, path, as: shop.key)
            #expect(read["is_active"] == true)
            #expect(read["active_until"] == .string((world.clock.now + .seconds(60)).rfc3339Seconds))
            #expect(read["trigger"]?.string?.hasPrefix("manual:app_") == true)
            #expect(read["last_command"]?["command"] == "on")
            #expect(read["last_command"]?["state"] == "waiting")
            let events = try await world.log(of: shop.dealer).filter { $0.type == .relayActivated }
            #expect(events.count == 3)
            let last = try JSONParser.parse(events[2].body)
            #expect(last["data"]?["relay_id"] == .string(id))
            #expect(last["data"]?["duration_seconds"] == 10)
            #expect(last["data"]?["trigger"] == read["trigger"])

            let off = try await world.send(.post, "\(path)/deactivate", as: shop.key)
            #expect(off["outcome"] == "deactivated" && off["is_active"] == false && off["active_until"] == nil)
            let again = try await world.send(.post, "\(path)/deactivate", as: shop.key)
            #expect(again["outcome"] == "already_inactive")
            let actions = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)["data"]?.array?
                .compactMap { $0["action"]?.string }.filter { $0.hasPrefix("relay.") }
            #expect(
                actions == [
                    "relay.deactivate", "relay.deactivate", "relay.activate", "relay.activate", "relay.activate",
                    "relay.create",
                ]
            )
        }
    }

    @Test func `who switches a relay stays the same while it is on`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop, ["actuator": Self.bridge])
            let moved: JSON = ["actuator": ["type": "webhook", "url": "https://other.example.test/"]]
            let camera: JSON = ["name": "Camera", "type": "camera"]
            let made = try await world.send(.post, "\(shop.path)/devices", as: shop.key, camera)
            let device = try #require(made["device_id"])
            _ = try await world.send(.post, "\(path)/activate", as: shop.key, ["duration_seconds": 30])
            for change in [moved, ["actuator": nil], ["actuator": ["type": "log"]], ["device_id": device]] {
                let refused = try await world.send(.patch, path, as: shop.key, change)
                #expect(refused.status == 409 && refused.code == "invalid_transition", "\(refused.text)")
            }
            #expect(try await world.send(.get, path, as: shop.key)["actuator"] == Self.bridge)
            let same = try await world.send(.patch, path, as: shop.key, ["name": "Horn", "actuator": Self.bridge])
            #expect(same.status == 200, "\(same.text)")
            // The order to switch off is on its way to the present bridge.
            _ = try await world.send(.post, "\(path)/deactivate", as: shop.key)
            #expect(try await world.send(.patch, path, as: shop.key, moved).code == "invalid_transition")
        }
    }

    @Test func `a site is not deleted while a relay of it is on`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop)
            _ = try await world.send(.post, "\(path)/activate", as: shop.key, ["duration_seconds": 30])
            let refused = try await world.send(.delete, shop.path, as: shop.key)
            #expect(refused.status == 409 && refused.code == "deletion_refused", "\(refused.text)")
            #expect(try await world.send(.delete, "\(shop.path)?force=true", as: shop.key).status == 204)
        }
    }

    @Test func `the device of a relay that is on is deleted only by force, and so is the bridge in front of it`()
        async throws
    {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            func device(_ body: JSON) async throws -> JSON {
                try #require(try await world.send(.post, "\(shop.path)/devices", as: shop.key, body)["device_id"])
            }
            let bridge = try await device(["name": "Bridge", "type": "bridge"])
            let camera = try await device(["name": "Camera", "type": "camera", "bridge_id": bridge])
            let other = try await device(["name": "Other", "type": "camera", "bridge_id": bridge])
            let (id, path) = try await Self.relay(world, shop, ["device_id": camera])
            _ = try await world.send(.post, "\(path)/activate", as: shop.key, ["duration_seconds": 30])
            func remove(_ device: JSON, _ query: String = "") async throws -> ServerWorld.Answer {
                try await world.send(.delete, "/v1/devices/\(device.string ?? "")\(query)", as: shop.key)
            }
            for part in [camera, bridge] {
                let refused = try await remove(part)
                #expect(refused.status == 409 && refused.code == "deletion_refused", "\(refused.text)")
                #expect(refused.json["error"]?["details"]?["relay_id"]?.string == id)
            }
            #expect(try await remove(other).status == 204)
            // Nobody has told it to switch off yet.
            _ = try await world.send(.post, "\(path)/deactivate", as: shop.key)
            #expect(try await remove(camera).code == "deletion_refused")
            #expect(try await remove(camera, "?force=true").status == 204)
            #expect(try await remove(bridge).status == 204)
        }
    }

    @Test func `an alarm that is raised at a silent zone switches nothing`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop, ["rules": [Self.onAlarm]])
            for (number, type, silent) in [(91, "h24_panic_silent", false), (92, "h24_panic_audible", true)] {
                let zone: JSON = [
                    "number": JSON(number), "name": .string("Button \(number)"), "type": .string(type),
                    "silent": .bool(silent),
                ]
                let made = try await world.send(.post, "\(shop.path)/zones", as: shop.key, zone)
                #expect(made.status == 201, "\(made.text)")
                try await world.settled()
                let body: JSON = [
                    "site_id": .string(shop.site), "class": "panic", "trigger": "panic", "zone": JSON(number),
                ]
                let raised = try await world.send(.post, "/v1/alarms", as: shop.key, body)
                #expect(raised.status == (number == 91 ? 201 : 200), "\(raised.text)")
                #expect(raised["silent"] == true)
                #expect(try await world.send(.get, path, as: shop.key)["is_active"] == false)
            }
        }
    }

    @Test func `a repeated order with the same key switches once`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop)
            let headers = ["Idempotency-Key": "k1"]
            let body: JSON = ["duration_seconds": 30]
            let first = try await world.send(.post, "\(path)/activate", as: shop.key, body, headers: headers)
            world.clock.advance(.seconds(20))
            let second = try await world.send(.post, "\(path)/activate", as: shop.key, body, headers: headers)

            #expect(second.json == first.json)
            #expect(try await world.log(of: shop.dealer).count { $0.type == .relayActivated } == 1)
        }
    }

    @Test func `an alarm switches by rule; what switched it is told to those only who hear of alarms`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let silentRule: JSON = ["on": "alarm.created", "duration_seconds": 60, "silent": true]
            let loud = try await Self.relay(world, shop, ["name": "Siren", "rules": [Self.onAlarm]])
            let quiet = try await Self.relay(world, shop, ["name": "Lock", "rules": [silentRule]])
            let (_, blind) = try await world.app(of: shop.dealer, [.devicesRead, .sitesRead, .relaysWrite])
            let before = try await world.arming(shop)

            // Duress: a silent alarm.
            let answer = try await world.command("disarm", shop, code: ServerWorld.Shop.duressCode)
            #expect(answer.status == 200)

            #expect(try await world.send(.get, loud.path, as: shop.key)["is_active"] == false)
            let seen = try await world.send(.get, quiet.path, as: shop.key)
            #expect(seen["is_active"] == true)
            #expect(seen["trigger"] == "alarm.created:A-1")
            let shown = try await world.send(.get, quiet.path, as: blind)
            #expect(shown["is_active"] == true && shown["trigger"] == nil)
            // Nothing but the relay itself shows it.
            let after = try await world.arming(shop)
            #expect(
                after["partitions"]?.array?.map { $0["in_alarm"] }
                    == before["partitions"]?.array?.map { $0["in_alarm"] }
            )
            let version = after.headers[.eTag]
            _ = try await world.send(.post, "\(quiet.path)/deactivate", as: shop.key)
            #expect(try await world.arming(shop).headers[.eTag] == version)
            let events = try await world.events(as: blind, "?limit=200")
            #expect(!events.types.contains("relay.activated") && !events.types.contains("alarm.created"))
            let told = try await world.log(of: shop.dealer).filter { $0.type == .relayActivated }
            #expect(told.count == 1)
            let trigger = try JSONParser.parse(try #require(told.first).body)["data"]?["trigger"]
            #expect(trigger == "alarm.created:A-1")
        }
    }

    @Test(
        arguments: [
            (["name": ""], "name", "validation_failed"),
            (["name": "S", "device_id": "dev_none"], "device_id", "device_not_found"),
            (
                ["name": "S", "rules": [["on": "alarm.resolved", "duration_seconds": 5]]], "rules[0].on",
                "validation_failed"
            ),
            (["name": "S", "rules": [["on": "alarm.created"]]], "rules[0].duration_seconds", "validation_failed"),
            (
                ["name": "S", "rules": [["on": "alarm.created", "duration_seconds": 0]]], "rules[0].duration_seconds",
                "validation_failed"
            ),
            (
                ["name": "S", "rules": [["on": "alarm.created", "duration_seconds": 5, "zones": [77]]]],
                "rules[0].zones", "validation_failed"
            ),
            (
                ["name": "S", "rules": [["on": "alarm.created", "duration_seconds": 5, "partitions": [77]]]],
                "rules[0].partitions", "validation_failed"
            ),
            (["name": "S", "actuator": ["type": "telnet"]], "actuator.type", "validation_failed"),
            (["name": "S", "actuator": ["type": "webhook"]], "actuator.url", "validation_failed"),
            (
                ["name": "S", "actuator": ["type": "log", "url": "https://a.test/"]], "actuator.url",
                "validation_failed"
            ),
            (
                ["name": "S", "actuator": ["type": "webhook", "url": "http://169.254.169.254/"]], "actuator.url",
                "validation_failed"
            ),
            (
                ["name": "S", "actuator": ["type": "webhook", "url": "https://a.test/", "secret": "1234"]],
                "actuator.secret", "validation_failed"
            ),
        ] as [(JSON, String, String)]
    )
    func `a relay that cannot be is refused by its member, and nothing is kept`(
        body: JSON,
        field: String,
        code: String
    ) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let answer = try await world.send(.post, "\(shop.path)/relays", as: shop.key, body)
            #expect(answer.code == code, "\(answer.text)")
            #expect(answer.field == field, "\(answer.text)")
            #expect(try await world.send(.get, "\(shop.path)/relays", as: shop.key)["data"] == [])
        }
    }

    @Test(arguments: [[:], ["duration_seconds": 0], ["duration_seconds": 3601], ["duration_seconds": "30"]] as [JSON])
    func `a time that cannot be switches nothing`(body: JSON) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop)
            let answer = try await world.send(.post, "\(path)/activate", as: shop.key, body)
            #expect(answer.status == 422 && answer.field == "duration_seconds")
            #expect(try await world.send(.get, path, as: shop.key)["is_active"] == false)
        }
    }

    @Test func `a relay that is on, or was not told yet to switch off, is deleted only by force`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, path) = try await Self.relay(world, shop)
            _ = try await world.send(.post, "\(path)/activate", as: shop.key, ["duration_seconds": 60])
            #expect(try await world.send(.delete, path, as: shop.key).code == "deletion_refused")
            _ = try await world.send(.post, "\(path)/deactivate", as: shop.key)
            let waiting = try await world.send(.delete, path, as: shop.key)
            #expect(waiting.code == "deletion_refused", "\(waiting.text)")
            #expect(try await world.send(.delete, "\(path)?force=true", as: shop.key).status == 204)
        }
    }

    @Test func `a relay that a schedule switches on is deleted only by force, or after the schedule`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (id, path) = try await Self.relay(world, shop)
            let rule: JSON = [
                "name": "Gate at noon", "activate": .string(id), "duration_seconds": 5, "at": "12:00", "days": ["mon"],
            ]
            let made = try await world.send(.post, "\(shop.path)/schedules", as: shop.key, rule)
            #expect(made.status == 201, "\(made.text)")
            let refused = try await world.send(.delete, path, as: shop.key)
            #expect(refused.code == "deletion_refused" && refused.text.contains("Gate at noon"), "\(refused.text)")
            #expect(refused["error"]?["details"]?["schedule_id"] == made["schedule_id"])
            let schedule = "\(shop.path)/schedules/\(try made.string("schedule_id"))"
            #expect(try await world.send(.delete, schedule, as: shop.key).status == 204)
            #expect(try await world.send(.delete, path, as: shop.key).status == 204)
        }
    }

    @Test func `another tenant's relay does not exist, and scopes are asked`() async throws {
        try await ServerWorld.run { world in
            let mine = try await world.shop("Mine")
            let theirs = try await world.shop("Theirs")
            let (id, path) = try await Self.relay(world, theirs)
            let calls: [(HTTPRequest.Method, String, JSON?)] = [
                (.get, path, nil), (.patch, path, ["name": "Stolen"]), (.delete, path, nil),
                (.post, "\(path)/activate", ["duration_seconds": 5]), (.post, "\(path)/deactivate", nil),
                (.post, "\(path)/actions/rotate-secret", nil),
            ]
            let outsider = try await world.partner("PanelCo")
            for token in [mine.key, try await world.dealerAdmin(of: mine.dealer), outsider.token] {
                for (method, path, body) in calls {
                    let answer = try await world.send(method, path, as: token, body)
                    #expect(
                        answer.status == 404 && answer.code == "relay_not_found",
                        "\(method) \(path): \(answer.text)"
                    )
                }
                let list = try await world.send(.get, "\(theirs.path)/relays", as: token)
                #expect(list.code == "site_not_found")
            }
            // A rule of mine cannot switch a relay of theirs.
            let rule: JSON = ["activate": .string(id), "duration_seconds": 5, "at": "18:00"]
            let schedule = try await world.send(.post, "\(mine.path)/schedules", as: mine.key, rule)
            #expect(schedule.code == "relay_not_found" && schedule.field == "activate")

            let (_, reader) = try await world.app(of: theirs.dealer, [.devicesRead, .sitesWrite])
            for action in ["activate", "deactivate"] {
                let body: JSON? = action == "activate" ? ["duration_seconds": 5] : nil
                let answer = try await world.send(.post, "\(path)/\(action)", as: reader, body)
                #expect(answer.code == "permission_denied")
            }
            let (_, switcher) = try await world.app(of: theirs.dealer, [.relaysWrite])
            let on = try await world.send(.post, "\(path)/activate", as: switcher, ["duration_seconds": 5])
            #expect(on.status == 200)
            #expect(try await world.send(.get, path, as: switcher).code == "permission_denied")
            #expect(try await world.send(.patch, path, as: switcher, ["name": "X"]).code == "permission_denied")
        }
    }

    @Test func `a schedule switches a relay, and shows when`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (id, _) = try await Self.relay(world, shop)
            let rule: JSON = ["activate": .string(id), "duration_seconds": 300, "at": "18:00"]
            let made = try await world.send(.post, "\(shop.path)/schedules", as: shop.key, rule)
            #expect(made.status == 201, "\(made.text)")
            #expect(made["partition"] == nil)
            #expect(made["next_runs"]?.array?.first?["action"] == "activate")
            #expect(made["name"]?.string?.contains(id) == true)
            let path = "\(shop.path)/schedules/\(try made.string("schedule_id"))"
            // Made to arm, it names a relay no more, and needs a partition.
            let without = try await world.send(.patch, path, as: shop.key, ["arm": "away"])
            #expect(without.field == "partition")
            let armed = try await world.send(.patch, path, as: shop.key, ["arm": "away", "partition": 1])
            #expect(armed.status == 200 && armed["activate"] == nil && armed["duration_seconds"] == nil)
        }
    }
}

extension ServerWorld {
    fileprivate func log(of dealer: String) async throws -> [LoggedEvent] {
        try await ledger.read { try $0.events(of: DealerID(stored: dealer), after: 0, limit: 1_000) }
    }
}
