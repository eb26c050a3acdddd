import TocsinJSON

/// What an event says, before it has a place in the log.
///
/// Each case has exactly one encoder, `write(_:)` of its payload; the order of members is the documents' (decisions §8).
package enum EventBody: Hashable, Sendable {
    case armingStateChanged(ArmingStateChanged)
    case partitionArmed(PartitionArmed)
    case partitionDisarmed(PartitionDisarmed)
    case armingFailed(ArmingFailed)
    case alarmCreated(AlarmCreated)
    case alarmActivity(AlarmActivity)
    case alarmAnnotated(AlarmAnnotated)
    case armingWarning(ArmingWarning)
    case armingException(ArmingException)
    case scheduleFailed(ScheduleFailed)
    case syncFailed(SyncFailed)
    case syncOverdue(SyncOverdue)
    case endpointDisabled(EndpointNotice)
    case endpointFailing(EndpointNotice)
    case testPing(TestPing)
    case alarmAcknowledged(AlarmAcknowledged)
    case alarmDispatched(AlarmDispatched)
    case alarmResolved(AlarmResolved)
    case alarmEscalated(AlarmEscalated)
    case verificationRequested(VerificationRequested)
    case deviceOnline(DeviceOnline)
    case deviceOffline(DeviceOffline)
    case deviceFirmwareUpdated(DeviceFirmwareUpdated)
    case snapshotCreated(SnapshotCreated)
    case relayActivated(RelayActivated)
    case syncLate(SyncLate)

    package var type: EventType {
        switch self {
        case .armingStateChanged: .armingStateChanged
        case .partitionArmed: .partitionArmed
        case .partitionDisarmed: .partitionDisarmed
        case .armingFailed: .armingFailed
        case .alarmCreated: .alarmCreated
        case .alarmActivity: .alarmActivity
        case .alarmAnnotated: .alarmAnnotated
        case .armingWarning: .armingWarning
        case .armingException: .armingException
        case .scheduleFailed: .scheduleFailed
        case .syncFailed: .syncFailed
        case .syncOverdue: .syncOverdue
        case .endpointDisabled: .endpointDisabled
        case .endpointFailing: .endpointFailing
        case .testPing: .testPing
        case .alarmAcknowledged: .alarmAcknowledged
        case .alarmDispatched: .alarmDispatched
        case .alarmResolved: .alarmResolved
        case .alarmEscalated: .alarmEscalated
        case .verificationRequested: .verificationRequested
        case .deviceOnline: .deviceOnline
        case .deviceOffline: .deviceOffline
        case .deviceFirmwareUpdated: .deviceFirmwareUpdated
        case .snapshotCreated: .snapshotCreated
        case .relayActivated: .relayActivated
        case .syncLate: .syncLate
        }
    }
}

extension EventBody {
    /// The alarm that the event is about, if it is about one.
    private var alarm: AlarmReference? {
        switch self {
        case .alarmCreated(let body): body.alarm
        case .alarmAcknowledged(let body): body.alarm
        case .alarmDispatched(let body): body.alarm
        case .alarmResolved(let body): body.alarm
        case .alarmEscalated(let body): body.alarm
        case .alarmActivity(let body): body.alarm
        case .alarmAnnotated(let body): body.alarm
        case .verificationRequested(let body): body.alarm
        case .snapshotCreated(let body): body.alarm
        case .relayActivated(let body):
            if case .alarm(let alarm) = body.trigger { alarm } else { nil }
        case .armingStateChanged, .partitionArmed, .partitionDisarmed, .armingFailed, .armingWarning,
            .armingException, .scheduleFailed, .syncFailed, .syncLate, .syncOverdue, .deviceOnline, .deviceOffline,
            .deviceFirmwareUpdated, .endpointDisabled, .endpointFailing, .testPing:
            nil
        }
    }

    /// The incident by which the event names its alarm, where it has no number yet to name.
    package var incident: IncidentID? {
        if case .incident(let id) = alarm { id } else { nil }
    }
}

/// A partition's phase changed (the arming document's flat form).
package struct ArmingStateChanged: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var newState: String
    package var previousState: String
    /// When it happened: on a partner's site the partner's word.
    package var timestamp: Instant
    package var triggeredBy: String
    package var source: Source

    package init(
        siteID: SiteID,
        partitionID: PartitionID,
        newState: String,
        previousState: String,
        timestamp: Instant,
        triggeredBy: String,
        source: Source
    ) {
        self.siteID = siteID
        self.partitionID = partitionID
        self.newState = newState
        self.previousState = previousState
        self.timestamp = timestamp
        self.triggeredBy = triggeredBy
        self.source = source
    }
}

package struct PartitionArmed: Hashable, Sendable {
    package var partitionID: PartitionID
    package var siteID: SiteID
    package var mode: String
    package var by: String

    package init(partitionID: PartitionID, siteID: SiteID, mode: String, by: String) {
        self.partitionID = partitionID
        self.siteID = siteID
        self.mode = mode
        self.by = by
    }
}

package struct PartitionDisarmed: Hashable, Sendable {
    package var partitionID: PartitionID
    package var siteID: SiteID
    package var by: String
    package var operatorID: String?
}

/// One reason why a partition could not be armed, in words that a person can act on (design, arm failure reasons).
package struct ArmFailureReason: Hashable, Sendable {
    package var code: String
    package var zoneNumber: Int?
    package var zoneName: String?
    package var message: String
    package var remedy: String
}

package struct ArmingFailed: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var mode: String?
    package var message: String
    package var reasons: [ArmFailureReason]
    package var by: Attribution
}

package struct AlarmCreated: Hashable, Sendable {
    /// The alarm's number in its dealer; known only when the commit has given it.
    package var alarm: AlarmReference
    package var siteID: SiteID
    package var deviceID: DeviceID?
    package var priority: AlarmPriority
    package var trigger: String
    package var location: String?
    package var snapshotURL: String?
    /// It tells of a time that was over when we heard of it (decisions §14).
    package var isLate: Bool
    /// How much later than its deadline it was raised, in milliseconds, where that matters (T45).
    package var lateByMilliseconds: Int64?

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        deviceID: DeviceID? = nil,
        priority: AlarmPriority,
        trigger: String,
        location: String?,
        snapshotURL: String? = nil,
        isLate: Bool = false,
        lateByMilliseconds: Int64? = nil
    ) {
        self.isLate = isLate
        self.lateByMilliseconds = lateByMilliseconds
        self.alarm = alarm
        self.siteID = siteID
        self.deviceID = deviceID
        self.priority = priority
        self.trigger = trigger
        self.location = location
        self.snapshotURL = snapshotURL
    }
}

/// A partner announced an arming and never told its outcome (decisions §4).
package struct SyncOverdue: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var state: String
    package var since: Instant
    package var message: String
}

/// An endpoint fails, or was disabled; told to the same app's other endpoints.
package struct EndpointNotice: Hashable, Sendable {
    package var endpointID: EndpointID
    package var url: String
    package var reason: String
    package var message: String
    package var failingSince: Instant?

    package init(endpointID: EndpointID, url: String, reason: String, message: String, failingSince: Instant?) {
        self.endpointID = endpointID
        self.url = url
        self.reason = reason
        self.message = message
        self.failingSince = failingSince
    }
}

package struct TestPing: Hashable, Sendable {
    package var endpointID: EndpointID
    package var message: String

    package init(endpointID: EndpointID, message: String) {
        self.endpointID = endpointID
        self.message = message
    }
}
