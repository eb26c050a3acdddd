import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

/// Commands and signals on a platform-triggered site, over a real ledger in memory (decisions §5, §6).
@Suite(.timeLimit(.minutes(5))) struct PanelCommandTests {
    @Test func `an arming is durable, explained, and ends by its deadline`() async throws {
        try await withShop { shop in
            let armed = try await shop.command(.arm(.init(mode: .away)))
            guard case .done = armed else { throw Unexpected(what: "\(armed)") }
            #expect(try await shop.phase() == .arming(target: .away, from: nil))

            shop.stage.clock.advance(by: .seconds(61))
            await shop.stage.collector.wait(for: .partitionArmed)

            #expect(try await shop.phase() == .armed(.away))
            let history = try await shop.history()
            #expect(history.map { $0["state"]?.string } == ["armed_away", "arming_in_progress"])
            #expect(history.allSatisfy { $0["explanation"]?.string?.isEmpty == false && $0["event_id"]?.string != nil })
            #expect(history.map { $0["cause"]?.string } == ["deadline", "command"])
        }
    }

    @Test func `of two commands on one version the second is told of the conflict`() async throws {
        try await withShop { shop in
            let version = try await shop.record().version
            let results = try await withThrowingTaskGroup(of: PanelResult.self) { group in
                for action in [ArmingCommand.Action.arm(.init(mode: .stay)), .arm(.init(mode: .night))] {
                    group.addTask { try await shop.command(action, ifMatch: [version]) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            var outcomes: [String] = []
            for result in results {
                switch result {
                case .done(_, let after):
                    #expect(after == version + 1)
                    outcomes.append("done")
                case .versionConflict(let current):
                    #expect(current == version + 1)
                    outcomes.append("conflict")
                case .refused, .unknownSite, .wrongAuthority, .knownKey: outcomes.append("\(result)")
                }
            }
            #expect(outcomes.sorted() == ["conflict", "done"])
        }
    }

    @Test func `commands that arrive together each tell a version of their own`() async throws {
        try await withShop { shop in
            let versions = try await withThrowingTaskGroup(of: Int64?.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        let action = index % 2 == 0 ? ArmingCommand.Action.arm(.init(mode: .night)) : .disarm
                        guard case .done(_, let version) = try await shop.command(action) else { return nil }
                        return version
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let events = try await shop.stage.log().filter { $0.type == .armingStateChanged }
            #expect(versions.allSatisfy { $0 != nil })
            // Whoever changed nothing is told the version that it met.
            #expect(Set(versions).count >= events.count)
        }
    }

    @Test func `a signal that was told before is a duplicate, also among a thousand`() async throws {
        try await withShop { shop in
            let signals = (0..<1000).map { index in
                Signal(
                    origin: .number(5),
                    kind: index % 2 == 0 ? .open : .closed,
                    timestamp: shop.stage.start - .milliseconds(1000 - index),
                    signalID: "s-\(index)"
                )
            }
            let first = try await shop.signals(signals)
            #expect(first == Array(repeating: "accepted", count: 1000))
            let again = try await shop.signals(signals)
            #expect(again == Array(repeating: "duplicate", count: 1000))
            let some = try await shop.signals(signals.prefix(3).reversed())
            #expect(some == ["duplicate", "duplicate", "duplicate"])
        }
    }

    @Test func `a trip while armed is an alarm, further ones name it by its number`() async throws {
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            _ = try await shop.signals([Signal(origin: .number(7), kind: .open, timestamp: shop.stage.start)])
            _ = try await shop.signals([Signal(origin: .number(8), kind: .open, timestamp: shop.stage.start)])

            let events = try await shop.stage.log()
            let created = try #require(events.first { $0.type == .alarmCreated })
            let activity = try #require(events.first { $0.type == .alarmActivity })
            let number = try JSONParser.parse(created.body)["data"]?["alarm_id"]?.string
            #expect(number == "A-1")
            #expect(try JSONParser.parse(activity.body)["data"]?["alarm_id"]?.string == number)
        }
    }

    @Test func `a schedule that is added takes effect at once`() async throws {
        try await withShop { shop in
            // The world begins on 2026-09-21 at 09:13:20 in Chicago, a Monday.
            let rule = Fixture(
                id: "sch_1",
                siteID: shop.site.id,
                kind: .schedule,
                number: nil,
                name: "Close",
                settings: ["partition": 1, "arm": "night", "at": "09:20", "days": ["mon"], "warning_minutes": 0]
            )
            try await shop.stage.ledger.write { try $0.insert(rule) }
            await shop.stage.engine.reconfigured()
            await shop.stage.clock.waitForSleeper(until: shop.stage.start + .seconds(400) + DeadlineTimer.settleTime)

            shop.stage.clock.advance(by: .seconds(401))
            await shop.stage.collector.wait(for: .partitionArmed)
            #expect(try await shop.phase() == .armed(.night))
            #expect(try await shop.history().first?["source"]?.string == "schedule")
        }
    }

    @Test func `another dealer's site does not exist, and a partner's is not ours to arm`() async throws {
        try await withShop { shop in
            let stranger = try await shop.command(.disarm, reach: .dealer(DealerID(stored: "dlr_other")))
            guard case .unknownSite = stranger else { throw Unexpected(what: "\(stranger)") }
            let partners = try await shop.command(.disarm, site: shop.stage.world.site.id)
            guard case .wrongAuthority = partners else { throw Unexpected(what: "\(partners)") }
        }
    }
}
