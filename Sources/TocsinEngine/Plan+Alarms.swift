import TocsinCore
import TocsinJSON
import TocsinLedger

// Alarms within a decision: whatever the arming machine or an operator does to them goes through here.

extension Plan {
    /// An alarm that the work may touch (see ``SiteTask/alarms``), as it is after what was decided so far.
    package func alarm(_ incident: IncidentID) -> Alarm? { book[incident] }

    /// The alarms that this decision raises, in their order.
    package var raisedAlarms: [Alarm] { book.changes.filter(\.isNew).map(\.alarm) }

    // MARK: What the arming machine does

    /// Adds the alarm of an incident; its first entry comes with the event that tells of it.
    mutating func open(_ draft: AlarmDraft) -> Alarm {
        let alarm = Alarm(draft, dealerID: decision.dealerID, siteID: decision.siteID, createdAt: decision.at)
        book.open(alarm)
        return alarm
    }

    /// Tells an event of the arming machine; one about an alarm becomes an entry of the alarm's timeline too.
    mutating func tell(_ body: EventBody, in partition: PartitionID, for request: Request?) -> [EventID] {
        let actor = request?.actor ?? .system
        let known = body.incident.flatMap { book[$0] }
        switch body {
        case .alarmCreated(let created):
            let id = emit(.alarmCreated(showing(created, of: known)), in: partition)
            if var alarm = known {
                let place = created.location.map { " at \($0)" } ?? ""
                begin(&alarm, by: actor, "Raised: \(created.trigger)\(place)", event: id)
            }
            return [id]
        case .alarmActivity(let activity):
            guard let known else { return [emit(body, in: partition)] }
            let pictures = takePictures(of: activity, for: known)
            return perform(.add(activity), on: known.incident, by: actor, showing: pictures).events
        case .alarmAnnotated(let annotated):
            guard let known else { return [emit(body, in: partition)] }
            let annotation = AlarmAnnotation(
                source: annotated.source,
                verdict: annotated.verdict,
                confidence: annotated.confidence,
                notes: annotated.notes
            )
            // What the panel says names no operator, whoever stood at the keypad.
            let told = perform(.annotate(annotation), on: known.incident, by: .system).events
            return told + autoResolve(known.incident, annotated)
        case .alarmAcknowledged, .alarmDispatched, .alarmResolved, .alarmEscalated, .verificationRequested,
            .armingStateChanged, .partitionArmed, .partitionDisarmed, .armingFailed, .armingWarning, .armingException,
            .scheduleFailed, .syncFailed, .syncLate, .syncOverdue, .deviceOnline, .deviceOffline,
            .deviceFirmwareUpdated, .snapshotCreated, .relayActivated, .endpointDisabled, .endpointFailing, .testPing:
            return [emit(body, in: partition)]
        }
    }

    /// Does what the arming machine asks of an alarm, and notes it: nobody else asked for it.
    mutating func act(_ act: AlarmAct, on incident: IncidentID, for request: Request?) -> [EventID] {
        guard let alarm = book[incident] else { return [] }
        let result: Result<[EventID], AlarmRefusal>
        switch act {
        case .wantsVerification(let seconds, let until):
            let action = AlarmAction.requestVerification(by: "site", seconds: seconds, until: until)
            result = perform(action, on: incident, by: .system)
            if case .success = result {
                note(alarm, "alarm.verification", "The partition's policy asks for a verification within \(seconds) s")
            }
        case .verificationExpired(let lateness):
            result = perform(.expireVerification(lateBy: lateness), on: incident, by: .system)
            if case .success = result {
                note(alarm, "alarm.escalate", "Nobody verified the alarm by its deadline", cause: "deadline")
            }
        case .note(let text): result = perform(.note(text), on: incident, by: request?.actor ?? .system)
        case .atLeast(let priority): return raise(alarm, toAtLeast: priority, by: .system)
        }
        return result.events
    }

    /// What becomes a part of an alarm must not be lost in one that is less urgent.
    mutating func raise(_ alarm: Alarm, toAtLeast priority: AlarmPriority, by actor: AuditEntry.Actor) -> [EventID] {
        guard alarm.priority < priority else { return [] }
        let result = perform(
            .escalate(reason: AlarmEscalated.joined, priority: priority),
            on: alarm.incident,
            by: actor
        )
        if actor == .system { note(alarm, "alarm.escalate", "A trip that became a part of it is more urgent") }
        return result.events
    }

    /// A cancelled alarm that nobody has taken on resolves itself, where its dealer wants that (T28).
    private mutating func autoResolve(_ incident: IncidentID, _ annotated: AlarmAnnotated) -> [EventID] {
        guard record.configuration.autoResolvesCancelled, annotated.verdict == AlarmAnnotated.cancelled,
            let alarm = book[incident], alarm.state == .open
        else { return [] }
        let result = perform(
            .resolve(.falsePositive, notes: annotated.notes.map { "cancelled: \($0)" } ?? "cancelled"),
            on: incident,
            by: .system
        )
        note(alarm, "alarm.resolve", "The alarm was cancelled, and the dealer wants such alarms to resolve themselves")
        return result.events
    }

    // MARK: What anybody does

    /// Raises an alarm that no incident of the arming machine is behind: its own is one of ``SiteMachine/newIncident()``.
    package mutating func raise(_ draft: AlarmDraft, by actor: AuditEntry.Actor, _ created: AlarmCreated) -> Alarm {
        var alarm = open(draft)
        let id = emit(.alarmCreated(showing(created, of: alarm)), in: draft.partitionID)
        begin(&alarm, by: actor, "Raised: \(draft.trigger)" + (draft.location.map { " at \($0)" } ?? ""), event: id)
        return alarm
    }

    private mutating func begin(
        _ alarm: inout Alarm,
        by actor: AuditEntry.Actor,
        _ text: String,
        event: EventID
    ) {
        var entry = alarm.begin(by: actor, text, at: decision.at)
        entry.eventID = event
        let shown = decision.snapshotLinks.last { $0.alarm == .incident(alarm.incident) }
        if let shown { entry.details["snapshot_id"] = .string(shown.snapshotID.text) }
        book.take(alarm, entry)
    }

    /// Does something to an alarm, with its events and its entries, and tells the arming machine what concerns it.
    ///
    /// - Parameters:
    ///   - action: What is done.
    ///   - incident: Which alarm; one that the work does not know is left alone.
    ///   - actor: Who does it.
    ///   - pictures: What belongs to the alarm by it; its entry names them.
    /// - Returns: The events that tell of it, or why it was refused.
    package mutating func perform(
        _ action: AlarmAction,
        on incident: IncidentID,
        by actor: AuditEntry.Actor,
        showing pictures: [SnapshotID] = []
    ) -> Result<[EventID], AlarmRefusal> {
        guard var alarm = book[incident] else { return .success([]) }
        switch alarm.perform(action, by: actor, at: decision.at) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let effects):
            var events: [EventID] = []
            for effect in effects {
                switch effect {
                case .change(let alarm, var entry, let body):
                    entry.eventID = body.map { emit($0, in: alarm.partitionID) }
                    if !pictures.isEmpty { entry.details["snapshot_ids"] = .array(pictures.map { .string($0.text) }) }
                    if let id = entry.eventID { events.append(id) }
                    book.take(alarm, entry)
                case .awaitsAnswer(let until): machine.awaitAnswer(on: incident, until: until)
                case .ended: machine.incidentResolved(incident)
                }
            }
            return .success(events)
        }
    }

    // MARK: Audit

    /// Says who did what to an alarm, and what came of it; refusals too.
    mutating func audit(
        _ request: Request,
        _ action: String,
        on alarm: Alarm?,
        result: String = "ok",
        _ explanation: String,
        details: JSONObject = [:]
    ) {
        let entry = entry(
            request,
            action: action,
            target: alarm?.number?.description,
            result: result,
            explanation,
            details: details
        )
        if result == "ok" { decision.audit.append(entry) } else { auditRefusal(entry) }
    }

    /// Tocsin itself did something to an alarm.
    private mutating func note(_ alarm: Alarm, _ action: String, _ explanation: String, cause: String = "policy") {
        decision.audit.append(
            entry(
                nil,
                action: action,
                target: alarm.number?.description ?? alarm.partitionID?.text,
                explanation,
                cause: cause
            )
        )
    }
}

extension Result<[EventID], AlarmRefusal> {
    /// The events of what happened; none for a refusal.
    fileprivate var events: [EventID] { (try? get()) ?? [] }
}
