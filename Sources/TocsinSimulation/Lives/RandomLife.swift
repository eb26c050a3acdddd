import TocsinCore

/// The made-up life of a made-up site: longer and wilder than what can be explored exhaustively.
///
/// Signals come late, twice and out of order, codes are wrong, and much happens exactly at a deadline or a second before.
package struct RandomLife: Sendable {
    package let seed: UInt64
    package let configuration: SiteConfiguration
    package private(set) var steps: [Transition] = []

    package init(seed: UInt64, inputs: Int = 60) {
        self.seed = seed
        var random = SimulationRandom(seed: seed)
        configuration = SiteConfiguration.madeUp(&random)
        var state = SiteMachine(configuration: configuration, state: SiteState()).state
        var now = SimulatedSite.start
        var sent: [SignalInput] = []
        func play(_ input: SimulationInput, _ steps: inout [Transition]) {
            guard let step = Transition(input, on: state, at: now, in: configuration) else { return }
            (state, now) = (step.after, step.at)
            steps.append(step)
        }
        for _ in 0..<inputs {
            for advance in Self.pause(in: state, at: now, &random) { play(.advance(advance), &steps) }
            let input = Self.input(for: configuration, in: state, sent: sent, &random)
            if case .signal(let signal) = input { sent = sent.suffix(20) + [signal] }
            play(input, &steps)
            // A delay of no length is over at once.
            while let due = state.nextDeadline, due <= now { play(.advance(.toDeadline), &steps) }
        }
    }

    /// The inputs up to a step with what came of each, and how to play them again.
    package func story(to index: Int) -> String {
        let lines = steps.prefix(index + 1).suffix(25).map { "  \($0.line)" }
        let zones = configuration.zones.map { zone in
            var words = "  zone \(zone.number) \(zone.type.rawValue) in \(zone.partitions)"
            if let seconds = zone.entryDelaySeconds { words += ", entry \(seconds) s" }
            if let group = zone.crossGroup { words += ", cross group \(group)" }
            if zone.delayOnSeconds > 0 { words += ", must stay open \(zone.delayOnSeconds) s" }
            return words
        }
        return
            (["life \(seed), step \(index), profile \(configuration.site.complianceProfile.rawValue):"] + zones + lines)
            .joined(separator: "\n")
    }

    // MARK: Time

    /// Deadlines one by one, then the rest of the pause.
    private static func pause(
        in state: SiteState,
        at now: Instant,
        _ random: inout SimulationRandom
    ) -> [SimulationInput.Advance] {
        if random.chance(state.isCounting ? 45 : 25) { return [] }
        if random.chance(30) { return [.toDeadline] }
        if random.chance(20) { return [.beforeDeadline] }
        if state.isCounting { return [.quiet(seconds: random.number(1...5))] }
        if random.chance(3) { return [.quiet(seconds: 9 * 3600)] }
        let seconds = random.pick([random.number(1...5), random.number(1...60), random.number(60...600)])
        // What falls due in the meantime is played by itself; more than that many deadlines are left for later.
        return Array(repeating: .toDeadline, count: random.number(0...6)) + [.quiet(seconds: seconds)]
    }

    // MARK: Inputs

    private static func input(
        for site: SiteConfiguration,
        in state: SiteState,
        sent: [SignalInput],
        _ random: inout SimulationRandom
    ) -> SimulationInput {
        if random.chance(50), let likely = likelyInput(for: site, in: state, &random) { return likely }
        if random.chance(3) { return .resolve(random.pick(AlarmClass.allCases)) }
        if random.chance(4), let device = site.zones.compactMap(\.deviceID).first {
            return .device(device, isOffline: random.chance(60))
        }
        if random.chance(50) { return .signal(signal(for: site, sent: sent, &random)) }
        return site.site.armingModel == .partnerTriggered
            ? .report(report(for: site, &random)) : .command(command(for: site, &random))
    }

    /// What people do: close what is open before they arm, leave by the door, come back, disarm.
    private static func likelyInput(
        for site: SiteConfiguration,
        in state: SiteState,
        _ random: inout SimulationRandom
    ) -> SimulationInput? {
        if !state.isCounting {
            let left = site.zones.filter { state.zones[$0.id].map { $0.condition != .closed } ?? false }
            if !left.isEmpty, random.chance(60) {
                let zone = random.pick(left)
                let isOpen = state.zones[zone.id]?.isOpen ?? false
                let isFaulty = state.zones[zone.id]?.faults.isEmpty == false
                return .signal(SignalInput(zone: zone.number, isFaulty && !isOpen ? .restored : .closed))
            }
            if state.isGuarding || site.site.armingModel == .partnerTriggered { return nil }
            let request = ArmingCommand.ArmRequest(mode: random.pick([.away, .stay]), force: random.chance(50))
            return .command(CommandInput(.arm(request), with: .trusted, from: random.pick([.keypad, .api])))
        }
        if random.chance(20), site.site.armingModel == .platformTriggered {
            let again: [ArmingCommand.Action] = [
                .arm(ArmingCommand.ArmRequest(mode: .away)), .arm(ArmingCommand.ArmRequest(mode: .stay)), .skipExit,
                .disarm,
            ]
            return .command(CommandInput(random.pick(again), with: .trusted))
        }
        let ways = site.zones.filter { $0.type.isExitRoute || random.chance(15) }
        if ways.isEmpty { return nil }
        let way = random.pick(ways)
        let isOpen = state.zones[way.id]?.isOpen ?? false
        return .signal(SignalInput(zone: way.number, isOpen ? .closed : .open))
    }

    private static func signal(
        for site: SiteConfiguration,
        sent: [SignalInput],
        _ random: inout SimulationRandom
    ) -> SignalInput {
        if random.chance(5), !sent.isEmpty { return random.pick(sent) }
        let zone = random.chance(2) ? 99 : random.pick(site.zones.map(\.number))
        let kind = random.pick(
            [.open, .open, .open, .closed, .closed, .closed, .triggered, .tamper, .trouble, .restored] as [Signal.Kind]
        )
        let age = random.chance(80) ? 0 : random.pick([1, 500, 4_000, 20_000, 120_000, 3 * 3_600_000])
        return SignalInput(zone: zone, kind, age: age)
    }

    private static func target(_ site: SiteConfiguration, _ random: inout SimulationRandom) -> PartitionTarget {
        random.chance(45) ? .all : .number(random.chance(2) ? 99 : random.pick(site.partitions.map(\.number)))
    }

    private static func command(for site: SiteConfiguration, _ random: inout SimulationRandom) -> CommandInput {
        let codes = site.users.flatMap { [$0.codeHash, $0.duressCodeHash].compactMap(\.self) }
        let credential: CommandInput.Credential =
            switch random.number(0...9) {
            case 0: .code("wrong")
            case 1: .missing
            case 2...6 where !codes.isEmpty: .code(random.pick(codes))
            default: .trusted
            }
        let action: ArmingCommand.Action =
            switch random.number(0...19) {
            case 0...9: .arm(request(for: site, &random))
            case 10...15: .disarm
            case 16, 17: .skipExit
            case 18: .quickExit
            default: .silence
            }
        let source = random.pick([.keypad, .keypad, .keyfob, .mobileApp, .api, .schedule] as [Source])
        return CommandInput(action, target(site, &random), with: credential, from: source)
    }

    private static func request(
        for site: SiteConfiguration,
        _ random: inout SimulationRandom
    ) -> ArmingCommand.ArmRequest {
        let modes: [ArmingMode] = [
            .away, .away, .away, .stay, .stay, .night, .custom(name: nil), .custom(name: "vacation"),
            .custom(name: "moon"),
        ]
        return ArmingCommand.ArmRequest(
            mode: random.pick(modes),
            bypassZones: random.chance(15) ? [random.pick(site.zones.map(\.number) + [99])] : [],
            force: random.chance(40),
            instant: random.chance(25),
            noEntryDelay: random.chance(10)
        )
    }

    private static func report(for site: SiteConfiguration, _ random: inout SimulationRandom) -> ReportInput {
        ReportInput(
            random.pick(ReportedState.allCases),
            target(site, &random),
            age: random.chance(70) ? 0 : random.pick([-20, -2, 1, 3, 60]),
            mode: random.pick([nil, .away, .stay, .custom(name: "vacation")]),
            delaySeconds: random.pick([nil, 0, 10, 45])
        )
    }
}

extension SiteState {
    /// Somebody is leaving or coming in.
    fileprivate var isCounting: Bool { partitions.values.contains { $0.exit != nil || $0.countdown != nil } }

    fileprivate var isGuarding: Bool { partitions.values.contains { $0.phase.guardingMode != nil } }
}
