import Testing
import TocsinCore

/// When a schedule runs (design, arming: schedules).
@Suite struct ScheduleTests {
    private let everyDay = Set(Weekday.allCases)

    @Test func `a weekly rule runs on its days at its local time`() {
        let runs = Schedule.sample(days: [.mon, .fri]).runs(from: "2026-05-01", to: "2026-05-09", in: .chicago)

        #expect(runs == ["2026-05-01T18:00:00-05:00", "2026-05-04T18:00:00-05:00", "2026-05-08T18:00:00-05:00"])
    }

    @Test func `a time that the clocks skip is the first instant after the gap`() {
        for at in ["02:00", "02:30", "02:59", "03:00"] {
            let rule = Schedule.sample(at: at, days: everyDay)
            let run = rule.runs(from: "2026-03-08", to: "2026-03-09", in: .chicago)
            #expect(run == ["2026-03-08T03:00:00-05:00"], "\(at)")
        }
        let before = Schedule.sample(at: "01:59", days: everyDay).runs(
            from: "2026-03-08",
            to: "2026-03-09",
            in: .chicago
        )
        #expect(before == ["2026-03-08T01:59:00-06:00"])
    }

    @Test func `a time that the clocks show twice is the first time only`() {
        for at in ["01:00", "01:30", "01:59"] {
            let rule = Schedule.sample(at: at, days: everyDay)
            let run = rule.runs(from: "2026-11-01", to: "2026-11-02", in: .chicago)
            #expect(run == ["2026-11-01T\(at):00-05:00"], "\(at)")
        }
        let after = Schedule.sample(at: "02:00", days: everyDay).runs(
            from: "2026-11-01",
            to: "2026-11-02",
            in: .chicago
        )
        #expect(after == ["2026-11-01T02:00:00-06:00"])
    }

    @Test func `half an hour of shift is kept exactly`() {
        let gap = Schedule.sample(at: "02:10", days: [.sun]).runs(from: "2026-10-01", to: "2026-10-06", in: .lordHowe)
        let overlap = Schedule.sample(at: "01:45", days: [.sun]).runs(
            from: "2026-04-01",
            to: "2026-04-07",
            in: .lordHowe
        )

        #expect(gap == ["2026-10-04T02:30:00+11:00"])
        #expect(overlap == ["2026-04-05T01:45:00+11:00"])
    }

    @Test func `a date that the clocks skip runs when it would have ended, and once with a run that is due then`() {
        let friday = Schedule.sample(at: "18:00", days: [.fri])
        let midnight = Schedule.sample(at: "00:00", days: everyDay)

        #expect(friday.runs(from: "2011-12-29", to: "2012-01-02", in: .apia) == ["2011-12-31T00:00:00+14:00"])
        #expect(
            midnight.runs(from: "2011-12-29", to: "2012-01-01", in: .apia)
                == ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"]
        )
    }

    @Test func `a rule rests on holidays unless it is told not to observe them`() {
        let holidays: Set<CivilDate> = [.of("2026-05-04")]
        let span = ("2026-05-04", "2026-05-06")

        let resting = Schedule.sample().runs(from: span.0, to: span.1, in: .utc, holidays: holidays)
        let working = Schedule.sample(observesHolidays: false)
            .runs(from: span.0, to: span.1, in: .utc, holidays: holidays)

        #expect(resting == ["2026-05-05T18:00:00+00:00"])
        #expect(working == ["2026-05-04T18:00:00+00:00", "2026-05-05T18:00:00+00:00"])
    }

    @Test func `an exception outranks the weekly rule and holidays`() {
        let rule = Schedule.sample(exceptions: [
            .init(date: .of("2026-05-04"), hours: .at(.of("14:00"))),
            .init(date: .of("2026-05-05"), hours: .closed),
            .init(date: .of("2026-05-09"), hours: .at(.of("13:00"))),
        ])

        let runs = rule.runs(from: "2026-05-04", to: "2026-05-11", in: .utc, holidays: [.of("2026-05-04")])

        #expect(
            runs == [
                "2026-05-04T14:00:00+00:00", "2026-05-06T18:00:00+00:00", "2026-05-07T18:00:00+00:00",
                "2026-05-08T18:00:00+00:00", "2026-05-09T13:00:00+00:00",
            ]
        )
    }

    @Test func `an exception belongs to the date at the site, not in UTC`() {
        let rule = Schedule.sample(at: "22:00", exceptions: [.init(date: .of("2026-05-04"), hours: .closed)])

        // 22:00 on the 4th in Chicago is the 5th in UTC.
        let runs = rule.runs(from: "2026-05-04", to: "2026-05-07", in: .chicago)

        #expect(runs == ["2026-05-05T22:00:00-05:00"])
    }

    @Test func `a one-off runs on its date only, whatever its weekday and even on a holiday`() {
        let rule = Schedule.sample(on: "2026-05-09")

        let runs = rule.runs(from: "2026-01-01", to: "2027-01-01", in: .chicago, holidays: [.of("2026-05-09")])

        #expect(runs == ["2026-05-09T18:00:00-05:00"])
        #expect(rule.next(after: .midnight("2026-05-10"), holidays: [], zone: .chicago) == nil)
    }

    @Test func `a rule that is off does not run`() {
        #expect(Schedule.sample(isEnabled: false).runs(from: "2026-05-01", to: "2027-05-01", in: .utc).isEmpty)
    }

    @Test func `the next run is later than the instant that is asked about`() throws {
        let rule = Schedule.sample()
        let first = try #require(rule.next(after: .midnight("2026-05-01"), holidays: [], zone: .chicago))
        let second = try #require(rule.next(after: first.at, holidays: [], zone: .chicago))

        #expect(first.date == .of("2026-05-01") && second.date == .of("2026-05-04"))
        let justBefore = first.at - .milliseconds(1)
        #expect(rule.next(after: justBefore, holidays: [], zone: .chicago) == first)
    }

    @Test func `a run can be postponed to the latest time, which is on the next day if it is earlier than the run`() {
        let run = Schedule.Occurrence(date: .of("2026-05-04"), at: .midnight("2026-05-04"))
        func latest(_ text: String?) -> String? {
            Schedule.sample(latest: text).latest(for: run, holidays: [], zone: .chicago).map(
                TimeZoneRules.chicago.localText
            )
        }

        #expect(latest("20:00") == "2026-05-04T20:00:00-05:00")
        #expect(latest("01:00") == "2026-05-05T01:00:00-05:00")
        #expect(latest(nil) == nil)
    }
}

/// What holds for every rule, zone and span.
@Suite struct SchedulePropertyTests {
    @Test func `runs strictly increase, and no date has two`() {
        var random = SeededGenerator(seed: Seed.announced(for: "schedule runs"))
        for _ in 0..<2000 {
            let (rule, zone, holidays) = (random.schedule(), random.pick(TimeZoneRules.samples), random.holidays())
            let start = random.instant()
            let runs = rule.runs(after: start, through: start + .seconds(30 * 86_400), holidays: holidays, zone: zone)

            for (run, next) in zip(runs, runs.dropFirst()) {
                #expect(run.at < next.at && run.date < next.date, "\(rule)")
            }
            for run in runs {
                #expect(rule.time(on: run.date, holidays: holidays) != nil, "\(rule)")
                let shown = zone.local(of: run.at)
                #expect(shown.date == run.date || shown.date == run.date.adding(days: 1), "\(rule)")
            }
        }
    }

    @Test func `every date that applies has its run`() {
        var random = SeededGenerator(seed: Seed.announced(for: "schedule dates"))
        for _ in 0..<1000 {
            let (rule, zone, holidays) = (random.schedule(), random.pick(TimeZoneRules.samples), random.holidays())
            let first = zone.local(of: random.instant()).date
            let dates = (0..<20).map(first.adding(days:)).filter { rule.time(on: $0, holidays: holidays) != nil }
            let start = zone.instant(of: first.adding(days: -2), at: .of("00:00"))
            let found = rule.occurrences(
                after: start,
                through: start + .seconds(40 * 86_400),
                holidays: holidays,
                zone: zone
            )

            for date in dates {
                guard let time = rule.time(on: date, holidays: holidays) else { continue }
                #expect(found.contains(zone.instant(of: date, at: time)), "\(date) of \(rule)")
            }
        }
    }

    @Test func `splitting a span anywhere changes nothing`() {
        var random = SeededGenerator(seed: Seed.announced(for: "schedule spans"))
        for _ in 0..<2000 {
            let (rule, zone, holidays) = (random.schedule(), random.pick(TimeZoneRules.samples), random.holidays())
            let start = random.instant()
            let end = start + .seconds(Int.random(in: 1...20 * 86_400, using: &random))
            let whole = rule.occurrences(after: start, through: end, holidays: holidays, zone: zone)
            // Half of the cuts are exactly at a run.
            let anywhere = start + .milliseconds(Int64.random(in: 0...(end - start).milliseconds, using: &random))
            let cut = random.chance(50) ? whole.randomElement(using: &random) ?? anywhere : anywhere

            let parts =
                rule.occurrences(after: start, through: cut, holidays: holidays, zone: zone)
                + rule.occurrences(after: cut, through: end, holidays: holidays, zone: zone)

            #expect(parts == whole, "\(rule) cut at \(cut)")
            #expect(
                rule.next(after: start, holidays: holidays, zone: zone).map { $0.at <= end } ?? false != whole.isEmpty
            )
        }
    }
}

extension SeededGenerator {
    /// Around a change of the clocks of one of the sample zones.
    fileprivate mutating func instant() -> Instant {
        let changes = TimeZoneRules.samples.flatMap(\.transitions).map(\.secondsSinceEpoch)
        let nearby = Int64.random(in: -15 * 86_400...5 * 86_400, using: &self)
        return Instant(
            millisecondsSinceEpoch: (pick(changes) + nearby) * 1000 + Int64.random(in: 0...999, using: &self)
        )
    }

    private mutating func date() -> CivilDate { TimeZoneRules.utc.local(of: instant()).date }

    fileprivate mutating func holidays() -> Set<CivilDate> {
        Set((0..<Int.random(in: 0...6, using: &self)).map { _ in date() })
    }

    /// Often at the hours at which clocks change.
    private mutating func time() -> TimeOfDay {
        let minutes = chance(60) ? Int.random(in: 0...200, using: &self) : Int.random(in: 0..<1440, using: &self)
        return TimeOfDay(minutes: minutes)
    }

    fileprivate mutating func schedule() -> Schedule {
        let dates = Set((0..<Int.random(in: 0...5, using: &self)).map { _ in date() })
        let exceptions = dates.map { date in
            Schedule.Exception(date: date, hours: chance(50) ? .closed : .at(time()))
        }
        var rule = Schedule.sample(
            at: time().text,
            days: Set(Weekday.allCases.filter { _ in chance(60) }),
            exceptions: exceptions,
            observesHolidays: chance(50),
            isEnabled: !chance(3)
        )
        if chance(10) { (rule.on, rule.exceptions) = (date(), []) }
        return rule
    }
}
