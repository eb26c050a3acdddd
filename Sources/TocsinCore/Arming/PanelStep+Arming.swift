extension PanelStep {
    /// What arming one partition comes to, once nothing stands against it.
    private struct ArmingPlan {
        var partition: Partition
        var bypass: [ZoneID: BypassReason]
        /// Armed so, or arming so, already (T05, T07).
        var isInForce: Bool
    }

    /// Arms every target or none (T01–T08); the reply tells whether anything had to be done.
    mutating func arm(
        _ request: ArmingCommand.ArmRequest,
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights
    ) -> Result<Bool, CommandRefusal> {
        var plans: [ArmingPlan] = []
        var failures: [(partition: Partition, reasons: [ArmFailureReason])] = []
        let together = Set(targets.map(\.id))
        failures += unknownBypasses(request, targets).map { (targets[0], [$0]) }
        for partition in targets {
            switch plan(request, partition, together, rights) {
            case .success(let plan): plans.append(plan)
            case .failure(let refusal): failures.append((partition, refusal.reasons))
            }
        }
        if !failures.isEmpty {
            for failure in failures {
                announceFailure(of: request.mode, failure.reasons, in: failure.partition, by: by)
            }
            return .failure(.armFailed(failures.flatMap(\.reasons)))
        }
        var isUnchanged = true
        for plan in plans {
            if !plan.isInForce {
                begin(request, plan, by: by)
                isUnchanged = false
            } else if request.noEntryDelay, !self[plan.partition].hasNoEntryDelay {
                dropEntryDelay(of: plan.partition, by: by)
                isUnchanged = false
            }
        }
        return .success(isUnchanged)
    }

    /// What is armed so already guards more strictly from now on.
    private mutating func dropEntryDelay(of partition: Partition, by: Attribution) {
        self[partition].hasNoEntryDelay = true
        touch(partition)
        note(partition, "arming.no_entry_delay", "\(by.words) took the entry delay from \(partition.name)")
    }

    private func unknownBypasses(
        _ request: ArmingCommand.ArmRequest,
        _ targets: [Partition]
    ) -> [ArmFailureReason] {
        request.bypassZones.compactMap { number in
            let zone = site.zone(numbered: number)
            let isOurs = zone.map { zone in targets.contains { zone.belongs(to: $0) } } ?? false
            return isOurs ? nil : .noSuchZone(number)
        }
    }

    private struct Reasons: Error { var reasons: [ArmFailureReason] }

    private func plan(
        _ request: ArmingCommand.ArmRequest,
        _ partition: Partition,
        _ together: Set<PartitionID>,
        _ rights: CommandRights
    ) -> Result<ArmingPlan, Reasons> {
        let current = self[partition]
        var reasons = rights.reasonsAgainstArming(request, partition, from: current.phase)
        if !partition.offers(request.mode) { reasons.append(.modeNotConfigured(request.mode, partition)) }
        reasons += phaseReason(partition).map { [$0] } ?? []
        let isInForce =
            switch current.phase {
            case .armed(let mode): mode == request.mode
            case .arming(let target, _): target == request.mode && !current.isQuickExit
            case .disarmed, .entry: false
            }
        if isInForce, reasons.isEmpty {
            return .success(ArmingPlan(partition: partition, bypass: [:], isInForce: true))
        }
        let bypass = bypasses(request, partition, together, rights, &reasons)
        if !reasons.isEmpty { return .failure(Reasons(reasons: reasons)) }
        return .success(ArmingPlan(partition: partition, bypass: bypass, isInForce: false))
    }

    /// The zones that are left out: those asked for, and with `force_arm` those in the way (T04).
    private func bypasses(
        _ request: ArmingCommand.ArmRequest,
        _ partition: Partition,
        _ together: Set<PartitionID>,
        _ rights: CommandRights,
        _ reasons: inout [ArmFailureReason]
    ) -> [ZoneID: BypassReason] {
        var chosen: [ZoneID: BypassReason] = [:]
        for zone in zones(of: partition) where request.bypassZones.contains(zone.number) {
            if zone.mayBeBypassed, rights.mayBypass {
                chosen[zone.id] = .manual
            } else {
                reasons.append(.bypassNotAllowed(zone))
            }
        }
        let standing = self[partition].bypassed.keys
        let blocking = blockers(
            of: partition,
            in: request.mode,
            exits: exitSeconds(request, partition) > 0,
            armedToo: together,
            bypassed: Set(chosen.keys).union(standing)
        )
        for (zone, reason) in blocking {
            if request.force, zone.forceArmable, zone.mayBeBypassed, rights.mayBypass {
                chosen[zone.id] = .force
            } else if !reasons.contains(where: { $0.zoneNumber == zone.number }) {
                reasons.append(reason)
            }
        }
        // A swinger left itself out; all others of the session were somebody's choice.
        let left = self[partition].bypassed.filter { $0.value != .swinger }.keys
        if let limit = partition.policy.bypassLimit, !chosen.isEmpty, Set(chosen.keys).union(left).count > limit {
            reasons.append(.bypassLimit(limit, partition))
        }
        return chosen
    }

    private func exitSeconds(_ request: ArmingCommand.ArmRequest, _ partition: Partition) -> Int {
        request.instant ? 0 : partition.exitDelaySeconds.seconds(for: request.mode)
    }

    /// Starts the exit delay, or arms at once (T01, T02, T06, T08).
    private mutating func begin(_ request: ArmingCommand.ArmRequest, _ plan: ArmingPlan, by: Attribution) {
        let partition = plan.partition
        let before = self[partition]
        let base = before.exit?.base ?? before.bypassed
        let hadNoEntryDelay = before.exit?.hadNoEntryDelay ?? before.hasNoEntryDelay
        // What was left out stays so with another mode (T06); a failed arming takes it all back.
        self[partition].bypassed = before.bypassed.merging(plan.bypass) { _, new in new }
        self[partition].hasNoEntryDelay = request.noEntryDelay
        for zone in zones(of: partition) {
            guard let reason = plan.bypass[zone.id] else { continue }
            note(partition, "zone.bypassed", "\(zone.place) is bypassed (\(reason.rawValue)) by \(by.words)")
        }
        let seconds = exitSeconds(request, partition)
        if seconds == 0 {
            self[partition].exit = nil
            finishArming(
                partition,
                request.mode,
                by: by,
                "\(partition.name) was armed by \(by.words), without exit delay"
            )
            return
        }
        var exit = ExitDelay(startedAt: now, seconds: seconds, base: base, by: by)
        exit.hadNoEntryDelay = hadNoEntryDelay
        // A door that stands open already is the one through which they leave (T09, T13).
        exit.doorOpened = zones(of: partition).contains { $0.type.isEntryDoor && isOpen($0.id) }
        self[partition].exit = exit
        let phase = Phase.arming(target: request.mode, from: before.phase.guardingMode)
        let words = "\(by.words) arms \(partition.name) in \(request.mode.wireName): \(seconds) s to leave"
        if before.phase.wireState == phase.wireState {
            // Another mode while arming (T06): the phase on the wire stays, its deadline is new.
            self[partition].phase = phase
            self[partition].by = by
            self[partition].version += 1
            note(partition, "arming.restarted", words)
        } else {
            enter(phase, in: partition, by: by, words)
        }
    }

    /// The partition is armed from now on.
    mutating func finishArming(_ partition: Partition, _ mode: ArmingMode, by: Attribution, _ words: String) {
        self[partition].exit = nil
        enter(.armed(mode), in: partition, by: by, words)
    }
}

extension PartitionState {
    var isQuickExit: Bool { exit?.isQuick ?? false }
}

extension Partition {
    /// Whether it can be armed so: the fixed modes always, a custom one without a name or with one of its own.
    package func offers(_ mode: ArmingMode) -> Bool {
        switch mode {
        case .away, .stay, .night, .custom(name: nil): true
        case .custom(let name?): policy.customModes.contains(name)
        }
    }
}

/// What the caller of a command may do.
struct CommandRights {
    /// The person whose code it was; none for an admin, a schedule or a key.
    var user: SiteUser?

    var mayBypass: Bool { allows(.bypass) }

    private func allows(_ action: UserAction) -> Bool { user?.actions?.contains(action) ?? true }

    private func covers(_ partition: Partition) -> Bool { user?.partitions?.contains(partition.number) ?? true }

    func reasonsAgainstArming(
        _ request: ArmingCommand.ArmRequest,
        _ partition: Partition,
        from phase: Phase
    ) -> [ArmFailureReason] {
        var reasons: [ArmFailureReason] = []
        if !covers(partition) { reasons.append(.elsewhere(partition)) }
        if !partition.policy.commonAreaOf.isEmpty { reasons.append(.common(partition)) }
        if !allows(.arm) {
            reasons.append(.notPermitted("not_permitted_action", "This code does not arm", remedy: "Use another code"))
        }
        if let modes = user?.modes, !modes.contains(ModeName(request.mode)) {
            reasons.append(
                .notPermitted(
                    "not_permitted_mode",
                    "This code does not arm \(request.mode.wireName)",
                    remedy: "Use another mode or another code"
                )
            )
        }
        if let armed = phase.guardingMode, armed != request.mode {
            reasons += reasonsAgainstChange(armed, request.mode)
        }
        return reasons
    }

    /// From one armed mode to another (T08): a right of its own, and to a lesser mode only with a code.
    private func reasonsAgainstChange(_ armed: ArmingMode, _ wanted: ArmingMode) -> [ArmFailureReason] {
        if !allows(.modeChange) {
            return [.notPermitted("not_permitted_action", "This code does not change modes", remedy: "Disarm first")]
        }
        if user == nil, wanted.guardsLess(than: armed) {
            return [
                .notPermitted(
                    "not_permitted_mode",
                    "Going from \(armed.wireName) to \(wanted.wireName) needs a user code",
                    remedy: "Give the code of a user"
                )
            ]
        }
        return []
    }

    /// Whether they may do that there at all; to skip an exit delay takes the right to arm, to silence that to disarm.
    func reasonsAgainst(_ action: UserAction, _ partition: Partition) -> [ArmFailureReason] {
        var reasons: [ArmFailureReason] = []
        if !covers(partition) { reasons.append(.elsewhere(partition)) }
        if !allows(action) {
            let words = "This code does not \(action.rawValue)"
            reasons.append(.notPermitted("not_permitted_action", words, remedy: "Use another code"))
        }
        return reasons
    }
}

extension ArmFailureReason {
    fileprivate static func elsewhere(_ partition: Partition) -> Self {
        .notPermitted(
            "not_permitted_partition",
            "This code does not work on \(partition.name)",
            remedy: "Use it on its own partitions, or another code"
        )
    }

    /// A common area is disarmed with the first of its partitions, and never alone.
    static func followsItsPartitions(_ area: Partition) -> Self {
        .notPermitted(
            "not_permitted_partition",
            "\(area.name) is a common area: it is disarmed with the first of its partitions",
            remedy: "Disarm a partition that it belongs to, or silence \(area.name)"
        )
    }

    fileprivate static func common(_ partition: Partition) -> Self {
        .notPermitted(
            "not_permitted_partition",
            "\(partition.name) is a common area: it is armed with the last of its partitions",
            remedy: "Arm the partitions that it belongs to"
        )
    }
}

extension ArmingMode {
    /// Whether going from the other mode to this one leaves something unguarded.
    func guardsLess(than other: ArmingMode) -> Bool { strength < other.strength }

    /// Which of two modes guards more.
    private var strength: Int {
        switch self {
        case .away: 2
        case .custom: 1
        case .stay, .night: 0
        }
    }
}
