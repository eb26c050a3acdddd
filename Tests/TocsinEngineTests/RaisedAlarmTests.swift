import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

/// One incident per partition and class, whether it tripped or was raised by request (decisions §6).
@Suite(.timeLimit(.minutes(5))) struct RaisedAlarmTests {
    @Test func `what trips while a raised alarm is open becomes a part of it, over a restart of the state too`()
        async throws
    {
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            let desk = AlarmDesk(shop)
            guard case .raised = try await desk.raise() else { throw Unexpected(what: "not raised") }
            let stored = try await shop.record().state
            #expect(try SiteState(snapshot: stored.snapshot) == stored && stored.raised.count == 1)

            try await desk.trip()

            #expect(try await alarms(of: shop).count == 1)
            #expect(try await desk.timeline().map(\.kind) == [.created, .activity])
            #expect(try await desk.alarm().zones.map(\.number) == [7])
            let types = try await shop.log().map(\.type).filter { $0.rawValue.hasPrefix("alarm.") }
            #expect(types == [.alarmCreated, .alarmActivity])
            // The premises are told as ever, and the operators' word ends it there too.
            #expect(try await desk.partition().inAlarm)
            _ = try await desk.done(.resolve(.handled, notes: nil))
            #expect(try await desk.partition().incidents.isEmpty)
            #expect(try await shop.record().state.raised.isEmpty)
            #expect(try await shop.stage.ledger.read { try $0.verify() } == [])
        }
    }

    @Test func `what is raised while a tripped alarm is open becomes a part of it, and cannot be cancelled with it`()
        async throws
    {
        try await withAlarm { desk in
            guard case .added = try await desk.raise() else { throw Unexpected(what: "not joined") }
            _ = try await desk.shop.command(.disarm)
            #expect(try await desk.alarm().priority == .high)
            #expect(try await desk.timeline().map(\.kind) == [.created, .activity, .noted])
            // Its session has ended: what trips after it is another alarm, though nobody has resolved the first.
            _ = try await desk.shop.signals([
                Signal(origin: .number(7), kind: .closed, timestamp: desk.shop.stage.clock.now, signalID: nil)
            ])
            desk.shop.stage.clock.advance(by: .seconds(1))
            try await desk.trip()
            #expect(try await alarms(of: desk.shop).count == 2)
        }
    }

    @Test func `a drill that nobody resolved swallows no alarm of a later session`() async throws {
        try await withShop { shop in
            let desk = AlarmDesk(shop)
            guard case .raised = try await desk.raise(priority: .low) else { throw Unexpected(what: "not raised") }
            for session in 1...2 {
                try await desk.trip()
                #expect(try await alarms(of: shop).count == 1 + session)
                _ = try await shop.command(.disarm)
                _ = try await shop.signals([
                    Signal(origin: .number(7), kind: .closed, timestamp: shop.stage.clock.now, signalID: nil)
                ])
                shop.stage.clock.advance(by: .seconds(1))
            }
            #expect(try await shop.log().filter { $0.type == .alarmCreated }.count == 3)
        }
    }

    @Test func `what joins a less urgent alarm makes it as urgent as it is itself`() async throws {
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            let desk = AlarmDesk(shop)
            _ = try await desk.raise(priority: .low)
            try await desk.trip()
            #expect(try await desk.alarm().priority == .high)
            let escalated = try #require(try await shop.log().first { $0.type == .alarmEscalated })
            let data = try JSONParser.parse(escalated.body)["data"]
            #expect(data?["reason"] == "triggered-again" && data?["priority"] == "HIGH" && data?["operator_id"] == nil)
            #expect(try await shop.stage.audit().contains { $0.action == "alarm.escalate" })

            guard case .added = try await desk.raise(priority: .critical) else { throw Unexpected(what: "not joined") }
            #expect(try await desk.alarm().priority == .critical)
        }
    }

    @Test func `an alarm in its abort window joins what was raised meanwhile once it is reported`() async throws {
        try await withShop { shop in
            var partition = shop.partition
            partition.policy.abortWindowSeconds = 30
            try await shop.stage.ledger.write { [partition] in try $0.update(partition) }
            await shop.stage.engine.reconfigured()
            let tripped = AlarmDesk(shop)
            try await tripped.trip()
            #expect(try await alarms(of: shop).isEmpty)
            guard case .raised(_, let incident, _) = try await tripped.raise() else {
                throw Unexpected(what: "not raised")
            }
            shop.stage.clock.advance(by: .seconds(31))
            await shop.stage.collector.wait(for: .alarmActivity)
            let desk = AlarmDesk(shop, incident: incident)
            #expect(try await alarms(of: shop).count == 1)
            #expect(try await desk.timeline().map(\.kind) == [.created, .activity])
            #expect(try await desk.partition().incidents.map(\.id) == [incident])
        }
    }

    @Test func `a hidden alarm and one that the premises see stay two`() async throws {
        try await withShop { shop in
            try await shop.stage.ledger.write { [site = shop.site] transaction in
                try transaction.insert(
                    Fixture(
                        id: "zone_9",
                        siteID: site.id,
                        kind: .zone,
                        number: 9,
                        name: "Hold-up",
                        settings: ["type": "h24_panic_silent"]
                    )
                )
            }
            await shop.stage.engine.reconfigured()
            _ = try await AlarmDesk(shop).raise(.panic)
            _ = try await shop.signals([
                Signal(origin: .number(9), kind: .triggered, timestamp: shop.stage.clock.now, signalID: nil)
            ])
            let found = try await alarms(of: shop)
            #expect(found.map(\.isSilent) == [true, false])
            _ = try await AlarmDesk(shop).raise(.duress)
            #expect(try await alarms(of: shop).count == 3)
        }
    }

    private func alarms(of shop: Shop) async throws -> [Alarm] {
        try await shop.stage.ledger.read { [dealer = shop.stage.world.dealer.id] in
            try $0.alarms(within: .dealer(dealer), filter: AlarmFilter(), page: PageRequest()).items
        }
    }
}
