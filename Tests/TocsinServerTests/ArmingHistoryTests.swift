import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// `GET /v1/sites/{id}/arming/history` (decisions §13).
@Suite struct ArmingHistoryTests {
    @Test func `each change is told with who, from where, what set it off, and why`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await world.command("arm", shop, ["mode": "night", "partition": 1])
            world.clock.advance(.seconds(10))
            _ = try await world.signal(shop, 1, "open")
            world.clock.advance(.seconds(5))
            _ = try await world.command("disarm", shop, ["partition": 1])

            let answer = try await world.send(.get, "\(shop.path)/arming/history", as: shop.key)

            #expect(answer.status == 200, "\(answer.text)")
            let changes = try #require(answer["data"]?.array)
            #expect(changes.compactMap { $0["state"]?.string } == ["disarmed", "entry_delay", "armed_night"])
            #expect(changes.compactMap { $0["previous_state"]?.string } == ["entry_delay", "armed_night", "disarmed"])
            #expect(changes.compactMap { $0["cause"]?.string } == ["command", "signal", "command"])
            #expect(changes.allSatisfy { $0["partition_id"]?.string == shop.partitions[0] })
            #expect(changes[0]["by"]?["name"] == "Ann")
            #expect(changes[0]["source"] == "api")
            #expect(changes[0]["explanation"]?.string?.contains("25 s before the end of the entry delay") == true)
            #expect(changes[1]["explanation"]?.string?.contains("Front Door") == true)
            #expect(changes.allSatisfy { $0["event_id"]?.string?.hasPrefix("evt_") == true })
            #expect(answer["next_cursor"] == .null)
        }
    }

    @Test func `pages of any size tell the same story`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            // Each command changes two partitions: pages end within an entry of the log.
            for _ in 1...3 {
                _ = try await world.command("arm", shop, ["mode": "night"])
                _ = try await world.command("disarm", shop)
            }
            let path = "\(shop.path)/arming/history"
            let whole = try #require(try await world.send(.get, path, as: shop.key)["data"]?.array)
            #expect(whole.count == 12)
            for limit in [1, 2, 3, 5, 12] {
                var found: [JSON] = []
                var cursor: String?
                repeat {
                    let more = cursor.map { "&cursor=\($0)" } ?? ""
                    let page = try await world.send(.get, "\(path)?limit=\(limit)\(more)", as: shop.key)
                    #expect(page.status == 200, "\(page.text)")
                    let items = page["data"]?.array ?? []
                    #expect(items.count <= limit)
                    found += items
                    cursor = page["next_cursor"]?.string
                } while cursor != nil && found.count <= whole.count
                #expect(found == whole, "limit \(limit)")
            }
            #expect(try await world.send(.get, "\(path)?cursor=c3939", as: shop.key).code == "invalid_cursor")
            #expect(try await world.send(.get, "\(path)?cursor=nonsense", as: shop.key).code == "invalid_cursor")
        }
    }

    @Test func `a partner's reports have a history too`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            let answer = try await world.send(
                .get,
                "/v1/sites/\(scene.site)/arming/history",
                as: scene.partner.token
            )
            #expect(answer["data"]?.array?.first?["state"] == "armed_away")
            #expect(answer["data"]?.array?.first?["by"]?["user_id"] == "user_123")
            #expect(answer["data"]?.array?.first?["cause"] == "report")
        }
    }
}
