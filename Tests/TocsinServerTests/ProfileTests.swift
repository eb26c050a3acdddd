import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct ProfileTests {
    private static func shop(
        _ world: ServerWorld,
        profile: String? = nil,
        partitions: JSON? = nil
    ) async throws -> ServerWorld.Answer {
        var body: JSONObject = ["name": "Shop", "timezone": "UTC"]
        body["dealer_id"] = .string(try await world.dealer("Acme"))
        body["compliance_profile"] = profile.map(JSON.string)
        body["partitions"] = partitions
        return try await world.send(.post, "/v1/sites", as: world.admin, .object(body))
    }

    @Test func `a partition takes its policy, and null gives a member its default again`() async throws {
        try await ServerWorld.run { world in
            let site = try await Self.shop(world)
            #expect(site["compliance_profile"]?.string == "none")
            let path = "/v1/sites/\(try site.string("site_id"))/partitions"
            let hours: JSON = [
                "days": ["mon"], "open_from": "07:00", "open_to": "08:30", "close_from": "18:00", "close_to": "19:00",
            ]
            let made = try await world.send(
                .post,
                path,
                as: world.admin,
                [
                    "number": 2, "name": "Lobby", "exit_error": "auto_bypass", "abort_window_seconds": 20,
                    "bypass_limit": 3, "custom_modes": ["vacation"], "common_area_of": [1], "opening_hours": [hours],
                ]
            )
            #expect(made.status == 201, "\(made.text)")
            #expect(made["exit_error"]?.string == "auto_bypass" && made["exit_violation"]?.string == "fail_arming")
            #expect(made["opening_hours"]?.array == [hours] && made["common_area_of"]?.array == [1])
            #expect(made["bell_seconds"]?.integer == 180 && made["bypass_limit"]?.integer == 3)
            let lobby = "\(path)/\(try made.string("partition_id"))"
            #expect(try await world.send(.get, lobby, as: world.admin).json == made.json)

            let changed = try await world.send(
                .patch,
                lobby,
                as: world.admin,
                ["exit_error": nil, "bypass_limit": nil, "abort_window_seconds": nil, "exit_restart": false]
            )
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["exit_error"]?.string == "exit_error" && changed["exit_restart"]?.bool == false)
            #expect(changed["bypass_limit"] == nil && changed["abort_window_seconds"] == nil)
            #expect(changed["custom_modes"]?.array == ["vacation"])
        }
    }

    @Test(
        arguments: [
            (["custom_modes": ["away"]], "custom_modes"), (["custom_modes": ["a", "a"]], "custom_modes"),
            (["common_area_of": [3]], "common_area_of"), (["common_area_of": [2]], "common_area_of"),
            (["bell_seconds": 1801], "bell_seconds"), (["exit_error": "alarm"], "exit_error"),
            (
                [
                    "opening_hours": [
                        ["open_from": "7:00", "open_to": "08:30", "close_from": "18:00", "close_to": "19:00"]
                    ]
                ], "opening_hours[0].open_from"
            ),
        ] as [(JSONObject, String)]
    )
    func `a policy that cannot be is refused by its field`(changes: JSONObject, field: String) async throws {
        try await ServerWorld.run { world in
            let site = try await Self.shop(world).string("site_id")
            var body: JSONObject = ["number": 2, "name": "Lobby"]
            for member in changes.members { body[member.name] = member.value }
            let answer = try await world.send(.post, "/v1/sites/\(site)/partitions", as: world.admin, .object(body))
            #expect(answer.status == 422 && answer.code == "validation_failed", "\(answer.text)")
            #expect(answer.field?.hasPrefix(field) == true, "\(answer.text)")
        }
    }

    @Test func `a common area of a common area is refused from either side`() async throws {
        try await ServerWorld.run { world in
            let made = try await Self.shop(
                world,
                partitions: [
                    ["number": 1, "name": "Office"], ["number": 2, "name": "Lobby", "common_area_of": [1]],
                    ["number": 3, "name": "Hall", "common_area_of": [2]],
                ]
            )
            #expect(made.status == 422 && made.field == "partitions[2].common_area_of", "\(made.text)")
        }
    }

    @Test(
        arguments: [
            ("cp01", ["exit_delay_seconds": ["away": 30]], "exit_delay_seconds.away", "exit delay"),
            ("cp01", ["entry_delay_seconds": 20], "entry_delay_seconds", "entry delay"),
            ("cp01", ["abort_window_seconds": 10], "abort_window_seconds", "abort window"),
            ("cp01", ["cancel_window_seconds": 200], "cancel_window_seconds", "cancel window"),
            ("en_g2", ["entry_delay_seconds": 46], "entry_delay_seconds", "entry delay"),
            ("en_g2", ["abort_window_seconds": 30], "abort_window_seconds", "abort window"),
            ("en_g3", ["bell_seconds": 90], "bell_seconds", "bell"),
            ("ul_commercial", ["exit_delay_seconds": ["away": 61]], "exit_delay_seconds.away", "exit delay"),
            (
                "ul_commercial", ["entry_delay_seconds": 40, "abort_window_seconds": 30], "abort_window_seconds",
                "entry delay and abort window"
            ),
        ] as [(String, JSON, String, String)]
    )
    func `what the profile forbids is refused with the clause`(
        profile: String,
        changes: JSON,
        field: String,
        clause: String
    ) async throws {
        try await ServerWorld.run { world in
            let site = try await Self.shop(world, profile: profile)
            #expect(site.status == 201, "\(site.text)")
            let partition = try #require(site["partitions"]?.array?.first?["partition_id"]?.string)
            let path = "/v1/sites/\(try site.string("site_id"))/partitions/\(partition)"
            let answer = try await world.send(.patch, path, as: world.admin, changes)
            #expect(answer.status == 422 && answer.code == "validation_failed", "\(answer.text)")
            #expect(answer.field == field)
            #expect(answer["error"]?["message"]?.string?.contains("clause \(clause)") == true, "\(answer.text)")
            let error = answer["error"]?["details"]?["errors"]?.array?.first
            #expect(error?["clause"]?.string == "\(profile): \(clause)")
        }
    }

    @Test func `a profile is refused while partitions or zones do not fit it`() async throws {
        try await ServerWorld.run { world in
            let site = try await Self.shop(world).string("site_id")
            let path = "/v1/sites/\(site)"
            let zone: JSON = ["number": 5, "name": "Door", "type": "exit_entry", "swinger_limit": 2]
            let door = try await world.send(.post, "\(path)/zones", as: world.admin, zone)
            #expect(door.status == 201)
            let stay = try await world.send(.patch, path, as: world.admin, ["compliance_profile": "cp01"])
            #expect(stay.status == 422 && stay.field == "compliance_profile", "\(stay.text)")
            #expect(stay.text.contains("exit_delay_seconds.stay of partition 1"))
            let limit = try await world.send(.patch, path, as: world.admin, ["compliance_profile": "en_g2"])
            #expect(limit.status == 422 && limit.text.contains("swinger_limit of zone 5"), "\(limit.text)")
            #expect(try await world.send(.get, path, as: world.admin)["compliance_profile"]?.string == "none")

            let doorPath = "\(path)/zones/\(try door.string("zone_id"))"
            _ = try await world.send(.patch, doorPath, as: world.admin, ["swinger_limit": nil])
            let fits = try await world.send(.patch, path, as: world.admin, ["compliance_profile": "en_g2"])
            #expect(fits.status == 200 && fits["compliance_profile"]?.string == "en_g2", "\(fits.text)")
            let back = try await world.send(.patch, doorPath, as: world.admin, ["swinger_limit": 2])
            #expect(back.status == 422 && back.field == "swinger_limit", "\(back.text)")
        }
    }

    @Test func `a zone takes every flag`() async throws {
        try await ServerWorld.run { world in
            let site = try await Self.shop(world).string("site_id")
            let flags: JSONObject = [
                "swinger_exempt": true, "bypassable": false, "force_armable": false, "entry_override": true,
                "abort_window": false, "cross_group": "hall", "exterior": true,
            ]
            var body: JSONObject = ["number": 5, "name": "Yard", "type": "perimeter"]
            for flag in flags.members { body[flag.name] = flag.value }
            let made = try await world.send(.post, "/v1/sites/\(site)/zones", as: world.admin, .object(body))
            #expect(made.status == 201, "\(made.text)")
            for flag in flags.members { #expect(made[flag.name] == flag.value) }
            let id = SiteID(stored: site)
            let zone = try #require(try await world.ledger.load([id])[id]?.configuration.zones.first)
            #expect(zone.swingerExempt && !zone.bypassable && !zone.forceArmable && zone.entryOverride)
            #expect(!zone.abortWindow && zone.crossGroup == "hall" && zone.exterior)
        }
    }
}
