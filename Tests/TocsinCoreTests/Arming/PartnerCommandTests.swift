import Testing
import TocsinJSON

@testable import TocsinCore

/// Commands that are put to the partner first (decisions §5).
@Suite struct PartnerCommandTests {
    private static let start = Instant(secondsSinceEpoch: 1_779_789_600)
    private static let ann = SiteUser(
        id: UserID(stored: "usr_ann"),
        name: "Ann",
        codeHash: "#4711",
        duressCodeHash: "#9119"
    )

    /// A platform-triggered site with two partitions, a door each, and a key switch of the first.
    private struct World {
        var machine: SiteMachine
        var now = PartnerCommandTests.start

        init(asksPartner: Bool = true, users: [SiteUser] = [PartnerCommandTests.ann], schedules: [Schedule] = []) {
            var site = Site.sample()
            site.armingModel = .platformTriggered
            let zones = [
                Zone(id: ZoneID(stored: "zone_1"), number: 1, name: "Front Door", type: .exitEntry, partitions: [1]),
                Zone(id: ZoneID(stored: "zone_2"), number: 2, name: "Office Door", type: .perimeter, partitions: [2]),
                Zone(id: ZoneID(stored: "zone_9"), number: 9, name: "Key", type: .keySwitch, partitions: [1]),
            ]
            machine = SiteMachine(
                configuration: SiteConfiguration(
                    site: site,
                    partitions: [.sample(number: 1), .sample(number: 2)],
                    zones: zones,
                    users: users,
                    schedules: schedules
                ),
                state: SiteState(),
                asksPartner: asksPartner
            )
        }

        mutating func command(
            _ action: ArmingCommand.Action,
            partition: Int = 1,
            code: String? = "#4711"
        ) -> CommandOutcome {
            machine.command(
                ArmingCommand(
                    action: action,
                    target: .number(partition),
                    authority: .code(hash: code, source: "app"),
                    by: Attribution(source: .api)
                ),
                receivedAt: now
            )
        }

        mutating func armAtOnce(_ mode: ArmingMode = .away, partition: Int = 1) -> CommandOutcome {
            command(.arm(ArmingCommand.ArmRequest(mode: mode, instant: true)), partition: partition)
        }

        mutating func answer(_ id: EventID, _ answer: PartnerAnswer) -> AnswerOutcome {
            machine.partnerAnswered(id, answer, receivedAt: now)
        }

        mutating func pass(_ time: Duration) -> [ArmingEffect] {
            now = now + time
            return machine.deadlinesReached(by: now)
        }

        /// The partition armed, with the partner's blessing.
        mutating func armed(partition: Int = 1) throws {
            let outcome = armAtOnce(partition: partition)
            _ = answer(try pending(outcome), .accepted)
            _ = machine.takeSettled()
        }

        func phase(_ number: Int = 1) -> Phase? { machine.state.partitions[PartitionID(stored: "p_\(number)")]?.phase }
    }

    private static func pending(_ outcome: CommandOutcome) throws -> EventID {
        try #require(try outcome.answer.get().pending)
    }

    private func types(_ effects: [ArmingEffect]) -> [EventType] {
        effects.compactMap { if case .event(_, let body) = $0 { body.type } else { nil } }
    }

    // MARK: What is asked

    @Test func `a partner that accepts lets an arm and a disarm through`() throws {
        var world = World()
        let arm = world.armAtOnce()
        let id = try Self.pending(arm)
        #expect(world.phase() == .disarmed)
        #expect(types(arm.effects).isEmpty)
        #expect(world.machine.state.pendingCommands.map(\.expiresAt) == [Self.start + .seconds(5)])

        let answered = world.answer(id, .accepted)
        #expect(world.phase() == .armed(.away))
        #expect(types(answered.effects).contains(.partitionArmed))
        let settled = world.machine.takeSettled()
        #expect(settled.map(\.id) == [id])
        #expect(try settled.first?.outcome.answer.get().isUnchanged == false)
        #expect(settled.first?.outcome.by.name == "Ann")

        let disarm = try Self.pending(world.command(.disarm))
        #expect(disarm != id)
        _ = world.answer(disarm, .accepted)
        #expect(world.phase() == .disarmed)
        #expect(world.machine.state.pendingCommands.isEmpty)
    }

    @Test func `without a partner to ask nothing waits`() throws {
        var world = World(asksPartner: false)
        #expect(try world.armAtOnce().answer.get().pending == nil)
        #expect(world.phase() == .armed(.away))
    }

    @Test func `our own checks come first, and what is so already is not asked`() throws {
        var world = World()
        #expect(throws: CommandRefusal.invalidCode) {
            try world.command(.disarm, code: "wrong").answer.get()
        }
        _ = world.machine.signals(
            [Signal(origin: .number(2), kind: .open, timestamp: world.now)],
            known: [],
            receivedAt: world.now
        )
        let blocked = world.armAtOnce(partition: 2)
        guard case .failure(.armFailed(let reasons)) = blocked.answer else { return #expect(Bool(false), "armed") }
        #expect(reasons.map(\.code) == ["zone_open"])
        #expect(types(blocked.effects) == [.armingFailed])
        #expect(try world.command(.disarm).answer.get().isUnchanged)
        #expect(world.machine.state.pendingCommands.isEmpty)
    }

    // MARK: Answers

    @Test func `a rejected arm fails with the partner's reasons`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce())
        let reply = #"{"result":"rejected","reasons":["the gate is open",{"message":"AC lost","zone_number":4}]}"#
        let answered = world.answer(id, PartnerAnswer(reply: Array(reply.utf8)))

        #expect(world.phase() == .disarmed)
        #expect(types(answered.effects) == [.armingFailed])
        guard case .failure(.armFailed(let reasons))? = world.machine.takeSettled().first?.outcome.answer else {
            return #expect(Bool(false), "not refused")
        }
        #expect(reasons.map(\.code) == ["partner_rejected", "partner_rejected"])
        #expect(reasons.map(\.message) == ["Cannot arm - the gate is open", "Cannot arm - AC lost"])
        #expect(reasons.map(\.zoneNumber) == [nil, 4])
    }

    @Test func `an arm that nobody answers fails after 5 s, exactly`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce())
        #expect(world.pass(.milliseconds(4999)).isEmpty)
        let effects = world.pass(.milliseconds(1))
        #expect(types(effects) == [.armingFailed, .syncFailed])
        #expect(world.phase() == .disarmed)
        #expect(throws: CommandRefusal.partnerUnreachable) {
            try world.machine.takeSettled().first?.outcome.answer.get()
        }
        // Too late is nobody's.
        #expect(world.answer(id, .accepted).effects.isEmpty)
        #expect(world.phase() == .disarmed)
    }

    @Test(arguments: [PartnerAnswer.unreachable("it answered 500"), .rejected([.refusal])])
    func `a disarm goes through whatever the partner says`(answer: PartnerAnswer) throws {
        var world = World()
        try world.armed()
        let id = try Self.pending(world.command(.disarm))
        #expect(world.phase() == .armed(.away))
        let answered = world.answer(id, answer)
        #expect(world.phase() == .disarmed)
        #expect(types(answered.effects).contains(.syncFailed))
        #expect(types(answered.effects).contains(.partitionDisarmed))
        #expect(try world.machine.takeSettled().first?.outcome.answer.get().isUnchanged == false)
    }

    @Test func `a disarm that nobody answers goes through after 5 s`() throws {
        var world = World()
        try world.armed()
        _ = try Self.pending(world.command(.disarm))
        let effects = world.pass(.seconds(5))
        #expect(world.phase() == .disarmed)
        #expect(types(effects).contains(.syncFailed))
    }

    @Test(arguments: ["", "{}", "[]", #"{"result":"maybe"}"#, #"{"result":true}"#, "\u{0}"])
    func `a reply that says neither is no answer`(reply: String) {
        guard case .unreachable = PartnerAnswer(reply: Array(reply.utf8)) else {
            return #expect(Bool(false), "\(reply) was taken for an answer")
        }
    }

    @Test func `a rejection without reasons has one`() {
        guard case .rejected(let reasons) = PartnerAnswer(reply: Array(#"{"result":"rejected","reasons":[7]}"#.utf8))
        else { return #expect(Bool(false), "not a rejection") }
        #expect(reasons.count == 1)
    }

    // MARK: What happens meanwhile

    @Test func `waiting holds up nothing, and the answer is decided on the state then`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce(partition: 2))
        let signals = world.machine.signals(
            [Signal(origin: .number(2), kind: .open, timestamp: world.now)],
            known: [],
            receivedAt: world.now
        )
        #expect(signals.answers.map(\.outcome) == [.accepted])
        let answered = world.answer(id, .accepted)
        #expect(world.phase(2) == .disarmed, "the door that opened in the meantime stands against it")
        #expect(types(answered.effects) == [.armingFailed])
        guard case .failure(.armFailed(let reasons))? = world.machine.takeSettled().first?.outcome.answer else {
            return #expect(Bool(false), "not refused")
        }
        #expect(reasons.map(\.code) == ["zone_open"])
    }

    @Test func `two that wait are settled in the order of their answers`() throws {
        var world = World()
        let first = try Self.pending(world.armAtOnce(partition: 1))
        let second = try Self.pending(world.armAtOnce(partition: 2))
        _ = world.answer(second, .accepted)
        #expect(world.phase(1) == .disarmed)
        #expect(world.phase(2) == .armed(.away))
        _ = world.answer(first, .rejected([.refusal]))
        #expect(world.phase(1) == .disarmed)
        #expect(world.machine.takeSettled().map(\.id) == [second, first])
    }

    @Test func `a disarm overtakes the arming that still waits`() throws {
        var world = World()
        let arm = try Self.pending(world.armAtOnce())
        world.now = world.now + .seconds(1)
        let disarm = try Self.pending(world.command(.disarm))
        _ = world.answer(disarm, .accepted)
        let settled = world.machine.takeSettled()
        #expect(Set(settled.map(\.id)) == [arm, disarm])
        #expect(world.answer(arm, .accepted).effects.isEmpty)
        #expect(world.phase() == .disarmed)
    }

    @Test func `a disarm before the end of the entry delay wins though the partner is still asked`() throws {
        var world = World()
        try world.armed()
        _ = world.machine.signals(
            [Signal(origin: .number(1), kind: .open, timestamp: world.now)],
            known: [],
            receivedAt: world.now
        )
        #expect(world.phase() == .entry(.away))
        #expect(world.pass(.seconds(28)).isEmpty)
        _ = try Self.pending(world.command(.disarm))
        let effects = world.pass(.seconds(2))
        #expect(world.phase() == .disarmed)
        #expect(!types(effects).contains(.alarmCreated))
    }

    @Test func `more than a site may have waiting is decided at once`() throws {
        var world = World()
        try world.armed()
        for _ in 0..<PendingCommand.maximumPerSite { _ = try Self.pending(world.command(.disarm)) }
        #expect(try world.command(.disarm).answer.get().pending == nil)
        #expect(world.phase() == .disarmed)
    }

    @Test func `a person who is gone when the answer comes is refused`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce())
        var without = World(users: [])
        without.machine = SiteMachine(
            configuration: without.machine.configuration,
            state: world.machine.state,
            asksPartner: true
        )
        _ = without.answer(id, .accepted)
        #expect(without.phase() == .disarmed)
    }

    @Test func `a one-time code counts when it is used and again when its command fails`() throws {
        var once = Self.ann
        once.maximumUses = 1
        var world = World(users: [once])
        let id = try Self.pending(world.armAtOnce())
        #expect(throws: CommandRefusal.invalidCode) { try world.armAtOnce(partition: 2).answer.get() }
        _ = world.answer(id, .rejected([.refusal]))
        _ = try Self.pending(world.armAtOnce(partition: 2))
    }

    // MARK: Duress

    @Test func `a duress code alarms at once, and waits as the ordinary one does`() throws {
        func run(_ code: String) throws -> (World, CommandOutcome, EventID) {
            var world = World()
            try world.armed()
            let outcome = world.command(.disarm, code: code)
            return (world, outcome, try Self.pending(outcome))
        }
        var (ordinary, calm, id) = try run("#4711")
        var (silent, forced, same) = try run("#9119")
        #expect(types(forced.effects).contains(.alarmCreated))
        #expect(types(calm.effects).isEmpty)
        #expect(calm.explanation == forced.explanation)
        #expect(id == same)
        _ = ordinary.answer(id, .accepted)
        _ = silent.answer(id, .accepted)
        #expect(silent.phase() == ordinary.phase())
        #expect(
            ordinary.machine.takeSettled().map(\.outcome.explanation)
                == silent.machine.takeSettled().map(\.outcome.explanation)
        )
    }

    // MARK: Keys and schedules

    @Test func `a key switch asks too`() throws {
        var world = World()
        let turn = Signal(origin: .number(9), kind: .triggered, timestamp: world.now)
        _ = world.machine.signals([turn], known: [], receivedAt: world.now)
        let waiting = try #require(world.machine.state.pendingCommands.first)
        #expect(waiting.by.name == "Key")
        _ = world.answer(waiting.id, .accepted)
        #expect(world.phase()?.wireState == "arming_in_progress")
    }

    private static let evening = Schedule(
        id: ScheduleID(stored: "sch_1"),
        name: "Evening",
        partition: 1,
        action: .arm(.night),
        at: TimeOfDay(minutes: 18 * 60),
        warningMinutes: 0
    )

    @Test func `a schedule asks, tries again after a rejection, and arms once it is accepted`() throws {
        var world = World(schedules: [Self.evening])
        world.machine.reconfigured(at: world.now)
        // 18:00, eight hours after the start.
        _ = world.pass(.seconds(8 * 3600))
        let first = try #require(world.machine.state.pendingCommands.first)
        let rejected = world.answer(first.id, .rejected([.refusal]))
        #expect(types(rejected.effects) == [.armingFailed])
        #expect(world.phase() == .disarmed)

        _ = world.pass(.seconds(60))
        let second = try #require(world.machine.state.pendingCommands.first)
        #expect(second.id != first.id)
        _ = world.answer(second.id, .accepted)
        #expect(world.phase() == .armed(.night))
        let next = world.machine.state.schedules[Self.evening.id]?.dueAt
        #expect(next == Self.start + .seconds((24 + 8) * 3600))
    }

    @Test func `a run that is skipped while the partner is asked is not carried out`() throws {
        var world = World(schedules: [Self.evening])
        world.machine.reconfigured(at: world.now)
        _ = world.pass(.seconds(8 * 3600))
        let waiting = try #require(world.machine.state.pendingCommands.first)
        _ = world.machine.skip(Self.evening.id, by: Attribution(source: .api), receivedAt: world.now)
        _ = world.answer(waiting.id, .accepted)
        #expect(world.phase() == .disarmed)
    }

    // MARK: Restarts

    @Test func `what waits survives a restart, without the code`() throws {
        var world = World()
        let request = ArmingCommand.ArmRequest(
            mode: .custom(name: "vacation"),
            bypassZones: [1],
            force: true,
            instant: true,
            noEntryDelay: true
        )
        _ = world.command(.arm(ArmingCommand.ArmRequest(mode: .stay)), partition: 2)
        _ = world.command(.disarm)
        world.machine = SiteMachine(
            configuration: world.machine.configuration,
            state: try SiteState(snapshot: world.machine.state.snapshot),
            asksPartner: true
        )
        var state = world.machine.state
        state.pendingCommands = state.pendingCommands.map {
            var command = $0
            command.action = .arm(request)
            command.isDuress = true
            command.run = PendingCommand.ScheduledRun(schedule: ScheduleID(stored: "sch_1"), occurrence: Self.start)
            return command
        }
        #expect(!state.pendingCommands.isEmpty)
        let bytes = state.snapshot
        #expect(try SiteState(snapshot: bytes) == state)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("#4711"))
    }

    @Test func `sending again gives the partner all of its time`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce())
        world.now = world.now + .seconds(15 * 60 - 1)
        world.machine.sendsCommand(id, at: world.now)
        #expect(world.pass(.milliseconds(4999)).isEmpty)
        _ = world.answer(id, .accepted)
        #expect(world.phase() == .armed(.away))
    }

    @Test func `after a quarter of an hour an arming is not sent again, and a disarm goes through`() throws {
        var world = World()
        let id = try Self.pending(world.armAtOnce())
        world.now = world.now + .seconds(15 * 60)
        world.machine.sendsCommand(id, at: world.now)
        #expect(!world.pass(.zero).isEmpty)
        #expect(world.machine.state.pendingCommands.isEmpty && world.phase() == .disarmed)

        let again = try Self.pending(world.armAtOnce())
        _ = world.answer(again, .accepted)
        let disarm = try Self.pending(world.command(.disarm))
        world.now = world.now + .seconds(3600)
        world.machine.sendsCommand(disarm, at: world.now)
        let effects = world.pass(.zero)
        #expect(world.phase() == .disarmed)
        let failures = effects.compactMap { effect -> String? in
            if case .event(_, .syncFailed(let failed)) = effect { failed.message } else { nil }
        }
        #expect(failures.count == 1 && failures[0].contains("the server was not running"), "\(failures)")
    }
}

extension ArmFailureReason {
    fileprivate static let refusal = ArmFailureReason(
        code: "partner_rejected",
        zoneNumber: nil,
        zoneName: nil,
        message: "Cannot arm - the partner refused",
        remedy: "Ask"
    )
}
