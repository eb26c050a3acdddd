import TocsinCore

// I1–I14: what holds whatever happens (design, arming: invariants).

extension Check {
    static let invariants: [Check] = [
        Check("I1", "leaving entry or alarm only by a disarm, the bell's end or the incident's own rules") { step in
            step.each { step.leavesEntryUnbidden($0, $1, $2) ?? step.leavesAlarmUnbidden($0, $1, $2) }
        },
        Check("I2", "the entry deadline is never later") { step in
            step.each { _, before, after in
                // One that is over has its alarm (I1); a door that counts at this very moment begins another.
                guard let old = before.countdown, old.deadline > step.at, let new = after.countdown,
                    new.deadline > old.deadline
                else { return nil }
                return "the entry deadline went from \(old.deadline.clock) to \(new.deadline.clock)"
            }
        },
        Check("I3", "at most one exit restart per arming") { step in
            step.each { _, before, after in
                guard let old = before.exit, let new = after.exit, old.startedAt == new.startedAt, step.armed == nil
                else { return nil }
                if old.isRestartUsed, !new.isRestartUsed { return "the used restart was forgotten" }
                if new.deadline <= old.deadline { return nil }
                return !old.isRestartUsed && new.isRestartUsed ? nil : "the exit delay was restarted again"
            }
        },
        Check("I4", "a violation of an active, unbypassed zone always yields entry or incident") { step in
            guard let zone = step.opened, step.mustReact(to: zone) else { return nil }
            return step.reacts(to: zone) ? nil : "\(zone.place) opened and nothing follows"
        },
        Check("I4", "only what closes a zone closes it, and then it is not left out as open any longer") { step in
            if case .signal(let signal) = step.input, let zone = step.site.zone(numbered: signal.zone) {
                let (before, after) = (step.before.zones[zone.id], step.after.zones[zone.id])
                switch signal.kind {
                case .tamper, .trouble, .restored:
                    if before?.isOpen == true, after?.isOpen != true { return "\(zone.place) closed by another word" }
                case .open, .closed, .triggered: break
                }
            }
            return step.each { _, _, after in
                let left = after.bypassed.first {
                    $0.value == .auto && step.after.zones[$0.key, default: ZoneState()].condition == .closed
                }
                return left.flatMap { step.site.zone($0.key) }.map { "\($0.place) is closed and left out as open" }
            }
        },
        Check("I5", "an instant zone during entry always yields an incident, or the EN warning") { step in
            guard let zone = step.opened, let owner = step.owners(of: zone).first, step.mustReact(to: zone),
                let entering = step.entering(with: zone), !zone.type.isExitRoute, !zone.entryOverride,
                !step.waits(zone, in: owner)
            else { return nil }
            if step.after(owner).incidents.contains(where: {
                $0.alarmClass == .intrusion && $0.zones.contains(zone.id)
            }) {
                return nil
            }
            let isWarned = step.after(entering).countdown.map {
                $0.offRouteZone == zone.id && $0.deadline <= step.at + .seconds(30)
            }
            let mayWarn = step.site.site.complianceProfile.warnsOffRoute
            return mayWarn && isWarned == true ? nil : "\(zone.place) opened during the entry delay without an alarm"
        },
        Check("I6", "a 24 h class works in every state, and leaves entry and exit alone") { step in
            guard let zone = step.opened, let alarmClass = zone.type.alwaysOnClass,
                let owner = step.owners(of: zone).first,
                !step.owners(of: zone).contains(where: { step.before($0).bypassed[zone.id] != nil })
            else { return nil }
            let after = step.after(owner)
            let isRaised = after.incidents.contains { $0.alarmClass == alarmClass && $0.zones.contains(zone.id) }
            if !isRaised { return "\(zone.place) opened without an alarm" }
            return step.each { _, before, after in
                before.phase == after.phase && before.exit == after.exit && before.countdown == after.countdown
                    ? nil : "a 24 h zone changed its phase or delays"
            }
        },
        Check("I7", "a rejected command changes only lock-out and audit") { step in
            if step.isRejected, step.before.withoutLockouts(step) != step.after.withoutLockouts(step) {
                return "the refused input changed the state"
            }
            let hasChange = step.effects.contains { if case .change = $0 { true } else { false } }
            return step.isRejected && hasChange ? "the refused input changed a phase" : nil
        },
        Check("I8", "no unauthorised path to disarmed") { step in
            if let complaint = step.isUnauthorised { return complaint }
            return step.each { partition, before, after in
                guard step.isPlatform, before.phase != .disarmed, after.phase == .disarmed else { return nil }
                if step.disarms(partition) || step.followsDisarm(partition) { return nil }
                if case .arming(_, from: nil) = before.phase, step.isFailedArming(partition) { return nil }
                return "was disarmed without a right to it"
            }
        },
        Check("I9", "a mode change has no gap") { step in
            step.each { partition, before, after in
                guard step.isPlatform, let guarding = before.phase.guardingMode, !step.disarms(partition),
                    !step.followsDisarm(partition)
                else { return nil }
                guard let still = after.phase.guardingMode else { return "\(guarding.wireName) stopped guarding" }
                if case .arming = after.phase, still != guarding { return "\(guarding.wireName) does not guard still" }
                if still != guarding, step.armed == nil, before.exit == nil { return "changed its mode by itself" }
                return nil
            }
        },
        Check("I10", "what a failed arming bypassed is rolled back") { step in
            step.each { partition, before, after in
                if let new = after.exit, before.exit?.startedAt != new.startedAt || step.armed != nil {
                    let base = before.exit?.base ?? before.bypassed
                    if new.base != base, !step.disarms(partition) { return "the exit delay's base is not what was" }
                }
                guard let exit = before.exit, step.isFailedArming(partition), after.exit == nil else { return nil }
                if after.phase == .disarmed, !after.swingers.isEmpty || !after.crossPending.isEmpty {
                    return "the failed arming left counts of its zones"
                }
                return after.bypassed == exit.base ? nil : "the failed arming left a bypass"
            }
        },
        Check("I11", "a bypassed zone never alarms; fire and panic are not bypassable") { step in
            for partition in step.site.partitions {
                for zone in step.zones(of: partition) where !zone.mayBeBypassed {
                    let isAreaStart =
                        !partition.policy.commonAreaOf.isEmpty && step.after(partition).bypassed[zone.id] == .auto
                    if step.after(partition).bypassed[zone.id] != nil, !isAreaStart {
                        return "\(zone.place) may not be bypassed"
                    }
                }
            }
            guard let zone = step.opened,
                step.owners(of: zone).contains(where: { step.before($0).bypassed[zone.id] != nil })
            else { return nil }
            return step.each { _, before, after in
                let had = before.incidents.filter { $0.zones.contains(zone.id) }.count
                let has = after.incidents.filter { $0.zones.contains(zone.id) }.count
                if has > had { return "\(zone.place) is bypassed and alarms" }
                return before.countdown == nil && after.countdown != nil ? "\(zone.place) began an entry delay" : nil
            }
        },
        Check("I12", "never plainly armed with an open, unbypassed zone at the exit's end") { step in
            step.each { partition, before, after in
                guard step.isPlatform, case .armed(let mode) = after.phase, before.phase != after.phase,
                    !before.phase.isEntry, !step.isFailedArming(partition), !step.endsQuickExit(partition)
                else { return nil }
                let open = step.zones(of: partition).first { zone in
                    zone.isActive(in: mode) && step.condition(zone) != .closed
                        && step.owners(of: zone).allSatisfy {
                            step.after($0).phase.guardingMode.map(zone.isActive) == true
                                && step.after($0).bypassed[zone.id] == nil
                                // A common door that began the entry of another of its partitions is not unheard.
                                && step.after($0).countdown?.zones.contains(zone.id) != true
                                && !step.after($0).incidents.contains { $0.alarmClass == .intrusion }
                        }
                }
                return open.map { "armed with \($0.place) \(step.condition($0).rawValue)" }
            }
        },
        Check("I13", "exit and entry never both, and each with its phase") { step in
            step.each { _, _, after in
                if after.exit != nil, after.countdown != nil { return "in exit and in entry" }
                guard step.isPlatform else { return nil }
                let isArming = if case .arming = after.phase { true } else { false }
                if isArming != (after.exit != nil) { return "\(after.phase.wireState) and its exit delay disagree" }
                if after.phase.isEntry != (after.countdown != nil) {
                    return "\(after.phase.wireState) and its countdown disagree"
                }
                return nil
            }
        },
        Check("I14", "with only time passing, exit, entry, abort and bell all end") { step in
            // A delay of no length is over at once: its deadline is this very moment.
            if let due = step.after.nextDeadline, due < step.at {
                return "a deadline of \(due.clock) is not over at \(step.at.clock)"
            }
            guard step.isDeadline else { return nil }
            let (left, was) = (step.after.work, step.before.work)
            return left < was ? nil : "a deadline passed and there is no less to come (\(was) → \(left))"
        },
    ]
}

extension SiteState {
    /// A measure that every deadline lowers: what may still come of nothing but time.
    fileprivate var work: Int {
        var sum = zones.values.count { $0.pendingUntil != nil } * 1000 + verifications.count
        for partition in partitions.values {
            if let exit = partition.exit { sum += exit.isRestartUsed ? 400 : 800 }
            if partition.countdown != nil { sum += 100 }
            if partition.guardUntil != nil { sum += 100 }
            if partition.overdueAt != nil { sum += 1 }
            sum += partition.crossPending.count * 50
            for incident in partition.incidents {
                if incident.abortUntil != nil { sum += 10 }
                if incident.bellUntil != nil { sum += 4 }
                if !incident.untold.isEmpty { sum += 2 }
            }
        }
        return sum
    }

    /// The state without what a refused command may change (I7).
    fileprivate func withoutLockouts(_ step: Transition) -> SiteState {
        var state = self
        state.codedCommands = 0
        if step.holder?.isDuress == true { state.nextIncident = 1 }
        for id in state.partitions.keys {
            state.partitions[id]?.codeGuards = [:]
            if step.holder?.isDuress == true { state.partitions[id]?.incidents.removeAll { $0.alarmClass == .duress } }
        }
        return state
    }
}

extension Instant {
    /// The time of day, for complaints.
    var clock: String { String(rfc3339Milliseconds.dropFirst("2026-05-26T".count).dropLast()) }
}
