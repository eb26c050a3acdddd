import Foundation
import Testing
import TocsinCore
import TocsinEngine

/// Schedules against Python's `zoneinfo`: every zone, every change of its clocks from 2000 to 2037, rules around it.
@Suite(.enabled(if: ScheduleOracle.mustRun, "needs Python 3.9 or newer, for its zoneinfo"))
struct ScheduleOracleTests {
    /// Both sides read the system's database; this many zones at least must be known to both.
    static let zonesAtLeast = 400
    static let comparisonsAtLeast = 100_000

    @Test(.timeLimit(.minutes(2)))
    func `every rule around every change of every zone's clocks runs when zoneinfo says`() async throws {
        let zones = TimeZones()
        let groups = try await ScheduleOracle.groups(readingZonesIn: zones.directory)
        let tally = await withTaskGroup(of: Tally.self) { tasks in
            for group in groups { tasks.addTask { compare(group, with: zones) } }
            return await tasks.reduce(into: Tally()) { $0.add($1) }
        }

        print("compared \(tally.runs) runs of \(tally.rules) rules in \(tally.zones) zones")
        #expect(tally.unknown.isEmpty, "zones that only zoneinfo knows")
        #expect(tally.zones > Self.zonesAtLeast)
        #expect(tally.runs > Self.comparisonsAtLeast)
        for difference in tally.differences.prefix(20) { Issue.record("\(difference)") }
        #expect(tally.differences.isEmpty)
    }

    private func compare(_ group: ScheduleOracle.Group, with zones: TimeZones) -> Tally {
        var tally = Tally()
        for name in group.names {
            guard let zone = zones.rules(for: name) else {
                tally.unknown.append(name)
                continue
            }
            tally.zones += 1
            for answer in group.answers {
                let found = answer.rule.occurrences(
                    after: answer.after,
                    through: answer.through,
                    holidays: [],
                    zone: zone
                )
                tally.rules += 1
                tally.runs += answer.expected.count
                if found != answer.expected {
                    tally.differences.append(
                        "\(name): \(answer.rule.at.text), \(answer.rule.days): \(answer), not \(found)"
                    )
                }
            }
        }
        return tally
    }

    private struct Tally {
        var zones = 0
        var rules = 0
        var runs = 0
        var unknown: [String] = []
        var differences: [String] = []

        mutating func add(_ other: Tally) {
            zones += other.zones
            rules += other.rules
            runs += other.runs
            unknown += other.unknown
            differences += other.differences
        }
    }
}

/// The script that asks `zoneinfo`, and its answers.
enum ScheduleOracle {
    /// Zones that share their data, and what was asked of them.
    struct Group: Sendable {
        var names: [String]
        var answers: [Answer] = []
    }

    struct Answer: Sendable {
        var rule: Schedule
        var after: Instant
        var through: Instant
        var expected: [Instant]
    }

    /// In CI a missing interpreter is a failure, not a reason to skip.
    static let mustRun: Bool = {
        let isCI = ProcessInfo.processInfo.environment["CI"].map { !["", "false", "0"].contains($0) } ?? false
        return isCI || interpreter != nil
    }()

    /// The tests' interpreter, else any of the system: the script needs the standard library only.
    private static let interpreter: URL? = {
        let environment = ProcessInfo.processInfo.environment
        let folders = environment["PATH"].map { $0.split(separator: ":").map(String.init) } ?? []
        let chosen = environment["TOCSIN_PYTHON"].map { [$0] } ?? []
        let candidates = chosen + [repository.appendingPathComponent(".venv/bin/python").path]
        return (candidates + folders.map { $0 + "/python3" })
            .first { FileManager.default.isExecutableFile(atPath: $0) }
            .map { URL(fileURLWithPath: $0) }
    }()

    private static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Runs the script on the database that the server reads, so that versions of the data make no difference.
    static func groups(readingZonesIn directory: String?) async throws -> [Group] {
        let answers = FileManager.default.temporaryDirectory.appendingPathComponent(
            "schedule-oracle-\(ProcessInfo.processInfo.processIdentifier)"
        )
        defer { try? FileManager.default.removeItem(at: answers) }
        let process = Process()
        let python: URL = try #require(interpreter, "no python3 on the PATH")
        process.executableURL = python
        process.arguments = [
            repository.appendingPathComponent("Tests/python/schedule_oracle.py").path, answers.path,
        ]
        if let directory { process.environment = ["PYTHONTZPATH": directory] }
        process.standardInput = FileHandle.nullDevice
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        try #require(status == 0)
        return try read(Array(Data(contentsOf: answers)))
    }

    private static func read(_ bytes: [UInt8]) throws -> [Group] {
        var groups: [Group] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            if words[0] == "Z" {
                groups.append(Group(names: Array(words.dropFirst())))
            } else {
                let numbers = try words.map { try #require(Int64($0)) }
                groups[groups.count - 1].answers.append(try answer(numbers))
            }
        }
        return groups
    }

    private static func answer(_ numbers: [Int64]) throws -> Answer {
        let days = Weekday.allCases.enumerated().filter { numbers[3] & 1 << Int64($0.offset) != 0 }.map(\.element)
        return Answer(
            rule: Schedule(
                id: ScheduleID(stored: "sch_1"),
                name: "oracle",
                partition: 1,
                action: .disarm,
                at: TimeOfDay(minutes: Int(numbers[2])),
                days: Set(days)
            ),
            after: Instant(secondsSinceEpoch: numbers[0]),
            through: Instant(secondsSinceEpoch: numbers[1]),
            expected: numbers.dropFirst(4).map { Instant(secondsSinceEpoch: $0) }
        )
    }
}
