import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// Devices over HTTP: made, changed, deleted, and their signs of life (decisions §7, §11).
struct DeviceTests {
    private static func add(
        _ name: String,
        _ type: String,
        to shop: ServerWorld.Shop,
        _ world: ServerWorld,
        _ more: JSONObject = [:]
    ) async throws -> String {
        var body: JSONObject = ["name": .string(name), "type": .string(type)]
        for member in more.members { body[member.name] = member.value }
        let made = try await world.send(.post, "\(shop.path)/devices", as: shop.key, .object(body))
        #expect(made.status == 201, "\(made.text)")
        return try made.string("device_id")
    }

    // MARK: Management

    @Test func `a device is made, changed, listed and deleted`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let bridge = try await Self.add("Bridge", "bridge", to: shop, world)
            let camera = try await Self.add(
                "Hall camera",
                "camera",
                to: shop,
                world,
                ["bridge_id": .string(bridge), "firmware_version": "1.0"]
            )
            let path = "/v1/devices/\(camera)"
            #expect(
                try await world.send(.get, path, as: shop.key).json == [
                    "device_id": .string(camera), "site_id": .string(shop.site), "name": "Hall camera",
                    "type": "camera", "bridge_id": .string(bridge), "firmware_version": "1.0", "status": "unknown",
                ]
            )
            let change: JSON = ["name": "Door camera", "bridge_id": nil, "firmware_version": nil]
            let changed = try await world.send(.patch, path, as: shop.key, change)
            #expect(changed["name"]?.string == "Door camera")
            #expect(changed["bridge_id"] == nil && changed["firmware_version"] == nil)

            for list in ["\(shop.path)/devices", "/v1/devices", "/v1/devices?status=unknown&site_id=\(shop.site)"] {
                let ids = try await world.send(.get, list, as: shop.key)["data"]?.array?.compactMap {
                    $0["device_id"]?.string
                }
                #expect(Set(ids ?? []) == [bridge, camera], "\(list)")
            }
            #expect(try await world.send(.delete, path, as: shop.key).status == 204)
            #expect(try await world.send(.get, path, as: shop.key).code == "device_not_found")
            #expect(try await world.send(.post, "\(path)/heartbeat", as: shop.key).code == "device_not_found")
        }
    }

    @Test(
        arguments: [
            (["type": "camera"], "name", 422), (["name": "", "type": "camera"], "name", 422),
            (["name": "Cam", "type": "kamera"], "type", 422), (["name": "Cam"], "type", 422),
            (["name": "Cam", "type": "camera", "bridge_id": "dev_unknown"], "bridge_id", 404),
            (["name": "Cam", "type": "camera", "bridge_id": "{camera}"], "bridge_id", 422),
            (["name": "Cam", "type": "camera", "firmware_version": ""], "firmware_version", 422),
            (["name": "Bridge", "type": "bridge"], "name", 409),
        ] as [(JSONObject, String, Int)]
    )
    func `a faulty device is refused, and the field is named`(body: JSONObject, field: String, status: Int) async throws
    {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await Self.add("Bridge", "bridge", to: shop, world)
            let camera = try await Self.add("Other", "camera", to: shop, world)
            var body = body
            if body["bridge_id"]?.string == "{camera}" { body["bridge_id"] = .string(camera) }
            let answer = try await world.send(.post, "\(shop.path)/devices", as: shop.key, .object(body))
            #expect(answer.status == status && answer.field == field, "\(answer.text)")
        }
    }

    @Test func `a bridge that carries devices stays one, and its deletion lets them go`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let bridge = try await Self.add("Bridge", "bridge", to: shop, world)
            let camera = try await Self.add("Cam", "camera", to: shop, world, ["bridge_id": .string(bridge)])
            let refused = try await world.send(.patch, "/v1/devices/\(bridge)", as: shop.key, ["type": "panel"])
            #expect(refused.status == 422 && refused.field == "type", "\(refused.text)")
            #expect(try await world.send(.delete, "/v1/devices/\(bridge)", as: shop.key).status == 204)
            #expect(try await world.send(.get, "/v1/devices/\(camera)", as: shop.key)["bridge_id"] == nil)
        }
    }

    @Test func `a bridge hangs on another, but not on itself by way of others`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let first = try await Self.add("First", "bridge", to: shop, world)
            let second = try await Self.add("Second", "bridge", to: shop, world, ["bridge_id": .string(first)])
            let third = try await Self.add("Third", "bridge", to: shop, world, ["bridge_id": .string(second)])
            for bridge in [first, second, third] {
                let body: JSON = ["bridge_id": .string(bridge)]
                let refused = try await world.send(.patch, "/v1/devices/\(first)", as: shop.key, body)
                #expect(refused.status == 422 && refused.field == "bridge_id", "\(refused.text)")
            }
            let moved = try await world.send(.patch, "/v1/devices/\(second)", as: shop.key, ["bridge_id": nil])
            #expect(moved.status == 200, "\(moved.text)")
            let free = try await world.send(.patch, "/v1/devices/\(first)", as: shop.key, ["bridge_id": .string(third)])
            #expect(free.status == 200, "\(free.text)")
        }
    }

    @Test func `a device whose zones guard something is deleted only by force, and its zones lose it`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let zones = try await world.send(.get, "\(shop.path)/zones", as: shop.key)["data"]?.array ?? []
            let zone = try #require(zones.first?["zone_id"]?.string)
            let path = "\(shop.path)/zones/\(zone)"
            #expect(try await world.send(.patch, path, as: shop.key, ["device_id": .string(camera)]).status == 200)
            try await world.settled()
            #expect(try await world.command("arm", shop).status == 200)
            let refused = try await world.send(.delete, "/v1/devices/\(camera)", as: shop.key)
            #expect(refused.status == 409 && refused.code == "site_armed", "\(refused.text)")
            #expect(try await world.send(.get, "/v1/devices/\(camera)", as: shop.key).status == 200)
            #expect(try await world.send(.delete, "/v1/devices/\(camera)?force=true", as: shop.key).status == 204)
            #expect(try await world.send(.get, path, as: shop.key)["device_id"] == nil)
        }
    }

    // MARK: Heartbeats

    @Test func `a heartbeat makes a device online, with or without a body`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let path = "/v1/devices/\(camera)"
            let first = try await world.send(.post, "\(path)/heartbeat", as: shop.key)
            #expect(first.status == 202 && first["device_id"]?.string == camera, "\(first.text)")
            world.clock.advance(.seconds(7))
            let told: JSON = ["timestamp": .string((ServerWorld.start + .seconds(5)).rfc3339Seconds)]
            #expect(try await world.send(.post, "\(path)/heartbeat", as: shop.key, told).status == 202)
            let seen = try await world.send(.get, path, as: shop.key)
            #expect(seen["status"]?.string == "online")
            #expect(seen["last_seen_at"]?.string == (ServerWorld.start + .seconds(5)).rfc3339Seconds)
            #expect(try await world.send(.get, "/v1/devices?status=online", as: shop.key)["data"]?.array == [seen.json])
            #expect(try await world.send(.get, "/v1/devices?status=offline", as: shop.key)["data"]?.array == [])
        }
    }

    @Test(arguments: [
        (#"{"timestamp":"2026-05-26T10:00:31Z"}"#, "timestamp_in_future", 422),
        (#"{"timestamp":"2026-05-26T12:00:00+02:00"}"#, "timestamp_not_utc", 422),
        (#"{"timestamp":"now"}"#, "validation_failed", 422), (#"{"firmware_version":7}"#, "validation_failed", 422),
        ("{", "malformed_json", 400),
    ])
    func `a faulty heartbeat is refused and counts for nothing`(body: String, code: String, status: Int) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let path = "/v1/devices/\(camera)"
            let answer = try await world.send(.post, "\(path)/heartbeat", as: shop.key, bytes: Array(body.utf8))
            #expect(answer.status == status && answer.code == code, "\(answer.text)")
            let many = body.replacing("{", with: #"{"device_ids":["\#(camera)"],"#)
            if code.hasPrefix("timestamp") {
                #expect(
                    try await world.send(.post, "/v1/devices/heartbeats", as: shop.key, bytes: Array(many.utf8)).code
                        == code
                )
            }
            #expect(try await world.send(.get, path, as: shop.key)["status"]?.string == "unknown")
        }
    }

    @Test func `a time slightly ahead counts as now`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let told: JSON = ["timestamp": "2026-05-26T10:00:30Z"]
            let answer = try await world.send(.post, "/v1/devices/\(camera)/heartbeat", as: shop.key, told)
            #expect(answer["seen_at"]?.string == ServerWorld.start.rfc3339Milliseconds)
        }
    }

    @Test(arguments: [
        ("2026-05-25T10:00:00Z", "2026-05-25T10:00:00.000Z"), ("2026-05-25T09:59:59Z", "2026-05-26T10:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "2026-05-26T10:00:00.000Z"),
    ])
    func `a device whose clock is dead lives all the same`(timestamp: String, seen: String) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let told: JSON = ["timestamp": .string(timestamp)]
            let answer = try await world.send(.post, "/v1/devices/\(camera)/heartbeat", as: shop.key, told)
            #expect(answer.status == 202 && answer["seen_at"]?.string == seen, "\(answer.text)")
        }
    }

    @Test func `of many devices those count that the caller may see, and the others look alike`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let rival = try await world.shop("Rival")
            let mine = try await Self.add("Cam", "camera", to: shop, world)
            let theirs = try await Self.add("Cam", "camera", to: rival, world)
            let body: JSON = ["device_ids": [.string(mine), .string(theirs), "dev_unknown", "nonsense"]]
            let answer = try await world.send(.post, "/v1/devices/heartbeats", as: shop.key, body)
            #expect(answer.status == 202 && answer["accepted"]?.integer == 1, "\(answer.text)")
            let rejected = [theirs, "dev_unknown", "nonsense"].map { id -> JSON in
                ["device_id": .string(id), "outcome": "rejected", "reason": "device_not_found"]
            }
            #expect(answer["data"]?.array == rejected)
            #expect(try await world.send(.get, "/v1/devices/\(mine)", as: shop.key)["status"]?.string == "online")
            #expect(try await world.send(.get, "/v1/devices/\(theirs)", as: rival.key)["status"]?.string == "unknown")
            let one = try await world.send(.post, "/v1/devices/\(theirs)/heartbeat", as: shop.key)
            let none = try await world.send(.post, "/v1/devices/dev_unknown/heartbeat", as: shop.key)
            #expect(one.status == 404 && one.json["error"]?["message"] == none.json["error"]?["message"])
        }
    }

    @Test func `a thousand devices beat at once, and one more is refused`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let ids = (0..<1_001).map { JSON.string("dev_\($0)") }
            let full = try await world.send(
                .post,
                "/v1/devices/heartbeats",
                as: shop.key,
                ["device_ids": .array(Array(ids.dropLast()))]
            )
            #expect(full.status == 202 && full["accepted"]?.integer == 0)
            for faulty in [["device_ids": .array(ids)], ["device_ids": []], ["device_ids": "dev_1"], [:]] as [JSON] {
                let answer = try await world.send(.post, "/v1/devices/heartbeats", as: shop.key, faulty)
                #expect(answer.status == 422 && answer.field == "device_ids", "\(answer.text)")
            }
        }
    }

    @Test func `the first firmware is stored, another one is told`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let path = "/v1/devices/\(camera)"
            for version in ["1.0", "1.0", "1.1", "1.1"] {
                let answer = try await world.send(
                    .post,
                    "\(path)/heartbeat",
                    as: shop.key,
                    ["firmware_version": .string(version)]
                )
                #expect(answer.status == 202, "\(answer.text)")
            }
            #expect(try await world.send(.get, path, as: shop.key)["firmware_version"]?.string == "1.1")
            let events = try await world.send(.get, "/v1/events?type=device.firmware_updated", as: shop.key)
            let told = events["data"]?.array?.compactMap { $0["event"]?["data"] }
            #expect(
                told == [
                    [
                        "device_id": .string(camera), "site_id": .string(shop.site), "previous_version": "1.0",
                        "version": "1.1",
                    ]
                ]
            )
            let audit = try await world.send(.get, "/v1/audit?action=device.firmware", as: world.admin)
            #expect(audit["data"]?.array?.count == 2)
        }
    }

    @Test func `a heartbeat that is older than the last sets no firmware back`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let now = world.clock.now
            for (version, age) in [("2.0", 10), ("1.0", 20), ("1.5", 11), ("2.1", 5), ("1.0", 6)] {
                let body: JSON = [
                    "firmware_version": .string(version),
                    "timestamp": .string((now - .seconds(age)).rfc3339Milliseconds),
                ]
                let answer = try await world.send(.post, "/v1/devices/\(camera)/heartbeat", as: shop.key, body)
                #expect(answer.status == 202, "\(answer.text)")
            }
            let shown = try await world.send(.get, "/v1/devices/\(camera)", as: shop.key)
            #expect(shown["firmware_version"] == "2.1")
            let events = try await world.send(.get, "/v1/events?type=device.firmware_updated", as: shop.key)
            #expect(events["data"]?.array?.compactMap { $0["event"]?["data"]?["version"]?.string } == ["2.1"])
        }
    }

    @Test func `a heartbeat writes nothing into the ledger`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let before = try await world.counts()
            for _ in 0..<20 {
                world.clock.advance(.seconds(1))
                #expect(try await world.send(.post, "/v1/devices/\(camera)/heartbeat", as: shop.key).status == 202)
            }
            #expect(try await world.counts() == before)
        }
    }

    // MARK: Access

    @Test func `scopes are asked for`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let camera = try await Self.add("Cam", "camera", to: shop, world)
            let (_, reader) = try await world.app(of: shop.dealer, [.devicesRead])
            let (_, writer) = try await world.app(of: shop.dealer, [.devicesWrite])
            let path = "/v1/devices/\(camera)"
            let writes: [(HTTPRequest.Method, String, JSON?)] = [
                (.post, "\(shop.path)/devices", ["name": "A", "type": "camera"]), (.patch, path, [:]),
                (.delete, path, nil), (.post, "\(path)/heartbeat", nil),
                (.post, "/v1/devices/heartbeats", ["device_ids": ["dev_1"]]),
            ]
            for (method, path, body) in writes {
                #expect(try await world.send(method, path, as: reader, body).code == "permission_denied", "\(path)")
            }
            for path in [path, "/v1/devices", "\(shop.path)/devices"] {
                #expect(try await world.send(.get, path, as: writer).code == "permission_denied", "\(path)")
                #expect(try await world.send(.get, path, as: reader).status == 200, "\(path)")
            }
        }
    }

    @Test func `all devices are listed page by page, in the order in which they were made`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let rival = try await world.shop("Rival")
            var ids: [String] = []
            for number in 0..<5 {
                ids.append(try await Self.add("Cam \(9 - number)", "camera", to: shop, world))
                _ = try await Self.add("Cam \(number)", "camera", to: rival, world)
            }
            var found: [String] = []
            var cursor: String?
            repeat {
                let next = cursor.map { "&cursor=\($0)" } ?? ""
                let page = try await world.send(.get, "/v1/devices?limit=2\(next)", as: shop.key)
                found += page["data"]?.array?.compactMap { $0["device_id"]?.string } ?? []
                cursor = page["next_cursor"]?.string
            } while cursor != nil
            #expect(found == ids)
            #expect(try await world.send(.get, "/v1/devices?cursor=bm9wZQ", as: shop.key).code == "invalid_cursor")
        }
    }
}
