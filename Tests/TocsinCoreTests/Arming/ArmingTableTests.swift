import Testing
import TocsinCore

/// The partner arming machine, as the tables in Tables/ tell it.
struct ArmingTableTests {
    private static let partnerTables = [
        "scenarios", "transitions", "order", "clock-ahead", "all-partitions", "failures", "watchdogs", "attribution",
        "scorecard", "partner-signals",
    ]
    private static let panelTables = [
        "panel-arming", "panel-exit", "panel-entry", "panel-incidents", "panel-always-on", "panel-codes",
        "panel-common", "panel-signals",
    ]

    @Test(arguments: partnerTables + panelTables)
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

    /// T38 to T41 are told in schedules.txt and opening-hours.txt, T42 in the tables of the partner's reports; T43 and
    /// T46 are decided before the machine.
    @Test func `the panel's tables leave no row of the design out`() throws {
        let titles = try Self.panelTables.flatMap { try Table(named: $0).cases.map(\.title) }
        let rows = (Array(1...37) + [44, 45, 47]).map { $0 < 10 ? "T0\($0)" : "T\($0)" }

        for row in rows {
            #expect(titles.contains { $0.hasPrefix("\(row) ") }, "\(row)")
        }
    }

    @Test(arguments: [
        "zone_open", "zone_tampered", "zone_trouble", "device_offline", "not_permitted_partition",
        "not_permitted_action", "not_permitted_mode", "mode_not_configured", "entry_in_progress", "alarm_active",
        "bypass_not_allowed", "bypass_limit_exceeded",
    ])
    func `each reason that refuses an arming is told with its sentence and its remedy`(code: String) throws {
        let told = try Self.panelTables.flatMap { try Table(named: $0).cases }
            .flatMap(\.steps).compactMap { $0.expected?.first }
            .filter { $0.words.count > 2 && $0.words[2].hasPrefix(code) }

        #expect(told.contains { $0.fact("message") != nil && $0.fact("remedy") != nil })
    }

    @Test func `a zone without a device that does not report is told so`() throws {
        let zone = Zone(id: ZoneID(stored: "zone_5"), number: 5, name: "Back Door", type: .perimeter)
        let partition = Partition.sample(number: 1)
        let site = SiteConfiguration(site: .sample(), partitions: [partition], zones: [zone])
        var state = SiteState()
        state.zones[zone.id] = ZoneState()
        state.zones[zone.id]?.isOffline = true

        let reasons = SiteMachine(configuration: site, state: state).readiness(of: partition).first?.reasons

        #expect(reasons?.map(\.code) == ["zone_unknown"])
        #expect(reasons?.first?.message == "Cannot arm - Back Door does not report")
        #expect(reasons?.first?.remedy == "Check Back Door (zone 5) or bypass it")
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
        ("10:00:00 arm away slowly → disarmed", "\"slowly\" means nothing here"),
        ("10:00:00 arm → disarmed", "how? arm away"),
        ("10:00:00 arm away code=bob → disarmed", "nobody has the code bob"),
        ("10:00:00 zone 5 ajar → nothing", "a signal is written: zone 5 open"),
        ("10:00:00 zone 5 open at=9 → nothing", "the time 9 cannot be read"),
    ])
    func `a mistake in an input is told with its line`(step: String, message: String) throws {
        let table = try Table(name: "bad", text: "partition 1 House\n== a case\n\(step)")
        let runner = try TableRunner(table)

        let error = #expect(throws: Table.Mistake.self) { try runner.run() }
        #expect(error?.description.hasPrefix("bad.txt:3: \(message)") == true)
    }

    @Test(arguments: [
        ("site cloud", "a site is platform or partner, not cloud"),
        ("site platform profile=us", "the profile us is unknown"),
        ("zone 5 Door type=window", "the type of the zone is unknown"),
        ("zone five Door", "\"five\" is not a number"),
        ("partition 1 House exit=60 entry=30", "delays are written exit="),
        ("partition 1 House exit_errors=ignore", "there is no setting \"exit_errors\""),
        ("relay 1 Siren", "only a site, a partition, a zone, a device or a user"),
    ])
    func `a mistake in the site of a table is told with its line`(line: String, message: String) throws {
        let table = try Table(name: "bad", text: "\n\(line)\n== a case\n10:00:00 tick → nothing")

        let error = #expect(throws: Table.Mistake.self) { try TableRunner(table) }
        #expect(error?.description.hasPrefix("bad.txt:2: \(message)") == true)
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
