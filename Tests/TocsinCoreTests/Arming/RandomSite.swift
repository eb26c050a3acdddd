import TocsinCore

/// What a site may be given: a report, or nothing but time.
enum SiteInput {
    case report(ArmingReport)
    case tick
}

/// One input, what the state was before, and what came of it.
struct SiteStep {
    var at: Instant
    var input: SiteInput
    var before: SiteMachine
    var after: SiteMachine
    var deadlineEffects: [ArmingEffect]
    var effects: [ArmingEffect] = []
    /// None for a tick.
    var answer: Result<[PartitionAnswer], SiteMachine.ReportRefusalError>?

    init(_ input: SiteInput, at: Instant, on machine: SiteMachine) {
        self.at = at
        self.input = input
        before = machine
        after = machine
        switch input {
        case .tick: deadlineEffects = after.deadlinesReached(by: at)
        case .report(let report):
            let outcome = after.report(report, receivedAt: at)
            deadlineEffects = outcome.deadlineEffects
            effects = outcome.effects
            answer = outcome.answer
        }
    }

    var report: ArmingReport? {
        if case .report(let report) = input { report } else { nil }
    }

    /// The answers of an accepted report.
    var answers: [PartitionAnswer] { (try? answer?.get()) ?? [] }

    var isRefused: Bool { answer != nil && answers.isEmpty }

    /// The answers of the partitions to which the report was applied, with the report.
    var applied: [(partition: PartitionID, report: ArmingReport, answer: PartitionAnswer)] {
        guard let report else { return [] }
        return answers.filter(\.applied).map { ($0.partitionID, report, $0) }
    }

    /// The events of a partition, in order: those of deadlines first.
    func events(of partition: PartitionID) -> [EventBody] {
        (deadlineEffects + effects).compactMap {
            if case .event(partition, let body) = $0 { body } else { nil }
        }
    }
}

/// The life of one site, made up: plausible reports, retries, wrong ones, clocks that are off, and deadlines met exactly.
struct RandomSite {
    let seed: UInt64
    let configuration: SiteConfiguration
    private(set) var steps: [SiteStep] = []

    init(seed: UInt64) {
        self.seed = seed
        var generator = SeededGenerator(seed: seed)
        let partitions = (1...Int.random(in: 1...3, using: &generator)).map { number in
            Partition.sample(number: number, entry: generator.pick([0, 15, 30, 45]))
        }
        configuration = SiteConfiguration(
            site: .sample(),
            partitions: partitions,
            zones: [.sample(number: 5, name: "Back Door")]
        )
        var machine = SiteMachine(configuration: configuration, state: SiteState())
        var now = Instant(millisecondsSinceEpoch: 1_779_790_000_000)
        var sent: [ArmingReport] = []
        for _ in 0..<Int.random(in: 5...24, using: &generator) {
            now = Self.next(after: now, deadline: machine.state.nextDeadline, &generator)
            let input = Self.input(at: now, partitions: partitions.count, sent: sent, &generator)
            if case .report(let report) = input { sent.append(report) }
            let step = SiteStep(input, at: now, on: machine)
            machine = step.after
            steps.append(step)
        }
    }

    var start: SiteMachine { SiteMachine(configuration: configuration, state: SiteState()) }

    private static func next(after now: Instant, deadline: Instant?, _ generator: inout SeededGenerator) -> Instant {
        if let deadline, deadline > now, generator.chance(25) {
            return deadline - .milliseconds(generator.pick([0, 0, 1]))
        }
        let milliseconds = generator.pick([0...0, 1...999, 1000...10_000, 10_000...40_000, 60_000...600_000])
        return now + .milliseconds(Int.random(in: milliseconds, using: &generator))
    }

    private static func input(
        at now: Instant,
        partitions: Int,
        sent: [ArmingReport],
        _ generator: inout SeededGenerator
    ) -> SiteInput {
        if generator.chance(12) { return .tick }
        if !sent.isEmpty, generator.chance(10) { return .report(generator.pick(sent)) }
        let state = generator.pick(ReportedState.allCases + [.disarmed, .armedStay, .armingInProgress, .entryDelay])
        let delay = generator.chance(80) ? generator.pick([0, 5, 30, 60]) : nil
        return .report(
            ArmingReport(
                state: state,
                target: generator.chance(40) ? .all : .number(Int.random(in: 1...(partitions + 1), using: &generator)),
                timestamp: timestamp(at: now, sent: sent, &generator),
                userID: generator.pick(["ann", "bob", nil]),
                source: generator.pick(Source.reportable),
                delaySeconds: state == .armingInProgress || state == .entryDelay ? delay : nil,
                mode: generator.pick([nil, .away, .stay, .custom(name: nil), .custom(name: "vacation")]),
                zones: generator.pick([[], [.init(number: 5, name: nil)], [.init(number: nil, name: "Cellar \"B\"")]])
            )
        )
    }

    /// Mostly the moment itself; else a time that was used before, an older one, or one ahead of ours.
    private static func timestamp(
        at now: Instant,
        sent: [ArmingReport],
        _ generator: inout SeededGenerator
    ) -> Instant {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<50: Instant(secondsSinceEpoch: now.secondsSinceEpoch)
        case 50..<60: now
        case 60..<72: sent.last?.timestamp ?? now
        case 72..<86: now - .milliseconds(Int.random(in: 1...60_000, using: &generator))
        default: now + .milliseconds(Int.random(in: 1...30_000, using: &generator))
        }
    }
}

/// A property that a made-up site does not have; tells the steps in the form of the tables.
struct Violation: Error, CustomStringConvertible {
    var description: String

    init(_ what: String, _ site: RandomSite, step: Int) {
        let inputs = site.steps.prefix(step + 1).map { "\($0.at.timeOfDay)  \($0.report?.tableText ?? "tick")  → …" }
        let partitions = site.configuration.partitions.map { "partition \($0.number) entry=\($0.entryDelaySeconds)" }
        description =
            "\(what), at step \(step) of seed \(site.seed):\n"
            + (partitions + inputs).joined(separator: "\n")
    }
}

extension ArmingReport {
    fileprivate var tableText: String {
        var text = "\(state.rawValue) at=\(timestamp.timeOfDay) via=\(source.rawValue)"
        switch target {
        case .all: text += " partition=all"
        case .id(let id): text += " partition=\(id)"
        case .number(let number): text += " partition=\(number)"
        }
        if let userID { text += " by=\(userID)" }
        if let delaySeconds { text += " delay=\(delaySeconds)" }
        if let mode { text += " mode=\(mode.wireName)" }
        if !zones.isEmpty { text += " zones=\(zones.count)" }
        return text
    }
}

extension Instant {
    fileprivate var timeOfDay: String { String(rfc3339Milliseconds.dropFirst("2026-05-26T".count).dropLast()) }
}
