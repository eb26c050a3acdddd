import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// An engine with the service that delivers commands to relays, and a script of what these answer.
struct RelayStage: Sendable {
    let ledger: any Ledger
    let world: LedgerWorld
    let engine: SiteEngine
    let clock: ManualClock
    let bridge: ScriptedActuator

    func relay(_ name: String, at site: Site? = nil, rules: [RelayRule] = []) async throws -> RelayID {
        let id: RelayID = world.random.id(at: LedgerWorld.start)
        let relay = Relay(id: id, name: name, rules: rules)
        let fixture = Fixture(
            id: id.text,
            siteID: (site ?? world.site).id,
            kind: .relay,
            number: nil,
            name: name,
            settings: relay.settings
        )
        try await ledger.write { try $0.insert(fixture) }
        return id
    }

    @discardableResult
    func order(
        _ action: RelayTask.Action,
        _ relay: RelayID,
        at site: Site? = nil
    ) async throws -> RelayOutcome.Answer? {
        let answered = Mutex<RelayOutcome.Answer?>(nil)
        let request = Request(
            siteID: (site ?? world.site).id,
            reach: .platform,
            actor: AuditEntry.Actor(.app, "app_1"),
            receivedAt: clock.now,
            requestID: "req_test"
        )
        let task = RelayTask(action, of: relay, request: request) { answer, _ in
            answered.withLock { $0 = answer }
            return []
        }
        _ = try await engine.ask(task)
        return answered.withLock { $0 }
    }

    /// The relay's last command, once it is in that state.
    func command(of relay: RelayID, once state: RelayCommand.State) async throws -> RelayCommand {
        while true {
            let last = try await ledger.read { try $0.lastCommand(of: relay, within: .platform) }
            if let last, last.state == state { return last }
            await Task.yield()
        }
    }

    func state(of relay: RelayID) async throws -> RelayState? {
        let site = world.site.id
        return try await ledger.load([site])[site]?.state.relays[relay]
    }

    func audit() async throws -> [AuditEntry] {
        try await ledger.read {
            try $0.audit(within: .platform, filter: AuditFilter(), page: PageRequest(limit: 200)).items.map(\.entry)
        }
    }
}

/// Runs the engine, its deadlines and the service around `body`, then stops them as the program would.
func withRelays(
    ledger given: (any Ledger)? = nil,
    world givenWorld: LedgerWorld? = nil,
    startingAfter delay: Duration = .zero,
    _ body: @escaping @Sendable (RelayStage) async throws -> Void
) async throws {
    let ledger = try given ?? SQLiteLedger.open(.memory)
    let world = if let givenWorld { givenWorld } else { try await LedgerWorld.make(in: ledger) }
    let clock = ManualClock(at: LedgerWorld.start + delay)
    let bridge = ScriptedActuator()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let service = RelayCommandService(ledger: ledger, log: bridge, webhook: bridge, clock: clock, logger: logger)
    let engine = SiteEngine(
        ledger: ledger,
        clock: clock,
        randomness: SeededRandomness(seed: UInt64(bitPattern: (LedgerWorld.start + delay).millisecondsSinceEpoch)),
        vault: Vault(key: Array(repeating: 7, count: Vault.keyLength)),
        relays: service,
        sinks: [],
        logger: logger
    )
    let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(services: [service, engine, engine.deadlines], logger: logger)
    )
    let stage = RelayStage(ledger: ledger, world: world, engine: engine, clock: clock, bridge: bridge)
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

/// Answers as it was told, and tells what it was told to do.
final class ScriptedActuator: RelayActuator {
    private struct State {
        var isHeld: @Sendable (RelayCommand) -> Bool = { _ in false }
        var failures = 0
        var held: [WakeSignal] = []
    }

    private let state = Mutex(State())
    private let inbox = Inbox<RelayCommand>(capacity: 10_000)
    private let unread = Mutex<[RelayCommand]>([])

    /// So many attempts fail from now on; those after them succeed.
    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    /// Attempts of such commands end from now on only when they are released or cancelled.
    func hold(_ isHeld: @escaping @Sendable (RelayCommand) -> Bool) { state.withLock { $0.isHeld = isHeld } }

    func release() {
        let held = state.withLock { state in
            state.isHeld = { _ in false }
            defer { state.held = [] }
            return state.held
        }
        for signal in held { signal.signal() }
    }

    /// The command of the next attempt that was not asked for yet; waits for it.
    func next() async -> RelayCommand {
        while true {
            let command = unread.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            if let command { return command }
            guard let arrived = await inbox.next() else { continue }
            unread.withLock { $0 += arrived }
        }
    }

    func carryOut(_ command: RelayCommand, on relay: Relay) async throws(RelayActuatorError) {
        let signal = WakeSignal()
        let (fails, isHeld) = state.withLock { state -> (Bool, Bool) in
            let fails = state.failures > 0
            if fails { state.failures -= 1 }
            let isHeld = state.isHeld(command)
            if isHeld { state.held.append(signal) }
            return (fails, isHeld)
        }
        _ = inbox.put(command)
        if isHeld { await signal.wait() }
        if fails || Task.isCancelled { throw RelayActuatorError("timeout", "The bridge did not answer in time.") }
    }

    func stop() async { release() }
}
