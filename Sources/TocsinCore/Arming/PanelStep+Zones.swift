extension PanelStep {
    /// EN: how long after a warning off the way in the alarm comes at the latest (T20).
    private static let offRouteTime: Duration = .seconds(30)
    /// How long a partner has to report what an entry door on its site means (decisions §14).
    private static let partnerGuardTime: Duration = .seconds(60)

    /// A zone opened, and stayed open as long as it must to count.
    mutating func opened(_ zone: Zone) {
        let owners = owners(of: zone)
        guard let first = owners.first else { return }
        if let alarmClass = zone.type.alwaysOnClass {
            if !isBypassed(zone) { tripAlwaysOn(zone, alarmClass, in: first) }
            return
        }
        if zone.type == .keySwitch { return turnKey(of: zone, in: owners) }
        guard zone.type.isBurglary else { return }
        // Common: guards while all of its partitions are armed; the first of them keeps its incident (I18).
        let isGuarding = owners.allSatisfy { self[$0].phase.guardingMode.map(zone.isActive) ?? false }
        if owners.count > 1, !isGuarding {
            for owner in owners where self[owner].exit != nil && zone.type.isEntryDoor {
                exitDoorOpened(zone, in: owner)
            }
            return
        }
        for owner in owners where isLeftOut(zone, in: owner) { return }
        if isGuarding, let entering = entering(with: owners) {
            openedDuringEntry(zone, of: entering, violating: first)
        } else {
            opened(zone, in: first)
        }
    }

    /// In whose entry delay a zone of these partitions opens: one of their own, or one whose common area they are.
    func entering(with owners: [Partition]) -> Partition? {
        owners.first { self[$0].phase.isEntry }
            ?? owners.flatMap { dependents(of: $0) }.first { self[$0].phase.isEntry }
    }

    /// The way in goes on; what is off it alarms as ever, in a common area too (T19, T20, I5).
    private mutating func openedDuringEntry(_ zone: Zone, of entering: Partition, violating partition: Partition) {
        if zone.type.isExitRoute || zone.entryOverride { return joinEntry(zone, in: entering) }
        openedOffRoute(zone, duringEntryOf: entering, in: partition)
    }

    private mutating func opened(_ zone: Zone, in partition: Partition) {
        let current = self[partition]
        switch current.phase {
        // A zone that takes no part in the mode; the others follow the entry delay.
        case .disarmed, .entry: return
        case .arming(let target, let from):
            if let from, zone.isActive(in: from), !isRelaxed(zone, in: partition) {
                return openedBehindExit(zone, in: partition, from)
            }
            if zone.type.isEntryDoor {
                if current.isQuickExit, current.exit?.relaxedZone == nil { self[partition].exit?.relaxedZone = zone.id }
                return exitDoorOpened(zone, in: partition)
            }
            guard let target, zone.isActive(in: target), zone.type != .interiorFollower, current.exit != nil else {
                return
            }
            exitViolated(by: zone, in: partition, target)
        case .armed(let mode):
            guard zone.isActive(in: mode) else { return }
            if zone.type.isEntryDoor { return enterThrough(zone, in: partition, mode) }
            violated(zone, in: partition)
        }
    }

    /// Whether the zone is bypassed; one that left itself out guards again after its quiet time (T32).
    private mutating func isLeftOut(_ zone: Zone, in partition: Partition) -> Bool {
        guard let reason = self[partition].bypassed[zone.id] else { return false }
        guard reason == .swinger, let counted = self[partition].swingers[zone.id] else { return true }
        if now - counted.lastAt < SwingerCount.quietTime {
            self[partition].swingers[zone.id] = SwingerCount(count: counted.count, lastAt: now)
            return true
        }
        self[partition].bypassed[zone.id] = nil
        note(partition, "zone.swinger_ended", "\(zone.place) was quiet for 8 h: it guards again")
        return false
    }

    /// While a mode change or a quick exit runs, only the way out is relaxed; in a quick exit only its first door.
    private func isRelaxed(_ zone: Zone, in partition: Partition) -> Bool {
        guard zone.type.isExitRoute else { return false }
        guard let exit = self[partition].exit, exit.isQuick else { return true }
        return exit.relaxedZone.map { $0 == zone.id } ?? zone.type.isEntryDoor
    }

    /// A zone of the mode that stays in force until the exit ends (T08): a door gives the entry delay, others alarm.
    private mutating func openedBehindExit(_ zone: Zone, in partition: Partition, _ mode: ArmingMode) {
        guard zone.type.isEntryDoor, let exit = self[partition].exit else { return violated(zone, in: partition) }
        self[partition].exit = nil
        self[partition].bypassed = exit.base
        enter(
            .armed(mode),
            in: partition,
            by: exit.by,
            "\(zone.place) opened during the quick exit: it is over",
            isWayBack: true
        )
        enterThrough(zone, in: partition, mode)
    }

    // MARK: The way in

    /// A door opened while armed: time to disarm, or an alarm at once where there is none (T18).
    private mutating func enterThrough(_ zone: Zone, in partition: Partition, _ mode: ArmingMode) {
        if site.site.armingModel == .partnerTriggered {
            // The panel counts its own entry delay; we only see to it that it says something (decisions §14).
            if self[partition].guardUntil == nil {
                self[partition].guardUntil = now + Self.partnerGuardTime
                self[partition].guardZone = zone.id
                note(partition, "entry.awaited", "\(zone.place) opened while armed: a report is awaited for 60 s")
            }
            return
        }
        if self[partition].hasNoEntryDelay || entrySeconds(zone, partition) == 0 {
            return violated(zone, in: partition)
        }
        startEntry(zone, in: partition, mode, isExitError: false)
    }

    private func entrySeconds(_ zone: Zone, _ partition: Partition) -> Int {
        zone.entryDelaySeconds ?? partition.entryDelaySeconds
    }

    mutating func startEntry(_ zone: Zone, in partition: Partition, _ mode: ArmingMode, isExitError: Bool) {
        let seconds = entrySeconds(zone, partition)
        var countdown = EntryCountdown(
            startedAt: now,
            deadline: now + .seconds(seconds),
            zoneName: zone.name
        )
        countdown.zones = [zone.id]
        countdown.isExitError = isExitError
        self[partition].countdown = countdown
        let why = isExitError ? "was left open" : "opened"
        enter(
            .entry(mode),
            in: partition,
            by: Attribution(source: .system),
            "\(zone.place) \(why): \(seconds) s to disarm \(partition.name)"
        )
    }

    /// Another door or the way behind it: never more time (T19, I2).
    mutating func joinEntry(_ zone: Zone, in partition: Partition) {
        guard var countdown = self[partition].countdown else { return }
        if !countdown.zones.contains(zone.id) { countdown.zones.append(zone.id) }
        if zone.type.isEntryDoor || zone.entryDelaySeconds != nil {
            countdown.deadline = min(countdown.deadline, now + .seconds(entrySeconds(zone, partition)))
        }
        self[partition].countdown = countdown
    }

    /// An instant zone while the entry delay runs (T20, I5).
    private mutating func openedOffRoute(_ zone: Zone, duringEntryOf entering: Partition, in partition: Partition) {
        guard site.site.complianceProfile.warnsOffRoute, var countdown = self[entering].countdown else {
            return violated(zone, in: partition)
        }
        if let warned = countdown.offRouteZone, warned != zone.id { return violated(zone, in: partition) }
        countdown.offRouteZone = zone.id
        countdown.deadline = min(countdown.deadline, now + Self.offRouteTime)
        self[entering].countdown = countdown
        note(entering, "entry.off_route", "\(zone.place) is off the way in: an alarm within 30 s unless disarmed")
    }

    // MARK: Alarms

    /// An active zone that nothing excuses (T21, T32, T33).
    mutating func violated(_ zone: Zone, in partition: Partition) {
        if isSwinger(zone, in: partition) { return }
        if waitsForCrossZone(zone, in: partition) { return }
        count(zone, in: partition)
        trip(
            Trip(
                alarmClass: .intrusion,
                zone: zone,
                trigger: zone.trigger,
                location: zone.name,
                isSilent: zone.silent,
                canAbort: zone.abortWindow
            ),
            in: partition
        )
    }

    /// A zone that has tripped as often as it may is left out for the rest of the session (T32).
    private mutating func isSwinger(_ zone: Zone, in partition: Partition) -> Bool {
        guard !zone.swingerExempt, zone.mayBeBypassed, let counted = self[partition].swingers[zone.id],
            now - counted.lastAt < SwingerCount.quietTime, counted.count >= zone.swingerLimit
        else { return false }
        self[partition].bypassed[zone.id] = .swinger
        note(
            partition,
            "zone.swinger",
            "\(zone.place) tripped \(counted.count) times: bypassed until the next disarm, or 8 h of quiet"
        )
        return true
    }

    private mutating func count(_ zone: Zone, in partition: Partition) {
        let before = self[partition].swingers[zone.id]
        let isFresh = before.map { now - $0.lastAt >= SwingerCount.quietTime } ?? true
        self[partition].swingers[zone.id] = SwingerCount(count: isFresh ? 1 : (before?.count ?? 0) + 1, lastAt: now)
    }

    /// The first of a cross group only marks; the second makes an incident of both (T33).
    private mutating func waitsForCrossZone(_ zone: Zone, in partition: Partition) -> Bool {
        guard let group = zone.crossGroup, !self[partition].incidents.contains(where: { $0.alarmClass == .intrusion })
        else { return false }
        guard let pending = self[partition].crossPending[group], pending.until > now else {
            let until = now + .seconds(partition.policy.crossZoneSeconds)
            self[partition].crossPending[group] = CrossPending(zone: zone.id, until: until)
            note(partition, "zone.cross_pending", "\(zone.place) tripped alone: a second of its group is awaited")
            return true
        }
        if pending.zone == zone.id { return true }
        self[partition].crossPending[group] = nil
        if let first = site.zone(pending.zone) {
            count(first, in: partition)
            trip(
                Trip(
                    alarmClass: .intrusion,
                    zone: first,
                    trigger: first.trigger,
                    location: first.name,
                    isSilent: first.silent,
                    canAbort: first.abortWindow
                ),
                in: partition
            )
        }
        return false
    }

    mutating func tripAlwaysOn(_ zone: Zone, _ alarmClass: AlarmClass, in partition: Partition, isLate: Bool = false) {
        trip(
            Trip(
                alarmClass: alarmClass,
                zone: zone,
                trigger: zone.trigger,
                location: zone.name,
                isSilent: zone.silent || zone.type == .h24PanicSilent,
                isLate: isLate,
                canAbort: alarmClass == .intrusion && zone.abortWindow && !isLate
            ),
            in: partition
        )
    }

    /// A cover was opened: while armed that is an attack, else a trouble that stands against arming.
    mutating func tampered(_ zone: Zone) {
        guard zone.type != .none else { return }
        for owner in owners(of: zone) where self[owner].phase.guardingMode != nil {
            if isBypassed(zone) { return }
            trip(
                Trip(alarmClass: .tamper, zone: zone, trigger: "tamper", location: zone.name, isSilent: zone.silent),
                in: owner
            )
            return
        }
    }

    /// The device of a zone went offline while armed (T44).
    mutating func wentUnknown(_ zone: Zone) {
        for owner in owners(of: zone) where self[owner].phase.guardingMode.map(zone.isActive) ?? false {
            switch owner.policy.offlineZone {
            case .none: continue
            case .trouble: note(owner, "zone.unknown", "\(zone.place) does not report while \(owner.name) is armed")
            case .alarm:
                if !isBypassed(zone) { violated(zone, in: owner) }
                return
            }
        }
    }

    /// A key switch arms what is disarmed, and disarms what is not.
    private mutating func turnKey(of zone: Zone, in partitions: [Partition]) {
        guard site.site.armingModel == .platformTriggered else { return }
        let by = Attribution(name: zone.name, source: .keypad)
        let ordinary = partitions.filter { $0.policy.commonAreaOf.isEmpty }
        if ordinary.isEmpty { return }
        let isDisarmed = ordinary.allSatisfy {
            self[$0].phase == .disarmed && self[$0].incidents.allSatisfy(\.isSilent)
        }
        if isDisarmed {
            let request = ArmingCommand.ArmRequest(mode: .away)
            _ = decide(.arm(request), ordinary, by: by, rights: CommandRights())
        } else {
            _ = decide(.disarm, ordinary, by: by, rights: CommandRights())
        }
    }
}
