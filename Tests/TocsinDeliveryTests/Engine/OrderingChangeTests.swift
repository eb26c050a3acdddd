import Synchronization
import Testing
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

@testable import TocsinDelivery

/// `ordering: site` is asked for while events, retries and replays are under way.
@Suite(.timeLimit(.minutes(5))) struct `Order that is asked for in the middle` {
    /// What was sent, with marks in it.
    private struct Course {
        /// From here on order was asked for.
        var change = 0
        /// How much was sent in all when each life of the program ended.
        var ends: [Int] = []
    }

    @Test(arguments: UInt64(1)...30)
    func `no event of a site goes back behind a later one, and none is lost`(seed: UInt64) async throws {
        let dice = SeededRandomness(seed: seed)
        func below(_ limit: Int) -> Int { Int(dice.next() % UInt64(limit)) }
        let world = try await DeliveryWorld()
        let sites = [world.site, world.otherSite]
        var old: [LoggedEvent] = []
        for _ in 0..<(5 + below(10)) { old += try await world.append(1 + below(12), site: sites[below(2)]) }
        let endpoint = try await world.endpoint()
        // Many attempts fail, and are made again by the endpoint's own schedule.
        try await world.change(endpoint) { $0.retrySchedule = Array(repeating: 2, count: 40) }
        let sender = ScriptedSender()
        sender.answer { _, _ in dice.next() % 4 == 0 ? .noAnswer : .status(200) }
        var stage = TaskStage(world, sender: sender)
        let replays = below(3) > 0
        let task = replays ? try await stage.begin(endpoint, rate: 20 + below(200)) : nil
        var live: [LoggedEvent] = []
        var course = Course()
        let changesAt = 2 + below(12)
        for step in 0..<40 {
            try await stage.pass(steps: 1 + below(4))
            if below(2) == 0 {
                let events = try await world.append(1 + below(20), site: sites[below(2)])
                live += events
                stage.engine.published(events)
            }
            if step == changesAt {
                try await world.change(endpoint) { $0.ordering = .site }
                await stage.engine.endpointChanged(endpoint)
                // What was in flight by then ends in any order.
                await stage.engine.quiet(endpoint)
                course.change = sender.sent.count
            }
            if step > changesAt, below(10) == 0 {
                if below(2) == 0 { try await stage.crash() } else { try await stage.stop() }
                course.ends.append(sender.sent.count)
                stage = TaskStage(world, sender: sender)
            }
        }
        let all = (replays ? old : []) + live
        var patience = 20_000
        try await stage.pass {
            patience -= 1
            if patience == 0 { return true }
            if let task, try await !stage.hasEnded(task) { return false }
            let sent = Set(sender.sent.map(\.id))
            guard all.allSatisfy({ sent.contains($0.id.text) }) else { return false }
            return try await world.ledger.read { try $0.nextDue(of: endpoint) == nil }
        }
        let comment: Comment =
            "seed \(seed), replays \(replays), changed after \(course.change) of \(sender.sent.count)"
        #expect(patience > 0, "something never came to its end; \(comment)")
        try await stage.stop()
        expectOrder(old + live, sender.sent.map(\.id), course, comment)
    }

    /// Since the change, and within one life of the program, a site's events never go back.
    private func expectOrder(_ events: [LoggedEvent], _ sent: [String], _ course: Course, _ comment: Comment) {
        let byID = Dictionary(uniqueKeysWithValues: events.map { ($0.id.text, $0) })
        var last: [SiteID: Int64] = [:]
        for (index, id) in sent.enumerated() where index >= course.change {
            if course.ends.contains(index) { last = [:] }
            guard let event = byID[id], let site = event.siteID else { continue }
            #expect(event.sequence >= last[site] ?? 0, "\(comment), at \(index)")
            last[site] = event.sequence
        }
    }

    /// Who asks for order, no longer, and again, in a replay: from every answer on until the next change nothing goes back.
    @Test(arguments: UInt64(1)...40)
    func `order holds from the moment that the change is answered`(seed: UInt64) async throws {
        let dice = SeededRandomness(seed: seed)
        func below(_ limit: Int) -> Int { Int(dice.next() % UInt64(limit)) }
        let world = try await DeliveryWorld()
        let sites = [world.site, world.otherSite]
        var events: [LoggedEvent] = []
        for _ in 0..<(10 + below(20)) { events += try await world.append(1 + below(12), site: sites[below(2)]) }
        let endpoint = try await world.endpoint()
        try await world.change(endpoint) { $0.retrySchedule = Array(repeating: 2, count: 40) }
        let sender = ScriptedSender()
        sender.answer { _, _ in dice.next() % 3 == 0 ? .noAnswer : .status(200) }
        let stage = TaskStage(world, sender: sender)
        var task = try await stage.begin(endpoint, rate: 20 + below(300))
        var windows: [Range<Int>] = []
        var begunAt: Int?
        var isOrdered = false
        for _ in 0..<60 {
            if below(3) > 0 { try await stage.pass(steps: 1 + below(3)) }
            if below(2) == 0 {
                let live = try await world.append(1 + below(20), site: sites[below(2)])
                events += live
                stage.engine.published(live)
            }
            guard below(5) == 0 else { continue }
            if let begun = begunAt { windows.append(begun..<sender.sent.count) }
            begunAt = nil
            if isOrdered, try await stage.hasEnded(task) {
                task = try await stage.begin(endpoint, rate: 20 + below(300))
            }
            isOrdered.toggle()
            try await world.change(endpoint) { [isOrdered] in $0.ordering = isOrdered ? .site : .none }
            await stage.engine.endpointChanged(endpoint)
            // What was in flight by then ends in any order; not always there is time to wait for that.
            guard isOrdered, below(2) == 0 else { continue }
            await stage.engine.quiet(endpoint)
            begunAt = sender.sent.count
        }
        if let begun = begunAt { windows.append(begun..<sender.sent.count) }
        try await stage.stop()
        let sent = sender.sent.map(\.id)
        for window in windows {
            expectOrder(events, Array(sent[window]), Course(), "seed \(seed), at \(window)")
        }
    }

    @Test func `what waits for a retry beyond the place of a task is not sent before it`() async throws {
        let world = try await DeliveryWorld()
        let events = try await world.append(20)
        let endpoint = try await world.endpoint(ordering: .site)
        let now = world.clock.now
        // As it is left where order was given up and asked for again while the task was beginning.
        let row = ExceptionalDelivery(
            endpointID: endpoint,
            position: events[19].position,
            eventID: events[19].id,
            state: .retrying,
            attempts: 1,
            nextAttemptAt: now,
            eventCreatedAt: now,
            updatedAt: now
        )
        try await world.ledger.record(DeliveryBatch(exceptions: [row]))
        let id: DeliveryTaskID = world.random.id(at: now)
        try await world.ledger.write { [dealer = world.dealer] transaction in
            guard let endpoint = try transaction.endpoint(endpoint, within: .platform) else { return }
            var task = DeliveryTask(
                id: id,
                kind: .replay,
                endpoint: endpoint,
                since: nil,
                until: now,
                rate: 10,
                requestedBy: .system,
                lanes: [DeliveryTask.Lane(dealerID: dealer, position: 0, end: 20)],
                createdAt: now
            )
            task.phase = .placing
            try transaction.insert(task)
        }
        let stage = TaskStage(world)
        try await stage.pass { try await stage.hasEnded(id) }
        #expect(stage.sender.sent.map(\.id) == events.map(\.id.text))
        try await stage.stop()
    }

    @Test func `an event that comes while an endpoint's machine is made anew is not left lying`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let ledger = SlowReading(world.ledger)
        let running = RunningEngine(world, ledger: ledger)
        running.engine.published(try await world.append(1))
        await running.attempts(1)
        try await world.change(endpoint) { $0.ordering = .site }
        // Whatever is read from now on is handed over late: the machine is made from what was before.
        ledger.hold()
        async let changed: Void = running.engine.endpointChanged(endpoint)
        await ledger.waitForHeld(1)
        ledger.letGo(1)
        await changed
        await ledger.waitForHeld(1)
        let late = try await world.append(1)
        running.engine.published(late)
        await running.engine.flush()
        ledger.letGo()
        await running.attempts(2)
        #expect(running.sender.sent.last?.id == late[0].id.text)
        try await running.stop()
    }
}
