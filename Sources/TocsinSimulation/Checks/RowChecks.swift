import TocsinCore

// What single rows of the transition table say beyond the invariants (design, arming: transitions).

extension Check {
    static let rows: [Check] =
        [
            Check("T01", "an arming counts its mode's own exit delay, or arms at once without one") { step in
                guard let request = step.armed else { return nil }
                for partition in step.targets {
                    if step.isInForce(request, partition) { continue }
                    let after = step.after(partition)
                    let seconds = request.instant ? 0 : partition.exitDelaySeconds.seconds(for: request.mode)
                    if seconds == 0, after.phase != .armed(request.mode) {
                        return "\(partition.name) is not armed at once"
                    }
                    if seconds == 0 { continue }
                    guard case .arming(request.mode, from: step.before(partition).phase.guardingMode) = after.phase,
                        let exit = after.exit
                    else { return "\(partition.name) counts no exit delay to \(request.mode.wireName)" }
                    if exit.startedAt == step.at, exit.deadline != step.at + .seconds(seconds) {
                        return
                            "\(partition.name) has \((exit.deadline - step.at).milliseconds) ms to leave, not \(seconds) s"
                    }
                }
                return nil
            },
            Check("T03", "what stands against arming stops it, all or nothing") { step in
                guard step.armed != nil else { return nil }
                for partition in step.targets {
                    guard let mode = step.after(partition).phase.mode, step.before(partition).phase.mode != mode else {
                        continue
                    }
                    for zone in step.zones(of: partition) where step.blocks(zone, partition, mode) {
                        return "\(partition.name) was armed although \(zone.place) is \(step.condition(zone).rawValue)"
                    }
                }
                return nil
            },
            Check("T04", "an arming bypasses what it was told to, and by force what was in its way") { step in
                guard let request = step.armed else { return nil }
                for partition in step.targets {
                    for (id, _) in step.after(partition).bypassed where step.before(partition).bypassed[id] == nil {
                        guard let zone = step.site.zone(id) else { return "a stranger was bypassed" }
                        let isForced = request.force && zone.forceArmable && step.condition(zone) != .closed
                        if !request.bypassZones.contains(zone.number), !isForced, step.before(partition).exit == nil {
                            return "\(zone.place) was bypassed unasked"
                        }
                    }
                    for number in request.bypassZones {
                        guard let zone = step.site.zone(numbered: number), zone.belongs(to: partition),
                            !step.isInForce(request, partition)
                        else { continue }
                        if step.after(partition).bypassed[zone.id] == nil { return "\(zone.place) was not bypassed" }
                    }
                }
                return nil
            },
            Check("T05", "what is in force already changes nothing") { step in
                guard case .arm? = step.command?.action, step.reply?.isUnchanged == true, step.holder?.isDuress != true
                else {
                    return nil
                }
                return step.each { $1.withoutGuards == $2.withoutGuards ? nil : "arming again changed it" }
            },
            Check("T09", "the exit door's ways are kept, and a final exit leaves at most five seconds") { step in
                guard case .signal(let signal) = step.input, case .signal(let answer) = step.answer,
                    answer.outcome == .accepted,
                    answer.reason == nil, let zone = step.site.zone(numbered: signal.zone), zone.type.isEntryDoor,
                    zone.delayOnSeconds == 0, let owner = step.soleOwner(of: zone), let was = step.before(owner).exit,
                    let exit = step.after(owner).exit
                else { return nil }
                switch signal.kind {
                case .open:
                    let isBypassed = step.before(owner).bypassed[zone.id] != nil
                    return exit.doorOpened || isBypassed ? nil : "\(zone.place) opened unnoticed"
                case .closed:
                    if was.doorOpened, !exit.doorClosedOnce { return "\(zone.place) closed unnoticed" }
                    let isLong = was.doorOpened && zone.type == .finalExit && exit.deadline > step.at + .seconds(5)
                    return isLong ? "\(zone.place) closed and more than five seconds are left" : nil
                case .triggered, .tamper, .trouble, .restored: return nil
                }
            },
            Check("T10", "a second opening of the exit door gives the whole delay once more") { step in
                guard let zone = step.opened, zone.type.isEntryDoor, let owner = step.soleOwner(of: zone),
                    let was = step.before(owner).exit, let exit = step.after(owner).exit
                else { return nil }
                let isDue =
                    was.doorOpened && was.doorClosedOnce && !was.isRestartUsed && !was.isQuick
                    && owner.policy.exitRestart
                    && step.before(owner).bypassed[zone.id] == nil
                if !isDue { return nil }
                // A final exit that opens and closes by itself leaves five seconds at once (T09).
                let isFull = exit.deadline == step.at + .seconds(exit.seconds)
                let isShut = zone.type == .finalExit && step.after.zones[zone.id]?.isOpen != true
                return exit.isRestartUsed && (isFull || isShut) ? nil : "the exit delay did not start anew"
            },
            Check("T12", "an exit delay that ends arms its target, or fails and says why") { step in
                step.each { partition, before, after in
                    guard let exit = before.exit, exit.deadline <= step.at,
                        case .arming(let target?, let from) = before.phase,
                        // A zone that counts at this very moment has its own say.
                        step.isDeadline, !step.before.zones.values.contains(where: { $0.pendingUntil == step.at })
                    else { return nil }
                    if step.isFailedArming(partition) {
                        return after.phase == (from.map(Phase.armed) ?? .disarmed) ? nil : "did not go back"
                    }
                    let isLocal = exit.by.source == .keypad || exit.by.source == .keyfob || exit.by.source == .panel
                    let stays =
                        partition.policy.stayIfUnvacated && target == .away && from == nil && !exit.doorOpened
                        && isLocal
                    let mode = stays ? ArmingMode.stay : target
                    switch after.phase {
                    case .armed(mode): return nil
                    case .entry(mode):
                        return after.countdown?.isExitError == true ? nil : "is in entry without an exit error"
                    case .armed, .entry, .arming, .disarmed:
                        return "became \(after.phase.wireState), not armed \(mode.wireName)"
                    }
                }
            },
            Check("T16", "a disarm leaves nothing of the session") { step in
                step.each { partition, _, after in
                    guard step.disarms(partition), step.isPlatform, step.turnedKey == nil else { return nil }
                    if after.phase != .disarmed { return "is \(after.phase.wireState) after a disarm" }
                    if after.exit != nil || after.countdown != nil { return "still counts after a disarm" }
                    if !after.bypassed.isEmpty || !after.swingers.isEmpty || !after.crossPending.isEmpty
                        || after.hasNoEntryDelay
                    {
                        return "keeps something of the session after a disarm"
                    }
                    let left = after.incidents.first { !$0.isSilent && ($0.isAnnounced || !step.burns($0)) }
                    return left.map { "the \($0.alarmClass.rawValue) alarm is left after a disarm" }
                }
            },
            Check("T17", "skipping the exit delay ends it") { step in
                guard step.command?.action == .skipExit, step.reply != nil else { return nil }
                return step.targets.contains { step.after($0).exit != nil } ? "the exit delay goes on" : nil
            },
            Check("T18", "the entry delay is the zone's, else the partition's") { step in
                guard let zone = step.opened, zone.type.isEntryDoor, let owner = step.soleOwner(of: zone),
                    step.isPlatform,
                    let countdown = step.after(owner).countdown
                else { return nil }
                let full = step.at + .seconds(zone.entryDelaySeconds ?? owner.entryDelaySeconds)
                if step.before(owner).countdown == nil {
                    return countdown.deadline == full ? nil : "the entry delay is wrong"
                }
                if step.before(owner).bypassed[zone.id] != nil || !countdown.zones.contains(zone.id) { return nil }
                return countdown.deadline <= full ? nil : "the second door's delay was not honoured (T19)"
            },
            Check("T24", "nothing is armed during entry or alarm") { step in
                guard let request = step.armed else { return nil }
                for partition in step.targets
                where step.before(partition).phase.isEntry || step.before(partition).inAlarm {
                    return "\(partition.name) was armed in \(request.mode.wireName) during entry or alarm"
                }
                return nil
            },
            Check("T25", "what may be aborted waits its time, and nothing else does") { step in
                step.each { partition, before, after in
                    let window = step.site.site.complianceProfile.abortWindow(of: partition.policy)
                    for incident in after.incidents where !before.incidents.contains(where: { $0.id == incident.id }) {
                        // It waited under another id, before it became a part of an alarm that was raised.
                        if step.joins(incident.id), before.incidents.contains(where: { $0.abortUntil != nil }) {
                            continue
                        }
                        let first = incident.zones.first.flatMap { step.site.zone($0) }
                        let mayWait =
                            incident.alarmClass == .intrusion && first?.abortWindow == true && !incident.isSilent
                            && window > 0 && !incident.isLate
                        if mayWait, incident.zones.count == 1, incident.abortUntil != step.at + .seconds(window) {
                            return "\(first?.place ?? "an alarm") does not wait \(window) s"
                        }
                        if !mayWait, incident.abortUntil != nil {
                            return "a \(incident.alarmClass.rawValue) alarm waits"
                        }
                    }
                    return nil
                }
            },
        ] + alarmRows + guardRows
}

extension Transition {
    /// Whether a zone stands against arming in that mode, as far as no other partition has a say.
    fileprivate func blocks(_ zone: Zone, _ partition: Partition, _ mode: ArmingMode) -> Bool {
        if zone.type == .none || zone.type == .keySwitch { return false }
        if owners(of: zone).contains(where: { after($0).bypassed[zone.id] != nil }) { return false }
        if zone.type.isBurglary, !zone.isActive(in: mode) || owners(of: zone).count > 1 { return false }
        guard let said = after.zones[zone.id] else { return false }
        if said.isOffline || !said.faults.isEmpty { return true }
        // A silent panic button that stays pressed may show nowhere.
        return said.isOpen && !zone.isSecret && !(after(partition).exit != nil && zone.type.isExitRoute)
    }

    fileprivate func isInForce(_ request: ArmingCommand.ArmRequest, _ partition: Partition) -> Bool {
        switch before(partition).phase {
        case .armed(let mode): mode == request.mode
        case .arming(let target, _): target == request.mode && before(partition).exit?.isQuick == false
        case .disarmed, .entry: false
        }
    }

    /// An alarm of a danger that a code does not end, while its zones are open.
    func burns(_ incident: Incident) -> Bool {
        incident.alarmClass.outlivesDisarm && incident.zones.contains { after.zones[$0]?.isOpen == true }
    }
}

extension PartitionState {
    fileprivate var withoutGuards: PartitionState {
        var state = self
        state.codeGuards = [:]
        return state
    }
}
