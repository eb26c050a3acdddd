import TocsinCore

extension EventType {
    /// When it is told, in one sentence.
    var summary: String {
        switch self {
        case .alarmCreated: "A new alarm was raised at a site."
        case .alarmAcknowledged: "An operator, human or app, acknowledged the alarm."
        case .alarmDispatched: "A responder was sent to the alarm's place."
        case .alarmResolved: "The alarm was closed."
        case .deviceOnline: "A device came back."
        case .deviceOffline: "A device gave no sign of life for 60 seconds."
        case .snapshotCreated: "A new snapshot is available for 24 hours."
        case .verificationRequested: "An alarm needs verification within the deadline."
        case .partitionArmed: "A partition was armed."
        case .partitionDisarmed: "A partition was disarmed."
        case .relayActivated: "A relay was switched by an alarm, a schedule or a person."
        case .armingStateChanged: "A partition's arming state changed, countdowns included."
        case .armingFailed: "A partition could not be armed; the reasons say what to do."
        case .armingWarning: "A scheduled arming is near."
        case .armingException: "A site opened or closed at a time when it should not have."
        case .alarmEscalated: "An alarm was escalated."
        case .alarmAnnotated: "A note was added to an alarm."
        case .alarmActivity: "More was triggered while an alarm is open."
        case .deviceFirmwareUpdated: "A device runs another firmware."
        case .testPing: "A test that was asked for, to one endpoint alone."
        case .armingCommand: "An arm or disarm is put to the partner, who accepts or rejects it within 5 s."
        case .endpointDisabled: "Another endpoint of the same app was disabled."
        case .endpointFailing: "Another endpoint of the same app has been failing."
        case .syncOverdue: "A partner announced an arming and never told its outcome."
        case .syncLate: "A partner's report came later than the contract allows."
        case .syncFailed: "A command to a partner failed."
        case .scheduleFailed: "A schedule could not do what it is for."
        }
    }

    /// The body as it is delivered and listed: the catalogue's envelope, or the arming document's flat form.
    var bodySchema: Schema {
        if self == .armingStateChanged { return Self.flatForm.described(summary).named(schemaName) }
        return Schema.object([
            .required("id", .id(EventNoun.prefix)),
            .required("type", .oneOf([rawValue])),
            .required("created_at", .time),
            .required("data", .object(dataMembers)),
        ]).described(summary).named(schemaName)
    }

    /// `ArmingStateChangedEvent` for `arming.state_changed`.
    private var schemaName: String {
        rawValue.split { $0 == "." || $0 == "_" }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + "Event"
    }

    private static let text = Schema.string(0...2000)
    private static let site = Schema.Property.required("site_id", .id(SiteNoun.prefix))
    private static let partition = Schema.Property.required("partition_id", .id(PartitionNoun.prefix))
    private static let device = Schema.id(DeviceNoun.prefix)
    private static let alarm = Schema.Property.required(
        "alarm_id",
        Schema.string(3...24).described("The alarm's number in its dealer, `A-10293`.")
    )
    private static let by = Schema.oneOf(["user", "schedule", "remote"])

    private static let flatForm = Schema.object([
        .required("event_type", .oneOf(["arming.state_changed"])),
        site,
        .required("new_state", text),
        .required("previous_state", text),
        .required("timestamp", Schema.time.described("When it happened.")),
        .required("triggered_by", Schema.string(0...2000).described("The user; where there is none, the source.")),
        .required("source", .oneOf(Source.self)),
        .required("id", .id(EventNoun.prefix)),
        partition,
        .required("sequence", Schema.count.described("The event's number in its dealer's log.")),
    ])

    /// What a partner is asked (decisions §5).
    private static let commandMembers: [Schema.Property] = [
        .required(
            "command",
            .oneOf(ModeName.allCases.map { "arm_\($0.rawValue)" } + ["disarm"])
        ),
        site, .optional("external_site_id", text),
        .required("partition_ids", .array(of: .id(PartitionNoun.prefix))),
        .required("partitions", Schema.array(of: .integer(1...9999)).described("The partitions' numbers.")),
        .optional("mode", Schema.string(0...2000).described("What is armed; the name of a custom mode.")),
        .optional("bypass_zones", .array(of: .integer(1...9999))), .optional("force_arm", .boolean),
        .optional("instant_arm", .boolean), .optional("no_entry_delay", .boolean), .required("by", .any),
        .required("expires_at", Schema.time.described("An answer that comes later counts as none.")),
    ]

    /// Who did it, as far as is known (decisions §5).
    private static let person = Schema.object([
        .optional("user_id", text), .optional("name", text), .required("method", .oneOf(Source.self)),
    ])

    private static let failureReason = Schema.object([
        .required("code", text), .optional("zone_number", .integer(0...9999)), .optional("zone_name", text),
        .required("message", text), .required("remedy", text),
    ])

    private var dataMembers: [Schema.Property] {
        switch self {
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .alarmAnnotated,
            .alarmActivity, .verificationRequested:
            alarmMembers
        case .partitionArmed:
            [Self.partition, Self.site, .required("mode", Self.text), .required("by", Self.by)]
        case .partitionDisarmed:
            [Self.partition, Self.site, .required("by", Self.by), .optional("operator_id", Self.text)]
        case .armingStateChanged, .armingFailed, .armingWarning, .armingException, .scheduleFailed: armingMembers
        case .deviceOnline, .deviceOffline, .deviceFirmwareUpdated, .snapshotCreated, .relayActivated: deviceMembers
        case .testPing: [.required("endpoint_id", .id(EndpointNoun.prefix)), .required("message", Self.text)]
        case .endpointDisabled, .endpointFailing:
            [
                .required("endpoint_id", .id(EndpointNoun.prefix)), .required("url", Self.text),
                .required("reason", Self.text), .required("message", Self.text),
                .optional("failing_since", .time),
            ]
        case .syncOverdue:
            [
                Self.site, Self.partition, .required("state", Self.text), .required("since", .time),
                .required("message", Self.text),
            ]
        case .syncLate:
            [
                Self.site, .optional("partition_id", .id(PartitionNoun.prefix)), .required("state", Self.text),
                .required("timestamp", .time), .required("late_by_ms", .count), .required("message", Self.text),
            ]
        case .syncFailed:
            [
                Self.site, .optional("partition_id", .id(PartitionNoun.prefix)), .required("command", Self.text),
                .required("command_id", .id(EventNoun.prefix)), .required("reason", Self.text),
                .required("message", Self.text),
            ]
        case .armingCommand: Self.commandMembers
        }
    }

    private var alarmMembers: [Schema.Property] {
        switch self {
        case .alarmCreated:
            [
                Self.alarm, Self.site, .optional("device_id", Self.device),
                .required("priority", .oneOf(AlarmPriority.self)), .required("trigger", Self.text),
                .optional("location", Self.text), .optional("snapshot_url", Self.text),
                .optional(
                    "late",
                    Schema.boolean.described("It tells of a time that was over when Tocsin heard of it.")
                ),
                .optional("late_by_ms", Schema.count.described("How much later than its deadline it was raised.")),
            ]
        case .alarmAcknowledged:
            [Self.alarm, .optional("operator_id", Self.text), .optional("reason", Self.text)]
        case .alarmEscalated:
            [
                Self.alarm, Self.site, .required("priority", .oneOf(AlarmPriority.self)),
                .required("reason", Self.text), .optional("operator_id", Self.text),
            ]
        case .alarmDispatched:
            [
                Self.alarm, .required("responder_id", Self.text), .required("responder_type", Self.text),
                .required("eta_seconds", .count), .optional("tracking_url", Self.text),
            ]
        case .alarmResolved:
            [
                Self.alarm, .required("resolution", .oneOf(AlarmResolution.self)),
                .optional("notes", Self.text),
            ]
        case .alarmActivity:
            [
                Self.alarm, Self.site, Self.partition,
                .required(
                    "zones",
                    .array(of: .object([.required("number", .integer(1...9999)), .required("name", Self.text)]))
                ),
                .required("verified", Schema.boolean.described("Two independent detectors have tripped.")),
            ]
        case .alarmAnnotated:
            [
                Self.alarm, Self.site, .required("source", Self.text), .optional("verdict", Self.text),
                .optional("notes", Self.text),
                .optional("confidence", Schema.any.described("How sure the verdict is, from 0 to 1.")),
                .optional("operator_id", Self.text),
            ]
        case .verificationRequested:
            [Self.alarm, .required("requested_by", Self.text), .required("deadline_seconds", .count)]
        case .deviceOnline, .deviceOffline, .snapshotCreated, .partitionArmed, .partitionDisarmed, .relayActivated,
            .armingStateChanged, .armingFailed, .armingWarning, .armingException,
            .deviceFirmwareUpdated, .testPing, .armingCommand, .endpointDisabled, .endpointFailing,
            .syncOverdue,
            .syncLate, .syncFailed, .scheduleFailed:
            [Self.alarm]
        }
    }

    private var armingMembers: [Schema.Property] {
        switch self {
        case .armingFailed:
            [
                Self.site, Self.partition, .optional("mode", Self.text), .required("message", Self.text),
                .required("reasons", .array(of: Self.failureReason)), .optional("by", Self.person),
            ]
        case .armingException:
            [
                Self.site, Self.partition,
                .required("kind", .oneOf(ArmingException.Kind.self)), .required("message", Self.text),
                .optional("by", Self.person),
            ]
        case .armingWarning:
            [
                Self.site, Self.partition, .required("schedule_id", .id(ScheduleNoun.prefix)),
                .required("mode", Self.text), .required("at", .time), .optional("postponable_until", .time),
                .required("message", Self.text),
            ]
        case .scheduleFailed:
            [
                Self.site, Self.partition, .required("schedule_id", .id(ScheduleNoun.prefix)),
                .required("action", Self.text), .required("due_at", .time), .required("message", Self.text),
                .required("reasons", .array(of: Self.failureReason)),
            ]
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .deviceOnline, .deviceOffline,
            .snapshotCreated, .verificationRequested, .partitionArmed, .partitionDisarmed, .relayActivated,
            .armingStateChanged, .alarmEscalated, .alarmAnnotated, .alarmActivity,
            .deviceFirmwareUpdated, .testPing, .armingCommand, .endpointDisabled, .endpointFailing, .syncOverdue,
            .syncLate,
            .syncFailed:
            [Self.site, Self.partition]
        }
    }

    private var deviceMembers: [Schema.Property] {
        switch self {
        case .deviceOnline:
            [
                .required("device_id", Self.device), Self.site, .required("previous_status", Self.text),
                .required("downtime_seconds", .count),
            ]
        case .deviceOffline:
            [.required("device_id", Self.device), Self.site, .required("last_seen_at", .time)]
        case .deviceFirmwareUpdated:
            [
                .required("device_id", Self.device), Self.site, .optional("previous_version", Self.text),
                .required("version", Self.text),
            ]
        case .snapshotCreated:
            [
                .required("snapshot_id", .id(SnapshotNoun.prefix)), .required("device_id", Self.device),
                .optional("alarm_id", Self.text), .required("url", Self.text), .required("expires_at", .time),
            ]
        case .relayActivated:
            [
                .required("relay_id", .id(RelayNoun.prefix)), .optional("device_id", Self.device),
                .required("duration_seconds", .count), .required("trigger", Self.text),
            ]
        case .alarmCreated, .alarmAcknowledged, .alarmDispatched, .alarmResolved, .verificationRequested,
            .partitionArmed, .partitionDisarmed, .armingStateChanged, .armingFailed, .armingWarning,
            .armingException, .alarmEscalated, .alarmAnnotated, .alarmActivity, .testPing, .armingCommand,
            .endpointDisabled, .endpointFailing, .syncOverdue, .syncLate, .syncFailed, .scheduleFailed:
            [.required("device_id", Self.device), Self.site]
        }
    }
}
