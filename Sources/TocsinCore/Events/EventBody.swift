/// What an event says, before it has a place in the log.
///
/// Each case has one payload, whose table of members is its encoder and its schema.
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
