import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// Commands that wait for a partner, in the engine and over restarts (decisions §5).
@Suite(.timeLimit(.minutes(5))) struct PartnerCommandTests {
    /// A platform-triggered site of the world's partner, with a back door.
    private struct Shop {
        var site: Site
        var partition: Partition

        init(in world: LedgerWorld) async throws {
            var (site, partition) = try await world.addSite("Shop")
            site.armingModel = .platformTriggered
            let door = Fixture(
                id: "zone_5",
                siteID: site.id,
                kind: .zone,
                number: 5,
                name: "Back Door",
                settings: ["type": "perimeter", "partitions": [1]]
            )
            try await world.ledger.write { [site] transaction in
                try transaction.update(site)
                try transaction.insert(door)
            }
            (self.site, self.partition) = (site, partition)
        }

        func request(at now: Instant) -> Request {
            Request(
                siteID: site.id,
                reach: .platform,
                actor: AuditEntry.Actor(.admin, "tok_1"),
                receivedAt: now,
                requestID: "req_1"
            )
        }

        func send(_ action: ArmingCommand.Action, _ stage: Stage) async throws -> PanelResult {
            let command = ArmingCommand(
                action: action,
                target: .all,
                authority: .trusted,
                by: Attribution(source: .web)
            )
            let partition = partition.id
            return try await stage.engine.command(
                PanelCommand(command, request: request(at: stage.clock.now)) { record in
                    Array((record.state.partitions[partition]?.phase.wireState ?? "").utf8)
                }
            )
        }

        func phase(_ stage: Stage) async throws -> String? {
            try await stage.ledger.load([site.id])[site.id]?.state.partitions[partition.id]?.phase.wireState
        }
    }

    private static let arm = ArmingCommand.Action.arm(ArmingCommand.ArmRequest(mode: .away, instant: true))

    private static func isReply(_ result: PanelResult, _ state: String) -> Bool {
        if case .done(let reply, _) = result { String(decoding: reply, as: UTF8.self) == state } else { false }
    }

    @Test func `a command is durable before it is asked, holds up nothing, and is decided on the state then`()
        async throws
    {
        let partner = ScriptedCommander()
        try await withStage(partners: partner) { stage in
            let shop = try await Shop(in: stage.world)
            async let waiting = shop.send(Self.arm, stage)
            let inquiry = await partner.inquiry(0)

            let stored = try await stage.ledger.load([shop.site.id])[shop.site.id]?.state
            #expect(stored?.pendingCommands.map(\.id) == [inquiry.id])
            #expect(inquiry.partnerID == stage.world.partner.id)
            let body = try JSONParser.parse(inquiry.body)
            #expect(body["id"]?.string == inquiry.id.text)
            #expect(body["type"] == "arming.command")
            #expect(body["created_at"]?.string == stage.start.rfc3339Seconds)
            let data = body["data"]
            #expect(data?["command"] == "arm_away")
            #expect(data?["mode"] == "away")
            #expect(data?["instant_arm"] == true)
            #expect(data?["partition_ids"] == [.string(shop.partition.id.text)])
            #expect(data?["by"] == ["method": "web"])
            #expect(data?["expires_at"]?.string == (stage.start + .seconds(5)).rfc3339Milliseconds)

            let open = Signal(origin: .number(5), kind: .open, timestamp: stage.start)
            _ = try await stage.engine.signals(
                SignalBatch([open], request: shop.request(at: stage.start)) { _ in [] }
            )
            partner.answer(inquiry.id, .accepted)
            guard case .refused(.armFailed(let reasons)) = try await waiting else {
                return #expect(Bool(false), "armed over an open door")
            }
            #expect(reasons.map(\.code) == ["zone_open"])
        }
    }

    @Test func `the answer decides, and the log never holds the command itself`() async throws {
        let rejection = PartnerAnswer(reply: Array(#"{"result":"rejected","reasons":["no"]}"#.utf8))
        let partner = ScriptedCommander([.accepted, rejection, rejection])
        try await withStage(partners: partner) { stage in
            let shop = try await Shop(in: stage.world)
            #expect(Self.isReply(try await shop.send(Self.arm, stage), "armed_away"))
            // A disarm goes through even so.
            #expect(Self.isReply(try await shop.send(.disarm, stage), "disarmed"))
            guard case .refused(.armFailed(let reasons)) = try await shop.send(Self.arm, stage) else {
                return #expect(Bool(false), "armed against the partner's word")
            }
            #expect(reasons.map(\.code) == ["partner_rejected"])

            #expect(
                try await stage.log().map(\.type) == [
                    .armingStateChanged, .partitionArmed, .syncFailed, .armingStateChanged, .partitionDisarmed,
                    .armingFailed,
                ]
            )
            let audit = try await stage.audit().filter { $0.action.hasPrefix("arming.") && $0.requestID == "req_1" }
            #expect(audit.contains { $0.action == "arming.arm" && $0.result == "pending" })
            #expect(audit.contains { $0.action == "arming.disarm" && $0.result == "ok" && $0.changesState })
        }
    }

    @Test func `without an answer within 5 s an arm fails and a disarm goes through`() async throws {
        let partner = ScriptedCommander([.accepted])
        try await withStage(partners: partner) { stage in
            let shop = try await Shop(in: stage.world)
            _ = try await shop.send(Self.arm, stage)
            async let disarm = shop.send(.disarm, stage)
            let first = await partner.inquiry(1)
            await Self.expire(stage)
            #expect(Self.isReply(try await disarm, "disarmed"))

            async let arm = shop.send(Self.arm, stage)
            let second = await partner.inquiry(2)
            await Self.expire(stage)
            guard case .refused(.partnerUnreachable) = try await arm else {
                return #expect(Bool(false), "armed without an answer")
            }
            #expect(try await stage.log().count { $0.type == .syncFailed } == 2)

            // What is said too late changes nothing; the disarm behind it finds nothing to do.
            partner.answer(first.id, .accepted)
            partner.answer(second.id, .accepted)
            #expect(Self.isReply(try await shop.send(.disarm, stage), "disarmed"))
            #expect(try await shop.phase(stage) == "disarmed")
        }
    }

    private static func expire(_ stage: Stage) async {
        let due = stage.clock.now + .seconds(5) + DeadlineTimer.settleTime
        await stage.clock.waitForSleeper(until: due)
        stage.clock.move(to: due)
    }

    @Test(arguments: [Duration.seconds(1), PendingCommand.resendLimit - .seconds(1)])
    func `what waits when the server stops is sent again with its id, and has all of its time`(
        later: Duration
    ) async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let before = ScriptedCommander()
        let shop = try await Shop(in: world)
        let asked = Asked()
        try await withStage(ledger: ledger, world: world, partners: before) { stage in
            let caller = Task { try await shop.send(Self.arm, stage) }
            await asked.keep(await before.inquiry(0), caller)
        }
        let (first, caller) = try #require(await asked.kept)
        await #expect(throws: LedgerError.self) { _ = try await caller.value }

        let after = ScriptedCommander()
        try await withStage(ledger: ledger, world: world, startingAfter: later, partners: after) { stage in
            let again = await after.inquiry(0)
            #expect(again.id == first.id)
            let expires = try JSONParser.parse(again.body)["data"]?["expires_at"]?.string
            #expect(expires == (stage.start + later + .seconds(5)).rfc3339Milliseconds)
            after.answer(again.id, .accepted)
            await stage.collector.wait(for: 2)
            #expect(stage.collector.events.map(\.type) == [.armingStateChanged, .partitionArmed])
            #expect(try await shop.phase(stage) == "armed_away")
            #expect(after.inquiries.count == 1)
        }
    }

    private actor Asked {
        private(set) var kept: (PartnerInquiry, Task<PanelResult, any Error>)?
        func keep(_ inquiry: PartnerInquiry, _ caller: Task<PanelResult, any Error>) { kept = (inquiry, caller) }
    }
}
