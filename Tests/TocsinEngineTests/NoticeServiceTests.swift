import Logging
import ServiceLifecycle
import Synchronization
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@Suite("Notice service", .timeLimit(.minutes(5))) struct NoticeServiceTests {
    private static let start = LedgerWorld.start

    @Test func `each of the site's people is told, and it is recorded`() async throws {
        try await withNotices(people: ["ann@example.test", "bo@example.test"]) { stage in
            try await stage.tell()

            let told = await [stage.notifier.next(), stage.notifier.next()]
            #expect(told.map(\.address).sorted { $0 ?? "" < $1 ?? "" } == ["ann@example.test", "bo@example.test"])
            #expect(told.allSatisfy { $0.subject == "Main Street 1: Cannot arm - Back Door is open" })
            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.sent, .sent])
        }
    }

    @Test func `a failed attempt is tried again after 1, 5, 30 and 120 minutes, then given up`() async throws {
        try await withNotices(people: ["ann@example.test"]) { stage in
            stage.notifier.answer(with: Array(repeating: NotifierError(.unreachable, "no route"), count: 9))
            try await stage.tell()

            var due = Self.start
            for (attempt, minutes) in [1, 5, 30, 120].enumerated() {
                #expect(await stage.notifier.next().attempts == attempt)
                due = due + .seconds(minutes * 60)
                // The one instant at which there is something to do.
                await stage.clock.waitForSleeper(until: due)
                stage.clock.move(to: due)
            }
            #expect(await stage.notifier.next().attempts == 4)
            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.failed])
            #expect(settled.map(\.attempts) == [5])
            #expect(settled.map(\.lastError) == ["unreachable: no route"])
            #expect(stage.notifier.attempts == 5)
        }
    }

    @Test func `what can never be delivered is not tried again`() async throws {
        try await withNotices(people: ["ann@example.test"]) { stage in
            stage.notifier.answer(with: [NotifierError(.refused, "550 no such mailbox", isPermanent: true)])
            try await stage.tell()

            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.failed])
            #expect(stage.notifier.attempts == 1)
        }
    }

    @Test func `one failure holds up nobody else, and the retry is for that person alone`() async throws {
        try await withNotices(people: ["ann@example.test", "bo@example.test", "cy@example.test"]) { stage in
            stage.notifier.answer(with: [NotifierError(.timeout, "no answer")])
            try await stage.tell()
            let first = await [stage.notifier.next(), stage.notifier.next(), stage.notifier.next()]
            await stage.clock.waitForSleeper(until: Self.start + .seconds(60))

            stage.clock.advance(by: .seconds(60))

            let again = await stage.notifier.next()
            #expect(again.attempts == 1)
            #expect(first.filter { $0.messageID == again.messageID }.count == 1)
            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.sent, .sent, .sent])
        }
    }

    @Test func `what an ended program broke off is sent by the next one under the same id`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let broken = Mutex("")
        try await withNotices(people: ["ann@example.test"], ledger: ledger, world: world) { stage in
            stage.notifier.hold()
            try await stage.tell()
            let id = await stage.notifier.next().messageID
            broken.withLock { $0 = id }
        }
        let waiting = try await ledger.read { try $0.dueNotices(by: Self.start, limit: 9) }
        #expect(waiting.map(\.attempts) == [0])

        try await withNotices(ledger: ledger, world: world) { stage in
            let sent = await stage.notifier.next()
            #expect(sent.messageID == broken.withLock { $0 })
            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.sent])
        }
    }

    @Test func `after a restart a retry keeps its time`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let due = Self.start + .seconds(60)
        try await withNotices(people: ["ann@example.test"], ledger: ledger, world: world) { stage in
            stage.notifier.answer(with: [NotifierError(.timeout, "no answer")])
            try await stage.tell()
            await stage.clock.waitForSleeper(until: due)
        }

        try await withNotices(ledger: ledger, world: world) { stage in
            await stage.clock.waitForSleeper(until: due)
            #expect(stage.notifier.attempts == 0)
            stage.clock.move(to: due)
            #expect(await stage.notifier.next().attempts == 1)
        }
    }

    @Test func `what is a day old is given up unsent`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        try await NoticeStage.add(["ann@example.test"], to: world)
        try await NoticeStage.tell(world)

        try await withNotices(ledger: ledger, world: world, startingAfter: .seconds(86_401)) { stage in
            let settled = try await stage.settled()
            #expect(settled.map(\.lastError) == ["it is older than a day"])
            #expect(stage.notifier.attempts == 0)
        }
    }

    @Test func `who has no address any more is given up unsent`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        try await NoticeStage.add(["ann@example.test"], to: world)
        try await NoticeStage.tell(world)
        try await ledger.write { transaction in
            let people = try transaction.fixtures(of: world.site.id, kind: .user, within: .platform)
            for var person in people {
                person.settings = [:]
                try transaction.update(person)
            }
        }

        try await withNotices(ledger: ledger, world: world) { stage in
            let settled = try await stage.settled()
            #expect(settled.map(\.lastError) == ["the person has no e-mail address any more"])
            #expect(stage.notifier.attempts == 0)
        }
    }

    @Test func `while the outcome cannot be recorded nothing is sent twice`() async throws {
        try await withNotices(people: ["ann@example.test"]) { stage in
            for _ in 0..<2 { stage.faults.failNextWrite(with: LedgerError(.full, "no space")) }
            try await stage.tell()
            for seconds in 1...2 {
                let again = Self.start + .seconds(seconds)
                await stage.clock.waitForSleeper(until: again)
                stage.clock.move(to: again)
            }
            let settled = try await stage.settled()
            #expect(settled.map(\.state) == [.sent])
            #expect(stage.notifier.attempts == 1)
        }
    }

    @Test func `the log does not tell whose address it is`() {
        #expect(LogNotifier.redacted("ann.smith@example.test") == "a…@example.test")
        #expect(LogNotifier.redacted("nonsense") == "…")
    }
}

/// A notice service that runs, with the means to look at what it did.
private struct NoticeStage: Sendable {
    let ledger: any Ledger
    let faults: FaultyLedger
    let world: LedgerWorld
    let clock: ManualClock
    let notifier: ScriptedNotifier
    let service: NoticeService

    static func add(_ people: [String], to world: LedgerWorld) async throws {
        try await world.ledger.write { transaction in
            for email in people {
                let user = Fixture(
                    id: world.random.id(UserNoun.self, at: LedgerWorld.start).text,
                    siteID: world.site.id,
                    kind: .user,
                    number: nil,
                    name: email,
                    settings: ["email": .string(email)]
                )
                try transaction.insert(user)
            }
        }
    }

    /// Commits a failed arming with its event and its notice.
    @discardableResult
    static func tell(_ world: LedgerWorld) async throws -> [LoggedEvent] {
        let record = try #require(try await world.ledger.load([world.site.id])[world.site.id])
        var machine = SiteMachine(configuration: record.configuration, state: record.state)
        let report = ArmingReport(
            state: .armFailure,
            target: .all,
            timestamp: LedgerWorld.start,
            userID: "Ann",
            source: .keypad,
            zones: [ArmingReport.Zone(number: 5, name: "Back Door")]
        )
        var decision = world.decision(version: record.version)
        decision.newState = nil
        for effect in machine.report(report, receivedAt: LedgerWorld.start).effects {
            if case .event(let partition, let body) = effect {
                let id = world.random.id(EventNoun.self, at: decision.at)
                decision.events.append(EventDraft(id: id, siteID: world.site.id, partitionID: partition, body: body))
            }
            if case .notice(let draft) = effect {
                decision.notices.append(IssuedNotice(id: world.random.id(at: decision.at), draft: draft))
            }
        }
        return try #require(try await world.ledger.commit([decision]).first?.events)
    }

    func tell() async throws { service.published(try await Self.tell(world)) }

    /// The site's notices, once none waits any more.
    func settled() async throws -> [Notice] {
        while true {
            let all = try await ledger.read { [site = world.site.id] in
                try $0.notices(of: site, within: .platform, limit: 100)
            }
            if !all.isEmpty, all.allSatisfy({ $0.state != .waiting }) { return all }
            await Task.yield()
        }
    }
}

/// Runs a service around `body`, then stops it as the program would.
private func withNotices(
    people: [String] = [],
    ledger given: SQLiteLedger? = nil,
    world givenWorld: LedgerWorld? = nil,
    startingAfter delay: Duration = .zero,
    _ body: @escaping @Sendable (NoticeStage) async throws -> Void
) async throws {
    let ledger = try given ?? SQLiteLedger.open(.memory)
    let world = if let givenWorld { givenWorld } else { try await LedgerWorld.make(in: ledger) }
    try await NoticeStage.add(people, to: world)
    let faults = FaultyLedger(ledger)
    let clock = ManualClock(at: LedgerWorld.start + delay)
    let notifier = ScriptedNotifier()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let service = NoticeService(ledger: faults, notifier: notifier, clock: clock, logger: logger)
    let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: [service], logger: logger))
    let stage = NoticeStage(
        ledger: ledger,
        faults: faults,
        world: world,
        clock: clock,
        notifier: notifier,
        service: service
    )
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        do {
            try await body(stage)
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}

/// Answers as it was told, and tells who was to be notified.
private final class ScriptedNotifier: Notifier {
    private struct State {
        var errors: [NotifierError] = []
        var isHolding = false
        var attempts = 0
    }

    private let state = Mutex(State())
    private let inbox = Inbox<Notice>(capacity: 1_000)
    private let unread = Mutex<[Notice]>([])

    /// The next attempts fail so, one after the other; those after them succeed.
    func answer(with errors: [NotifierError]) { state.withLock { $0.errors += errors } }

    /// Attempts from now on end only when they are cancelled.
    func hold() { state.withLock { $0.isHolding = true } }

    var attempts: Int { state.withLock { $0.attempts } }

    /// The notice of the next attempt that was not asked for yet; waits for it.
    func next() async -> Notice {
        while true {
            let notice = unread.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            if let notice { return notice }
            guard let arrived = await inbox.next() else { continue }
            unread.withLock { $0 += arrived }
        }
    }

    func deliver(_ notice: Notice) async throws(NotifierError) {
        let (error, isHolding) = state.withLock { state -> (NotifierError?, Bool) in
            state.attempts += 1
            return (state.errors.isEmpty ? nil : state.errors.removeFirst(), state.isHolding)
        }
        _ = inbox.put(notice)
        if isHolding {
            await WakeSignal().wait()
            throw NotifierError(.stopped, "cancelled")
        }
        if let error { throw error }
    }
}
