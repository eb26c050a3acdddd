import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

@Suite(.timeLimit(.minutes(3))) struct `Delivery tasks` {
    @Test func `a new endpoint gets what was before it`() async throws {
        let world = try await DeliveryWorld()
        let old = try await world.append(60)
        let endpoint = try await world.endpoint()
        let stage = TaskStage(world)
        let task = try await stage.begin(endpoint)
        try await stage.pass { try await stage.hasEnded(task) }
        #expect(stage.sender.sent.count == 60)
        let bodies = Dictionary(stage.sender.sent.map { ($0.id, $0.body) }) { first, _ in first }
        for event in old { #expect(bodies[event.id.text] == String(decoding: event.body, as: UTF8.self)) }
        let done = try #require(try await stage.task(task))
        #expect(done.state == .done && done.matched == 60 && done.unsearched == 0)
        #expect(done.counts == DeliveryTask.Counts([.delivered: 60]))
        #expect(try await world.row(old[0], endpoint)?.task == TaskMark(id: task, prior: nil))
        try await stage.stop()
    }

    @Test func `a replay keeps its rate`() async throws {
        let world = try await DeliveryWorld()
        _ = try await world.append(100)
        let endpoint = try await world.endpoint()
        let stage = TaskStage(world)
        let begin = world.clock.now
        let task = try await stage.begin(endpoint, rate: 20)
        try await stage.pass { try await stage.hasEnded(task) }
        // 100 events, four at a time, each portion a fifth of a second after the one before.
        #expect(world.clock.now - begin >= .milliseconds(4800))
        try await stage.stop()
    }

    @Test func `only what is asked for is sent, and only what the subscription covers`() async throws {
        let world = try await DeliveryWorld()
        let here = try await world.append(5)
        let there = try await world.append(5, site: world.otherSite)
        let endpoint = try await world.endpoint()
        let strange = try await world.endpoint("b", events: [.alarmCreated])
        let stage = TaskStage(world)
        let site = world.otherSite
        let task = try await stage.begin(endpoint) { $0.siteID = site }
        let none = try await stage.begin(strange)
        try await stage.pass { try await stage.hasEnded(task) }
        try await stage.pass { try await stage.hasEnded(none) }
        #expect(stage.sender.sent.map(\.id).sorted() == there.map(\.id.text).sorted())
        #expect(try await stage.task(none)?.matched == 0)
        #expect(try await world.row(here[0], endpoint) == nil)
        try await stage.stop()
    }

    @Test func `a partner gets its own sites' events again, of every dealer's log that it follows`() async throws {
        let world = try await DeliveryWorld()
        let own = try await world.append(4)
        _ = try await world.append(4, site: world.otherSite)
        let endpoint = try await world.endpoint(owner: .partner(world.partner))
        let stage = TaskStage(world)
        let task = try await stage.begin(endpoint)
        try await stage.pass { try await stage.hasEnded(task) }
        #expect(stage.sender.sent.map(\.id).sorted() == own.map(\.id.text).sorted())
        try await stage.stop()
    }

    @Test func `what failed is sent again, and what was delivered is not`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let stage = TaskStage(world)
        stage.sender.answer { sent, _ in
            (Int(sent.headers["X-CHeKT-Sequence"] ?? "") ?? 0) % 2 == 0 ? .noAnswer : .status(200)
        }
        let events = try await world.append(10)
        stage.engine.published(events)
        await stage.sender.wait(for: 10)
        await stage.engine.flush()
        stage.sender.answer { _, _ in .status(200) }
        let now = world.clock.now
        let task = try await stage.begin(endpoint, .resendFailed) { $0.since = now }
        // Long before the retries' own time.
        try await stage.pass { try await stage.hasEnded(task) }
        #expect(world.clock.now - now < .seconds(4))
        let failed = [1, 3, 5, 7, 9].map { events[$0].id.text }
        #expect(stage.sender.sent.dropFirst(10).map(\.id).sorted() == failed.sorted())
        #expect(try await stage.task(task)?.counts == DeliveryTask.Counts([.delivered: 5]))
        #expect(try await world.attempts(events[1], endpoint).map(\.number) == [1, 2])
        try await stage.stop()
    }

    @Test func `a disabled endpoint stalls its task, and a deleted one ends it`() async throws {
        let world = try await DeliveryWorld()
        _ = try await world.append(50)
        let endpoint = try await world.endpoint()
        let stage = TaskStage(world)
        let task = try await stage.begin(endpoint, rate: 10)
        try await stage.pass { stage.sender.sent.count >= 10 }
        try await world.change(endpoint) { $0.isEnabled = false }
        await stage.engine.endpointChanged(endpoint)
        let sent = stage.sender.sent.count
        try await stage.pass(steps: 100)
        #expect(stage.sender.sent.count <= sent + 2)
        #expect(try await stage.task(task)?.state == .running)
        try await world.change(endpoint) { $0.isEnabled = true }
        await stage.engine.endpointChanged(endpoint)
        try await stage.pass { stage.sender.sent.count >= 30 }
        try await world.ledger.write { try $0.deleteEndpoint(endpoint) }
        await stage.engine.endpointDeleted(endpoint)
        try await stage.pass { try await stage.hasEnded(task) }
        let ended = try await stage.task(task)
        #expect(ended?.state == .failed && ended?.reason == "endpoint_deleted")
        try await stage.stop()
    }

    @Test func `with order live events wait for the replay, and go on when it is cancelled`() async throws {
        let world = try await DeliveryWorld()
        _ = try await world.append(40)
        let endpoint = try await world.endpoint(ordering: .site)
        let stage = TaskStage(world)
        let task = try await stage.begin(endpoint, rate: 10)
        try await stage.pass { stage.sender.sent.count >= 8 }
        let live = try await world.append(3)
        stage.engine.published(live)
        try await stage.pass(steps: 40)
        #expect(!stage.sender.sent.contains { $0.id == live[0].id.text })
        try await stage.cancel(task)
        try await stage.pass { stage.sender.sent.last?.id == live[2].id.text }
        let sequences = stage.sender.sent.compactMap { Int($0.headers["X-CHeKT-Sequence"] ?? "") }
        #expect(sequences == sequences.sorted() && Set(sequences).count == sequences.count)
        #expect(sequences.count < 40)
        let ended = try #require(try await stage.task(task))
        #expect(ended.counts.delivered + ended.counts.withdrawn == ended.matched)
        try await stage.stop()
    }

    @Test func `with order what waited for a retry goes on when the replay is cancelled, before what is newer`()
        async throws
    {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(ordering: .site)
        let stage = TaskStage(world)
        stage.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "20" ? .noAnswer : .status(200) }
        stage.engine.published(try await world.append(22))
        await stage.sender.wait(for: 20)
        await stage.engine.flush()
        stage.sender.answer { _, _ in .status(200) }
        let task = try await stage.begin(endpoint, rate: 5)
        try await stage.pass { stage.sender.sent.count >= 22 }
        stage.engine.published(try await world.append(1))
        try await stage.cancel(task)
        try await stage.pass { stage.sender.sent.last?.headers["X-CHeKT-Sequence"] == "23" }
        let sequences = stage.sender.sent.compactMap { Int($0.headers["X-CHeKT-Sequence"] ?? "") }
        #expect(sequences.filter { $0 >= 20 } == [20, 20, 21, 22, 23])
        try await stage.stop()
    }

    @Test func `without order live events pass a replay`() async throws {
        let world = try await DeliveryWorld()
        _ = try await world.append(200)
        let endpoint = try await world.endpoint()
        let stage = TaskStage(world)
        let task = try await stage.begin(endpoint, rate: 10)
        try await stage.pass { stage.sender.sent.count >= 8 }
        let live = try await world.append(1)
        stage.engine.published(live)
        try await stage.pass { stage.sender.sent.contains { $0.id == live[0].id.text } }
        #expect(stage.sender.sent.count < 20)
        try await stage.cancel(task)
        try await stage.stop()
    }

    @Test func `what is resent while an endpoint changes is not forgotten`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "2" ? .hold : .status(200) }
        let events = try await world.append(2)
        running.engine.published(events)
        await running.sender.wait(for: 2)
        await running.settlements.wait(forAttempts: 1)
        // The machine waits for the second to end, and then gives way to another.
        try await world.change(endpoint) { $0.ordering = .site }
        await running.engine.endpointChanged(endpoint)
        try await running.engine.resend(events[0].position, to: endpoint)
        running.sender.answer { _, _ in .status(200) }
        running.sender.release()
        await running.sender.wait(for: 3)
        #expect(running.sender.sent.last?.id == events[0].id.text)
        try await running.stop()
    }

    @Test func `what waits for a retry has its turn in the log's order`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(ordering: .site)
        let stage = TaskStage(world)
        // The third fails for now, so that all behind it wait.
        stage.sender.answer { sent, _ in sent.headers["X-CHeKT-Sequence"] == "3" ? .noAnswer : .status(200) }
        stage.engine.published(try await world.append(6))
        await stage.sender.wait(for: 3)
        await stage.engine.flush()
        stage.sender.answer { _, _ in .status(200) }
        let task = try await stage.begin(endpoint)
        try await stage.pass { try await stage.hasEnded(task) }
        let sequences = stage.sender.sent.compactMap { Int($0.headers["X-CHeKT-Sequence"] ?? "") }
        #expect(sequences == [1, 2, 3] + [1, 2, 3, 4, 5, 6])
        try await stage.stop()
    }
}

/// Tasks over random logs, with random failures, restarts, crashes and cancellations.
@Suite(.timeLimit(.minutes(5))) struct `Delivery tasks, whatever happens` {
    @Test(arguments: UInt64(1)...30)
    func `each matched event has one row, none is lost, and order holds`(seed: UInt64) async throws {
        let dice = SeededRandomness(seed: seed)
        func below(_ limit: Int) -> Int { Int(dice.next() % UInt64(limit)) }
        let world = try await DeliveryWorld()
        let sites = [world.site, world.otherSite]
        var old: [LoggedEvent] = []
        for _ in 0..<(5 + below(10)) { old += try await world.append(1 + below(12), site: sites[below(2)]) }
        let isOrdered = below(2) == 0
        let endpoint = try await world.endpoint(ordering: isOrdered ? .site : .none)
        // One in ten attempts fails, and is made again by the endpoint's own schedule.
        try await world.change(endpoint) { $0.retrySchedule = Array(repeating: 1, count: 20) }
        let sender = ScriptedSender()
        sender.answer { _, _ in dice.next() % 10 == 0 ? .noAnswer : .status(200) }
        var stage = TaskStage(world, sender: sender)
        let site: SiteID? = below(3) == 0 ? sites[0] : nil
        let task = try await stage.begin(endpoint, rate: 50 + below(950)) { $0.siteID = site }
        var live: [LoggedEvent] = []
        /// How much was sent in all when each life of the program ended.
        var ends: [Int] = []
        let cancelsAt = below(3) == 0 ? below(60) : nil
        for step in 0..<60 where try await !stage.hasEnded(task) {
            try await stage.pass(steps: 1 + below(4))
            if below(8) == 0 {
                let events = try await world.append(1 + below(3), site: sites[below(2)])
                live += events
                stage.engine.published(events)
            }
            if below(6) == 0 {
                if below(2) == 0 { try await stage.crash() } else { try await stage.stop() }
                ends.append(sender.sent.count)
                stage = TaskStage(world, sender: sender)
            }
            if step == cancelsAt { try await stage.cancel(task) }
        }
        try await stage.pass { try await stage.hasEnded(task) }
        let ended = try #require(try await stage.task(task))
        let matched = old.filter { site == nil || $0.siteID == site }
        // What failed goes on by the endpoint's schedule; what is live goes on behind it.
        let all = (ended.state == .done ? matched : []) + live
        try await stage.pass {
            let sent = Set(sender.sent.map(\.id))
            guard all.allSatisfy({ sent.contains($0.id.text) }) else { return false }
            return try await world.ledger.read { try $0.nextDue(of: endpoint) == nil }
        }
        try await stage.stop()

        let comment: Comment = "seed \(seed), \(ends.count) restarts, ordered \(isOrdered), \(ended.state)"
        var states: [DeliveryState: Int] = [:]
        for event in old {
            let row = try await world.row(event, endpoint)
            let isMatched = site == nil || event.siteID == site
            if !isMatched { #expect(row == nil, comment) }
            if let row {
                #expect(row.task?.id == task, comment)
                states[row.state, default: 0] += 1
            } else if ended.state == .done {
                #expect(!isMatched, comment)
            }
        }
        if ended.state == .done {
            #expect(states == [.delivered: matched.count] && ended.matched == matched.count, comment)
        } else {
            #expect(states.keys.allSatisfy { $0 == .delivered || $0 == .withdrawn }, comment)
            #expect(states.values.reduce(0, +) == ended.matched, comment)
        }
        let strange = Set(sender.sent.map(\.id)).subtracting((matched + live).map(\.id.text))
        #expect(strange.isEmpty, comment)
        if isOrdered { expectOrder(old + live, sender.sent.map(\.id), ends, comment) }
    }

    /// Within one life of the program a site's events never go back; what a crash makes it send twice goes in order too.
    private func expectOrder(_ events: [LoggedEvent], _ sent: [String], _ ends: [Int], _ comment: Comment) {
        let byID = Dictionary(uniqueKeysWithValues: events.map { ($0.id.text, $0) })
        var last: [SiteID: Int64] = [:]
        var lastNew: [SiteID: Int64] = [:]
        var seen: Set<String> = []
        for (index, id) in sent.enumerated() {
            if ends.contains(index) { last = [:] }
            guard let event = byID[id], let site = event.siteID else { continue }
            #expect(event.sequence >= last[site] ?? 0, comment)
            last[site] = event.sequence
            guard seen.insert(id).inserted else { continue }
            #expect(event.sequence > lastNew[site] ?? 0, comment)
            lastNew[site] = event.sequence
        }
    }
}
