import TocsinJSON

/// One entry of an alarm's timeline: what happened, who did it, and when.
package struct AlarmEntry: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case created
        case activity
        case acknowledged
        case dispatched
        case resolved
        case escalated
        case annotated
        /// The priority fell, because a disarm cancelled the alarm (T28).
        case lowered
        case verificationRequested = "verification_requested"
        case verificationAnswered = "verification_answered"
        case verificationExpired = "verification_expired"
        /// An image or a video belongs to it.
        case snapshotAdded = "snapshot_added"
        /// The premises did something that is worth knowing, such as opening.
        case noted
    }

    /// Counts from 1: the alarm's version once it had happened.
    package var position: Int64
    package var at: Instant
    package var kind: Kind
    package var actor: AuditEntry.Actor
    /// In words that a person can read (I22).
    package var text: String
    /// The facts, by the names of the wire.
    package var details: JSONObject
    /// The event that told of it, if one did.
    package var eventID: EventID?

    package init(
        position: Int64,
        at: Instant,
        kind: Kind,
        actor: AuditEntry.Actor,
        text: String,
        details: JSONObject = [:],
        eventID: EventID? = nil
    ) {
        self.position = position
        self.at = at
        self.kind = kind
        self.actor = actor
        self.text = text
        self.details = details
        self.eventID = eventID
    }
}

/// What a decision stores of one alarm.
package struct AlarmChange: Hashable, Sendable {
    /// As it is after the decision.
    package var alarm: Alarm
    /// The version that was decided on; 0 for an alarm that the decision raises.
    package var baseVersion: Int64
    /// What is new in its timeline: one entry for each version since.
    package var entries: [AlarmEntry]

    package init(alarm: Alarm, baseVersion: Int64, entries: [AlarmEntry]) {
        self.alarm = alarm
        self.baseVersion = baseVersion
        self.entries = entries
    }

    package var isNew: Bool { baseVersion == 0 }
}

/// The alarms that a decision may touch, and what it does to them.
///
/// All changes of alarms go through it, the arming machine's as well as the operators', so that a timeline is whole.
package struct AlarmBook: Sendable {
    private var alarms: [IncidentID: Alarm]
    /// In the order in which they were first touched.
    package private(set) var changes: [AlarmChange] = []

    package init(_ alarms: [Alarm] = []) {
        self.alarms = Dictionary(alarms.map { ($0.incident, $0) }) { first, _ in first }
    }

    package subscript(_ incident: IncidentID) -> Alarm? { alarms[incident] }

    /// An alarm that is not resolved: further triggers of its class are a part of it (decisions §6); the newest of several.
    package func unresolved(_ alarmClass: AlarmClass, in partition: PartitionID, isSilent: Bool) -> Alarm? {
        alarms.values.filter {
            $0.state != .resolved && $0.alarmClass == alarmClass && $0.partitionID == partition
                && $0.isSilent == isSilent
        }.max { $0.incident < $1.incident }
    }

    /// The newest alarm of a device that is not resolved and was raised since.
    package func unresolved(of device: DeviceID, since: Instant) -> Alarm? {
        alarms.values.filter { $0.state != .resolved && $0.deviceID == device && $0.createdAt >= since }
            .max { $0.incident < $1.incident }
    }

    /// The newest alarm that is not resolved, and either is one of these incidents, or was raised since and has had one
    /// of these zones trip in it.
    package func unresolved(among incidents: Set<IncidentID>, orOf zones: Set<Int>, since: Instant) -> Alarm? {
        alarms.values.filter { alarm in
            guard alarm.state != .resolved else { return false }
            if incidents.contains(alarm.incident) { return true }
            return alarm.createdAt >= since && alarm.zones.contains { zones.contains($0.number) }
        }.max { $0.incident < $1.incident }
    }

    /// Adds an alarm that is being raised; its first entry follows with the event that tells of it.
    package mutating func open(_ alarm: Alarm) { alarms[alarm.incident] = alarm }

    /// Takes over an alarm with the entry by which it changed.
    package mutating func take(_ alarm: Alarm, _ entry: AlarmEntry) {
        let base = alarms[alarm.incident]?.version ?? 0
        alarms[alarm.incident] = alarm
        if let index = changes.firstIndex(where: { $0.alarm.incident == alarm.incident }) {
            changes[index].alarm = alarm
            changes[index].entries.append(entry)
        } else {
            changes.append(AlarmChange(alarm: alarm, baseVersion: base, entries: [entry]))
        }
    }
}
