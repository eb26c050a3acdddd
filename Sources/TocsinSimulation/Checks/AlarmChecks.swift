import TocsinCore

// Rows about alarms (T26–T34) and about codes, devices and quick exits (T36–T47).

extension Check {
    static let alarmRows: [Check] = [
        Check("T26", "a disarm in the abort window reports nothing, under duress at once") { step in
            step.each { partition, before, _ in
                guard step.disarms(partition) else { return nil }
                for incident in before.incidents where incident.abortUntil != nil {
                    let raised = step.before.raised.first {
                        $0.partitionID == partition.id && $0.alarmClass == incident.alarmClass
                            && $0.isSilent == incident.isSilent
                    }
                    let isDrafted = step.effects.contains {
                        if case .alarm(let draft) = $0 { draft.incident == incident.id } else { false }
                    }
                    let isReported = raised.map { step.joins($0.incident) } ?? isDrafted
                    if isReported != (step.holder?.isDuress == true) {
                        return isReported ? "the aborted alarm was reported" : "the alarm was aborted under duress"
                    }
                }
                return nil
            }
        },
        Check("T28", "a disarm within the cancel window cancels the alarm, under duress it does not") { step in
            if step.before.raised.contains(where: { step.effects.contains(.alarmPriority($0.incident, .low)) }) {
                return "an alarm that was raised was cancelled"
            }
            return step.each { partition, before, _ in
                guard step.disarms(partition), step.isPlatform else { return nil }
                for incident in before.incidents where !incident.isSilent && !step.burns(incident) {
                    let isCancelled = step.effects.contains(.alarmPriority(incident.id, .low))
                    let limit = Duration.seconds(partition.policy.cancelWindowSeconds)
                    let isInTime = incident.reportedAt.map { step.at <= $0 + limit } ?? false
                    let isRaised = step.before.raised.contains { $0.incident == incident.id }
                    let mayCancel = isInTime && !isRaised && step.holder?.isDuress != true
                    if isCancelled != mayCancel {
                        return isCancelled ? "an alarm was cancelled wrongly" : "the alarm was not cancelled"
                    }
                }
                return nil
            }
        },
        Check("T29", "one incident per class, and its zones keep their order") { step in
            step.each { _, before, after in
                let kinds = after.incidents.map { "\($0.alarmClass.rawValue)\($0.isSilent)" }
                if Set(kinds).count < kinds.count { return "two incidents of one class are open" }
                for incident in before.incidents {
                    guard let now = after.incidents.first(where: { $0.id == incident.id }) else { continue }
                    if !now.zones.starts(with: incident.zones) { return "the order of the zones changed" }
                    if Set(now.zones).count < now.zones.count { return "a zone is listed twice" }
                }
                return nil
            }
        },
        Check("T29", "what trips beside an alarm that was raised is a part of it, and only of its own kind") { step in
            // Duress is told by itself, whatever else is open.
            for raised in step.before.raised where raised.alarmClass != .duress {
                let isAnother = step.effects.contains {
                    guard case .alarm(let draft) = $0, draft.partitionID == raised.partitionID else { return false }
                    return draft.alarmClass == raised.alarmClass && draft.isSilent == raised.isSilent
                }
                if isAnother { return "a second \(raised.alarmClass.rawValue) alarm beside the one that was raised" }
                for incident in step.after.partitions.values.flatMap(\.incidents) where incident.id == raised.incident {
                    if incident.alarmClass != raised.alarmClass || incident.isSilent != raised.isSilent {
                        return "a \(incident.alarmClass.rawValue) alarm became a part of another kind"
                    }
                }
            }
            return nil
        },
        Check("T27", "a verification that nobody answers is told at its deadline, and none vanishes") { step in
            for (incident, deadline) in step.before.verifications where step.after.verifications[incident] != deadline {
                let isTold = step.effects.contains {
                    if case .alarmAct(incident, .verificationExpired) = $0 { true } else { false }
                }
                switch step.input {
                case .resolve, .answer: continue
                case .command, .signal, .device, .report, .raise, .advance:
                    if !isTold || step.at < deadline {
                        return "the verification of incident \(incident.value) vanished"
                    }
                }
            }
            let isLate = step.after.verifications.values.contains { $0 <= step.at }
            return isLate ? "a verification outlived its deadline" : nil
        },
        Check("T29", "a danger that was silenced and is over alarms anew, one that is not does not") { step in
            guard let zone = step.opened, let alarmClass = zone.type.alwaysOnClass, alarmClass.outlivesDisarm,
                zone.type != .h24PanicSilent, !zone.silent, let owner = step.owners(of: zone).first,
                let was = step.before(owner).incidents.first(where: { $0.alarmClass == alarmClass && !$0.isSilent })
            else { return nil }
            let isOpen = was.zones.contains { step.before.zones[$0]?.isOpen == true }
            let isAnew = step.effects.contains {
                if case .alarm(let draft) = $0 { draft.alarmClass == alarmClass } else { false }
            }
            if isAnew == (was.isSilenced && !isOpen) { return nil }
            return "\(zone.place) \(isAnew ? "alarms anew during its alarm" : "only joins an alarm that is over")"
        },
        Check("T30", "two independent detectors verify an alarm, and one never does") { step in
            step.each { partition, _, after in
                for incident in after.incidents {
                    let indoors = incident.zones.compactMap { step.site.zone($0) }.filter { !$0.exterior }
                    if incident.isVerified, indoors.count < 2 { return "one detector verified the alarm" }
                    let isNew = step.opened.map { incident.zones.last == $0.id && !$0.exterior } ?? false
                    let window = Duration.seconds(partition.policy.crossZoneSeconds)
                    guard isNew, incident.alarmClass == .intrusion, indoors.count >= 2, !incident.isVerified else {
                        continue
                    }
                    if step.at - incident.openedAt <= window { return "two detectors did not verify the alarm" }
                }
                return nil
            }
        },
        Check("T31", "the bell's end leaves the partition as it is, with its memory") { step in
            step.each { _, before, after in
                guard step.isDeadline, before.incidents.contains(where: { $0.isAnnounced && $0.bellUntil == step.at })
                else {
                    return nil
                }
                let isSteady = before.phase.guardingMode != nil && before.exit == nil
                if isSteady, before.phase.guardingMode != after.phase.guardingMode {
                    return "the bell's end changed what guards"
                }
                // One that trips again at this very moment rings on.
                let isOver = before.incidents.contains { incident in
                    incident.isAnnounced && incident.bellUntil == step.at
                        && after.incidents.contains { $0.id == incident.id && !$0.isAnnounced }
                }
                return isOver && !after.alarmMemory ? "the bell ended without a memory" : nil
            }
        },
        Check("T32", "a zone that trips too often is left out, for this session") { step in
            step.each { partition, _, after in
                for (id, counted) in after.swingers {
                    guard let zone = step.site.zone(id), !zone.swingerExempt, zone.mayBeBypassed else { continue }
                    if counted.count > zone.swingerLimit { return "\(zone.place) alarmed \(counted.count) times" }
                }
                if after.phase.guardingMode != nil || after.exit != nil { return nil }
                return after.bypassed.isEmpty ? nil : "a bypass outlived its session"
            }
        },
        Check("T33", "one of a cross group alone makes no alarm") { step in
            guard let zone = step.opened, let group = zone.crossGroup, let owner = step.soleOwner(of: zone),
                step.mustReact(to: zone), !zone.type.isEntryDoor
            else { return nil }
            let (before, after) = (step.before(owner), step.after(owner))
            let isFirst = before.crossPending[group].map { $0.zone == zone.id } ?? true
            let hadAlarm = before.incidents.contains { $0.alarmClass == .intrusion }
            let hasAlarm = after.incidents.contains { $0.alarmClass == .intrusion }
            if isFirst, !hadAlarm, hasAlarm { return "\(zone.place) alone raised an alarm" }
            if !isFirst, !hadAlarm, !hasAlarm, after.bypassed[zone.id] == nil, after.countdown == nil {
                return "the second of its group raised no alarm"
            }
            return nil
        },
        Check("T34", "a silent alarm does not show") { step in
            step.each { _, before, after in
                if let shown = after.incidents.first(where: { $0.isSilent && ($0.isAnnounced || $0.bellUntil != nil) })
                {
                    return "a silent \(shown.alarmClass.rawValue) alarm is announced"
                }
                guard let zone = step.opened,
                    zone.type == .h24PanicSilent || (zone.type.alwaysOnClass != nil && zone.silent)
                else { return nil }
                return before.version == after.version ? nil : "a silent alarm changed the version"
            }
        },
    ]

    static let guardRows: [Check] = [
        Check("T36", "wrong codes count, and the fifth locks their source") { step in
            guard let refusal = step.refusal, step.command?.credential != .trusted else { return nil }
            for partition in step.targets {
                let before = step.before(partition).codeGuards[CommandInput.lockSource] ?? CodeGuard()
                let after = step.after(partition).codeGuards[CommandInput.lockSource] ?? CodeGuard()
                let isLocked = before.lockedUntil.map { $0 > step.at } ?? false
                switch refusal {
                case .invalidCode:
                    if isLocked { return "the code was looked at while \(partition.name) is locked" }
                    // None given is no guess.
                    if step.command?.credential == .missing {
                        if before != after { return "a command without a code counted as a wrong one" }
                        continue
                    }
                    let recent = before.failures.filter { step.at - $0 < CodeGuard.window }.count + 1
                    let isFull = recent >= CodeGuard.failuresMaximum
                    if isFull, after.lockouts != before.lockouts + 1 || after.lockedUntil.map({ $0 > step.at }) != true
                    {
                        return "\(recent) wrong codes did not lock \(partition.name)"
                    }
                    if !isFull, after.failures.count != recent { return "a wrong code was not counted" }
                case .codeLocked(let until):
                    if until <= step.at { return "the lock is over and refuses" }
                    if isLocked, before != after { return "a code during the lock changed it" }
                case .unknownPartition, .versionConflict, .armFailed, .notPermitted, .impossible,
                    .partnerUnreachable:
                    continue
                }
            }
            return nil
        },
        Check("T37", "a duress code raises its own silent alarm, good or locked") { step in
            guard let holder = step.holder, holder.isDuress, let first = step.targets.first else { return nil }
            let after = step.after(first)
            guard let incident = after.incidents.first(where: { $0.alarmClass == .duress }) else {
                return "no duress alarm was raised"
            }
            return incident.isSilent && incident.priority == .critical && incident.reportedAt != nil
                ? nil : "the duress alarm is not silent, critical and reported"
        },
        Check("T44", "a device offline makes its zones unknown, and alarms only where that is asked for") { step in
            guard case .device(let id, isOffline: let isOffline) = step.input else { return nil }
            for zone in step.site.zones where zone.deviceID == id {
                if isOffline != (step.condition(zone) == .unknown) {
                    return "\(zone.place) is \(step.condition(zone).rawValue)"
                }
            }
            for zone in step.site.zones {
                let (before, after) = (step.before.zones[zone.id], step.after.zones[zone.id])
                if before?.isOpen ?? false != after?.isOpen ?? false || before?.faults ?? [] != after?.faults ?? [] {
                    return "\(zone.place) is not what it said last"
                }
            }
            let raised = step.effects.contains { if case .alarm = $0 { true } else { false } }
            let mayRaise = isOffline && step.site.partitions.contains { $0.policy.offlineZone == .alarm }
            return raised && !mayRaise ? "an offline device raised an alarm" : nil
        },
        Check("T47", "a quick exit keeps the mode and relaxes one door") { step in
            guard step.command?.action == .quickExit, step.reply != nil else { return nil }
            return step.each { partition, before, after in
                guard step.targets.contains(where: { $0.id == partition.id }), case .armed(let mode) = before.phase,
                    mode == .stay || mode == .night
                else { return nil }
                return after.phase == .arming(target: mode, from: mode) && after.exit?.isQuick == true
                    ? nil : "the quick exit changed the mode"
            }
        },
    ]
}
