import TocsinCore

/// One input meeting a site: what was before, what is after, and what was said.
package struct Transition: Sendable {
    package enum Answer: Sendable {
        case none
        case command(CommandOutcome)
        case signal(SignalAnswer)
        case report(Result<[PartitionAnswer], SiteMachine.ReportRefusalError>)
    }

    package let site: SiteConfiguration
    package let input: SimulationInput
    /// When it happened; for an advance, the moment to which time went.
    package let at: Instant
    /// The moment before it.
    package let now: Instant
    package let before: SiteState
    package var after: SiteState
    package var effects: [ArmingEffect]
    package var answer: Answer

    /// Plays an input at `now`; none where it cannot happen in this state.
    package init?(_ input: SimulationInput, on state: SiteState, at now: Instant, in site: SiteConfiguration) {
        guard let at = Self.moment(of: input, in: state, at: now) else { return nil }
        self.site = site
        self.input = input
        self.at = at
        self.now = now
        before = state
        answer = .none
        var machine = SiteMachine(configuration: site, state: state)
        switch input {
        case .command(let input):
            let outcome = machine.command(input.command, receivedAt: now)
            effects = outcome.deadlineEffects + outcome.effects
            answer = .command(outcome)
        case .signal(let input):
            let outcome = machine.signals([input.signal(at: now)], known: [], receivedAt: now)
            effects = outcome.deadlineEffects + outcome.effects
            answer = outcome.answers.first.map(Answer.signal) ?? .none
        case .report(let input):
            let outcome = machine.report(input.report(at: now), receivedAt: now)
            effects = outcome.deadlineEffects + outcome.effects
            answer = .report(outcome.answer)
        case .device(let id, let isOffline): effects = machine.device(id, isOffline: isOffline, at: now)
        case .resolve(let alarmClass):
            effects = []
            let incidents = site.partitions.compactMap { machine.state.partitions[$0.id] }.flatMap(\.incidents)
            let raised = machine.state.raised.first { $0.alarmClass == alarmClass }?.incident
            if let id = incidents.first(where: { $0.alarmClass == alarmClass })?.id ?? raised {
                machine.incidentResolved(id)
            }
        case .raise(let alarmClass, let isSilent):
            effects = []
            machine.raise(alarmClass, isSilent: isSilent)
        case .answer:
            effects = []
            if let id = machine.state.verifications.keys.min() { machine.awaitAnswer(on: id, until: nil) }
        case .advance: effects = machine.deadlinesReached(by: at)
        }
        // As the engine does with what the machine asks of alarms.
        for case .alarmAct(let id, .wantsVerification(_, let until)) in effects {
            machine.awaitAnswer(on: id, until: until)
        }
        after = machine.state
    }

    private static func moment(of input: SimulationInput, in state: SiteState, at now: Instant) -> Instant? {
        guard case .advance(let advance) = input else { return now }
        switch advance {
        case .toDeadline: return state.nextDeadline
        case .beforeDeadline:
            guard let due = state.nextDeadline, due - .seconds(1) > now else { return nil }
            return due - .seconds(1)
        case .quiet(let seconds):
            let end = now + .seconds(seconds)
            if let due = state.nextDeadline, due <= end { return nil }
            return end
        }
    }
}

// MARK: - Looking

extension Transition {
    func before(_ partition: Partition) -> PartitionState {
        before.partitions[partition.id] ?? PartitionState(since: site.site.createdAt)
    }

    func after(_ partition: Partition) -> PartitionState {
        after.partitions[partition.id] ?? PartitionState(since: site.site.createdAt)
    }

    /// The first complaint of any partition.
    func each(_ check: (Partition, PartitionState, PartitionState) -> String?) -> String? {
        for partition in site.partitions {
            if let complaint = check(partition, before(partition), after(partition)) {
                return "\(partition.name): \(complaint)"
            }
        }
        return nil
    }

    var command: CommandInput? {
        if case .command(let command) = input { command } else { nil }
    }

    var outcome: CommandOutcome? {
        if case .command(let outcome) = answer { outcome } else { nil }
    }

    var reply: CommandReply? {
        if case .success(let reply)? = outcome?.answer { reply } else { nil }
    }

    var refusal: CommandRefusal? {
        if case .failure(let refusal)? = outcome?.answer { refusal } else { nil }
    }

    /// Whose code it is that the command carries, whether or not it is good now.
    var holder: (user: SiteUser, isDuress: Bool)? {
        guard case .code(let word)? = command?.credential, let holder = site.codeHolders[word] else { return nil }
        return (site.users[holder.user], holder.isDuress)
    }

    /// The partitions that the command is about.
    var targets: [Partition] {
        guard let target = command?.target else { return [] }
        return site.partitions.filter {
            target.covers($0) && (target != .all || $0.policy.commonAreaOf.isEmpty)
        }
    }

    /// The request of an arming command that was carried out and was not in force already.
    var armed: ArmingCommand.ArmRequest? {
        guard case .arm(let request)? = command?.action, reply?.isUnchanged == false else { return nil }
        return request
    }

    func owners(of zone: Zone) -> [Partition] { site.partitions.filter { zone.belongs(to: $0) } }

    func zones(of partition: Partition) -> [Zone] { site.zones.filter { $0.belongs(to: partition) } }

    func dependents(of area: Partition) -> [Partition] {
        site.partitions.filter { area.policy.commonAreaOf.contains($0.number) }
    }

    func condition(_ zone: Zone) -> ZoneCondition { after.zones[zone.id]?.condition ?? .closed }

    /// The zone that opened now, by a signal that was neither late nor a repetition, and must be judged at once.
    var opened: Zone? {
        guard case .signal(let signal) = input, signal.kind == .open || signal.kind == .triggered,
            case .signal(let answer) = answer, answer.outcome == .accepted, answer.reason == nil,
            let zone = site.zone(numbered: signal.zone), zone.delayOnSeconds == 0
        else { return nil }
        return zone
    }

    /// The key switch that was turned now; one that has been turned back in the meantime was turned all the same.
    var turnedKey: Zone? {
        guard case .signal(let signal) = input, signal.kind == .open || signal.kind == .triggered,
            case .signal(let answer) = answer, answer.reason == nil, answer.outcome != .duplicate,
            let zone = site.zone(numbered: signal.zone), zone.type == .keySwitch
        else { return nil }
        return zone
    }

    /// Events of a partition, in order.
    func events(of partition: Partition) -> [EventBody] {
        effects.compactMap {
            if case .event(partition.id, let body) = $0 { body } else { nil }
        }
    }

    func notes(_ action: String) -> [PartitionID] {
        effects.compactMap {
            if case .note(let partition, action, _) = $0 { partition } else { nil }
        }
    }

    var isDeadline: Bool { input == .advance(.toDeadline) }

    var isPlatform: Bool { site.site.armingModel == .platformTriggered }

    /// Whether the command is about the partition, or about one whose common area it is.
    func reaches(_ partition: Partition) -> Bool {
        targets.contains { $0.id == partition.id || partition.policy.commonAreaOf.contains($0.number) }
    }

    /// Whether the input is an authorised disarm of the partition itself, or of one whose common area it is.
    func disarms(_ partition: Partition) -> Bool {
        switch input {
        case .command(let command):
            return command.action == .disarm && reply != nil && reaches(partition)
        case .signal:
            // A key of a common area alone turns nothing: the area follows its partitions.
            guard let key = turnedKey, key.belongs(to: partition) else { return false }
            return owners(of: key).contains(where: \.policy.commonAreaOf.isEmpty)
        case .report(let report):
            guard report.state == .disarmed, case .report(.success(let answers)) = answer else { return false }
            return answers.contains { $0.partitionID == partition.id && $0.applied }
        case .device, .resolve, .raise, .answer, .advance: return false
        }
    }

    /// Whether a common area follows the disarm of one of its partitions, or of a partition that was disarmed already.
    func followsDisarm(_ area: Partition) -> Bool {
        dependents(of: area).contains { dependent in
            disarms(dependent)
                || before(dependent).phase.guardingMode != nil && after(dependent).phase.guardingMode == nil
        }
    }
}

extension SiteMachine {
    /// What the engine does where an alarm is raised by request: it is the reported incident of its place, if there is one.
    fileprivate mutating func raise(_ alarmClass: AlarmClass, isSilent: Bool) {
        guard let partition = configuration.partitions.first else { return }
        let open = state.partitions[partition.id]?.incidents.first {
            $0.alarmClass == alarmClass && $0.isSilent == isSilent && $0.reportedAt != nil
        }
        alarmRaised(
            RaisedAlarm(
                incident: open?.id ?? newIncident(),
                partitionID: partition.id,
                alarmClass: alarmClass,
                isSilent: isSilent
            )
        )
    }
}
