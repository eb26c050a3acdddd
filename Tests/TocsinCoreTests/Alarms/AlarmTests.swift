import Testing
import TocsinJSON

@testable import TocsinCore

/// The life cycle of alarms, state by state (decisions §6).
struct AlarmTests {
    private static let ann = AuditEntry.Actor(.app, "app_ann")
    private static let bob = AuditEntry.Actor(.admin, "tok_bob")
    private static let noon = Instant(secondsSinceEpoch: 1_779_796_800)

    private static let dispatch = AlarmAction.dispatch(
        AlarmDispatch(responderID: "rsp_1", responderType: "guard", etaSeconds: 240)
    )

    /// An alarm that has come as far as this, by Ann.
    private func alarm(_ state: AlarmState) throws -> Alarm {
        var alarm = Alarm.fresh()
        let way: [AlarmAction] =
            switch state {
            case .open: []
            case .acknowledged: [.acknowledge(reason: nil)]
            case .dispatched: [.acknowledge(reason: nil), Self.dispatch]
            case .resolved: [.resolve(.handled, notes: nil)]
            }
        for action in way { _ = try alarm.perform(action, by: Self.ann, at: Self.noon).get() }
        return alarm
    }

    private static let actions: [(name: String, action: AlarmAction)] = [
        ("acknowledge", .acknowledge(reason: "seen")), ("dispatch", dispatch),
        ("resolve", .resolve(.falsePositive, notes: nil)), ("escalate", .escalate(reason: "why", priority: nil)),
        ("annotate", .annotate(AlarmAnnotation(source: "operator", notes: "a note"))),
        ("verify", .requestVerification(by: "operator", seconds: 90, until: noon + .seconds(90))),
    ]

    /// Where each action leads; none where it is refused.
    private static let table: [(from: AlarmState, to: [AlarmState?])] = [
        (.open, [.acknowledged, .dispatched, .resolved, .open, .open, .open]),
        (.acknowledged, [nil, .dispatched, .resolved, .acknowledged, .acknowledged, .acknowledged]),
        (.dispatched, [nil, nil, .resolved, .dispatched, .dispatched, .dispatched]),
        (.resolved, [nil, nil, nil, nil, .resolved, nil]),
    ]

    @Test(arguments: table.indices)
    func `every action leads from every state to where the table says`(row: Int) throws {
        let (from, expected) = Self.table[row]
        for (index, (name, action)) in Self.actions.enumerated() {
            var alarm = try alarm(from)
            let before = alarm
            switch (alarm.perform(action, by: Self.bob, at: Self.noon + .seconds(5)), expected[index]) {
            case (.success, let to?): #expect(alarm.state == to, "\(name) from \(from) led to \(alarm.state)")
            case (.failure(let refusal), nil):
                #expect(alarm == before, "a refused \(name) changed the alarm")
                #expect(refusal == .state(from, AlarmMark(by: Self.ann, at: Self.noon)), "\(name): \(refusal)")
            case (.success, nil): Issue.record("\(name) from \(from) was not refused")
            case (.failure(let refusal), _?): Issue.record("\(name) from \(from) was refused: \(refusal)")
            }
        }
    }

    @Test func `a dispatch of an open alarm acknowledges it first, with both events`() throws {
        var alarm = Alarm.fresh()
        let effects = try alarm.perform(Self.dispatch, by: Self.ann, at: Self.noon).get()
        #expect(effects.events.map(\.type) == [.alarmAcknowledged, .alarmDispatched])
        #expect(effects.entries.map(\.position) == [2, 3])
        #expect(alarm.acknowledged == AlarmMark(by: Self.ann, at: Self.noon))
    }

    @Test func `an escalation raises by one step, at most to CRITICAL, and never lowers`() throws {
        var alarm = Alarm.fresh(priority: .medium)
        _ = try alarm.perform(.escalate(reason: "a", priority: nil), by: Self.ann, at: Self.noon).get()
        #expect(alarm.priority == .high)
        let refused = alarm.perform(.escalate(reason: "b", priority: .low), by: Self.ann, at: Self.noon)
        #expect(refused == .failure(.priorityBelow(.high)))
        for _ in 0..<3 {
            _ = try alarm.perform(.escalate(reason: "c", priority: nil), by: Self.ann, at: Self.noon).get()
        }
        #expect(alarm.priority == .critical)
    }

    @Test func `one question is open at a time, and its answer is taken once`() throws {
        var alarm = Alarm.fresh()
        let ask = AlarmAction.requestVerification(by: "operator", seconds: 90, until: Self.noon + .seconds(90))
        let answer = AlarmAction.answerVerification(.dismissed, notes: nil, source: "operator")
        #expect(alarm.perform(answer, by: Self.bob, at: Self.noon) == .failure(.noVerification(nil)))
        _ = try alarm.perform(ask, by: Self.ann, at: Self.noon).get()
        let question = try #require(alarm.openVerification)
        #expect(alarm.perform(ask, by: Self.bob, at: Self.noon) == .failure(.verificationOpen(question)))
        let effects = try alarm.perform(answer, by: Self.bob, at: Self.noon + .seconds(20)).get()
        #expect(effects.contains(.awaitsAnswer(until: nil)))
        #expect(effects.events.map(\.type) == [.alarmAnnotated])
        #expect(alarm.state == .open)
        #expect(alarm.perform(answer, by: Self.bob, at: Self.noon) == .failure(.noVerification(alarm.verification)))
        _ = try alarm.perform(ask, by: Self.ann, at: Self.noon + .seconds(30)).get()
    }

    @Test func `an expired question escalates, and says so when it is late`() throws {
        for (lateness, told) in [(Duration.milliseconds(3), nil as Int64?), (.seconds(600), 600_000)] {
            var alarm = Alarm.fresh(priority: .high)
            let ask = AlarmAction.requestVerification(by: "app", seconds: 90, until: Self.noon + .seconds(90))
            _ = try alarm.perform(ask, by: Self.ann, at: Self.noon).get()
            let effects = try alarm.perform(.expireVerification(lateBy: lateness), by: .system, at: Self.noon).get()
            guard case .alarmEscalated(let event) = effects.events.first else {
                Issue.record("\(effects.events)")
                continue
            }
            #expect(event.reason == "verification-expired" && event.priority == .critical && event.operatorID == nil)
            #expect(event.lateByMilliseconds == told)
        }
    }

    @Test func `resolving ends the question and the incident`() throws {
        var alarm = Alarm.fresh()
        let ask = AlarmAction.requestVerification(by: "app", seconds: 90, until: Self.noon + .seconds(90))
        _ = try alarm.perform(ask, by: Self.ann, at: Self.noon).get()
        let effects = try alarm.perform(.resolve(.handled, notes: "x"), by: Self.bob, at: Self.noon).get()
        #expect(effects.contains(.awaitsAnswer(until: nil)) && effects.contains(.ended))
        #expect(alarm.verification?.outcome == .dropped(Self.noon))
    }
}

extension Alarm {
    static func fresh(priority: AlarmPriority = .high) -> Alarm {
        let draft = AlarmDraft(
            incident: IncidentID(1),
            partitionID: PartitionID(stored: "p_1"),
            alarmClass: .intrusion,
            priority: priority,
            trigger: "motion",
            location: "Hall"
        )
        let noon = Instant(secondsSinceEpoch: 1_779_796_800)
        var alarm = Alarm(
            draft,
            dealerID: DealerID(stored: "dlr_1"),
            siteID: SiteID(stored: "site_1"),
            createdAt: noon
        )
        alarm.number = AlarmNumber(7)
        _ = alarm.begin(by: .system, "Raised: motion", at: noon)
        return alarm
    }
}

extension [AlarmEffect] {
    var events: [EventBody] {
        compactMap { if case .change(_, _, let event?) = $0 { event } else { nil } }
    }

    var entries: [AlarmEntry] {
        compactMap { if case .change(_, let entry, _) = $0 { entry } else { nil } }
    }
}
