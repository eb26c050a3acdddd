import TocsinCore
import TocsinJSON
import TocsinLedger

/// Raises an alarm at a site, or adds to the one of its partition and class that is open (decisions §6).
package struct AlarmRaising: SiteTask {
    package enum Answer: Sendable {
        /// A new alarm; the reply has no number yet: the commit gives it, and ``AlarmReader/alarm(_:of:)`` tells it.
        case raised(reply: [UInt8], IncidentID, version: Int64)
        /// The alarm that is open has one entry more.
        case added(reply: [UInt8], version: Int64)
        /// The partition is gone since the request was checked.
        case unknownPartition
    }

    /// What is raised; everything that the caller left out is filled in already.
    package struct What: Sendable {
        package var partitionID: PartitionID
        package var zone: Zone?
        package var deviceID: DeviceID?
        package var alarmClass: AlarmClass
        package var trigger: String
        package var location: String?
        package var priority: AlarmPriority
        /// What the caller named; it belongs to no other alarm yet.
        package var snapshot: NamedSnapshot?
        /// Whether it may become a part of an alarm that is open: not where the caller must not learn of one.
        package var mayJoin: Bool

        package init(
            partitionID: PartitionID,
            zone: Zone?,
            deviceID: DeviceID?,
            alarmClass: AlarmClass,
            trigger: String,
            location: String?,
            priority: AlarmPriority,
            snapshot: NamedSnapshot? = nil,
            mayJoin: Bool = true
        ) {
            self.partitionID = partitionID
            self.zone = zone
            self.deviceID = deviceID
            self.alarmClass = alarmClass
            self.trigger = trigger
            self.location = location
            self.priority = priority
            self.snapshot = snapshot
            self.mayJoin = mayJoin
        }

        /// Duress is hidden from the premises, whoever raises it (I17); so is what a silent zone saw, as its own trips are.
        package var isSilent: Bool {
            alarmClass == .duress || zone.map { $0.silent || $0.type == .h24PanicSilent } == true
        }
    }

    package let siteID: SiteID
    package let receivedAt: Instant
    package let request: Request?
    private let what: What
    /// Makes the reply of the alarm as it is now.
    private let render: @Sendable (Alarm) -> [UInt8]

    package init(_ what: What, request: Request, render: @escaping @Sendable (Alarm) -> [UInt8]) {
        self.what = what
        self.request = request
        self.render = render
        siteID = request.siteID
        receivedAt = request.receivedAt
    }

    package var alarms: AlarmNeeds {
        let slot = AlarmNeeds.Slot(
            partitionID: what.partitionID,
            alarmClass: what.alarmClass,
            isSilent: what.isSilent
        )
        return what.mayJoin ? AlarmNeeds(slots: [slot]) : .none
    }

    package func decide(_ plan: inout Plan) throws(VaultError) -> Answer {
        let configuration = plan.record.configuration
        guard let request, let partition = configuration.partitions.first(where: { $0.id == what.partitionID }) else {
            return .unknownPartition
        }
        if what.mayJoin, let open = plan.unresolvedAlarm(what.alarmClass, in: partition.id, isSilent: what.isSilent) {
            return try join(open, partition, request, &plan)
        }
        let incident = plan.newIncident()
        plan.trips(in: partition, of: what, join: incident)
        let zones = what.zone.map { [AlarmActivity.Zone(number: $0.number, name: $0.name)] } ?? []
        let draft = AlarmDraft(
            incident: incident,
            partitionID: partition.id,
            deviceID: what.deviceID,
            zones: zones,
            alarmClass: what.alarmClass,
            priority: what.priority,
            trigger: what.trigger,
            location: what.location,
            isSilent: what.isSilent
        )
        var created = AlarmCreated(
            alarm: .incident(incident),
            siteID: siteID,
            deviceID: what.deviceID,
            priority: what.priority,
            trigger: what.trigger,
            location: what.location
        )
        if let snapshot = what.snapshot { created = plan.showing(created, snapshot) }
        let alarm = plan.raise(draft, by: request.actor, created)
        plan.switchRelays(
            for: RelayAlarm(
                incident: incident,
                alarmClass: what.alarmClass,
                priority: what.priority,
                partitionID: partition.id,
                zones: what.zone.map { [$0.id] } ?? [],
                isSilent: what.isSilent
            ),
            request
        )
        plan.wantVerification(of: alarm, in: partition)
        let after = plan.alarm(incident) ?? alarm
        plan.audit(
            request,
            "alarm.raise",
            on: after,
            "An alarm was raised in \(partition.name): \(what.trigger)",
            details: ["incident": .integer(incident.value), "class": .string(what.alarmClass.rawValue)]
        )
        let reply = render(after)
        try plan.keep(request.idempotency, status: 201) { reply }
        return .raised(reply: reply, incident, version: after.version)
    }

    /// Further triggers while it is open are a part of it.
    private func join(
        _ open: Alarm,
        _ partition: Partition,
        _ request: Request,
        _ plan: inout Plan
    ) throws(VaultError) -> Answer {
        let activity = AlarmActivity(
            alarm: .incident(open.incident),
            siteID: siteID,
            partitionID: partition.id,
            zones: what.zone.map { [AlarmActivity.Zone(number: $0.number, name: $0.name)] } ?? [],
            isVerified: open.isVerified
        )
        plan.trips(in: partition, of: what, join: open.incident)
        _ = plan.perform(.add(activity), on: open.incident, by: request.actor)
        _ = plan.raise(plan.alarm(open.incident) ?? open, toAtLeast: what.priority, by: request.actor)
        if let snapshot = what.snapshot {
            plan.decision.snapshotLinks.append(SnapshotLink(snapshotID: snapshot.id, alarm: .incident(open.incident)))
        }
        let after = plan.alarm(open.incident) ?? open
        plan.audit(
            request,
            "alarm.raise",
            on: after,
            "\(after.number?.description ?? "The alarm") was triggered again: \(what.trigger)",
            details: ["trigger": .string(what.trigger)]
        )
        let reply = render(after)
        try plan.keep(request.idempotency, status: 200) { reply }
        return .added(reply: reply, version: after.version)
    }
}

extension Plan {
    fileprivate mutating func newIncident() -> IncidentID { machine.newIncident() }

    /// What trips from now on in the place of what was raised is the same alarm, as long as that is open.
    fileprivate mutating func trips(in partition: Partition, of what: AlarmRaising.What, join incident: IncidentID) {
        machine.alarmRaised(
            RaisedAlarm(
                incident: incident,
                partitionID: partition.id,
                alarmClass: what.alarmClass,
                isSilent: what.isSilent
            )
        )
    }

    fileprivate func unresolvedAlarm(
        _ alarmClass: AlarmClass,
        in partition: PartitionID,
        isSilent: Bool
    ) -> Alarm? {
        book.unresolved(alarmClass, in: partition, isSilent: isSilent)
    }

    /// Asks for the verification that the partition's policy wants of alarms that the arming machine finds, too.
    fileprivate mutating func wantVerification(of alarm: Alarm, in partition: Partition) {
        let seconds = partition.policy.verificationSeconds
        guard seconds > 0, alarm.alarmClass == .intrusion else { return }
        let until = decision.at + .seconds(seconds)
        _ = act(.wantsVerification(seconds: seconds, until: until), on: alarm.incident, for: nil)
    }
}
