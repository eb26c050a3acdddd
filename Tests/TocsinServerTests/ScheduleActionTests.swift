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
