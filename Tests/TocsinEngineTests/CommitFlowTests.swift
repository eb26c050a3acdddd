import Synchronization
import Testing
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// What waits for a commit that is under way, and what does not.
@Suite(.timeLimit(.minutes(5))) struct CommitFlowTests {
    @Test func `an alarm is decided while a commit is under way, and holds up nothing of another site`() async throws {
        let ledger = HeldLedger(try SQLiteLedger.open(.memory))
        try await withStage(ledger: ledger) { stage in
            let shop = Shop(stage, try await stage.world.addSite("Shop", ofPartner: false))
            try await shop.addZones()
            ledger.hold()
            async let first = stage.report(.armedAway, timestamp: stage.start)
            await ledger.waitForQueued(1)
            // Of the site whose commit is under way: it waits, and nothing else does.
            async let second = stage.report(.disarmed, timestamp: stage.start + .milliseconds(1))
            async let alarm = AlarmDesk(shop).raise()
            await ledger.waitForQueued(2)
            #expect(stage.collector.events.isEmpty)

            ledger.letGo()
            _ = try await (first, alarm)
            guard case .accepted = try await second else { throw Unexpected(what: "not taken") }
            let published = stage.collector.events
            #expect(published.contains { $0.type == .alarmCreated })
            #expect(published.map(\.sequence) == published.map(\.sequence).sorted())
            #expect(try await stage.log().map(\.id) == published.map(\.id))
            #expect(try await stage.storedState().phase == .disarmed)
        }
    }

    @Test func `reports wait for one another while a commit is under way`() async throws {
        let ledger = HeldLedger(try SQLiteLedger.open(.memory))
        try await withStage(ledger: ledger) { stage in
            ledger.hold()
            async let first = stage.report(.armedAway, timestamp: stage.start)
            await ledger.waitForQueued(1)
            async let others = withThrowingTaskGroup(of: ReportResult.self) { group in
                for number in 1...20 {
                    let timestamp = stage.start + .milliseconds(Int64(number))
                    group.addTask {
                        try await stage.report(number % 2 == 0 ? .armedAway : .disarmed, timestamp: timestamp)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            ledger.letGo()
            _ = try await first
            #expect(try await others.count == 20)
            #expect(try await stage.ledger.read { try $0.verify() } == [])
        }
    }

    @Test func `enough commands for another commit are decided while others are under way`() async throws {
        let ledger = HeldLedger(try SQLiteLedger.open(.memory))
        try await withStage(ledger: ledger) { stage in
            let sites = try await stage.addSites(SiteEngine.sitesPerCommitAtLeast)
            ledger.hold()
            async let first = stage.report(.armedAway, timestamp: stage.start)
            await ledger.waitForQueued(1)
            async let others = withThrowingTaskGroup(of: ReportReply.self) { group in
                for site in sites { group.addTask { try accepted(try await stage.report(.armedAway, site: site)) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            await ledger.waitForQueued(2)
            #expect(stage.collector.events.isEmpty)
            ledger.letGo()
            _ = try await first
            #expect(Set(try await others.map(\.siteID)) == Set(sites))
        }
    }
}

/// A ledger whose commits nobody hears of until they are let go.
private final class HeldLedger: LedgerInFront {
    private struct State {
        var isHeld = false
        var queued = 0
        var held: [@Sendable () -> Void] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    let real: any Ledger
    private let state = Mutex(State())

    init(_ real: any Ledger) { self.real = real }

    func hold() { state.withLock { $0.isHeld = true } }

    func letGo() {
        let held = state.withLock { state in
            defer { (state.held, state.isHeld) = ([], false) }
            return state.held
        }
        for body in held { body() }
    }

    /// Returns when so many commits have been queued since they are held.
    func waitForQueued(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.queued >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    /// Calls `body` now, or when the commits are let go.
    private func later(_ body: @escaping @Sendable () -> Void) {
        let isHeld = state.withLock { state in
            if state.isHeld { state.held.append(body) }
            return state.isHeld
        }
        if !isHeld { body() }
    }

    func queue(_ decisions: [Decision]) -> QueuedCommit {
        let ready = state.withLock { state in
            guard state.isHeld else { return [CheckedContinuation<Void, Never>]() }
            state.queued += 1
            let count = state.queued
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }.map(\.continuation)
        }
        let queued = real.queue(decisions)
        for continuation in ready { continuation.resume() }
        return QueuedCommit(
            { [self] () throws(LedgerError) in
                await withCheckedContinuation { continuation in later { continuation.resume() } }
                return try await queued.outcomes()
            },
            whenDone: { [self] body in later { queued.whenDone(body) } }
        )
    }
}
