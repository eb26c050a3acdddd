import TocsinJSON

/// The place that the commit gives to an event: what its body cannot know before.
package struct EventPlace: Sendable {
    package var id: EventID
    /// The event's number in its dealer's log, from 1, without gaps.
    package var sequence: Int64
    /// When it was committed.
    package var createdAt: Instant
    /// The numbers given to the alarms that the same decision creates, in their order.
    package var newAlarms: [AlarmNumber]
    /// The numbers of the alarms of incidents that events refer to.
    package var incidentAlarms: [IncidentID: AlarmNumber]

    package init(
        id: EventID,
        sequence: Int64,
        createdAt: Instant,
        newAlarms: [AlarmNumber] = [],
        incidentAlarms: [IncidentID: AlarmNumber] = [:]
    ) {
        self.id = id
        self.sequence = sequence
        self.createdAt = createdAt
        self.newAlarms = newAlarms
        self.incidentAlarms = incidentAlarms
    }

    /// The number of an alarm; none only for an incident whose alarm is gone from the ledger.
    package func number(of alarm: AlarmReference) -> AlarmNumber? {
        switch alarm {
        case .existing(let number): number
        case .new(let index): newAlarms.indices.contains(index) ? newAlarms[index] : nil
        case .incident(let id): incidentAlarms[id]
        }
    }

    /// The number of an alarm as it stands on the wire; `A-0` for one that is gone.
    func text(of alarm: AlarmReference) -> String { number(of: alarm)?.description ?? "A-0" }
}

extension EventBody {
    /// The bytes that every reader and receiver gets, made once.
    package func encoded(at place: EventPlace) -> [UInt8] {
        var writer = JSONWriter(reserving: 384)
        switch self {
        case .armingStateChanged(let body): body.write(to: &writer, place)
        case .partitionArmed(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .partitionDisarmed(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .armingFailed(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .alarmCreated(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .alarmActivity(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .alarmAnnotated(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .armingWarning(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .armingException(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .scheduleFailed(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .syncFailed(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .syncOverdue(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .endpointDisabled(let body), .endpointFailing(let body):
            writer.envelope(type, place) { body.write(to: &$0) }
        case .testPing(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .alarmAcknowledged(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .alarmDispatched(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .alarmResolved(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .alarmEscalated(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .verificationRequested(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .deviceOnline(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .deviceOffline(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .deviceFirmwareUpdated(let body): writer.envelope(type, place) { body.write(to: &$0) }
        case .snapshotCreated(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .relayActivated(let body): writer.envelope(type, place) { body.write(to: &$0, place) }
        case .syncLate(let body): writer.envelope(type, place) { body.write(to: &$0) }
        }
        return writer.bytes
    }
}

extension JSONWriter {
    /// The catalogue's envelope: `id`, `type`, `created_at`, `data`.
    fileprivate mutating func envelope(
        _ type: EventType,
        _ place: EventPlace,
        data: (inout JSONWriter) -> Void
    ) {
        object { writer in
            writer.member("id", place.id.text)
            writer.member("type", type.rawValue)
            writer.member("created_at", place.createdAt.rfc3339Seconds)
            writer.name("data")
            writer.object(data)
        }
    }
}

extension ArmingStateChanged {
    /// Flat, with the arming document's members first and in its order; `id`, `partition_id`, `sequence` are ours.
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.object { writer in
            writer.member("event_type", EventType.armingStateChanged.rawValue)
            writer.member("site_id", siteID.text)
            writer.member("new_state", newState)
            writer.member("previous_state", previousState)
            writer.member("timestamp", timestamp.rfc3339Seconds)
            writer.member("triggered_by", triggeredBy)
            writer.member("source", source.rawValue)
            writer.member("id", place.id.text)
            writer.member("partition_id", partitionID.text)
            writer.member("sequence", place.sequence)
        }
    }
}

extension PartitionArmed {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("partition_id", partitionID.text)
        writer.member("site_id", siteID.text)
        writer.member("mode", mode)
        writer.member("by", by)
    }
}

extension PartitionDisarmed {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("partition_id", partitionID.text)
        writer.member("site_id", siteID.text)
        writer.member("by", by)
        writer.member("operator_id", ifPresent: operatorID)
    }
}

extension ArmFailureReason {
    package func write(to writer: inout JSONWriter) {
        writer.member("code", code)
        if let zoneNumber { writer.member("zone_number", zoneNumber) }
        writer.member("zone_name", ifPresent: zoneName)
        writer.member("message", message)
        writer.member("remedy", remedy)
    }
}

extension ArmingFailed {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.member("mode", ifPresent: mode)
        writer.member("message", message)
        writer.name("reasons")
        writer.array { writer in
            for reason in reasons { writer.object { reason.write(to: &$0) } }
        }
        writer.name("by")
        writer.object { by.write(to: &$0) }
    }
}

extension Attribution {
    /// The members of `by`: `user_id`, `name`, `method` (decisions §5).
    package func write(to writer: inout JSONWriter) {
        writer.member("user_id", ifPresent: userID)
        writer.member("name", ifPresent: name)
        writer.member("method", source.rawValue)
    }
}

extension AlarmCreated {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("site_id", siteID.text)
        writer.member("device_id", ifPresent: deviceID?.text)
        writer.member("priority", priority.rawValue)
        writer.member("trigger", trigger)
        writer.member("location", ifPresent: location)
        writer.member("snapshot_url", ifPresent: snapshotURL)
        if isLate { writer.member("late", true) }
        if let lateByMilliseconds { writer.member("late_by_ms", lateByMilliseconds) }
    }
}

extension SyncOverdue {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.member("state", state)
        writer.member("since", since.rfc3339Seconds)
        writer.member("message", message)
    }
}

extension EndpointNotice {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("endpoint_id", endpointID.text)
        writer.member("url", url)
        writer.member("reason", reason)
        writer.member("message", message)
        writer.member("failing_since", ifPresent: failingSince?.rfc3339Seconds)
    }
}

extension TestPing {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("endpoint_id", endpointID.text)
        writer.member("message", message)
    }
}

extension AlarmActivity {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.name("zones")
        writer.array { writer in
            for zone in zones {
                writer.object { writer in
                    writer.member("number", zone.number)
                    writer.member("name", zone.name)
                }
            }
        }
        writer.member("verified", isVerified)
    }
}

extension AlarmAnnotated {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("site_id", siteID.text)
        writer.member("source", source)
        writer.member("verdict", ifPresent: verdict)
        writer.member("notes", ifPresent: notes)
        if let confidence {
            writer.name("confidence")
            writer.verbatim(confidence.description.utf8)
        }
        writer.member("operator_id", ifPresent: operatorID)
    }
}

extension ArmingWarning {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.member("schedule_id", scheduleID.text)
        writer.member("mode", mode)
        writer.member("at", at.rfc3339Seconds)
        writer.member("postponable_until", ifPresent: postponableUntil?.rfc3339Seconds)
        writer.member("message", message)
    }
}

extension ArmingException {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.member("kind", kind.rawValue)
        writer.member("message", message)
        if let by {
            writer.name("by")
            writer.object { by.write(to: &$0) }
        }
    }
}

extension ScheduleFailed {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", partitionID.text)
        writer.member("schedule_id", scheduleID.text)
        writer.member("action", action)
        writer.member("due_at", dueAt.rfc3339Seconds)
        writer.member("message", message)
        writer.name("reasons")
        writer.array { writer in
            for reason in reasons { writer.object { reason.write(to: &$0) } }
        }
    }
}

extension SyncFailed {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", ifPresent: partitionID?.text)
        writer.member("command", command)
        writer.member("command_id", commandID.text)
        writer.member("reason", reason)
        writer.member("message", message)
    }
}

extension AlarmAcknowledged {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("operator_id", ifPresent: operatorID)
        writer.member("reason", ifPresent: reason)
    }
}

extension AlarmDispatched {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("responder_id", responderID)
        writer.member("responder_type", responderType)
        writer.member("eta_seconds", etaSeconds)
        writer.member("tracking_url", ifPresent: trackingURL)
    }
}

extension AlarmResolved {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("resolution", resolution.rawValue)
        writer.member("notes", ifPresent: notes)
    }
}

extension AlarmEscalated {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("site_id", siteID.text)
        writer.member("priority", priority.rawValue)
        writer.member("reason", reason)
        writer.member("operator_id", ifPresent: operatorID)
    }
}

extension VerificationRequested {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("alarm_id", place.text(of: alarm))
        writer.member("requested_by", requestedBy)
        writer.member("deadline_seconds", deadlineSeconds)
    }
}

extension DeviceOnline {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("device_id", deviceID.text)
        writer.member("site_id", siteID.text)
        writer.member("previous_status", previousStatus)
        writer.member("downtime_seconds", downtimeSeconds)
    }
}

extension DeviceOffline {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("device_id", deviceID.text)
        writer.member("site_id", siteID.text)
        writer.member("last_seen_at", lastSeenAt.rfc3339Seconds)
    }
}

extension DeviceFirmwareUpdated {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("device_id", deviceID.text)
        writer.member("site_id", siteID.text)
        writer.member("previous_version", ifPresent: previousVersion)
        writer.member("version", version)
    }
}

extension SnapshotCreated {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("snapshot_id", snapshotID.text)
        writer.member("device_id", deviceID.text)
        writer.member("alarm_id", ifPresent: alarm.map(place.text(of:)))
        writer.member("url", url)
        writer.member("expires_at", expiresAt.rfc3339Seconds)
    }
}

extension RelayActivated {
    fileprivate func write(to writer: inout JSONWriter, _ place: EventPlace) {
        writer.member("relay_id", relayID.text)
        writer.member("device_id", ifPresent: deviceID?.text)
        writer.member("duration_seconds", durationSeconds)
        writer.member("trigger", trigger.text(at: place))
    }
}

extension SyncLate {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("site_id", siteID.text)
        writer.member("partition_id", ifPresent: partitionID?.text)
        writer.member("state", state)
        writer.member("timestamp", timestamp.rfc3339Seconds)
        writer.member("late_by_ms", lateByMilliseconds)
        writer.member("message", message)
    }
}
