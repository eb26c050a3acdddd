extension PanelStep {
    /// Lets end what ends at this step's instant, in the order of the partitions.
    mutating func runDeadlines() {
        // Before anything that might switch one on again.
        runRelays()
        runPartnerDeadlines()
        for partition in site.partitions where self[partition].nextDeadline == now { runDeadlines(of: partition) }
        for zone in site.zones where state.zones[zone.id]?.pendingUntil == now { delayOnEnded(zone) }
        runVerifications()
        runSchedules()
        // After the schedules, so that a rule that closes at the end of the hours closes in time.
        for partition in site.partitions where self[partition].hoursDueAt == now { checkHours(of: partition) }
        settleCommonAreas()
    }

    private mutating func runDeadlines(of partition: Partition) {
        if self[partition].countdown?.deadline == now { entryExpired(partition) }
        if self[partition].exit?.deadline == now { exitEnded(partition) }
        if self[partition].overdueAt == now { outcomeOverdue(partition) }
        if self[partition].guardUntil == now { reportAwaitedInVain(partition) }
        // In the order of their names: equal inputs give equal notes (I20).
        let expired = self[partition].crossPending.filter { $0.value.until == now }.sorted { $0.key < $1.key }
        for (group, pending) in expired {
            self[partition].crossPending[group] = nil
            let place = site.zone(pending.zone)?.place ?? "A zone"
            note(partition, "zone.cross_expired", "\(place) tripped alone: a trouble, no alarm")
        }
        for index in self[partition].incidents.indices {
            let incident = self[partition].incidents[index]
            if incident.abortUntil == now { report(index, in: partition) }
            if let told = incident.toldAt, !incident.untold.isEmpty, told + Incident.activityInterval == now {
                tellActivity(index, in: partition)
            }
        }
        let isBellOver = self[partition].incidents.contains { $0.bellUntil == now }
        if isBellOver {
            let end = now
            endBell(of: partition) { $0.bellUntil == end }
            note(partition, "bell.ended", "The siren of \(partition.name) stopped after its time; it stays as it is")
        }
    }

    /// Nobody disarmed in time (T23).
    private mutating func entryExpired(_ partition: Partition) {
        guard let countdown = self[partition].countdown else { return }
        self[partition].countdown = nil
        let zone = countdown.zones.first.flatMap { site.zone($0) }
        trip(
            Trip(
                alarmClass: .intrusion,
                zone: zone,
                trigger: "entry-delay-expired",
                location: countdown.zoneName ?? zone?.name,
                isSilent: zone?.silent ?? false,
                canAbort: zone?.abortWindow ?? false
            ),
            in: partition
        )
        note(partition, "arming.entry_expired", "\(partition.name) was not disarmed within its entry delay")
        guard case .entry(let mode) = self[partition].phase else { return }
        enter(
            .armed(mode),
            in: partition,
            by: Attribution(source: .system),
            "The entry delay of \(partition.name) ended without a disarm",
            isWayBack: true
        )
    }

    /// A partner announced an arming and never told its outcome (decisions §4).
    private mutating func outcomeOverdue(_ partition: Partition) {
        self[partition].overdueAt = nil
        let since = self[partition].since
        let message = "\(partition.name) is arming since \(since.rfc3339Seconds) and its outcome was never reported"
        emit(
            .syncOverdue(
                SyncOverdue(
                    siteID: site.site.id,
                    partitionID: partition.id,
                    state: self[partition].phase.wireState,
                    since: since,
                    message: message
                )
            ),
            partition
        )
        effects.append(.mark(.overdue))
        note(partition, "sync.overdue", message)
    }

    /// A door opened on an armed partner's site and no report followed (decisions §14).
    private mutating func reportAwaitedInVain(_ partition: Partition) {
        let zone = self[partition].guardZone.flatMap { site.zone($0) }
        self[partition].guardUntil = nil
        self[partition].guardZone = nil
        guard let zone else { return }
        note(
            partition,
            "entry.unreported",
            "\(zone.place) opened while armed, and the partner reported nothing for 60 s"
        )
        violated(zone, in: partition)
    }
}
