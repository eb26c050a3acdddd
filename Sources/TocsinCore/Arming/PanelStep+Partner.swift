/// What asking the partner first comes to (decisions §5).
enum CommandVerdict {
    /// Carried out, or so already.
    case done(isUnchanged: Bool)
    /// Recorded, and put to the partner under this id.
    case pending(EventID)
}

extension PanelStep {
    /// Carries an arm or disarm out, or records it to be put to the partner.
    ///
    /// Our own checks come first, on a copy: what they refuse, and what is so already, the partner is not asked about.
    mutating func decide(
        _ action: PendingCommand.Action,
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights,
        isDuress: Bool = false
    ) -> Result<CommandVerdict, CommandRefusal> {
        var attempt = self
        let result = attempt.perform(action, targets, by: by, rights: rights, isDuress: isDuress)
        guard asksPartner, case .success(let isUnchanged) = result, !isUnchanged || overtakes(action, targets) else {
            self = attempt
            return result.map { .done(isUnchanged: $0) }
        }
        let pending = newPending(action, targets, by: by, holder: rights.user?.id, isDuress: isDuress)
        guard state.pendingCommands.count < PendingCommand.maximumPerSite else {
            let words = "\(PendingCommand.maximumPerSite) commands wait for it already"
            return conclude(pending, .unreachable(words), targets, rights).map { .done(isUnchanged: $0) }
        }
        state.pendingCommands.append(pending)
        return .success(.pending(pending.id))
    }

    private mutating func perform(
        _ action: PendingCommand.Action,
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights,
        isDuress: Bool
    ) -> Result<Bool, CommandRefusal> {
        switch action {
        case .arm(let request): arm(request, targets, by: by, rights: rights)
        case .disarm: disarm(targets, by: by, rights: rights, isDuress: isDuress)
        }
    }

    /// Disarming what is disarmed is not nothing while an arming waits for its answer.
    private func overtakes(_ action: PendingCommand.Action, _ targets: [Partition]) -> Bool {
        action == .disarm && state.pendingCommands.contains { $0.isArm && $0.concerns(targets) }
    }

    mutating func newPending(
        _ action: PendingCommand.Action,
        _ targets: [Partition],
        by: Attribution,
        holder: UserID? = nil,
        isDuress: Bool = false,
        run: PendingCommand.ScheduledRun? = nil
    ) -> PendingCommand {
        let arrived = now + lateness
        state.commandsAsked += 1
        // The time, the site's own count and a hash of its id: no two commands have the same, and nothing is drawn.
        let random = (high: UInt16(truncatingIfNeeded: state.commandsAsked), low: site.site.id.text.stableHash)
        return PendingCommand(
            id: EventID(at: arrived, random: random),
            action: action,
            partitions: targets.map(\.id),
            by: by,
            holder: holder,
            isDuress: isDuress,
            run: run,
            receivedAt: arrived,
            expiresAt: arrived + PendingCommand.patience
        )
    }

    // MARK: Settling

    /// Decides a waiting command by the state as it is now; all that the partner's answer does is to allow it or not.
    mutating func settle(_ pending: PendingCommand, _ answer: PartnerAnswer) {
        state.pendingCommands.removeAll { $0.id == pending.id }
        let before = (cause, asksPartner, isDuress)
        (cause, asksPartner, isDuress) = (pending.run == nil ? .command : .schedule, false, pending.isDuress)
        let targets = site.partitions.filter { pending.partitions.contains($0.id) }
        if let run = pending.run {
            settleRun(run, pending, answer, targets)
        } else {
            let rights = CommandRights(user: pending.holder.flatMap { id in site.users.first { $0.id == id } })
            let result = conclude(pending, answer, targets, rights)
            if case .failure = result { giveBackUse(of: rights.user) }
            settled.append(settlement(of: pending, targets, result))
        }
        settleCommonAreas()
        (cause, asksPartner, isDuress) = before
    }

    private mutating func conclude(
        _ pending: PendingCommand,
        _ answer: PartnerAnswer,
        _ targets: [Partition],
        _ rights: CommandRights
    ) -> Result<Bool, CommandRefusal> {
        guard !targets.isEmpty else { return .failure(.unknownPartition(.all)) }
        if pending.holder != nil, rights.user == nil { return .failure(.notPermitted([.codeGone])) }
        if let refusal = refusal(of: pending, answer, targets) { return .failure(refusal) }
        let result = perform(
            pending.action,
            targets,
            by: pending.by,
            rights: rights,
            isDuress: pending.isDuress
        )
        if case .success = result, pending.action == .disarm { overtakeArmings(before: pending, targets) }
        return result
    }

    /// What the answer stands against: an arming only, for a disarm goes through whatever the partner says.
    mutating func refusal(
        of pending: PendingCommand,
        _ answer: PartnerAnswer,
        _ targets: [Partition],
        isTold: Bool = true
    ) -> CommandRefusal? {
        let told = isTold ? targets : []
        switch (pending.action, answer) {
        case (_, .accepted): return nil
        case (.arm(let request), .rejected(let reasons)):
            for partition in told { announceFailure(of: request.mode, reasons, in: partition, by: pending.by) }
            return .armFailed(reasons)
        case (.arm(let request), .unreachable(let words)):
            for partition in told {
                announceFailure(of: request.mode, [.partnerSilent], in: partition, by: pending.by)
            }
            syncFailed(pending, "partner_unreachable", "The partner was not reached: \(words)", targets)
            return .partnerUnreachable
        case (.disarm, .rejected(let reasons)):
            let words = reasons.map { $0.message.replacingPrefix("Cannot arm - ") }.joined(separator: "; ")
            syncFailed(
                pending,
                "partner_rejected",
                "The partner rejected a disarm that went through: \(words)",
                targets
            )
            return nil
        case (.disarm, .unreachable(let words)):
            syncFailed(
                pending,
                "partner_unreachable",
                "The partner was not reached for a disarm that went through: \(words)",
                targets
            )
            return nil
        }
    }

    private mutating func syncFailed(
        _ pending: PendingCommand,
        _ reason: String,
        _ message: String,
        _ targets: [Partition]
    ) {
        guard let first = targets.first else { return }
        let body = SyncFailed(
            siteID: site.site.id,
            partitionID: targets.count == 1 ? first.id : nil,
            command: pending.action.wireName,
            commandID: pending.id,
            reason: reason,
            message: message
        )
        emit(.syncFailed(body), first)
        note(first, "sync.failed", message)
    }

    /// Whoever disarms means the armings too that were asked for before and still wait.
    private mutating func overtakeArmings(before pending: PendingCommand, _ targets: [Partition]) {
        let reason = ArmFailureReason.overtaken(by: pending.by.words)
        for waiting in state.pendingCommands where waiting.id < pending.id && waiting.concerns(targets) {
            guard case .arm(let request) = waiting.action, waiting.run == nil else { continue }
            state.pendingCommands.removeAll { $0.id == waiting.id }
            let partitions = site.partitions.filter { waiting.partitions.contains($0.id) }
            for partition in partitions {
                announceFailure(of: request.mode, [reason], in: partition, by: waiting.by)
            }
            giveBackUse(of: waiting.holder.flatMap { id in site.users.first { $0.id == id } })
            settled.append(settlement(of: waiting, partitions, .failure(.armFailed([reason]))))
        }
    }

    /// A use of a limited code counts when the command comes, so that it cannot be used twice while the first one waits.
    private mutating func giveBackUse(of user: SiteUser?) {
        guard let user, user.maximumUses != nil, let uses = state.codeUses[user.id], uses > 0 else { return }
        state.codeUses[user.id] = uses - 1
    }

    private func settlement(
        of pending: PendingCommand,
        _ targets: [Partition],
        _ result: Result<Bool, CommandRefusal>
    ) -> SettledCommand {
        var outcome = CommandOutcome(
            answer: .failure(.partnerUnreachable),
            deadlineEffects: [],
            effects: [],
            by: pending.by,
            explanation: ""
        )
        outcome.tell(result.map { .done(isUnchanged: $0) }, pending.action.words(pending.by, targets), targets)
        return SettledCommand(id: pending.id, outcome: outcome)
    }

    // MARK: Deadlines

    /// Commands whose time is over at this instant, and disarms that would come after the alarm that they are to prevent:
    /// a disarm that was received before the end of the entry delay wins, and the partner cannot stop it anyway.
    mutating func runPartnerDeadlines() {
        for pending in state.pendingCommands {
            guard state.pendingCommands.contains(where: { $0.id == pending.id }) else { continue }
            let isEntryOver = pending.partitions.contains { state.partitions[$0]?.countdown?.deadline == now }
            if pending.expiresAt == now {
                let isStale = now + lateness - pending.receivedAt >= PendingCommand.resendLimit
                let patience = PendingCommand.patience.milliseconds / 1000
                settle(
                    pending,
                    .unreachable(isStale ? "the server was not running" : "no usable answer within \(patience) s")
                )
            } else if pending.action == .disarm, pending.run == nil, isEntryOver {
                settle(pending, .unreachable("the entry delay ended before it answered"))
            }
        }
    }
}

extension SiteMachine {
    /// Takes the partner's answer to a waiting command; one that waits no longer is nobody's.
    package mutating func partnerAnswered(
        _ id: EventID,
        _ answer: PartnerAnswer,
        receivedAt: Instant
    ) -> AnswerOutcome {
        let deadlineEffects = deadlinesReached(by: receivedAt)
        guard let pending = state.pendingCommands.first(where: { $0.id == id }) else {
            return AnswerOutcome(deadlineEffects: deadlineEffects, effects: [])
        }
        var step = step(at: receivedAt, .command)
        step.settle(pending, answer)
        take(step)
        return AnswerOutcome(deadlineEffects: deadlineEffects, effects: step.effects)
    }

    /// A waiting command is being sent now: its time begins anew, also where it was sent before a restart.
    ///
    /// One that is too old keeps its deadline, which is over: it fails as unreachable, a disarm goes through (decisions §5).
    package mutating func sendsCommand(_ id: EventID, at now: Instant) {
        for index in state.pendingCommands.indices where state.pendingCommands[index].id == id {
            if now - state.pendingCommands[index].receivedAt >= PendingCommand.resendLimit { continue }
            state.pendingCommands[index].expiresAt = now + PendingCommand.patience
        }
    }
}

extension PendingCommand {
    fileprivate var isArm: Bool {
        if case .arm = action { true } else { false }
    }

    fileprivate func concerns(_ targets: [Partition]) -> Bool { targets.contains { partitions.contains($0.id) } }
}

extension PendingCommand.Action {
    func words(_ by: Attribution, _ targets: [Partition]) -> String {
        let names = targets.map(\.name).joined(separator: ", ")
        return switch self {
        case .arm(let request): "\(by.words) armed \(names) in \(request.mode.wireName)"
        case .disarm: "\(by.words) disarmed \(names)"
        }
    }
}

extension CommandOutcome {
    /// Says what a command came to, in words too.
    mutating func tell(
        _ result: Result<CommandVerdict, CommandRefusal>,
        _ words: String,
        _ targets: [Partition]
    ) {
        explanation = words
        switch result {
        case .success(let verdict):
            var reply = CommandReply(partitions: targets.map(\.id), isUnchanged: false, pending: nil)
            switch verdict {
            case .done(let isUnchanged):
                reply.isUnchanged = isUnchanged
                if isUnchanged { explanation += ": that was so already" }
            case .pending(let id):
                reply.pending = id
                explanation += ": the partner is asked first"
            }
            answer = .success(reply)
        case .failure(let refusal):
            answer = .failure(refusal)
            explanation = refusal.words(by)
        }
    }
}

extension ArmFailureReason {
    fileprivate static let codeGone = Self.notPermitted(
        "not_permitted_action",
        "The code was taken away while the partner was asked",
        remedy: "Use another code"
    )
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }

    /// FNV-1a: stable from one start of the program to the next, which Swift's own hashes are not.
    fileprivate var stableHash: UInt64 {
        utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
