extension PanelStep {
    /// How long a final exit door that has closed leaves until the partition is armed (T09).
    private static let finalExitTime: Duration = .seconds(5)
    /// The least time that a quick exit gives (T47): night may have no exit delay of its own.
    private static let quickExitMinimum = 30

    /// A door on the way out opened while the exit delay runs (T09, T10).
    mutating func exitDoorOpened(_ zone: Zone, in partition: Partition) {
        guard var exit = self[partition].exit else { return }
        if exit.doorOpened, exit.doorClosedOnce, !exit.isRestartUsed, !exit.isQuick, partition.policy.exitRestart {
            exit.isRestartUsed = true
            exit.deadline = now + .seconds(exit.seconds)
            self[partition].version += 1
            note(partition, "exit.restarted", "\(zone.name) opened again: the exit delay starts anew, once")
        }
        exit.doorOpened = true
        self[partition].exit = exit
    }

    mutating func exitDoorClosed(_ zone: Zone, in partition: Partition) {
        guard var exit = self[partition].exit, exit.doorOpened else { return }
        exit.doorClosedOnce = true
        if zone.type == .finalExit, now + Self.finalExitTime < exit.deadline {
            exit.deadline = now + Self.finalExitTime
            self[partition].version += 1
            note(partition, "exit.final", "\(zone.name) closed behind the last one out: armed in 5 s")
        }
        self[partition].exit = exit
    }

    /// A zone off the way out opened while the exit delay runs (T11).
    mutating func exitViolated(by zone: Zone, in partition: Partition, _ target: ArmingMode) {
        switch partition.policy.exitViolation {
        case .ignore: return
        case .alarm: violated(zone, in: partition)
        case .failArming: failArming(partition, target, [.open(zone)])
        }
    }

    /// The exit delay is over (T12–T15).
    mutating func exitEnded(_ partition: Partition) {
        let current = self[partition]
        guard let exit = current.exit, case .arming(let wanted?, let from) = current.phase else { return }
        let target = unvacated(exit, wanted, from, partition) ? ArmingMode.stay : wanted
        let reasons = blockers(
            of: partition,
            in: target,
            exits: false,
            armedToo: [partition.id],
            bypassed: Set(self[partition].bypassed.keys)
        )
        if reasons.isEmpty {
            let words = target == wanted ? "" : ", in stay because nobody left"
            finishArming(partition, target, by: exit.by, "\(partition.name) was armed by \(exit.by.words)\(words)")
            return
        }
        if !reasons.allSatisfy({ $0.zone.type.isExitRoute && state.zones[$0.zone.id]?.isMerelyOpen == true }) {
            failArming(partition, target, reasons.map(\.reason))
            return
        }
        switch partition.policy.exitError {
        case .armFailure: failArming(partition, target, reasons.map(\.reason))
        case .autoBypass:
            for (zone, _) in reasons {
                if zone.mayBeBypassed {
                    self[partition].bypassed[zone.id] = .auto
                    note(
                        partition,
                        "zone.bypassed",
                        "\(zone.place) was open at the end of the exit delay: bypassed (auto)"
                    )
                }
            }
            if reasons.contains(where: { !$0.zone.mayBeBypassed }) {
                failArming(partition, target, reasons.map(\.reason))
            } else {
                finishArming(partition, target, by: exit.by, "\(partition.name) was armed by \(exit.by.words)")
            }
        case .exitError: armWithError(partition, target, reasons.map(\.zone), exit)
        }
    }

    /// Nobody left, so that away would alarm on whoever stayed (T13); known only to an arming at the premises.
    private func unvacated(
        _ exit: ExitDelay,
        _ wanted: ArmingMode,
        _ from: ArmingMode?,
        _ partition: Partition
    ) -> Bool {
        guard partition.policy.stayIfUnvacated, wanted == .away, from == nil, !exit.doorOpened else { return false }
        switch exit.by.source {
        case .keypad, .keyfob, .panel: return true
        case .mobileApp, .web, .api, .schedule, .autoArm, .unknown, .system: return false
        }
    }

    /// Armed with the exit door open: the entry delay begins at once, so that the mistake is heard (T14).
    private mutating func armWithError(
        _ partition: Partition,
        _ target: ArmingMode,
        _ zones: [Zone],
        _ exit: ExitDelay
    ) {
        finishArming(partition, target, by: exit.by, "\(partition.name) was armed by \(exit.by.words)")
        guard let first = zones.first else { return }
        note(partition, "exit.error", "\(first.place) was open at the end of the exit delay")
        startEntry(first, in: partition, target, isExitError: true)
        for zone in zones.dropFirst() { joinEntry(zone, in: partition) }
    }

    /// The arming comes to nothing: everything is as before it (T11, T15, I10).
    mutating func failArming(_ partition: Partition, _ target: ArmingMode, _ reasons: [ArmFailureReason]) {
        guard let exit = self[partition].exit, case .arming(_, let from) = self[partition].phase else { return }
        self[partition].bypassed = exit.base
        self[partition].exit = nil
        self[partition].hasNoEntryDelay = exit.hadNoEntryDelay
        if from == nil {
            // What tripped while it was arming belongs to no session (T32, T33).
            self[partition].swingers = [:]
            self[partition].crossPending = [:]
        }
        enter(
            from.map(Phase.armed) ?? .disarmed,
            in: partition,
            by: exit.by,
            "\(partition.name): \(reasons.summary); it is as it was before",
            isWayBack: true
        )
        announceFailure(of: target, reasons, in: partition, by: exit.by)
        scheduledArmingFailed(partition, by: exit.by, reasons)
    }

    /// Ends the exit delay now (T17).
    mutating func skipExit(_ targets: [Partition], rights: CommandRights) -> Result<Bool, CommandRefusal> {
        let reasons = targets.flatMap { rights.reasonsAgainst(.arm, $0) }
        if !reasons.isEmpty { return .failure(.notPermitted(reasons)) }
        let running = targets.filter { self[$0].exit != nil }
        if running.isEmpty {
            return .failure(.impossible(message: "No exit delay is running. Arm first."))
        }
        for partition in running {
            // Said before the end itself: it has its own words.
            note(partition, "exit.skipped", "The exit delay of \(partition.name) was ended early")
            exitEnded(partition)
        }
        return .success(false)
    }

    /// Lets somebody out of an armed stay or night without disarming (T47).
    mutating func quickExit(
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights
    ) -> Result<Bool, CommandRefusal> {
        let reasons = targets.flatMap { rights.reasonsAgainst(.arm, $0) }
        if !reasons.isEmpty { return .failure(.notPermitted(reasons)) }
        let staying = targets.filter { partition in
            switch self[partition].phase {
            case .armed(.stay), .armed(.night): true
            case .armed, .disarmed, .arming, .entry: false
            }
        }
        if staying.isEmpty {
            return .failure(.impossible(message: "A quick exit leaves a partition that is armed stay or night."))
        }
        for partition in staying {
            guard case .armed(let mode) = self[partition].phase else { continue }
            let seconds = max(partition.exitDelaySeconds.seconds(for: mode), Self.quickExitMinimum)
            var exit = ExitDelay(startedAt: now, seconds: seconds, base: self[partition].bypassed, by: by)
            exit.isQuick = true
            exit.hadNoEntryDelay = self[partition].hasNoEntryDelay
            self[partition].exit = exit
            enter(
                .arming(target: mode, from: mode),
                in: partition,
                by: by,
                "\(by.words) leaves \(partition.name): one door may open for \(seconds) s"
            )
        }
        return .success(false)
    }
}
