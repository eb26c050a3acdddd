import Testing
import TocsinCore

/// Schedules on a whole site: clocks that change, several rules, other machines' affairs (T38–T41).
@Suite struct ScheduledArmingTests {
    private let everyDay = Set(Weekday.allCases)

    @Test func `a rule in the hour that the clocks skip arms once, at the end of the gap`() {
        let rule = Schedule.sample(at: "02:30", days: everyDay)
        var site = ScheduledSite([rule], in: .chicago, at: .midnight("2026-03-08"))

        site.run(until: .midnight("2026-03-09"))

        #expect(site.changes.map(\.at.rfc3339Seconds) == ["2026-03-08T08:00:00Z", "2026-03-08T08:01:00Z"])
    }

    @Test func `a rule in the hour that the clocks show twice arms the first time only`() {
        let rule = Schedule.sample(at: "01:30", days: everyDay)
        var site = ScheduledSite([rule], in: .chicago, at: .midnight("2026-11-01"))

        site.run(until: .midnight("2026-11-02"))

        #expect(site.changes.map(\.at.rfc3339Seconds) == ["2026-11-01T06:30:00Z", "2026-11-01T06:31:00Z"])
        #expect(site.endings(of: rule) == 1)
    }

    @Test func `a rule may arm by force, and only then`() throws {
        let door = Zone(id: ZoneID(stored: "zone_5"), number: 5, name: "Back Door", type: .perimeter)
        for force in [true, false] {
            var rule = Schedule.sample(days: everyDay)
            rule.forceArm = force
            var site = ScheduledSite([rule], zones: [door], at: .midnight("2026-05-26"))
            site.signal(.open, zone: 5, at: .midnight("2026-05-26") + .seconds(60))

            site.run(until: .midnight("2026-05-27"))

            let state = try #require(site.machine.state.partitions[PartitionID(stored: "p_1")])
            #expect(state.phase == (force ? .armed(.away) : .disarmed))
            #expect(state.bypassed == (force ? [door.id: .force] : [:]))
        }
    }

    @Test func `rules of several partitions that are due at once all run`() {
        let rules = (1...3).map { number in
            var rule = Schedule.sample(days: everyDay)
            (rule.id, rule.name, rule.partition) = (ScheduleID(stored: "sch_\(number)"), "Close \(number)", number)
            return rule
        }
        var site = ScheduledSite(rules, partitions: 3, at: .midnight("2026-05-26"))

        site.run(until: .midnight("2026-05-27"))

        for number in 1...3 { #expect(site.phase(number) == .armed(.away)) }
    }

    @Test func `a silent alarm does not show in what a rule does`() {
        // Everything but the alarm itself must be as on any other morning (I17).
        let button = Zone(id: ZoneID(stored: "zone_9"), number: 9, name: "Desk", type: .h24PanicSilent)
        let rule = Schedule.sample(.disarm, at: "07:30", days: everyDay)
        let changes = [false, true].map { isPressed in
            var site = ScheduledSite([rule], zones: [button], at: .midnight("2026-05-26"))
            site.command(.arm(.init(mode: .away)), at: .midnight("2026-05-26") + .seconds(60))
            if isPressed { site.signal(.triggered, zone: 9, at: .midnight("2026-05-26") + .seconds(7 * 3600)) }
            site.run(until: .midnight("2026-05-27"))
            return site.changes
        }

        #expect(changes[0] == changes[1] && changes[0].last?.state == "disarmed")
    }

    @Test func `a partner's site runs no rule`() {
        var site = ScheduledSite([.sample(days: everyDay)], model: .partnerTriggered, at: .midnight("2026-05-26"))

        #expect(site.machine.state.nextDeadline == nil)
        site.tick(.midnight("2026-05-28"))
        #expect(site.effects.isEmpty)
    }

    @Test func `a rule for a partition that is gone does nothing, and is planned again when it is back`() {
        var rule = Schedule.sample(days: everyDay)
        rule.partition = 2
        var site = ScheduledSite([rule], at: .midnight("2026-05-26"))

        site.tick(.midnight("2026-05-27"))
        #expect(site.effects.isEmpty && site.machine.state.nextDeadline == nil)

        site.configuration.schedules[0].partition = 1
        #expect(throws: Never.self) { try site.restart(at: .midnight("2026-05-27")) }
        site.run(until: .midnight("2026-05-28"))
        #expect(site.phase() == .armed(.away))
    }

    @Test func `a rule that is changed in the second in which it is due is due all the same`() throws {
        let due = try Instant(rfc3339: "2026-05-26T18:00:00Z")
        var site = ScheduledSite([.sample(days: everyDay)], at: .midnight("2026-05-26"))

        site.configuration.schedules[0].forceArm = true
        site.machine = SiteMachine(configuration: site.configuration, state: site.machine.state)
        site.tick(due + .milliseconds(100))

        #expect(site.changes.map(\.state) == ["arming_in_progress"])
    }

    @Test func `a one-off of a far year is not forgotten`() throws {
        var site = ScheduledSite([.sample(on: "2031-12-24")], at: .midnight("2026-05-26"))

        site.run(until: .midnight("2032-01-01"))

        #expect(site.changes.map(\.at.rfc3339Seconds) == ["2031-12-24T18:00:00Z", "2031-12-24T18:01:00Z"])
    }

    @Test func `the next runs are shown for 14 days, in UTC and in local time`() throws {
        let rule = Schedule.sample(
            at: "18:00",
            days: [.tue, .fri],
            exceptions: [.init(date: .of("2026-11-06"), hours: .at(.of("14:00")))]
        )
        let now = Instant.midnight("2026-10-28")
        var site = ScheduledSite([rule], in: .chicago, at: now)
        site.take(site.machine.postpone(rule.id, minutes: 30, by: rule.attribution, receivedAt: now))
        site.configuration.holidays = [.of("2026-11-10")]

        // The 28th in UTC is still the 27th in Chicago, and its run is over.
        var runs = site.nextRuns(of: rule, at: now)
        #expect(
            runs.map(\.local) == [
                "2026-10-30T18:30:00-05:00", "2026-11-03T18:00:00-06:00", "2026-11-06T14:00:00-06:00",
            ]
        )
        #expect(
            runs.map(\.at.rfc3339Seconds) == [
                "2026-10-30T23:30:00Z", "2026-11-04T00:00:00Z", "2026-11-06T20:00:00Z",
            ]
        )
        #expect(runs.allSatisfy { $0.action == "arm_away" })
        site.take(site.machine.skip(rule.id, by: rule.attribution, receivedAt: now))
        runs.removeFirst()
        #expect(site.nextRuns(of: rule, at: now) == runs)
    }
}

/// What holds whatever happens, and whenever the server runs.
@Suite struct ScheduledArmingPropertyTests {
    @Test func `every occurrence of every rule ends exactly once`() throws {
        var random = SeededGenerator(seed: Seed.announced(for: "scheduled arming"))
        var endings = 0
        for _ in 0..<60 {
            let start = Instant.midnight("2026-10-28")
            let rules = random.rules()
            var site = ScheduledSite(rules, partitions: 2, in: random.pick(TimeZoneRules.samples), at: start)
            var now = start
            for _ in 0..<120 { try random.disturb(&site, &now, rules) }
            site.run(until: now)

            for rule in rules {
                let planned = try #require(site.machine.state.schedules[rule.id])
                let handled = try #require(planned.handledThrough)
                let due = rule.occurrences(
                    after: start,
                    through: handled,
                    holidays: [],
                    zone: site.machine.timeZone
                )
                #expect(site.endings(of: rule) == due.count, "\(rule)")
                // Whatever is not handled is ahead, postponed, or being tried again.
                let open = rule.next(after: handled, holidays: [], zone: site.machine.timeZone)?.at
                #expect(planned.occurrence == open && planned.dueAt.map { $0 > now } ?? true, "\(rule)")
                endings += due.count
            }
        }
        #expect(endings > 500)
    }
}

extension SeededGenerator {
    fileprivate mutating func rules() -> [Schedule] {
        (1...Int.random(in: 1...3, using: &self)).map { number in
            let action: Schedule.Action = chance(40) ? .disarm : .arm(pick([.away, .stay, .night]))
            var rule = Schedule.sample(
                action,
                at: TimeOfDay(minutes: Int.random(in: 0..<1440, using: &self)).text,
                days: Set(Weekday.allCases)
            )
            rule.id = ScheduleID(stored: "sch_\(number)")
            rule.name = "rule \(number)"
            rule.partition = pick([1, 2])
            rule.warningMinutes = pick([0, 10, 120])
            return rule
        }
    }

    /// Something happens, or the server is down for a while, or it is only looked at what is due.
    fileprivate mutating func disturb(_ site: inout ScheduledSite, _ now: inout Instant, _ rules: [Schedule]) throws {
        let isRunning = chance(80)
        now = now + .milliseconds(Int64.random(in: 0...(chance(50) ? 600_000 : 14_400_000), using: &self))
        if isRunning { site.run(until: now) }
        switch Int.random(in: 0..<10, using: &self) {
        case 0: site.command(.disarm, at: now)
        case 1: site.command(.arm(.init(mode: pick([.away, .stay]))), at: now)
        case 2:
            let minutes = Int.random(in: 15...120, using: &self)
            site.take(
                site.machine.postpone(pick(rules).id, minutes: minutes, by: Attribution(source: .api), receivedAt: now)
            )
        case 3: site.take(site.machine.skip(pick(rules).id, by: Attribution(source: .api), receivedAt: now))
        case 4:
            site.tick(now)
            let before = site.machine.state
            try site.restart(at: now)
            #expect(site.machine.state == before, "a restart without a change plans nothing else")
        default: site.tick(now)
        }
    }
}
