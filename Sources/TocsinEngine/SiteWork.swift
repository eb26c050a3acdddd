import TocsinCore
import TocsinJSON
import TocsinLedger

/// A command that waits for its site's turn.
struct SiteCommand: Sendable {
    enum Kind: Sendable {
        case report(ReportCommand, CheckedContinuation<Result<ReportResult, LedgerError>, Never>)
        /// A deadline of the site may have passed.
        case deadline
    }

    var siteID: SiteID
    var receivedAt: Instant
    var kind: Kind
}

/// All commands of one site in one batch, decided one after the other and committed as one decision.
struct SiteWork {
    /// What one command came to, to be told once it is durable.
    struct Settlement {
        var command: SiteCommand
        var result: ReportResult?
    }

    let siteID: SiteID
    private(set) var commands: [SiteCommand]
    /// Report ids that the ledger has told us it knows.
    private var knownReports: Set<String> = []
    /// Keys that the ledger has told us it knows, by key.
    private var knownKeys: [String: IdempotencyRecord] = [:]

    init(siteID: SiteID, commands: [SiteCommand]) {
        self.siteID = siteID
        // In the order in which their last bytes arrived, whatever order the threads brought them in (design, time).
        self.commands = commands.sorted { $0.receivedAt < $1.receivedAt }
    }

    mutating func learn(knownReport id: String) { knownReports.insert(id) }

    mutating func learn(knownKey record: IdempotencyRecord) { knownKeys[record.key] = record }

    /// Decides every command on the record; nothing has happened until the decision is committed.
    func decide(on record: SiteRecord, at now: Instant, tools: DecisionTools) throws(VaultError) -> Plan {
        var plan = Plan(record: record, at: now)
        var seen = knownReports
        for command in commands {
            switch command.kind {
            case .deadline:
                plan.take(plan.machine.deadlinesReached(by: max(now, command.receivedAt)), tools)
                plan.settlements.append(Settlement(command: command, result: nil))
            case .report(let report, _):
                let result = try decide(report, &plan, &seen, tools)
                plan.settlements.append(Settlement(command: command, result: result))
            }
        }
        plan.finish()
        return plan
    }

    private func decide(
        _ command: ReportCommand,
        _ plan: inout Plan,
        _ seen: inout Set<String>,
        _ tools: DecisionTools
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
        plan.take(outcome.deadlineEffects, tools)
        switch outcome.answer {
        case .failure(let error):
            plan.audit(command, refusal: error.refusal)
            return .refused(error.refusal)
        case .success(let answers):
            let events = plan.take(outcome.effects, tools)
            plan.audit(command, answers: answers)
            if let id = command.report.reportID { plan.decision.reportIDs.append(id) }
            let reply = plan.reply(to: command, answers, events: events)
            if let ticket = command.idempotency {
                plan.decision.idempotency.append(
                    try ticket.record(status: 200, reply: reply.json, at: plan.decision.at, vault: tools.vault)
                )
            }
            return .accepted(reply)
        }
    }
}

/// What deciding needs from outside the core.
struct DecisionTools: Sendable {
    var randomness: any Randomness
    var vault: Vault
}

/// The decision of one site in the making.
struct Plan {
    let record: SiteRecord
    var machine: SiteMachine
    var decision: Decision
    var settlements: [SiteWork.Settlement] = []

    init(record: SiteRecord, at now: Instant) {
        self.record = record
        machine = SiteMachine(configuration: record.configuration, state: record.state)
        let site = record.configuration.site
        decision = Decision(
            siteID: site.id,
            dealerID: site.dealerID,
            partnerID: site.partnerID,
            baseVersion: record.version,
            newState: nil,
            at: now
        )
    }

    /// Turns effects into what the decision stores, and returns the ids of their events.
    @discardableResult
    mutating func take(_ effects: [ArmingEffect], _ tools: DecisionTools) -> [EventID] {
        var ids: [EventID] = []
        for effect in effects {
            switch effect {
            case .alarm(let draft): decision.alarms.append(draft)
            case .mark(let mark): decision.marks.append(mark)
            case .change: break
            case .alarmPriority(let incident, let priority):
                decision.alarmChanges.append(AlarmChange(incident: incident, priority: priority))
            case .note(let partition, let action, let explanation):
                decision.audit.append(note(partition, action, explanation))
            case .notice(let draft):
                decision.notices.append(IssuedNotice(id: tools.randomness.id(at: decision.at), draft: draft))
            case .event(let partition, let body):
                let id = tools.randomness.id(EventNoun.self, at: decision.at)
                ids.append(id)
                decision.events.append(
                    EventDraft(
                        id: id,
                        siteID: decision.siteID,
                        partitionID: partition,
                        body: body.referring(toNewAlarm: decision.alarms.count - 1)
                    )
                )
            }
        }
        return ids
    }

    /// Stores the new state only if there is one: most retries and refusals change nothing but the audit log.
    mutating func finish() {
        if machine.state != record.state { decision.newState = machine.state }
    }

    /// Whether there is anything to commit.
    var isEmpty: Bool {
        decision.newState == nil && decision.audit.isEmpty && decision.events.isEmpty && decision.marks.isEmpty
    }

    func reply(to command: ReportCommand, _ answers: [PartitionAnswer], events: [EventID]) -> ReportReply {
        ReportReply(
            siteID: command.siteID,
            receivedAt: command.receivedAt,
            partitions: answers,
            eventIDs: events
        )
    }

    // MARK: Audit

    mutating func audit(_ command: ReportCommand, answers: [PartitionAnswer]) {
        let outcomes = answers.map { answer -> JSON in
            var outcome: JSONObject = [
                "partition_id": .string(answer.partitionID.text),
                "state": .string(answer.state),
                "previous_state": .string(answer.previousState),
                "applied": .bool(answer.applied),
            ]
            if let reason = answer.reason { outcome["reason"] = .string(reason.rawValue) }
            return .object(outcome)
        }
        var details = command.facts
        details["partitions"] = .array(outcomes)
        let told = answers.prefix(3).map(\.explanation).joined(separator: "; ")
        let explanation = answers.count > 3 ? "\(told); and \(answers.count - 3) partitions more" : told
        let result = answers.contains { $0.applied } ? "ok" : answers.first?.reason?.rawValue ?? "ok"
        decision.audit.append(entry(command, result: result, explanation: explanation, details: details))
    }

    mutating func audit(_ command: ReportCommand, refusal: ReportRefusal) {
        let (result, explanation) =
            switch refusal {
            case .unknownPartition: ("partition_not_found", "The report names a partition that the site does not have")
            case .invalidTransition(_, let name, let current, _):
                ("invalid_transition", "\(name) is \(current), which \(command.report.state.rawValue) cannot follow")
            }
        if case .invalidTransition = refusal { decision.marks.append(.invalidTransition) }
        decision.audit.append(entry(command, result: result, explanation: explanation, details: command.facts))
    }

    private func entry(
        _ command: ReportCommand,
        result: String,
        explanation: String,
        details: JSONObject
    ) -> AuditEntry {
        AuditEntry(
            at: command.receivedAt,
            dealerID: decision.dealerID,
            siteID: decision.siteID,
            actor: AuditEntry.Actor(.partner, command.partnerID.text),
            action: "arming.report",
            target: decision.siteID.text,
            result: result,
            explanation: explanation,
            cause: "report",
            requestID: command.requestID,
            traceID: command.traceID,
            address: command.address,
            details: details
        )
    }

    private func note(_ partition: PartitionID, _ action: String, _ explanation: String) -> AuditEntry {
        AuditEntry(
            at: decision.at,
            dealerID: decision.dealerID,
            siteID: decision.siteID,
            actor: .system,
            action: action,
            target: partition.text,
            explanation: explanation,
            cause: "deadline"
        )
    }
}

extension EventBody {
    /// Points an alarm's event at its place among the decision's new alarms.
    fileprivate func referring(toNewAlarm index: Int) -> EventBody {
        guard case .alarmCreated(var body) = self else { return self }
        body.alarm = .new(index)
        return .alarmCreated(body)
    }
}

extension ReportCommand {
    /// What was reported, as the audit log keeps it.
    fileprivate var facts: JSONObject {
        var facts: JSONObject = [
            "state": .string(report.state.rawValue),
            "timestamp": .string(report.timestamp.rfc3339Milliseconds),
            "source": .string(report.source.rawValue),
        ]
        if let user = report.userID { facts["user_id"] = .string(user) }
        if let id = report.reportID { facts["report_id"] = .string(id) }
        if let delay = report.delaySeconds { facts["delay_seconds"] = JSON(delay) }
        if let reason = report.reason { facts["reason"] = .string(reason) }
        return facts
    }
}
