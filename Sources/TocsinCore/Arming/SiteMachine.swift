/// The arming machine of a site: a partner's reports in order, and everything that Tocsin decides itself.
///
/// Pure: it knows no clock and draws nothing; every input brings the time. What follows from an input are effects, in
/// order, for the shell to store and do.
package struct SiteMachine: Sendable {
    package let configuration: SiteConfiguration
    package let timeZone: TimeZoneRules
    /// Whether the partner is asked before anything is armed or disarmed (decisions §5).
    package let asksPartner: Bool
    package internal(set) var state: SiteState
    /// Commands that waited for the partner and were decided since the last time somebody took them.
    package private(set) var settled: [SettledCommand] = []

    package init(
        configuration: SiteConfiguration,
        state: SiteState,
        timeZone: TimeZoneRules = .utc,
        asksPartner: Bool = false
    ) {
        self.configuration = configuration
        self.timeZone = timeZone
        self.asksPartner = asksPartner
        self.state = state
        for partition in configuration.partitions where self.state.partitions[partition.id] == nil {
            self.state.partitions[partition.id] = PartitionState(since: configuration.site.createdAt)
        }
    }

    /// What is stored now changes nothing that anybody sees.
    package mutating func looked() { state.looks += 1 }

    func step(at now: Instant, lateness: Duration = .zero, _ cause: PanelStep.Cause) -> PanelStep {
        var step = PanelStep(
            site: configuration,
            timeZone: timeZone,
            now: now,
            lateness: lateness,
            cause: cause,
            state: state
        )
        step.asksPartner = asksPartner
        return step
    }

    mutating func take(_ step: PanelStep) {
        state = step.state
        settled += step.settled
    }

    /// Hands out who waits no longer.
    package mutating func takeSettled() -> [SettledCommand] {
        defer { settled = [] }
        return settled
    }

    // MARK: Deadlines

    /// Lets everything that ends at or before `now` end, in the order of the deadlines (T45, I14).
    package mutating func deadlinesReached(by now: Instant) -> [ArmingEffect] {
        var effects: [ArmingEffect] = []
        while let due = state.nextDeadline, due <= now {
            var step = step(at: due, lateness: now - due, .deadline)
            step.runDeadlines()
            effects += step.effects
            // What is no longer configured, or was not ended by its rule, must not keep the loop alive.
            if step.state == state {
                step.state.forgetStrangers(to: configuration)
                if step.state == state { break }
            }
            take(step)
        }
        return effects
    }

    // MARK: Commands

    /// Carries out a command, or refuses it; what fell due before it arrived happens first (design, time).
    ///
    /// - Parameters:
    ///   - command: Its code is checked whatever else stands against it: duress is never lost (decisions §5).
    ///   - isStale: Whether the caller has seen another version of the site than the present one.
    ///   - receivedAt: When the request's last byte was read.
    /// - Returns: The answer, and what follows.
    package mutating func command(
        _ command: ArmingCommand,
        isStale: Bool = false,
        receivedAt: Instant
    ) -> CommandOutcome {
        let deadlineEffects = deadlinesReached(by: receivedAt)
        let named = targets(of: command.target)
        let targets = named.isEmpty ? configuration.partitions : named
        var outcome = CommandOutcome(
            answer: .failure(.unknownPartition(command.target)),
            deadlineEffects: deadlineEffects,
            effects: [],
            by: command.by,
            explanation: "The command names a partition that the site does not have"
        )
        if isStale {
            outcome.answer = .failure(.versionConflict)
            outcome.explanation = "The site has changed since the version that the command names"
        }
        let isPossible = !isStale && !named.isEmpty
        let cause: PanelStep.Cause = command.by.source == .schedule ? .schedule : .command
        var step = step(at: receivedAt, cause)
        switch step.check(command.authority, for: targets) {
        case .locked(let until, let duress):
            outcome.answer = .failure(.codeLocked(until: until))
            outcome.explanation = "The source is locked out after too many wrong codes"
            if let duress { step.raiseDuress(by: duress, in: targets) }
        case .invalid(let duress):
            outcome.answer = .failure(.invalidCode)
            outcome.explanation = "The code is missing, unknown or not good now"
            if let duress { step.raiseDuress(by: duress, in: targets) }
        case .trusted:
            if isPossible { step.carryOut(command, targets, by: command.by, rights: CommandRights(), &outcome) }
        case .holder(let user, let isDuress):
            step.isDuress = isDuress
            let by = Attribution(userID: user.id.text, name: user.name, source: command.by.source)
            outcome.by = by
            if isPossible {
                step.carryOut(command, targets, by: by, rights: CommandRights(user: user), isDuress: isDuress, &outcome)
            }
            if user.maximumUses != nil, case .success = outcome.answer { step.state.codeUses[user.id, default: 0] += 1 }
            if isDuress { step.raiseDuress(by: user, in: targets) }
        }
        step.settleCommonAreas()
        take(step)
        outcome.effects = step.effects
        return outcome
    }

    /// Hears the code of a command that was refused for its form or its key: one for duress raises the silent alarm.
    ///
    /// - Parameters:
    ///   - hash: The code's keyed hash.
    ///   - target: Where the command was meant for, as far as it can be read.
    ///   - receivedAt: When the request's last byte was read; what fell due before has happened.
    /// - Returns: What follows.
    package mutating func hear(_ hash: String, for target: PartitionTarget, receivedAt: Instant) -> [ArmingEffect] {
        let named = targets(of: target)
        var step = step(at: receivedAt, .command)
        step.hear(hash, for: named.isEmpty ? configuration.partitions : named)
        step.settleCommonAreas()
        take(step)
        return step.effects
    }

    /// The partitions that a command is about: all of them, but common areas follow by themselves.
    private func targets(of target: PartitionTarget) -> [Partition] {
        let named = configuration.partitions.filter { target.covers($0) }
        return target == .all ? named.filter(\.policy.commonAreaOf.isEmpty) : named
    }

    // MARK: Signals

    /// Takes what zones and devices report, in any order (decisions §6, §14).
    ///
    /// - Parameters:
    ///   - signals: At most one request's.
    ///   - known: Ids of signals that the ledger has seen on this site before.
    ///   - receivedAt: When the request's last byte was read.
    /// - Returns: One answer per signal, and what follows.
    package mutating func signals(_ signals: [Signal], known: Set<String>, receivedAt: Instant) -> SignalOutcome {
        let deadlineEffects = deadlinesReached(by: receivedAt)
        var step = step(at: receivedAt, .signal)
        let answers = step.take(signals, known: known)
        step.settleCommonAreas()
        take(step)
        return SignalOutcome(answers: answers, deadlineEffects: deadlineEffects, effects: step.effects)
    }

    /// The device of zones went offline past the debounce, or came back (T44).
    package mutating func device(_ device: DeviceID, isOffline: Bool, at now: Instant) -> [ArmingEffect] {
        var effects = deadlinesReached(by: now)
        var step = step(at: now, .signal)
        for zone in configuration.zones where zone.deviceID == device {
            let wasOffline = step.state.zones[zone.id]?.isOffline ?? false
            if isOffline == wasOffline { continue }
            // What the zone said last stands; once its device is back it is that again.
            step.state.zones[zone.id, default: ZoneState()].isOffline = isOffline
            if isOffline { step.wentUnknown(zone) } else { step.calmedDown(zone) }
        }
        state = step.state
        effects += step.effects
        return effects
    }
}

extension PanelStep {
    fileprivate mutating func carryOut(
        _ command: ArmingCommand,
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights,
        isDuress: Bool = false,
        _ outcome: inout CommandOutcome
    ) {
        let names = targets.map(\.name).joined(separator: ", ")
        let result: Result<CommandVerdict, CommandRefusal>
        let words: String
        switch command.action {
        case .arm(let request):
            let action = PendingCommand.Action.arm(request)
            words = action.words(by, targets)
            result = decide(action, targets, by: by, rights: rights, isDuress: isDuress)
        case .disarm:
            words = PendingCommand.Action.disarm.words(by, targets)
            result = decide(.disarm, targets, by: by, rights: rights, isDuress: isDuress)
        case .skipExit:
            words = "\(by.words) ended the exit delay of \(names)"
            result = skipExit(targets, rights: rights).map { .done(isUnchanged: $0) }
        case .quickExit:
            words = "\(by.words) leaves \(names) by a quick exit"
            result = quickExit(targets, by: by, rights: rights).map { .done(isUnchanged: $0) }
        case .silence:
            words = "\(by.words) silenced \(names)"
            result = silence(targets, by: by, rights: rights).map { .done(isUnchanged: $0) }
        }
        outcome.by = by
        outcome.tell(result, words, targets)
    }
}

extension CommandRefusal {
    func words(_ by: Attribution) -> String {
        switch self {
        case .armFailed(let reasons): "\(by.words): \(reasons.summary)"
        case .notPermitted(let reasons): "\(by.words): \(reasons.map(\.message).joined(separator: "; "))"
        case .impossible(let message): message
        case .invalidCode, .codeLocked, .unknownPartition, .versionConflict, .partnerUnreachable:
            "The command was refused"
        }
    }
}

extension SiteState {
    /// Drops what belongs to nothing that is configured.
    mutating func forgetStrangers(to configuration: SiteConfiguration) {
        let partitionIDs = Set(configuration.partitions.map(\.id))
        partitions = partitions.filter { partitionIDs.contains($0.key) }
        let zoneIDs = Set(configuration.zones.map(\.id))
        zones = zones.filter { zoneIDs.contains($0.key) }
        let scheduleIDs = Set(configuration.schedules.map(\.id))
        schedules = schedules.filter { scheduleIDs.contains($0.key) }
        let relayIDs = Set(configuration.relays.map(\.id))
        relays = relays.filter { relayIDs.contains($0.key) }
        raised.removeAll { !partitionIDs.contains($0.partitionID) }
    }
}
