/// Which partitions a report is about.
package enum PartitionTarget: Hashable, Sendable {
    case all
    case id(PartitionID)
    case number(Int)
}

/// A partner's word about the arming state of a site (decisions §4), read and checked.
package struct ArmingReport: Hashable, Sendable {
    /// A zone that a failure or an entry names.
    package struct Zone: Hashable, Sendable {
        package var number: Int?
        package var name: String?

        package init(number: Int?, name: String?) {
            self.number = number
            self.name = name
        }
    }

    package var state: ReportedState
    package var target: PartitionTarget
    package var timestamp: Instant
    package var userID: String?
    package var source: Source
    package var delaySeconds: Int?
    /// What is being armed, for an arming in progress and a failure; the name of the mode for `armed_custom`.
    package var mode: ArmingMode?
    package var zones: [Zone]
    package var reason: String?
    package var reportID: String?

    package init(
        state: ReportedState,
        target: PartitionTarget,
        timestamp: Instant,
        userID: String? = nil,
        source: Source,
        delaySeconds: Int? = nil,
        mode: ArmingMode? = nil,
        zones: [Zone] = [],
        reason: String? = nil,
        reportID: String? = nil
    ) {
        self.state = state
        self.target = target
        self.timestamp = timestamp
        self.userID = userID
        self.source = source
        self.delaySeconds = delaySeconds
        self.mode = mode
        self.zones = zones
        self.reason = reason
        self.reportID = reportID
    }

    package var attribution: Attribution { Attribution(userID: userID, source: source) }

    /// The phase that an absolute state (`disarmed`, `armed_*`) names; none for the announcements.
    package var absolutePhase: Phase? {
        switch state {
        case .disarmed: .disarmed
        case .armedAway: .armed(.away)
        case .armedStay: .armed(.stay)
        case .armedNight: .armed(.night)
        case .armedCustom: .armed(.custom(name: customModeName))
        case .armingInProgress, .entryDelay, .armFailure: nil
        }
    }

    /// The words of the fixed modes name no custom one: `armed_custom` with `mode` "away" would read back as away.
    private var customModeName: String? {
        if case .custom(let name)? = mode { name } else { nil }
    }

    var applied: ReportOrder.AppliedReport {
        ReportOrder.AppliedReport(
            timestamp: timestamp,
            state: state,
            customMode: state == .armedCustom ? customModeName : nil
        )
    }
}

/// What a report did to one partition: an element of the reply's `partitions`.
package struct PartitionAnswer: Hashable, Sendable {
    /// Why a report changed nothing, though it was not refused.
    package enum Reason: String, Sendable {
        case superseded
        case duplicate
        case unchanged
    }

    package var partitionID: PartitionID
    package var state: String
    package var previousState: String
    package var applied: Bool
    package var reason: Reason?
    package var version: Int64
    /// What happened and why, for the audit log (I22).
    package var explanation: String
}

/// Why a report was refused; nothing of it was applied.
package enum ReportRefusal: Hashable, Sendable {
    case unknownPartition(PartitionTarget)
    /// 409 `invalid_transition`.
    case invalidTransition(partition: PartitionID, partitionName: String, current: String, allowed: [ReportedState])
}

/// What follows from a report or a deadline beside the new state, in order.
package enum ArmingEffect: Hashable, Sendable {
    /// A change for the history; stands right behind its state change's event.
    case change(PartitionChange)
    /// The alarm of an incident that exists gets another priority.
    case alarmPriority(IncidentID, AlarmPriority)
    /// Something else about the alarm of an incident.
    case alarmAct(IncidentID, AlarmAct)
    case event(partition: PartitionID, EventBody)
    /// Announced by the event right behind it.
    case alarm(AlarmDraft)
    case mark(ScorecardMark)
    /// Tocsin itself did something that the audit log must explain.
    case note(partition: PartitionID, action: String, explanation: String)
    /// The site's people are told.
    case notice(NoticeDraft)
    /// A relay is switched, or told of.
    case relay(RelayEffect)
}
