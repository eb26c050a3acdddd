// Where the arming machine and the alarms, each a machine of its own, react to each other.

/// What the arming machine asks of an alarm.
package enum AlarmAct: Hashable, Sendable {
    /// The partition's policy asks for a verification of what was just raised.
    case wantsVerification(seconds: Int, until: Instant)
    /// Nobody answered by the deadline, which ran out so long ago.
    case verificationExpired(lateBy: Duration)
    /// The operators should know what the premises did.
    case note(String)
    /// A trip of this priority became a part of it, and must not seem less urgent than it is.
    case atLeast(AlarmPriority)
}

/// An alarm that was raised by request and is not resolved: what trips in its place becomes a part of it (decisions §6),
/// until the partition is disarmed or armed anew.
package struct RaisedAlarm: Hashable, Sendable {
    package var incident: IncidentID
    package var partitionID: PartitionID
    package var alarmClass: AlarmClass
    /// A hidden alarm and one that the premises see never are one: the one would show the other, or be hidden by it.
    package var isSilent: Bool

    package init(incident: IncidentID, partitionID: PartitionID, alarmClass: AlarmClass, isSilent: Bool) {
        self.incident = incident
        self.partitionID = partitionID
        self.alarmClass = alarmClass
        self.isSilent = isSilent
    }

    /// Whether what is raised or trips there has its place, so that it is one alarm with it.
    fileprivate func isBeside(_ partition: PartitionID, _ alarmClass: AlarmClass, isSilent: Bool) -> Bool {
        partitionID == partition && self.alarmClass == alarmClass && self.isSilent == isSilent
    }
}

extension SiteMachine {
    /// Names an alarm that is raised from outside: it takes its turn among the incidents of the site.
    package mutating func newIncident() -> IncidentID {
        defer { state.nextIncident += 1 }
        return IncidentID(state.nextIncident)
    }

    /// An alarm was raised by request, or one that is open was: from now on trips of its place are a part of it.
    package mutating func alarmRaised(_ alarm: RaisedAlarm) {
        state.raised.removeAll { $0.isBeside(alarm.partitionID, alarm.alarmClass, isSilent: alarm.isSilent) }
        state.raised.append(alarm)
    }

    /// Sets until when an answer is awaited on an alarm; none: nothing is.
    package mutating func awaitAnswer(on incident: IncidentID, until deadline: Instant?) {
        state.verifications[incident] = deadline
    }

    /// Operators resolved the alarm: the incident is over for the premises too, and the next trip opens another.
    package mutating func incidentResolved(_ id: IncidentID) {
        state.verifications[id] = nil
        state.raised.removeAll { $0.incident == id }
        for partition in configuration.partitions {
            let shown = state.partitions[partition.id]?.inAlarm
            state.partitions[partition.id]?.incidents.removeAll { $0.id == id }
            let isShown = state.partitions[partition.id]?.inAlarm
            if configuration.site.armingModel == .platformTriggered, shown != isShown {
                state.partitions[partition.id]?.version += 1
            }
        }
    }
}

extension PanelStep {
    /// The alarm that was raised by request in the incident's place; duress is told by itself whatever else is open.
    func raisedAlarm(for incident: Incident, in partition: Partition) -> RaisedAlarm? {
        if incident.alarmClass == .duress { return nil }
        return state.raised.first {
            $0.isBeside(partition.id, incident.alarmClass, isSilent: incident.isSilent)
        }
    }

    /// With its session ends what was raised in it: the trips of another are another alarm, resolved or not (T29).
    ///
    /// What is still going on at the premises goes on.
    mutating func endRaised(in partition: Partition, unless goesOn: (Incident) -> Bool) {
        guard !state.raised.isEmpty else { return }
        let live = Set(self[partition].incidents.filter { !$0.isOver && goesOn($0) }.map(\.id))
        state.raised.removeAll { $0.partitionID == partition.id && !live.contains($0.incident) }
    }

    /// Asks for a verification where the partition's policy does: of intrusions, which are most often nothing.
    ///
    /// The time runs from when somebody can hear of it, which may be later than the trip.
    func wantVerification(of incident: Incident, in partition: Partition) -> ArmingEffect? {
        let seconds = partition.policy.verificationSeconds
        guard seconds > 0, incident.alarmClass == .intrusion else { return nil }
        return .alarmAct(
            incident.id,
            .wantsVerification(seconds: seconds, until: now + lateness + .seconds(seconds))
        )
    }

    /// Verifications that end at this step's instant, in the order of their alarms.
    mutating func runVerifications() {
        for incident in state.verifications.filter({ $0.value == now }).keys.sorted() {
            state.verifications[incident] = nil
            effects.append(.alarmAct(incident, .verificationExpired(lateBy: lateness)))
        }
    }
}

extension SiteState {
    /// Incidents of which the ledger holds an alarm that the next input may touch.
    package var alarmedIncidents: Set<IncidentID> {
        var incidents = Set(verifications.keys)
        for alarm in raised { incidents.insert(alarm.incident) }
        for partition in partitions.values where !partition.incidents.isEmpty {
            incidents.formUnion(partition.incidents.lazy.filter { $0.reportedAt != nil }.map(\.id))
        }
        return incidents
    }

    /// Whether whoever is shown the site's arming sees no difference from the other state: alarms that are hidden, and
    /// what is between the operators, are none of theirs (I17).
    package func looksLike(_ other: SiteState) -> Bool {
        if self == other { return true }
        if !hasHiddenParts, !other.hasHiddenParts, nextIncident == other.nextIncident, lateToldAt == other.lateToldAt {
            return false
        }
        return shown == other.shown
    }

    private var hasHiddenParts: Bool {
        !verifications.isEmpty || !relays.isEmpty || !raised.isEmpty
            || partitions.values.contains { $0.incidents.contains(where: \.isSilent) }
    }

    private var shown: SiteState {
        var state = self
        state.verifications = [:]
        state.raised = []
        state.lateToldAt = nil
        // Relays are shown by themselves, and what switched one may be nobody's business at the premises.
        state.relays = [:]
        state.nextIncident = 1
        for (id, partition) in partitions where partition.incidents.contains(where: \.isSilent) {
            state.partitions[id]?.incidents.removeAll(where: \.isSilent)
        }
        return state
    }
}
