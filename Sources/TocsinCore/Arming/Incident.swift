/// What the machine knows of an alarm while the partition's part in it lasts (design, arming: T25–T31).
///
/// The alarm's life cycle at the operators is a machine of its own; an incident ends when the partition is disarmed or
/// the alarm is resolved.
package struct Incident: Hashable, Sendable {
    /// Counts up per site; the ledger finds the alarm by it.
    package var id: IncidentID
    package var alarmClass: AlarmClass
    /// In the order in which they tripped, each once.
    package var zones: [ZoneID]
    package var openedAt: Instant
    package var trigger: String
    package var location: String?
    package var priority: AlarmPriority
    /// Until when it waits for a disarm before anybody outside hears of it; none once it is reported.
    package var abortUntil: Instant?
    package var reportedAt: Instant?
    /// Until when the siren sounds; none for a silent one and after the bell has ended.
    package var bellUntil: Instant?
    /// Whether people at the premises see it: neither duress nor a silent panic does.
    package var isSilent: Bool
    /// Whether the premises are told of it still: until the bell ends, it is silenced, or the partition disarmed.
    package var isAnnounced: Bool
    package var isVerified: Bool
    /// The premises have silenced it, by a disarm or by command, and it has not tripped again since.
    package var isSilenced = false
    /// A danger that was silenced, and whose zones have closed: the next trip opens another incident.
    package var isOver = false
    /// It tripped at a time about which we heard late (decisions §14).
    package var isLate: Bool
    /// Zones that tripped since the last `alarm.activity`, and when the next one is due (T29).
    package var untold: [ZoneID] = []
    package var toldAt: Instant?

    package init(
        id: IncidentID,
        alarmClass: AlarmClass,
        zones: [ZoneID],
        openedAt: Instant,
        trigger: String,
        location: String?,
        priority: AlarmPriority,
        isSilent: Bool,
        isLate: Bool = false
    ) {
        self.id = id
        self.alarmClass = alarmClass
        self.zones = zones
        self.openedAt = openedAt
        self.trigger = trigger
        self.location = location
        self.priority = priority
        self.isSilent = isSilent
        isAnnounced = !isSilent
        isVerified = false
        self.isLate = isLate
    }

    /// Whether a new session ends it: what was reported in the past must not swallow the trips of this one (T29: one
    /// incident per class and session).
    package var endsWithNextSession: Bool { reportedAt != nil && !isAnnounced }

    /// How often further trips are told (T29).
    package static let activityInterval: Duration = .seconds(30)

    package var nextDeadline: Instant? {
        let activityAt = untold.isEmpty ? nil : toldAt.map { $0 + Self.activityInterval }
        return [abortUntil, bellUntil, activityAt].compactMap(\.self).min()
    }
}

/// Names an incident within its site.
package struct IncidentID: Hashable, Comparable, Sendable {
    package var value: Int64

    package init(_ value: Int64) { self.value = value }

    package static func < (a: IncidentID, b: IncidentID) -> Bool { a.value < b.value }
}
