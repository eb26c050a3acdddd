import TocsinJSON

/// What a partition is doing, as the wire's `state` tells it (design, arming).
package enum Phase: Hashable, Sendable {
    case disarmed
    /// Arming has begun and its outcome is awaited; `from` is the armed mode it began in, none if it began disarmed.
    case arming(target: ArmingMode?, from: ArmingMode?)
    case armed(ArmingMode)
    /// Somebody came in; the partition stays armed in that mode until disarmed.
    case entry(ArmingMode)

    package var wireState: String {
        switch self {
        case .disarmed: ReportedState.disarmed.rawValue
        case .arming: ReportedState.armingInProgress.rawValue
        case .armed(let mode): mode.armedState.rawValue
        case .entry: ReportedState.entryDelay.rawValue
        }
    }

    /// The mode in force, or being entered.
    package var mode: ArmingMode? {
        switch self {
        case .disarmed: nil
        case .arming(let target, _): target
        case .armed(let mode), .entry(let mode): mode
        }
    }
}

/// The alarm countdown of a partition: unless it is disarmed by `deadline`, an alarm is created.
package struct EntryCountdown: Hashable, Sendable {
    package var startedAt: Instant
    /// The countdown is over at this instant exactly; it is never moved later (I2).
    package var deadline: Instant
    /// The first zone that was named, which becomes the alarm's location.
    package var zoneName: String?

    package init(startedAt: Instant, deadline: Instant, zoneName: String? = nil) {
        self.startedAt = startedAt
        self.deadline = deadline
        self.zoneName = zoneName
    }
}

/// What the order of a partner's reports is judged by (decisions §4, §14).
package struct ReportOrder: Hashable, Sendable {
    /// More than one partition can meet while a partner's clock is ahead; bounds what a hostile clock can make us keep.
    package static let rememberedMaximum = 16

    /// The timestamp of the last report that was applied.
    package var timestamp: Instant
    /// Whether that timestamp lay in our future when the report arrived.
    package var wasAhead: Bool
    /// The last timestamp that was applied and was not ahead: what is older than that is old by any clock.
    package var floor: Instant?
    /// What was applied at that timestamp, and at later ones that turned out to be ahead: a repetition is a duplicate.
    package var applied: [AppliedReport]

    package struct AppliedReport: Hashable, Sendable {
        package var timestamp: Instant
        package var state: ReportedState
        /// The name of a custom mode; none for the fixed states.
        package var customMode: String?
    }

    package init(timestamp: Instant, wasAhead: Bool, floor: Instant?, applied: [AppliedReport]) {
        self.timestamp = timestamp
        self.wasAhead = wasAhead
        self.floor = floor
        self.applied = applied
    }
}

/// The arming state of one partition.
package struct PartitionState: Hashable, Sendable {
    package var phase: Phase = .disarmed
    /// When the phase began: a partner's word, or our clock.
    package var since: Instant
    package var by: Attribution?
    /// Counts the changes of the phase.
    package var version: Int64 = 1
    package var countdown: EntryCountdown?
    /// When an announced arming counts as overdue.
    package var overdueAt: Instant?
    /// An alarm of the present arming session is open.
    package var inAlarm = false
    /// There was an alarm in the session that the last disarm ended.
    package var alarmMemory = false
    package var order: ReportOrder?

    /// A new partition: disarmed, never reported.
    package init(since: Instant) { self.since = since }

    /// When the partition next needs attention without any input.
    package var nextDeadline: Instant? {
        switch (countdown?.deadline, overdueAt) {
        case (let a?, let b?): min(a, b)
        case (let a, let b): a ?? b
        }
    }
}

/// The arming state of a site's partitions, in the order of the site's configuration.
package struct SiteState: Hashable, Sendable {
    package var partitions: [PartitionID: PartitionState]

    package init(partitions: [PartitionID: PartitionState] = [:]) { self.partitions = partitions }

    /// The earliest deadline of any partition: what the site must be woken for.
    package var nextDeadline: Instant? { partitions.values.compactMap(\.nextDeadline).min() }
}
