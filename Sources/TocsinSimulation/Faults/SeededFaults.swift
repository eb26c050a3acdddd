import TocsinCore

extension SeededFault {
    /// Every fault that the explorer must find.
    package static let all = arming + leaving + entering + alarming + people + telling

    // MARK: T01–T08

    private static let arming = [
        SeededFault("T01", "the exit delay is a second too long", in: .house) { step in
            guard step.armed != nil else { return }
            step.editEach { _, _, _, after in
                if let exit = after.exit { after.exit?.deadline = exit.deadline + .seconds(1) }
            }
        },
        SeededFault("T02", "an arming at once counts an exit delay all the same", in: .alarms) { step in
            guard let request = step.armed, request.instant else { return }
            let exit = ExitDelay(startedAt: step.at, seconds: 2, base: [:], by: Attribution(source: .keypad))
            for partition in step.targets {
                step.edit(partition) { $0.exit = exit }
                step.restate(partition, .arming(target: request.mode, from: nil))
            }
        },
        SeededFault("T03", "an open zone does not stand against arming", in: .house) { step in
            guard step.reasons.contains("zone_open") else { return }
            step.accept()
            for partition in step.targets { step.restate(partition, .armed(.away)) }
        },
        SeededFault("T03", "of two partitions one is armed although the other cannot be", in: .house) { step in
            guard step.reasons.contains("zone_open"), step.targets.count > 1 else { return }
            step.restate(step.targets[0], .armed(.away))
        },
        SeededFault("T04", "a bypass leaves out a second zone", in: .modes) { step in
            guard let request = step.armed, !request.bypassZones.isEmpty else { return }
            step.edit(step.targets[0]) { $0.bypassed[ZoneID(stored: "zone_1")] = .manual }
        },
        SeededFault("T04", "force leaves out what may not be left out", in: .modes) { step in
            guard case .arm(let request)? = step.command?.action, request.force, !step.reasons.isEmpty else { return }
            step.accept()
            for partition in step.targets {
                step.edit(partition) { $0.bypassed[ZoneID(stored: "zone_4")] = .force }
                step.restate(partition, .armed(request.mode))
            }
        },
        SeededFault("T05", "arming again starts the delay anew", in: .house) { step in
            guard case .arm? = step.command?.action, step.reply?.isUnchanged == true else { return }
            step.editEach { step, _, _, after in
                guard let exit = after.exit else { return }
                after.exit?.deadline = step.at + .seconds(exit.seconds)
            }
        },
        SeededFault("T06", "another mode takes over the bypass of the first", in: .modes) { step in
            guard step.armed != nil else { return }
            step.editEach { _, _, before, after in if before.exit != nil { after.exit?.base = before.bypassed } }
        },
        SeededFault("T08", "a mode change stops guarding", in: .modes) { step in
            for partition in step.site.partitions {
                guard step.armed != nil, case .arming(let target, from: .some) = step.after(partition).phase else {
                    continue
                }
                step.restate(partition, .arming(target: target, from: nil))
            }
        },
    ]

    // MARK: T09–T17

    private static let leaving = [
        SeededFault("T09", "a final exit that closes leaves the whole delay", in: .house) { step in
            guard case .signal(let signal) = step.input, signal.kind == .closed else { return }
            step.editEach { _, _, before, after in if let exit = before.exit { after.exit?.deadline = exit.deadline } }
        },
        SeededFault("T10", "the exit delay restarts as often as one likes", in: .house) { step in
            guard step.opened != nil else { return }
            step.editEach { _, _, _, after in after.exit?.isRestartUsed = false }
        },
        SeededFault("T11", "a failed arming keeps what it left out", in: .modes) { step in
            for partition in step.site.partitions where step.isFailedArming(partition) {
                let bypassed = step.before(partition).bypassed
                step.edit(partition) { $0.bypassed = bypassed }
            }
        },
        SeededFault("T12", "an exit delay that ends leaves the partition disarmed", in: .house) { step in
            guard step.isDeadline else { return }
            for partition in step.site.partitions {
                guard step.before(partition).exit != nil, case .armed = step.after(partition).phase else { continue }
                step.restate(partition, .disarmed)
            }
        },
        SeededFault("T13", "away is armed although nobody left", in: .house) { step in
            guard step.isDeadline else { return }
            for partition in step.site.partitions {
                guard case .arming(.away?, from: nil) = step.before(partition).phase,
                    step.after(partition).phase == .armed(.stay)
                else { continue }
                step.restate(partition, .armed(.away))
            }
        },
        SeededFault("T14", "an exit error starts no entry delay", in: .house) { step in
            for partition in step.site.partitions {
                guard step.after(partition).countdown?.isExitError == true, step.before(partition).countdown == nil,
                    let mode = step.after(partition).phase.mode
                else { continue }
                step.edit(partition) { $0.countdown = nil }
                step.restate(partition, .armed(mode))
            }
        },
        SeededFault("T15", "an arming that fails at its end arms all the same", in: .european) { step in
            guard step.isDeadline else { return }
            for partition in step.site.partitions where step.isFailedArming(partition) {
                step.restate(partition, .armed(step.before(partition).phase.mode ?? .away))
            }
        },
        SeededFault("T15", "a mode change that fails ends disarmed", in: .modes) { step in
            for partition in step.site.partitions where step.isFailedArming(partition) {
                if step.before(partition).phase.guardingMode != nil { step.restate(partition, .disarmed) }
            }
        },
        SeededFault("T16", "a disarm during the exit delay goes back to the mode before", in: .modes) { step in
            for partition in step.site.partitions {
                guard step.disarms(partition), case .arming(_, let from?) = step.before(partition).phase else {
                    continue
                }
                step.restate(partition, .armed(from))
            }
        },
        SeededFault("T17", "skipping the exit delay does not end it", in: .house) { step in
            guard step.command?.action == .skipExit, step.reply != nil else { return }
            for partition in step.targets { step.undo(partition) }
        },
    ]

    // MARK: T18–T24

    private static let entering = [
        SeededFault("T18", "a door that opens while armed is not noticed", in: .house) { step in
            guard let zone = step.opened, zone.type.isEntryDoor else { return }
            for owner in step.owners(of: zone) where step.before(owner).countdown == nil { step.undo(owner) }
        },
        SeededFault("T18", "the entry delay is a second too long", in: .house) { step in
            step.editEach { _, _, before, after in
                if before.countdown == nil, let entry = after.countdown {
                    after.countdown?.deadline = entry.deadline + .seconds(1)
                }
            }
        },
        SeededFault("T19", "a second opening gives the entry delay anew", in: .house) { step in
            guard let zone = step.opened, let owner = step.owners(of: zone).first, step.before(owner).countdown != nil
            else {
                return
            }
            let deadline = step.at + .seconds(owner.entryDelaySeconds)
            step.edit(owner) { $0.countdown?.deadline = deadline }
        },
        SeededFault("T20", "a window that opens during the entry delay is not noticed", in: .european) { step in
            guard let zone = step.opened, zone.type == .perimeter, let owner = step.owners(of: zone).first,
                step.before(owner).countdown != nil
            else { return }
            step.undo(owner)
        },
        SeededFault("T20", "a window of the common area that opens during an entry delay is not noticed", in: .shared) {
            step in
            guard let zone = step.opened, zone.type == .perimeter, let area = step.owners(of: zone).first,
                step.dependents(of: area).contains(where: { step.before($0).countdown != nil })
            else { return }
            step.undo(area)
        },
        SeededFault("T21", "a window that opens while armed is not noticed", in: .alarms) { step in
            guard let zone = step.opened, zone.type == .perimeter, let owner = step.owners(of: zone).first else {
                return
            }
            step.undo(owner)
        },
        SeededFault("T22", "a disarm does not stop the entry delay", in: .house) { step in
            for partition in step.site.partitions where step.disarms(partition) {
                let countdown = step.before(partition).countdown
                step.edit(partition) { $0.countdown = countdown }
            }
        },
        SeededFault("T23", "an entry delay ends without an alarm", in: .house) { step in
            guard step.isDeadline else { return }
            var isOver = false
            step.editEach { _, _, before, after in
                guard before.countdown != nil, after.countdown == nil else { return }
                after.incidents = before.incidents
                isOver = true
            }
            if isOver { step.hushAlarms() }
        },
        SeededFault("T24", "arming ends the entry delay", in: .house) { step in
            guard step.reasons.contains("entry_in_progress") else { return }
            step.accept()
            for partition in step.targets {
                step.edit(partition) { $0.countdown = nil }
                step.restate(partition, .armed(.away))
            }
        },
    ]
}
