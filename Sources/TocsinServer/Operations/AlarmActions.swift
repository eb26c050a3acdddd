import Foundation
import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What is done to an alarm (decisions §6).
enum AlarmActions {
    static let all = [acknowledge, dispatch, resolve, escalate, annotate, verify, answer]

    private static let notesLengthMax = 2000
    private static let notes = Schema.string(1...notesLengthMax).nullable
    /// Longer than any drive to any alarm.
    private static let etaMax: Int64 = 86_400

    // MARK: Operations

    private static let acknowledge = action(
        "acknowledge",
        id: "acknowledgeAlarm",
        summary: "Take an open alarm on",
        members: [.optional("reason", Schema.string(1...500).nullable)]
    ) { call in
        .acknowledge(reason: call.body.optionalString("reason"))
    }

    private static let dispatch = action(
        "dispatch",
        id: "dispatchAlarm",
        summary: "Send somebody to the alarm's place",
        notes: "An alarm that is open is acknowledged by it, in the same commit.",
        scope: .alarmsWrite,
        members: [
            .required("responder_id", .string(1...128)),
            .required("responder_type", Schema.string(1...32).described("`guard`, `police`, `fire`, `medical`, …")),
            .required("eta_seconds", .integer(0...etaMax)),
            .optional("tracking_url", Schema.string(1...2000, format: "uri").nullable.described("`https` only.")),
        ]
    ) { call in
        .dispatch(
            AlarmDispatch(
                responderID: try call.body.string("responder_id"),
                responderType: try call.body.string("responder_type"),
                etaSeconds: try call.body.integer("eta_seconds"),
                trackingURL: try trackingURL(call.body)
            )
        )
    }

    private static let resolve = action(
        "resolve",
        id: "resolveAlarm",
        summary: "Close an alarm",
        notes: "The incident is over for the premises too: the bell ends, and the next trip raises another alarm.",
        members: [.required("resolution", .oneOf(AlarmResolution.self)), .optional("notes", notes)]
    ) { call in
        .resolve(try call.body.value("resolution"), notes: call.body.optionalString("notes"))
    }

    private static let escalate = action(
        "escalate",
        id: "escalateAlarm",
        summary: "Raise an alarm to a higher instance",
        members: [
            .required("reason", .string(1...500)),
            .optional(
                "priority",
                Schema.oneOf(AlarmPriority.self).nullable.described("Left out: the next higher one.")
            ),
        ]
    ) { call in
        .escalate(reason: try call.body.string("reason"), priority: call.body.optionalValue("priority"))
    }

    private static let annotate = action(
        "annotate",
        id: "annotateAlarm",
        summary: "Write something to an alarm, also to a resolved one",
        notes: "At least one of `verdict`, `confidence` and `notes`.",
        members: [
            .optional(
                "source",
                Schema.string(1...64).nullable
                    .described("Who or what says so; left out: `operator`, `app` or `partner`.")
            ),
            .optional("verdict", Schema.string(1...64).nullable),
            .optional("confidence", Schema.number(0...1).nullable.described("How sure the verdict is, from 0 to 1.")),
            .optional("notes", notes),
        ]
    ) { call in
        let annotation = AlarmAnnotation(
            source: call.body.optionalString("source") ?? call.caller.operatorKind,
            verdict: call.body.optionalString("verdict"),
            confidence: call.body.optionalNumber("confidence"),
            notes: call.body.optionalString("notes")
        )
        if annotation.verdict == nil, annotation.confidence == nil, annotation.notes == nil {
            throw APIError.invalid("notes", "is required, unless \"verdict\" or \"confidence\" is given")
        }
        return .annotate(annotation)
    }

    private static let verify = action(
        "verification",
        id: "requestVerification",
        summary: "Ask whether an alarm is real",
        notes: "Without an answer by the deadline the alarm is escalated, also over a restart.",
        members: [
            .optional(
                "deadline_seconds",
                Schema.integer(
                    Int64(AlarmVerification.secondsRange.lowerBound)...Int64(AlarmVerification.secondsRange.upperBound)
                ).nullable.described("Left out: \(AlarmVerification.defaultSeconds).")
            )
        ]
    ) { call in
        let seconds = call.body.optionalInteger("deadline_seconds") ?? AlarmVerification.defaultSeconds
        return .requestVerification(
            by: call.caller.operatorKind,
            seconds: seconds,
            until: call.receivedAt + .seconds(seconds)
        )
    }

    private static let answer = action(
        "verification/answer",
        id: "answerVerification",
        summary: "Say whether an alarm is real",
        notes: "Stops the deadline and annotates the alarm; to resolve it is a decision of its own.",
        members: [.required("verdict", .oneOf(AlarmVerdict.self)), .optional("notes", notes)]
    ) { call in
        .answerVerification(
            try call.body.value("verdict"),
            notes: call.body.optionalString("notes"),
            source: call.caller.operatorKind
        )
    }

    private static func action(
        _ name: String,
        id: String,
        summary: String,
        notes: String? = nil,
        scope: Scope = .eventsWrite,
        members: [Schema.Property],
        _ read: @escaping @Sendable (Call) throws -> AlarmAction
    ) -> Operation {
        Operation(
            .post,
            "/v1/alarms/{alarm_id}/\(name)",
            id: id,
            tag: .alarms,
            summary: summary,
            notes: notes,
            callers: .holding(scope),
            query: [AlarmOperations.dealer],
            body: .json(.object(members)),
            replies: [.ok("The alarm as it is now; `ETag` is its version.", AlarmView.replySchema)],
            errors: [.alarmNotFound, .dealerNotFound, .dealerRequired, .invalidAlarmTransition, .versionConflict],
            flags: [.siteBucket],
            handle: { call in try await carryOut(call, try read(call)) }
        )
    }

    // MARK: Carrying out

    private static func carryOut(_ call: Call, _ action: AlarmAction) async throws -> Reply {
        let alarm = try await call.read { try AlarmOperations.found(call, $0) }
        let caller = call.caller
        let command = AlarmCommand(
            action,
            on: alarm.incident,
            request: try call.request(at: alarm.siteID),
            ifMatch: call.matchedVersions,
            render: { AlarmView.reply($0, to: caller) }
        )
        switch try await call.services.sites.ask(command) {
        case .answered(.done(let reply, let version)): return Reply.ok(bytes: reply).tagged(version: version)
        case .answered(.refused(let refusal)): throw APIError(refusal, of: alarm).decided
        case .answered(.versionConflict(let current)): throw APIError.versionConflict(current: current).decided
        case .answered(.unknownAlarm): throw APIError.missing(.alarmNotFound)
        case .unknownSite:
            throw APIError(.invalidAlarmTransition, "The alarm's site was deleted: nothing more can be done to it.")
        case .knownKey(let record):
            guard let claim = call.idempotency else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }

    /// An address that anybody may be shown: it must lead to a page over TLS, and give no credentials away.
    private static func trackingURL(_ body: Fields) throws -> String? {
        guard let text = body.optionalString("tracking_url") else { return nil }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let url = URLComponents(string: text),
            url.scheme?.lowercased() == "https", let host = url.host, !host.isEmpty
        else { throw APIError.invalid("tracking_url", "must be an https address") }
        if url.user != nil || url.password != nil {
            throw APIError.invalid("tracking_url", "must not have a user name or password in it")
        }
        return text
    }
}

extension APIError {
    /// 409 with who was first, so that the second operator knows whom to ask.
    fileprivate init(_ refusal: AlarmRefusal, of alarm: Alarm) {
        var details = JSONObject()
        func tell(_ mark: AlarmMark) {
            details["by"] = .string(mark.by.id)
            details["at"] = .string(mark.at.rfc3339Milliseconds)
        }
        switch refusal {
        case .state(let state, let mark):
            details["state"] = .string(state.rawValue)
            tell(mark)
        case .verificationOpen(let verification):
            details["state"] = .string(alarm.state.rawValue)
            tell(verification.requested)
            details["deadline"] = .string(verification.deadline.rfc3339Milliseconds)
        case .noVerification(let last):
            details["state"] = .string(alarm.state.rawValue)
            switch last?.outcome {
            case .answered(let verdict, let mark, _):
                tell(mark)
                details["verdict"] = .string(verdict.rawValue)
            case .expired(let at): tell(AlarmMark(by: .system, at: at))
            case .dropped, nil: tell(alarm.standing)
            }
        case .priorityBelow(let priority):
            self = .invalid("priority", "must be at least \(priority.rawValue), which the alarm has already")
            return
        }
        let name = alarm.number?.description ?? "The alarm"
        self.init(.invalidAlarmTransition, "\(refusal.words(name)).", details: details)
    }
}
