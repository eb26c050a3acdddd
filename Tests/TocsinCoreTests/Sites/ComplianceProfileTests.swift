import Testing
import TocsinCore

/// The bounds of the design's table of compliance profiles, and how a refusal names its clause.
struct ComplianceProfileTests {
    /// One cell of the table: the least and the largest value that a profile takes; none means that it does not care.
    struct Cell: Sendable, CustomTestStringConvertible {
        var profile: ComplianceProfile
        var setting: Setting
        var bounds: ClosedRange<Int>?

        var testDescription: String { "\(profile.rawValue) \(setting.rawValue)" }
    }

    enum Setting: String, Sendable {
        case exitDelay = "exit_delay_seconds.away"
        case entryDelay = "entry_delay_seconds"
        case abortWindow = "abort_window_seconds"
        case cancelWindow = "cancel_window_seconds"
        case swinger = "swinger_limit"
        case bell = "bell_seconds"
    }

    static let table: [Cell] = [
        Cell(profile: .cp01, setting: .exitDelay, bounds: 45...255),
        Cell(profile: .enG2, setting: .exitDelay),
        Cell(profile: .enG3, setting: .exitDelay),
        Cell(profile: .ulCommercial, setting: .exitDelay, bounds: 0...60),
        Cell(profile: .none, setting: .exitDelay),
        Cell(profile: .cp01, setting: .entryDelay, bounds: 30...240),
        Cell(profile: .enG2, setting: .entryDelay, bounds: 0...45),
        Cell(profile: .enG3, setting: .entryDelay, bounds: 0...45),
        // Together with the abort window at most 60 s; the window is 15 s in these tests.
        Cell(profile: .ulCommercial, setting: .entryDelay, bounds: 0...45),
        Cell(profile: .none, setting: .entryDelay),
        Cell(profile: .cp01, setting: .abortWindow, bounds: 15...45),
        Cell(profile: .enG2, setting: .abortWindow, bounds: 0...0),
        Cell(profile: .enG3, setting: .abortWindow, bounds: 0...0),
        Cell(profile: .ulCommercial, setting: .abortWindow, bounds: 15...30),
        Cell(profile: .none, setting: .abortWindow),
        Cell(profile: .cp01, setting: .cancelWindow, bounds: 300...3600),
        Cell(profile: .enG2, setting: .cancelWindow),
        Cell(profile: .enG3, setting: .cancelWindow),
        Cell(profile: .ulCommercial, setting: .cancelWindow, bounds: 300...3600),
        Cell(profile: .none, setting: .cancelWindow),
        Cell(profile: .cp01, setting: .swinger, bounds: 1...6),
        Cell(profile: .enG2, setting: .swinger, bounds: 3...3),
        Cell(profile: .enG3, setting: .swinger, bounds: 3...3),
        Cell(profile: .ulCommercial, setting: .swinger, bounds: 1...6),
        Cell(profile: .none, setting: .swinger),
        Cell(profile: .cp01, setting: .bell),
        Cell(profile: .enG2, setting: .bell, bounds: 120...900),
        Cell(profile: .enG3, setting: .bell, bounds: 120...900),
        Cell(profile: .ulCommercial, setting: .bell),
        Cell(profile: .none, setting: .bell),
    ]

    @Test(arguments: table)
    func `a profile takes what the table allows, and nothing beyond it`(cell: Cell) {
        let bounds = cell.bounds ?? 0...600

        for value in [bounds.lowerBound, bounds.upperBound] {
            #expect(violations(cell, value).isEmpty, "\(value)")
        }
        guard cell.bounds != nil else { return }
        for value in [bounds.lowerBound - 1, bounds.upperBound + 1] where value >= 0 {
            #expect(violations(cell, value) == [cell.setting.rawValue], "\(value)")
        }
    }

    @Test func `a refusal names the setting, the clause and the bounds`() throws {
        let violation = try #require(ComplianceProfile.cp01.violations(in: partition(.cp01, .exitDelay, 30)).first)

        #expect(violation.field == "exit_delay_seconds.away")
        #expect(violation.clause == "cp01: exit delay")
        #expect(violation.message == "is not allowed by the profile cp01, clause exit delay: 45 to 255 s, not 30")

        let exact = try #require(ComplianceProfile.enG2.violations(in: zone(.swinger, 4)).first)
        #expect(exact.message == "is not allowed by the profile en_g2, clause swinger shutdown: exactly 3, not 4")
    }

    @Test func `all that is not allowed is told at once`() {
        var partition = Partition.sample(
            number: 1,
            exit: ExitDelays(away: 30, stay: 30, night: 0, custom: 300),
            entry: 20
        )
        partition.policy.abortWindowSeconds = 50
        partition.policy.cancelWindowSeconds = 60

        let fields = ComplianceProfile.cp01.violations(in: partition).map(\.field)

        // An instant arming has no exit delay to be held to.
        #expect(
            fields == [
                "exit_delay_seconds.away", "exit_delay_seconds.stay", "exit_delay_seconds.custom",
                "entry_delay_seconds", "abort_window_seconds", "cancel_window_seconds",
            ]
        )
    }

    @Test func `a zone's own entry delay is held to the profile`() {
        let zone = Zone(id: ZoneID(stored: "zone_1"), number: 1, name: "Door", type: .exitEntry, entryDelaySeconds: 60)

        #expect(ComplianceProfile.enG2.violations(in: zone).map(\.field) == ["entry_delay_seconds"])
        #expect(ComplianceProfile.cp01.violations(in: zone).isEmpty)
        #expect(ComplianceProfile.none.violations(in: zone).isEmpty)
    }

    @Test(arguments: zip(ComplianceProfile.allCases, [0, 30, 0, 0, 30]))
    func `the abort window is on where the profile asks for one`(profile: ComplianceProfile, seconds: Int) {
        #expect(profile.abortWindow(of: PartitionPolicy()) == seconds)
    }

    @Test(arguments: zip(ComplianceProfile.allCases, [4...8, 4...8, 4...8, 6...8, 4...8]))
    func `codes have as many digits as the profile wants`(profile: ComplianceProfile, digits: ClosedRange<Int>) {
        #expect(profile.codeDigits == digits)
    }

    @Test(arguments: zip(ComplianceProfile.allCases, [false, false, true, true, false]))
    func `EN alone warns off the way in`(profile: ComplianceProfile, warns: Bool) {
        #expect(profile.warnsOffRoute == warns)
    }

    // MARK: - One setting, all others as the profile wants them

    private func violations(_ cell: Cell, _ value: Int) -> [String] {
        switch cell.setting {
        case .swinger: cell.profile.violations(in: zone(cell.setting, value)).map(\.field)
        case .exitDelay, .entryDelay, .abortWindow, .cancelWindow, .bell:
            // The sum of entry delay and abort window is told with the window.
            cell.profile.violations(in: partition(cell.profile, cell.setting, value)).map(\.field)
                .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
                .map { cell.setting == .entryDelay && cell.profile == .ulCommercial ? $0.asEntryDelay : $0 }
        }
    }

    private func zone(_ setting: Setting, _ value: Int) -> Zone {
        Zone(
            id: ZoneID(stored: "zone_1"),
            number: 1,
            name: "Door",
            type: .perimeter,
            swingerLimit: setting == .swinger ? value : 3
        )
    }

    private func partition(_ profile: ComplianceProfile, _ setting: Setting, _ value: Int) -> Partition {
        func given(_ wanted: Setting, else other: Int) -> Int { setting == wanted ? value : other }
        let isEuropean = profile == .enG2 || profile == .enG3
        var partition = Partition.sample(
            number: 1,
            exit: ExitDelays(away: given(.exitDelay, else: 60), stay: 60, night: 0, custom: 60),
            entry: given(.entryDelay, else: 30)
        )
        partition.policy.abortWindowSeconds = given(.abortWindow, else: isEuropean ? 0 : 15)
        partition.policy.cancelWindowSeconds = given(.cancelWindow, else: 300)
        partition.policy.bellSeconds = given(.bell, else: 180)
        return partition
    }
}

extension String {
    /// UL holds the sum to 60 s: a longer entry delay is refused through the window.
    fileprivate var asEntryDelay: String { self == "abort_window_seconds" ? "entry_delay_seconds" : self }
}
