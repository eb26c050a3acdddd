import TocsinCore

extension SeededFault {
    // MARK: T25–T35

    static let alarming = [
        SeededFault("T25", "an alarm does not wait in its abort window", in: .alarms) { step in
            step.editEach { _, _, _, after in
                for index in after.incidents.indices { after.incidents[index].abortUntil = nil }
            }
        },
        SeededFault("T26", "a disarm in the abort window leaves the alarm", in: .alarms) { step in
            step.editEach { step, partition, before, after in
                if step.disarms(partition) {
                    after.incidents = before.incidents.filter { $0.abortUntil != nil } + after.incidents
                }
            }
        },
        SeededFault("T26", "a duress code aborts the alarm", in: .alarms) { step in
            guard step.holder?.isDuress == true else { return }
            let waiting = Set(
                step.site.partitions.flatMap { step.before($0).incidents }.filter { $0.abortUntil != nil }.map(\.id)
            )
            step.effects.removeAll {
                if case .alarm(let draft) = $0 { waiting.contains(draft.incident) } else { false }
            }
        },
        SeededFault("T27", "the abort window never ends", in: .alarms) { step in
            guard step.isDeadline else { return }
            step.editEach { step, _, before, after in
                let waits = before.incidents.contains { $0.abortUntil == step.at }
                if waits { after.incidents = before.incidents }
            }
        },
        SeededFault("T28", "a disarm in the cancel window cancels nothing", in: .alarms) { step in
            step.effects.removeAll { if case .alarmPriority = $0 { true } else { false } }
        },
        SeededFault("T28", "a duress code cancels the alarm", in: .alarms) { step in
            guard step.holder?.isDuress == true else { return }
            for partition in step.targets where step.disarms(partition) {
                for incident in step.before(partition).incidents where incident.reportedAt != nil && !incident.isSilent
                {
                    step.effects.append(.alarmPriority(incident.id, .low))
                }
            }
        },
        SeededFault("T29", "a second zone opens a second incident", in: .alarms) { step in
            guard step.opened != nil else { return }
            step.editEach { _, _, before, after in
                guard let was = before.incidents.first, let now = after.incidents.first,
                    now.zones.count > was.zones.count,
                    now.abortUntil == nil
                else { return }
                after.incidents[0].zones = was.zones
                var second = now
                second.id = IncidentID(now.id.value + 100)
                second.reportedAt = nil
                after.incidents.append(second)
            }
        },
        SeededFault("T29", "what trips beside an alarm that was raised is another alarm", in: .operators) { step in
            guard let partition = step.site.partitions.first, let raised = step.before.raised.first,
                step.joins(raised.incident)
            else { return }
            let draft = AlarmDraft(
                incident: IncidentID(99),
                partitionID: partition.id,
                alarmClass: raised.alarmClass,
                priority: .high,
                trigger: "motion",
                location: nil,
                isSilent: raised.isSilent
            )
            step.effects.append(.alarm(draft))
        },
        SeededFault("T28", "a disarm cancels what an app has raised", in: .operators) { step in
            guard let raised = step.before.raised.first,
                step.site.partitions.contains(where: { step.disarms($0) }), step.holder?.isDuress != true
            else { return }
            step.effects.append(.alarmPriority(raised.incident, .low))
        },
        SeededFault("T27", "a verification that nobody answers is forgotten", in: .operators) { step in
            step.effects.removeAll { if case .alarmAct(_, .verificationExpired) = $0 { true } else { false } }
        },
        SeededFault("T29", "a second fire joins the alarm of one that is over", in: .fires) { step in
            guard step.opened?.type == .h24Fire else { return }
            var isOld = false
            step.editEach { _, _, before, after in
                guard let was = before.incidents.first(where: \.isOver), !after.incidents.isEmpty else { return }
                after.incidents[0].id = was.id
                after.incidents[0].zones = was.zones + after.incidents[0].zones.filter { !was.zones.contains($0) }
                isOld = true
            }
            if isOld { step.hushAlarms() }
        },
        SeededFault("T30", "one detector verifies an alarm", in: .alarms) { step in
            step.editEach { _, _, _, after in if !after.incidents.isEmpty { after.incidents[0].isVerified = true } }
        },
        SeededFault("T31", "the bell's end disarms", in: .alarms) { step in
            guard step.isDeadline else { return }
            for partition in step.site.partitions where step.before(partition).inAlarm && !step.after(partition).inAlarm
            {
                step.restate(partition, .disarmed)
            }
        },
        SeededFault("T31", "the bell's end leaves no memory", in: .alarms) { step in
            guard step.isDeadline else { return }
            step.editEach { _, _, _, after in after.alarmMemory = false }
        },
        SeededFault("T32", "a zone that tripped too often is forgotten instead of left out", in: .alarms) { step in
            step.editEach { _, _, _, after in after.bypassed = after.bypassed.filter { $0.value != .swinger } }
        },
        SeededFault("T32", "what was left out stays so after a disarm", in: .troubles) { step in
            step.editEach { step, partition, before, after in
                if step.disarms(partition) { after.bypassed = before.bypassed }
            }
        },
        SeededFault("T33", "the first of a cross group is forgotten", in: .alarms) { step in
            step.editEach { _, _, _, after in after.crossPending = [:] }
        },
        SeededFault("T34", "smoke in a disarmed house is not noticed", in: .dangers) { step in
            guard let zone = step.opened, zone.type == .h24Fire, let owner = step.owners(of: zone).first,
                step.before(owner).phase == .disarmed
            else { return }
            step.undo(owner)
        },
        SeededFault("T34", "smoke ends the exit delay", in: .dangers) { step in
            guard step.opened?.type == .h24Fire else { return }
            for partition in step.site.partitions where step.after(partition).exit != nil {
                step.edit(partition) { $0.exit = nil }
                step.restate(partition, .disarmed)
            }
        },
        SeededFault("T35", "a silent panic is announced", in: .dangers) { step in
            guard step.opened?.type == .h24PanicSilent else { return }
            step.editEach { _, _, _, after in
                for index in after.incidents.indices { after.incidents[index].isAnnounced = true }
            }
        },
        SeededFault("I11", "a smoke detector may be left out", in: .dangers) { step in
            guard step.reasons.contains("bypass_not_allowed") else { return }
            step.edit(step.targets[0]) { $0.bypassed[ZoneID(stored: "zone_1")] = .manual }
        },
        SeededFault("I11", "a zone that is left out alarms", in: .modes) { step in
            guard let zone = step.opened else { return }
            let at = step.at
            for owner in step.owners(of: zone) where step.before(owner).bypassed[zone.id] != nil {
                step.edit(owner) {
                    $0.incidents.append(
                        Incident(
                            id: IncidentID(99),
                            alarmClass: .intrusion,
                            zones: [zone.id],
                            openedAt: at,
                            trigger: zone.trigger,
                            location: zone.name,
                            priority: .high,
                            isSilent: false
                        )
                    )
                }
            }
        },
    ]

    // MARK: T36–T47

    static let people = [
        SeededFault("T36", "wrong codes are not counted", in: .codes) { step in
            guard step.refusal == .invalidCode else { return }
            step.editEach { _, _, before, after in after.codeGuards = before.codeGuards }
        },
        SeededFault("T36", "an unknown code disarms", in: .codes) { step in
            guard step.refusal == .invalidCode, step.command?.action == .disarm else { return }
            step.accept()
            for partition in step.targets {
                step.edit(partition) { $0.exit = nil }
                step.restate(partition, .disarmed)
            }
        },
        SeededFault("T16", "a code without the right disarms", in: .codes) { step in
            guard case .notPermitted? = step.refusal, step.command?.action == .disarm else { return }
            step.accept()
            for partition in step.targets {
                step.edit(partition) { $0.exit = nil }
                step.restate(partition, .disarmed)
            }
        },
        SeededFault("T36", "a code for one use is good twice", in: .codes) { step in
            guard step.refusal == .invalidCode, step.holder?.user.maximumUses != nil else { return }
            step.accept()
        },
        SeededFault("T37", "a duress code raises no alarm", in: .dangers) { step in
            step.editEach { _, _, _, after in after.incidents.removeAll { $0.alarmClass == .duress } }
        },
        SeededFault("T37", "a duress code shows in the version", in: .dangers) { step in
            guard step.holder?.isDuress == true else { return }
            step.edit(step.targets[0]) { $0.version += 1 }
        },
        SeededFault("T37", "a duress code is told in the history", in: .dangers) { step in
            guard step.holder?.isDuress == true else { return }
            step.effects.append(
                .note(partition: step.targets[0].id, action: "code.duress", explanation: "under duress")
            )
        },
        SeededFault("T42", "an older report of the partner is applied", in: .partner) { step in
            guard case .report(let report) = step.input, case .report(.success(let answers)) = step.answer,
                answers.contains(where: { $0.reason == .superseded })
            else { return }
            step.editEach { step, partition, _, after in
                if report.target.covers(partition) { after.order?.timestamp = step.at - .seconds(report.age) }
            }
        },
        SeededFault("T44", "a device that is offline leaves its zones as they were", in: .troubles) { step in
            if case .device = step.input { step.after.zones = step.before.zones }
        },
        SeededFault("T44", "a device that comes back closes its zones", in: .troubles) { step in
            guard case .device(_, isOffline: false) = step.input else { return }
            for id in step.after.zones.keys { step.after.zones[id]?.isOpen = false }
        },
        SeededFault("I4", "a trouble that is restored closes an open zone", in: .troubles) { step in
            guard case .signal(let signal) = step.input, signal.kind == .restored else { return }
            for id in step.after.zones.keys { step.after.zones[id]?.isOpen = false }
        },
        SeededFault("I18", "what was open when a common area was armed is left out although it has closed", in: .house)
        {
            step in
            guard case .signal(let signal) = step.input, signal.kind == .closed else { return }
            step.editEach { _, _, before, after in after.bypassed = before.bypassed }
        },
        SeededFault("T47", "a quick exit stops guarding", in: .modes) { step in
            guard step.command?.action == .quickExit else { return }
            for partition in step.targets {
                if case .arming(let target, _) = step.after(partition).phase {
                    step.restate(partition, .arming(target: target, from: nil))
                }
            }
        },
        SeededFault("I18", "a common area is not armed with the last of its partitions", in: .house) { step in
            for area in step.site.partitions
            where !area.policy.commonAreaOf.isEmpty && step.before(area).phase == .disarmed {
                step.undo(area)
            }
        },
        SeededFault("I18", "a common area stays armed when one of its partitions is disarmed", in: .house) { step in
            for area in step.site.partitions where step.followsDisarm(area) { step.undo(area) }
        },
    ]

    // MARK: What is stored and told

    static let telling = [
        SeededFault("T45", "a mode is stored as another one", in: .house) { step in
            guard step.armed != nil else { return }
            // A custom mode of that name reads back as the fixed one.
            step.editEach { step, _, _, after in
                after.sessions = [ArmedSession(mode: .custom(name: "away"), from: step.at)]
            }
        },
        SeededFault("I21", "an event is lost", in: .house) { step in
            let lost = step.effects.firstIndex { if case .event(_, .armingStateChanged) = $0 { true } else { false } }
            if let lost { step.effects.remove(at: lost) }
        },
        SeededFault("I21", "an alarm is not told", in: .dangers) { step in step.hushAlarms() },
        SeededFault("I22", "a change is not explained", in: .house) { step in
            for (index, effect) in step.effects.enumerated() {
                guard case .change(var change) = effect else { continue }
                change.explanation = ""
                step.effects[index] = .change(change)
            }
        },
        SeededFault("I22", "a change has no entry in the history", in: .house) { step in
            step.effects.removeAll { if case .change = $0 { true } else { false } }
        },
    ]
}
