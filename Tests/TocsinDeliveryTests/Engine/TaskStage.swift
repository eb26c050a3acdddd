import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

/// A delivery engine with its task service over a world's ledger, which time passes for whenever a test waits.
final class TaskStage: Sendable {
    let world: DeliveryWorld
    let engine: DeliveryEngine
    let sender: ScriptedSender
    private let ledger: CutLedger
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    init(_ world: DeliveryWorld, sender: ScriptedSender = ScriptedSender()) {
        self.world = world
        self.sender = sender
        let silent = Logger(label: "tasks") { _ in SwiftLogNoOpLogHandler() }
        let ledger = CutLedger(world.ledger)
        self.ledger = ledger
        engine = DeliveryEngine(
            ledger: ledger,
            // A sender that was stopped holds nothing back any more.
            sender: Unstopped(sender: sender),
            vault: world.vault,
            policy: EgressPolicy(),
            clock: world.clock,
            randomness: world.random,
            logger: silent
        )
        let tasks = DeliveryTaskService(ledger: ledger, deliveries: engine, clock: world.clock, logger: silent)
        let group = ServiceGroup(services: [engine, tasks], logger: silent)
        self.group = group
        running = Task { try await group.run() }
    }

    /// Lets time pass in small steps until something is so; each step waits for what the engine was told before.
    func pass(_ step: Duration = .milliseconds(50), until isSo: () async throws -> Bool) async throws {
        while try await !isSo() {
            await engine.flush()
            world.clock.advance(by: step)
        }
    }

    func pass(steps: Int) async throws {
        var left = steps
        try await pass {
            left -= 1
            return left < 0
        }
    }

    func task(_ id: DeliveryTaskID) async throws -> DeliveryTask? {
        try await world.ledger.read { try $0.deliveryTask(id, within: .platform) }
    }

    func hasEnded(_ id: DeliveryTaskID) async throws -> Bool { try await task(id)?.state != .running }

    /// Stores a task over the whole log and begins it, as the API does.
    func begin(
        _ endpoint: EndpointID,
        _ kind: DeliveryTask.Kind = .replay,
        rate: Int = 1000,
        change: @escaping @Sendable (inout DeliveryTask) -> Void = { _ in }
    ) async throws -> DeliveryTaskID {
        let (id, now): (DeliveryTaskID, Instant) = (world.random.id(at: world.clock.now), world.clock.now)
        let task = try await world.ledger.write { transaction -> DeliveryTask? in
            guard let endpoint = try transaction.endpoint(endpoint, within: .platform) else { return nil }
            let lanes = try transaction.cursors(of: endpoint.id).map { cursor in
                let end = kind == .replay ? cursor.sequence : try transaction.lastSequence(of: cursor.dealerID)
                return DeliveryTask.Lane(dealerID: cursor.dealerID, position: 0, end: end)
            }
            var task = DeliveryTask(
                id: id,
                kind: kind,
                endpoint: endpoint,
                since: nil,
                until: now,
                rate: rate,
                requestedBy: .system,
                lanes: lanes,
                createdAt: now
            )
            change(&task)
            try transaction.insert(task)
            return task
        }
        if let task { await engine.taskBegun(task) }
        return id
    }

    func cancel(_ id: DeliveryTaskID) async throws {
        let now = world.clock.now
        let ended = try await world.ledger.write { transaction -> DeliveryTask? in
            guard let task = try transaction.deliveryTask(id, within: .platform), task.state == .running else {
                return nil
            }
            return try transaction.cancel(task, at: now)
        }
        if let ended { await engine.taskEnded(ended) }
    }

    /// Ends as `kill -9` does, seen from the ledger: nothing is written from now on.
    func crash() async throws {
        ledger.cut()
        try await stop()
    }

    func stop() async throws {
        await group.triggerGracefulShutdown()
        let hasStopped = Mutex(false)
        let waiting = Task {
            try await running.value
            hasStopped.withLock { $0 = true }
        }
        while !hasStopped.withLock({ $0 }) {
            // What waits for the ledger, or for an answer, gives up after a while.
            world.clock.advance(by: .milliseconds(500))
            await Task.yield()
        }
        try await waiting.value
    }
}

/// A sender that several engines use, one after the other.
private struct Unstopped: AttemptSender {
    let sender: ScriptedSender

    func send(_ request: WebhookRequest) async -> WebhookOutcome { await sender.send(request) }
    func begin(_ errands: [Errand], _ listener: any ErrandListener) { takeEach(errands, listener) }
    func stop() async { sender.release() }
}

/// A ledger that can be cut off: from then on it takes nothing more.
private final class CutLedger: LedgerInFront {
    let real: any Ledger
    private let isCut = Mutex(false)

    init(_ real: any Ledger) { self.real = real }

    func cut() { isCut.withLock { $0 = true } }

    private func check() throws(LedgerError) {
        if isCut.withLock({ $0 }) { throw LedgerError(.unavailable, "the program has died") }
    }

    func record(_ batch: DeliveryBatch) async throws(LedgerError) {
        try check()
        try await real.record(batch)
    }

    func queue(_ decisions: [Decision]) -> QueuedCommit {
        do throws(LedgerError) {
            try check()
            return real.queue(decisions)
        } catch {
            return QueuedCommit { () throws(LedgerError) in throw error }
        }
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (any LedgerTransaction) throws -> T) async throws -> T {
        try check()
        return try await real.write(body)
    }
}
