import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// Alarms at the operators, over a real ledger in memory (decisions §6).
@Suite(.timeLimit(.minutes(5))) struct AlarmTests {
    @Test func `an alarm's whole story stands in its timeline, and ends the incident when it is resolved`() async throws
    {
        try await withAlarm { desk in
            let created = try await desk.alarm()
            #expect(created.zones.map(\.number) == [7] && created.version == 1 && created.number == AlarmNumber(1))
            #expect(try await desk.partition().inAlarm)

            _ = try await desk.done(.acknowledge(reason: "seen"))
            _ = try await desk.done(.dispatch(desk.guardian))
            let annotation = AlarmAnnotation(source: "model", verdict: "person", confidence: 0.92)
            _ = try await desk.done(.annotate(annotation))
            let resolved = try await desk.done(.resolve(.falsePositive, notes: "Cleaning crew"))

            #expect(resolved == 5)
            let timeline = try await desk.timeline()
            #expect(timeline.map(\.kind) == [.created, .acknowledged, .dispatched, .annotated, .resolved])
            #expect(timeline.map(\.position) == [1, 2, 3, 4, 5])
            let log = try await desk.shop.log().filter { $0.type.rawValue.hasPrefix("alarm.") }
            #expect(timeline.map(\.eventID) == log.map(\.id))
            #expect(try await !desk.partition().inAlarm)
            #expect(try await desk.partition().incidents.isEmpty)
            let audit = try await desk.shop.stage.audit().filter { $0.action.hasPrefix("alarm.") }
            #expect(audit.contains { $0.action == "alarm.resolve" && $0.target == "A-1" && $0.actor.id == "app_1" })
            #expect(try await desk.shop.stage.ledger.read { try $0.verify() } == [])
        }
    }

    @Test func `of two operators at once the second is told who was first`() async throws {
        try await withAlarm { desk in
            let answers = try await withThrowingTaskGroup(of: AlarmCommand.Answer.self) { group in
                for name in ["app_1", "app_2"] {
                    group.addTask { try await desk.ask(.acknowledge(reason: nil), by: name) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let first = try #require(try await desk.alarm().acknowledged)
            var refusals: [AlarmRefusal] = []
            for case .refused(let refusal) in answers { refusals.append(refusal) }
            #expect(refusals == [.state(.acknowledged, first)])
            #expect(try await desk.timeline().count == 2)
        }
    }

    @Test func `a version that is not the present one is refused, and tells the present one`() async throws {
        try await withAlarm { desk in
            _ = try await desk.done(.annotate(AlarmAnnotation(source: "operator", notes: "a")))
            guard case .versionConflict(2) = try await desk.ask(.acknowledge(reason: nil), ifMatch: [1]) else {
                throw Unexpected(what: "no conflict")
            }
            _ = try await desk.done(.acknowledge(reason: nil), ifMatch: [7, 2])
        }
    }

    @Test func `a verification that nobody answers escalates, over a restart too, and says how late`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let place = try await world.addSite("Shop", ofPartner: false)
        try await withStage(ledger: ledger, world: world) { stage in
            let desk = AlarmDesk(Shop(stage, place))
            try await desk.shop.addZones()
            try await desk.trip()
            let until = stage.clock.now + .seconds(90)
            _ = try await desk.done(.requestVerification(by: "operator", seconds: 90, until: until))
            let state = try await desk.shop.record().state
            #expect(state.verifications == [IncidentID(1): until] && state.nextDeadline.map { $0 <= until } == true)
        }
        try await withStage(ledger: ledger, world: world, startingAfter: .seconds(3600)) { stage in
            await stage.collector.wait(for: .alarmEscalated)
            let event = try #require(stage.collector.events.first { $0.type == .alarmEscalated })
            let data = try JSONParser.parse(event.body)["data"]
            #expect(data?["reason"] == "verification-expired" && data?["priority"] == "CRITICAL")
            #expect(data?["late_by_ms"]?.integer.map { $0 > 3_000_000 } == true)
            let desk = AlarmDesk(Shop(stage, place), incident: IncidentID(1))
            let alarm = try await desk.alarm()
            #expect(alarm.state == .open && alarm.openVerification == nil)
            #expect(try await desk.shop.record().state.verifications.isEmpty)
            #expect(try await ledger.read { try $0.verify() } == [])
        }
    }

    @Test func `an answer that was read before the deadline wins over the timer`() async throws {
        try await withAlarm { desk in
            let asked = desk.shop.stage.clock.now
            _ = try await desk.done(.requestVerification(by: "app", seconds: 90, until: asked + .seconds(90)))
            let answer = AlarmAction.answerVerification(.confirmed, notes: nil, source: "app")
            _ = try await desk.done(answer, receivedAt: asked + .milliseconds(89_999))
            desk.shop.stage.clock.move(to: asked + .seconds(600))
            guard case .refused(.noVerification(let last)) = try await desk.ask(answer) else {
                throw Unexpected(what: "a second answer was taken")
            }
            #expect(last?.outcome != nil)
            #expect(try await !desk.shop.log().map(\.type).contains(.alarmEscalated))
        }
    }

    @Test func `the partition's policy asks for a verification of an intrusion`() async throws {
        try await withShop { shop in
            var partition = shop.partition
            partition.policy.verificationSeconds = 60
            try await shop.stage.ledger.write { [partition] in try $0.update(partition) }
            await shop.stage.engine.reconfigured()
            let desk = AlarmDesk(shop)
            try await desk.trip()
            let alarm = try await desk.alarm()
            #expect(alarm.openVerification?.requestedBy == "site")
            #expect(try await desk.timeline().map(\.kind) == [.created, .verificationRequested])
            #expect(try await shop.log().map(\.type).contains(.verificationRequested))
            shop.stage.clock.advance(by: .seconds(61))
            await shop.stage.collector.wait(for: .alarmEscalated)
            #expect(try await desk.timeline().last?.kind == .verificationExpired)
        }
    }

    @Test(arguments: [false, true])
    func `a cancelled alarm falls to LOW, and resolves itself where its dealer wants it`(resolves: Bool) async throws {
        try await withShop { shop in
            if resolves {
                var dealer = shop.stage.world.dealer
                dealer.autoResolvesCancelled = true
                try await shop.stage.ledger.write { [dealer] in try $0.update(dealer) }
                await shop.stage.engine.reconfigured()
            }
            let desk = AlarmDesk(shop)
            try await desk.trip()
            shop.stage.clock.advance(by: .seconds(12))
            _ = try await shop.command(.disarm)
            let alarm = try await desk.alarm()
            #expect(alarm.priority == .low)
            let kinds: [AlarmEntry.Kind] = [.created, .lowered, .annotated] + (resolves ? [.resolved] : [])
            #expect(try await desk.timeline().map(\.kind) == kinds)
            #expect(alarm.state == (resolves ? .resolved : .open))
            #expect(alarm.resolved?.by == (resolves ? .system : nil))
        }
    }

    @Test func `what is raised from outside is numbered, and joined by more of its kind until it is resolved`()
        async throws
    {
        try await withShop { shop in
            let desk = AlarmDesk(shop, incident: IncidentID(1))
            guard case .raised(_, let incident, 1) = try await desk.raise() else {
                throw Unexpected(what: "not raised")
            }
            #expect(incident == IncidentID(1))
            let version = try await shop.record().shownVersion
            guard case .added(_, 2) = try await desk.raise() else { throw Unexpected(what: "not joined") }
            guard case .raised(_, IncidentID(2), 1) = try await desk.raise(.fire) else {
                throw Unexpected(what: "another class joined")
            }
            _ = try await desk.done(.resolve(.handled, notes: nil))
            guard case .raised(_, IncidentID(3), 1) = try await desk.raise() else {
                throw Unexpected(what: "a resolved alarm was joined")
            }
            // The arming of the site looks the same: alarms are between the operators.
            #expect(try await shop.record().shownVersion == version)
            let numbers = try await shop.stage.ledger.read { [dealer = shop.stage.world.dealer.id] in
                try $0.alarms(within: .dealer(dealer), filter: AlarmFilter(), page: PageRequest()).items
            }
            #expect(numbers.compactMap(\.number) == [3, 2, 1].map { AlarmNumber($0) })
        }
    }

    @Test func `an action on an alarm that is not there, or not the caller's, does nothing`() async throws {
        try await withAlarm { desk in
            guard case .unknownAlarm = try await desk.ask(.acknowledge(reason: nil), on: IncidentID(99)) else {
                throw Unexpected(what: "an unknown alarm was found")
            }
            let foreign = AlarmCommand(
                .acknowledge(reason: nil),
                on: desk.incident,
                request: desk.shop.request(reach: .dealer(DealerID(stored: "dlr_other")))
            ) { _ in [] }
            guard case .unknownSite = try await desk.shop.stage.engine.ask(foreign) else {
                throw Unexpected(what: "another tenant's alarm was found")
            }
            #expect(try await desk.timeline().count == 1)
        }
    }
}

/// Where operators work a shop's alarm.
struct AlarmDesk: Sendable {
    let shop: Shop
    let incident: IncidentID

    let guardian = AlarmDispatch(responderID: "rsp_1", responderType: "guard", etaSeconds: 240)

    init(_ shop: Shop, incident: IncidentID = IncidentID(1)) {
        self.shop = shop
        self.incident = incident
    }

    /// Arms the shop and opens a zone of its perimeter.
    func trip() async throws {
        _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
        _ = try await shop.signals([
            Signal(origin: .number(7), kind: .open, timestamp: shop.stage.clock.now, signalID: nil)
        ])
    }

    func ask(
        _ action: AlarmAction,
        on incident: IncidentID? = nil,
        by app: String = "app_1",
        ifMatch: [Int64]? = nil,
        receivedAt: Instant? = nil
    ) async throws -> AlarmCommand.Answer {
        var request = shop.request()
        request.actor = AuditEntry.Actor(.app, app)
        request.receivedAt = receivedAt ?? request.receivedAt
        let command = AlarmCommand(action, on: incident ?? self.incident, request: request, ifMatch: ifMatch) { _ in []
        }
        guard case .answered(let answer) = try await shop.stage.engine.ask(command) else {
            throw Unexpected(what: "no answer")
        }
        return answer
    }

    /// The version after an action that was done.
    func done(_ action: AlarmAction, ifMatch: [Int64]? = nil, receivedAt: Instant? = nil) async throws -> Int64 {
        let answer = try await ask(action, ifMatch: ifMatch, receivedAt: receivedAt)
        guard case .done(_, let version) = answer else { throw Unexpected(what: "\(action): \(answer)") }
        return version
    }

    func raise(
        _ alarmClass: AlarmClass = .intrusion,
        priority: AlarmPriority? = nil
    ) async throws -> AlarmRaising.Answer {
        let what = AlarmRaising.What(
            partitionID: shop.partition.id,
            zone: nil,
            deviceID: nil,
            alarmClass: alarmClass,
            trigger: "motion",
            location: nil,
            priority: priority ?? alarmClass.priority
        )
        guard
            case .answered(let answer) = try await shop.stage.engine.ask(
                AlarmRaising(what, request: shop.request()) { _ in [] }
            )
        else { throw Unexpected(what: "no answer") }
        return answer
    }

    func alarm() async throws -> Alarm {
        let found = try await shop.stage.ledger.read { [incident, site = shop.site.id] in
            try $0.alarm(incident, of: site)
        }
        return try #require(found)
    }

    func timeline() async throws -> [AlarmEntry] {
        let number = try #require(try await alarm().number)
        return try await shop.stage.ledger.read { [dealer = shop.stage.world.dealer.id] in
            try $0.timeline(of: number, of: dealer, limit: 100)
        }
    }

    func partition() async throws -> PartitionState {
        try #require(try await shop.record().state.partitions[shop.partition.id])
    }
}

func withAlarm(_ body: @escaping @Sendable (AlarmDesk) async throws -> Void) async throws {
    try await withShop { shop in
        let desk = AlarmDesk(shop, incident: IncidentID(1))
        try await desk.trip()
        try await body(desk)
    }
}
