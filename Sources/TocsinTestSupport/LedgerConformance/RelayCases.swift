import TocsinCore
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let relayCases = [
        LedgerCase("a site is loaded with its relays, and with those that are on", relaysAreLoaded),
        LedgerCase("a relay that is on makes its site due at its end", relayIsDue),
        LedgerCase("a command is stored in the decision's commit, and not with one that is refused", commandIsStored),
        LedgerCase("a newer command of a relay takes the place of one that was not delivered", commandIsSuperseded),
        LedgerCase("a command waits until it is delivered or given up", commandOutcomes),
        LedgerCase("a command is gone with its relay, and one for a relay that is gone is dropped", relayIsDeleted),
        LedgerCase("settled commands are forgotten after thirty days but for each relay's last", commandsArePurged),
    ]

    private static let start = LedgerWorld.start
    private static let siren = RelayID(stored: "rel_1")

    private static func relay(_ id: RelayID = siren, at site: Site, name: String = "Siren") -> Fixture {
        Fixture(
            id: id.text,
            siteID: site.id,
            kind: .relay,
            number: nil,
            name: name,
            settings: Relay(id: id, name: name, rules: [RelayRule(durationSeconds: 30)]).settings
        )
    }

    private static func world(_ ledger: any Ledger) async throws -> LedgerWorld {
        let world = try await LedgerWorld.make(in: ledger)
        try await ledger.write { try $0.insert(relay(at: world.site)) }
        return world
    }

    private static func command(
        _ id: String,
        _ order: RelayEffect.Order,
        of relay: RelayID = siren,
        _ world: LedgerWorld,
        at instant: Instant = start
    ) -> RelayCommand {
        RelayCommand(
            id: RelayCommandID(stored: id),
            relayID: relay,
            deviceID: DeviceID(stored: "dev_1"),
            siteID: world.site.id,
            dealerID: world.dealer.id,
            order: order,
            createdAt: instant,
            nextAttemptAt: instant
        )
    }

    private static func commit(_ commands: [RelayCommand], _ world: LedgerWorld) async throws {
        var decision = world.decision(
            version: try require(try await world.ledger.load([world.site.id])[world.site.id]).version,
            at: start
        )
        decision.relayCommands = commands
        guard case .committed? = try await world.ledger.commit([decision]).first else {
            throw ConformanceFailure(description: "the decision was not committed")
        }
    }

    private static func due(_ ledger: any Ledger, by instant: Instant = start) async throws -> [RelayCommand] {
        try await ledger.read { try $0.dueRelayCommands(by: instant, limit: 99).map(\.command) }
    }

    private static let on = RelayEffect.Order.on(until: start + .seconds(30), seconds: 30)

    private static func relaysAreLoaded(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        let other = try await world.addSite("Main Street 2").site
        try await ledger.write { try $0.insert(relay(RelayID(stored: "rel_0"), at: world.site, name: "Gate")) }
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.configuration.relays.map(\.name), ["Gate", "Siren"])
        try expectEqual(record.configuration.relays.last?.rules, [RelayRule(durationSeconds: 30)])
        try expectEqual(try await ledger.load([other.id])[other.id]?.configuration.relays, [])

        var decision = world.decision(version: record.version, at: start)
        var state = record.state
        state.relays[siren] = RelayState(since: start, until: start + .seconds(5), trigger: .manual("app_1"))
        decision.newState = state
        _ = try await ledger.commit([decision])

        try expectEqual(try await ledger.load([world.site.id])[world.site.id]?.state.relays, state.relays)
    }

    private static func relayIsDue(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        var decision = world.decision(version: record.version, at: start)
        var state = record.state
        state.relays[siren] = RelayState(since: start, until: start + .seconds(5), trigger: .manual("app_1"))
        decision.newState = state

        _ = try await ledger.commit([decision])

        let deadlines = try await ledger.read { try $0.pendingDeadlines(after: nil, limit: 9) }
        try expectEqual(deadlines.first { $0.site == world.site.id }?.due, start + .seconds(5))
    }

    private static func commandIsStored(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        var refused = world.decision(version: 99)
        refused.relayCommands = [command("cmd_0", .off, world)]
        try expect(try await ledger.commit([refused]).first?.isConflict == true, "no conflict")
        try expectEqual(try await due(ledger), [])
        let on = command("cmd_1", on, world)

        try await commit([on], world)

        try expectEqual(try await due(ledger), [on])
        try expectEqual(try await due(ledger, by: start - .milliseconds(1)), [])
        let before = start - .milliseconds(1)
        try expectEqual(try await ledger.read { try $0.nextRelayCommandDue(after: before) }, start)
        try expectEqual(try await ledger.read { try $0.nextRelayCommandDue(after: start) } == nil, true)
        let found = try await ledger.read { try $0.dueRelayCommands(by: start, limit: 9) }
        try expectEqual(found.first?.relay?.name, "Siren")
        let stranger = try await LedgerWorld.make(in: ledger, name: "Bolt").dealer.id
        try expectEqual(try await ledger.read { try $0.lastCommand(of: siren, within: .dealer(stranger)) } == nil, true)
        try expectEqual(try await ledger.read { try $0.lastCommand(of: siren, within: .platform) }, on)
        try expectEqual(try await ledger.read { try $0.awaitsSwitchingOff(siren) }, false)
    }

    private static func commandIsSuperseded(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        try await ledger.write { try $0.insert(relay(RelayID(stored: "rel_2"), at: world.site, name: "Gate")) }
        // The ids of one decision are in no order; the places in it are.
        let (first, last) = (command("cmd_9", on, world), command("cmd_1", .off, world))
        let gate = command("cmd_5", on, of: RelayID(stored: "rel_2"), world)

        try await commit([first, gate, last], world)

        try expectEqual(try await due(ledger).map(\.id.text), ["cmd_5", "cmd_1"])
        try expectEqual(try await ledger.read { try $0.lastCommand(of: siren, within: .platform) }, last)
        try expectEqual(try await ledger.read { try $0.awaitsSwitchingOff(siren) }, true)
        // What comes back of the one that was superseded on its way changes nothing, unless it was delivered.
        try await ledger.write { try $0.record(first.failed("no answer", at: start)) }
        try expectEqual(try await due(ledger, by: start + .seconds(60)).count, 2)
        try await ledger.write { try $0.record(first.sent) }
        try expectEqual(try await due(ledger, by: start + .seconds(60)).count, 2)
    }

    private static func commandOutcomes(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        let sent = command("cmd_1", .off, world)
        try await commit([sent], world)

        try await ledger.write { try $0.record(sent.failed("no route", at: start)) }

        var retried = sent
        (retried.attempts, retried.nextAttemptAt, retried.lastError) = (1, start + .seconds(1), "no route")
        try expectEqual(try await due(ledger), [])
        try expectEqual(try await due(ledger, by: start + .seconds(1)), [retried])
        let outcome = retried.sent
        try await ledger.write { try $0.record(outcome) }
        try expectEqual(try await due(ledger, by: start + .seconds(99)), [])
        let last = try require(try await ledger.read { try $0.lastCommand(of: siren, within: .platform) })
        try expectEqual([last.state == .sent, last.attempts == 2, last.lastError == nil], [true, true, true])
        try expectEqual(try await ledger.read { try $0.awaitsSwitchingOff(siren) }, false)
    }

    private static func relayIsDeleted(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        try await commit([command("cmd_1", .off, world)], world)

        try await ledger.write { try $0.deleteFixture(siren.text, of: world.site.id) }
        try expectEqual(try await due(ledger), [])
        try await commit([command("cmd_2", .off, world)], world)

        try expectEqual(try await due(ledger), [])
        try expectEqual(try await ledger.read { try $0.lastCommand(of: siren, within: .platform) } == nil, true)
    }

    private static func commandsArePurged(_ ledger: any Ledger) async throws {
        let world = try await world(ledger)
        for id in ["cmd_1", "cmd_2"] {
            let command = command(id, .off, world)
            try await commit([command], world)
            try await ledger.write { try $0.record(command.sent) }
        }
        func purge(days: Int) async throws -> Int? {
            try await ledger.write { try $0.purge(now: start + .seconds(days * 86_400), limit: 9)["relay_command"] }
        }

        try expectEqual(try await purge(days: 29), 0)
        try expectEqual(try await purge(days: 30), 1)
        try expectEqual(try await purge(days: 300), 0)
        try expectEqual(try await ledger.read { try $0.lastCommand(of: siren, within: .platform) }?.id.text, "cmd_2")
    }
}
