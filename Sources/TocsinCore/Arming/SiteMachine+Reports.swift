/// A partner's reports (decisions §4 and §14).
///
/// The partner's panel is the authority: the machine keeps its reports in order, refuses what cannot have happened, and
/// guards what was announced.
package enum PartnerReports {
    /// A countdown whose length the partner did not tell (design, arming: T42).
    package static let unstatedDelay: Duration = .seconds(255)
    /// How long after an announced exit delay its outcome may take (decisions §4).
    package static let outcomeGrace: Duration = .seconds(5)
    /// Within what time a change must be told (the arming document's contract).
    package static let contractLatency: Duration = .seconds(5)
    /// How often a site's admins are told of late reports.
    package static let lateInterval: Duration = .seconds(3600)
}

extension SiteMachine {
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
            if report.state == .disarmed, step.answer.applied {
                changed = ended(partition, in: changed, by: report.attribution, at: receivedAt, &effects)
            }
        }
        state = changed
        if let late = tellLate(report, receivedAt: receivedAt, answers: answers) { effects.append(late) }
        effects += marks(for: report, receivedAt: receivedAt, answers: answers).map(ArmingEffect.mark)
        return ReportOutcome(answer: .success(answers), deadlineEffects: deadlineEffects, effects: effects)
    }

    /// A panel's disarm ends what is open on its partition; the alarm itself stays with the operators.
    private func ended(
        _ partition: Partition,
        in state: SiteState,
        by: Attribution,
        at now: Instant,
        _ effects: inout [ArmingEffect]
    ) -> SiteState {
        guard state.partitions[partition.id]?.incidents.contains(where: { !$0.isSilent }) == true else { return state }
        var step = PanelStep(site: configuration, timeZone: timeZone, now: now, cause: .report, state: state)
        step.endIncidents(of: partition, by: by, isDuress: false)
        effects += step.effects
        return step.state
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

    /// Tells the admins of a site that its partner's reports come late.
    ///
    /// Of the first one in an hour, as a line that is slow is slow for all of them; each is counted on the scorecard.
    private mutating func tellLate(
        _ report: ArmingReport,
        receivedAt: Instant,
        answers: [PartitionAnswer]
    ) -> ArmingEffect? {
        let lateness = receivedAt - report.timestamp
        guard lateness > PartnerReports.contractLatency, let first = answers.first,
            !answers.allSatisfy({ $0.reason == .duplicate }),
            state.lateToldAt.map({ receivedAt - $0 >= PartnerReports.lateInterval }) ?? true
        else { return nil }
        state.lateToldAt = receivedAt
        let late = SyncLate(
            siteID: configuration.site.id,
            partitionID: report.target == .all ? nil : first.partitionID,
            state: report.state.rawValue,
            timestamp: report.timestamp,
            lateByMilliseconds: lateness.milliseconds,
            message: "The report came \(lateness.milliseconds / 1000) s after what it tells of; the contract allows "
                + "\(PartnerReports.contractLatency.milliseconds / 1000) s"
        )
        return .event(partition: first.partitionID, .syncLate(late))
    }

    private func marks(
        for report: ArmingReport,
        receivedAt: Instant,
        answers: [PartitionAnswer]
    ) -> [ScorecardMark] {
        if answers.allSatisfy({ $0.reason == .duplicate }) { return [] }
        var marks: [ScorecardMark] = []
        if receivedAt - report.timestamp > PartnerReports.contractLatency { marks.append(.lateReport) }
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
