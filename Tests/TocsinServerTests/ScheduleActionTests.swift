import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// Postponing and skipping a schedule's next run (design, arming: T38).
@Suite struct ScheduleActionTests {
    private func rule(_ world: ServerWorld, _ shop: ServerWorld.Shop, _ more: JSONObject = [:]) async throws -> String {
        // 18:00 in Chicago is 23:00 UTC in May.
        var body: JSONObject = ["partition": 1, "arm": "away", "at": "18:00"]
        for member in more.members { body[member.name] = member.value }
        let made = try await world.send(.post, "\(shop.path)/schedules", as: world.admin, .object(body))
        #expect(made.status == 201, "\(made.text)")
        try await world.settled()
        return "\(shop.path)/schedules/\(try made.string("schedule_id"))"
    }

    private func runs(_ answer: ServerWorld.Answer) -> [String] {
        answer["next_runs"]?.array?.prefix(2).compactMap { $0["at"]?.string } ?? []
    }

    @Test func `the next run is moved or left out, and the ones after it stay`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = try await rule(world, shop)
            #expect(
                runs(try await world.send(.get, path, as: shop.key))
                    == ["2026-05-26T23:00:00Z", "2026-05-27T23:00:00Z"]
            )
            let later = try await world.send(.post, "\(path)/actions/postpone", as: shop.key, ["minutes": 30])
            #expect(later.status == 200, "\(later.text)")
            #expect(runs(later) == ["2026-05-26T23:30:00Z", "2026-05-27T23:00:00Z"])
            #expect(later["next_runs"]?.array?.first?["local"] == "2026-05-26T18:30:00-05:00")
            #expect(runs(try await world.send(.get, path, as: shop.key)) == runs(later))
            let skipped = try await world.send(.post, "\(path)/actions/skip", as: shop.key)
            #expect(skipped.status == 200, "\(skipped.text)")
            #expect(runs(skipped) == ["2026-05-27T23:00:00Z", "2026-05-28T23:00:00Z"])
            #expect(skipped["skipped_run"]?["local"] == "2026-05-26T18:00:00-05:00")
        }
    }

    @Test func `skipping again leaves out no other run, until the skipped one would be over`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = try await rule(world, shop)
            // Postponed, so that the run would still be ahead when its own time is over.
            _ = try await world.send(.post, "\(path)/actions/postpone", as: shop.key, ["minutes": 60])
            let first = try await world.send(.post, "\(path)/actions/skip", as: shop.key)
            let again = try await world.send(.post, "\(path)/actions/skip", as: shop.key)
            #expect(again.status == 200, "\(again.text)")
            #expect(again.text == first.text)
            #expect(runs(again).first == "2026-05-27T23:00:00Z")
            world.clock.advance(.seconds(86_400))
            let next = try await world.send(.post, "\(path)/actions/skip", as: shop.key)
            #expect(next["skipped_run"]?["at"] == "2026-05-27T23:00:00Z", "\(next.text)")
            #expect(runs(next).first == "2026-05-28T23:00:00Z")
        }
    }

    @Test func `a skip and a postponement show through every change of the site`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (skipped, moved) = (
                try await rule(world, shop), try await rule(world, shop, ["name": "Late", "at": "20:00"])
            )
            _ = try await world.send(.post, "\(skipped)/actions/skip", as: shop.key)
            _ = try await world.send(.post, "\(moved)/actions/postpone", as: shop.key, ["minutes": 30])
            func look(_ when: Comment) async throws {
                let (left, late) = (
                    try await world.send(.get, skipped, as: shop.key), try await world.send(.get, moved, as: shop.key)
                )
                #expect(runs(left).first == "2026-05-27T23:00:00Z", when)
                #expect(left["skipped_run"]?["at"] == "2026-05-26T23:00:00Z", when)
                #expect(runs(late).first == "2026-05-27T01:30:00Z", when)
            }
            try await look("before")
            // Nobody has looked at the site since this change.
            _ = try await world.send(.patch, shop.path, as: world.admin, ["name": "Elsewhere"])
            try await look("after a change of the site")
            let changed = try await world.send(.patch, skipped, as: world.admin, ["force_arm": true])
            #expect(changed["skipped_run"]?["at"] == "2026-05-26T23:00:00Z", "\(changed.text)")
            #expect(runs(changed).first == "2026-05-27T23:00:00Z")
            try await look("after a change of the rule")
            try await world.settled()
            try await look("once it was looked at")
            // A run at another time is another run.
            let earlier = try await world.send(.patch, skipped, as: world.admin, ["at": "19:00"])
            #expect(runs(earlier).first == "2026-05-27T00:00:00Z")
            #expect(earlier["skipped_run"] == nil)
            try await world.settled()
            let again = try await world.send(.post, "\(skipped)/actions/skip", as: shop.key)
            #expect(runs(again).first == "2026-05-28T00:00:00Z")
        }
    }

    @Test func `what a rule does not allow is refused, with the reason`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = try await rule(world, shop, ["latest": "18:20"])
            let late = try await world.send(.post, "\(path)/actions/postpone", as: shop.key, ["minutes": 30])
            #expect(late.status == 409)
            #expect(late.code == "invalid_transition")
            #expect(late.json["error"]?["details"]?["latest"] == "2026-05-26T23:20:00Z")
            for minutes: JSON in [14, 121, "30", .null] {
                let bad = try await world.send(.post, "\(path)/actions/postpone", as: shop.key, ["minutes": minutes])
                #expect(bad.status == 422)
                #expect(bad.field == "minutes")
            }
            let over = try await rule(world, shop, ["name": "Once", "on": "2026-05-01"])
            #expect(try await world.send(.post, "\(over)/actions/skip", as: shop.key).code == "invalid_transition")
            let unknown = "\(shop.path)/schedules/sch_unknown/actions/skip"
            #expect(try await world.send(.post, unknown, as: shop.key).code == "schedule_not_found")
            let other = try await world.shop("Other")
            #expect(try await world.send(.post, "\(path)/actions/skip", as: other.key).code == "site_not_found")
        }
    }
}
