import TocsinCore

// What the rules expect of an input, told independently of the machine.

extension Transition {
    /// The input was refused, or told nothing new.
    var isRejected: Bool {
        switch answer {
        case .none: false
        case .command(let outcome):
            if case .failure = outcome.answer { true } else { false }
        case .signal(let answer): answer.outcome == .duplicate || answer.outcome == .rejected
        case .report(let result):
            if case .failure = result { true } else { false }
        }
    }

    /// The partition's arming came to nothing with this input.
    func isFailedArming(_ partition: Partition) -> Bool {
        guard before(partition).exit != nil, after(partition).exit == nil else { return false }
        return events(of: partition).contains { if case .armingFailed = $0 { true } else { false } }
    }

    /// A door of another zone ended a quick exit: back to the mode that never stopped guarding.
    func endsQuickExit(_ partition: Partition) -> Bool {
        before(partition).exit?.isQuick == true && opened != nil && after(partition).exit == nil
    }

    // MARK: Authority (I8)

    /// A command was carried out although its code is not good for it.
    var isUnauthorised: String? {
        guard let command, let reply, command.credential != .trusted else { return nil }
        guard let user = holder?.user else { return "\(command) was carried out without a code that is known" }
        if let until = user.validUntil, at >= until { return "the code of \(user.name) has expired" }
        if let from = user.validFrom, at < from { return "the code of \(user.name) is not good yet" }
        if let most = user.maximumUses, before.codeUses[user.id] ?? 0 >= most { return "the code is used up" }
        for partition in targets
        where before(partition).codeGuards[CommandInput.lockSource]?.lockedUntil.map({ $0 > at }) == true {
            return "\(partition.name) is locked"
        }
        let needed: UserAction =
            switch command.action {
            case .arm: .arm
            case .disarm: .disarm
            case .skipExit, .quickExit: .arm
            case .silence: .disarm
            }
        if let actions = user.actions, !actions.contains(needed) { return "\(user.name) may not \(needed.rawValue)" }
        if let numbers = user.partitions, targets.contains(where: { !numbers.contains($0.number) }) {
            return "\(user.name) has no right to all of \(reply.partitions.map(\.text))"
        }
        if case .arm(let request) = command.action, let modes = user.modes, !modes.contains(ModeName(request.mode)) {
            return "\(user.name) may not arm \(request.mode.wireName)"
        }
        return nil
    }

    // MARK: Entry and alarm (I1)

    func leavesEntryUnbidden(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> String? {
        guard let countdown = before.countdown, after.countdown?.startedAt != countdown.startedAt else { return nil }
        if disarms(partition) || followsDisarm(partition) { return nil }
        if countdown.deadline <= at || notes("arming.entry_expired").contains(partition.id) {
            let isAlarm = after.incidents.contains { $0.alarmClass == .intrusion && ($0.isSilent || $0.isAnnounced) }
            return isAlarm ? nil : "the entry delay ended without an alarm"
        }
        let shared = countdown.zones.compactMap { site.zone($0) }
        let isShared = site.partitions.contains { other in
            other.id != partition.id && (disarms(other) || followsDisarm(other))
                && shared.allSatisfy { $0.belongs(to: other) }
        }
        return isShared && after.phase.guardingMode != nil ? nil : "the entry delay ended without a disarm"
    }

    func leavesAlarmUnbidden(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> String? {
        for incident in before.incidents {
            // What waited and then became a part of an alarm that was raised has that one's id.
            let joined = after.incidents.first {
                incident.abortUntil != nil && joins($0.id) && $0.alarmClass == incident.alarmClass
            }
            let now = after.incidents.first { $0.id == incident.id } ?? joined
            if now == nil, !mayEnd(incident, in: partition) {
                return "the \(incident.alarmClass.rawValue) alarm vanished"
            }
            guard incident.isAnnounced, let now, !now.isAnnounced else { continue }
            let isBellOver = incident.bellUntil.map { $0 <= at } ?? false
            let isSilenced = command?.action == .silence && reply != nil && reaches(partition)
            if !isBellOver, !isSilenced, !disarms(partition), !followsDisarm(partition) {
                return "the alarm fell silent by itself"
            }
        }
        return nil
    }

    private func mayEnd(_ incident: Incident, in partition: Partition) -> Bool {
        if case .resolve(incident.alarmClass) = input { return true }
        // A danger that is over gives way to the next one.
        if incident.isOver, after(partition).incidents.contains(where: { $0.alarmClass == incident.alarmClass }) {
            return true
        }
        // What was told in the past ends with the next session, which a bell's end may let begin at once.
        let isBellOver = incident.reportedAt != nil && incident.bellUntil.map { $0 <= at } ?? false
        if incident.endsWithNextSession || isBellOver, before(partition).phase.guardingMode == nil,
            after(partition).phase.guardingMode != nil
        {
            return true
        }
        return !incident.isSilent && (disarms(partition) || followsDisarm(partition))
    }

    // MARK: Violations (I4, I5)

    func soleOwner(of zone: Zone) -> Partition? {
        let owners = owners(of: zone)
        return owners.count == 1 ? owners[0] : nil
    }

    /// Whether the opened zone guards, and nothing excuses it.
    func mustReact(to zone: Zone) -> Bool {
        let owners = owners(of: zone)
        guard zone.type.isBurglary, !owners.isEmpty else { return false }
        return owners.allSatisfy { owner in
            let before = before(owner)
            guard let mode = before.phase.guardingMode, zone.isActive(in: mode), before.bypassed[zone.id] == nil else {
                return false
            }
            return !isOnTheWayOut(zone, before)
        }
    }

    /// While a mode change or a quick exit runs, the way out is relaxed; in a quick exit only its first door.
    private func isOnTheWayOut(_ zone: Zone, _ before: PartitionState) -> Bool {
        guard case .arming = before.phase, zone.type.isExitRoute else { return false }
        guard let exit = before.exit, exit.isQuick else { return true }
        return exit.relaxedZone.map { $0 == zone.id } ?? zone.type.isEntryDoor
    }

    /// The first of a cross group, or one that tripped too often.
    func waits(_ zone: Zone, in owner: Partition) -> Bool {
        let (before, after) = (before(owner), after(owner))
        if after.bypassed[zone.id] == .swinger, before.bypassed[zone.id] == nil, !zone.swingerExempt, zone.mayBeBypassed
        {
            return (before.swingers[zone.id]?.count ?? 0) >= zone.swingerLimit
        }
        guard let group = zone.crossGroup, !before.incidents.contains(where: { $0.alarmClass == .intrusion }) else {
            return false
        }
        guard let pending = before.crossPending[group] else { return after.crossPending[group]?.zone == zone.id }
        return pending.zone == zone.id && after.crossPending[group] == pending
    }

    func reacts(to zone: Zone) -> Bool {
        let owners = owners(of: zone)
        let isTold = owners.contains { owner in
            let after = after(owner)
            if after.incidents.contains(where: { $0.alarmClass == .intrusion && $0.zones.contains(zone.id) }) {
                return true
            }
            if let countdown = after.countdown, countdown.zones.contains(zone.id) || countdown.offRouteZone == zone.id {
                return true
            }
            let isAwaited = after.guardUntil != nil || after.countdown != nil
            if !isPlatform, zone.type.isEntryDoor, isAwaited { return true }
            return waits(zone, in: owner)
        }
        if isTold { return true }
        guard let entering = entering(with: zone), let countdown = after(entering).countdown else { return false }
        return countdown.zones.contains(zone.id) || countdown.offRouteZone == zone.id
    }

    /// In whose entry delay the zone opens: one of its own partitions', or one's whose common area it is in.
    func entering(with zone: Zone) -> Partition? {
        let owners = owners(of: zone)
        return (owners + owners.flatMap { dependents(of: $0) }).first { before($0).phase.isEntry }
    }
}
