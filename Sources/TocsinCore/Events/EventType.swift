/// Every type of event: the catalogue's 11, the arming document's one, and ours (decisions §8).
package enum EventType: String, CaseIterable, Sendable {
    case alarmCreated = "alarm.created"
    case alarmAcknowledged = "alarm.acknowledged"
    case alarmDispatched = "alarm.dispatched"
    case alarmResolved = "alarm.resolved"
    case deviceOnline = "device.online"
    case deviceOffline = "device.offline"
    case snapshotCreated = "snapshot.created"
    case verificationRequested = "verification.requested"
    case partitionArmed = "partition.armed"
    case partitionDisarmed = "partition.disarmed"
    case relayActivated = "relay.activated"

    case armingStateChanged = "arming.state_changed"

    case armingFailed = "arming.failed"
    case armingWarning = "arming.warning"
    case armingException = "arming.exception"
    case alarmEscalated = "alarm.escalated"
    case alarmAnnotated = "alarm.annotated"
    case alarmActivity = "alarm.activity"
    case deviceFirmwareUpdated = "device.firmware_updated"
    case testPing = "test.ping"
    /// Put to a partner that subscribes to it; never an entry of the log (decisions §5).
    case armingCommand = "arming.command"

    case endpointDisabled = "endpoint.disabled"
    case endpointFailing = "endpoint.failing"
    case syncOverdue = "sync.overdue"
    case syncLate = "sync.late"
    case syncFailed = "sync.failed"
    case scheduleFailed = "schedule.failed"

    /// The scope without which the event never leaves; none for events about an app's own endpoints and tests.
    package var requiredScope: Scope? {
        switch self {
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .alarmAnnotated,
            .alarmActivity, .verificationRequested, .relayActivated:
            .eventsRead
        case .deviceOnline, .deviceOffline, .deviceFirmwareUpdated: .devicesRead
        case .snapshotCreated: .snapshotsRead
        case .partitionArmed, .partitionDisarmed, .armingStateChanged, .armingFailed, .armingWarning,
            .armingException, .armingCommand, .syncOverdue, .syncLate, .syncFailed, .scheduleFailed:
            .sitesRead
        case .testPing, .endpointDisabled, .endpointFailing: nil
        }
    }

    /// Alarm-class events go before the rest in delivery (design, delivery: isolation).
    package var isAlarmClass: Bool {
        switch self {
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .alarmAnnotated,
            .alarmActivity, .verificationRequested, .armingFailed:
            true
        case .deviceOnline, .deviceOffline, .deviceFirmwareUpdated, .snapshotCreated, .partitionArmed,
            .partitionDisarmed, .relayActivated, .armingStateChanged, .armingWarning, .armingException, .testPing,
            .armingCommand,
            .endpointDisabled, .endpointFailing, .syncOverdue, .syncLate, .syncFailed, .scheduleFailed:
            false
        }
    }

    /// Whether an endpoint may name the type in its subscription; a test event goes where it was asked for.
    package var isSubscribable: Bool { self != .testPing }

    /// Whether it tells a dealer's admins how the work goes, rather than what happened at a site (decisions §8).
    package var isOperational: Bool {
        switch self {
        case .endpointDisabled, .endpointFailing, .syncOverdue, .syncLate, .syncFailed, .scheduleFailed: true
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .alarmAnnotated,
            .alarmActivity, .verificationRequested, .armingFailed, .deviceOnline, .deviceOffline,
            .deviceFirmwareUpdated, .snapshotCreated, .partitionArmed, .partitionDisarmed, .relayActivated,
            .armingStateChanged, .armingWarning, .armingException, .testPing, .armingCommand:
            false
        }
    }

    /// Whether the log can hold it, so that it can be listed, followed and replayed.
    package var isLogged: Bool { self != .armingCommand }

    /// Whether only a partner's endpoint may name it: it asks whoever holds the panels, and waits for the answer.
    package var isForPartners: Bool { self == .armingCommand }
}

/// Who may see an event beside having its scope.
package enum EventAudience: Hashable, Sendable {
    /// Every caller and endpoint of the dealer whose scopes cover the type.
    case everyone
    /// One app's callers and endpoints, but not the endpoint that the event is about (decisions §2).
    case app(AppID, except: EndpointID)
    /// One endpoint alone, whatever it subscribed to: a test event.
    case endpoint(EndpointID)

    /// The form in which the ledger keeps it; empty for everyone.
    package var stored: String {
        switch self {
        case .everyone: ""
        case .app(let app, let endpoint): "\(app)/\(endpoint)"
        case .endpoint(let endpoint): endpoint.text
        }
    }

    package init(stored text: String) {
        let parts = text.split(separator: "/")
        if parts.count == 2 {
            self = .app(AppID(stored: String(parts[0])), except: EndpointID(stored: String(parts[1])))
        } else {
            self = text.isEmpty ? .everyone : .endpoint(EndpointID(stored: text))
        }
    }
}
