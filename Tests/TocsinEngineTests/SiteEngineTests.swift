import Logging
import ServiceLifecycle
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// The site engine over a real ledger in memory.
@Suite(.timeLimit(.minutes(5))) struct SiteEngineTests {
    @Test func `a report is durable, answered and published`() async throws {
        try await withStage { stage in
            let result = try await stage.report(.armedAway)

            let reply = try accepted(result)
            #expect(reply.partitions.map(\.state) == ["armed_away"])
            #expect(reply.partitions.map(\.applied) == [true])
            let events = stage.collector.events
            #expect(events.map(\.type) == [.armingStateChanged, .partitionArmed])
            #expect(events.map(\.id) == reply.eventIDs)
            #expect(events.map(\.sequence) == [1, 2])
            let stored = try await stage.storedState()
            #expect(stored.phase == .armed(.away))
        }
    }

    @Test func `200 reports at once for one site have a total order and lose nothing`() async throws {
        try await withStage { stage in
            let replies = try await withThrowingTaskGroup(of: ReportReply.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let state: ReportedState = index % 2 == 0 ? .armedAway : .disarmed
                        // In the past: among reports from the future, order of arrival would decide.
                        let timestamp = stage.start - .milliseconds(200 - index)
                        return try accepted(try await stage.report(state, timestamp: timestamp))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            let events = try await stage.log()
            #expect(events.map(\.sequence) == Array(1...Int64(events.count)))
            #expect(Set(replies.flatMap(\.eventIDs)) == Set(events.map(\.id)))
            let versions = replies.flatMap(\.partitions).filter { $0.applied && $0.reason == nil }.map(\.version)
            #expect(Set(versions).count == versions.count, "every change has a version of its own")
            let stored = try await stage.storedState()
            #expect(stored.phase == .disarmed, "the report with the latest timestamp wins")
            #expect(stored.order?.timestamp == stage.start - .milliseconds(1))
        }
    }

    @Test func `more sites at once than share a commit are all decided, and told in the log's order`() async throws {
        try await withStage { stage in
            let count = SiteEngine.sitesPerCommit * 2 + 1
            let sites = try await stage.addSites(count)
            let replies = try await withThrowingTaskGroup(of: ReportReply.self) { group in
                for site in sites { group.addTask { try accepted(try await stage.report(.armedAway, site: site)) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            #expect(Set(replies.map(\.siteID)) == Set(sites))
            let published = stage.collector.events
            #expect(published.count == 2 * count)
            #expect(published.map(\.sequence) == Array(1...Int64(published.count)))
        }
    }

    @Test func `a report id that was seen before changes nothing, also within one batch`() async throws {
        try await withStage { stage in
            _ = try await stage.report(.armedAway, reportID: "r-1")
            let again = try accepted(
                try await stage.report(.disarmed, timestamp: stage.start + .seconds(1), reportID: "r-1")
            )
            #expect(again.partitions.map(\.reason) == [.duplicate])
            #expect(again.eventIDs.isEmpty)
            #expect(try await stage.storedState().phase == .armed(.away))

            let both = try await withThrowingTaskGroup(of: ReportReply.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        try accepted(
                            try await stage.report(.disarmed, timestamp: stage.start + .seconds(2), reportID: "r-2")
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(both.filter { $0.partitions[0].applied }.count == 1)
        }
    }

    @Test func `what cannot have happened is refused, audited, and changes nothing`() async throws {
        try await withStage { stage in
            let result = try await stage.report(.entryDelay)

            guard case .refused(.invalidTransition(_, _, let current, let allowed)) = result else {
                Issue.record("expected a refusal, got \(result)")
                return
            }
            #expect(current == "disarmed")
            #expect(!allowed.contains(.entryDelay))
            #expect(try await stage.log().isEmpty)
            let audit = try await stage.audit()
            #expect(audit.map(\.result) == ["invalid_transition"])
            let scorecard = try await stage.ledger.read { [id = stage.world.partner.id] in try $0.scorecard(of: id) }
            #expect(scorecard[.invalidTransition] == 1)
        }
    }

    @Test func `another partner's site does not exist, and a platform's own is not a partner's to report`() async throws
    {
        try await withStage { stage in
            let other = try await LedgerWorld.make(in: stage.ledger, name: "Other")
            guard case .unknownSite = try await stage.report(.disarmed, partner: other.partner.id) else {
                Issue.record("a foreign partner reached the site")
                return
            }
            #expect(try await stage.log().isEmpty)
        }
    }

    @Test func `a full disk fails the report, keeps nothing, and the next one goes through`() async throws {
        try await withStage { stage in
            stage.faults.failNextCommit(with: LedgerError(.full, "no space left"))

            await #expect(throws: LedgerError.self) { _ = try await stage.report(.armedAway) }
            #expect(try await stage.storedState().phase == .disarmed)
            #expect(stage.collector.events.isEmpty)

            _ = try accepted(try await stage.report(.armedAway))
            #expect(try await stage.storedState().phase == .armed(.away))
        }
    }

    @Test func `a change of configuration underneath is noticed and decided on anew`() async throws {
        try await withStage { stage in
            _ = try await stage.report(.armedAway)
            let renamed = Partition(
                id: stage.world.partition.id,
                siteID: stage.world.site.id,
                number: 7,
                name: "Vault"
            )
            try await stage.ledger.write { try $0.update(renamed) }

            let reply = try accepted(
                try await stage.report(.disarmed, target: .number(7), timestamp: stage.start + .seconds(1))
            )
            #expect(reply.partitions.map(\.applied) == [true])
        }
    }

    @Test func `an entry countdown that runs out creates an alarm, though nobody calls`() async throws {
        try await withStage { stage in
            _ = try await stage.report(.armedAway)
            _ = try await stage.report(.entryDelay, timestamp: stage.start + .seconds(1), delaySeconds: 30)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(30) + DeadlineTimer.settleTime)
            let before = stage.collector.events.count
            stage.clock.move(to: stage.start + .seconds(30) + DeadlineTimer.settleTime)
            await stage.collector.wait(for: before + 2)

            let events = stage.collector.events.suffix(2)
            #expect(events.map(\.type) == [.alarmCreated, .armingStateChanged])
            let alarm = try JSONParser.parse(Array(events[events.startIndex].body))
            #expect(alarm["data"]?["alarm_id"]?.string == "A-1")
            #expect(alarm["data"]?["trigger"]?.string == "entry-delay-expired")
            #expect(alarm["data"]?["priority"]?.string == "HIGH")
            #expect(try await stage.storedState().phase == .armed(.away))
        }
    }

    @Test func `deadlines survive a restart, and what fell due meanwhile happens at once`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        try await withStage(ledger: ledger, world: world) { stage in
            _ = try await stage.report(.armedAway)
            _ = try await stage.report(.entryDelay, timestamp: stage.start + .seconds(1), delaySeconds: 30)
        }
        try await withStage(ledger: ledger, world: world, startingAfter: .seconds(3600)) { stage in
            await stage.collector.wait(for: 2)
            #expect(stage.collector.events.map(\.type) == [.alarmCreated, .armingStateChanged])
        }
    }

    @Test func `a disarm that arrived before the deadline wins over a timer that fires before it is decided`()
        async throws
    {
        try await withStage { stage in
            _ = try await stage.report(.armedAway)
            _ = try await stage.report(.entryDelay, timestamp: stage.start + .seconds(1), delaySeconds: 30)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(30) + DeadlineTimer.settleTime)

            // The clock has passed the deadline, but the request's last byte was read a millisecond before it.
            stage.clock.move(to: stage.start + .seconds(30))
            let reply = try accepted(
                try await stage.report(
                    .disarmed,
                    timestamp: stage.start + .seconds(29),
                    receivedAt: stage.start + .milliseconds(29_999)
                )
            )
            #expect(reply.partitions.map(\.state) == ["disarmed"])
            stage.clock.move(to: stage.start + .seconds(60))
            let later = try accepted(try await stage.report(.armedAway, timestamp: stage.start + .seconds(59)))
            #expect(later.partitions.map(\.previousState) == ["disarmed"])
            #expect(!stage.collector.events.map(\.type).contains(.alarmCreated))
        }
    }

    @Test(arguments: [(29_999, "entry_delay"), (30_000, "armed_away"), (30_001, "armed_away")])
    func `a report of a deadline's own instant finds it met, one of the millisecond before it does not`(
        read: Int64,
        found: String
    ) async throws {
        try await withStage { stage in
            _ = try await stage.report(.armedAway)
            _ = try await stage.report(.entryDelay, timestamp: stage.start, delaySeconds: 30)
            stage.clock.move(to: stage.start + .milliseconds(read))
            let reply = try accepted(try await stage.report(.disarmed, timestamp: stage.start + .seconds(1)))
            #expect(reply.partitions.map(\.previousState) == [found])
            #expect(try await stage.log().contains { $0.type == .alarmCreated } == (found == "armed_away"))
        }
    }

    @Test func `a deadline in the instant of the request that brings it is met with it, whatever the timer does`()
        async throws
    {
        try await withStage { stage in
            _ = try await stage.report(.armedAway)
            stage.clock.move(to: stage.start + .seconds(1))
            let reply = try accepted(try await stage.report(.entryDelay, timestamp: stage.start, delaySeconds: 0))
            #expect(reply.partitions.map(\.state) == ["entry_delay"])
            // The clock stands, so that the timer cannot have met it.
            #expect(try await stage.log().contains { $0.type == .alarmCreated })
            #expect(try await stage.storedState().phase == .armed(.away))
        }
    }

    @Test func `a reply is stored under its idempotency key in the same transaction`() async throws {
        try await withStage { stage in
            let ticket = IdempotencyTicket(
                caller: "partner:x",
                method: "POST",
                path: "/v1/x",
                key: "k",
                payloadHash: [1]
            )
            let reply = try accepted(try await stage.report(.armedAway, idempotency: ticket))
            let record = try #require(
                try await stage.ledger.read {
                    try $0.idempotencyRecord(caller: "partner:x", method: "POST", path: "/v1/x", key: "k")
                }
            )
            #expect(try stage.vault.open(record.sealedReply, context: ticket.sealingContext) == reply.json)

            let again = try await stage.report(.disarmed, timestamp: stage.start + .seconds(1), idempotency: ticket)
            guard case .knownKey(let known) = again else {
                Issue.record("expected the stored record, got \(again)")
                return
            }
            #expect(known == record)
            #expect(try await stage.storedState().phase == .armed(.away))
        }
    }
}

func accepted(_ result: ReportResult) throws -> ReportReply {
    guard case .accepted(let reply) = result else { throw UnexpectedResult(result: "\(result)") }
    return reply
}

private struct UnexpectedResult: Error {
    var result: String
}
