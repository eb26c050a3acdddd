import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinEngine

/// What is decided ahead of its time is what its time would have brought, or is not used.
@Suite struct ForesightTests {
    /// Draws the same number always, so that two decisions differ by nothing that was drawn.
    private struct Constant: Randomness {
        func next() -> UInt64 { 7 }
    }

    private let tools = DecisionTools(
        randomness: Constant(),
        vault: Vault(key: Array(repeating: 7, count: Vault.keyLength)),
        timeZones: TimeZones(),
        desk: PartnerDesk(commander: nil)
    )
    private let start = Instant(secondsSinceEpoch: 1_800_000_000)

    /// A shop in its exit delays, each partition's by its number of seconds.
    private func record(exitSeconds: [Int] = [60], partner: PartnerID? = nil) -> SiteRecord {
        let site = Site(
            id: SiteID(stored: "site_1"),
            dealerID: DealerID(stored: "dlr_1"),
            partnerID: partner,
            externalID: nil,
            name: "Shop",
            timezone: "UTC",
            address: nil,
            testMode: false,
            armingModel: .platformTriggered,
            createdAt: start
        )
        let partitions = exitSeconds.enumerated().map { index, seconds in
            Partition(
                id: PartitionID(stored: "p_\(index)"),
                siteID: site.id,
                number: index + 1,
                name: "Part \(index)",
                exitDelaySeconds: ExitDelays(away: seconds)
            )
        }
        let began = partitions.map { ($0.id, PartitionState(since: start)) }
        var machine = SiteMachine(
            configuration: SiteConfiguration(site: site, partitions: partitions),
            state: SiteState(partitions: Dictionary(uniqueKeysWithValues: began)),
            timeZone: .utc,
            asksPartner: false
        )
        let arm = ArmingCommand(
            action: .arm(.init(mode: .away)),
            target: .all,
            authority: .trusted,
            by: Attribution(userID: "u_1", name: "Ann \"created_at\":\"2026\"", source: .api)
        )
        _ = machine.command(arm, receivedAt: start)
        return SiteRecord(configuration: machine.configuration, state: machine.state, version: 5)
    }

    private func work(at instant: Instant, twice: Bool = false) -> SiteWork {
        let command = SiteCommand(siteID: SiteID(stored: "site_1"), receivedAt: instant, kind: .deadline)
        return SiteWork(siteID: command.siteID, commands: twice ? [command, command] : [command])
    }

    @Test(arguments: [25, 26, 975, 1_700, 4_000])
    func `what was decided ahead is what its moment would have brought`(lateness: Int) throws {
        let record = record()
        let due = try #require(record.state.nextDeadline)
        let now = due + .milliseconds(lateness)
        var foresight = Foresight(tools)
        foresight.look(at: record, due: due)

        let taken = foresight.take(work(at: now), on: record, now: WrittenInstant(now))
        let ahead = try #require(taken).decision
        var then = try work(at: now).decide(on: record, at: now, tools: tools).decision
        then.encode()

        #expect(ahead.at == now)
        let ids = try #require(ahead.encoded?.events.map(\.head.id))
        #expect(ahead.encoded == then.encoded?.renamed(as: ids))
        #expect(ahead.newState == then.newState)
        #expect(ahead.newState?.partitions.values.map(\.phase) == [.armed(.away)])
        #expect(ids.count == 2)
        #expect(ids.allSatisfy { $0.time == (due + DeadlineTimer.settleTime).millisecondsSinceEpoch })
        #expect(ahead.encoded?.at == now)
        #expect(ahead.encoded?.audit.map(\.at) == [now])
        #expect(ahead.marks == then.marks)
        #expect(ahead.baseVersion == 5)
    }

    /// Whether what was decided ahead on one record is used for this work, how often it is asked.
    private func isUsed(
        _ ahead: SiteRecord,
        for work: SiteWork,
        on record: SiteRecord? = nil,
        at now: Instant,
        asked times: Int = 1
    ) throws -> [Bool] {
        var foresight = Foresight(tools)
        foresight.look(at: ahead, due: try #require(ahead.state.nextDeadline))
        return (0..<times).map { _ in foresight.take(work, on: record ?? ahead, now: WrittenInstant(now)) != nil }
    }

    @Test func `it is used once, and only on the version that it was decided on`() throws {
        let record = record()
        let now = try #require(record.state.nextDeadline) + .seconds(1)
        let moved = record.changed(to: record.state, version: record.version + 1)
        #expect(try isUsed(record, for: work(at: now), at: now, asked: 2) == [true, false])
        #expect(try isUsed(record, for: work(at: now), on: moved, at: now) == [false])
    }

    @Test func `it is not used before its time, long after it, nor with another command`() throws {
        let record = record()
        let due = try #require(record.state.nextDeadline)
        let (second, late) = (due + .seconds(1), due + .seconds(5))
        #expect(try isUsed(record, for: work(at: due), at: due) == [false])
        #expect(try isUsed(record, for: work(at: second), at: late) == [false])
        #expect(try isUsed(record, for: work(at: late), at: late) == [false])
        #expect(try isUsed(record, for: work(at: second, twice: true), at: second) == [false])
    }

    @Test func `nothing is held whose outcome depends on how late it is`() throws {
        // The second ends within the time in which the first's end might be taken.
        let record = record(exitSeconds: [60, 62])
        let now = try #require(record.state.nextDeadline) + .seconds(1)
        #expect(try isUsed(record, for: work(at: now), at: now) == [false])
    }

    @Test func `a partner that wants to be asked meanwhile is asked`() throws {
        let commander = ScriptedCommander()
        commander.set(asks: false)
        let tools = DecisionTools(
            randomness: Constant(),
            vault: self.tools.vault,
            timeZones: TimeZones(),
            desk: PartnerDesk(commander: commander)
        )
        let record = record(partner: PartnerID(stored: "prt_1"))
        let due = try #require(record.state.nextDeadline)
        let now = due + .seconds(1)
        for asks in [false, true] {
            var foresight = Foresight(tools)
            foresight.look(at: record, due: due)
            commander.set(asks: asks)
            let taken = foresight.take(work(at: now), on: record, now: WrittenInstant(now))
            #expect((taken == nil) == asks)
        }
    }

    /// Design, time: what was read before the deadline wins though the server was busy, and with whatever.
    @Test(arguments: [(1, false), (24, false), (25, true), (1_000, true)])
    func `a change of the configuration leaves a deadline the time in which a disarm may still come`(
        lateness: Int,
        isReached: Bool
    ) throws {
        let before = record()
        let record = SiteRecord(
            configuration: before.configuration,
            state: before.state,
            version: before.version,
            isReconfigured: true
        )
        let now = try #require(record.state.nextDeadline) + .milliseconds(lateness)
        let command = SiteCommand(siteID: SiteID(stored: "site_1"), receivedAt: now, kind: .reconfigured)
        let plan = try SiteWork(siteID: command.siteID, commands: [command]).decide(on: record, at: now, tools: tools)
        let phases = plan.decision.newState?.partitions.values.map(\.phase)
        #expect((phases == [.armed(.away)]) == isReached)
        // Whatever is left is due, so that the timer comes for it.
        #expect(isReached || plan.decision.newState?.nextDeadline == record.state.nextDeadline)
    }

    @Test func `an engine ends the delays of many sites at their own moments`() async throws {
        try await withStage { stage in
            let world = stage.world
            var places: [(site: Site, partition: Partition)] = []
            for number in 0..<40 {
                places.append(try await world.addSite("Shop \(number)", ofPartner: false))
            }
            for place in places {
                _ = try await Shop(stage, place).command(.arm(.init(mode: .away)))
            }
            stage.clock.advance(by: .seconds(50))
            stage.clock.advance(by: .seconds(11))
            await stage.collector.wait(for: 3 * places.count)
            let ends = try await stage.log().filter { $0.type == .partitionArmed }
            #expect(Set(ends.compactMap(\.siteID)).count == 40)
            #expect(ends.allSatisfy { $0.createdAt == stage.clock.now })
            #expect(try await stage.ledger.read { try $0.verify() } == [])
        }
    }
}
