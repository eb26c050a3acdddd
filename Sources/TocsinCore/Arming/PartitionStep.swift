/// One report meeting one partition: judges its order, then its transition, then what follows.
struct PartitionStep {
    let site: SiteConfiguration
    let partition: Partition
    private(set) var state: PartitionState
    let report: ArmingReport
    let receivedAt: Instant
    private(set) var effects: [ArmingEffect] = []
    private(set) var answer: PartitionAnswer

    init(
        site: SiteConfiguration,
        partition: Partition,
        state: PartitionState,
        report: ArmingReport,
        receivedAt: Instant
    ) {
        self.site = site
        self.partition = partition
        self.state = state
        self.report = report
        self.receivedAt = receivedAt
        answer = PartitionAnswer(
            partitionID: partition.id,
            state: state.phase.wireState,
            previousState: state.phase.wireState,
            applied: false,
            reason: nil,
            version: state.version,
            explanation: ""
        )
    }

    /// Applies the report; a refusal leaves everything as it was.
    mutating func run() -> ReportRefusal? {
        switch verdictOnOrder() {
        case .superseded:
            answer.reason = .superseded
            answer.explanation = "\(partition.name): the report is older than the last one applied; kept, not applied"
            return nil
        case .duplicate:
            answer.reason = .duplicate
            answer.explanation = "\(partition.name): this report was applied before"
            return nil
        case .inOrder: break
        }
        if !state.phase.accepts(report.state) {
            return .invalidTransition(
                partition: partition.id,
                partitionName: partition.name,
                current: state.phase.wireState,
                allowed: ReportedState.allCases.filter { state.phase.accepts($0) }
            )
        }
        remember()
        // The panel has spoken: what its site's doors did is its word now (decisions §14).
        state.guardUntil = nil
        state.guardZone = nil
        answer.applied = true
        switch report.state {
        case .disarmed, .armedAway, .armedStay, .armedNight, .armedCustom: takeAbsolute()
        case .armingInProgress: takeArming()
        case .entryDelay: takeEntry()
        case .armFailure: takeFailure()
        }
        answer.state = state.phase.wireState
        answer.version = state.version
        return nil
    }

    // MARK: Order (decisions §4, §14)

    private enum OrderVerdict {
        case superseded
        case duplicate
        case inOrder
    }

    private func verdictOnOrder() -> OrderVerdict {
        guard let order = state.order else { return .inOrder }
        if order.applied.contains(report.applied) { return .duplicate }
        if report.timestamp >= order.timestamp { return .inOrder }
        // A report that claimed our future must not mask what arrives after it; but what is older than the last report
        // with an honest time is old by any clock.
        if order.wasAhead, report.absolutePhase != nil, order.floor.map({ report.timestamp >= $0 }) ?? true {
            return .inOrder
        }
        return .superseded
    }

    private mutating func remember() {
        let isAhead = report.timestamp > receivedAt
        guard let order = state.order else {
            state.order = ReportOrder(
                timestamp: report.timestamp,
                wasAhead: isAhead,
                floor: nil,
                applied: [report.applied]
            )
            return
        }
        let kept = order.applied.filter { isAhead || $0.timestamp >= report.timestamp }
        state.order = ReportOrder(
            timestamp: report.timestamp,
            wasAhead: isAhead,
            floor: isAhead ? (order.wasAhead ? order.floor : order.timestamp) : nil,
            applied: Array((kept + [report.applied]).suffix(ReportOrder.rememberedMaximum))
        )
    }

    // MARK: Transitions

    private mutating func takeAbsolute() {
        guard let target = report.absolutePhase else { return }
        let previous = state.phase
        if previous == target {
            answer.reason = .unchanged
            answer.explanation = "\(partition.name) is \(previous.words) already, as \(who) reports"
            return
        }
        state.overdueAt = nil
        if case .disarmed = target {
            // The one way to cancel an alarm countdown (decisions §4).
            state.countdown = nil
            state.alarmMemory = state.inAlarm
            state.bypassed = [:]
            state.swingers = [:]
            state.crossPending = [:]
        }
        enter(target)
        switch (target, previous) {
        case (.disarmed, .arming(_, from: nil)): break
        case (.disarmed, _):
            let body = PartitionDisarmed(
                partitionID: partition.id,
                siteID: site.site.id,
                by: report.source.by,
                operatorID: report.userID
            )
            emit(.partitionDisarmed(body))
        case (.armed(let mode), .entry(let previousMode)) where mode == previousMode: break
        case (.armed(let mode), .arming(_, from: let previousMode?)) where mode == previousMode: break
        case (.armed(let mode), _):
            let body = PartitionArmed(
                partitionID: partition.id,
                siteID: site.site.id,
                mode: mode.wireName,
                by: report.source.by
            )
            emit(.partitionArmed(body))
        case (.arming, _), (.entry, _): break
        }
    }

    private mutating func takeArming() {
        let delay = report.delaySeconds.map { Duration.seconds($0) } ?? PartnerReports.unstatedDelay
        state.overdueAt = receivedAt + delay + PartnerReports.outcomeGrace
        switch state.phase {
        case .disarmed: enter(.arming(target: report.mode, from: nil))
        case .armed(let mode): enter(.arming(target: report.mode, from: mode))
        case .arming(let target, let from):
            // An exit restart: the delay is told anew, the phase stays (decisions §14).
            state.phase = .arming(target: report.mode ?? target, from: from)
            answer.reason = .unchanged
            answer.explanation = "\(partition.name): \(who) restates the exit delay"
        case .entry: break
        }
    }

    private mutating func takeEntry() {
        let delay = report.delaySeconds.map { Duration.seconds($0) } ?? PartnerReports.unstatedDelay
        let zone = report.zones.first.flatMap { $0.name ?? $0.number.flatMap { site.zone(numbered: $0)?.name } }
        let told = EntryCountdown(startedAt: receivedAt, deadline: receivedAt + delay, zoneName: zone)
        if let running = state.countdown {
            // A second door never gives more time (I2).
            state.countdown?.deadline = min(running.deadline, told.deadline)
            state.countdown?.zoneName = running.zoneName ?? zone
        } else {
            state.countdown = told
        }
        if case .armed(let mode) = state.phase {
            enter(.entry(mode))
        } else {
            answer.reason = .unchanged
            answer.explanation = "\(partition.name): \(who) restates the entry delay; it never becomes longer"
        }
    }

    private mutating func takeFailure() {
        var target = state.phase.mode
        if case .arming(let announced, let from) = state.phase {
            target = announced
            state.overdueAt = nil
            enter(from.map(Phase.armed) ?? .disarmed)
        }
        let reasons = failureReasons()
        let message = reasons.first?.message ?? "Cannot arm"
        let body = ArmingFailed(
            siteID: site.site.id,
            partitionID: partition.id,
            mode: (report.mode ?? target)?.wireName,
            message: reasons.count > 1 ? "\(message) (and \(reasons.count - 1) more)" : message,
            reasons: reasons,
            by: report.attribution
        )
        emit(.armingFailed(body))
        effects.append(.notice(NoticeDraft(body, site: site.site, partition: partition)))
        answer.explanation = "\(partition.name): \(body.message), as \(who) reports"
    }

    private func failureReasons() -> [ArmFailureReason] {
        if report.zones.isEmpty {
            let cause = report.reason.map { "Cannot arm - \($0)" } ?? "Cannot arm - the panel refused"
            return [
                ArmFailureReason(
                    code: "partner_rejected",
                    zoneNumber: nil,
                    zoneName: nil,
                    message: cause,
                    remedy: "Look at the panel's display, then arm again"
                )
            ]
        }
        return report.zones.map { zone in
            let configured = zone.number.flatMap { site.zone(numbered: $0)?.name }
            let name = zone.name ?? configured ?? zone.number.map { "Zone \($0)" } ?? "a zone"
            let place = zone.number.map { "\(name) (zone \($0))" } ?? name
            return ArmFailureReason(
                code: "zone_open",
                zoneNumber: zone.number,
                zoneName: name,
                message: "Cannot arm - \(name) is open",
                remedy: "Close \(place) or bypass it"
            )
        }
    }

    // MARK: Pieces

    /// Changes the phase and says so.
    private mutating func enter(_ phase: Phase) {
        let previous = state.phase
        state.phase = phase
        state.since = report.timestamp
        state.by = report.attribution
        state.version += 1
        // Without zones nothing can be late, and a site that only reports stays small.
        if !site.zones.isEmpty { state.trackSession(at: report.timestamp) }
        let change = ArmingStateChanged(
            siteID: site.site.id,
            partitionID: partition.id,
            newState: phase.wireState,
            previousState: previous.wireState,
            timestamp: report.timestamp,
            triggeredBy: report.attribution.triggeredBy,
            source: report.source
        )
        emit(.armingStateChanged(change))
        answer.explanation = "\(partition.name) is \(phase.words), was \(previous.words): reported by \(who)"
        effects.append(
            .change(
                PartitionChange(
                    partitionID: partition.id,
                    at: report.timestamp,
                    state: phase.wireState,
                    previousState: previous.wireState,
                    by: report.attribution,
                    cause: PanelStep.Cause.report.rawValue,
                    explanation: answer.explanation
                )
            )
        )
    }

    private mutating func emit(_ body: EventBody) { effects.append(.event(partition: partition.id, body)) }

    private var who: String {
        report.userID.map { "\($0) (\(report.source.rawValue))" } ?? report.source.rawValue
    }
}

extension Phase {
    /// The transition table of decisions §4, as §14 refines it.
    package func accepts(_ state: ReportedState) -> Bool {
        switch state {
        case .disarmed, .armedAway, .armedStay, .armedNight, .armedCustom: true
        case .armingInProgress:
            switch self {
            case .disarmed, .arming, .armed(.stay), .armed(.night): true
            case .armed, .entry: false
            }
        case .entryDelay:
            switch self {
            case .armed, .entry: true
            case .disarmed, .arming: false
            }
        case .armFailure:
            switch self {
            case .disarmed, .arming, .armed: true
            case .entry: false
            }
        }
    }

    /// The phase in words, for explanations.
    package var words: String {
        switch self {
        case .disarmed: "disarmed"
        case .arming(let target, _): target.map { "arming \($0.wireName)" } ?? "arming"
        case .armed(let mode): "armed \(mode.wireName)"
        case .entry(let mode): "armed \(mode.wireName) in entry delay"
        }
    }
}
