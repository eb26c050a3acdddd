import Testing
import TocsinCore

/// The partner arming machine, as the tables in Tables/ tell it.
struct ArmingTableTests {
    @Test(arguments: [
        "scenarios", "transitions", "order", "clock-ahead", "all-partitions", "failures", "watchdogs", "attribution",
        "scorecard", "panel-arming", "panel-exit", "panel-entry", "panel-incidents", "panel-always-on",
        "panel-codes", "panel-common", "panel-signals", "partner-signals",
    ])
    func `the machine does what the table says`(name: String) throws {
        let table = try Table(named: name)

        #expect(!table.cases.isEmpty)
        try TableRunner(table).run()
    }

    @Test func `the transition table leaves no phase and no reported state out`() throws {
        let table = try Table(named: "transitions")
        let modes = ["away", "stay", "night", "custom", "custom vacation"]
        let phases =
            ["disarmed", "arming", "arming, announced in armed stay", "arming, announced in armed night"]
            + modes.map { "armed \($0)" } + modes.map { "entry delay of armed \($0)" }

        #expect(table.cases.map(\.title) == phases)
        for example in table.cases {
            let asked = example.steps.filter { $0.isWhatIf && $0.input.facts.isEmpty }.flatMap(\.input.words)
            #expect(
                Set(asked) == Set(ReportedState.allCases.map(\.rawValue)),
                sourceLocation: table.location(example.line)
            )
        }
    }

    @Test(arguments: [
        ("== a case\n10:00:00 armed_away", "bad.txt:2: a step needs an input"),
        ("== a case\narmed_away → armed_away", "bad.txt:2: a step begins with a time"),
        ("== a case\n10:00:00 armed_away → …\n  more", "bad.txt:3: an indented line must follow"),
        ("zone 5 \"Back", "bad.txt:1: a quotation mark is missing"),
    ])
    func `a mistake in a table is told with its line`(text: String, message: String) {
        let error = #expect(throws: Table.Mistake.self) { try Table(name: "bad", text: text) }
        #expect(error?.description.hasPrefix(message) == true)
    }

    @Test(arguments: [
        ("10:00:00 armed_moon → armed_moon", "\"armed_moon\" is not a state"),
        ("10:00:00 disarmed via=door → disarmed", "the source after via= is unknown"),
        ("10:00:00 disarmed timestamp=9 → disarmed", "an input has no \"timestamp\""),
    ])
    func `a mistake in an input is told with its line`(step: String, message: String) throws {
        let table = try Table(name: "bad", text: "partition 1 House\n== a case\n\(step)")
        let runner = try TableRunner(table)

        let error = #expect(throws: Table.Mistake.self) { try runner.run() }
        #expect(error?.description.hasPrefix("bad.txt:3: \(message)") == true)
    }

    @Test(arguments: [
        "10:00:00 armed_away → armed_stay",
        "10:00:00 armed_away → armed_away; partition.armed",
        "10:00:00 armed_away → armed_away",
        "10:00:00 armed_away → armed_away; arming.state_changed disarmed → armed_away triggered_by=bob; partition.armed",
        "10:00:00 tick → sync.overdue",
    ])
    func `a table that tells something else than what happens fails`(step: String) throws {
        let table = try Table(name: "wrong", text: "partition 1 House\n== a case\n\(step)")
        let runner = try TableRunner(table)

        withKnownIssue { try runner.run() }
    }
}
