import Testing
import TocsinCore
import TocsinSimulation

/// What the explorer found in the machine, each as the inputs that showed it.
struct FindingTests {
    private func played(_ inputs: [SimulationInput], in site: SimulatedSite) throws -> Transition {
        var state = SiteMachine(configuration: site.configuration, state: SiteState()).state
        var now = SimulatedSite.start
        var last: Transition?
        for input in inputs {
            let step = try #require(
                Transition(input, on: state, at: now, in: site.configuration),
                "\(input) cannot happen"
            )
            (state, now) = (step.after, step.at)
            if let violation = Check.violation(of: step) { Issue.record("\(violation)\n\(step.line)") }
            last = step
        }
        return try #require(last)
    }

    private func site(named name: String) throws -> SimulatedSite {
        try #require(SimulatedSite.all.first { $0.name == name })
    }

    private let ann = CommandInput.Credential.code("ann")

    private func arm(
        _ mode: ArmingMode,
        _ target: PartitionTarget,
        bypass: [Int] = [],
        instant: Bool = false
    ) -> SimulationInput {
        let request = ArmingCommand.ArmRequest(mode: mode, bypassZones: bypass, instant: instant)
        return .command(CommandInput(.arm(request), target, with: .trusted))
    }

    @Test func `a bypass stands for the arming that replaces its own, and never silently not`() throws {
        let last = try played(
            [
                arm(.away, .number(1), bypass: [3]), .signal(SignalInput(zone: 3, .open)), arm(.stay, .number(1)),
            ],
            in: site(named: "modes")
        )
        let partition = try #require(last.after.partitions[PartitionID(stored: "p_1")])
        #expect(partition.bypassed == [ZoneID(stored: "zone_3"): .manual])
        #expect(partition.exit?.base == [:])
    }

    @Test func `an alarm that operators resolve changes the version of what shows it`() throws {
        let last = try played(
            [
                arm(.away, .all, instant: true), .signal(SignalInput(zone: 1, .triggered)), .resolve(.intrusion),
            ],
            in: site(named: "alarms")
        )
        let id = PartitionID(stored: "p_1")
        #expect(last.after.partitions[id]?.inAlarm == false)
        #expect(last.after.partitions[id]?.version != last.before.partitions[id]?.version)
    }

    @Test func `a disarm that silences the alarm of a disarmed partition changes its version`() throws {
        let last = try played(
            [.signal(SignalInput(zone: 1, .open)), .command(CommandInput(.disarm, .all, with: ann))],
            in: site(named: "dangers")
        )
        let id = PartitionID(stored: "p_1")
        #expect(last.before.partitions[id]?.inAlarm == true && last.after.partitions[id]?.inAlarm == false)
        #expect(last.after.partitions[id]?.version != last.before.partitions[id]?.version)
    }

    @Test func `a common door that one of its partitions bypasses is left out for all`() throws {
        let last = try played(
            [
                arm(.away, .number(1), instant: true), arm(.away, .number(2), bypass: [1], instant: true),
                .signal(SignalInput(zone: 1, .open)),
            ],
            in: site(named: "shared")
        )
        #expect(last.after.partitions.values.allSatisfy { $0.countdown == nil && $0.incidents.isEmpty })
    }

    @Test func `an armed common area is not disarmed alone`() throws {
        let last = try played(
            [arm(.away, .all, instant: true), .command(CommandInput(.disarm, .number(3), with: .trusted))],
            in: site(named: "shared")
        )
        guard case .command(let outcome) = last.answer, case .failure(.notPermitted(let reasons)) = outcome.answer
        else {
            Issue.record("was disarmed, and armed again at once")
            return
        }
        #expect(reasons.map(\.code) == ["not_permitted_partition"])
    }

    @Test func `a partner's common area is as its panel says`() throws {
        let site = SiteConfiguration.simulated(
            [.simulated(1, "House"), .simulated(2, "Hall", commonAreaOf: [1])],
            zones: [.simulated(1, "Door", .exitEntry, in: [1])],
            model: .partnerTriggered
        )
        var machine = SiteMachine(configuration: site, state: SiteState())
        let now = SimulatedSite.start
        _ = machine.report(ReportInput(.armedAway, .number(1)).report(at: now), receivedAt: now)
        _ = machine.signals([SignalInput(zone: 1, .closed).signal(at: now)], known: [], receivedAt: now)
        #expect(machine.state.partitions[PartitionID(stored: "p_2")]?.phase == .disarmed)
    }

    @Test func `a key that disarms in a batch disarms the common area for the rest of it`() throws {
        let site = SiteConfiguration.simulated(
            [.simulated(1, "House"), .simulated(2, "Hall", commonAreaOf: [1])],
            zones: [.simulated(1, "Key", .keySwitch, in: [1]), .simulated(2, "Window", .perimeter, in: [2])]
        )
        var machine = SiteMachine(configuration: site, state: SiteState())
        let now = SimulatedSite.start
        let arm = ArmingCommand.ArmRequest(mode: .away, instant: true)
        _ = machine.command(CommandInput(.arm(arm), with: .trusted).command, receivedAt: now)
        let batch = [SignalInput(zone: 1, .triggered, age: 2), SignalInput(zone: 2, .open, age: 1)]
        _ = machine.signals(batch.map { $0.signal(at: now) }, known: [], receivedAt: now)
        let hall = try #require(machine.state.partitions[PartitionID(stored: "p_2")])
        #expect(hall.phase == .disarmed && hall.incidents.isEmpty)
    }

    @Test func `an arming that fails leaves no counts of its zones`() throws {
        let site = SiteConfiguration.simulated(
            [
                .simulated(1, "House") {
                    $0.exitViolation = .alarm
                    $0.exitError = .armFailure
                }
            ],
            zones: [.simulated(1, "Window", .perimeter, in: [1]) { $0.swingerLimit = 1 }]
        )
        var machine = SiteMachine(configuration: site, state: SiteState())
        let now = SimulatedSite.start
        let arm = ArmingCommand.ArmRequest(mode: .away)
        _ = machine.command(CommandInput(.arm(arm), with: .trusted).command, receivedAt: now)
        _ = machine.signals([SignalInput(zone: 1, .open).signal(at: now)], known: [], receivedAt: now)
        _ = machine.deadlinesReached(by: now + .seconds(4))
        let house = try #require(machine.state.partitions[PartitionID(stored: "p_1")])
        #expect(house.phase == .disarmed && !house.incidents.isEmpty && house.swingers.isEmpty)
    }

    @Test func `a key of a common area alone turns nothing`() throws {
        let site = SimulatedSite(
            "key",
            "a key switch in the hall",
            .simulated(
                [.simulated(1, "House"), .simulated(2, "Hall", commonAreaOf: [1])],
                zones: [
                    .simulated(1, "Key", .keySwitch, in: [2]), .simulated(2, "Smoke", .h24Fire, in: [2]),
                ]
            ),
            inputs: []
        )
        let last = try played(
            [
                arm(.away, .all, instant: true), .signal(SignalInput(zone: 2, .triggered)),
                .signal(SignalInput(zone: 1, .open)),
            ],
            in: site
        )
        #expect(last.effects.isEmpty)
        #expect(last.after.partitions[PartitionID(stored: "p_2")]?.inAlarm == true)
    }
}
