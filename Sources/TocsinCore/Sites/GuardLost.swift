extension SiteConfiguration {
    /// Zones that guard now, and would guard no longer once the site is configured so (T46).
    ///
    /// A zone that names no partition is common to all of them: one more partition, disarmed as it is when it is added,
    /// takes the zone out of guard. So does one more partition that a common area belongs to, for the area is disarmed
    /// with the first of them (I18). Zones that are gone are not named: deleting them is judged by itself.
    ///
    /// - Parameters:
    ///   - changed: The configuration as it is to be.
    ///   - state: The arming state, which the change leaves as it is.
    /// - Returns: Each zone with an armed partition that it guards.
    package func guardLost(
        by changed: SiteConfiguration,
        in state: SiteState
    ) -> [(zone: Zone, partition: Partition)] {
        zones.compactMap { zone in
            guard let armed = guarded(by: zone, in: state), let after = changed.zone(zone.id) else { return nil }
            return changed.guarded(by: after, in: state) == nil ? (zone, armed) : nil
        }
    }

    /// The first of the armed partitions that the zone guards; none while one of its partitions is not armed.
    private func guarded(by zone: Zone, in state: SiteState) -> Partition? {
        let owners = partitions.filter(zone.belongs)
        let guards = owners.allSatisfy {
            staysArmed($0, in: state) && state.partitions[$0.id]?.phase.guardingMode.map(zone.isActive) ?? false
        }
        return guards ? owners.first : nil
    }

    /// Whether a partition that is armed is not disarmed by what it belongs to; a partner's is as its panel says.
    private func staysArmed(_ partition: Partition, in state: SiteState) -> Bool {
        if site.armingModel == .partnerTriggered { return true }
        return partitions.filter { partition.policy.commonAreaOf.contains($0.number) }
            .allSatisfy { state.partitions[$0.id]?.phase.guardingMode != nil }
    }
}
