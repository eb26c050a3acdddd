/// The arming machine of a partner-triggered site (decisions §4 and §14).
///
/// The partner's panel is the authority: this machine keeps its reports in order, refuses what cannot have happened,
/// and guards what was announced. It knows no clock: every input brings the time.
package struct PartnerArming: Sendable {
    /// A countdown whose length the partner did not tell (design, arming: T42).
    package static let unstatedDelay: Duration = .seconds(255)
    /// How long after an announced exit delay its outcome may take (decisions §4).
    package static let outcomeGrace: Duration = .seconds(5)
    /// Within what time a change must be told (the arming document's contract).
    package static let contractLatency: Duration = .seconds(5)

    package let configuration: SiteConfiguration
    package private(set) var state: SiteState

    package init(configuration: SiteConfiguration, state: SiteState) {
        self.configuration = configuration
        self.state = state
        for partition in configuration.partitions where self.state.partitions[partition.id] == nil {
            self.state.partitions[partition.id] = PartitionState(since: configuration.site.createdAt)
        }
    }

    /// What a report came to.
    package struct ReportOutcome: Sendable {
        package var answer: Result<[PartitionAnswer], ReportRefusalError>
        /// What had fallen due before the report arrived; holds even where the report is refused.
        package var deadlineEffects: [ArmingEffect]
        /// What follows from the report itself.
        package var effects: [ArmingEffect]
    }

    /// Carries a refusal where a `Result` needs an error.
    package struct ReportRefusalError: Error, Hashable, Sendable {
        package var refusal: ReportRefusal
    }

    /// Takes a report; what fell due by `receivedAt` happens first, so that the order of arrival decides (design, time).
    package mutating func report(_ report: ArmingReport, receivedAt: Instant) -> ReportOutcome {
        let deadlineEffects = deadlinesReached(by: receivedAt)
        func refused(_ refusal: ReportRefusal) -> ReportOutcome {
            let error = ReportRefusalError(refusal: refusal)
            return ReportOutcome(answer: .failure(error), deadlineEffects: deadlineEffects, effects: [])
        }
        let targets = configuration.partitions.filter { report.target.covers($0) }
        if targets.isEmpty { return refused(.unknownPartition(report.target)) }
        // Worked on a copy: one partition that refuses refuses all (decisions §4).
        var changed = state
        var answers: [PartitionAnswer] = []
        var effects: [ArmingEffect] = []
        for partition in targets {
            var step = PartitionStep(
                site: configuration,
                partition: partition,
                state: changed.partitions[partition.id] ?? PartitionState(since: configuration.site.createdAt),
                report: report,
                receivedAt: receivedAt
            )
            if let refusal = step.run() { return refused(refusal) }
            changed.partitions[partition.id] = step.state
            answers.append(step.answer)
            effects += step.effects
        }
        state = changed
        effects += marks(for: report, receivedAt: receivedAt, answers: answers).map(ArmingEffect.mark)
        return ReportOutcome(answer: .success(answers), deadlineEffects: deadlineEffects, effects: effects)
    }

    /// What a repetition of a known report is answered with: the state as it is, `duplicate` for each partition.
    package func duplicateAnswers(to report: ArmingReport) -> [PartitionAnswer] {
        configuration.partitions.filter { report.target.covers($0) }.map { partition in
            let current = state.partitions[partition.id] ?? PartitionState(since: configuration.site.createdAt)
            return PartitionAnswer(
                partitionID: partition.id,
                state: current.phase.wireState,
                previousState: current.phase.wireState,
                applied: false,
                reason: .duplicate,
                version: current.version,
                explanation: "\(partition.name): this report was received before"
            )
        }
    }

    /// Lets every countdown and watchdog that ends at or before `now` run out, in the order of their deadlines.
    package mutating func deadlinesReached(by now: Instant) -> [ArmingEffect] {
        var effects: [ArmingEffect] = []
        while let due = state.nextDeadline, due <= now {
            for partition in configuration.partitions {
                guard var current = state.partitions[partition.id], current.nextDeadline == due else { continue }
                effects += current.deadlineReached(due, in: partition, of: configuration.site)
                state.partitions[partition.id] = current
            }
            // A partition that is no longer configured must not keep the loop alive.
            let known = Set(configuration.partitions.map(\.id))
            state.partitions = state.partitions.filter { known.contains($0.key) }
        }
        return effects
    }

    private func marks(
        for report: ArmingReport,
        receivedAt: Instant,
        answers: [PartitionAnswer]
    ) -> [ScorecardMark] {
        if answers.allSatisfy({ $0.reason == .duplicate }) { return [] }
        var marks: [ScorecardMark] = []
        if receivedAt - report.timestamp > Self.contractLatency { marks.append(.lateReport) }
        if report.timestamp > receivedAt { marks.append(.clockAhead) }
        if let delay = report.delaySeconds {
            let applied = Set(answers.filter(\.applied).map(\.partitionID))
            let mismatch = configuration.partitions.contains {
                applied.contains($0.id) && !$0.expects(delay: delay, of: report)
            }
            if mismatch { marks.append(.delayMismatch) }
        }
        return marks
    }
}

extension PartitionTarget {
    package func covers(_ partition: Partition) -> Bool {
        switch self {
        case .all: true
        case .id(let id): partition.id == id
        case .number(let number): partition.number == number
        }
    }
}

extension Partition {
    /// Whether an announced delay is the configured one; an arming of unknown mode may be of any.
    fileprivate func expects(delay: Int, of report: ArmingReport) -> Bool {
        switch report.state {
        case .armingInProgress:
            report.mode.map { exitDelaySeconds.seconds(for: $0) == delay } ?? exitDelaySeconds.all.contains(delay)
        case .entryDelay: entryDelaySeconds == delay
        case .disarmed, .armedAway, .armedStay, .armedNight, .armedCustom, .armFailure: true
        }
    }
}

extension PartitionState {
    /// Ends what ends at `due`: the alarm countdown, or the wait for an outcome.
    fileprivate mutating func deadlineReached(
        _ due: Instant,
        in partition: Partition,
        of site: Site
    ) -> [ArmingEffect] {
        if countdown?.deadline == due { return countdownEnded(due, in: partition, of: site) }
        overdueAt = nil
        let message = "\(partition.name) is arming since \(since.rfc3339Seconds) and its outcome was never reported"
        return [
            .event(
                partition: partition.id,
                .syncOverdue(
                    SyncOverdue(
                        siteID: site.id,
                        partitionID: partition.id,
                        state: phase.wireState,
                        since: since,
                        message: message
                    )
                )
            ),
            .mark(.overdue),
            .note(partition: partition.id, action: "sync.overdue", explanation: message),
        ]
    }

    private mutating func countdownEnded(_ due: Instant, in partition: Partition, of site: Site) -> [ArmingEffect] {
        let location = countdown?.zoneName
        countdown = nil
        var effects: [ArmingEffect] = []
        if !inAlarm {
            inAlarm = true
            let draft = AlarmDraft(
                partitionID: partition.id,
                alarmClass: .intrusion,
                priority: .high,
                trigger: "entry-delay-expired",
                location: location
            )
            effects.append(.alarm(draft))
            let created = AlarmCreated(
                alarm: .new(0),
                siteID: site.id,
                priority: draft.priority,
                trigger: draft.trigger,
                location: location
            )
            effects.append(.event(partition: partition.id, .alarmCreated(created)))
        }
        effects.append(
            .note(
                partition: partition.id,
                action: "arming.entry_expired",
                explanation: "\(partition.name) was not disarmed within its entry delay"
            )
        )
        if case .entry(let mode) = phase {
            let previous = phase
            phase = .armed(mode)
            since = due
            by = Attribution(source: .system)
            version += 1
            let change = ArmingStateChanged(
                siteID: site.id,
                partitionID: partition.id,
                newState: phase.wireState,
                previousState: previous.wireState,
                timestamp: due,
                triggeredBy: Source.system.rawValue,
                source: .system
            )
            effects.append(.event(partition: partition.id, .armingStateChanged(change)))
        }
        return effects
    }
}
