import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

@Suite(.timeLimit(.minutes(5))) struct `Isolation and order` {
    @Test func `with order a poison event is parked, and the next of its site says so`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(ordering: .site)
        var running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "1" ? .status(422) : .status(200) }
        let events = try await world.append(3)
        running.engine.published(events)
        for attempt in 1...4 {
            await running.attempts(attempt)
            #expect(try await world.row(events[1], endpoint)?.state == .waiting)
            await running.move(to: try await world.row(events[0], endpoint)?.nextAttemptAt)
        }
        // The fifth answer parks it; the others of its site follow at once.
        await running.attempts(7)
        #expect(running.sender.sent.suffix(2).map(\.id) == events[1...].map(\.id.text))
        #expect(running.sender.sent.suffix(2).map { $0.headers["X-CHeKT-Parked"] } == [events[0].id.text, nil])
        let row = try await world.row(events[0], endpoint)
        #expect(row?.state == .parked && row?.attempts == 5 && row?.answers == 5)
        let parked = try await world.ledger.read {
            try $0.deliveries(within: .platform, filter: .init(state: .parked), page: .init())
        }
        #expect(parked.items.map(\.eventID) == [events[0].id])
        try await running.stop()

        // It goes on by its own schedule, also after a restart, and leads its site no more.
        running = RunningEngine(world)
        let more = try await world.append()
        running.engine.published(more)
        await running.attempts(1)
        #expect(running.sender.sent.map(\.id) == [more[0].id.text])
        await running.move(to: row?.nextAttemptAt)
        await running.attempts(2)
        #expect(try await world.row(events[0], endpoint)?.state == .delivered)
        try await running.stop()
    }

    @Test func `an alarm does not wait for what this machine has yet to send, and of that there is not much`()
        async throws
    {
        let world = try await DeliveryWorld()
        let most = DeliveryWindow.Limits().waiting
        for _ in 0..<(most + 40) { _ = try await world.endpoint(events: [.partitionArmed, .alarmAcknowledged]) }
        let running = RunningEngine(world)
        running.sender.stick()
        running.engine.published(try await world.append())
        await running.sender.waitForStuck(most)
        running.engine.published(try await world.appendAlarms())
        await running.sender.wait(for: most + 40)
        #expect(running.sender.stuckCount == most)
        #expect(running.sender.sent.allSatisfy { $0.headers["X-CHeKT-Event-Type"] == "alarm.acknowledged" })
        // The rest follows when what stood before it has left.
        running.sender.letGo()
        await running.attempts((most + 40) * 2)
        try await running.stop()
    }

    @Test func `an outage stays in the log, is seen from outside, and ends when the endpoint is changed`() async throws
    {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { _, _ in .noAnswer }
        let events = try await world.append(200)
        running.engine.published(events)
        // Fourteen at once, and none in place of those that failed.
        await running.attempts(14)
        #expect(running.engine.breaker(of: endpoint).state(at: world.clock.now) == .open)
        #expect(try await world.cursor(endpoint) == 14)
        #expect(try await world.row(events[14], endpoint) == nil)
        running.sender.answer { _, _ in .status(200) }
        await running.engine.endpointChanged(endpoint)
        await running.attempts(200)
        #expect(running.engine.breaker(of: endpoint).state(at: world.clock.now) == .closed)
        #expect(try await world.cursor(endpoint) == 200)
        try await running.stop()
    }
}
