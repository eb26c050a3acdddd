/// One input meeting a site whose partitions Tocsin guards: works on a copy of the state and gathers what follows.
///
/// The rules are those of design, arming, "Transitions"; the comments name their rows. A refused command's copy is thrown
/// away but for its audit, its lock-out counters and a duress alarm (I7).
struct PanelStep {
    let site: SiteConfiguration
    let timeZone: TimeZoneRules
    /// When the input arrived, or when the deadline was that runs out.
    let now: Instant
    /// By how much a deadline is answered late: more than a few seconds only after the server was down.
    var lateness: Duration = .zero
    var cause: Cause
    /// The command was given under duress: what it ends locally goes on outside (T37).
    var isDuress = false
    var state: SiteState
    var effects: [ArmingEffect] = []
    /// Commands that waited for the partner and do not any more.
    var settled: [SettledCommand] = []
    /// Whether the partner is asked before anything is armed or disarmed (decisions §5).
    var asksPartner = false

    /// What set a change off, as the history tells it.
    enum Cause: String {
        case report
        case command
        case signal
        case deadline
        case schedule
    }

    init(
        site: SiteConfiguration,
        timeZone: TimeZoneRules,
        now: Instant,
        lateness: Duration = .zero,
        cause: Cause,
        state: SiteState
    ) {
        self.site = site
        self.timeZone = timeZone
        self.now = now
        self.lateness = lateness
        self.cause = cause
        self.state = state
    }

    // MARK: Looking

    subscript(_ partition: Partition) -> PartitionState {
        // Not lent with `_read`: an optimized build then took the exit delay apart that a guard had read from it (Swift 6.3),
        // when the guard's next condition failed.
        get { state.partitions[partition.id, default: PartitionState(since: site.site.createdAt)] }
        _modify { yield &state.partitions[partition.id, default: PartitionState(since: site.site.createdAt)] }
    }

    func condition(_ zone: Zone) -> ZoneCondition { state.zones[zone.id]?.condition ?? .closed }

    func isOpen(_ zone: ZoneID) -> Bool { state.zones[zone]?.isOpen ?? false }

    func zones(of partition: Partition) -> [Zone] { site.zones.filter { $0.belongs(to: partition) } }

    /// The partitions of a zone, in the order of their numbers; a common area's own come before it.
    func owners(of zone: Zone) -> [Partition] { site.partitions.filter { zone.belongs(to: $0) } }

    /// Whether any of its partitions bypasses the zone: whoever was told so hears nothing of it (I11).
    func isBypassed(_ zone: Zone) -> Bool { owners(of: zone).contains { self[$0].bypassed[zone.id] != nil } }

    func dependents(of area: Partition) -> [Partition] {
        site.partitions.filter { area.policy.commonAreaOf.contains($0.number) }
    }

    // MARK: Changing the phase

    /// Enters a phase and says so: the state change, the catalogue's event, and the history's words.
    mutating func enter(
        _ phase: Phase,
        in partition: Partition,
        by: Attribution,
        _ explanation: String,
        isWayBack: Bool = false
    ) {
        let previous = self[partition].phase
        if previous == phase { return }
        // An exit delay belongs to the closing that it leads to: that began with the delay.
        let began = previous.isArming ? self[partition].since : now
        if previous.guardingMode == nil, phase.guardingMode != nil { tellOfThePast(partition) }
        self[partition].phase = phase
        self[partition].since = now
        self[partition].by = by
        self[partition].version += 1
        self[partition].trackSession(at: now)
        emit(
            .armingStateChanged(
                ArmingStateChanged(
                    siteID: site.site.id,
                    partitionID: partition.id,
                    newState: phase.wireState,
                    previousState: previous.wireState,
                    timestamp: now,
                    triggeredBy: by.triggeredBy,
                    source: by.source
                )
            ),
            partition
        )
        effects.append(
            .change(
                PartitionChange(
                    partitionID: partition.id,
                    at: now,
                    state: phase.wireState,
                    previousState: previous.wireState,
                    by: by,
                    cause: cause.rawValue,
                    explanation: explanation
                )
            )
        )
        switch phase {
        case .disarmed where !isWayBack: announceDisarmed(partition, by, previous)
        case .armed(let mode) where !isWayBack:
            emit(
                .partitionArmed(
                    PartitionArmed(
                        partitionID: partition.id,
                        siteID: site.site.id,
                        mode: mode.wireName,
                        by: by.source.by
                    )
                ),
                partition
            )
        case .disarmed, .armed, .arming, .entry: break
        }
        if !isWayBack { judgeHours(partition, from: previous, to: phase, began: began, by: by) }
    }

    /// A failed or cancelled arming that began disarmed was never armed, so that nothing is disarmed (decisions §8).
    private mutating func announceDisarmed(_ partition: Partition, _ by: Attribution, _ previous: Phase) {
        if case .arming(_, from: nil) = previous { return }
        emit(
            .partitionDisarmed(
                PartitionDisarmed(
                    partitionID: partition.id,
                    siteID: site.site.id,
                    by: by.source.by,
                    operatorID: by.isPerson ? by.userID : nil
                )
            ),
            partition
        )
    }

    // MARK: Saying

    mutating func emit(_ body: EventBody, _ partition: Partition) {
        effects.append(.event(partition: partition.id, body))
    }

    /// Tells the audit log of something that changes no phase.
    mutating func note(_ partition: Partition, _ action: String, _ explanation: String) {
        effects.append(.note(partition: partition.id, action: action, explanation: explanation))
    }

    /// Tells the premises and the apps that an arming failed (`arming.failed`).
    mutating func announceFailure(
        of mode: ArmingMode,
        _ reasons: [ArmFailureReason],
        in partition: Partition,
        by: Attribution
    ) {
        let body = ArmingFailed(
            siteID: site.site.id,
            partitionID: partition.id,
            mode: mode.wireName,
            message: reasons.summary,
            reasons: reasons,
            by: by
        )
        emit(.armingFailed(body), partition)
        // Whoever commanded it is told in the reply; a schedule's and an exit delay's failure meets nobody there.
        if cause != .command { effects.append(.notice(NoticeDraft(body, site: site.site, partition: partition))) }
        note(partition, "arming.failed", "\(partition.name): \(body.message)")
    }
}

extension [ArmFailureReason] {
    /// One sentence for people: the first reason, and how many more there are.
    package var summary: String {
        let message = first?.message ?? "Cannot arm"
        return count > 1 ? "\(message) (and \(count - 1) more)" : message
    }
}

extension Phase {
    /// The mode whose zones guard: while another mode is being armed, the one that was in force (T08, I9).
    package var guardingMode: ArmingMode? {
        switch self {
        case .disarmed: nil
        case .arming(_, let from): from
        case .armed(let mode), .entry(let mode): mode
        }
    }

    package var isArming: Bool {
        if case .arming = self { true } else { false }
    }

    package var isEntry: Bool {
        if case .entry = self { true } else { false }
    }
}

extension Attribution {
    /// Whether `userID` names a person: a schedule's rule is named there too.
    package var isPerson: Bool { userID != nil && source != .schedule && source != .autoArm }

    /// As a sentence names it.
    package var words: String {
        switch (name ?? userID, source) {
        case (let who?, .schedule): "the schedule “\(who)”"
        case (let who?, _): "\(who) (\(source.rawValue))"
        case (nil, .system): "Tocsin"
        case (nil, _): source.rawValue
        }
    }
}
