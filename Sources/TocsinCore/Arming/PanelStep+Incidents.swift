extension PanelStep {
    /// What tripped, and how.
    struct Trip {
        var alarmClass: AlarmClass
        var zone: Zone?
        var trigger: String
        var location: String?
        var isSilent = false
        var isLate = false
        /// Whether the abort window may hold it back (T25).
        var canAbort = false
    }

    /// Opens an incident, or appends to the one of its class that is open (T25, T27, T29, T30).
    mutating func trip(_ trip: Trip, in partition: Partition) {
        let open = self[partition].incidents.firstIndex {
            $0.alarmClass == trip.alarmClass && $0.isSilent == trip.isSilent
        }
        guard let open else { return self.open(trip, in: partition) }
        if !self[partition].incidents[open].isOver { return append(trip, to: open, in: partition) }
        // That one is history: what comes now is another danger, and whoever works alarms must see that.
        if !self[partition].incidents[open].untold.isEmpty { tellActivity(open, in: partition) }
        let over = self[partition].incidents.remove(at: open)
        state.raised.removeAll { $0.incident == over.id }
        self.open(trip, in: partition)
    }

    private mutating func open(_ trip: Trip, in partition: Partition) {
        var incident = Incident(
            id: IncidentID(state.nextIncident),
            alarmClass: trip.alarmClass,
            zones: trip.zone.map { [$0.id] } ?? [],
            openedAt: now,
            trigger: trip.trigger,
            location: trip.location,
            priority: trip.alarmClass.priority,
            isSilent: trip.isSilent,
            isLate: trip.isLate
        )
        state.nextIncident += 1
        ring(&incident, partition)
        if trip.isLate, self[partition].phase.guardingMode == nil {
            // History by now: the operators hear of it, the premises need no siren.
            incident.isAnnounced = false
            incident.bellUntil = nil
        }
        let window = site.site.complianceProfile.abortWindow(of: partition.policy)
        let place = trip.location ?? partition.name
        if trip.canAbort, window > 0, !trip.isSilent {
            incident.abortUntil = now + .seconds(window)
            self[partition].incidents.append(incident)
            touch(partition)
            note(
                partition,
                "alarm.pending",
                "\(place) tripped (\(trip.trigger)): reported in \(window) s unless disarmed"
            )
            return
        }
        self[partition].incidents.append(incident)
        if !trip.isSilent { touch(partition) }
        report(self[partition].incidents.count - 1, in: partition)
    }

    private mutating func append(_ trip: Trip, to index: Int, in partition: Partition) {
        var incident = self[partition].incidents[index]
        let isNew = trip.zone.map { !incident.zones.contains($0.id) } ?? false
        if let zone = trip.zone, isNew { incident.zones.append(zone.id) }
        if !incident.isAnnounced, !incident.isSilent { touch(partition) }
        ring(&incident, partition)
        if let zone = trip.zone, isNew { verify(&incident, with: zone, in: partition) }
        self[partition].incidents[index] = incident
        if incident.abortUntil != nil {
            // A second detector, or one that may not wait, ends the wait (T27); a cross group is one detector.
            let group = trip.zone?.crossGroup
            let isSameGroup =
                group != nil && incident.zones.contains { $0 != trip.zone?.id && site.zone($0)?.crossGroup == group }
            if isNew && !isSameGroup || !trip.canAbort { report(index, in: partition) }
        } else if let zone = trip.zone {
            tell(zone, index, in: partition)
        } else if trip.alarmClass == .duress {
            // A person, not a zone: told every time.
            emitActivity(of: incident, [], in: partition)
        }
    }

    /// What the premises see of a partition has changed, though not its phase.
    ///
    /// A partner counts by the phases that it reports, and sees no more of us.
    mutating func touch(_ partition: Partition) {
        if site.site.armingModel == .platformTriggered { self[partition].version += 1 }
    }

    private func ring(_ incident: inout Incident, _ partition: Partition) {
        guard !incident.isSilent else { return }
        incident.isAnnounced = true
        incident.isSilenced = false
        incident.isOver = false
        let hasBell = site.site.armingModel == .platformTriggered && partition.policy.bellSeconds > 0
        incident.bellUntil = hasBell ? now + .seconds(partition.policy.bellSeconds) : nil
    }

    /// Two independent detectors within the window verify it (T30).
    private mutating func verify(_ incident: inout Incident, with zone: Zone, in partition: Partition) {
        guard !incident.isVerified, incident.alarmClass == .intrusion, !zone.exterior,
            now - incident.openedAt <= .seconds(partition.policy.crossZoneSeconds),
            incident.zones.contains(where: { $0 != zone.id && site.zone($0)?.exterior == false })
        else { return }
        incident.isVerified = true
        note(partition, "alarm.verified", "\(zone.place) confirms the alarm of \(incident.location ?? partition.name)")
    }

    /// Tells the outside world: from now on there is an alarm (T27), or what was raised by request in its place is more.
    mutating func report(_ index: Int, in partition: Partition) {
        var incident = self[partition].incidents[index]
        incident.abortUntil = nil
        incident.reportedAt = now
        incident.toldAt = now
        let raised = raisedAlarm(for: incident, in: partition)
        if let raised {
            incident.id = raised.incident
            // It is told as activity, and what trips next within the interval together with more.
            incident.toldAt = now + .milliseconds(1)
        }
        self[partition].incidents[index] = incident
        let zones = incident.zones.compactMap { site.zone($0) }
        if raised == nil {
            create(incident, zones, in: partition)
        } else {
            emitActivity(of: incident, zones, in: partition)
            effects.append(.alarmAct(incident.id, .atLeast(incident.priority)))
        }
        let place = incident.location ?? partition.name
        note(
            partition,
            incident.isSilent ? "alarm.silent" : "alarm.created",
            "\(partition.name): alarm (\(incident.alarmClass.rawValue), \(incident.trigger)) at \(place)"
                + (raised == nil ? "" : ", a part of the one that was raised")
        )
        // Where it is history by now, nothing is switched as nothing rings.
        if !incident.isLate || incident.isSilent || incident.isAnnounced {
            switchRelays(
                for: RelayAlarm(
                    incident: incident.id,
                    alarmClass: incident.alarmClass,
                    priority: incident.priority,
                    partitionID: partition.id,
                    zones: incident.zones,
                    isSilent: incident.isSilent
                )
            )
        }
        if let wanted = wantVerification(of: incident, in: partition) { effects.append(wanted) }
    }

    private mutating func create(_ incident: Incident, _ zones: [Zone], in partition: Partition) {
        let device = zones.first?.deviceID
        effects.append(
            .alarm(
                AlarmDraft(
                    incident: incident.id,
                    partitionID: partition.id,
                    deviceID: device,
                    zones: zones.map { AlarmActivity.Zone(number: $0.number, name: $0.name) },
                    alarmClass: incident.alarmClass,
                    priority: incident.priority,
                    trigger: incident.trigger,
                    location: incident.location,
                    isSilent: incident.isSilent,
                    isLate: incident.isLate,
                    isVerified: incident.isVerified
                )
            )
        )
        emit(
            .alarmCreated(
                AlarmCreated(
                    alarm: .incident(incident.id),
                    siteID: site.site.id,
                    deviceID: device,
                    priority: incident.priority,
                    trigger: incident.trigger,
                    location: incident.location,
                    isLate: incident.isLate,
                    lateByMilliseconds: lateness > Signal.lateness ? lateness.milliseconds : nil
                )
            ),
            partition
        )
    }

    /// Further trips are told at once, and then at most every 30 s together (T29).
    private mutating func tell(_ zone: Zone, _ index: Int, in partition: Partition) {
        var incident = self[partition].incidents[index]
        if !incident.untold.contains(zone.id) { incident.untold.append(zone.id) }
        self[partition].incidents[index] = incident
        let isFirst = incident.toldAt == incident.reportedAt
        if isFirst || incident.toldAt.map({ now - $0 >= Incident.activityInterval }) ?? true {
            tellActivity(index, in: partition)
        }
    }

    mutating func tellActivity(_ index: Int, in partition: Partition) {
        let incident = self[partition].incidents[index]
        let zones = incident.untold.compactMap { site.zone($0) }
        self[partition].incidents[index].untold = []
        // One later than the report even in its own millisecond, so that the first further trip is told once.
        self[partition].incidents[index].toldAt = max(now, (incident.reportedAt ?? now) + .milliseconds(1))
        if zones.isEmpty { return }
        emitActivity(of: incident, zones, in: partition)
    }

    /// Before a new session ends what is left of earlier ones, what was not told of it yet is told.
    mutating func tellOfThePast(_ partition: Partition) {
        for index in self[partition].incidents.indices {
            let incident = self[partition].incidents[index]
            if incident.endsWithNextSession, !incident.untold.isEmpty { tellActivity(index, in: partition) }
        }
        endRaised(in: partition) { !$0.endsWithNextSession }
    }

    private mutating func emitActivity(of incident: Incident, _ zones: [Zone], in partition: Partition) {
        emit(
            .alarmActivity(
                AlarmActivity(
                    alarm: .incident(incident.id),
                    siteID: site.site.id,
                    partitionID: partition.id,
                    zones: zones.map { AlarmActivity.Zone(number: $0.number, name: $0.name) },
                    isVerified: incident.isVerified
                )
            ),
            partition
        )
    }

    // MARK: Ends

    /// What a disarm does to what is open: aborts, cancels, or ends it (T26, T28).
    mutating func endIncidents(of partition: Partition, by: Attribution, isDuress: Bool) {
        for incident in self[partition].incidents where !incident.isSilent {
            guard let index = self[partition].incidents.firstIndex(where: { $0.id == incident.id }) else { continue }
            if incident.alarmClass.outlivesDisarm,
                incident.zones.contains(where: isOpen)
            {
                // Fire does not go out by a code: silenced, and over when its zones have closed.
                self[partition].incidents[index].isAnnounced = false
                self[partition].incidents[index].bellUntil = nil
                self[partition].incidents[index].isSilenced = true
                continue
            }
            // By its place: once it is reported it may be a part of another alarm, and have that one's id.
            if isDuress, incident.abortUntil != nil { report(index, in: partition) }
            self[partition].incidents.remove(at: index)
            end(incident, of: partition, by: by, isDuress: isDuress)
        }
        endRaised(in: partition) { _ in true }
    }

    private mutating func end(_ incident: Incident, of partition: Partition, by: Attribution, isDuress: Bool) {
        let place = incident.location ?? partition.name
        guard let reportedAt = incident.reportedAt else {
            note(partition, "alarm.aborted", "The alarm of \(place) was aborted by \(by.words) before it was reported")
            return
        }
        let seconds = (now - reportedAt).milliseconds / 1000
        // What somebody else has raised is not theirs to cancel.
        let isRaised = raisedAlarm(for: incident, in: partition)?.incident == incident.id
        if !isRaised, now <= reportedAt + .seconds(partition.policy.cancelWindowSeconds) {
            note(
                partition,
                "alarm.cancelled",
                "The alarm of \(place) was cancelled: disarmed by \(by.words) after \(seconds) s"
            )
            if !isDuress { cancel(incident, seconds, in: partition, by: by) }
        } else {
            let words = "\(partition.name) was opened by \(by.words) \(seconds) s after its alarm"
            note(partition, "alarm.opened_after", words)
            effects.append(.alarmAct(incident.id, .note(words)))
        }
    }

    /// A cancelled alarm stays for the operators, with the lowest priority (T28).
    private mutating func cancel(_ incident: Incident, _ seconds: Int64, in partition: Partition, by: Attribution) {
        effects.append(.alarmPriority(incident.id, .low))
        emit(
            .alarmAnnotated(
                AlarmAnnotated(
                    alarm: .incident(incident.id),
                    siteID: site.site.id,
                    source: "panel",
                    verdict: AlarmAnnotated.cancelled,
                    notes: "disarmed by \(by.words) after \(seconds) s"
                )
            ),
            partition
        )
    }

    /// The premises have silenced it: a danger is over once its zones have closed too, so that the next trip is another.
    mutating func silenceIncidents(of partition: Partition) {
        endBell(of: partition) { _ in true }
        for index in self[partition].incidents.indices where !self[partition].incidents[index].isSilent {
            self[partition].incidents[index].isSilenced = true
        }
        endDangers(of: partition)
    }

    /// Dangers that were silenced and whose zones have all closed are over (T29, decisions §6).
    mutating func endDangers(of partition: Partition) {
        for index in self[partition].incidents.indices {
            let incident = self[partition].incidents[index]
            if incident.isSilenced, incident.alarmClass.outlivesDisarm, !incident.zones.contains(where: isOpen) {
                self[partition].incidents[index].isOver = true
            }
        }
    }

    /// The siren stops; the partition stays as it is, and the memory tells (T31).
    mutating func endBell(of partition: Partition, where ends: (Incident) -> Bool) {
        for index in self[partition].incidents.indices where self[partition].incidents[index].isAnnounced {
            guard ends(self[partition].incidents[index]) else { continue }
            self[partition].incidents[index].isAnnounced = false
            self[partition].incidents[index].bellUntil = nil
            self[partition].alarmMemory = true
            touch(partition)
        }
    }
}

extension AlarmClass {
    /// How urgent an alarm of the class is (decisions §6).
    package var priority: AlarmPriority {
        switch self {
        case .duress, .panic, .fire: .critical
        case .intrusion, .medical: .high
        case .tamper, .environment: .medium
        }
    }

    /// Whether it is a danger of its own, which a disarm only silences while its zones are open.
    package var outlivesDisarm: Bool {
        switch self {
        case .fire, .medical, .environment, .panic: true
        case .intrusion, .tamper, .duress: false
        }
    }
}

extension Zone {
    /// The `trigger` of its alarms (decisions §6).
    package var trigger: String {
        switch (type, kind) {
        case (.h24PanicAudible, _), (.h24PanicSilent, _): "panic"
        case (_, "contact"): "door-forced"
        case (_, "glass"): "glass-break"
        case (_, let kind?): kind
        case (.h24Fire, nil): "fire"
        case (.h24Medical, nil): "medical"
        case (.h24Tamper, nil): "tamper"
        case (.h24Environment, nil): "environment"
        case (.exitEntry, nil), (.finalExit, nil), (.perimeter, nil): "door-forced"
        case (.interiorFollower, nil), (.interiorInstant, nil), (.h24Burglary, nil), (.troubleOnly, nil),
            (.keySwitch, nil), (.none, nil):
            "motion"
        }
    }
}
