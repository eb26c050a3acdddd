import Testing
import TocsinCore
import TocsinJSON

/// Plays the cases of a table on the arming machine and compares what follows with what the table says.
struct TableRunner {
    let table: Table

    init(_ table: Table) throws {
        self.table = table
        _ = try TableSite(table, nil)
    }

    /// Plays every case from the beginning, each on a new site.
    func run() throws {
        for example in table.cases { try CaseRunner(table, example).run() }
    }
}

/// Plays one case of a table.
struct CaseRunner {
    let table: Table
    let example: Table.Case
    let configuration: SiteConfiguration
    let timeZone: TimeZoneRules
    /// Where the table says so, audit notes and people's notices are compared only in the steps that tell of one.
    let isBrief: Bool

    init(_ table: Table, _ example: Table.Case) throws {
        let site = try TableSite(table, example)
        self.table = table
        self.example = example
        configuration = site.configuration
        timeZone = site.timeZone
        isBrief = site.isBrief
    }

    func run() throws {
        var machine = SiteMachine(configuration: configuration, state: SiteState(), timeZone: timeZone)
        for step in example.steps {
            var next = machine
            let actual = try play(step, on: &next)
            compare(actual, with: step)
            if !step.isWhatIf { machine = try restarted(next, after: step) }
        }
    }

    /// Whatever happened, a restart changes nothing (T45): every step goes on from what the ledger would keep.
    private func restarted(_ machine: SiteMachine, after step: Table.Step) throws -> SiteMachine {
        let stored = try SiteState(snapshot: machine.state.snapshot)
        #expect(stored == machine.state, sourceLocation: table.location(step.input.line))
        return SiteMachine(configuration: configuration, state: stored, timeZone: timeZone)
    }

    private func compare(_ actual: [Table.Phrase], with step: Table.Step) {
        guard let expected = step.expected else { return }
        let actual = isBrief ? actual.brief(for: expected) : actual
        for (index, phrase) in expected.enumerated() where index >= actual.count || !phrase.describes(actual[index]) {
            let found = index < actual.count ? actual[index].text(showing: phrase.facts.map(\.name)) : "nothing more"
            report("\(example.title): expected \"\(phrase.text())\", but there was \"\(found)\"", phrase.line)
            return
        }
        if actual.count > expected.count {
            let more = actual[expected.count...].map { $0.text(showing: ["explanation", "message"]) }.joined(
                separator: "; "
            )
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
            return orNothing(phrases(machine.deadlinesReached(by: step.at)))
        }
        if verb == "look" { return configuration.partitions.compactMap { look($0, machine) } }
        if let panel = try playPanel(verb, step, on: &machine) { return panel }
        let outcome = machine.report(try report(step), receivedAt: step.at)
        let before = phrases(outcome.deadlineEffects)
        let after = phrases(outcome.effects)
        switch outcome.answer {
        case .success(let answers): return before + answers.map { self.phrase($0) } + after
        case .failure(let error): return before + [phrase(error.refusal)] + after
        }
    }

    /// Refuses the facts of an input that mean nothing there.
    func allow(_ known: Set<String>, in input: Table.Phrase) throws {
        if let other = input.facts.first(where: { !known.contains($0.name) }) {
            throw table.mistake(input.line, "an input has no \"\(other.name)\"")
        }
    }

    private func report(_ step: Table.Step) throws -> ArmingReport {
        let input = step.input
        try allow(["at", "partition", "via", "by", "mode", "delay", "zones", "reason"], in: input)
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

    func target(_ input: Table.Phrase) throws -> PartitionTarget {
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

    func number(_ text: String, _ line: Int) throws -> Int {
        guard let number = Int(text) else { throw table.mistake(line, "\"\(text)\" is not a number") }
        return number
    }

    // MARK: What followed

    /// On a site with several partitions every clause begins with its partition's number.
    func prefix(_ id: PartitionID?) -> [String] {
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

    func orNothing(_ phrases: [Table.Phrase]) -> [Table.Phrase] {
        phrases.isEmpty ? [Table.Phrase(line: 0, words: ["nothing"])] : phrases
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

extension [Table.Phrase] {
    /// Without the audit notes and notices that a brief table does not tell of.
    fileprivate func brief(for expected: [Table.Phrase]) -> [Table.Phrase] {
        let told = Set(expected.compactMap(\.beside))
        let kept = filter { $0.beside.map(told.contains) ?? true }
        return kept.isEmpty ? [Table.Phrase(line: 0, words: ["nothing"])] : kept
    }
}

extension Table.Phrase {
    /// `audit` or `notice`, if it tells of one; on a site with several partitions the number stands before it.
    fileprivate var beside: String? { words.prefix(2).first { $0 == "audit" || $0 == "notice" } }
}
