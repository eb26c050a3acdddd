import HTTPTypes
import Testing
import TocsinJSON
import TocsinLedger

@testable import TocsinCore
@testable import TocsinServer

/// What the retention takes is told to whoever would have read it.
@Suite struct MissedTests {
    /// A site of a dealer with an app.
    private struct Place {
        var scene: ServerWorld.Scene
        var dealer: DealerID
        var admin: String
        var app: AppID

        init(_ world: ServerWorld) async throws {
            scene = try await world.scene()
            dealer = DealerID(stored: scene.dealer)
            admin = try await world.dealerAdmin(of: scene.dealer)
            (app, _) = try await world.app(of: scene.dealer, Set(Scope.allCases))
        }

        func endpoint(_ world: ServerWorld) async throws -> String {
            try await world.endpoint(ofApp: app.text, as: admin).string("endpoint_id")
        }

        func act(
            _ world: ServerWorld,
            _ endpoint: String,
            _ action: String,
            _ body: JSON? = nil
        ) async throws
            -> ServerWorld.Answer
        {
            try await world.send(.post, "/v1/endpoints/\(endpoint)/actions/\(action)", as: admin, body)
        }
    }

    @Test func `whoever reads on from before the oldest event learns how many are missed`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.toggle(place.scene, times: 4)
            func read(_ query: String) async throws -> [Int64?] {
                let answer = try await world.send(.get, "/v1/events\(query)", as: place.admin)
                #expect(answer.status == 200, "\(answer.text)")
                return [
                    answer["first_sequence"]?.integer, answer["missed"]?.integer,
                    answer["data"]?.array?.first?["sequence"]?.integer,
                ]
            }
            let page = try await world.send(.get, "/v1/events?limit=1", as: place.admin).string("next_cursor")
            let consumer = "/v1/events/consumers/nightly"
            #expect(try await world.send(.put, consumer, as: place.admin, ["sequence": 2]).status == 200)
            #expect(try await read("?after=0") == [1, 0, 1])

            try await world.forget(4)
            #expect(try await read("") == [5, 0, 5])
            #expect(try await read("?after=0") == [5, 4, 5])
            #expect(try await read("?after=3&type=partition.disarmed") == [5, 1, 8])
            #expect(try await read("?after=4") == [5, 0, 5])
            #expect(try await read("?after=8") == [5, 0, nil])
            #expect(try await read("?consumer=nightly") == [5, 2, 5])
            #expect(try await read("?cursor=\(page)") == [5, 3, 5])

            try await world.forget(100)
            #expect(try await read("?after=6") == [9, 2, nil])
            #expect(try await read("?after=8") == [9, 0, nil])
        }
    }

    @Test func `an endpoint that goes on after the retention is told what it does not get`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 4)
            let untouched = try await place.act(world, id, "enable", ["mode": "resume"])
            #expect(untouched["missed"] == 0)
            _ = try await place.act(world, id, "disable")
            try await world.forget(4)

            let enabled = try await place.act(world, id, "enable", ["mode": "resume"])
            #expect(enabled.status == 200 && enabled["missed"] == 4, "\(enabled.text)")
            let audit = try await world.send(.get, "/v1/audit?action=endpoint.enable", as: place.admin)
            let entries = try #require(audit["data"]?.array)
            #expect(entries.map { $0["details"]?["missed"] } == [4, 0])
            #expect(entries[0]["explanation"]?.string?.contains("4 entries of the log are missed") == true)
            #expect(entries[1]["explanation"]?.string?.contains("missed") == false)

            // Once, though nothing has come since that would move its place.
            _ = try await place.act(world, id, "disable")
            #expect(try await place.act(world, id, "enable", ["mode": "resume"])["missed"] == 0)
        }
    }

    @Test func `a replay on re-enable tells what is gone of its range`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let id = try await place.endpoint(world)
            try await world.toggle(place.scene, times: 4)
            _ = try await place.act(world, id, "disable")
            try await world.forget(4)
            world.clock.advance(.seconds(100 * 86_400))
            // The reports were a second apart, from 10:00:01 on; the third is the oldest that is kept.
            for (since, missed) in [("2026-05-26T10:00:00Z", 4), ("2026-05-26T10:00:04Z", 0)] as [(JSON, JSON)] {
                let enabled = try await place.act(world, id, "enable", ["mode": "replay", "since": since])
                #expect(enabled["missed"] == missed, "\(enabled.text)")
                _ = try await place.act(world, id, "disable")
            }
            let skipped = try await place.act(world, id, "enable", ["mode": "skip"])
            #expect(skipped.status == 200 && skipped["missed"] == 0, "\(skipped.text)")
        }
    }

    @Test func `an operation tells what was gone of its range when it began`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.toggle(place.scene, times: 4)
            let id = try await place.endpoint(world)
            try await world.forget(4)
            world.clock.advance(.seconds(100 * 86_400))
            let ranges: [(JSON, missed: JSON, unsearched: JSON)] = [
                (["after": 1], 3, 4), (["after": 1, "through": 3], 2, 0), (["after": 5], 0, 3), (["after": 4], 0, 4),
                (["since": "2026-05-26T10:00:00Z"], 4, 4), (["since": "2026-05-26T10:00:04Z"], 0, 2),
                (["since": "2026-05-26T10:00:00Z", "through": 3], 3, 0),
            ]
            for (body, missed, unsearched) in ranges {
                let begun = try await place.act(world, id, "replay", body)
                #expect(begun.status == 202 && begun["missed"] == missed, "\(body): \(begun.text)")
                #expect(begun["progress"]?["unsearched"] == unsearched, "\(body)")
                let path = "/v1/operations/\(try begun.string("operation_id"))"
                #expect(try await world.send(.get, path, as: place.admin)["missed"] == missed)
                let ended = try await world.send(.post, "\(path)/actions/cancel", as: place.admin)
                #expect(ended["missed"] == missed)
            }
            let resent = try await place.act(world, id, "resend-failed", ["since": "2026-05-26T10:00:00Z"])
            #expect(resent["missed"] == 0)
        }
    }

    @Test func `the retention takes nothing that an operation has before it`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            try await world.toggle(place.scene, times: 4)
            let id = try await place.endpoint(world)
            let begun = try await place.act(world, id, "replay", ["after": 4])
            try await world.forget(100)
            #expect(try await world.events(as: place.admin).sequences == [5, 6, 7, 8])
            let path = "/v1/operations/\(try begun.string("operation_id"))/actions/cancel"
            #expect(try await world.send(.post, path, as: place.admin).status == 200)
            try await world.forget(100)
            #expect(try await world.events(as: place.admin).sequences == [])
        }
    }
}
