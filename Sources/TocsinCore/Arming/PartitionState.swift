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
    /// The zones on the way in, in their order; empty where a partner announced it.
    package var zones: [ZoneID] = []
    /// An exit door that was open at the end of the exit delay began it (T14).
    package var isExitError = false
    /// An instant zone off the way in has warned already: a second one alarms (T20, EN).
    package var offRouteZone: ZoneID?

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

        package init(timestamp: Instant, state: ReportedState, customMode: String? = nil) {
            self.timestamp = timestamp
            self.state = state
            self.customMode = customMode
        }
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
    /// The exit delay, where Tocsin counts it itself.
    package var exit: ExitDelay?
    /// At most one per class; in the order in which they were opened.
    package var incidents: [Incident] = []
    package var bypassed: [ZoneID: BypassReason] = [:]
    package var swingers: [ZoneID: SwingerCount] = [:]
    package var crossPending: [String: CrossPending] = [:]
    /// By who tried: the keypad, app or person.
    package var codeGuards: [String: CodeGuard] = [:]
    /// The last times it was armed, oldest first.
    package var sessions: [ArmedSession] = []
    /// This session gives no time to come in.
    package var hasNoEntryDelay = false
    /// A door opened on an armed partner's site: until when its partner's word is awaited, and which door.
    package var guardUntil: Instant?
    package var guardZone: ZoneID?
    /// When opening hours must be looked at next (T41), and what was found missing.
    package var hoursDueAt: Instant?
    /// There was an alarm in the session that the last disarm ended.
    package var alarmMemory = false
    package var order: ReportOrder?

    /// A new partition: disarmed, never reported.
    package init(since: Instant) { self.since = since }

    /// Keeps the sessions by which late signals are judged.
    mutating func trackSession(at now: Instant) {
        let mode = phase.guardingMode
        let open = sessions.last.flatMap { $0.to == nil ? $0 : nil }
        if open?.mode == mode { return }
        if open != nil { sessions[sessions.count - 1].to = now }
        guard let mode else { return }
        sessions = Array(sessions.suffix(ArmedSession.rememberedMaximum - 1)) + [ArmedSession(mode: mode, from: now)]
        if open == nil { incidents.removeAll(where: \.endsWithNextSession) }
    }

    /// An incident of the present session is being announced.
    package var inAlarm: Bool { incidents.contains(where: \.isAnnounced) }

    /// When the partition next needs attention without any input.
    package var nextDeadline: Instant? {
        var earliest = Earliest()
        earliest.consider(countdown?.deadline)
        earliest.consider(overdueAt)
        earliest.consider(exit?.deadline)
        earliest.consider(hoursDueAt)
        earliest.consider(guardUntil)
        for incident in incidents { earliest.consider(incident.nextDeadline) }
        for pending in crossPending.values { earliest.consider(pending.until) }
        return earliest.instant
    }
}

/// The earliest of instants, found without gathering them: every decision asks several times.
struct Earliest {
    private(set) var instant: Instant?

    mutating func consider(_ other: Instant?) {
        guard let other else { return }
        if let instant, instant <= other { return }
        instant = other
    }
}
