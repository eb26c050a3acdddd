import Testing
import TocsinCore
import TocsinJSON

/// Relays by hand, rule and schedule, and their end (decisions §7).
@Suite struct RelayTests {
    private static let minute = RelayRule(durationSeconds: 60)

    @Test func `a relay that is switched on by hand is off after its time, at the instant`() {
        var site = SwitchedSite()
        let start = site.now

        #expect(site.activate(seconds: 30) == .activated)

        let end = start + .seconds(30)
        #expect(site.machine.state.nextDeadline == end)
        #expect(site.orders == [.on(until: end, seconds: 30)])
        #expect(site.activations.map(\.trigger) == [.manual("app_1")])
        site.wait(29)
        site.tick()
        #expect(site.state() != nil)
        site.wait(1)
        site.tick()
        #expect(site.state() == nil)
        #expect(site.orders == [.on(until: end, seconds: 30), .off])
        #expect(site.machine.state.nextDeadline == nil)
    }

    /// When it is activated again, for how long, what that is called, and how long after the first it ends.
    @Test(
        arguments: [
            (10, 60, RelayOutcome.Answer.extended, 70), (10, 50, .unchanged, 60), (10, 20, .unchanged, 60),
            (60, 20, .activated, 80),
        ] as [(Int, Int, RelayOutcome.Answer, Int)]
    )
    func `a relay that is on stays on until the later end`(
        after: Int,
        seconds: Int,
        answer: RelayOutcome.Answer,
        end: Int
    ) {
        var site = SwitchedSite()
        let start = site.now
        site.activate(seconds: 60)
        site.wait(after)

        #expect(site.activate(seconds: seconds, by: "app_2") == answer)

        #expect(site.state()?.until == start + .seconds(end))
        // Each is told, whether it moves the end or not.
        #expect(site.activations.map(\.durationSeconds) == [60, seconds])
        #expect(site.state()?.trigger == .manual(answer == .unchanged ? "app_1" : "app_2"))
        if answer == .unchanged { #expect(site.orders.count == 1) }
        site.wait(3600)
        site.tick()
        #expect(site.orders.last == .off)
        #expect(site.state() == nil)
    }

    @Test func `a relay that is switched off by hand has no end any more, and is told though it is off`() {
        var site = SwitchedSite()
        site.activate(seconds: 60)
        site.wait(5)

        #expect(site.deactivate() == .deactivated)
        #expect(site.machine.state.nextDeadline == nil)
        #expect(site.deactivate() == .alreadyInactive)

        #expect(site.orders.suffix(2) == [.off, .off])
        #expect(site.deactivate(RelayID(stored: "rel_other")) == nil)
        #expect(site.activate(RelayID(stored: "rel_other"), seconds: 1) == nil)
    }

    @Test func `a restart keeps the end and what it is owed to`() throws {
        var site = SwitchedSite([Self.minute])
        let start = site.now
        site.press(SwitchedSite.fire)
        let before = site.state()
        #expect(before?.trigger == .alarm(.incident(IncidentID(1))))

        try site.restart()
        #expect(site.state() == before)
        site.wait(600)
        site.tick()

        #expect(site.orders == [.on(until: start + .seconds(60), seconds: 60), .off])
    }

    // MARK: Rules

    @Test func `an alarm switches on by rule, and says so behind its own event`() {
        var site = SwitchedSite([Self.minute])

        site.press(SwitchedSite.fire)

        let types = site.effects.compactMap { effect -> String? in
            switch effect {
            case .event(_, let body): body.type.rawValue
            case .relay(let relay): relay.activated.map { _ in EventType.relayActivated.rawValue }
            case .alarm, .alarmPriority, .alarmAct, .change, .mark, .note, .notice: nil
            }
        }
        #expect(types == ["alarm.created", "relay.activated"])
        #expect(site.activations.first?.durationSeconds == 60)
        #expect(site.relayEffects.first?.partitionID == PartitionID(stored: "p_1"))
    }

    private static let filters: [(RelayRule, fires: Set<Int>)] = [
        (minute, [1, 2]),
        (RelayRule(includesSilent: true, durationSeconds: 60), [1, 2, 3]),
        (RelayRule(classes: [.fire], durationSeconds: 60), [1]),
        (RelayRule(classes: [.panic], durationSeconds: 60), [2]),
        (RelayRule(classes: [.panic], includesSilent: true, durationSeconds: 60), [2, 3]),
        (RelayRule(priorities: [.critical], durationSeconds: 60), [1, 2]),
        (RelayRule(priorities: [.low, .medium], durationSeconds: 60), []),
        (RelayRule(partitions: [2], durationSeconds: 60), [2]),
        (RelayRule(partitions: [1], includesSilent: true, durationSeconds: 60), [1, 3]),
        (RelayRule(zones: [1, 3], durationSeconds: 60), [1]),
        (RelayRule(classes: [.fire], zones: [2], durationSeconds: 60), []),
    ]

    @Test(arguments: filters.indices, 1...3)
    func `a rule holds for the alarms that it means, and for silent ones only if it says so`(index: Int, button: Int) {
        let (rule, fires) = Self.filters[index]
        var site = SwitchedSite([rule])

        site.press(button)

        #expect(site.alarms.count == 1)
        #expect((site.state() != nil) == fires.contains(button))
        #expect(site.activations.isEmpty != fires.contains(button))
    }

    @Test func `of several rules the longest holds, in one activation`() {
        var site = SwitchedSite([
            RelayRule(durationSeconds: 10), RelayRule(classes: [.fire], durationSeconds: 90), Self.minute,
        ])

        site.press(SwitchedSite.fire)

        #expect(site.activations.map(\.durationSeconds) == [90])
    }

    @Test func `a second trip of an open incident is no new alarm and switches nothing`() {
        var site = SwitchedSite([Self.minute])
        site.press(SwitchedSite.fire)
        site.wait(70)
        site.press(SwitchedSite.fire)

        #expect(site.activations.count == 1)
    }

    @Test func `an alarm that comes late switches on from when it is raised`() {
        var door = Zone(id: ZoneID(stored: "zone_9"), number: 9, name: "Door", type: .exitEntry)
        door.partitions = [1]
        var site = SwitchedSite([Self.minute])
        site.configuration.zones.append(door)
        let command = ArmingCommand(
            action: .arm(ArmingCommand.ArmRequest(mode: .away)),
            target: .all,
            authority: .trusted,
            by: Attribution(source: .api)
        )
        site.machine = SiteMachine(configuration: site.configuration, state: site.machine.state)
        _ = site.machine.command(command, receivedAt: site.now)
        site.wait(120)
        site.tick()
        site.press(9)
        site.forgetEffects()
        // The entry delay of 30 s ran out while nobody looked.
        site.wait(500)

        site.tick()

        #expect(site.alarms.count == 1)
        #expect(site.orders == [.on(until: site.now + .seconds(60), seconds: 60)])
    }

    @Test func `an alarm that somebody else raises is judged by the same rules`() {
        for isSilent in [false, true] {
            var site = SwitchedSite([Self.minute], model: .partnerTriggered)
            let alarm = RelayAlarm(
                incident: IncidentID(7),
                alarmClass: .intrusion,
                priority: .high,
                partitionID: nil,
                zones: [],
                isSilent: isSilent
            )

            let effects = site.machine.switchRelays(for: alarm, at: site.now)

            #expect(effects.isEmpty == isSilent)
            #expect(site.state()?.trigger == (isSilent ? nil : .alarm(.incident(IncidentID(7)))))
        }
    }

    @Test func `a relay that was taken away while it was on is forgotten at its end`() throws {
        var site = SwitchedSite()
        site.activate(seconds: 60)
        site.configuration.relays = []
        try site.restart()
        site.wait(60)

        site.tick()

        #expect(site.orders.count == 1)
        #expect(site.machine.state.relays.isEmpty)
        #expect(site.machine.state.nextDeadline == nil)
    }

    // MARK: Schedules

    private static func rule(_ seconds: Int = 300) -> Schedule {
        var rule = Schedule.sample(.activate(SwitchedSite.siren, seconds: seconds), days: Set(Weekday.allCases))
        rule.partition = Schedule.noPartition
        return rule
    }

    @Test func `a schedule switches on, and its rule is the trigger`() {
        var site = SwitchedSite(schedules: [Self.rule()])
        site.wait(18 * 3600)
        site.tick()

        #expect(site.activations.map(\.trigger) == [.schedule(ScheduleID(stored: "sch_1"))])
        #expect(site.state()?.until == site.now + .seconds(300))
        site.wait(300)
        site.tick()
        #expect(site.orders.last == .off)
    }

    @Test func `a run that is minutes late happens now, one that is later is told and left out`() {
        for (late, runs) in [(600, true), (1200, false)] {
            var site = SwitchedSite(schedules: [Self.rule()])
            site.wait(18 * 3600 + late)
            site.tick()

            #expect(site.activations.isEmpty != runs)
            if runs { #expect(site.state()?.until == site.now + .seconds(300)) }
            let failed = site.effects.contains { effect in
                if case .event(_, .scheduleFailed) = effect { true } else { false }
            }
            #expect(failed != runs)
        }
    }

    @Test func `a schedule whose relay is gone says so, once a run`() {
        var site = SwitchedSite(schedules: [Self.rule()])
        site.configuration.relays = []
        site.machine = SiteMachine(configuration: site.configuration, state: site.machine.state)
        site.wait(18 * 3600)
        site.tick()

        let told = site.effects.count { if case .event(_, .scheduleFailed) = $0 { true } else { false } }
        #expect(told == 1)
        #expect(site.machine.state.nextDeadline.map { $0 > site.now } == true)
    }

    @Test func `the settings of a schedule that activates read back equal`() throws {
        let rule = Self.rule()
        let fixture = Fixture(
            id: rule.id.text,
            siteID: SiteID(stored: "site_123"),
            kind: .schedule,
            number: nil,
            name: rule.name,
            settings: rule.settings
        )
        #expect(try Schedule(fixture) == rule)
        #expect(rule.settings["partition"] == nil)
    }

    @Test(
        arguments: [
            (["activate": "rel_1"], "duration_seconds"),
            (["activate": "rel_1", "duration_seconds": 0], "duration_seconds"),
            (["activate": "rel_1", "duration_seconds": 3601], "duration_seconds"),
            (["activate": "", "duration_seconds": 5], "activate"),
            (["activate": "rel_1", "duration_seconds": 5, "arm": "away"], "arm"),
            (["activate": "rel_1", "duration_seconds": 5, "disarm": true], "arm"),
            (["activate": "rel_1", "duration_seconds": 5, "force_arm": true], "force_arm"),
            (["activate": "rel_1", "duration_seconds": 5, "warning_minutes": 5], "warning_minutes"),
            (["partition": 1, "arm": "away", "duration_seconds": 5], "duration_seconds"),
            (["arm": "away"], "partition"),
        ] as [(JSONObject, String)]
    )
    func `a schedule that contradicts itself is refused by its member`(members: JSONObject, field: String) {
        var settings = members
        settings["at"] = "18:00"
        let fixture = Fixture(
            id: "sch_1",
            siteID: SiteID(stored: "site_123"),
            kind: .schedule,
            number: nil,
            name: "Rule",
            settings: settings
        )
        do throws(ScheduleProblem) {
            _ = try Schedule(fixture)
            Issue.record("nothing was refused")
        } catch {
            #expect(error.field == field)
        }
    }
}
