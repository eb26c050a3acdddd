import TocsinCore

extension SiteState {
    /// What of the state decides the future, as one hash: times relative to now, without counters and histories.
    ///
    /// Two states of one key behave alike. At a million states the chance that two different ones share a 64-bit hash is
    /// one in ten million; then one of them would not be explored.
    package func key(at now: Instant, in site: SiteConfiguration) -> Int {
        var state = self
        state.nextIncident = 1
        state.codedCommands = 0
        let limits = Dictionary(uniqueKeysWithValues: site.users.map { ($0.id, $0.maximumUses ?? 0) })
        state.codeUses = codeUses.compactMapValues { $0 == 0 ? nil : $0 }
        for (user, uses) in state.codeUses { state.codeUses[user] = min(uses, limits[user] ?? 0) }
        for partition in site.partitions { state.partitions[partition.id]?.normalise(at: now, partition, site) }
        for id in state.zones.keys { state.zones[id]?.normalise(at: now) }
        state.zones = state.zones.filter { $0.value != ZoneState() }
        var hasher = Hasher()
        hasher.combine(operations(at: now, in: site))
        state.verifications = [:]
        state.raised = []
        hasher.combine(state)
        return hasher.finalize()
    }
}

extension SiteState {
    /// What is between the operators, without the numbers of incidents: for each the distance of its deadline and whether it
    /// was raised by request, by its place, and then those of which the premises know nothing any more.
    fileprivate func operations(at now: Instant, in site: SiteConfiguration) -> [String] {
        var rest = Set(verifications.keys).union(raised.map(\.incident))
        func words(_ id: IncidentID) -> String {
            let left = verifications[id].map { "\($0 - now)" } ?? "–"
            let place = raised.first { $0.incident == id }
                .map { "\($0.partitionID) \($0.alarmClass.rawValue) \($0.isSilent)" }
            return "\(left) \(place ?? "–")"
        }
        var known: [String] = []
        for partition in site.partitions {
            for incident in partitions[partition.id]?.incidents ?? [] where rest.remove(incident.id) != nil {
                known.append(
                    "\(partition.number) \(incident.alarmClass.rawValue) \(incident.isSilent) \(words(incident.id))"
                )
            }
        }
        return known + ["–"] + rest.map(words).sorted()
    }
}

extension PartitionState {
    /// Every moment becomes its distance from now; who it was and how often is dropped where nothing depends on it.
    fileprivate mutating func normalise(at now: Instant, _ partition: Partition, _ site: SiteConfiguration) {
        since = .zero
        by = nil
        version = 0
        sessions = []
        countdown?.startedAt = .zero
        countdown?.zoneName = nil
        countdown?.deadline.shift(from: now)
        exit?.startedAt = .zero
        exit?.deadline.shift(from: now)
        if let source = exit?.by.source { exit?.by = Attribution(source: source) }
        overdueAt?.shift(from: now)
        guardUntil?.shift(from: now)
        hoursDueAt?.shift(from: now)
        for index in incidents.indices { incidents[index].normalise(at: now, partition.policy) }
        for (id, counted) in swingers {
            let limit = site.zone(id)?.swingerLimit ?? 0
            let isOver = now - counted.lastAt >= SwingerCount.quietTime
            swingers[id] = isOver ? nil : SwingerCount(count: min(counted.count, limit), lastAt: .zero)
        }
        for group in crossPending.keys { crossPending[group]?.until.shift(from: now) }
        for source in codeGuards.keys { codeGuards[source]?.normalise(at: now) }
        codeGuards = codeGuards.filter { $0.value != CodeGuard() }
        order?.normalise(at: now)
    }
}

extension Incident {
    fileprivate mutating func normalise(at now: Instant, _ policy: PartitionPolicy) {
        id = IncidentID(0)
        location = nil
        abortUntil?.shift(from: now)
        bellUntil?.shift(from: now)
        // Ages matter only until the windows that look at them are over.
        let isTold = toldAt != reportedAt
        openedAt.age(at: now, most: policy.crossZoneSeconds + 1)
        reportedAt?.age(at: now, most: policy.cancelWindowSeconds + 1)
        toldAt?.age(at: now, most: 30)
        if isTold { toldAt = toldAt.map { $0 + .milliseconds(1) } }
    }
}

extension CodeGuard {
    fileprivate mutating func normalise(at now: Instant) {
        failures = failures.filter { now - $0 < Self.window }.map { _ in .zero }
        if let until = lockedUntil, until <= now { lockedUntil = nil }
        lockedUntil?.shift(from: now)
        lockouts = min(lockouts, 2)
    }
}

extension ReportOrder {
    /// Reports are at most two seconds old in a simulation, and at most two ahead.
    fileprivate mutating func normalise(at now: Instant) {
        timestamp.age(at: now, most: 3)
        floor?.age(at: now, most: 3)
        for index in applied.indices { applied[index].timestamp.age(at: now, most: 3) }
    }
}

extension ZoneState {
    /// Signals come with the present time, so that the past repeats nothing.
    fileprivate mutating func normalise(at now: Instant) {
        recentOpens = recentOpens.contains(now) ? [.zero] : []
        recentTampers = recentTampers.contains(now) ? [.zero] : []
        at = at == now ? .zero : nil
        pendingUntil?.shift(from: now)
    }
}

extension Instant {
    fileprivate static let zero = Instant(millisecondsSinceEpoch: 0)

    fileprivate mutating func shift(from now: Instant) {
        self = Instant(millisecondsSinceEpoch: millisecondsSinceEpoch - now.millisecondsSinceEpoch)
    }

    fileprivate mutating func age(at now: Instant, most seconds: Int) {
        let age = now.millisecondsSinceEpoch - millisecondsSinceEpoch
        self = Instant(millisecondsSinceEpoch: -min(age, Int64(seconds) * 1000))
    }
}
