import Testing
import TocsinCore

/// What holds for the partner arming machine whatever is reported (design, arming: invariants).
struct ArmingPropertyTests {
    /// Made once: making them takes longer than looking at them.
    private static let sites = {
        let seed = Seed.announced(for: "arming properties")
        return (0..<1500).map { RandomSite(seed: seed &+ $0) }
    }()

    @Test func `the order of reports is that of decisions 4 and 14 (I19)`() throws {
        for site in Self.sites {
            var orders: [PartitionID: OrderModel] = [:]
            for (index, step) in site.steps.enumerated() {
                guard let report = step.report else { continue }
                for answer in step.answers {
                    var order = orders[answer.partitionID] ?? OrderModel()
                    let expected = order.verdicts(on: report)
                    let actual = answer.reason == .unchanged ? nil : answer.reason
                    if !expected.contains(actual) || answer.applied != (actual == nil) {
                        throw Violation("\(answer) instead of \(expected)", site, step: index)
                    }
                    if answer.applied { order.apply(report, at: step.at) }
                    orders[answer.partitionID] = order
                }
            }
        }
    }

    @Test func `a refused report changes nothing but what had fallen due`() throws {
        for site in Self.sites {
            for (index, step) in site.steps.enumerated() where step.isRefused {
                let tick = SiteStep(.tick, at: step.at, on: step.before)
                if tick.after.state != step.after.state || tick.deadlineEffects != step.deadlineEffects
                    || !step.effects.isEmpty
                {
                    throw Violation("a refused report changed something", site, step: index)
                }
            }
        }
    }

    @Test func `the same inputs give the same state, byte for byte, and the same effects (I20)`() throws {
        for site in Self.sites {
            // Filled in another order, so that a dictionary's order would show.
            var state = SiteState()
            for partition in site.configuration.partitions.reversed() {
                state.partitions[partition.id] = PartitionState(since: site.configuration.site.createdAt)
            }
            var machine = SiteMachine(configuration: site.configuration, state: state)
            for (index, step) in site.steps.enumerated() {
                let again = SiteStep(step.input, at: step.at, on: machine)
                if !again.happened(as: step) || again.after.state.snapshot != step.after.state.snapshot {
                    throw Violation("the second time it came out differently", site, step: index)
                }
                machine = again.after
            }
        }
    }

    @Test func `a stored state is read back the same, and has the same future (I15)`() throws {
        for site in Self.sites {
            var machine = site.start
            for (index, step) in site.steps.enumerated() {
                let stored = machine.state.snapshot
                let state = try SiteState(snapshot: stored)
                if state != machine.state {
                    throw Violation(
                        "\(String(decoding: stored, as: UTF8.self)) is read back differently",
                        site,
                        step: index
                    )
                }
                let restarted = SiteMachine(configuration: site.configuration, state: state)
                let again = SiteStep(step.input, at: step.at, on: restarted)
                if !again.happened(as: step) || again.after.state != step.after.state {
                    throw Violation("after a restart it came out differently", site, step: index)
                }
                machine = again.after
            }
        }
    }

    @Test func `each change of a phase has one event and one version`() throws {
        for site in Self.sites {
            for (index, step) in site.steps.enumerated() {
                for partition in site.configuration.partitions {
                    guard let before = step.before.state.partitions[partition.id],
                        let after = step.after.state.partitions[partition.id]
                    else { throw Violation("\(partition.name) has no state", site, step: index) }
                    var folded = before.phase.wireState
                    var changes: Int64 = 0
                    for case .armingStateChanged(let change) in step.events(of: partition.id) {
                        if change.previousState != folded {
                            throw Violation("\(change) after \(folded)", site, step: index)
                        }
                        folded = change.newState
                        changes += 1
                    }
                    if folded != after.phase.wireState || after.version != before.version + changes {
                        throw Violation("\(changes) events lead to \(folded), not \(after)", site, step: index)
                    }
                    if changes == 0, !after.phase.isSame(as: before.phase) {
                        throw Violation("\(before.phase) became \(after.phase) silently", site, step: index)
                    }
                    if changes == 1, after.phase.isSame(as: before.phase) {
                        throw Violation("\(before.phase) was announced as a change", site, step: index)
                    }
                }
            }
        }
    }

    @Test func `an alarm is created exactly when a countdown ends that nobody disarmed`() throws {
        for site in Self.sites {
            var guards: [PartitionID: GuardModel] = [:]
            for (index, step) in site.steps.enumerated() {
                for partition in site.configuration.partitions {
                    var model = guards[partition.id] ?? GuardModel()
                    let expected = model.run(until: step.at)
                    let told = step.events(of: partition.id)
                    let actual = GuardModel.Endings(
                        alarms: told.count { $0.type == .alarmCreated },
                        overdue: told.count { $0.type == .syncOverdue }
                    )
                    if actual != expected { throw Violation("\(actual) instead of \(expected)", site, step: index) }
                    for applied in step.applied where applied.partition == partition.id {
                        model.take(applied.report, at: step.at)
                    }
                    let state = step.after.state.partitions[partition.id]
                    if state?.countdown?.deadline != model.alarmAt || state?.overdueAt != model.overdueAt {
                        throw Violation("\(String(describing: state)) is not guarded as \(model)", site, step: index)
                    }
                    guards[partition.id] = model
                }
            }
        }
    }

    @Test func `an alarm is announced by the event right behind it`() throws {
        for site in Self.sites {
            for (index, step) in site.steps.enumerated() {
                let effects = step.deadlineEffects + step.effects
                for (position, effect) in effects.enumerated() {
                    guard case .alarm(let draft) = effect else { continue }
                    guard position + 1 < effects.count,
                        case .event(draft.partitionID, let body) = effects[position + 1],
                        case .alarmCreated(let created) = body, created.location == draft.location,
                        created.trigger == draft.trigger, created.priority == draft.priority
                    else { throw Violation("\(draft) is not announced", site, step: index) }
                }
            }
        }
    }

    @Test func `with nothing but time passing, every countdown and watchdog ends (I14)`() throws {
        for site in Self.sites {
            guard var machine = site.steps.last?.after else { continue }
            let last = site.steps.count - 1
            // A partition has a countdown and a watchdog, no more.
            for _ in 0..<(2 * site.configuration.partitions.count) {
                guard let deadline = machine.state.nextDeadline else { break }
                if machine.deadlinesReached(by: deadline).isEmpty {
                    throw Violation("nothing happened at a deadline", site, step: last)
                }
            }
            let isEntering = machine.state.partitions.values.contains {
                if case .entry = $0.phase { true } else { false }
            }
            if machine.state.nextDeadline != nil || isEntering {
                throw Violation("\(machine.state) does not end", site, step: last)
            }
        }
    }

    @Test func `a report for all is a report for each, unless one refuses`() throws {
        for site in Self.sites {
            for (index, step) in site.steps.enumerated() {
                guard var report = step.report, report.target == .all else { continue }
                // A countdown of no length would end between one report and the next.
                if report.delaySeconds == 0 { continue }
                var machine = step.before
                var effects: [ArmingEffect] = []
                var refusals = 0
                for partition in site.configuration.partitions {
                    report.target = .id(partition.id)
                    let one = SiteStep(.report(report), at: step.at, on: machine)
                    machine = one.after
                    effects += one.effects
                    refusals += one.isRefused ? 1 : 0
                }
                if step.isRefused != (refusals > 0) { throw Violation("\(refusals) would refuse", site, step: index) }
                if step.isRefused { continue }
                if machine.state != step.after.state || effects.filter(\.isFact) != step.effects.filter(\.isFact) {
                    throw Violation("one by one it came out differently", site, step: index)
                }
            }
        }
    }
}

extension SiteStep {
    /// Whether the same came of it: answers and effects.
    fileprivate func happened(as other: SiteStep) -> Bool {
        answer == other.answer && effects == other.effects && deadlineEffects == other.deadlineEffects
    }
}

extension ArmingEffect {
    /// A mark is given once for a report, however many partitions it is for; and that it is late is told once.
    fileprivate var isFact: Bool {
        switch self {
        case .mark, .event(_, .syncLate): false
        case .alarm, .alarmPriority, .alarmAct, .change, .event, .note, .notice, .relay: true
        }
    }
}

extension Phase {
    /// Whether it is the same phase; a restated arming may name another target and is still the same (decisions §14).
    fileprivate func isSame(as other: Phase) -> Bool {
        switch (self, other) {
        case (.arming(_, let from), .arming(_, let otherFrom)): from == otherFrom
        default: self == other
        }
    }
}

/// The order of one partition's reports, told independently: everything applied is remembered, nothing is summed up.
private struct OrderModel {
    private var applied: [(report: ArmingReport, wasAhead: Bool)] = []

    /// What the answer may be; none of the reasons means that the report is taken.
    func verdicts(on report: ArmingReport) -> [PartitionAnswer.Reason?] {
        guard let last = applied.last else { return [nil] }
        let isKnown = applied.contains { $0.report.timestamp == report.timestamp && $0.report.says(the: report) }
        if report.timestamp >= last.report.timestamp { return isKnown ? [.duplicate] : [nil] }
        // Both are so of a repetition that is older than the last report; what matters is that it is not applied again.
        if isKnown { return [.duplicate, .superseded] }
        let honest = applied.last { !$0.wasAhead }?.report.timestamp
        let isNews = last.wasAhead && report.absolutePhase != nil && honest.map { report.timestamp >= $0 } ?? true
        return isNews ? [nil] : [.superseded]
    }

    mutating func apply(_ report: ArmingReport, at now: Instant) { applied.append((report, report.timestamp > now)) }
}

extension ArmingReport {
    /// Whether it reports the same state, in the same custom mode.
    fileprivate func says(the other: ArmingReport) -> Bool {
        state == other.state && absolutePhase == other.absolutePhase
    }
}

/// The countdown and the watchdog of one partition, told independently of phases.
private struct GuardModel {
    struct Endings: Equatable {
        var alarms = 0
        var overdue = 0
    }

    private(set) var alarmAt: Instant?
    private(set) var overdueAt: Instant?
    private var inAlarm = false

    mutating func run(until now: Instant) -> Endings {
        var endings = Endings()
        if let end = alarmAt, end <= now {
            endings.alarms = inAlarm ? 0 : 1
            inAlarm = true
            alarmAt = nil
        }
        if let end = overdueAt, end <= now {
            endings.overdue = 1
            overdueAt = nil
        }
        return endings
    }

    mutating func take(_ report: ArmingReport, at now: Instant) {
        let delay = Duration.seconds(report.delaySeconds ?? 255)
        switch report.state {
        case .disarmed:
            (alarmAt, overdueAt, inAlarm) = (nil, nil, false)
        case .armedAway, .armedStay, .armedNight, .armedCustom, .armFailure: overdueAt = nil
        case .armingInProgress: overdueAt = now + delay + .seconds(5)
        case .entryDelay: alarmAt = min(alarmAt ?? now + delay, now + delay)
        }
    }
}
