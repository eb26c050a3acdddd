import TocsinCore
import TocsinJSON
import TocsinLedger

/// What an operator, an app or a partner does to an alarm, on its way to the site engine (decisions §6).
package struct AlarmCommand: SiteTask {
    package enum Answer: Sendable {
        /// Durable; `version` is the alarm's after it.
        case done(reply: [UInt8], version: Int64)
        case refused(AlarmRefusal)
        /// 412: the alarm is of another version than the caller has seen.
        case versionConflict(current: Int64)
        /// The alarm is not in the ledger any more.
        case unknownAlarm
    }

    package let siteID: SiteID
    package let receivedAt: Instant
    package let request: Request?
    private let incident: IncidentID
    private let action: AlarmAction
    /// The versions that the caller would have (`If-Match`); none asks for no particular one.
    private let ifMatch: [Int64]?
    /// Makes the 200 reply of the alarm as it is after the action.
    private let render: @Sendable (Alarm) -> [UInt8]

    package init(
        _ action: AlarmAction,
        on incident: IncidentID,
        request: Request,
        ifMatch: [Int64]? = nil,
        render: @escaping @Sendable (Alarm) -> [UInt8]
    ) {
        self.action = action
        self.incident = incident
        self.request = request
        self.ifMatch = ifMatch
        self.render = render
        siteID = request.siteID
        receivedAt = request.receivedAt
    }

    package var alarms: AlarmNeeds { AlarmNeeds(incidents: [incident]) }

    package func decide(_ plan: inout Plan) throws(VaultError) -> Answer {
        guard let request, let alarm = plan.alarm(incident) else { return .unknownAlarm }
        let name = alarm.number?.description ?? "the alarm"
        if let ifMatch, !ifMatch.contains(alarm.version) {
            plan.audit(
                request,
                action.auditAction,
                on: alarm,
                result: "version_conflict",
                "\(name) has changed since the caller read it"
            )
            return .versionConflict(current: alarm.version)
        }
        switch plan.perform(action, on: incident, by: request.actor) {
        case .failure(let refusal):
            plan.audit(request, action.auditAction, on: alarm, result: "invalid_alarm_transition", refusal.words(name))
            return .refused(refusal)
        case .success(let events):
            let after = plan.alarm(incident) ?? alarm
            plan.audit(
                request,
                action.auditAction,
                on: after,
                "\(name): \(action.words)",
                details: action.details.adding("event_ids", .array(events.map { .string($0.text) }))
            )
            let reply = render(after)
            try plan.keep(request.idempotency, status: 200) { reply }
            return .done(reply: reply, version: after.version)
        }
    }
}

extension AlarmAction {
    /// How the audit log names it.
    fileprivate var auditAction: String {
        switch self {
        case .acknowledge: "alarm.acknowledge"
        case .dispatch: "alarm.dispatch"
        case .resolve: "alarm.resolve"
        case .escalate, .expireVerification: "alarm.escalate"
        case .annotate: "alarm.annotate"
        case .requestVerification: "alarm.verification"
        case .answerVerification: "alarm.verification_answer"
        case .add: "alarm.raise"
        case .lower: "alarm.lower"
        case .attach: "alarm.snapshot"
        case .note: "alarm.note"
        }
    }

    fileprivate var words: String {
        switch self {
        case .acknowledge: "acknowledged"
        case .dispatch(let dispatch): "\(dispatch.responderType) \(dispatch.responderID) was sent"
        case .resolve(let resolution, _): "resolved as \(resolution.rawValue)"
        case .escalate(let reason, _): "escalated: \(reason)"
        case .annotate(let annotation): "annotated by \(annotation.source)"
        case .requestVerification(_, let seconds, _): "a verification was asked for within \(seconds) s"
        case .answerVerification(let verdict, _, _): "verified as \(verdict.rawValue)"
        case .expireVerification: "nobody verified it in time"
        case .add: "triggered again"
        case .lower(let priority): "lowered to \(priority.rawValue)"
        case .attach(let snapshot): "a snapshot of \(snapshot.deviceID) came in"
        case .note(let text): text
        }
    }

    /// What was said, for the audit log.
    fileprivate var details: JSONObject {
        var details = JSONObject()
        switch self {
        case .acknowledge(let reason): details["reason"] = reason.map(JSON.string)
        case .dispatch(let dispatch): details = dispatch.json
        case .resolve(_, let notes), .answerVerification(_, let notes, _): details["notes"] = notes.map(JSON.string)
        case .escalate(_, let priority): details["priority"] = priority.map { .string($0.rawValue) }
        case .annotate(let annotation):
            details["verdict"] = annotation.verdict.map(JSON.string)
            details["notes"] = annotation.notes.map(JSON.string)
        case .attach(let snapshot): details["snapshot_id"] = .string(snapshot.snapshotID.text)
        case .requestVerification, .expireVerification, .add, .lower, .note: break
        }
        return details
    }
}

extension AlarmRefusal {
    /// Why, in a sentence about the alarm of this name.
    package func words(_ name: String) -> String {
        switch self {
        case .state(let state, let mark):
            "\(name) is \(state.rawValue) since \(mark.at.rfc3339Seconds), by \(mark.by.id)"
        case .verificationOpen(let verification):
            "A verification of \(name) was asked for already, and is awaited until \(verification.deadline.rfc3339Seconds)"
        case .noVerification(let last):
            switch last?.outcome {
            case .answered(let verdict, let mark, _): "\(name) was verified as \(verdict.rawValue) by \(mark.by.id)"
            case .expired(let at): "The verification of \(name) ended without an answer at \(at.rfc3339Seconds)"
            case .dropped, nil: "Nobody has asked for a verification of \(name)"
            }
        case .priorityBelow(let priority): "\(name) is \(priority.rawValue) already: an escalation cannot lower it"
        }
    }
}

extension JSONObject {
    func adding(_ name: String, _ value: JSON) -> JSONObject {
        var copy = self
        copy[name] = value
        return copy
    }
}
