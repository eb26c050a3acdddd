import Testing
import TocsinCore

/// Whatever happens, a relay that was told to switch on is told to switch off by its end.
@Suite struct RelayPropertyTests {
    @Test func `on is followed by off by its end, whatever happens in between`() throws {
        let seed = Seed.announced(for: "relays")
        for life in 0..<300 {
            var generator = SeededGenerator(seed: seed &+ UInt64(life))
            try live(&generator, "life \(seed &+ UInt64(life))")
        }
    }

    private func live(_ generator: inout SeededGenerator, _ name: String) throws {
        let relays = (1...3).map { number in
            Relay(id: RelayID(stored: "rel_\(number)"), name: "Relay \(number)", rules: rules(&generator))
        }
        var rule = Schedule.sample(.activate(RelayID(stored: "rel_2"), seconds: 900), days: Set(Weekday.allCases))
        rule.partition = Schedule.noPartition
        var site = SwitchedSite(relays: relays, schedules: [rule])
        // The end that each relay that is on was last told.
        var ends: [RelayID: Instant] = [:]
        for _ in 0..<60 {
            site.forgetEffects()
            try input(&site, &generator)
            for effect in site.relayEffects {
                switch effect.order {
                case .on(let until, let seconds):
                    #expect(until <= site.now + .seconds(seconds), "\(name): an end in the far future")
                    #expect(ends[effect.relayID].map { until > $0 } ?? true, "\(name): an end was moved forward")
                    ends[effect.relayID] = until
                case .off: ends[effect.relayID] = nil
                case nil: #expect(ends[effect.relayID] != nil, "\(name): told as on while it was off")
                }
            }
            #expect(site.machine.state.relays.mapValues(\.until) == ends, "\(name): the state is not what was told")
            for (id, end) in ends {
                #expect(end > site.now, "\(name): \(id) is on past its end")
                #expect(site.machine.state.nextDeadline.map { $0 <= end } == true, "\(name): nothing wakes for \(id)")
            }
        }
    }

    private func rules(_ generator: inout SeededGenerator) -> [RelayRule] {
        (0..<Int.random(in: 0...2, using: &generator)).map { _ in
            RelayRule(
                classes: generator.chance(50) ? [generator.pick([.fire, .panic])] : nil,
                partitions: generator.chance(30) ? [1] : nil,
                includesSilent: generator.chance(50),
                durationSeconds: Int.random(in: 1...3600, using: &generator)
            )
        }
    }

    /// Something happens, at once or after a while; the server may have been down meanwhile.
    private func input(_ site: inout SwitchedSite, _ generator: inout SeededGenerator) throws {
        site.wait(generator.chance(30) ? 0 : Int.random(in: 1...4000, using: &generator))
        if generator.chance(20) { try site.restart() }
        let relay = RelayID(stored: "rel_\(Int.random(in: 1...3, using: &generator))")
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: site.activate(relay, seconds: Int.random(in: 1...3600, using: &generator))
        case 1: site.deactivate(relay)
        case 2:
            let command = ArmingCommand(
                action: .disarm,
                target: .all,
                authority: .trusted,
                by: Attribution(source: .api)
            )
            site.take(site.machine.command(command, receivedAt: site.now))
        case 3, 4: site.press(Int.random(in: 1...3, using: &generator))
        default: break
        }
        site.tick()
    }
}

extension SwitchedSite {
    fileprivate mutating func take(_ outcome: CommandOutcome) { add(outcome.deadlineEffects + outcome.effects) }
}
