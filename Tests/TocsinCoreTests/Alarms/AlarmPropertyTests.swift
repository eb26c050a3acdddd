import Testing
import TocsinJSON

@testable import TocsinCore

/// Any sequence of operator actions keeps the life cycle's law and leaves a whole timeline.
///
/// `TOCSIN_SEED=n` plays a run again.
struct AlarmPropertyTests {
    @Test func `a thousand made-up lives keep the law, and their entries and events fold to the alarm`() throws {
        let seed = Seed.announced(for: "alarms")
        for life in 0..<1000 { try live(seed &+ UInt64(life)) }
    }

    private func live(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var alarm = Alarm.fresh(priority: AlarmPriority.allCases.randomElement(using: &random) ?? .low)
        let first = alarm
        var fold = Fold(alarm)
        var now = alarm.createdAt
        var entries = 0
        for _ in 0..<40 {
            now = now + .milliseconds(Int64.random(in: 0...60_000, using: &random))
            let actor = AuditEntry.Actor(.app, "app_\(Int.random(in: 1...3, using: &random))")
            let action = AlarmAction.random(at: now, using: &random)
            let before = alarm
            switch alarm.perform(action, by: actor, at: now) {
            case .failure(let refusal):
                #expect(alarm == before, "seed \(seed): a refusal changed the alarm")
                #expect(mayRefuse(action, before, refusal), "seed \(seed): \(action) refused in \(before.state)")
            case .success(let effects):
                #expect(mayDo(action, before), "seed \(seed): \(action) done in \(before.state)")
                #expect(!effects.entries.isEmpty, "seed \(seed): \(action) left no entry")
                for case .change(let after, let entry, let event) in effects {
                    entries += 1
                    #expect(entry.position == first.version + Int64(entries) && entry.position == after.version)
                    #expect(entry.actor == actor && entry.at == now && !entry.text.isEmpty)
                    fold.take(entry, event)
                }
                #expect(effects.awaits ?? before.openVerification?.deadline == alarm.openVerification?.deadline)
            }
            #expect(fold == Fold(alarm), "seed \(seed): after \(action) the timeline tells \(fold)")
            #expect(alarm.version == first.version + Int64(entries))
            #expect(try restored(alarm) == alarm, "seed \(seed): it is read back differently")
        }
    }

    private func mayDo(_ action: AlarmAction, _ alarm: Alarm) -> Bool {
        switch action {
        case .acknowledge: alarm.state == .open
        case .dispatch: alarm.state == .open || alarm.state == .acknowledged
        case .resolve: alarm.state != .resolved
        case .escalate(_, let priority): alarm.state != .resolved && priority.map { $0 >= alarm.priority } ?? true
        case .requestVerification: alarm.state != .resolved && alarm.openVerification == nil
        case .answerVerification, .expireVerification: alarm.openVerification != nil
        case .annotate, .add, .lower, .attach, .note: true
        }
    }

    private func mayRefuse(_ action: AlarmAction, _ alarm: Alarm, _ refusal: AlarmRefusal) -> Bool {
        if case .state(let state, let mark) = refusal, state != alarm.state || mark != alarm.standing { return false }
        return !mayDo(action, alarm)
    }

    private func restored(_ alarm: Alarm) throws -> Alarm {
        let stored = try JSONParser.parse(JSON.object(alarm.facts).bytes)
        let draft = AlarmDraft(
            incident: alarm.incident,
            partitionID: alarm.partitionID,
            deviceID: alarm.deviceID,
            alarmClass: alarm.alarmClass,
            priority: alarm.priority,
            trigger: alarm.trigger,
            location: alarm.location,
            isSilent: alarm.isSilent
        )
        return try Alarm(
            stored: draft,
            dealerID: alarm.dealerID,
            siteID: alarm.siteID,
            number: try #require(alarm.number),
            state: alarm.state,
            version: alarm.version,
            createdAt: alarm.createdAt,
            facts: stored.object ?? [:]
        )
    }
}

/// What somebody knows of an alarm who only read its timeline and its events.
private struct Fold: Equatable {
    var state: AlarmState
    var priority: AlarmPriority
    var resolution: AlarmResolution?
    var responder: String?
    var isAwaited: Bool
    var zones: [Int]
    var isVerified: Bool

    init(_ alarm: Alarm) {
        state = alarm.state
        priority = alarm.priority
        resolution = alarm.resolution
        responder = alarm.dispatch?.responderID
        isAwaited = alarm.openVerification != nil
        zones = alarm.zones.map(\.number)
        isVerified = alarm.isVerified
    }

    mutating func take(_ entry: AlarmEntry, _ event: EventBody?) {
        if let word = entry.details["priority"]?.string.flatMap(AlarmPriority.init(rawValue:)) { priority = word }
        switch entry.kind {
        case .verificationAnswered, .verificationExpired: isAwaited = false
        case .created, .activity, .acknowledged, .dispatched, .resolved, .escalated, .annotated, .lowered,
            .verificationRequested, .snapshotAdded, .noted:
            break
        }
        switch event {
        case .alarmAcknowledged: state = .acknowledged
        case .alarmDispatched(let body):
            state = .dispatched
            responder = body.responderID
        case .alarmResolved(let body):
            state = .resolved
            resolution = body.resolution
            isAwaited = false
        case .verificationRequested: isAwaited = true
        case .alarmActivity(let body):
            for zone in body.zones where !zones.contains(zone.number) { zones.append(zone.number) }
            isVerified = isVerified || body.isVerified
        default: break
        }
    }
}

extension [AlarmEffect] {
    /// The deadline that the last effect about one sets, if there is any.
    fileprivate var awaits: Instant?? {
        compactMap { effect -> Instant?? in
            if case .awaitsAnswer(let until) = effect { .some(until) } else { nil }
        }.last
    }
}

extension AlarmAction {
    fileprivate static func random(at now: Instant, using random: inout SeededGenerator) -> AlarmAction {
        let zone = AlarmActivity.Zone(number: Int.random(in: 1...4, using: &random), name: "Door")
        let activity = AlarmActivity(
            alarm: .incident(IncidentID(1)),
            siteID: SiteID(stored: "site_1"),
            partitionID: PartitionID(stored: "p_1"),
            zones: [zone],
            isVerified: Bool.random(using: &random)
        )
        let priority = AlarmPriority.allCases.randomElement(using: &random) ?? .low
        let dispatch = AlarmDispatch(responderID: "rsp_\(zone.number)", responderType: "guard", etaSeconds: 60)
        let annotation = AlarmAnnotation(source: "model", verdict: "person", confidence: 0.5, notes: nil)
        let all: [AlarmAction] = [
            .acknowledge(reason: nil), .dispatch(dispatch), .escalate(reason: "why", priority: nil),
            .escalate(reason: "why", priority: priority), .annotate(annotation),
            .requestVerification(by: "app", seconds: 90, until: now + .seconds(90)),
            .answerVerification(.confirmed, notes: "n", source: "app"), .expireVerification(lateBy: .zero),
            .add(activity), .lower(.low), .note("opened"),
        ]
        // Resolving is rare, so that lives are long.
        if Int.random(in: 0..<30, using: &random) == 0 { return .resolve(.handled, notes: "done") }
        return all.randomElement(using: &random) ?? .note("nothing")
    }
}
