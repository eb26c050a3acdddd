import TocsinCore
import TocsinJSON
import TocsinLedger

/// A command that waits for its site's turn.
struct SiteCommand: Sendable {
    /// Where the answer goes.
    typealias Reply<Answer> = CheckedContinuation<Result<Answer, LedgerError>, Never>

    /// Behind a reference, for a command is handed on several times, by the thousand.
    indirect enum Kind: Sendable {
        case report(ReportCommand, ReportAnswer)
        case panel(PanelCommand, Reply<PanelResult>)
        case signals(SignalBatch, Reply<SignalResult>)
        case schedule(ScheduleCommand, Reply<ScheduleResult>)
        case task(any WaitingTask)
        /// A partner has said what it thinks of a command (decisions §5).
        case partnerAnswered(EventID, PartnerAnswer)
        /// A deadline of the site may have passed.
        case deadline
        /// The site's configuration has changed: what is remembered of it is old.
        case reconfigured
        /// Deadlines come up, this site's first: there may be something to decide ahead.
        case upcoming
    }

    var siteID: SiteID
    var receivedAt: Instant
    var kind: Kind

    /// Whether its reply tells a version, so that nothing else may share that version with it.
    var tellsVersion: Bool {
        switch kind {
        case .panel, .partnerAnswered: true
        case .report, .signals, .schedule, .task, .deadline, .reconfigured, .upcoming: false
        }
    }

    /// Whether somebody may have to hear of an alarm by it: it does not wait for others to gather.
    var mayTellAlarm: Bool {
        switch kind {
        case .signals: true
        case .task(let task): !task.alarms.isEmpty
        case .report, .panel, .schedule, .partnerAnswered, .deadline, .reconfigured, .upcoming: false
        }
    }

    /// What its site waits for until it has reached the inbox.
    var arrival: Arrivals.Arrival? {
        switch kind {
        case .report(let report, _): report.arrival
        case .panel(let panel, _): panel.request.arrival
        case .signals(let batch, _): batch.request.arrival
        case .schedule(let schedule, _): schedule.request.arrival
        // It may be asked beside a command that follows; its request's end tells.
        case .task: nil
        case .partnerAnswered, .deadline, .reconfigured, .upcoming: nil
        }
    }

    /// Whether it only says that the configuration has changed: nobody's request, which would meet deadlines in its instant.
    var isChange: Bool {
        if case .reconfigured = kind { true } else { false }
    }

    /// Tells everybody who waits that nothing was committed.
    func fail(with error: LedgerError) {
        switch kind {
        case .report(_, let answer): answer(.failure(error))
        case .panel(_, let reply): reply.resume(returning: .failure(error))
        case .signals(_, let reply): reply.resume(returning: .failure(error))
        case .schedule(_, let reply): reply.resume(returning: .failure(error))
        case .task(let task): task.fail(with: error)
        case .partnerAnswered, .deadline, .reconfigured, .upcoming: break
        }
    }

    /// Tells everybody who waits that there is no such site.
    func answerUnknownSite() {
        switch kind {
        case .report(_, let answer): answer(.success(.unknownSite))
        case .panel(_, let reply): reply.resume(returning: .success(.unknownSite))
        case .signals(_, let reply): reply.resume(returning: .success(.unknownSite))
        case .schedule(_, let reply): reply.resume(returning: .success(.unknownSite))
        case .task(let task): task.answerUnknownSite()
        case .partnerAnswered, .deadline, .reconfigured, .upcoming: break
        }
    }
}

/// All commands of one site in one batch, decided one after the other and committed as one decision.
struct SiteWork {
    /// An answer that is told once the decision is durable.
    enum Settlement {
        case report(receivedAt: Instant, ReportAnswer, ReportResult)
        case panel(SiteCommand.Reply<PanelResult>, PanelResult)
        case signals(SiteCommand.Reply<SignalResult>, SignalResult)
        case schedule(SiteCommand.Reply<ScheduleResult>, ScheduleResult)
        /// Tells the answer of a task.
        case task(@Sendable () -> Void)
        /// The caller waits until the partner has answered.
        case waiting(EventID, PartnerDesk.Waiter)
        /// The command that this caller waits for was decided.
        case decided(EventID, PanelResult)
        /// Nothing more comes from the partner.
        case closed(EventID)
    }

    let siteID: SiteID
    private(set) var commands: [SiteCommand]
    /// Report and signal ids that the ledger has told us it knows.
    private var knownReports: Set<String> = []
    /// Keys that the ledger has told us it knows, by key.
    private var knownKeys: [String: IdempotencyRecord] = [:]

    /// Takes commands in the order of their arrival.
    init(siteID: SiteID, commands: [SiteCommand]) {
        self.siteID = siteID
        self.commands = commands
    }

    /// The commands of each site, in the order in which their last bytes arrived, whatever order the threads brought them
    /// in (design, time).
    static func gathered(_ commands: [SiteCommand]) -> [SiteWork] {
        var works: [SiteWork] = []
        works.reserveCapacity(commands.count)
        var places: [SiteID: Int] = [:]
        places.reserveCapacity(commands.count)
        for command in commands {
            if let place = places[command.siteID] {
                works[place].commands.append(command)
            } else {
                places[command.siteID] = works.count
                works.append(SiteWork(siteID: command.siteID, commands: [command]))
            }
        }
        for place in works.indices where works[place].commands.count > 1 {
            works[place].commands.sort { $0.receivedAt < $1.receivedAt }
        }
        return works
    }

    /// Cuts off what must wait until a version has been told; none if nothing must.
    mutating func cutBehindVersion() -> SiteWork? {
        guard commands.count > 1, let last = commands.firstIndex(where: \.tellsVersion), last + 1 < commands.count
        else { return nil }
        let rest = SiteWork(siteID: siteID, commands: Array(commands[(last + 1)...]))
        commands.removeSubrange((last + 1)...)
        return rest
    }

    /// Whether what is remembered of the site may be older than its configuration.
    var mustLoad: Bool {
        commands.contains(where: \.isChange)
    }

    /// When the timer called, if there is nothing else to decide.
    var arrivalOfDeadlineAlone: Instant? {
        guard commands.count == 1, case .deadline = commands[0].kind else { return nil }
        return commands[0].receivedAt
    }

    /// The alarms of the site that deciding may touch; nothing has to be asked for a site without any.
    func alarms(of record: SiteRecord) -> AlarmNeeds {
        var needs = AlarmNeeds(incidents: record.state.alarmedIncidents)
        for command in commands {
            if case .task(let task) = command.kind { needs.formUnion(task.alarms) }
        }
        return needs
    }

    mutating func learn(knownReports ids: [String]) { knownReports.formUnion(ids) }

    mutating func learn(knownKey record: IdempotencyRecord) { knownKeys[record.key] = record }

    /// Decides every command on the record; nothing has happened until the decision is committed.
    func decide(
        on record: SiteRecord,
        alarms: [Alarm] = [],
        at now: Instant,
        tools: DecisionTools
    ) throws(VaultError) -> Plan {
        var plan = Plan(record: record, alarms: alarms, at: now, tools: tools)
        var seen = knownReports
        for command in commands {
            switch command.kind {
            // Not by now: what was read before a later deadline, and waits behind this work, must still win (design, time).
            case .deadline: plan.reachDeadlines(by: command.receivedAt)
            case .reconfigured: plan.reconfigure(at: command.receivedAt)
            case .upcoming: continue
            case .report(let report, let answer):
                let result = try decide(report, &plan, &seen)
                plan.settlements.append(.report(receivedAt: report.receivedAt, answer, result))
            case .panel(let panel, let reply):
                plan.settlements.append(try settle(panel, reply, &plan))
            case .partnerAnswered(let id, let answer):
                try take(answer, to: id, receivedAt: command.receivedAt, &plan)
            case .signals(let batch, let reply):
                plan.settlements.append(.signals(reply, try decide(batch, &plan, &seen)))
            case .schedule(let schedule, let reply):
                plan.settlements.append(.schedule(reply, try decide(schedule, &plan)))
            case .task(let task):
                plan.reachDeadlines(by: command.receivedAt)
                plan.settlements.append(.task(try task.settle(&plan, knownKeys: knownKeys)))
            }
            try settleWaiting(&plan)
        }
        // A deadline that came with a request and is due in its instant is met with it, not when the timer comes: whether
        // the server stops in between must make no difference (I15).
        if let last = commands.last, !last.isChange { plan.reachDeadlines(by: last.receivedAt) }
        plan.finish()
        return plan
    }

    private func decide(
        _ command: ReportCommand,
        _ plan: inout Plan,
        _ seen: inout Set<String>
    ) throws(VaultError) -> ReportResult {
        let site = plan.record.configuration.site
        if site.partnerID != command.partnerID { return .unknownSite }
        if site.armingModel != .partnerTriggered { return .wrongAuthority }
        if let ticket = command.idempotency, let known = knownKeys[ticket.key] { return .knownKey(known) }
        if let id = command.report.reportID, !seen.insert(id).inserted {
            let answers = plan.machine.duplicateAnswers(to: command.report)
            plan.audit(command, answers: answers)
            return .accepted(plan.reply(to: command, answers, events: []))
        }
        let outcome = plan.machine.report(command.report, receivedAt: command.receivedAt)
        plan.takeOwn(outcome.deadlineEffects)
        switch outcome.answer {
        case .failure(let error):
            plan.audit(command, refusal: error.refusal)
            return .refused(error.refusal)
        case .success(let answers):
            let taken = plan.take(outcome.effects)
            plan.audit(command, answers: answers, changes: taken.changes)
            if let id = command.report.reportID { plan.decision.reportIDs.append(id) }
            let reply = plan.reply(to: command, answers, events: taken.events)
            try plan.keep(command.idempotency, status: 200) { reply.json }
            return .accepted(reply)
        }
    }

    /// Decides a command; one that is put to the partner is answered later.
    private func settle(
        _ panel: PanelCommand,
        _ reply: SiteCommand.Reply<PanelResult>,
        _ plan: inout Plan
    ) throws(VaultError) -> Settlement {
        let request = panel.request
        let site = plan.record.configuration.site
        if !request.reach.covers(site) { return .panel(reply, .unknownSite) }
        if site.armingModel != .platformTriggered { return .panel(reply, .wrongAuthority) }
        if let ticket = request.idempotency, let known = knownKeys[ticket.key] {
            return .panel(reply, .knownKey(known))
        }
        plan.reachDeadlines(by: request.receivedAt)
        let isStale = panel.ifMatch.map { !$0.contains(plan.shownVersion) } ?? false
        let outcome = plan.command(panel.command, isStale: isStale, receivedAt: request.receivedAt)
        let taken = plan.take(outcome.effects, for: request)
        if case .success(let answer) = outcome.answer, let id = answer.pending {
            plan.audit(request, panel.command, outcome, result: "pending", taken.changes)
            return .waiting(id, PartnerDesk.Waiter(panel: panel, reply: reply))
        }
        return .panel(reply, try result(of: panel, outcome, taken.changes, &plan))
    }

    private func result(
        of panel: PanelCommand,
        _ outcome: CommandOutcome,
        _ changes: [ToldChange],
        _ plan: inout Plan
    ) throws(VaultError) -> PanelResult {
        switch outcome.answer {
        case .failure(let refusal):
            plan.audit(panel.request, panel.command, outcome, result: refusal.code, changes)
            return refusal == .versionConflict ? .versionConflict(current: plan.shownVersion) : .refused(refusal)
        case .success:
            plan.audit(panel.request, panel.command, outcome, result: "ok", changes)
            // Before the reply, which tells the one state of its version.
            plan.reachDeadlines(by: panel.request.receivedAt)
            let after = plan.recordAfter
            let reply = panel.render(after)
            try plan.keep(panel.request.idempotency, status: 200) { reply }
            return .done(reply: reply, version: after.shownVersion)
        }
    }

    // MARK: The partner's word

    /// Decides a command that waited, by the state as it is now.
    private func take(
        _ answer: PartnerAnswer,
        to id: EventID,
        receivedAt: Instant,
        _ plan: inout Plan
    ) throws(VaultError) {
        let outcome = plan.machine.partnerAnswered(id, answer, receivedAt: receivedAt)
        plan.takeOwn(outcome.deadlineEffects)
        let changes: [ToldChange]
        if let waiter = plan.desk.waiter(for: id) {
            changes = plan.take(outcome.effects, for: waiter.panel.request).changes
        } else {
            plan.takeOwn(outcome.effects)
            changes = []
        }
        try settleWaiting(&plan, changes, of: id)
        plan.settlements.append(.closed(id))
    }

    /// Answers the callers of commands that wait no longer.
    private func settleWaiting(
        _ plan: inout Plan,
        _ changes: [ToldChange] = [],
        of id: EventID? = nil
    ) throws(VaultError) {
        for settled in plan.machine.takeSettled() {
            guard let panel = plan.desk.waiter(for: settled.id)?.panel else {
                plan.audit(settled)
                continue
            }
            if let ticket = panel.request.idempotency, let known = knownKeys[ticket.key] {
                plan.settlements.append(.decided(settled.id, .knownKey(known)))
                continue
            }
            let told = settled.id == id ? changes : []
            let result = try result(of: panel, settled.outcome, told, &plan)
            plan.settlements.append(.decided(settled.id, result))
        }
    }

    private func decide(
        _ batch: SignalBatch,
        _ plan: inout Plan,
        _ seen: inout Set<String>
    ) throws(VaultError) -> SignalResult {
        let request = batch.request
        if !request.reach.covers(plan.record.configuration.site) { return .unknownSite }
        if let ticket = request.idempotency, let known = knownKeys[ticket.key] { return .knownKey(known) }
        let known = Set(batch.signals.compactMap(\.signalID).filter { seen.contains(Self.key(ofSignal: $0)) })
        let outcome = plan.machine.signals(batch.signals, known: known, receivedAt: request.receivedAt)
        plan.takeOwn(outcome.deadlineEffects)
        plan.namedSnapshots = batch.signals.compactMap { signal in
            signal.snapshotID.flatMap { batch.snapshots[$0] }.map { (signal, $0) }
        }
        let taken = plan.take(outcome.effects, for: request)
        plan.noteSightings(by: batch.signals, outcome.answers)
        for (signal, answer) in zip(batch.signals, outcome.answers) {
            guard let id = signal.signalID, answer.outcome != .duplicate, answer.outcome != .rejected else { continue }
            let key = Self.key(ofSignal: id)
            if seen.insert(key).inserted { plan.decision.reportIDs.append(key) }
        }
        plan.audit(request, batch.signals, outcome.answers, taken.changes)
        // A door without an entry delay of its own ends the countdown in the moment in which it opens.
        plan.reachDeadlines(by: request.receivedAt)
        plan.holdNamedSnapshots(at: request.receivedAt, outcome.answers, of: batch.signals)
        let reply = batch.render(outcome.answers)
        try plan.keep(request.idempotency, status: 202) { reply }
        return .accepted(reply: reply)
    }

    private func decide(_ command: ScheduleCommand, _ plan: inout Plan) throws(VaultError) -> ScheduleResult {
        let request = command.request
        let site = plan.record.configuration.site
        if !request.reach.covers(site) { return .unknownSite }
        if site.armingModel != .platformTriggered { return .wrongAuthority }
        if let ticket = request.idempotency, let known = knownKeys[ticket.key] { return .knownKey(known) }
        let outcome =
            switch command.action {
            case .postpone(let minutes):
                plan.machine.postpone(
                    command.scheduleID,
                    minutes: minutes,
                    by: command.by,
                    receivedAt: request.receivedAt
                )
            case .skip: plan.machine.skip(command.scheduleID, by: command.by, receivedAt: request.receivedAt)
            }
        plan.takeOwn(outcome.deadlineEffects)
        _ = plan.take(outcome.effects, for: request)
        if case .failure(let refusal) = outcome.answer { return .refused(refusal) }
        let reply = command.render(plan.recordAfter)
        try plan.keep(request.idempotency, status: 200) { reply }
        return .done(reply: reply)
    }

    /// Signals and reports are told apart in what the ledger remembers of both.
    private static func key(ofSignal id: String) -> String { "signal/\(id)" }
}

/// What deciding needs from outside the core.
final class DecisionTools: Sendable {
    let randomness: any Randomness
    let vault: Vault
    let timeZones: TimeZones
    let desk: PartnerDesk
    let recentSnapshots = RecentSnapshots()
    let refusals = RefusalLimiter()

    init(randomness: any Randomness, vault: Vault, timeZones: TimeZones, desk: PartnerDesk) {
        self.randomness = randomness
        self.vault = vault
        self.timeZones = timeZones
        self.desk = desk
    }
}
