import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// A rule of the ledger, run by the engine's deadlines in the site's time zone (design, arming: schedules).
@Suite(.timeLimit(.minutes(5))) struct ScheduleEngineTests {
    /// 18:00 in Chicago on the day of the world's start.
    private let due = LedgerWorld.start.evening

    @Test func `a rule warns and arms at its local time, with one wake-up for each`() async throws {
        try await withStage { stage in
            let site = try await addClosing(to: stage.world)
            await stage.engine.reconfigured()

            try await wake(stage, at: due - .seconds(600))
            await stage.collector.wait(for: 1)
            try await wake(stage, at: due)
            await stage.collector.wait(for: 2)
            try await wake(stage, at: due + .seconds(60))
            await stage.collector.wait(for: 4)

            let events = stage.collector.events
            #expect(events.map(\.type) == [.armingWarning, .armingStateChanged, .armingStateChanged, .partitionArmed])
            #expect(events.allSatisfy { $0.siteID == site.id })
            #expect(try JSONParser.parse(events[1].body)["triggered_by"] == "sch_close")
        }
    }

    @Test func `what fell due while the server was down is made up for at its start`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await addClosing(to: world)
        // The first run of the server plans the rule.
        try await withStage(ledger: ledger, world: world) { stage in
            await stage.clock.waitForSleeper(until: due - .seconds(600) + DeadlineTimer.settleTime)
        }

        try await withStage(ledger: ledger, world: world, startingAfter: due - LedgerWorld.start + .seconds(300)) {
            stage in
            await stage.collector.wait(for: 1)
            let change = try JSONParser.parse(try #require(stage.collector.events.first).body)
            #expect(change["new_state"] == "arming_in_progress")
            #expect(change["timestamp"]?.string == (due + .seconds(300)).rfc3339Seconds)
            let late = try await stage.audit().first { $0.action == "schedule.run" }
            #expect(late?.explanation.contains("300 s late") == true)
        }
    }

    private func addClosing(to world: LedgerWorld) async throws -> Site {
        let (site, _) = try await world.addSite("Shop", ofPartner: false)
        let rule = Fixture(
            id: "sch_close",
            siteID: site.id,
            kind: .schedule,
            number: nil,
            name: "Close",
            settings: ["partition": 1, "arm": "away", "at": "18:00", "days": JSON(Weekday.allCases.map(\.rawValue))]
        )
        try await world.ledger.write { try $0.insert(rule) }
        return site
    }

    /// Waits until the engine sleeps for exactly that, then lets it be so.
    private func wake(_ stage: Stage, at instant: Instant) async throws {
        await stage.clock.waitForSleeper(until: instant + DeadlineTimer.settleTime)
        stage.clock.move(to: instant + DeadlineTimer.settleTime)
    }
}

extension Instant {
    /// 18:00 in Chicago's summer on the same day in UTC.
    fileprivate var evening: Instant {
        let midnight = secondsSinceEpoch - secondsSinceEpoch % 86_400
        return Instant(secondsSinceEpoch: midnight + 23 * 3600)
    }
}
