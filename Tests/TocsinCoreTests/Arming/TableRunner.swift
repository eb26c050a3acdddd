import Testing
import TocsinCore
import TocsinJSON

/// Plays the cases of a table on the partner arming machine and compares what follows with what the table says.
struct TableRunner {
    let table: Table
    private let configuration: SiteConfiguration

    init(_ table: Table) throws {
        self.table = table
        configuration = try SiteConfiguration(table)
    }

    /// Plays every case from the beginning, each on a new site.
    func run() throws {
        for example in table.cases {
            var machine = SiteMachine(configuration: configuration, state: SiteState())
            for step in example.steps {
                var next = machine
                let actual = try play(step, on: &next)
                compare(actual, with: step, in: example)
                if !step.isWhatIf { machine = next }
            }
        }
    }

    private func compare(_ actual: [Table.Phrase], with step: Table.Step, in example: Table.Case) {
        guard let expected = step.expected else { return }
        for (index, phrase) in expected.enumerated() where index >= actual.count || !phrase.describes(actual[index]) {
            let found = index < actual.count ? actual[index].text(showing: phrase.facts.map(\.name)) : "nothing more"
            report("\(example.title): expected \"\(phrase.text())\", but there was \"\(found)\"", phrase.line)
            return
        }
        if actual.count > expected.count {
            let more = actual[expected.count...].map { $0.text() }.joined(separator: "; ")
            report("\(example.title): there was also \"\(more)\"", step.input.line)
        }
    }

    private func report(_ text: String, _ line: Int) {
        Issue.record("\(table.name).txt:\(line): \(text)", sourceLocation: table.location(line))
    }

    // MARK: Inputs

    private func play(_ step: Table.Step, on machine: inout SiteMachine) throws -> [Table.Phrase] {
        guard let verb = step.input.words.first else { throw table.mistake(step.input.line, "the input is missing") }
        if verb == "tick" {
            let phrases = machine.deadlinesReached(by: step.at).compactMap { self.phrase($0) }
            return phrases.isEmpty ? [Table.Phrase(line: 0, words: ["nothing"])] : phrases
        }
        if verb == "look" { return configuration.partitions.compactMap { look($0, machine) } }
        let outcome = machine.report(try report(step), receivedAt: step.at)
        let before = outcome.deadlineEffects.compactMap { self.phrase($0) }
        let after = outcome.effects.compactMap { self.phrase($0) }
        switch outcome.answer {
        case .success(let answers): return before + answers.map { self.phrase($0) } + after
        case .failure(let error): return before + [phrase(error.refusal)] + after
        }
    }

    private func report(_ step: Table.Step) throws -> ArmingReport {
        let input = step.input
        let known: Set = ["at", "partition", "via", "by", "mode", "delay", "zones", "reason"]
        if let other = input.facts.first(where: { !known.contains($0.name) }) {
            throw table.mistake(input.line, "an input has no \"\(other.name)\"")
        }
        guard input.words.count == 1, let state = ReportedState(wire: input.words[0]) else {
            throw table.mistake(input.line, "\"\(input.words.joined(separator: " "))\" is not a state that is reported")
        }
        guard let source = Source(rawValue: input.fact("via") ?? "keypad") else {
            throw table.mistake(input.line, "the source after via= is unknown")
        }
        guard let timestamp = input.fact("at").map(Table.instant) ?? step.at else {
            throw table.mistake(input.line, "the time after at= cannot be read")
        }
        return ArmingReport(
            state: state,
            target: try target(input),
            timestamp: timestamp,
            userID: input.fact("by") ?? (source.requiresUser ? "ann" : nil),
            source: source,
            delaySeconds: try input.fact("delay").map { try number($0, input.line) },
            mode: input.fact("mode").map(ArmingMode.init(wireName:)),
            zones: try (input.fact("zones") ?? "").split(separator: ",").map { try zone(String($0), input.line) },
            reason: input.fact("reason")
        )
    }

    private func target(_ input: Table.Phrase) throws -> PartitionTarget {
        guard let text = input.fact("partition") else {
            if configuration.partitions.count == 1 { return .all }
            throw table.mistake(input.line, "with several partitions, partition= must say which")
        }
        if text == "all" { return .all }
        if let id = PartitionID(text) { return .id(id) }
        return .number(try number(text, input.line))
    }

    /// A zone is written `5`, `5:Back Door`, or by its name alone.
    private func zone(_ text: String, _ line: Int) throws -> ArmingReport.Zone {
        guard let first = text.first, first.isNumber else { return ArmingReport.Zone(number: nil, name: text) }
        let parts = text.split(separator: ":", maxSplits: 1)
        return ArmingReport.Zone(
            number: try number(String(parts[0]), line),
            name: parts.count > 1 ? String(parts[1]) : nil
        )
    }

    private func number(_ text: String, _ line: Int) throws -> Int {
        guard let number = Int(text) else { throw table.mistake(line, "\"\(text)\" is not a number") }
        return number
    }

    // MARK: What followed

    /// On a site with several partitions every clause begins with its partition's number.
    private func prefix(_ id: PartitionID?) -> [String] {
        guard configuration.partitions.count > 1, let id else { return [] }
        return configuration.partitions.filter { $0.id == id }.map { String($0.number) }
    }

    private func phrase(_ answer: PartitionAnswer) -> Table.Phrase {
        // A report is kept without being applied for exactly two reasons (decisions §4).
        let isLeftOut = answer.reason == .superseded || answer.reason == .duplicate
        let contradiction = answer.applied == isLeftOut ? ["applied:\(answer.applied)"] : []
        return Table.Phrase(
            line: 0,
            words: prefix(answer.partitionID) + [answer.state] + (answer.reason.map { [$0.rawValue] } ?? [])
                + contradiction,
            facts: [("was", answer.previousState), ("version", String(answer.version))]
        )
    }

    private func phrase(_ refusal: ReportRefusal) -> Table.Phrase {
        switch refusal {
        case .unknownPartition: Table.Phrase(line: 0, words: ["404"])
        case .invalidTransition(let partition, let name, let current, let allowed):
            Table.Phrase(
                line: 0,
                words: ["409"] + prefix(partition) + [current],
                facts: [("allowed", allowed.map(\.rawValue).joined(separator: ",")), ("name", name)]
            )
        }
    }

    /// What an effect says; changes say for the history what their event says to the world.
    private func phrase(_ effect: ArmingEffect) -> Table.Phrase? {
        switch effect {
        case .change, .alarmPriority: return nil
        case .mark(let mark): return Table.Phrase(line: 0, words: ["scorecard", mark.rawValue])
        case .note(let partition, let action, let explanation):
            return Table.Phrase(
                line: 0,
                words: prefix(partition) + ["audit", action],
                facts: [("explanation", explanation)]
            )
        case .notice(let draft):
            return Table.Phrase(
                line: 0,
                words: prefix(draft.partitionID) + ["notice", draft.kind.rawValue],
                facts: [("subject", draft.subject), ("text", draft.text)]
            )
        case .alarm(let draft):
            return Table.Phrase(
                line: 0,
                words: prefix(draft.partitionID) + ["alarm", draft.alarmClass.rawValue],
                facts: [
                    ("priority", draft.priority.rawValue), ("trigger", draft.trigger),
                    ("location", draft.location ?? "-"),
                ]
            )
        case .event(let partition, let body):
            var words = prefix(partition) + [body.type.rawValue]
            if case .armingStateChanged(let change) = body { words += [change.previousState, "→", change.newState] }
            return Table.Phrase(line: 0, words: words, facts: body.wireFacts)
        }
    }

    private func look(_ partition: Partition, _ machine: SiteMachine) -> Table.Phrase? {
        guard let state = machine.state.partitions[partition.id] else { return nil }
        return Table.Phrase(
            line: 0,
            words: prefix(partition.id) + [state.phase.wireState],
            facts: [
                ("mode", state.phase.mode?.wireName ?? "-"), ("since", state.since.tableText),
                ("by", state.by?.triggeredBy ?? "-"), ("version", String(state.version)),
                ("alarm_at", state.countdown?.deadline.tableText ?? "-"),
                ("overdue_at", state.overdueAt?.tableText ?? "-"),
                ("in_alarm", state.inAlarm ? "yes" : "no"), ("alarm_memory", state.alarmMemory ? "yes" : "no"),
            ]
        )
    }
}

extension Table.Phrase {
    /// Whether this phrase of a table says what happened: all the words, and those facts that it chooses to tell.
    fileprivate func describes(_ actual: Table.Phrase) -> Bool {
        words == actual.words && facts.allSatisfy { ($0.value) == actual.fact($0.name) ?? "-" }
    }

    fileprivate func text(showing names: [String]? = nil) -> String {
        let shown = names.map { $0.map { ($0, fact($0) ?? "-") } } ?? facts.map { ($0.name, $0.value) }
        return (words + shown.map { "\($0.0)=\($0.1)" }).joined(separator: " ")
    }
}

extension EventBody {
    /// The members of the event as a receiver reads them, nested ones as `reasons.1.zone_name`.
    fileprivate var wireFacts: [(name: String, value: String)] {
        let place = EventPlace(
            id: EventID(stored: "evt_1"),
            sequence: 1,
            createdAt: Instant(secondsSinceEpoch: 0),
            newAlarms: [AlarmNumber(1)],
            incidentAlarms: [IncidentID(1): AlarmNumber(1)]
        )
        guard let json = try? JSONParser.parse(encoded(at: place)) else { return [("body", "unreadable")] }
        return facts(of: json["data"] ?? json, "")
    }

    private func facts(of json: JSON, _ path: String) -> [(name: String, value: String)] {
        switch json {
        case .object(let object):
            object.members.flatMap { facts(of: $0.value, path.isEmpty ? $0.name : "\(path).\($0.name)") }
        case .array(let elements): elements.enumerated().flatMap { facts(of: $0.element, "\(path).\($0.offset + 1)") }
        case .string(let text): [(path, (try? Instant(rfc3339: text))?.tableText ?? text)]
        case .integer, .decimal, .bool, .null: [(path, json.text)]
        }
    }
}

extension Instant {
    /// The time of day, with milliseconds where there are any.
    fileprivate var tableText: String {
        let isWhole = secondsSinceEpoch * 1000 == millisecondsSinceEpoch
        return String((isWhole ? rfc3339Seconds : rfc3339Milliseconds).dropFirst("2026-05-26T".count).dropLast())
    }
}

extension SiteConfiguration {
    /// Reads the lines before a table's first case.
    fileprivate init(_ table: Table) throws {
        var partitions: [Partition] = []
        var zones: [Int: String] = [:]
        for line in table.site {
            guard line.words.count == 3, let number = Int(line.words[1]) else {
                throw table.mistake(line.line, "before the first case stand lines as: partition 1 House")
            }
            switch line.words[0] {
            case "zone": zones[number] = line.words[2]
            case "partition": partitions.append(try Partition(number: number, line, in: table))
            default: throw table.mistake(line.line, "only a partition or a zone can be configured")
            }
        }
        self.init(site: .sample(), partitions: partitions, zones: zones.map(Zone.sample))
    }
}

extension Partition {
    fileprivate init(number: Int, _ line: Table.Phrase, in table: Table) throws {
        let exits = (line.fact("exit") ?? "60/30/0/60").split(separator: "/").compactMap { Int($0) }
        guard exits.count == 4, let entry = Int(line.fact("entry") ?? "30") else {
            throw table.mistake(line.line, "delays are written exit=AWAY/STAY/NIGHT/CUSTOM entry=SECONDS")
        }
        self.init(
            id: PartitionID(stored: "p_\(number)"),
            siteID: Site.sample().id,
            number: number,
            name: line.words[2],
            exitDelaySeconds: ExitDelays(away: exits[0], stay: exits[1], night: exits[2], custom: exits[3]),
            entryDelaySeconds: entry
        )
    }
}
