/// How urgent an alarm is (decisions §6).
package enum AlarmPriority: String, CaseIterable, Comparable, Sendable {
    case low = "LOW"
    case medium = "MEDIUM"
    case high = "HIGH"
    case critical = "CRITICAL"

    /// The next more urgent one; nothing is more urgent than `CRITICAL`.
    package var raised: AlarmPriority {
        switch self {
        case .low: .medium
        case .medium: .high
        case .high, .critical: .critical
        }
    }

    private var rank: Int {
        switch self {
        case .low: 0
        case .medium: 1
        case .high: 2
        case .critical: 3
        }
    }

    package static func < (a: AlarmPriority, b: AlarmPriority) -> Bool { a.rank < b.rank }
}

/// What kind of incident an alarm is; one per partition and class is open at a time (decisions §6).
package enum AlarmClass: String, CaseIterable, Sendable {
    case intrusion
    case tamper
    case panic
    case duress
    case fire
    case medical
    case environment
}

/// How far an alarm has come at the operators (decisions §6).
package enum AlarmState: String, CaseIterable, Sendable {
    case open
    case acknowledged
    case dispatched
    case resolved
}

/// What somebody made of an alarm that was to be verified.
package enum AlarmVerdict: String, CaseIterable, Sendable {
    case confirmed
    case dismissed
}

/// What an alarm is when it is raised; its number is given by the commit.
package struct AlarmDraft: Hashable, Sendable {
    /// Names it within its site; by it later events find the alarm's number.
    package var incident: IncidentID
    package var partitionID: PartitionID?
    package var deviceID: DeviceID?
    /// The zones that have tripped, in their order.
    package var zones: [AlarmActivity.Zone]
    package var alarmClass: AlarmClass
    package var priority: AlarmPriority
    package var trigger: String
    package var location: String?
    /// Whether the premises must not see it: duress, a silent panic (T34, I17).
    package var isSilent: Bool
    /// It tells of a time that was over when we heard of it (decisions §14).
    package var isLate: Bool
    /// Two independent detectors have tripped (T30).
    package var isVerified: Bool

    package init(
        incident: IncidentID,
        partitionID: PartitionID?,
        deviceID: DeviceID? = nil,
        zones: [AlarmActivity.Zone] = [],
        alarmClass: AlarmClass,
        priority: AlarmPriority,
        trigger: String,
        location: String?,
        isSilent: Bool = false,
        isLate: Bool = false,
        isVerified: Bool = false
    ) {
        self.incident = incident
        self.partitionID = partitionID
        self.deviceID = deviceID
        self.zones = zones
        self.alarmClass = alarmClass
        self.priority = priority
        self.trigger = trigger
        self.location = location
        self.isSilent = isSilent
        self.isLate = isLate
        self.isVerified = isVerified
    }
}

/// Names an alarm in an event.
package enum AlarmReference: Hashable, Sendable {
    case existing(AlarmNumber)
    /// The alarm of an incident, whose number the commit finds or gives.
    case incident(IncidentID)
}

/// Who did something to an alarm, and when.
package struct AlarmMark: Hashable, Sendable {
    package var by: AuditEntry.Actor
    package var at: Instant

    package init(by: AuditEntry.Actor, at: Instant) {
        self.by = by
        self.at = at
    }
}

/// Who was sent to an alarm's place, and when they will be there.
package struct AlarmDispatch: Hashable, Sendable {
    package var responderID: String
    /// What the responder is, in the caller's word, for example `guard`.
    package var responderType: String
    package var etaSeconds: Int
    package var trackingURL: String?

    package init(responderID: String, responderType: String, etaSeconds: Int, trackingURL: String? = nil) {
        self.responderID = responderID
        self.responderType = responderType
        self.etaSeconds = etaSeconds
        self.trackingURL = trackingURL
    }
}

/// A question whether an alarm is real, and what became of it (decisions §6).
package struct AlarmVerification: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case answered(AlarmVerdict, AlarmMark, notes: String?)
        /// Nobody answered in time: the alarm was escalated.
        case expired(Instant)
        /// The alarm was resolved first.
        case dropped(Instant)
    }

    package var requested: AlarmMark
    /// What kind of caller asked: `operator`, `app`, `partner`, or `site` where the partition's policy asks.
    package var requestedBy: String
    /// At this instant exactly it is too late for an answer.
    package var deadline: Instant
    /// None while an answer is awaited.
    package var outcome: Outcome?

    package init(requested: AlarmMark, requestedBy: String, deadline: Instant, outcome: Outcome? = nil) {
        self.requested = requested
        self.requestedBy = requestedBy
        self.deadline = deadline
        self.outcome = outcome
    }

    /// What is asked where nothing else is said, in seconds.
    package static let defaultSeconds = 90
    package static let secondsRange = 10...3600
}

/// An incident at the operators: its life cycle (decisions §6).
///
/// What it was raised with stays; what changes, changes by one entry of its timeline at a time, which ``version`` counts.
package struct Alarm: Hashable, Sendable {
    package let dealerID: DealerID
    package let siteID: SiteID
    package let incident: IncidentID
    /// Its number in its dealer; none until the commit has given it.
    package var number: AlarmNumber?
    package let partitionID: PartitionID?
    package let deviceID: DeviceID?
    /// The zones that have tripped, in the order in which they were told.
    package internal(set) var zones: [AlarmActivity.Zone]
    package let alarmClass: AlarmClass
    package let trigger: String
    package let location: String?
    package let isSilent: Bool
    package let isLate: Bool
    package let createdAt: Instant
    package internal(set) var state = AlarmState.open
    package internal(set) var priority: AlarmPriority
    package internal(set) var isVerified: Bool
    /// How many entries its timeline has; 0 until its first one is told.
    package internal(set) var version: Int64 = 0

    package internal(set) var acknowledged: AlarmMark?
    /// The reason of the acknowledgement.
    package internal(set) var reason: String?
    package internal(set) var dispatched: AlarmMark?
    package internal(set) var dispatch: AlarmDispatch?
    package internal(set) var resolved: AlarmMark?
    package internal(set) var resolution: AlarmResolution?
    /// What was said when it was resolved.
    package internal(set) var notes: String?
    /// The last time that it was escalated, and why.
    package internal(set) var escalated: AlarmMark?
    package internal(set) var escalationReason: String?
    /// The last question.
    package internal(set) var verification: AlarmVerification?

    package init(_ draft: AlarmDraft, dealerID: DealerID, siteID: SiteID, createdAt: Instant) {
        self.dealerID = dealerID
        self.siteID = siteID
        self.createdAt = createdAt
        incident = draft.incident
        partitionID = draft.partitionID
        deviceID = draft.deviceID
        zones = draft.zones
        alarmClass = draft.alarmClass
        trigger = draft.trigger
        location = draft.location
        isSilent = draft.isSilent
        isLate = draft.isLate
        priority = draft.priority
        isVerified = draft.isVerified
    }

    /// Who brought it to its present state; for an open one whoever saw it come, which is Tocsin.
    package var standing: AlarmMark {
        let mark: AlarmMark? =
            switch state {
            case .open: nil
            case .acknowledged: acknowledged
            case .dispatched: dispatched
            case .resolved: resolved
            }
        return mark ?? AlarmMark(by: .system, at: createdAt)
    }

    /// The question that awaits an answer.
    package var openVerification: AlarmVerification? {
        verification.flatMap { $0.outcome == nil ? $0 : nil }
    }
}
