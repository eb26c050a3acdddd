import TocsinCore

/// How often each row of the transition table was taken (design, arming: transitions).
package struct Coverage: Sendable {
    package private(set) var counts: [String: Int] = [:]

    package init() {}

    /// Rows that the pure machine of a site takes; the others are the schedules', the engine's and the configuration's.
    package static let rows = (1...37).map { $0 < 10 ? "T0\($0)" : "T\($0)" } + ["T42", "T44", "T47"]

    package var missing: [String] { Self.rows.filter { counts[$0] == nil } }

    package mutating func add(_ step: Transition) {
        for row in step.rows { counts[row, default: 0] += 1 }
    }

    package mutating func add(_ other: Coverage) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// All rows with their counts, eight to a line.
    package var text: String {
        let cells = Self.rows.map { "\($0) \(counts[$0].map(String.init) ?? "–")" }
        return stride(from: 0, to: cells.count, by: 8)
            .map { cells[$0..<min($0 + 8, cells.count)].joined(separator: "  ") }
            .joined(separator: "\n")
    }
}

extension Transition {
    /// The rows that this transition took, told by what was before and what is after.
    package var rows: Set<String> {
        var rows: Set<String> = []
        if command != nil { rows.formUnion(commandRows) }
        for partition in site.partitions {
            rows.formUnion(deadlineRows(partition, before(partition), after(partition)))
            rows.formUnion(alarmRows(partition, before(partition), after(partition)))
            if opened != nil { rows.formUnion(zoneRows(partition, before(partition), after(partition))) }
        }
        rows.formUnion(sundryRows)
        return rows
    }

    private var commandRows: Set<String> {
        var rows: Set<String> = []
        switch (command?.action, refusal) {
        case (.arm, nil): for partition in targets { rows.formUnion(armingRows(before(partition), after(partition))) }
        case (.arm, .armFailed(let reasons)?):
            let codes = Set(reasons.map(\.code))
            if codes.contains("entry_in_progress") || codes.contains("alarm_active") { rows.insert("T24") }
            if codes.contains("zone_open") { rows.insert("T03") }
        case (.disarm, nil):
            for partition in targets {
                switch before(partition).phase {
                case .disarmed, .arming: rows.insert("T16")
                case .armed, .entry: rows.insert("T22")
                }
            }
        case (.skipExit, nil): rows.insert("T17")
        case (.quickExit, nil): rows.insert("T47")
        case (_, .invalidCode?): rows.insert("T36")
        default: break
        }
        if holder?.isDuress == true { rows.insert("T37") }
        return rows
    }

    private func armingRows(_ before: PartitionState, _ after: PartitionState) -> Set<String> {
        var rows: Set<String> = []
        switch (before.phase, after.phase) {
        case (.disarmed, .arming): rows.insert("T01")
        case (.disarmed, .armed): rows.insert("T02")
        case (.arming(let old, _), .arming(let new, _)): rows.insert(old == new ? "T05" : "T06")
        case (.armed(let old), .armed(let new)) where old == new: rows.insert("T07")
        case (.armed, .arming): rows.insert("T08")
        default: break
        }
        if after.bypassed.count > before.bypassed.count { rows.insert("T04") }
        return rows
    }

    private func deadlineRows(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> Set<String>
    {
        var rows: Set<String> = []
        let isDue = before.exit.map { $0.deadline <= at } ?? false || (command?.action == .skipExit && refusal == nil)
        if before.exit != nil, isDue, case .arming(let target?, _) = before.phase {
            switch after.phase {
            case .armed(target): rows.insert("T12")
            case .armed(.stay) where target == .away && !isFailedArming(partition): rows.insert("T13")
            case .entry: rows.insert("T14")
            default: break
            }
            if isFailedArming(partition) { rows.insert("T15") }
        }
        if let countdown = before.countdown, countdown.deadline <= at { rows.insert("T23") }
        for incident in before.incidents {
            let now = after.incidents.first { $0.id == incident.id }
            if incident.abortUntil != nil, now == nil, disarms(partition) { rows.insert("T26") }
            if incident.abortUntil != nil, now?.reportedAt != nil { rows.insert("T27") }
            if incident.reportedAt != nil, now == nil, disarms(partition) { rows.insert("T28") }
            if incident.isAnnounced, let end = incident.bellUntil, end <= at, now?.isAnnounced == false {
                rows.insert("T31")
            }
        }
        return rows
    }

    private func zoneRows(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> Set<String> {
        guard let zone = opened, zone.belongs(to: partition) else { return [] }
        var rows: Set<String> = []
        if before.exit != nil, zone.type.isEntryDoor { rows.insert("T09") }
        if before.exit?.isRestartUsed == false, after.exit?.isRestartUsed == true { rows.insert("T10") }
        if before.exit != nil, !zone.type.isExitRoute, zone.type.isBurglary, isFailedArming(partition) {
            rows.insert("T11")
        }
        if before.countdown == nil, after.countdown != nil { rows.insert("T18") }
        if let old = before.countdown, let new = after.countdown, new.zones.count > old.zones.count {
            rows.insert("T19")
        }
        if before.phase.isEntry, !zone.type.isExitRoute, zone.type.isBurglary { rows.insert("T20") }
        if case .armed = before.phase, after.incidents.count > before.incidents.count, zone.type.isBurglary {
            rows.insert("T21")
        }
        if after.bypassed[zone.id] == .swinger, before.bypassed[zone.id] == nil { rows.insert("T32") }
        if after.crossPending.count > before.crossPending.count { rows.insert("T33") }
        if zone.type.alwaysOnClass != nil { rows.insert("T34") }
        if zone.type.alwaysOnClass == .panic { rows.insert("T35") }
        return rows
    }

    private func alarmRows(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> Set<String> {
        var rows: Set<String> = []
        for incident in after.incidents {
            guard let was = before.incidents.first(where: { $0.id == incident.id }) else {
                if incident.abortUntil != nil { rows.insert("T25") }
                continue
            }
            if was.reportedAt != nil, incident.zones.count > was.zones.count { rows.insert("T29") }
            if incident.isVerified, !was.isVerified { rows.insert("T30") }
        }
        return rows
    }

    private var sundryRows: Set<String> {
        switch input {
        case .report: ["T42"]
        case .device(_, isOffline: true): ["T44"]
        case .device, .command, .signal, .resolve, .raise, .answer, .advance: []
        }
    }
}
