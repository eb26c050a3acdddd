import TocsinJSON

/// Every type of event with all that is told of it: what schemas, examples and documents are made of.
package enum EventCatalog {
    package static let all = EventType.allCases.map(Entry.init)

    /// One type of event.
    package struct Entry: Sendable {
        package let type: EventType
        package let family: EventFamily
        package let title: String
        /// When it is told, in one sentence.
        package let summary: String
        /// The members of the payload: of `data`, or of the whole body where it is flat.
        package let payload: [EventField]
        /// Whether the payload is the body, without an envelope.
        package let isFlat: Bool

        package init(_ type: EventType) {
            self.type = type
            family = type.family
            (title, summary) = type.words
            payload = type.payload
            isFlat = type == .armingStateChanged
        }

        package var scope: Scope? { type.requiredScope }

        /// The members of the body as it is delivered and listed.
        package var body: [EventField] {
            if isFlat { return payload }
            var fields = EventEnvelope.members.map(\.field)
            for index in fields.indices where fields[index].form == EventType.form {
                fields[index].form = .words([type.rawValue])
                fields[index].example = .string(type.rawValue)
            }
            let data = EventField(
                name: EventEnvelope.data,
                form: .object(payload),
                isRequired: true,
                summary: "What happened.",
                example: payload.example
            )
            return fields + [data]
        }

        /// A body as it might come.
        package var example: JSON { body.example }
    }
}

extension EventType {
    /// Where the catalogue lists it.
    package var family: EventFamily {
        switch self {
        case .partitionArmed, .partitionDisarmed, .armingStateChanged, .armingFailed, .armingWarning,
            .armingException, .armingCommand, .scheduleFailed:
            .partitions
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .alarmAnnotated,
            .alarmActivity:
            .alarms
        case .verificationRequested: .verification
        case .deviceOnline, .deviceOffline, .deviceFirmwareUpdated: .devices
        case .snapshotCreated: .snapshots
        case .relayActivated: .relays
        case .endpointDisabled, .endpointFailing, .syncOverdue, .syncLate, .syncFailed, .testPing: .operations
        }
    }

    /// Its title, and when it is told.
    fileprivate var words: (title: String, summary: String) {
        switch self {
        case .alarmCreated: ("Alarm created", "A new alarm was raised at a site.")
        case .alarmAcknowledged: ("Alarm acknowledged", "An operator, human or app, took the alarm on.")
        case .alarmDispatched: ("Responder dispatched", "A responder was sent to the alarm's place.")
        case .alarmResolved: ("Alarm resolved", "The alarm was closed; `resolution` tells what came of it.")
        case .alarmEscalated: ("Alarm escalated", "An alarm was escalated, by somebody or by a deadline that passed.")
        case .alarmAnnotated: ("Alarm annotated", "Something was written to an alarm: a note, a verdict.")
        case .alarmActivity: ("Alarm activity", "Further zones tripped while the alarm was open.")
        case .verificationRequested:
            ("Verification requested", "Somebody wants to know, within the deadline, whether an alarm is real.")
        case .deviceOnline: ("Device online", "A device that was told as offline came back.")
        case .deviceOffline: ("Device offline", "A device gave no sign of life for 60 seconds; told once.")
        case .deviceFirmwareUpdated: ("Firmware updated", "A device runs another firmware than before.")
        case .snapshotCreated: ("Snapshot created", "An image or a video is there; its address works for 24 hours.")
        case .relayActivated: ("Relay activated", "A relay was switched on by an alarm, a schedule or a person.")
        case .partitionArmed: ("Partition armed", "A partition became armed, or changed the mode in which it is.")
        case .partitionDisarmed: ("Partition disarmed", "A partition was disarmed.")
        case .armingStateChanged: ("Arming state changed", "A partition's state changed, countdowns included.")
        case .armingFailed: ("Arming failed", "A partition could not be armed; the reasons say what to do.")
        case .armingWarning: ("Arming warning", "A schedule will arm a partition soon.")
        case .armingException:
            ("Arming exception", "Premises were opened or closed outside their hours, or not at all.")
        case .armingCommand: ("Arming command", "An arm or disarm is put to the partner, who answers it within 5 s.")
        case .scheduleFailed: ("Schedule failed", "A schedule could not do what it is for.")
        case .syncOverdue: ("Outcome overdue", "A partner announced an arming and never told its outcome.")
        case .syncLate: ("Report late", "A partner's report came later than the contract allows.")
        case .syncFailed: ("Command not taken", "A partner refused a command, or did not answer.")
        case .endpointDisabled: ("Endpoint disabled", "Another endpoint of the same app was disabled.")
        case .endpointFailing:
            (
                "Endpoint failing",
                "Every attempt at another endpoint of the same app fails, or will soon: its client certificate expires."
            )
        case .testPing: ("Test", "A test that was asked for, to one endpoint alone.")
        }
    }

    /// The table of its payload.
    fileprivate var payload: [EventField] {
        switch self {
        case .alarmCreated: AlarmCreated.fields
        case .alarmAcknowledged: AlarmAcknowledged.fields
        case .alarmDispatched: AlarmDispatched.fields
        case .alarmResolved: AlarmResolved.fields
        case .alarmEscalated: AlarmEscalated.fields
        case .alarmAnnotated: AlarmAnnotated.fields
        case .alarmActivity: AlarmActivity.fields
        case .verificationRequested: VerificationRequested.fields
        case .deviceOnline: DeviceOnline.fields
        case .deviceOffline: DeviceOffline.fields
        case .deviceFirmwareUpdated: DeviceFirmwareUpdated.fields
        case .snapshotCreated: SnapshotCreated.fields
        case .relayActivated: RelayActivated.fields
        case .partitionArmed: PartitionArmed.fields
        case .partitionDisarmed: PartitionDisarmed.fields
        case .armingStateChanged: ArmingStateChanged.fields
        case .armingFailed: ArmingFailed.fields
        case .armingWarning: ArmingWarning.fields
        case .armingException: ArmingException.fields
        case .armingCommand: PartnerCommand.fields
        case .scheduleFailed: ScheduleFailed.fields
        case .syncOverdue: SyncOverdue.fields
        case .syncLate: SyncLate.fields
        case .syncFailed: SyncFailed.fields
        case .endpointDisabled, .endpointFailing: EndpointNotice.fields
        case .testPing: TestPing.fields
        }
    }
}
