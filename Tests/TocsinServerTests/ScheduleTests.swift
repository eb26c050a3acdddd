import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct ScheduleTests {
    private static func shop(_ world: ServerWorld) async throws -> (dealer: String, site: String, schedules: String) {
        let dealer = try await world.dealer("Acme")
        let site = try await world.site("Shop", dealer: dealer).string("site_id")
        return (dealer, site, "/v1/sites/\(site)/schedules")
    }

    @Test func `a schedule shows its next runs, and follows every change at once`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            // It is Tuesday, 26 May 2026, 05:00 in Chicago.
            let made = try await world.send(
                .post,
                shop.schedules,
                as: world.admin,
                ["partition": 1, "arm": "away", "at": "18:00", "days": ["fri", "wed"], "latest": "21:00"]
            )
            #expect(made.status == 201, "\(made.text)")
            #expect(made["name"]?.string == "partition 1: arm away at 18:00 on wed fri")
            #expect(made["days"]?.array == ["wed", "fri"])
            let runs = try #require(made["next_runs"]?.array)
            #expect(runs.count == 4)
            #expect(
                runs.first == [
                    "at": "2026-05-27T23:00:00Z", "local": "2026-05-27T18:00:00-05:00", "action": "arm_away",
                ]
            )
            let path = "\(shop.schedules)/\(try made.string("schedule_id"))"
            #expect(try await world.send(.get, path, as: world.admin).json == made.json)

            let holidays = try await world.send(
                .put,
                "/v1/dealers/\(shop.dealer)/holidays",
                as: world.admin,
                [
                    "holidays": [
                        ["date": "2026-05-29", "name": "A day off"], ["date": "2026-05-27", "name": "Another"],
                    ]
                ]
            )
            #expect(holidays.status == 200, "\(holidays.text)")
            #expect(holidays["holidays"]?.array?.first?["date"]?.string == "2026-05-27")
            let rested = try await world.send(.get, path, as: world.admin)
            #expect(rested["next_runs"]?.array?.first?["at"]?.string == "2026-06-03T23:00:00Z")

            let changed = try await world.send(
                .patch,
                path,
                as: world.admin,
                ["disarm": true, "at": "07:30", "on": "2026-06-01", "latest": nil]
            )
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["arm"] == nil && changed["days"] == nil && changed["latest"] == nil)
            #expect(changed["name"]?.string == "partition 1: disarm at 07:30 on 2026-06-01")
            #expect(changed["next_runs"]?.array?.map { $0["action"]?.string } == ["disarm"])
            let off = try await world.send(.patch, path, as: world.admin, ["enabled": false])
            #expect(off["next_runs"]?.array == [])
            #expect(try await world.send(.get, shop.schedules, as: world.admin)["data"]?.array == [off.json])
            #expect(try await world.send(.delete, path, as: world.admin).status == 204)
            #expect(try await world.send(.get, path, as: world.admin).code == "schedule_not_found")
        }
    }

    @Test(
        arguments: [
            (["arm": "away", "disarm": true], "arm"), (["disarm": nil], "arm"), (["at": "25:00"], "at"),
            (["days": []], "days"), (["days": ["monday"]], "days[0]"), (["on": "2026-02-30"], "on"),
            (["partition": 2], "partition"), (["warning_minutes": 121], "warning_minutes"),
            (["exceptions": [["date": "2026-06-01"]]], "exceptions[0].closed"),
            (["exceptions": [["date": "2026-06-01", "closed": true, "at": "07:00"]]], "exceptions[0].closed"),
            (["latest": "late"], "latest"), (["on": "2026-06-01", "days": ["mon"]], "days"),
        ] as [(JSONObject, String)]
    )
    func `a rule that cannot be is refused by its field`(changes: JSONObject, field: String) async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            var body: JSONObject = ["partition": 1, "disarm": true, "at": "07:30"]
            for member in changes.members { body[member.name] = member.value == .null ? JSON?.none : member.value }
            let answer = try await world.send(.post, shop.schedules, as: world.admin, .object(body))
            #expect(answer.status == 422 && answer.code == "validation_failed", "\(answer.text)")
            #expect(answer.field == field, "\(answer.text)")
        }
    }

    @Test func `a common area has no schedule, whichever comes first`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let partitions = "/v1/sites/\(shop.site)/partitions"
            let lobby: JSON = ["number": 2, "name": "Lobby"]
            let path =
                "\(partitions)/\(try await world.send(.post, partitions, as: world.admin, lobby).string("partition_id"))"
            let rule: JSON = ["partition": 2, "arm": "away", "at": "18:00"]
            let made = try await world.send(.post, shop.schedules, as: world.admin, rule)
            #expect(made.status == 201, "\(made.text)")
            let refused = try await world.send(.patch, path, as: world.admin, ["common_area_of": [1]])
            #expect(refused.status == 422 && refused.field == "common_area_of", "\(refused.text)")
            #expect(refused.text.contains("partition 2: arm away at 18:00"), "\(refused.text)")

            let moved = "\(shop.schedules)/\(try made.string("schedule_id"))"
            #expect(try await world.send(.patch, moved, as: world.admin, ["partition": 1]).status == 200)
            #expect(try await world.send(.patch, path, as: world.admin, ["common_area_of": [1]]).status == 200)
            for answer in [
                try await world.send(.post, shop.schedules, as: world.admin, rule),
                try await world.send(.patch, moved, as: world.admin, ["partition": 2]),
            ] {
                #expect(answer.status == 422 && answer.field == "partition", "\(answer.text)")
                #expect(answer.text.contains("name one of those instead"), "\(answer.text)")
            }
        }
    }

    @Test func `a change of what schedules follow has the site looked at`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let site = SiteID(stored: shop.site)
            func version() async throws -> Int64 { try #require(try await world.ledger.load([site])[site]).version }
            let before = try await version()
            let body: JSON = ["holidays": [["date": "2026-12-25", "name": "Christmas"]]]
            _ = try await world.send(.put, "/v1/dealers/\(shop.dealer)/holidays", as: world.admin, body)
            try await world.settled()
            #expect(try await version() >= before + 2, "one for the change, one for the engine that took it over")
        }
    }

    @Test(
        arguments: [
            ([["date": "2026-02-30", "name": "None"]], "holidays[0].date"),
            ([["date": "2026-05-01", "name": "a"], ["date": "2026-05-01", "name": "b"]], "holidays[1].date"),
            ([["date": "2026-05-01"]], "holidays[0].name"),
        ] as [(JSON, String)]
    )
    func `holidays that cannot be are refused`(holidays: JSON, field: String) async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let path = "/v1/dealers/\(dealer)/holidays"
            let answer = try await world.send(.put, path, as: world.admin, ["holidays": holidays])
            #expect(answer.status == 422 && answer.field == field, "\(answer.text)")
            #expect(try await world.send(.get, path, as: world.admin).json == ["holidays": []])
            let other = try await world.dealerAdmin(of: try await world.dealer("Bolt"))
            #expect(try await world.send(.get, path, as: other).code == "dealer_not_found")
            #expect(try await world.send(.put, path, as: other, ["holidays": []]).code == "dealer_not_found")
        }
    }

    @Test func `contacts come and go`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let contacts = "/v1/sites/\(scene.site)/contacts"
            let made = try await world.send(
                .post,
                contacts,
                as: scene.partner.token,
                ["name": "Bob", "phone": "+1 555 0100", "email": "bob@example.test"]
            )
            #expect(made.status == 201, "\(made.text)")
            let path = "\(contacts)/\(try made.string("contact_id"))"
            let changed = try await world.send(.patch, path, as: scene.partner.token, ["role": "owner", "email": nil])
            #expect(changed["role"]?.string == "owner" && changed["email"] == nil)
            let twice = try await world.send(.post, contacts, as: world.admin, ["name": "Bob"])
            #expect(twice.code == "already_exists" && twice.field == "name")
            let wrong = try await world.send(.patch, path, as: world.admin, ["email": "bob"])
            #expect(wrong.field == "email")
            #expect(try await world.send(.get, path, as: world.admin).json == changed.json)
            #expect(try await world.send(.delete, path, as: world.admin).status == 204)
            #expect(try await world.send(.delete, path, as: world.admin).code == "contact_not_found")
        }
    }
}
