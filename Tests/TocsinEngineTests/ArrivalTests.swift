import Foundation
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

/// A site's queue is in the order in which requests were received, not in that in which they get there (design, time (b)).
@Suite(.timeLimit(.minutes(5))) struct ArrivalTests {
    private static let seed: UInt64 = {
        let given = ProcessInfo.processInfo.environment["TOCSIN_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 1...9_999_999)
        print("ArrivalTests: TOCSIN_SEED=\(seed)")
        return seed
    }()

    /// A shop that somebody has entered: the entry delay ends at `end`, and the clock stands 10 ms before that.
    private func withEntry(_ body: @escaping @Sendable (Shop, _ end: Instant) async throws -> Void) async throws {
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            _ = try await shop.signals([Signal(origin: .number(5), kind: .open, timestamp: shop.stage.start)])
            let end = try #require(try await shop.record().state.nextDeadline)
            shop.stage.clock.move(to: end - .milliseconds(10))
            try await body(shop, end)
        }
    }

    /// The request was read, its end of the delay has come, and the engine waits with it.
    private func readAndWait(_ shop: Shop, lateBy lateness: Duration = .seconds(1)) async -> Arrivals.Arrival {
        let arrival = shop.stage.engine.arrivals.read(for: shop.site.id)
        shop.stage.clock.advance(by: lateness)
        await shop.isHeld(behind: arrival)
        return arrival
    }

    private func alarms(_ shop: Shop) async throws -> Int {
        try await shop.log().count { $0.type == .alarmCreated }
    }

    @Test func `a disarm that was read in time wins, however late it gets to its site`() async throws {
        try await withEntry { shop, _ in
            let arrival = await readAndWait(shop)
            let result = try await shop.command(.disarm, arrival: arrival)
            guard case .done = result else { throw Unexpected(what: "\(result)") }
            #expect(try await shop.phase() == .disarmed)
            // Another command of the site comes behind the end that has waited.
            _ = try await shop.command(.disarm)
            #expect(try await alarms(shop) == 0)
        }
    }

    @Test func `a disarm that was read when the delay was over loses`() async throws {
        try await withEntry { shop, end in
            shop.stage.clock.move(to: end)
            let arrival = shop.stage.engine.arrivals.read(for: shop.site.id)
            _ = try await shop.command(.disarm, arrival: arrival)
            #expect(try await alarms(shop) == 1)
        }
    }

    @Test func `what is refused holds nothing up`() async throws {
        try await withEntry { shop, _ in
            let arrival = await readAndWait(shop)
            let early = try await alarms(shop)
            #expect(early == 0)
            shop.stage.engine.arrivals.dismiss(arrival)
            await shop.stage.collector.wait(for: .alarmCreated)
        }
    }

    @Test func `what never gets to its site is not waited for any longer than the patience lasts`() async throws {
        try await withEntry { shop, _ in
            let arrival = await readAndWait(shop)
            let early = try await alarms(shop)
            #expect(early == 0)
            shop.stage.clock.move(to: arrival.receivedAt + Arrivals.patience + .milliseconds(1))
            await shop.stage.collector.wait(for: .alarmCreated)
            // Too late for anybody to have waited for it.
            shop.stage.engine.arrivals.dismiss(arrival)
        }
    }

    @Test func `a site waits for a bounded number of requests, each of which may end in any order`() async throws {
        try await withShop { shop in
            let arrivals = shop.stage.engine.arrivals
            var read = (0..<3 * Arrivals.perSiteMaximum).map { _ in arrivals.read(for: shop.site.id) }
            while let last = read.popLast() { arrivals.dismiss(last) }
            #expect(arrivals.isEmpty)
        }
    }

    @Test func `two requests of one millisecond are two`() async throws {
        try await withShop { shop in
            let arrivals = shop.stage.engine.arrivals
            let (first, second) = (arrivals.read(for: shop.site.id), arrivals.read(for: shop.site.id))
            _ = try await shop.command(.disarm, arrival: second)
            // Whoever is decided has been taken out, at the next turn at the latest.
            _ = try await shop.command(.disarm, arrival: arrivals.read(for: shop.site.id))
            arrivals.dismiss(first)
            _ = try await shop.command(.disarm)
            #expect(arrivals.isEmpty)
        }
    }

    @Test func `those that nobody waits for any more leave room for others`() async throws {
        try await withEntry { shop, end in
            let arrivals = shop.stage.engine.arrivals
            shop.stage.clock.move(to: end - .seconds(20))
            for _ in 0..<Arrivals.perSiteMaximum { _ = arrivals.read(for: shop.site.id) }
            shop.stage.clock.move(to: end - .milliseconds(10))
            let arrival = await readAndWait(shop)
            _ = try await shop.command(.disarm, arrival: arrival)
            let raised = try await alarms(shop)
            #expect(raised == 0)
        }
    }

    @Test func `a request for another site holds nothing up`() async throws {
        try await withEntry { shop, _ in
            _ = shop.stage.engine.arrivals.read(for: shop.stage.world.site.id)
            shop.stage.clock.advance(by: .seconds(1))
            await shop.stage.collector.wait(for: .alarmCreated)
        }
    }

    @Test func `a trip that was received after a disarm meets a disarmed site, whichever gets there first`()
        async throws
    {
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            let arrival = shop.stage.engine.arrivals.read(for: shop.site.id)
            shop.stage.clock.advance(by: .milliseconds(1))
            let trip = Signal(origin: .number(7), kind: .open, timestamp: shop.stage.clock.now)
            async let outcomes = shop.signals([trip])
            await shop.isHeld(behind: arrival)
            _ = try await shop.command(.disarm, arrival: arrival)
            let told = try await outcomes
            #expect(told == ["accepted"])
            #expect(try await alarms(shop) == 0)
        }
    }

    @Test func `what waits when the server stops is decided and answered`() async throws {
        let (answers, told) = AsyncStream<[String]>.makeStream()
        try await withShop { shop in
            _ = try await shop.command(.arm(.init(mode: .away, instant: true)))
            let arrival = shop.stage.engine.arrivals.read(for: shop.site.id)
            shop.stage.clock.advance(by: .milliseconds(1))
            let trip = Signal(origin: .number(7), kind: .open, timestamp: shop.stage.clock.now)
            Task {
                told.yield((try? await shop.signals([trip])) ?? [])
                told.finish()
            }
            await shop.isHeld(behind: arrival)
        }
        #expect(await answers.first { _ in true } == ["accepted"])
    }

    @Test func `commands are decided in the order in which they were read, in whatever order they come`() async throws {
        let random = SeededRandomness(seed: Self.seed)
        let order = (0..<60).map { (index: $0, place: random.next()) }.sorted { $0.place < $1.place }.map(\.index)
        let dismissed = Set(order.filter { _ in random.next() % 5 == 0 })
        try await withShop { shop in
            var arrivals: [Arrivals.Arrival] = []
            for index in order.indices {
                // Several of them in one millisecond.
                if index % 4 == 0 { shop.stage.clock.advance(by: .milliseconds(1)) }
                arrivals.append(shop.stage.engine.arrivals.read(for: shop.site.id))
            }
            shop.stage.clock.advance(by: .milliseconds(1))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in order {
                    let arrival = arrivals[index]
                    if dismissed.contains(index) {
                        shop.stage.engine.arrivals.dismiss(arrival)
                        continue
                    }
                    group.addTask {
                        let action = index % 2 == 0 ? ArmingCommand.Action.arm(.init(mode: .night)) : .disarm
                        _ = try await shop.command(action, arrival: arrival)
                    }
                }
                try await group.waitForAll()
            }
            let decided = try await shop.stage.audit().reversed().filter { $0.requestID == "req_test" }.map(\.at)
            #expect(decided.count == 60 - dismissed.count)
            #expect(decided == decided.sorted(), "TOCSIN_SEED=\(Self.seed)")
        }
    }
}

extension Shop {
    /// Returns when the engine waits for this request with something else.
    fileprivate func isHeld(behind arrival: Arrivals.Arrival) async {
        // The timer of the longest wait is set then, and the site has no other.
        await stage.clock.waitForSleeper(until: arrival.receivedAt + Arrivals.patience + .milliseconds(1))
    }
}
