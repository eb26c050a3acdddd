import Testing
import TocsinCore
import TocsinJSON

/// A schedule as it is configured (decisions §12).
@Suite struct ScheduleSettingsTests {
    @Test func `the fleet file's rule has the defaults that the design gives`() throws {
        let rule = try read(["partition": 1, "arm": "away", "at": "18:00", "days": ["mon", "fri"]])

        #expect(
            rule
                == {
                    var expected = Schedule.sample(days: [.mon, .fri])
                    expected.warningMinutes = 10
                    return expected
                }()
        )
        #expect(rule.observesHolidays && rule.isEnabled && !rule.forceArm && rule.latest == nil)
        #expect(try read(["partition": 1, "disarm": true, "at": "07:30"]).warningMinutes == 0)
        #expect(try read(["partition": 1, "disarm": true, "at": "07:30"]).days == Set(Weekday.allCases))
    }

    @Test(
        arguments: [
            ["partition": 1, "arm": "away", "at": "18:00", "days": ["mon", "fri"]],
            ["partition": 2, "disarm": true, "at": "07:30", "days": ["sat"], "warning_minutes": 5],
            ["partition": 1, "arm": "vacation", "at": "00:00", "on": "2026-12-24", "force_arm": true],
            [
                "partition": 1, "arm": "night", "at": "23:59", "days": ["sun"],
                "exceptions": [["date": "2026-12-24", "closed": true], ["date": "2026-12-31", "at": "14:00"]],
                "observe_holidays": false, "warning_minutes": 0, "latest": "01:00", "enabled": false,
            ],
        ] as [JSONObject]
    )
    func `settings survive being read and written`(settings: JSONObject) throws {
        let rule = try read(settings)

        #expect(rule.settings == settings)
        #expect(try read(rule.settings) == rule)
    }

    @Test(
        arguments: [
            ("partition", ["arm": "away", "at": "18:00"]),
            ("at", ["partition": 1, "arm": "away"]),
            ("at", ["partition": 1, "arm": "away", "at": "24:00"]),
            ("at", ["partition": 1, "arm": "away", "at": "+1:00"]),
            ("arm", ["partition": 1, "at": "18:00"]),
            ("arm", ["partition": 1, "at": "18:00", "arm": "away", "disarm": true]),
            ("days", ["partition": 1, "at": "18:00", "arm": "away", "days": []]),
            ("days", ["partition": 1, "at": "18:00", "arm": "away", "days": ["monday"]]),
            ("on", ["partition": 1, "at": "18:00", "arm": "away", "on": "2026-02-29"]),
            ("latest", ["partition": 1, "at": "18:00", "arm": "away", "latest": "8pm"]),
            ("warning_minutes", ["partition": 1, "at": "18:00", "arm": "away", "warning_minutes": 121]),
            ("enabled", ["partition": 1, "at": "18:00", "arm": "away", "enabled": "yes"]),
            ("exceptions", ["partition": 1, "at": "18:00", "arm": "away", "exceptions": ["2026-12-24"]]),
            (
                "exceptions[0].closed",
                ["partition": 1, "at": "18:00", "arm": "away", "exceptions": [["date": "2026-12-24"]]]
            ),
            (
                "exceptions[1].date",
                [
                    "partition": 1, "at": "18:00", "arm": "away",
                    "exceptions": [["date": "2026-12-24", "closed": true], ["date": "2026-12-24", "at": "12:00"]],
                ]
            ),
            (
                "exceptions",
                [
                    "partition": 1, "at": "18:00", "arm": "away", "on": "2026-12-24",
                    "exceptions": [["date": "2026-12-24", "closed": true]],
                ]
            ),
        ] as [(String, JSONObject)]
    )
    func `a mistake is named by its member`(field: String, settings: JSONObject) {
        let problem = #expect(throws: ScheduleProblem.self) { _ = try read(settings) }
        #expect(problem?.field == field)
    }

    private func read(_ settings: JSONObject) throws(ScheduleProblem) -> Schedule {
        try Schedule(
            Fixture(
                id: "sch_1",
                siteID: Site.sample().id,
                kind: .schedule,
                number: nil,
                name: "Close",
                settings: settings
            )
        )
    }
}
