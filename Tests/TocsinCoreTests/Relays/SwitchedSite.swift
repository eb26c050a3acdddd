import TocsinCore

/// A site with relays, buttons that alarm at once, and what was ordered of the relays.
struct SwitchedSite {
    static let siren = RelayID(stored: "rel_siren")
    /// Alarms by button: fire, an audible panic, a silent one.
    static let (fire, panic, silent) = (1, 2, 3)

    var configuration: SiteConfiguration
    var machine: SiteMachine
    private(set) var now: Instant
    private(set) var effects: [ArmingEffect] = []

    init(
        _ rules: [RelayRule] = [],
        schedules: [Schedule] = [],
        model: ArmingModel = .platformTriggered,
        at start: Instant = .midnight("2026-05-26")
    ) {
        self.init(
            relays: [Relay(id: Self.siren, name: "Siren", rules: rules)],
            schedules: schedules,
            model: model,
            at: start
        )
    }

    init(
        relays: [Relay],
        schedules: [Schedule] = [],
        model: ArmingModel = .platformTriggered,
        at start: Instant = .midnight("2026-05-26")
    ) {
        var site = Site.sample(createdAt: start)
        site.armingModel = model
        let types: [(Int, ZoneType, [Int])] = [
            (Self.fire, .h24Fire, [1]), (Self.panic, .h24PanicAudible, [2]), (Self.silent, .h24PanicSilent, [1]),
        ]
        configuration = SiteConfiguration(
            site: site,
            partitions: (1...2).map { .sample(number: $0) },
            zones: types.map { number, type, partitions in
                var zone = Zone(
                    id: ZoneID(stored: "zone_\(number)"),
                    number: number,
                    name: "Button \(number)",
                    type: type
                )
                zone.partitions = partitions
                return zone
            },
            schedules: schedules,
            relays: relays
        )
        machine = SiteMachine(configuration: configuration, state: SiteState())
        machine.reconfigured(at: start)
        now = start
    }

    // MARK: Inputs

    mutating func wait(_ seconds: Int) { now = now + .seconds(seconds) }

    /// Lets what is due by now happen, however late.
    mutating func tick() { effects += machine.deadlinesReached(by: now) }

    /// Presses a button and lets it go.
    mutating func press(_ number: Int) {
        for kind in [Signal.Kind.open, .closed] {
            let signal = Signal(origin: .number(number), kind: kind, timestamp: now)
            let outcome = machine.signals([signal], known: [], receivedAt: now)
            effects += outcome.deadlineEffects + outcome.effects
            now = now + .milliseconds(1)
        }
    }

    @discardableResult
    mutating func activate(_ id: RelayID = siren, seconds: Int, by caller: String = "app_1") -> RelayOutcome.Answer? {
        tick()
        let outcome = machine.activateRelay(id, seconds: seconds, by: caller, receivedAt: now)
        effects += outcome.effects
        return outcome.answer
    }

    @discardableResult
    mutating func deactivate(_ id: RelayID = siren) -> RelayOutcome.Answer? {
        tick()
        let outcome = machine.deactivateRelay(id, by: "app_1", receivedAt: now)
        effects += outcome.effects
        return outcome.answer
    }

    /// Takes what was changed in the configuration, and what a restart would have read back.
    mutating func restart() throws {
        let stored = try SiteState(snapshot: machine.state.snapshot)
        machine = SiteMachine(configuration: configuration, state: stored)
        machine.reconfigured(at: now)
    }

    // MARK: Looking

    func state(_ id: RelayID = siren) -> RelayState? { machine.state.relays[id] }

    var relayEffects: [RelayEffect] {
        effects.compactMap { if case .relay(let effect) = $0 { effect } else { nil } }
    }

    /// What was ordered of the relays, in order.
    var orders: [RelayEffect.Order] { relayEffects.compactMap(\.order) }

    var activations: [RelayActivated] { relayEffects.compactMap(\.activated) }

    var alarms: [AlarmDraft] { effects.compactMap { if case .alarm(let draft) = $0 { draft } else { nil } } }

    mutating func add(_ more: [ArmingEffect]) { effects += more }

    mutating func forgetEffects() { effects = [] }
}
