import Synchronization
import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

@Suite(.timeLimit(.minutes(5))) struct `Delivery across stops` {
    @Test func `a graceful stop waits for what is in flight and records it`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { _, _ in .hold }
        let events = try await world.append(3)
        running.engine.published(events)
        await running.sender.wait(for: 3)
        await running.beginStop()
        running.sender.release()
        try await running.waitForStop()
        #expect(try await world.cursor(endpoint) == 3)
        #expect(try await world.attempts(events[2], endpoint).count == 1)
        // Calls that come too late return.
        await running.engine.endpointChanged(endpoint)
        await running.engine.flush()
    }

    @Test func `a stop does not wait forever, and what was cut off is sent again`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        var running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "2" ? .hold : .status(200) }
        running.engine.published(try await world.append(3))
        await running.attempts(2)
        await running.beginStop()
        await running.move(to: world.clock.now + DeliveryEngine.drainBound)
        try await running.waitForStop()
        #expect(try await world.cursor(endpoint) == 1)
        running = RunningEngine(world)
        await running.attempts(1)
        await running.engine.flush()
        // The third is behind the second, which held the cursor; but it is known to be delivered.
        #expect(running.sender.sent.map { $0.headers["X-CHeKT-Sequence"] } == ["2"])
        #expect(try await world.cursor(endpoint) == 3)
        try await running.stop()
    }

    @Test func `what is to be sent anew is sent anew, though it was delivered once, and once only after a restart`()
        async throws
    {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        var running = RunningEngine(world)
        running.engine.published(try await world.append(3))
        await running.attempts(3)
        try await running.stop()
        let place = EventPosition(dealerID: world.dealer, sequence: 1)
        try await world.ledger.write { transaction in
            try transaction.setCursor(EndpointCursor(endpointID: endpoint, position: place))
            try transaction.forgetDeliveries(of: endpoint, after: place)
        }
        running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "2" ? .hold : .status(200) }
        await running.attempts(1)
        await running.beginStop()
        await running.move(to: world.clock.now + DeliveryEngine.drainBound)
        try await running.waitForStop()
        #expect(Set(running.sender.sent.map { $0.headers["X-CHeKT-Sequence"] }) == ["2", "3"])
        running = RunningEngine(world)
        await running.attempts(1)
        await running.engine.flush()
        #expect(running.sender.sent.map { $0.headers["X-CHeKT-Sequence"] } == ["2"])
        #expect(try await world.cursor(endpoint) == 3)
        try await running.stop()
    }

    @Test func `after a crash only the window behind the cursor is sent again`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let frozen = FreezingLedger(world.ledger)
        var running = RunningEngine(world, ledger: frozen)
        running.engine.published(try await world.append(20))
        await running.attempts(20)
        #expect(try await world.cursor(endpoint) == 20)
        // A crash is a ledger that takes nothing more.
        frozen.freeze()
        running.engine.published(try await world.append(5))
        await running.sender.wait(for: 25)
        await frozen.waitForRefusal()
        await running.beginStop()
        await running.move(to: world.clock.now + DeliveryEngine.drainBound)
        try await running.waitForStop()
        #expect(try await world.cursor(endpoint) == 20)

        running = RunningEngine(world)
        await running.attempts(5)
        let sequences = running.sender.sent.compactMap { Int($0.headers["X-CHeKT-Sequence"] ?? "") }
        // They are sent at once, in any order.
        #expect(sequences.sorted() == Array(21...25))
        #expect(try await world.cursor(endpoint) == 25)
        try await running.stop()
    }

    @Test func `a retry that was due is made after a restart, and a delivered one is not`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(ordering: .site)
        var running = RunningEngine(world)
        running.sender.answer { _, _ in .noAnswer }
        let events = try await world.append(3)
        running.engine.published(events)
        await running.attempts(1)
        #expect(try await world.row(events[1], endpoint)?.state == .waiting)
        try await running.stop()
        world.clock.advance(by: .seconds(60))
        running = RunningEngine(world)
        await running.attempts(3)
        #expect(running.sender.sent.map(\.id) == events.map(\.id.text))
        try await running.stop()
        running = RunningEngine(world)
        await running.engine.flush()
        #expect(running.sender.sent.isEmpty)
        try await running.stop()
    }

    @Test func `a backlog is read from the log`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        _ = try await world.append(1500)
        let running = RunningEngine(world)
        await running.attempts(1500)
        #expect(Set(running.sender.sent.map(\.id)).count == 1500)
        #expect(try await world.cursor(endpoint) == 1500)
        try await running.stop()
    }

    private static let alarmsToo: Set<EventType> = [.partitionArmed, .alarmAcknowledged]

    /// Where the alarms came among all that was sent.
    private func places(of alarms: [LoggedEvent], in sent: [ScriptedSender.Sent]) -> [Int] {
        alarms.compactMap { alarm in sent.firstIndex { $0.id == alarm.id.text } }
    }

    @Test(arguments: [DeliveryOrdering.none, .site])
    func `after a restart alarms pass a backlog, unless they would overtake their site`(
        ordering: DeliveryOrdering
    ) async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(events: Self.alarmsToo, ordering: ordering)
        // Where there is no order, more than one search looks at.
        let backlog = ordering == .none ? 2100 : 300
        _ = try await world.append(backlog)
        let alarms = try await world.appendAlarms(3)
        let running = RunningEngine(world)
        await running.attempts(backlog + 3)
        #expect(running.sender.sent.count == backlog + 3)
        #expect(Set(running.sender.sent.map(\.id)).count == backlog + 3)
        let places = places(of: alarms, in: running.sender.sent)
        switch ordering {
        // The first reading brings 256 of the rest, and some pass while the search is under way.
        case .none: #expect(places.allSatisfy { $0 < 1500 }, "\(places)")
        case .site: #expect(places == [300, 301, 302])
        }
        #expect(try await world.cursor(endpoint) == Int64(backlog + 3))
        try await running.stop()
    }

    @Test func `alarms of a backlog that were sent ahead are not sent again after another restart`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(events: Self.alarmsToo)
        _ = try await world.append(1000)
        let alarms = try await world.appendAlarms(2)
        var running = RunningEngine(world)
        // The rest is held, so that what is kept for alarms is all that moves.
        running.sender.answer { [alarms] sent, _ in alarms.contains { $0.id.text == sent.id } ? .status(200) : .hold }
        await running.settlements.wait(forSettled: 2)
        #expect(places(of: alarms, in: running.sender.sent).allSatisfy { $0 < 20 })
        await running.engine.flush()
        await running.beginStop()
        await running.move(to: world.clock.now + DeliveryEngine.drainBound)
        try await running.waitForStop()
        #expect(try await world.row(alarms[0], endpoint)?.state == .delivered)
        running = RunningEngine(world)
        await running.settlements.wait(forSettled: 1000)
        await running.engine.flush()
        #expect(places(of: alarms, in: running.sender.sent).isEmpty)
        #expect(try await world.cursor(endpoint) == 1002)
        try await running.stop()
    }

    @Test func `alarms pass the backlog of an endpoint that is enabled again`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(events: Self.alarmsToo)
        let running = RunningEngine(world)
        running.sender.answer { _, _ in .hold }
        try await world.change(endpoint) { $0.isEnabled = false }
        await running.engine.endpointChanged(endpoint)
        running.engine.published(try await world.append(1000))
        let alarms = try await world.appendAlarms(2)
        running.engine.published(alarms)
        try await world.change(endpoint) { $0.isEnabled = true }
        await running.engine.endpointChanged(endpoint)
        await running.sender.wait(for: 16)
        #expect(places(of: alarms, in: running.sender.sent).count == 2)
        await running.beginStop()
        await running.move(to: world.clock.now + DeliveryEngine.drainBound)
        try await running.waitForStop()
    }

    @Test func `a ledger that cannot record for a while loses nothing`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let frozen = FreezingLedger(world.ledger)
        let running = RunningEngine(world, ledger: frozen)
        frozen.freeze()
        running.engine.published(try await world.append(100))
        await frozen.waitForRefusal()
        let again = world.clock.now + .seconds(1)
        await world.clock.waitForSleeper(until: again)
        frozen.thaw()
        world.clock.move(to: again)
        await running.attempts(100)
        #expect(running.sender.sent.count == 100)
        #expect(try await world.cursor(endpoint) == 100)
        try await running.stop()
    }
}

/// A ledger that records nothing while it is frozen.
private final class FreezingLedger: LedgerInFront {
    private struct State {
        var isFrozen = false
        var refusals = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let real: any Ledger
    private let state = Mutex(State())

    init(_ real: any Ledger) { self.real = real }

    func freeze() { state.withLock { $0.isFrozen = true } }
    func thaw() { state.withLock { $0.isFrozen = false } }

    /// Returns when the ledger has refused to record.
    func waitForRefusal() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.refusals == 0 { state.waiters.append(continuation) }
                return state.refusals > 0
            }
            if isThere { continuation.resume() }
        }
    }

    func record(_ batch: DeliveryBatch) async throws(LedgerError) {
        let (isFrozen, ready) = state.withLock { state in
            if state.isFrozen { state.refusals += 1 }
            defer { if state.isFrozen { state.waiters = [] } }
            return (state.isFrozen, state.isFrozen ? state.waiters : [])
        }
        for continuation in ready { continuation.resume() }
        if isFrozen { throw LedgerError(.full, "no space is left") }
        try await real.record(batch)
    }
}
