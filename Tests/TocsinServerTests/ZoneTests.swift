import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct ZoneTests {
    private static func zones(of site: String) -> String { "/v1/sites/\(site)/zones" }

    private static let body: JSON = ["number": 5, "name": "Back Door", "type": "exit_entry"]

    private static func add(
        _ kind: FixtureKind,
        _ id: String,
        _ name: String,
        to scene: ServerWorld.Scene,
        _ settings: JSONObject = [:],
        _ world: ServerWorld
    ) async throws {
        let fixture = Fixture(
            id: id,
            siteID: SiteID(stored: scene.site),
            kind: kind,
            number: nil,
            name: name,
            settings: settings
        )
        try await world.ledger.write { try $0.insert(fixture) }
    }

    @Test func `a zone is made with the fleet file's settings, changed, and deleted`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await Self.add(.device, "dev_hall", "Hall camera", to: scene, ["type": "camera"], world)
            let path = Self.zones(of: scene.site)
            let made = try await world.send(
                .post,
                path,
                as: scene.partner.token,
                [
                    "number": 5, "name": "Back Door", "type": "exit_entry", "kind": "contact", "partitions": [1],
                    "device_id": "dev_hall", "modes": ["night", "away"], "entry_delay_seconds": 45, "silent": false,
                    "swinger_limit": 2,
                ]
            )
            #expect(made.status == 201, "\(made.text)")
            #expect(made["modes"]?.array == ["away", "night"])
            #expect(made["partitions"]?.array == [1])
            let id = try made.string("zone_id")
            #expect(try await world.send(.get, "\(path)/\(id)", as: world.admin).json == made.json)
            let stored = try #require(
                try await world.ledger.read { try $0.fixture(id, kind: .zone, within: .platform) }
            )
            #expect(stored.settings["device_id"]?.string == "dev_hall")
            #expect(stored.settings["delay_on_seconds"] == nil)

            let changed = try await world.send(
                .patch,
                "\(path)/\(id)",
                as: scene.partner.token,
                ["name": "Rear Door", "type": "perimeter", "modes": nil, "device_id": nil, "delay_on_seconds": 10]
            )
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["name"]?.string == "Rear Door")
            #expect(changed["type"]?.string == "perimeter")
            #expect(changed["modes"] == nil && changed["device_id"] == nil)
            #expect(changed["entry_delay_seconds"]?.integer == 45)
            #expect(try await world.send(.delete, "\(path)/\(id)", as: scene.partner.token).status == 204)
            #expect(try await world.send(.get, "\(path)/\(id)", as: scene.partner.token).code == "zone_not_found")
            let audit = try await world.send(.get, "/v1/audit?site_id=\(scene.site)", as: world.admin)
            let actions = try #require(audit["data"]?.array).compactMap { $0["action"]?.string }
            #expect(actions.prefix(3) == ["zone.delete", "zone.change", "zone.create"])
        }
    }

    @Test func `a number or a name is taken once in a site`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = Self.zones(of: scene.site)
            #expect(try await world.send(.post, path, as: world.admin, Self.body).status == 201)
            let number = try await world.send(
                .post,
                path,
                as: world.admin,
                ["number": 5, "name": "Window", "type": "perimeter"]
            )
            #expect(number.status == 409)
            #expect(number.code == "already_exists")
            #expect(number.field == "number")
            let name = try await world.send(
                .post,
                path,
                as: world.admin,
                ["number": 6, "name": "Back Door", "type": "perimeter"]
            )
            #expect(name.code == "already_exists")
            #expect(name.field == "name")
            let second = try await world.site("Second", dealer: scene.dealer).string("site_id")
            #expect(try await world.send(.post, Self.zones(of: second), as: world.admin, Self.body).status == 201)
        }
    }

    @Test(
        arguments: [
            (["number": 0], "number", 422), (["number": 10_000], "number", 422), (["type": "door"], "type", 422),
            (["partitions": []], "partitions", 422), (["partitions": [2]], "partitions[0]", 422),
            (["partitions": [1, 1]], "partitions", 422), (["modes": ["vacation"]], "modes[0]", 422),
            (["entry_delay_seconds": 601], "entry_delay_seconds", 422), (["swinger_limit": 7], "swinger_limit", 422),
            (["device_id": "dev_elsewhere"], "device_id", 404), (["name": ""], "name", 422),
        ] as [(JSONObject, String, Int)]
    )
    func `a setting that cannot be is refused by its field`(
        changes: JSONObject,
        field: String,
        status: Int
    ) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let other = try await world.scene("Other")
            try await Self.add(.device, "dev_elsewhere", "Camera", to: other, ["type": "camera"], world)
            var body = try #require(Self.body.object)
            for member in changes.members { body[member.name] = member.value }
            let path = Self.zones(of: scene.site)
            let refused = try await world.send(.post, path, as: world.admin, .object(body))
            #expect(refused.status == status, "\(refused.text)")
            #expect(refused.field == field)
        }
    }

    @Test func `no change takes an armed zone out of guard`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let zones = Self.zones(of: shop.site)
            let everywhere: JSON = ["number": 7, "name": "Roof", "type": "perimeter"]
            _ = try await world.send(.post, zones, as: world.admin, everywhere)
            let listed = try await world.send(.get, zones, as: world.admin)["data"]?.array ?? []
            let window = try #require(listed.first { $0["number"]?.integer == 9 }?["zone_id"]?.string)
            let partition: JSON = ["number": 3, "name": "Annexe"]
            #expect(try await world.command("arm", shop, ["instant_arm": true]).status == 200)

            for change in [["type": "none"], ["modes": ["stay"]], ["partitions": [1, 2]]] as [JSON] {
                let answer = try await world.send(.patch, "\(zones)/\(window)", as: world.admin, change)
                // Both of its partitions are armed.
                #expect(answer.code == (change["partitions"] == nil ? "site_armed" : nil), "\(answer.text)")
            }
            let added = try await world.send(.post, "\(shop.path)/partitions", as: world.admin, partition)
            #expect(added.status == 409 && added.code == "site_armed", "\(added.text)")

            let partitions = try await world.send(.get, "\(shop.path)/partitions", as: world.admin)["data"]?.array ?? []
            let first = try #require(partitions.first { $0["number"]?.integer == 1 }?["partition_id"]?.string)
            let path = "\(shop.path)/partitions/\(first)"
            _ = try await world.command("disarm", shop, ["partition": 2])
            let area = try await world.send(.patch, path, as: world.admin, ["common_area_of": [2]])
            #expect(area.status == 409 && area.code == "site_armed", "disarmed as the other is: \(area.text)")

            _ = try await world.command("disarm", shop, ["partition": 1])
            #expect(
                try await world.send(.post, "\(shop.path)/partitions", as: world.admin, partition).status == 201,
                "what is common to all guards only while all are armed"
            )
        }
    }

    @Test func `a zone of an armed partition is deleted by force only`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = Self.zones(of: scene.site)
            let id = try await world.send(.post, path, as: world.admin, Self.body).string("zone_id")
            _ = try await world.report(scene)
            #expect(try await world.send(.delete, "\(path)/\(id)", as: world.admin).code == "site_armed")
            #expect(try await world.send(.delete, "\(path)/\(id)?force=true", as: world.admin).status == 204)
        }
    }

    @Test func `a change raises the site's version, and a stale one is refused`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = Self.zones(of: scene.site)
            let tag = try await world.send(.get, "/v1/sites/\(scene.site)", as: world.admin).headers[.eTag]
            let before = try #require(tag)
            let id = try await world.send(.post, path, as: world.admin, Self.body).string("zone_id")
            let headers = ["If-Match": before]
            let stale = try await world.send(.patch, "\(path)/\(id)", as: world.admin, ["name": "x"], headers: headers)
            #expect(stale.status == 412)
            // A failure's report names the zone as the partner does; the site's own name is known from now on.
            #expect(try await world.report(scene).status == 200)
        }
    }

    @Test func `zones are listed by number, in pages`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = Self.zones(of: scene.site)
            for number in [100, 9, 10, 1] {
                let body: JSON = ["number": JSON(number), "name": .string("Zone \(number)"), "type": "perimeter"]
                #expect(try await world.send(.post, path, as: world.admin, body).status == 201)
            }
            let first = try await world.send(.get, "\(path)?limit=3", as: world.admin)
            #expect(first["data"]?.array?.map { $0["number"]?.integer } == [1, 9, 10])
            let rest = try await world.send(
                .get,
                "\(path)?limit=3&cursor=\(try first.string("next_cursor"))",
                as: world.admin
            )
            #expect(rest["data"]?.array?.map { $0["number"]?.integer } == [100])
            #expect(rest["next_cursor"] == .null)
        }
    }

    @Test func `another tenant's zones and things do not exist`() async throws {
        try await ServerWorld.run { world in
            let (mine, theirs) = (try await world.scene("Mine"), try await world.scene("Theirs"))
            let path = Self.zones(of: theirs.site)
            let zone = try await world.send(.post, path, as: world.admin, Self.body).string("zone_id")
            try await Self.add(.device, "dev_theirs", "Camera", to: theirs, ["type": "camera"], world)
            try await Self.add(.relay, "rel_theirs", "Siren", to: theirs, [:], world)
            let (_, key) = try await world.app(of: mine.dealer, Set(Scope.allCases))
            for token in [key, try await world.dealerAdmin(of: mine.dealer), mine.partner.token] {
                let calls: [(HTTPRequest.Method, String, JSON?, String)] = [
                    (.get, path, nil, "site"), (.post, path, Self.body, "site"),
                    (.get, "\(path)/\(zone)", nil, "site"), (.patch, "\(path)/\(zone)", ["name": "x"], "site"),
                    (.delete, "\(path)/\(zone)", nil, "site"),
                    (.get, "\(Self.zones(of: mine.site))/\(zone)", nil, "zone"),
                    (.get, "/v1/devices/dev_theirs", nil, "device"), (.get, "/v1/relays/rel_theirs", nil, "relay"),
                    (.get, "/v1/devices?site_id=\(theirs.site)", nil, "site"),
                    (.get, "/v1/sites/\(theirs.site)/users", nil, "site"),
                ]
                for (method, path, body, thing) in calls {
                    let answer = try await world.send(method, path, as: token, body)
                    #expect(answer.code == "\(thing)_not_found", "\(method) \(path): \(answer.text)")
                }
                let ids = try await world.send(.get, "/v1/devices?ids=dev_theirs", as: token)
                #expect(ids["data"]?.array == [])
            }
        }
    }

    @Test func `a site's things are listed, and codes are never shown`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await Self.add(.device, "dev_b", "B camera", to: scene, ["type": "camera"], world)
            try await Self.add(.device, "dev_a", "A bridge", to: scene, ["type": "bridge"], world)
            try await Self.add(.relay, "rel_s", "Siren", to: scene, ["device_id": "dev_a"], world)
            let user: JSONObject = [
                "email": "ann@example.test", "code_hash": "c0de", "duress_code_hash": "d0e5", "one_time": true,
            ]
            try await Self.add(.user, "usr_ann", "Ann", to: scene, user, world)
            let rule: JSONObject = ["partition": 1, "arm": "away", "at": "18:00", "days": ["mon", "fri"]]
            try await Self.add(.schedule, "sch_1", "Evening", to: scene, rule, world)
            try await Self.add(.contact, "con_1", "Bob", to: scene, ["phone": "+1 555 0100"], world)
            let site = "/v1/sites/\(scene.site)"
            let token = scene.partner.token
            let devices: [JSON] = [
                [
                    "device_id": "dev_a", "site_id": .string(scene.site), "name": "A bridge", "type": "bridge",
                    "status": "unknown",
                ],
                [
                    "device_id": "dev_b", "site_id": .string(scene.site), "name": "B camera", "type": "camera",
                    "status": "unknown",
                ],
            ]
            for path in ["\(site)/devices", "/v1/devices?site_id=\(scene.site)", "/v1/devices?ids=dev_b,dev_a,dev_x"] {
                #expect(try await world.send(.get, path, as: token)["data"]?.array == devices)
            }
            #expect(try await world.send(.get, "/v1/devices/dev_a", as: token).json == devices[0])
            #expect(try await world.send(.get, "/v1/relays/rel_s", as: token)["device_id"]?.string == "dev_a")
            #expect(try await world.send(.get, "/v1/relays/dev_a", as: token).code == "relay_not_found")
            #expect(try await world.send(.get, "\(site)/relays", as: token)["data"]?.array?.count == 1)
            let users = try await world.send(.get, "\(site)/users", as: token)
            let ann = try #require(users["data"]?.array?.first?.object)
            #expect(ann.names.sorted() == ["email", "name", "one_time", "site_id", "user_id"])
            let schedules = try await world.send(.get, "\(site)/schedules", as: token)
            #expect(schedules["data"]?.array?.first?["at"]?.string == "18:00")
            let contacts = try await world.send(.get, "\(site)/contacts", as: token)
            #expect(contacts["data"]?.array?.first?["phone"]?.string == "+1 555 0100")
        }
    }

    @Test func `a scope opens its own things only`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let (_, reader) = try await world.app(of: scene.dealer, [.sitesRead])
            let (_, devices) = try await world.app(of: scene.dealer, [.devicesRead])
            let site = "/v1/sites/\(scene.site)"
            for noun in ["zones", "users", "schedules", "contacts"] {
                #expect(try await world.send(.get, "\(site)/\(noun)", as: reader).status == 200)
                #expect(try await world.send(.get, "\(site)/\(noun)", as: devices).code == "permission_denied")
            }
            for noun in ["devices", "relays"] {
                #expect(try await world.send(.get, "\(site)/\(noun)", as: devices).status == 200)
                #expect(try await world.send(.get, "\(site)/\(noun)", as: reader).code == "permission_denied")
            }
            #expect(try await world.send(.post, "\(site)/zones", as: reader, Self.body).code == "permission_denied")
        }
    }
}
