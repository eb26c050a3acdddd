import TocsinJSON

/// What somebody does to an alarm, or what its deadline does (decisions §6).
package enum AlarmAction: Hashable, Sendable {
    case acknowledge(reason: String?)
    case dispatch(AlarmDispatch)
    case resolve(AlarmResolution, notes: String?)
    /// Without a priority it becomes the next more urgent one.
    case escalate(reason: String, priority: AlarmPriority?)
    case annotate(AlarmAnnotation)
    /// `by` is the kind of caller, `until` when it is too late for an answer.
    case requestVerification(by: String, seconds: Int, until: Instant)
    case answerVerification(AlarmVerdict, notes: String?, source: String)
    /// Nobody answered by the deadline, which ran out so long ago.
    case expireVerification(lateBy: Duration)
    /// More was triggered.
    case add(AlarmActivity)
    /// A disarm cancelled it (T28).
    case lower(AlarmPriority)
    /// An image or a video came that belongs to it.
    case attach(SnapshotCreated)
    case note(String)
}

/// What is written to an alarm: at least one of its members beside the source.
package struct AlarmAnnotation: Hashable, Sendable {
    /// Who or what says so, for example `operator` or the name of a model.
    package var source: String
    package var verdict: String?
    /// How sure the verdict is, from 0 to 1.
    package var confidence: Double?
    package var notes: String?

    package init(source: String, verdict: String? = nil, confidence: Double? = nil, notes: String? = nil) {
        self.source = source
        self.verdict = verdict
        self.confidence = confidence
        self.notes = notes
    }
}

/// What follows from an action, in order.
package enum AlarmEffect: Hashable, Sendable {
    /// The alarm as it is after this entry of its timeline, and the event that tells of it, if one does.
    case change(Alarm, AlarmEntry, EventBody?)
    /// Until then an answer is awaited; none: nothing is.
    case awaitsAnswer(until: Instant?)
    /// The incident is over for the arming machine too.
    case ended
}

/// Why an action was refused; nothing of it happened.
package enum AlarmRefusal: Error, Hashable, Sendable {
    /// The alarm's state does not allow it; who brought it there was first.
    case state(AlarmState, AlarmMark)
    /// An answer to this question is awaited already.
    case verificationOpen(AlarmVerification)
    /// No answer is awaited; the last question, if there was one.
    case noVerification(AlarmVerification?)
    /// An escalation to less than the present priority.
    case priorityBelow(AlarmPriority)
}

extension Alarm {
    /// Does what is asked, or refuses it and changes nothing.
    ///
    /// - Parameters:
    ///   - action: What is asked.
    ///   - actor: Who asks.
    ///   - now: When it is decided.
    /// - Returns: What follows, or why not.
    package mutating func perform(
        _ action: AlarmAction,
        by actor: AuditEntry.Actor,
        at now: Instant
    ) -> Result<[AlarmEffect], AlarmRefusal> {
        if let refusal = refusal(of: action) { return .failure(refusal) }
        var step = AlarmStep(alarm: self, mark: AlarmMark(by: actor, at: now))
        step.perform(action)
        self = step.alarm
        return .success(step.effects)
    }

    private func refusal(of action: AlarmAction) -> AlarmRefusal? {
        switch action {
        case .acknowledge: return state == .open ? nil : .state(state, standing)
        case .dispatch: return state == .open || state == .acknowledged ? nil : .state(state, standing)
        case .resolve: return state == .resolved ? .state(state, standing) : nil
        case .escalate(_, let wanted):
            if state == .resolved { return .state(state, standing) }
            return wanted.map { $0 < priority } == true ? .priorityBelow(priority) : nil
        case .requestVerification:
            if state == .resolved { return .state(state, standing) }
            return openVerification.map(AlarmRefusal.verificationOpen)
        case .answerVerification, .expireVerification:
            return openVerification == nil ? .noVerification(verification) : nil
        case .annotate, .add, .lower, .attach, .note: return nil
        }
    }

    /// Takes its first entry: it has been raised.
    ///
    /// - Parameters:
    ///   - actor: Who raised it; Tocsin for what the arming machine found.
    ///   - text: How it came about.
    ///   - now: When it is decided.
    /// - Returns: The entry that `alarm.created` tells of.
    package mutating func begin(by actor: AuditEntry.Actor, _ text: String, at now: Instant) -> AlarmEntry {
        var step = AlarmStep(alarm: self, mark: AlarmMark(by: actor, at: now))
        var details: JSONObject = [
            "class": .string(alarmClass.rawValue), "priority": .string(priority.rawValue), "trigger": .string(trigger),
        ]
        details["location"] = location.map(JSON.string)
        let entry = step.entry(.created, text, details)
        self = step.alarm
        return entry
    }
}

/// One action at work.
private struct AlarmStep {
    var alarm: Alarm
    let mark: AlarmMark
    var effects: [AlarmEffect] = []

    mutating func perform(_ action: AlarmAction) {
        switch action {
        case .acknowledge(let reason): acknowledge(reason)
        case .dispatch(let dispatch): self.dispatch(dispatch)
        case .resolve(let resolution, let notes): resolve(resolution, notes)
        case .escalate(let reason, let priority): escalate(reason, priority ?? alarm.priority.raised)
        case .annotate(let annotation): annotate(annotation)
        case .requestVerification(let kind, let seconds, let until): request(kind, seconds, until)
        case .answerVerification(let verdict, let notes, let source): answer(verdict, notes, source)
        case .expireVerification(let lateness): expire(lateness)
        case .add(let activity): add(activity)
        case .lower(let priority):
            alarm.priority = priority
            let word = priority.rawValue
            change(.lowered, "Its priority is \(word) from now on", ["priority": .string(word)])
        case .attach(let snapshot):
            change(
                .snapshotAdded,
                "A snapshot of \(snapshot.deviceID) came in",
                [
                    "snapshot_id": .string(snapshot.snapshotID.text),
                    "device_id": .string(snapshot.deviceID.text),
                ],
                .snapshotCreated(snapshot)
            )
        case .note(let text): change(.noted, text)
        }
    }

    // MARK: The life cycle

    private mutating func acknowledge(_ reason: String?) {
        alarm.state = .acknowledged
        alarm.acknowledged = mark
        alarm.reason = reason
        var details: JSONObject = [:]
        details["reason"] = reason.map(JSON.string)
        change(
            .acknowledged,
            "Acknowledged" + (reason.map { ": \($0)" } ?? ""),
            details,
            .alarmAcknowledged(AlarmAcknowledged(alarm: name, operatorID: mark.by.id, reason: reason))
        )
    }

    private mutating func dispatch(_ dispatch: AlarmDispatch) {
        if alarm.state == .open { acknowledge(nil) }
        alarm.state = .dispatched
        alarm.dispatched = mark
        alarm.dispatch = dispatch
        change(
            .dispatched,
            "\(dispatch.responderType) \(dispatch.responderID) is on the way, there in \(dispatch.etaSeconds) s",
            dispatch.json,
            .alarmDispatched(
                AlarmDispatched(
                    alarm: name,
                    responderID: dispatch.responderID,
                    responderType: dispatch.responderType,
                    etaSeconds: dispatch.etaSeconds,
                    trackingURL: dispatch.trackingURL
                )
            )
        )
    }

    private mutating func resolve(_ resolution: AlarmResolution, _ notes: String?) {
        if alarm.openVerification != nil {
            alarm.verification?.outcome = .dropped(mark.at)
            effects.append(.awaitsAnswer(until: nil))
        }
        alarm.state = .resolved
        alarm.resolved = mark
        alarm.resolution = resolution
        alarm.notes = notes
        var details: JSONObject = ["resolution": .string(resolution.rawValue)]
        details["notes"] = notes.map(JSON.string)
        change(
            .resolved,
            "Resolved as \(resolution.rawValue)" + (notes.map { ": \($0)" } ?? ""),
            details,
            .alarmResolved(AlarmResolved(alarm: name, resolution: resolution, notes: notes))
        )
        effects.append(.ended)
    }

    private mutating func escalate(_ reason: String, _ priority: AlarmPriority) {
        raise(reason, to: priority)
        change(
            .escalated,
            "Escalated to \(priority.rawValue): \(reason)",
            ["reason": .string(reason), "priority": .string(priority.rawValue)],
            escalation(reason, operatorID: mark.by == .system ? nil : mark.by.id)
        )
    }

    private mutating func raise(_ reason: String, to priority: AlarmPriority) {
        alarm.priority = priority
        alarm.escalated = mark
        alarm.escalationReason = reason
    }

    private func escalation(_ reason: String, operatorID: String?, lateBy: Duration? = nil) -> EventBody {
        .alarmEscalated(
            AlarmEscalated(
                alarm: name,
                siteID: alarm.siteID,
                priority: alarm.priority,
                reason: reason,
                operatorID: operatorID,
                lateByMilliseconds: lateBy?.milliseconds
            )
        )
    }

    private mutating func annotate(_ annotation: AlarmAnnotation) {
        var details: JSONObject = ["source": .string(annotation.source)]
        details["verdict"] = annotation.verdict.map(JSON.string)
        details["confidence"] = annotation.confidence.map { .decimal($0.description) }
        details["notes"] = annotation.notes.map(JSON.string)
        let said = [annotation.verdict, annotation.notes].compactMap(\.self).joined(separator: ", ")
        change(
            .annotated,
            said.isEmpty ? "Annotated by \(annotation.source)" : "\(annotation.source): \(said)",
            details,
            annotated(annotation)
        )
    }

    private func annotated(_ annotation: AlarmAnnotation) -> EventBody {
        .alarmAnnotated(
            AlarmAnnotated(
                alarm: name,
                siteID: alarm.siteID,
                source: annotation.source,
                verdict: annotation.verdict,
                notes: annotation.notes,
                confidence: annotation.confidence,
                // Tocsin is no operator: what the panel writes names nobody.
                operatorID: mark.by == .system ? nil : mark.by.id
            )
        )
    }

    // MARK: Verification

    private mutating func request(_ kind: String, _ seconds: Int, _ until: Instant) {
        alarm.verification = AlarmVerification(requested: mark, requestedBy: kind, deadline: until)
        effects.append(.awaitsAnswer(until: until))
        change(
            .verificationRequested,
            "Verification was requested, within \(seconds) s",
            [
                "requested_by": .string(kind), "deadline_seconds": JSON(seconds),
                "deadline": .string(until.rfc3339Milliseconds),
            ],
            .verificationRequested(VerificationRequested(alarm: name, requestedBy: kind, deadlineSeconds: seconds))
        )
    }

    private mutating func answer(_ verdict: AlarmVerdict, _ notes: String?, _ source: String) {
        alarm.verification?.outcome = .answered(verdict, mark, notes: notes)
        effects.append(.awaitsAnswer(until: nil))
        var details: JSONObject = ["verdict": .string(verdict.rawValue)]
        details["notes"] = notes.map(JSON.string)
        change(
            .verificationAnswered,
            "Verified: \(verdict.rawValue)" + (notes.map { ", \($0)" } ?? ""),
            details,
            annotated(AlarmAnnotation(source: source, verdict: verdict.rawValue, notes: notes))
        )
    }

    /// Nobody answered: never silent, and told how late where the server was down (T45).
    private mutating func expire(_ lateness: Duration) {
        let reason = AlarmEscalated.verificationExpired
        alarm.verification?.outcome = .expired(mark.at)
        effects.append(.awaitsAnswer(until: nil))
        raise(reason, to: alarm.priority.raised)
        let lateBy = lateness > Signal.lateness ? lateness : nil
        var details: JSONObject = ["reason": .string(reason), "priority": .string(alarm.priority.rawValue)]
        details["late_by_ms"] = lateBy.map { .integer($0.milliseconds) }
        change(
            .verificationExpired,
            "Nobody verified it in time: escalated to \(alarm.priority.rawValue)",
            details,
            escalation(reason, operatorID: nil, lateBy: lateBy)
        )
    }

    // MARK: More of the same

    private mutating func add(_ activity: AlarmActivity) {
        let isNewlyVerified = activity.isVerified && !alarm.isVerified
        for zone in activity.zones where !alarm.zones.contains(zone) { alarm.zones.append(zone) }
        alarm.isVerified = alarm.isVerified || activity.isVerified
        let names = activity.zones.map(\.name).joined(separator: ", ")
        var details: JSONObject = [
            "zones": .array(activity.zones.map { ["number": JSON($0.number), "name": .string($0.name)] })
        ]
        if isNewlyVerified { details["verified"] = true }
        let what = names.isEmpty ? "Triggered again" : "Triggered again: \(names)"
        change(
            .activity,
            isNewlyVerified ? "\(what); two independent detectors confirm it" : what,
            details,
            .alarmActivity(activity)
        )
    }

    // MARK: Entries

    private var name: AlarmReference { .incident(alarm.incident) }

    private mutating func change(
        _ kind: AlarmEntry.Kind,
        _ text: String,
        _ details: JSONObject = [:],
        _ event: EventBody? = nil
    ) {
        let entry = entry(kind, text, details)
        effects.append(.change(alarm, entry, event))
    }

    mutating func entry(_ kind: AlarmEntry.Kind, _ text: String, _ details: JSONObject) -> AlarmEntry {
        alarm.version += 1
        return AlarmEntry(
            position: alarm.version,
            at: mark.at,
            kind: kind,
            actor: mark.by,
            text: text,
            details: details
        )
    }
}

extension AlarmDispatch {
    /// Its members, by the names of the catalogue.
    package var json: JSONObject {
        var object: JSONObject = [
            "responder_id": .string(responderID), "responder_type": .string(responderType),
            "eta_seconds": JSON(etaSeconds),
        ]
        object["tracking_url"] = trackingURL.map(JSON.string)
        return object
    }
}
