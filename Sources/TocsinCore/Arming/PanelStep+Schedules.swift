import TocsinJSON

/// What the design leaves to numbers (design, arming: schedules).
enum ScheduleTiming {
    /// A run later than this was not on time: it happens now, with its own delays, and is told as late.
    static let promptness: Duration = .seconds(5)
    /// What is as late as this or later is not made up for.
    static let lateLimit: Duration = .seconds(15 * 60)
    static let retryInterval: Duration = .seconds(60)
    static let retryTime: Duration = .seconds(10 * 60)
}

extension PanelStep {
    // MARK: Planning

    /// Brings what is planned in line with the rules, which may have changed: at once, without a run of the past.
    mutating func planSchedules() {
        let isOurs = site.site.armingModel == .platformTriggered
        let rules = isOurs ? site.schedules : []
        let known = Set(rules.map(\.id))
        state.schedules = state.schedules.filter { known.contains($0.key) }
        for rule in rules { replan(rule) }
    }

    private mutating func replan(_ rule: Schedule) {
        let definition = rule.definition(in: timeZone)
        guard var planned = state.schedules[rule.id], planned.definition == definition else {
            // A rule that is changed in the second in which it is due is due all the same.
            let start = now + lateness
            let before = state.schedules[rule.id]
            var fresh = ScheduleState(definition: definition)
            fresh.handledThrough = before?.handledThrough.map { max($0, start - ScheduleTiming.promptness) } ?? start
            // A run at another time is another one.
            fresh.skipped = before?.skipped.flatMap { skipped in
                next(rule, after: skipped.occurrence - .milliseconds(1)) == skipped.occurrence ? skipped : nil
            }
            plan(rule, &fresh)
            return
        }
        // The rule is the same; the holidays may not be.
        let start = max(now, planned.handledThrough ?? now)
        let isStanding =
            if let occurrence = planned.occurrence, occurrence <= start {
                next(rule, after: occurrence - .milliseconds(1)) == occurrence
            } else {
                next(rule, after: start) == planned.occurrence
            }
        if isStanding { return }
        planned.handledThrough = start
        plan(rule, &planned)
    }

    private func next(_ rule: Schedule, after instant: Instant) -> Instant? {
        rule.next(after: instant, holidays: site.holidays, zone: timeZone)?.at
    }

    /// Plans the first occurrence that was not handled.
    private mutating func plan(_ rule: Schedule, _ planned: inout ScheduleState) {
        planned.retryUntil = nil
        planned.exitRetryUntil = nil
        planned.lateSince = nil
        planned.occurrence = next(rule, after: planned.handledThrough ?? now)
        planned.dueAt = planned.occurrence
        planned.warnAt = planned.dueAt.flatMap { warning(of: rule, before: $0) }
        state.schedules[rule.id] = planned
    }

    /// When people are to be warned of a run; at once if that time is over.
    private func warning(of rule: Schedule, before due: Instant) -> Instant? {
        rule.warningMinutes > 0 ? max(now, due - .seconds(rule.warningMinutes * 60)) : nil
    }

    /// The occurrence is done with: it never comes again.
    mutating func advance(_ rule: Schedule) {
        guard var planned = state.schedules[rule.id] else { return }
        planned.handledThrough = planned.occurrence ?? now
        planned.skipped = nil
        plan(rule, &planned)
    }

    /// Leaves the planned occurrence out: whatever was still to be tried of it is not.
    mutating func skip(_ rule: Schedule, _ occurrence: Instant) {
        guard let planned = state.schedules[rule.id] else { return }
        // While the partner is asked nothing is due; the attempt is under way now.
        let asked = planned.dueAt ?? now + PendingCommand.patience
        let until = [occurrence, asked, planned.retryUntil].compactMap(\.self).max() ?? occurrence
        advance(rule)
        state.schedules[rule.id]?.skipped = SkippedRun(occurrence: occurrence, until: until)
    }

    // MARK: Deadlines

    /// Warns of and runs what is due at this step's instant, in the order of the rules' ids.
    mutating func runSchedules() {
        let due = state.schedules.filter { $0.value.nextDeadline == now }.keys.sorted()
        for id in due {
            guard let rule = site.schedules.first(where: { $0.id == id }),
                state.schedules[id]?.definition == rule.definition(in: timeZone),
                let partition = site.partition(of: rule)
            else {
                planAnew(id)
                continue
            }
            if state.schedules[id]?.warnAt == now { warn(of: rule, partition) }
            if state.schedules[id]?.dueAt == now { run(rule, partition) }
        }
    }

    /// The rule was changed or taken away since it was planned, or has nothing to arm.
    private mutating func planAnew(_ id: ScheduleID) {
        guard let rule = site.schedules.first(where: { $0.id == id }),
            site.partition(of: rule) != nil
        else {
            state.schedules[id] = nil
            return
        }
        replan(rule)
    }

    /// Tells people that they are about to be armed in (T38).
    private mutating func warn(of rule: Schedule, _ partition: Partition) {
        state.schedules[rule.id]?.warnAt = nil
        guard let due = state.schedules[rule.id]?.dueAt, due > now + lateness, !isDone(rule, partition) else { return }
        let clock = TimeOfDay(minutes: timeZone.local(of: due).secondOfDay / 60).text
        let body = ArmingWarning(
            siteID: site.site.id,
            partitionID: partition.id,
            scheduleID: rule.id,
            mode: rule.action.modeWord,
            at: due,
            postponableUntil: postponementLimit(of: rule),
            message: "\(partition.name) \(rule.action.future) at \(clock) by the schedule “\(rule.name)”"
        )
        emit(.armingWarning(body), partition)
        effects.append(.notice(NoticeDraft(body, site: site.site, partition: partition)))
        note(partition, "schedule.warning", body.message)
    }

    /// Whether the rule would change nothing now.
    private func isDone(_ rule: Schedule, _ partition: Partition) -> Bool {
        switch (rule.action, self[partition].phase) {
        case (.arm(let mode), .armed(let current)): mode == current
        case (.disarm, .disarmed): true
        case (.arm, .disarmed), (.arm, .arming), (.arm, .entry), (.disarm, .arming), (.disarm, .armed),
            (.disarm, .entry), (.activate, _):
            false
        }
    }

    /// Until when the planned run may be postponed.
    func postponementLimit(of rule: Schedule) -> Instant? {
        guard let occurrence = state.schedules[rule.id]?.occurrence else { return nil }
        let found = rule.next(after: occurrence - .milliseconds(1), holidays: site.holidays, zone: timeZone)
        let latest = found.flatMap { rule.latest(for: $0, holidays: site.holidays, zone: timeZone) }
        return latest ?? occurrence + .seconds(Schedule.postponeMinutes.upperBound * 60)
    }

    // MARK: Runs

    private mutating func run(_ rule: Schedule, _ partition: Partition) {
        if lateness >= ScheduleTiming.lateLimit {
            missed(rule, partition)
            return
        }
        if lateness > ScheduleTiming.promptness {
            // Nobody was told of the delays that would have run since: they begin when it is really done.
            let since = state.schedules[rule.id]?.lateSince ?? now
            state.schedules[rule.id]?.lateSince = since
            state.schedules[rule.id]?.dueAt = now + lateness
            return
        }
        let before = cause
        cause = .schedule
        switch rule.action {
        case .arm(let mode): arm(rule, partition, mode)
        case .disarm: disarm(rule, partition)
        case .activate(let relay, let seconds): activate(relay, seconds, rule, partition)
        }
        cause = before
    }

    /// Arms as a command would, with the rule as who asks (T39).
    private mutating func arm(_ rule: Schedule, _ partition: Partition, _ mode: ArmingMode) {
        if let armed = self[partition].phase.guardingMode, mode.guardsLess(than: armed) {
            return refuseStepDown(rule, partition, from: armed, to: mode)
        }
        let request = ArmingCommand.ArmRequest(mode: mode, force: rule.forceArm)
        // On a copy, because a failure is told at the first attempt only; it leaves nothing else behind (I7).
        var attempt = self
        let result = attempt.arm(request, [partition], by: rule.attribution, rights: CommandRights())
        if asksPartner, result == .success(false) { return ask(.arm(request), rule, partition) }
        conclude(result, attempt, rule, partition)
    }

    /// A lesser mode needs somebody's code (T08), which no rule has: told once, for trying again changes nothing.
    private mutating func refuseStepDown(
        _ rule: Schedule,
        _ partition: Partition,
        from armed: ArmingMode,
        to wanted: ArmingMode
    ) {
        let need = "needs a user code, which a schedule has not"
        let words = "is armed \(armed.wireName), and going to \(wanted.wireName) \(need)"
        announceFailure(of: rule, partition, "it \(words)", [])
        advance(rule)
    }

    private mutating func conclude(
        _ result: Result<Bool, CommandRefusal>,
        _ attempt: PanelStep,
        _ rule: Schedule,
        _ partition: Partition
    ) {
        let retryUntil = state.schedules[rule.id]?.retryUntil
        switch result {
        case .success(let isUnchanged):
            self = attempt
            let words = isUnchanged ? "found \(partition.name) armed so already" : "arms \(partition.name)"
            note(partition, "schedule.run", "The schedule “\(rule.name)” \(words)\(lateWords(rule))")
            advance(rule)
            if !isUnchanged, self[partition].phase.isArming {
                state.schedules[rule.id]?.exitRetryUntil = retryUntil ?? now + ScheduleTiming.retryTime
            }
        case .failure(let refusal):
            if retryUntil == nil { self = attempt }
            let limit = retryUntil ?? now + ScheduleTiming.retryTime
            if now + ScheduleTiming.retryInterval <= limit {
                state.schedules[rule.id]?.retryUntil = limit
                state.schedules[rule.id]?.dueAt = now + ScheduleTiming.retryInterval
            } else {
                gaveUp(rule, partition, refusal.reasons)
                advance(rule)
            }
        }
    }

    /// An arming that a rule began failed in its exit delay: the rule is not done with yet.
    mutating func scheduledArmingFailed(_ partition: Partition, by: Attribution, _ reasons: [ArmFailureReason]) {
        guard by.source == .schedule, let id = by.userID.map(ScheduleID.init(stored:)),
            let rule = site.schedules.first(where: { $0.id == id }), var planned = state.schedules[id],
            let limit = planned.exitRetryUntil
        else { return }
        planned.exitRetryUntil = nil
        let again = now + ScheduleTiming.retryInterval
        if again <= limit {
            planned.occurrence = planned.handledThrough
            planned.dueAt = again
            planned.warnAt = nil
            planned.retryUntil = limit
            state.schedules[id] = planned
        } else {
            state.schedules[id] = planned
            gaveUp(rule, partition, reasons)
        }
    }

    private mutating func gaveUp(_ rule: Schedule, _ partition: Partition, _ reasons: [ArmFailureReason]) {
        announceFailure(of: rule, partition, "\(reasons.summary); tried for 10 minutes", reasons)
        // Armed in another mode the premises are closed all the same.
        if self[partition].phase.guardingMode == nil {
            except(
                .failToClose,
                partition,
                "\(partition.name) could not be closed by “\(rule.name)”",
                by: rule.attribution
            )
        }
    }

    /// Disarms, unless that would hide something that somebody must look at (T40).
    private mutating func disarm(_ rule: Schedule, _ partition: Partition) {
        let current = self[partition]
        let obstacle: String? =
            switch current.phase {
            case .disarmed: nil
            case .arming: "is being armed"
            case .entry: "is in its entry delay"
            // A silent alarm changes nothing that could be seen (I17).
            case .armed: current.incidents.allSatisfy(\.isSilent) ? nil : "has an open alarm"
            }
        if let obstacle {
            note(
                partition,
                "schedule.skipped",
                "The schedule “\(rule.name)” did not disarm \(partition.name), because it \(obstacle)"
            )
        } else if current.phase == .disarmed {
            note(partition, "schedule.run", "The schedule “\(rule.name)” found \(partition.name) disarmed already")
        } else if asksPartner {
            return ask(.disarm, rule, partition)
        } else {
            disarm(partition, by: rule.attribution, isDuress: false)
            note(
                partition,
                "schedule.run",
                "The schedule “\(rule.name)” disarms \(partition.name)\(lateWords(rule))"
            )
        }
        advance(rule)
    }

    /// Switches a relay on; one that is gone is told of, because somebody counts on it.
    private mutating func activate(_ id: RelayID, _ seconds: Int, _ rule: Schedule, _ partition: Partition) {
        if let relay = site.relay(id) {
            activate(relay, seconds: seconds, .schedule(rule.id), "The schedule “\(rule.name)”")
        } else {
            announceFailure(of: rule, partition, "the site has no relay \(id) any more", [])
        }
        advance(rule)
    }

    // MARK: The partner's word

    /// Puts a run to the partner; until that is settled the rule has nothing due.
    private mutating func ask(_ action: PendingCommand.Action, _ rule: Schedule, _ partition: Partition) {
        guard let occurrence = state.schedules[rule.id]?.occurrence else { return }
        let run = PendingCommand.ScheduledRun(schedule: rule.id, occurrence: occurrence)
        let pending = newPending(action, [partition], by: rule.attribution, run: run)
        state.schedules[rule.id]?.dueAt = nil
        if state.pendingCommands.count < PendingCommand.maximumPerSite {
            state.pendingCommands.append(pending)
        } else {
            settle(pending, .unreachable("too many commands wait for it already"))
        }
    }

    /// Carries out, or fails, a run that waited, unless its rule was changed or the run skipped in the meantime.
    mutating func settleRun(
        _ run: PendingCommand.ScheduledRun,
        _ pending: PendingCommand,
        _ answer: PartnerAnswer,
        _ targets: [Partition]
    ) {
        guard let partition = targets.first else { return }
        guard let rule = site.schedules.first(where: { $0.id == run.schedule }),
            let planned = state.schedules[run.schedule], planned.occurrence == run.occurrence, planned.dueAt == nil
        else {
            note(partition, "schedule.skipped", "A run was changed or skipped while the partner was asked about it")
            return
        }
        // Told once, as every failure of a run is; that the partner was not reached is told each time.
        let isFirst = planned.retryUntil == nil
        if let refusal = refusal(of: pending, answer, targets, isTold: isFirst) {
            return conclude(.failure(refusal), self, rule, partition)
        }
        switch rule.action {
        case .arm(let mode): arm(rule, partition, mode)
        case .disarm: disarm(rule, partition)
        // Nobody is asked about a relay.
        case .activate: break
        }
    }

    /// The server was down for too long: told, not made up for.
    private mutating func missed(_ rule: Schedule, _ partition: Partition) {
        let minutes = lateness.milliseconds / 60_000
        announceFailure(
            of: rule,
            partition,
            "it was due \(minutes) minutes before the server ran again, and was not carried out",
            []
        )
        advance(rule)
    }

    private mutating func announceFailure(
        of rule: Schedule,
        _ partition: Partition,
        _ words: String,
        _ reasons: [ArmFailureReason]
    ) {
        let body = ScheduleFailed(
            siteID: site.site.id,
            partitionID: partition.id,
            scheduleID: rule.id,
            action: rule.action.wireName,
            dueAt: lastDue(rule) ?? now,
            message: "The schedule “\(rule.name)” of \(partition.name): \(words)",
            reasons: reasons
        )
        emit(.scheduleFailed(body), partition)
        note(partition, "schedule.failed", body.message)
    }

    /// The occurrence that is or was being carried out.
    private func lastDue(_ rule: Schedule) -> Instant? {
        guard let planned = state.schedules[rule.id] else { return nil }
        return planned.occurrence.map { $0 <= now ? $0 : planned.handledThrough ?? $0 }
    }

    private func lateWords(_ rule: Schedule) -> String {
        guard let since = state.schedules[rule.id]?.lateSince else { return "" }
        return ", \((now - since).milliseconds / 1000) s late because the server was not running"
    }
}

extension Schedule {
    /// Who arms or disarms when the rule does.
    package var attribution: Attribution { Attribution(userID: id.text, name: name, source: .schedule) }

    /// Tells whether what is planned stands on this rule: a hash of everything that decides when it runs and what it does.
    func definition(in zone: TimeZoneRules) -> Int64 {
        // FNV-1a: stable from one start of the program to the next, which Swift's own hashes are not.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in JSON.object(settings).bytes + Array(zone.name.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return Int64(bitPattern: hash)
    }
}

extension Schedule.Action {
    /// As events and lists name it: `arm_away`, …, `disarm`.
    package var wireName: String {
        switch self {
        case .arm(let mode): "arm_\(ModeName(mode).rawValue)"
        case .disarm: "disarm"
        case .activate: "activate"
        }
    }

    /// The `mode` of a warning.
    fileprivate var modeWord: String {
        switch self {
        case .arm(let mode): mode.wireName
        case .disarm: "disarmed"
        case .activate: "activated"
        }
    }

    fileprivate var future: String {
        switch self {
        case .arm(let mode): "will be armed (\(mode.wireName))"
        case .disarm: "will be disarmed"
        case .activate: "will have a relay switched on"
        }
    }
}

extension CommandRefusal {
    /// What stood against the command, where it was zones or rights.
    fileprivate var reasons: [ArmFailureReason] {
        switch self {
        case .armFailed(let reasons), .notPermitted(let reasons): reasons
        case .partnerUnreachable: [.partnerSilent]
        case .unknownPartition, .versionConflict, .invalidCode, .codeLocked, .impossible: []
        }
    }
}

extension NoticeDraft {
    /// Tells that an arming by schedule is near, and until when it may be postponed.
    fileprivate init(_ warning: ArmingWarning, site: Site, partition: Partition) {
        var text = "\(warning.message).\nWhoever is still there: leave, or postpone it."
        if let until = warning.postponableUntil { text += "\nIt may be postponed until \(until.rfc3339Seconds)." }
        self.init(
            kind: .armingWarning,
            partitionID: partition.id,
            subject: "\(site.name): \(warning.message)",
            text: text
        )
    }
}
