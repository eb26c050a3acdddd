import Testing
import TocsinCore
import TocsinJSON

/// Plays a table of schedules or opening hours on a platform-triggered site (Tables/schedules.txt tells the words).
struct ScheduleTableRunner {
    let table: Table
    private let start: SiteConfiguration

    init(_ table: Table) throws {
        self.table = table
        start = try Self.configuration(table)
    }

    func run() throws {
        for example in table.cases {
            var stage = Stage(configuration: start, state: SiteState())
            if let first = example.steps.first { stage.configure(at: first.at - .seconds(3600)) }
            for step in example.steps {
                var next = stage
                let actual = try play(step, on: &next)
                compare(actual, with: step, in: example)
                // A state that was stored and read back must go on in the same way (I15).
                let restored = try SiteState(snapshot: next.machine.state.snapshot)
                #expect(restored == next.machine.state, sourceLocation: table.location(step.input.line))
                if !step.isWhatIf { stage = next }
            }
        }
    }

    /// A machine whose configuration changes on the way.
    private struct Stage {
        var configuration: SiteConfiguration
        var machine: SiteMachine

        init(configuration: SiteConfiguration, state: SiteState) {
            self.configuration = configuration
            machine = SiteMachine(configuration: configuration, state: state)
        }

        mutating func configure(at now: Instant) {
            machine = SiteMachine(configuration: configuration, state: machine.state)
            machine.reconfigured(at: now)
        }
    }

    // MARK: Inputs

    private func play(_ step: Table.Step, on stage: inout Stage) throws -> [String] {
        let (words, at) = (step.input.words, step.at)
        switch (words.first, words.count) {
        case ("tick", 1): return said(stage.machine.deadlinesReached(by: at))
        case ("look", 1): return stage.machine.state.partitions.values.map(\.phase.wireState)
        case ("arm", 1), ("disarm", 1): return command(step, &stage)
        case ("open", 1), ("close", 1): return try signal(step, &stage)
        case ("next", 2):
            let rule = try rule(words[1], step, stage)
            let planned = stage.machine.state.schedules[rule.id]
            let runs = rule.nextRuns(planned: planned, at: at, holidays: stage.configuration.holidays, zone: .utc)
            return [runs.first.map(\.at.rfc3339Seconds) ?? "never"]
        case ("postpone", 2):
            let id = ScheduleID(stored: "sch_\(words[1])")
            let minutes = step.input.fact("minutes").flatMap { Int($0) } ?? 0
            return answer(stage.machine.postpone(id, minutes: minutes, by: ann, receivedAt: at))
        case ("skip", 2):
            return answer(stage.machine.skip(ScheduleID(stored: "sch_\(words[1])"), by: ann, receivedAt: at))
        case ("change", 2):
            let rule = try rule(words[1], step, stage)
            let index = stage.configuration.schedules.firstIndex { $0.id == rule.id }
            guard let index else { throw table.mistake(step.input.line, "the rule is unknown") }
            if let text = step.input.fact("at") { stage.configuration.schedules[index].at = .of(text) }
            if let text = step.input.fact("arm") {
                stage.configuration.schedules[index].action = .arm(ArmingMode(wireName: text))
            }
            if let text = step.input.fact("enabled") { stage.configuration.schedules[index].isEnabled = text == "yes" }
        case ("holiday", 2): stage.configuration.holidays.insert(.of(words[1]))
        case ("workday", 2): stage.configuration.holidays.remove(.of(words[1]))
        case ("configure", 1): break
        default: throw table.mistake(step.input.line, "\"\(words.joined(separator: " "))\" is not an input")
        }
        // What remains are changes of the configuration; the engine sees to them at once.
        stage.configure(at: at)
        return ["nothing"]
    }

    private var ann: Attribution { Attribution(userID: "ann", source: .api) }

    private func rule(_ name: String, _ step: Table.Step, _ stage: Stage) throws -> Schedule {
        guard let rule = stage.configuration.schedules.first(where: { $0.name == name }) else {
            throw table.mistake(step.input.line, "there is no schedule \"\(name)\"")
        }
        return rule
    }

    private func command(_ step: Table.Step, _ stage: inout Stage) -> [String] {
        let bypass = step.input.fact("bypass").flatMap { Int($0) }.map { [$0] } ?? []
        let mode = step.input.fact("mode").map(ArmingMode.init(wireName:))
        let action = mode.map {
            ArmingCommand.Action.arm(ArmingCommand.ArmRequest(mode: $0, bypassZones: bypass))
        }
        let command = ArmingCommand(action: action ?? .disarm, target: .all, authority: .trusted, by: ann)
        let outcome = stage.machine.command(command, receivedAt: step.at)
        let answer =
            switch outcome.answer {
            case .success: "ok"
            case .failure: "refused"
            }
        return said(outcome.deadlineEffects, orElse: []) + [answer] + said(outcome.effects, orElse: [])
    }

    private func signal(_ step: Table.Step, _ stage: inout Stage) throws -> [String] {
        guard let number = step.input.fact("zone").flatMap({ Int($0) }) else {
            throw table.mistake(step.input.line, "zone= is missing")
        }
        let kind: Signal.Kind = step.input.words == ["open"] ? .open : .closed
        let signal = Signal(origin: .number(number), kind: kind, timestamp: step.at)
        let outcome = stage.machine.signals([signal], known: [], receivedAt: step.at)
        return said(outcome.deadlineEffects, orElse: []) + ["ok"] + said(outcome.effects, orElse: [])
    }

    private func answer(_ outcome: ScheduleOutcome) -> [String] {
        let answer =
            switch outcome.answer {
            case .success(let next): "ok next=\(next?.shortText ?? "never")"
            case .failure(.unknownSchedule): "404"
            case .failure(.minutesOutOfRange): "422"
            case .failure(.tooLate(let latest)): "409 latest=\(latest.shortText)"
            case .failure(.nothingPlanned): "409"
            }
        return said(outcome.deadlineEffects, orElse: []) + [answer] + said(outcome.effects, orElse: [])
    }

    // MARK: What followed

    private func said(_ effects: [ArmingEffect], orElse nothing: [String] = ["nothing"]) -> [String] {
        let all = effects.compactMap(text)
        return all.isEmpty ? nothing : all
    }

    /// Words, then members with their values; each member is quoted as a whole, so that a table can name it.
    private func text(_ effect: ArmingEffect) -> String? {
        switch effect {
        case .change, .alarmPriority, .alarmAct, .mark: nil
        case .note(_, let action, let explanation): "audit \(action) explanation=\(explanation)"
        case .alarm(let draft): "alarm \(draft.alarmClass.rawValue)"
        case .notice(let draft): "notice \(draft.kind.rawValue)"
        case .relay(let effect): effect.action
        case .event(_, let body):
            if case .armingStateChanged(let change) = body {
                "\(body.type.rawValue) \(change.previousState) → \(change.newState)" + body.members
            } else {
                body.type.rawValue + body.members
            }
        }
    }

    private func compare(_ actual: [String], with step: Table.Step, in example: Table.Case) {
        guard let expected = step.expected else { return }
        for (index, phrase) in expected.enumerated() {
            let found = index < actual.count ? actual[index] : "nothing more"
            let words = phrase.words.joined(separator: " ")
            let isSo =
                (found == words || found.hasPrefix(words + " ") || found.hasPrefix(words + "\u{1F}"))
                && phrase.facts.allSatisfy { name, value in
                    value == "-" ? !found.contains("\(name)=") : "\(found)\u{1F}".contains("\(name)=\(value)\u{1F}")
                }
            if !isSo { return report("\(example.title): expected \(phrase), but there was \(found)", phrase.line) }
        }
        if actual.count > expected.count {
            report("\(example.title): there was also \(actual[expected.count...])", step.input.line)
        }
    }

    private func report(_ text: String, _ line: Int) {
        Issue.record("\(table.name).txt:\(line): \(text)", sourceLocation: table.location(line))
    }
}

extension EventBody {
    /// The members of the event as a receiver reads them, each behind a separator that no text contains.
    fileprivate var members: String {
        let place = EventPlace(id: EventID(stored: "evt_1"), sequence: 1, createdAt: Instant(secondsSinceEpoch: 0))
        guard let json = try? JSONParser.parse(encoded(at: place)) else { return " unreadable" }
        return "\u{1F}" + Self.members(of: json["data"] ?? json, "").joined(separator: "\u{1F}")
    }

    private static func members(of json: JSON, _ path: String) -> [String] {
        switch json {
        case .object(let object):
            object.members.flatMap { members(of: $0.value, path.isEmpty ? $0.name : "\(path).\($0.name)") }
        case .array(let elements): elements.enumerated().flatMap { members(of: $0.element, "\(path).\($0.offset + 1)") }
        case .string(let text): ["\(path)=\((try? Instant(rfc3339: text))?.shortText ?? text)"]
        case .integer, .decimal, .bool, .null: ["\(path)=\(json.text)"]
        }
    }
}

extension Instant {
    /// The time of day on the day of the tables, with milliseconds where there are any; the whole time on another day.
    fileprivate var shortText: String {
        let isWhole = secondsSinceEpoch * 1000 == millisecondsSinceEpoch
        let text = isWhole ? rfc3339Seconds : rfc3339Milliseconds
        return text.hasPrefix("2026-05-26T") ? String(text.dropFirst("2026-05-26T".count).dropLast()) : text
    }
}

extension ScheduleTableRunner {
    /// Reads the lines before a table's first case.
    private static func configuration(_ table: Table) throws -> SiteConfiguration {
        var partitions: [Partition] = []
        var zones: [Zone] = []
        var rules: [Schedule] = []
        var hours: [OpeningHours] = []
        for line in table.site {
            switch (line.words.first, line.words.count) {
            case ("partition", 3):
                var partition = Partition.sample(number: 1)
                partition.name = line.words[2]
                partitions.append(partition)
            case ("zone", 4):
                guard let number = Int(line.words[1]), let type = ZoneType(rawValue: line.words[3]) else {
                    throw table.mistake(line.line, "a zone is written: zone 5 \"Back Door\" perimeter")
                }
                let id = ZoneID(stored: "zone_\(number)")
                zones.append(Zone(id: id, number: number, name: line.words[2], type: type))
            case ("schedule", 2...): rules.append(rule(line))
            case ("hours", 1): hours.append(openingHours(line))
            default: throw table.mistake(line.line, "only a partition, zone, schedule or hours can be configured")
            }
        }
        if !partitions.isEmpty { partitions[0].policy.hours = hours }
        var site = Site.sample(createdAt: .midnight("2026-05-01"))
        site.armingModel = .platformTriggered
        return SiteConfiguration(site: site, partitions: partitions, zones: zones, schedules: rules)
    }

    private static func rule(_ line: Table.Phrase) -> Schedule {
        let mode = line.fact("arm").map(ArmingMode.init(wireName:))
        return Schedule(
            id: ScheduleID(stored: "sch_\(line.words[1])"),
            name: line.words[1],
            partition: 1,
            action: mode.map(Schedule.Action.arm) ?? .disarm,
            at: .of(line.fact("at") ?? ""),
            forceArm: line.fact("force") == "yes",
            warningMinutes: line.fact("warning").flatMap { Int($0) },
            latest: line.fact("latest").map { .of($0) }
        )
    }

    private static func openingHours(_ line: Table.Phrase) -> OpeningHours {
        func times(_ name: String) -> [TimeOfDay] {
            (line.fact(name) ?? "").split(separator: "-").map { .of(String($0)) }
        }
        let (open, close) = (times("open"), times("close"))
        let days = (line.fact("days") ?? "").split(separator: ",").compactMap { Weekday(rawValue: String($0)) }
        return OpeningHours(
            days: Set(days),
            openFrom: open[0],
            openTo: open[1],
            closeFrom: close[0],
            closeTo: close[1]
        )
    }
}
