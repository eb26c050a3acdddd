import TocsinCore
import TocsinJSON
import TocsinLedger

extension Plan {
    // MARK: Reports

    mutating func audit(_ command: ReportCommand, answers: [PartitionAnswer], changes: [ToldChange] = []) {
        let told = answers.prefix(3).map(\.explanation).joined(separator: "; ")
        let explanation = answers.count > 3 ? "\(told); and \(answers.count - 3) partitions more" : told
        let result = answers.contains { $0.applied } ? "ok" : answers.first?.reason?.rawValue ?? "ok"
        var entry = entry(command, result: result, explanation: explanation)
        entry.details = AuditDetails(written: command.details(answers, changes))
        entry.changesState = !changes.isEmpty
        decision.audit.append(entry)
    }

    mutating func audit(_ command: ReportCommand, refusal: ReportRefusal) {
        let (result, explanation) =
            switch refusal {
            case .unknownPartition: ("partition_not_found", "The report names a partition that the site does not have")
            case .invalidTransition(_, let name, let current, _):
                ("invalid_transition", "\(name) is \(current), which \(command.report.state.rawValue) cannot follow")
            }
        if case .invalidTransition = refusal { decision.marks.append(.invalidTransition) }
        var entry = entry(command, result: result, explanation: explanation)
        entry.details = AuditDetails(written: command.details)
        auditRefusal(entry)
    }

    private func entry(
        _ command: ReportCommand,
        result: String,
        explanation: String
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
            address: command.address
        )
    }

    // MARK: Commands and signals

    /// Says who commanded what, and what came of it; under duress the same as ever (I17).
    mutating func audit(
        _ request: Request,
        _ command: ArmingCommand,
        _ outcome: CommandOutcome,
        result: String,
        _ changes: [ToldChange]
    ) {
        var details: JSONObject = [:]
        details["user_id"] = outcome.by.userID.map(JSON.string)
        if case .arm(let arming) = command.action {
            details["mode"] = .string(arming.mode.wireName)
            if !arming.bypassZones.isEmpty { details["bypass_zones"] = .array(arming.bypassZones.map { JSON($0) }) }
            if arming.force { details["force_arm"] = true }
        }
        if case .success(let reply) = outcome.answer, let id = reply.pending {
            details["command_id"] = .string(id.text)
        }
        if case .failure(.armFailed(let reasons)) = outcome.answer {
            details["reasons"] = JSON(
                reasons.map { [$0.code, $0.zoneName].compactMap(\.self).joined(separator: ": ") }
            )
        }
        details.add(changes)
        var entry = entry(request, action: command.auditAction, result: result, outcome.explanation, details: details)
        entry.changesState = !changes.isEmpty
        if case .failure = outcome.answer, changes.isEmpty { return auditRefusal(entry) }
        decision.audit.append(entry)
    }

    /// Writes down what a caller was refused, within the measure of all its refusals (decisions §10).
    ///
    /// Only the entry of the refusal itself: a lock-out and a duress alarm have entries of their own.
    mutating func auditRefusal(_ entry: AuditEntry) {
        guard let unwritten = tools.refusals.take(entry.actor, at: decision.at) else { return }
        var entry = entry
        if unwritten > 0 { entry.details["refusals_not_written"] = JSON(unwritten) }
        decision.audit.append(entry)
    }

    /// A command of before a restart was decided: whoever asked for it is gone, and was named when it came.
    mutating func audit(_ settled: SettledCommand) {
        let outcome = settled.outcome
        let result =
            switch outcome.answer {
            case .success: "ok"
            case .failure(let refusal): refusal.code
            }
        var details: JSONObject = ["command_id": .string(settled.id.text)]
        details["user_id"] = outcome.by.userID.map(JSON.string)
        decision.audit.append(
            entry(
                nil,
                action: "arming.command",
                result: result,
                outcome.explanation,
                cause: "partner",
                details: details
            )
        )
    }

    /// One entry for a request's signals, with what became of each: the record of what the panel said.
    mutating func audit(_ request: Request, _ signals: [Signal], _ answers: [SignalAnswer], _ changes: [ToldChange]) {
        let items = zip(signals, answers).map { signal, answer -> JSON in
            var item = JSONObject()
            switch signal.origin {
            case .zone(let id): item["zone"] = .string(id.text)
            case .number(let number): item["zone"] = JSON(number)
            case .device(let id): item["device_id"] = .string(id.text)
            }
            item["kind"] = .string(signal.kind.rawValue)
            item["timestamp"] = .string(signal.timestamp.rfc3339Milliseconds)
            item["signal_id"] = signal.signalID.map(JSON.string)
            item["outcome"] = .string(answer.outcome.rawValue)
            item["reason"] = answer.reason.map(JSON.string)
            return .object(item)
        }
        var details: JSONObject = ["signals": .array(items)]
        details.add(changes)
        let accepted = answers.count { $0.outcome == .accepted }
        let words = "\(answers.count) signals: \(accepted) accepted, \(answers.count - accepted) not"
        var entry = entry(request, action: "signals.report", result: "ok", words, details: details)
        entry.changesState = !changes.isEmpty
        decision.audit.append(entry)
    }

    /// What a request did, or Tocsin itself where there is none; a target that is left out is the site.
    func entry(
        _ request: Request?,
        action: String,
        target: String? = nil,
        result: String = "ok",
        _ explanation: String,
        cause: String = "request",
        details: JSONObject = [:]
    ) -> AuditEntry {
        AuditEntry(
            at: request?.receivedAt ?? decision.at,
            dealerID: decision.dealerID,
            siteID: decision.siteID,
            actor: request?.actor ?? .system,
            action: action,
            target: target ?? decision.siteID.text,
            result: result,
            explanation: explanation,
            cause: cause,
            requestID: request?.requestID,
            traceID: request?.traceID,
            address: request?.address,
            details: details
        )
    }

    // MARK: What Tocsin does itself

    func note(
        _ partition: PartitionID,
        _ action: String,
        _ explanation: String,
        _ request: Request?
    ) -> AuditEntry {
        entry(ofEffect: action, on: partition.text, explanation, request)
    }

    /// Something that a request or a deadline has set off, at the time at which it was decided.
    func entry(
        ofEffect action: String,
        on target: String,
        _ explanation: String,
        _ request: Request?,
        details: JSONObject = [:]
    ) -> AuditEntry {
        let cause = request == nil ? "deadline" : "request"
        var entry = entry(request, action: action, target: target, explanation, cause: cause, details: details)
        entry.at = decision.at
        return entry
    }

    /// A change that no request asked for: a countdown's end, or a schedule's rule.
    func entry(of change: PartitionChange, _ changes: [ToldChange]) -> AuditEntry {
        var details = JSONObject()
        details.add(changes)
        let isRule = change.by.source == .schedule
        return AuditEntry(
            at: decision.at,
            dealerID: decision.dealerID,
            siteID: decision.siteID,
            actor: isRule ? AuditEntry.Actor(.schedule, change.by.userID ?? "schedule") : .system,
            action: "arming.change",
            target: change.partitionID.text,
            explanation: change.explanation,
            cause: change.cause,
            details: details,
            changesState: true
        )
    }
}

extension JSONObject {
    fileprivate mutating func add(_ changes: [ToldChange]) {
        if !changes.isEmpty { self["changes"] = .array(changes.map(\.json)) }
    }
}
