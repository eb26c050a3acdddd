extension PanelStep {
    /// Disarms every target (T16, T22, T26, T28).
    ///
    /// - Parameters:
    ///   - targets: Partitions, without common areas.
    ///   - by: Who.
    ///   - rights: What they may.
    ///   - isDuress: Under duress everything looks the same, but what is told outside goes on (I17).
    /// - Returns: Whether there was nothing to do.
    mutating func disarm(
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights,
        isDuress: Bool
    ) -> Result<Bool, CommandRefusal> {
        var reasons = targets.flatMap { rights.reasonsAgainst(.disarm, $0) }
        // Alone it would be armed again at once, because all of its partitions still are (I18).
        for area in targets where !area.policy.commonAreaOf.isEmpty && self[area].phase.guardingMode != nil {
            if !dependents(of: area).contains(where: targets.contains) { reasons.append(.followsItsPartitions(area)) }
        }
        if !reasons.isEmpty { return .failure(.notPermitted(reasons)) }
        var isUnchanged = true
        // An area that is armed follows by itself; one that is not may ring all the same (T16).
        for partition in targets + areas(of: targets).filter({ self[$0].phase == .disarmed }) {
            if self[partition].phase == .disarmed, self[partition].incidents.allSatisfy(\.isSilent) {
                if self[partition].alarmMemory {
                    self[partition].alarmMemory = false
                    touch(partition)
                }
                continue
            }
            isUnchanged = false
            disarm(partition, by: by, isDuress: isDuress)
        }
        return .success(isUnchanged)
    }

    /// The common areas of these partitions that are not among them.
    private func areas(of targets: [Partition]) -> [Partition] {
        site.partitions.filter { area in
            !targets.contains(area) && targets.contains { area.policy.commonAreaOf.contains($0.number) }
        }
    }

    mutating func disarm(_ partition: Partition, by: Attribution, isDuress: Bool) {
        let before = self[partition]
        endIncidents(of: partition, by: by, isDuress: isDuress)
        // Without a change of the phase the version tells that the alarm is not shown any longer.
        if before.phase == .disarmed, before.inAlarm { touch(partition) }
        let isMemory = before.phase.guardingMode != nil && (before.inAlarm || before.alarmMemory)
        self[partition].alarmMemory = isMemory
        self[partition].exit = nil
        self[partition].countdown = nil
        self[partition].bypassed = [:]
        self[partition].swingers = [:]
        self[partition].crossPending = [:]
        self[partition].hasNoEntryDelay = false
        enter(.disarmed, in: partition, by: by, disarmWords(partition, before, by))
        leaveSharedEntries(with: partition, by: by)
    }

    private func disarmWords(_ partition: Partition, _ before: PartitionState, _ by: Attribution) -> String {
        let words = "\(partition.name) was disarmed by \(by.words)"
        switch before.phase {
        case .entry:
            let left = before.countdown.map { max(0, ($0.deadline - now).milliseconds / 1000) } ?? 0
            return "\(words), \(left) s before the end of the entry delay"
        case .arming: return "\(words) while it was arming"
        case .armed where before.inAlarm: return "\(words) during an alarm"
        case .armed, .disarmed: return words
        }
    }

    /// A countdown that a common zone began ends with the disarm of any of the zone's partitions.
    private mutating func leaveSharedEntries(with partition: Partition, by: Attribution) {
        for other in site.partitions where other.id != partition.id {
            guard case .entry(let mode) = self[other].phase, let countdown = self[other].countdown else { continue }
            let shared = countdown.zones.compactMap { site.zone($0) }
            guard !shared.isEmpty, shared.allSatisfy({ $0.belongs(to: partition) }) else { continue }
            self[other].countdown = nil
            enter(
                .armed(mode),
                in: other,
                by: by,
                "\(other.name) stays armed: \(by.words) came in through a common area and disarmed \(partition.name)",
                isWayBack: true
            )
        }
    }

    /// Ends the bell, leaves the incident (`silence`).
    mutating func silence(
        _ targets: [Partition],
        by: Attribution,
        rights: CommandRights
    ) -> Result<Bool, CommandRefusal> {
        let reasons = targets.flatMap { rights.reasonsAgainst(.disarm, $0) }
        if !reasons.isEmpty { return .failure(.notPermitted(reasons)) }
        var isUnchanged = true
        for partition in targets + areas(of: targets) where self[partition].inAlarm {
            isUnchanged = false
            silenceIncidents(of: partition)
            let words = "The alarm of \(partition.name) was silenced by \(by.words)"
            note(partition, "alarm.silenced", words)
            for incident in self[partition].incidents where incident.reportedAt != nil && !incident.isSilent {
                effects.append(.alarmAct(incident.id, .note(words)))
            }
        }
        return .success(isUnchanged)
    }

    /// A common area is armed exactly while all of its partitions are (I18): follows after every input.
    ///
    /// Where a partner is the authority its panel tells of the common area too.
    mutating func settleCommonAreas() {
        guard site.site.armingModel == .platformTriggered else { return }
        for area in site.partitions where !area.policy.commonAreaOf.isEmpty {
            let dependents = dependents(of: area)
            if dependents.isEmpty { continue }
            let isArmed = self[area].phase.guardingMode != nil
            let shouldBeArmed = dependents.allSatisfy { self[$0].phase.guardingMode != nil }
            if isArmed == shouldBeArmed { continue }
            let latest = dependents.max { self[$0].since < self[$1].since }
            let by = latest.flatMap { self[$0].by } ?? Attribution(source: .system)
            if shouldBeArmed {
                armArea(area, by: by)
            } else {
                disarm(area, by: by, isDuress: isDuress)
            }
        }
    }

    private mutating func armArea(_ area: Partition, by: Attribution) {
        let open = blockers(of: area, in: .away, exits: false, armedToo: [area.id], bypassed: [])
        for (zone, _) in open where !zone.type.isNeverBypassed {
            self[area].bypassed[zone.id] = .auto
            note(area, "zone.bypassed", "\(zone.place) was not closed when the common area was armed: bypassed (auto)")
        }
        finishArming(area, .away, by: by, "\(area.name) was armed with the last of its partitions")
    }
}
