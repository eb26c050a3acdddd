import TocsinCore

/// A platform-triggered site with rules, and what they did.
struct ScheduledSite {
    var configuration: SiteConfiguration
    var machine: SiteMachine
    private let zone: TimeZoneRules
    private(set) var effects: [ArmingEffect] = []

    init(
        _ rules: [Schedule],
        partitions: Int = 1,
        zones: [Zone] = [],
        in zone: TimeZoneRules = .utc,
        model: ArmingModel = .platformTriggered,
        at start: Instant
    ) {
        var site = Site.sample(createdAt: start)
        site.armingModel = model
        self.zone = zone
        configuration = SiteConfiguration(
            site: site,
            partitions: (1...partitions).map { .sample(number: $0) },
            zones: zones,
            schedules: rules
        )
        machine = SiteMachine(configuration: configuration, state: SiteState(), timeZone: zone)
        machine.reconfigured(at: start)
    }

    /// Takes what was changed in the configuration, and what a restart would have read back.
    mutating func restart(at now: Instant) throws {
        let stored = try SiteState(snapshot: machine.state.snapshot)
        machine = SiteMachine(configuration: configuration, state: stored, timeZone: zone)
        machine.reconfigured(at: now)
    }

    mutating func tick(_ now: Instant) { effects += machine.deadlinesReached(by: now) }

    /// Wakes exactly when something is due, as the engine's timer does.
    mutating func run(until end: Instant) {
        while let due = machine.state.nextDeadline, due <= end { tick(due) }
    }

    mutating func command(_ action: ArmingCommand.Action, at now: Instant) {
        let by = Attribution(userID: "ann", source: .api)
        let command = ArmingCommand(action: action, target: .all, authority: .trusted, by: by)
        let outcome = machine.command(command, receivedAt: now)
        effects += outcome.deadlineEffects + outcome.effects
    }

    mutating func signal(_ kind: Signal.Kind, zone number: Int, at now: Instant) {
        let signal = Signal(origin: .number(number), kind: kind, timestamp: now)
        let outcome = machine.signals([signal], known: [], receivedAt: now)
        effects += outcome.deadlineEffects + outcome.effects
    }

    mutating func take(_ outcome: ScheduleOutcome) { effects += outcome.deadlineEffects + outcome.effects }

    // MARK: Looking

    var changes: [PartitionChange] {
        effects.compactMap { if case .change(let change) = $0 { change } else { nil } }
    }

    func phase(_ number: Int = 1) -> Phase? {
        machine.state.partitions[PartitionID(stored: "p_\(number)")]?.phase
    }

    /// What ended an occurrence of a rule: that it ran, was left out, or failed.
    func endings(of rule: Schedule) -> Int {
        effects.count { effect in
            guard case .note(_, let action, let explanation) = effect else { return false }
            return ["schedule.run", "schedule.skipped", "schedule.failed"].contains(action)
                && explanation.contains("“\(rule.name)”")
        }
    }

    func nextRuns(of rule: Schedule, at now: Instant) -> [NextRun] {
        rule.nextRuns(
            planned: machine.state.schedules[rule.id],
            at: now,
            holidays: configuration.holidays,
            zone: zone
        )
    }
}
