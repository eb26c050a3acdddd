extension PanelStep {
    /// What stands against arming, apart from rights: zones, in the order of their numbers (design, arm failure reasons).
    ///
    /// - Parameters:
    ///   - partition: What is to be armed.
    ///   - mode: How.
    ///   - exits: Whether an exit delay will run: then zones on the way out may be open (T03).
    ///   - armedToo: Partitions that are armed by the same command: with them a common zone begins to guard.
    ///   - bypassed: Zones that are left out.
    /// - Returns: One reason per zone, with the zone.
    func blockers(
        of partition: Partition,
        in mode: ArmingMode,
        exits: Bool,
        armedToo: Set<PartitionID>,
        bypassed: Set<ZoneID>
    ) -> [(zone: Zone, reason: ArmFailureReason)] {
        zones(of: partition).compactMap { zone in
            if bypassed.contains(zone.id) || zone.type == .none || zone.type == .keySwitch { return nil }
            if isBypassed(zone, beside: partition) { return nil }
            if zone.type.isBurglary, !zone.isActive(in: mode) || !guards(zone, with: armedToo) { return nil }
            let zoneState = state.zones[zone.id] ?? ZoneState()
            if zoneState.isOffline { return (zone, zone.deviceID == nil ? .unknown(zone) : .offline(zone)) }
            // A fault stands in the way also of a door that may be open.
            if zoneState.faults.contains(.tamper) { return (zone, .tampered(zone)) }
            if zoneState.faults.contains(.trouble) { return (zone, .trouble(zone)) }
            if !zoneState.isOpen || zone.isSecret || exits && zone.type.isExitRoute { return nil }
            return (zone, zone.type == .troubleOnly ? .trouble(zone) : .open(zone))
        }
    }

    /// Whether a zone guards once these partitions are armed: a common one waits for all of its own.
    private func guards(_ zone: Zone, with armedToo: Set<PartitionID>) -> Bool {
        let owners = owners(of: zone)
        return owners.count == 1
            || owners.allSatisfy { armedToo.contains($0.id) || self[$0].phase.guardingMode != nil }
    }

    /// Whether another of its partitions bypasses a common zone: then it guards neither.
    private func isBypassed(_ zone: Zone, beside partition: Partition) -> Bool {
        owners(of: zone).contains { $0.id != partition.id && self[$0].bypassed[zone.id] != nil }
    }

    /// Why the phase itself does not let a partition be armed (T24).
    func phaseReason(_ partition: Partition) -> ArmFailureReason? {
        let current = self[partition]
        if current.phase.isEntry { return .entryInProgress(partition) }
        if current.inAlarm { return .alarmActive(partition) }
        return nil
    }
}

extension ArmFailureReason {
    init(_ code: String, _ zone: Zone? = nil, _ message: String, remedy: String) {
        self.init(
            code: code,
            zoneNumber: zone?.number,
            zoneName: zone?.name,
            message: "Cannot arm - \(message)",
            remedy: remedy
        )
    }

    static func open(_ zone: Zone) -> Self {
        Self("zone_open", zone, "\(zone.name) is open", remedy: "Close \(zone.place)\(zone.orBypass)")
    }

    static func unknown(_ zone: Zone) -> Self {
        Self("zone_unknown", zone, "\(zone.name) does not report", remedy: "Check \(zone.place)\(zone.orBypass)")
    }

    static func offline(_ zone: Zone) -> Self {
        Self(
            "device_offline",
            zone,
            "the device of \(zone.name) is offline",
            remedy: "Check its power and network\(zone.orBypass)"
        )
    }

    static func tampered(_ zone: Zone) -> Self {
        Self(
            "zone_tampered",
            zone,
            "\(zone.name) is tampered",
            remedy: "Close the cover of \(zone.place)\(zone.orBypass)"
        )
    }

    static func trouble(_ zone: Zone) -> Self {
        Self("zone_trouble", zone, "\(zone.name) reports trouble", remedy: "Service \(zone.place)\(zone.orBypass)")
    }

    static func entryInProgress(_ partition: Partition) -> Self {
        Self(
            "entry_in_progress",
            nil,
            "\(partition.name) is in its entry delay",
            remedy: "Disarm \(partition.name) first"
        )
    }

    static func alarmActive(_ partition: Partition) -> Self {
        Self("alarm_active", nil, "\(partition.name) is in alarm", remedy: "Disarm \(partition.name) first")
    }

    static func modeNotConfigured(_ mode: ArmingMode, _ partition: Partition) -> Self {
        Self(
            "mode_not_configured",
            nil,
            "\(partition.name) has no mode “\(mode.wireName)”",
            remedy: "Choose one of its modes, or add it to custom_modes"
        )
    }

    static func bypassNotAllowed(_ zone: Zone) -> Self {
        Self("bypass_not_allowed", zone, "\(zone.name) may not be bypassed", remedy: "Close \(zone.place)")
    }

    static func noSuchZone(_ number: Int) -> Self {
        Self(
            code: "bypass_not_allowed",
            zoneNumber: number,
            zoneName: nil,
            message: "Cannot arm - there is no zone \(number) to bypass",
            remedy: "Name a zone of the partition"
        )
    }

    static func bypassLimit(_ limit: Int, _ partition: Partition) -> Self {
        Self(
            "bypass_limit_exceeded",
            nil,
            "more than \(limit) zones of \(partition.name) would be bypassed",
            remedy: "Close some of them"
        )
    }

    /// What a user is not allowed, worded for arming and for disarming alike.
    static func notPermitted(_ code: String, _ message: String, remedy: String) -> Self {
        Self(code: code, zoneNumber: nil, zoneName: nil, message: message, remedy: remedy)
    }
}

extension Zone {
    fileprivate var orBypass: String { mayBeBypassed ? " or bypass it" : "" }
}

/// Whether a partition could be armed now: what `GET …/arming` shows.
package struct Readiness: Hashable, Sendable {
    package var mode: ArmingMode
    /// Everything that stands against it; empty means ready.
    package var reasons: [ArmFailureReason]
}

extension SiteMachine {
    /// What stands against arming a partition now, for each of the fixed modes.
    package func readiness(of partition: Partition) -> [Readiness] {
        let step = PanelStep(
            site: configuration,
            timeZone: timeZone,
            now: configuration.site.createdAt,
            cause: .command,
            state: state
        )
        let modes: [ArmingMode] = [.away, .stay, .night]
        return modes.map { mode in
            var reasons = step.phaseReason(partition).map { [$0] } ?? []
            reasons += step.blockers(
                of: partition,
                in: mode,
                exits: partition.exitDelaySeconds.seconds(for: mode) > 0,
                armedToo: [partition.id],
                bypassed: Set(state.partitions[partition.id].map { Array($0.bypassed.keys) } ?? [])
            ).map(\.reason)
            return Readiness(mode: mode, reasons: reasons)
        }
    }
}
