import Testing
import TocsinCore

@Suite struct CivilTimeTests {
    @Test func `dates keep their weekday over a whole cycle of the calendar`() throws {
        var date = try #require(CivilDate(text: "2000-01-01"))
        var index = 5
        while date.year < 2400 {
            #expect(date.weekday == Weekday.allCases[index])
            let next = date.adding(days: 1)
            #expect(date < next && next.adding(days: -1) == date && CivilDate(text: date.text) == date)
            (date, index) = (next, (index + 1) % 7)
        }
        #expect(CivilDate(text: "1969-12-31")?.weekday == .wed)
    }

    @Test(arguments: [
        "", "2026-2-03", "2026-02-30", "2026-13-01", "2026-00-10", "+026-01-01", "2026-01-01 ", "0000-01-01",
    ])
    func `what is no date is refused`(text: String) { #expect(CivilDate(text: text) == nil) }

    @Test func `every minute of a day is read and written alike`() {
        for minutes in 0..<1440 {
            let time = TimeOfDay(minutes: minutes)
            #expect(TimeOfDay(time.text) == time)
        }
    }

    @Test(arguments: ["", "24:00", "12:60", "7:30", "07:3", "07:300", "-1:00", "07-30", "07:30:00"])
    func `what is no time of day is refused`(text: String) { #expect(TimeOfDay(text) == nil) }
}

@Suite struct TimeZoneRulesTests {
    @Test func `local time is UTC and the offset that holds`() throws {
        let zone = TimeZoneRules.chicago
        let change = try Instant(rfc3339: "2026-03-08T08:00:00Z")

        #expect(zone.offset(at: change - .milliseconds(1)) == -6 * 3600)
        #expect(zone.offset(at: change) == -5 * 3600)
        #expect(zone.local(of: change - .seconds(1)).date.text == "2026-03-08")
        #expect(zone.local(of: change - .seconds(1)).secondOfDay == 2 * 3600 - 1)
        #expect(zone.local(of: change).secondOfDay == 3 * 3600)
        #expect(zone.localText(change) == "2026-03-08T03:00:00-05:00")
    }

    @Test func `an instant is found again by what the clocks show at it, unless they show that twice`() {
        var random = SeededGenerator(seed: Seed.announced(for: "local times"))
        for _ in 0..<5000 {
            let zone = random.pick(TimeZoneRules.samples)
            let minute = Int64.random(in: 21_000_000...30_000_000, using: &random)
            let instant = Instant(secondsSinceEpoch: minute * 60)
            let local = zone.local(of: instant)
            let found = zone.instant(of: local.date, at: TimeOfDay(minutes: local.secondOfDay / 60))
            #expect(found <= instant)
            let shown = zone.local(of: found)
            #expect(shown == local)
        }
    }

    @Test func `a change that changes nothing is no transition`() {
        let zone = TimeZoneRules(
            name: "X",
            initialOffsetSeconds: 3600,
            transitions: [
                .init(secondsSinceEpoch: 300, offsetSeconds: 0), .init(secondsSinceEpoch: 100, offsetSeconds: 3600),
                .init(secondsSinceEpoch: 400, offsetSeconds: 0),
            ]
        )

        #expect(zone.transitions == [.init(secondsSinceEpoch: 300, offsetSeconds: 0)])
    }
}
