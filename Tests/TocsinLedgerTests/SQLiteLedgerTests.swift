import Dispatch
import Foundation
import GRDB
import Synchronization
import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

@Suite struct SQLiteLedgerTests {
    @Test func `a reopened ledger still has everything`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let first = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: first)
            let outcomes = try await first.commit([world.decision(version: 1)])
            #expect(outcomes.first?.events?.map(\.sequence) == [1, 2])
            try await first.close()

            let second = try SQLiteLedger.open(.file(path))
            let record = try await second.load([world.site.id])[world.site.id]
            #expect(record?.version == 2)
            #expect(record?.state.partitions[world.partition.id]?.phase == .armed(.away))
            #expect(try await second.read { try $0.events(of: world.dealer.id, after: 0, limit: 10) }.count == 2)
            #expect(try await second.read { try $0.verify() } == [])
            try await second.close()
        }
    }

    @Test func `every commit waits for the disk`() async throws {
        try await withTemporaryDirectory { directory in
            let ledger = try SQLiteLedger.open(.file(directory + "/ledger.sqlite"))
            let settings = try await ledger.settings()
            #expect(settings.synchronous == 2)
            #expect(settings.journalMode == "wal")
            #expect(settings.foreignKeys)
            try await ledger.close()
        }
    }

    @Test func `many waiting commits share one`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let before = ledger.statistics
        // The first closure holds the writer until everything else waits behind it.
        let gate = Gate()
        async let first: Void = ledger.write { _ in gate.wait() }
        await gate.entered()
        let waiting = (0..<50).map { _ in Task { try await ledger.commit([world.decision(version: 1)]) } }
        while ledger.waitingJobs < waiting.count { await Task.yield() }
        gate.open()
        try await first
        var committed = 0
        for task in waiting where try await task.value.first?.isConflict == false { committed += 1 }
        let after = ledger.statistics
        #expect(committed == 1)
        #expect(after.commits - before.commits == 2)
        #expect(after.jobs - before.jobs == 51)
        #expect(after.decisions - before.decisions == 50)
        try await ledger.close()
    }

    @Test func `a full disk keeps nothing, and the ledger goes on when there is space`() async throws {
        try await withTemporaryDirectory { directory in
            let ledger = try SQLiteLedger.open(.file(directory + "/ledger.sqlite"))
            let world = try await LedgerWorld.make(in: ledger)
            let large = largeEntry(of: world)
            let decision = decisionWith(large, of: world)
            try await ledger.limitSize(toPages: 1)

            for _ in 0..<2 {
                let error = await #expect(throws: LedgerError.self) { _ = try await ledger.commit([decision]) }
                #expect(error?.code == .full)
            }
            let error = await #expect(throws: LedgerError.self) { try await ledger.write { try $0.append(large) } }
            #expect(error?.code == .full)
            let refusal = await #expect(throws: LedgerError.self) { try await ledger.checkWritable() }
            #expect(refusal?.code == .full)

            let counts = try await ledger.read { try $0.counts() }
            #expect(counts["event"] == 0)
            #expect(counts["audit"] == 0)
            #expect(try await ledger.load([world.site.id])[world.site.id]?.version == 1)
            try await ledger.limitSize(toPages: 1 << 30)
            try await ledger.checkWritable()
            let commits = ledger.statistics.commits
            // What is known to be writable is not written for it.
            try await ledger.checkWritable()
            #expect(ledger.statistics.commits == commits)
            let outcomes = try await ledger.commit([decision])
            #expect(outcomes.first?.events?.map(\.sequence) == [1, 2])
            #expect(try await ledger.read { try $0.verify() } == [])
            try await ledger.close()
        }
    }

    @Test func `a decision that cannot be stored fails without those beside it`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2")
        _ = try await ledger.commit([world.decision(version: 1)])
        let gate = Gate()
        async let held: Void = ledger.write { _ in gate.wait() }
        await gate.entered()
        // A partner that does not exist is a bug of the caller's; the neighbour must not pay for it.
        let faulty = decisionOfNoPartner(in: world)
        let fails = Task { try await ledger.commit([faulty]) }
        let succeeds = Task { try await ledger.commit([world.decision(on: other.site, other.partition, version: 1)]) }
        while ledger.waitingJobs < 2 { await Task.yield() }
        gate.open()
        try await held
        await #expect(throws: LedgerError.self) { _ = try await fails.value }
        #expect(try await succeeds.value.first?.events?.map(\.sequence) == [3, 4])
        #expect(try await ledger.load([world.site.id])[world.site.id]?.version == 2)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.close()
    }

    private func decisionOfNoPartner(in world: LedgerWorld) -> Decision {
        var decision = world.decision(version: 2)
        decision.partnerID = PartnerID(stored: "prt_none")
        decision.marks = [.lateReport]
        return decision
    }

    private func largeEntry(of world: LedgerWorld) -> AuditEntry {
        var entry = world.auditEntry()
        entry.explanation = String(repeating: "x", count: 4 << 20)
        return entry
    }

    private func decisionWith(_ entry: AuditEntry, of world: LedgerWorld) -> Decision {
        var decision = world.decision(version: 1)
        decision.audit.append(entry)
        return decision
    }

    @Test func `a backup holds what was committed and opens as a ledger`() async throws {
        try await withTemporaryDirectory { directory in
            let ledger = try SQLiteLedger.open(.file(directory + "/ledger.sqlite"))
            let world = try await LedgerWorld.make(in: ledger)
            _ = try await ledger.commit([world.decision(version: 1)])
            try await ledger.backup(to: directory + "/backup.sqlite")
            _ = try await ledger.commit([world.decision(version: 2)])
            try await ledger.close()

            let copy = try SQLiteLedger.open(.file(directory + "/backup.sqlite"))
            #expect(try await copy.load([world.site.id])[world.site.id]?.version == 2)
            #expect(try await copy.read { try $0.verify() } == [])
            try await copy.close()
        }
    }

    @Test func `a backup that might fill its disk is refused before anything is written`() async throws {
        try await withTemporaryDirectory { directory in
            let location = SQLiteLedger.Location.file(directory + "/ledger.sqlite")
            let ledger = try SQLiteLedger.open(location)
            let size = try await ledger.writer.read {
                try $0.number("PRAGMA page_count") * $0.number("PRAGMA page_size")
            }
            func backup(free: Int64?) async throws(LedgerError) {
                let backup = Backup(of: ledger.writer, at: location) { $0 == directory ? free : nil }
                try await backup.run(to: directory + "/backup.sqlite")
            }
            let refusal = await #expect(throws: LedgerError.self) { try await backup(free: Backup.bytesLeftFree) }
            #expect(refusal?.code == .full)
            let files = try FileManager.default.contentsOfDirectory(atPath: directory)
            #expect(!files.contains { $0.hasPrefix("backup") })
            try await backup(free: Backup.bytesLeftFree + size)
            try await ledger.close()
        }
    }

    @Test func `hot queries scan no table`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let event = try #require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        let plans = try await ledger.queryPlans { transaction in
            let reaches: [Reach] = [.dealer(world.dealer.id), .partner(world.partner.id)]
            _ = try transaction.events(of: world.dealer.id, after: 0, limit: 10)
            _ = try transaction.events(of: world.dealer.id, after: 0, filter: .init(siteID: world.site.id), limit: 10)
            _ = try transaction.event(at: event.position)
            _ = try transaction.event(event.id, within: .platform)
            _ = try transaction.lastSequence(of: world.dealer.id)
            _ = try transaction.firstSequence(of: world.dealer.id)
            _ = try transaction.dueDeliveries(of: endpoint.id, by: LedgerWorld.start, limit: 10)
            _ = try transaction.nextDue(of: endpoint.id)
            _ = try transaction.exceptionalDelivery(of: event.position, to: endpoint.id)
            let task = DeliveryTaskID(stored: "task_1")
            _ = try transaction.runningTask(of: endpoint.id)
            _ = try transaction.runningTaskCount(beside: endpoint.owner)
            _ = try transaction.counts(of: task)
            _ = try transaction.waitingCount(of: task)
            _ = try transaction.giveUpRows(of: task, at: LedgerWorld.start)
            try transaction.setAsidePending(of: endpoint.id, beyond: nil)
            try transaction.bringBackPending(of: endpoint.id, through: event.position, at: LedgerWorld.start)
            try transaction.bringBackPending(of: endpoint.id, through: nil, at: LedgerWorld.start)
            _ = try transaction.attempts(of: event.position, to: endpoint.id)
            _ = try transaction.deadCount(of: endpoint.id)
            _ = try transaction.cursors(of: endpoint.id)
            _ = try transaction.secrets(of: endpoint.id)
            _ = try transaction.app(authenticatingWith: "hash")
            _ = try transaction.partner(authenticatingAs: "client")
            _ = try transaction.adminToken(hash: "hash")
            _ = try transaction.idempotencyRecord(caller: "c", method: "POST", path: "/", key: "k")
            _ = try transaction.siteRecord(world.site.id, within: .dealer(world.dealer.id))
            _ = try transaction.deliveries(
                within: .dealer(world.dealer.id),
                filter: .init(),
                page: .init(after: DeliveryID(of: event.id, to: endpoint.id).text)
            )
            _ = try transaction.audit(within: .dealer(world.dealer.id), filter: .init(), page: .init())
            _ = try transaction.history(of: world.site.id, within: .platform, page: .init(after: "1"))
            _ = try transaction.codeHolder("hash", at: world.site.id)
            for kind in FixtureKind.allCases {
                _ = try transaction.fixtures(of: world.site.id, kind: kind, within: .platform, page: .init(after: "5"))
            }
            _ = try transaction.fixtureCount(of: world.site.id, kind: .user)
            try transaction.update(world.site)
            for reach in reaches {
                _ = try transaction.sites(within: reach, filter: .init(), page: .init(after: "site_0"))
                _ = try transaction.dealers(within: reach, page: .init(after: "dlr_0"))
                _ = try transaction.partners(within: reach, page: .init(after: "prt_0"))
                _ = try transaction.apps(within: reach, page: .init(after: "app_0"))
            }
            _ = try transaction.pendingDeadlines(after: (LedgerWorld.start, world.site.id), limit: 10)
            _ = try transaction.dueNotices(by: LedgerWorld.start, limit: 10)
            _ = try transaction.nextNoticeDue()
            _ = try transaction.notices(of: world.site.id, within: .platform, limit: 10)
            _ = try transaction.purge(now: LedgerWorld.start, limit: 10)
            _ = try transaction.hasRemains()
        }
        #expect(plans.count > 40)
        for plan in plans {
            // Two logs are read from their oldest row and left at the first that is kept.
            let isBounded = plan.sql.contains("ORDER BY id LIMIT")
            let scans = plan.steps.filter { $0.hasPrefix("SCAN") && !isBounded }
            #expect(scans.isEmpty, "\(plan)")
        }
        for plan in plans where plan.sql.contains("FROM fixture") {
            #expect(!plan.steps.contains { $0.contains("TEMP B-TREE") }, "\(plan)")
        }
        let deadlines = try await ledger.queryPlans { _ = try $0.pendingDeadlines(after: nil, limit: 10) }
        #expect(deadlines.flatMap(\.steps).allSatisfy { $0.contains("site_due") && !$0.contains("TEMP B-TREE") })
        try await ledger.close()
    }
}

/// Gives a directory of its own, and removes it afterwards.
func withTemporaryDirectory<T>(_ body: (String) async throws -> T) async throws -> T {
    let directory = FileManager.default.temporaryDirectory.path + "/tocsin-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try await body(directory)
}

/// Holds a thread until it is opened, and tells when somebody is held.
private final class Gate: Sendable {
    private let opened = DispatchSemaphore(value: 0)
    private let isEntered = Mutex(false)

    func wait() {
        isEntered.withLock { $0 = true }
        opened.wait()
    }

    func open() { opened.signal() }

    func entered() async { while !isEntered.withLock({ $0 }) { await Task.yield() } }
}
