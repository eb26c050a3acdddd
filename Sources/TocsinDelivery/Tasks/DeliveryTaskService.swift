import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Carries out durable tasks: replay, and sending again what failed (design, delivery: operator).
///
/// The truth is the ledger. A portion of rows and the task's new place in the log are one transaction, so that a restart
/// goes on where it stopped, without losing or doubling one. The endpoint's ordinary way sends the rows; what this does
/// is to put them in the way, at the task's rate and never far ahead of what is sent.
package final class DeliveryTaskService: Service {
    /// How soon the ledger is asked again after it failed.
    static let retryAfterFailure: Duration = .seconds(1)

    private let ledger: any Ledger
    private let deliveries: DeliveryEngine
    private let clock: any WallClock
    private let logger: Logger
    private let active = Mutex<Set<DeliveryTaskID>>([])

    package init(ledger: any Ledger, deliveries: DeliveryEngine, clock: any WallClock, logger: Logger) {
        self.ledger = ledger
        self.deliveries = deliveries
        self.clock = clock
        self.logger = logger
    }

    /// Runs until graceful shutdown; a task that is not done goes on after the next start.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.resume()
            await withDiscardingTaskGroup { group in
                for await id in self.deliveries.outside.tasks.begun
                where self.active.withLock({ $0.insert(id).inserted }) {
                    group.addTask {
                        await self.work(id)
                        self.active.withLock { _ = $0.remove(id) }
                    }
                }
                group.cancelAll()
            }
        }
    }

    // MARK: - Working

    /// Goes on with what the ledger has, and cleans up behind a crash in the middle of a cancellation.
    private func resume() async {
        while !Task.isCancelled {
            do {
                let (running, cancelled) = try await ledger.read { reader in
                    (try reader.runningTasks(), try reader.cancelledTasksWithRows())
                }
                for task in cancelled {
                    let now = clock.now
                    try await ledger.write { _ = try $0.giveUpRows(of: task.id, at: now) }
                    deliveries.taskCancelled(task.id, of: task.endpointID)
                }
                for id in running { deliveries.outside.tasks.begin(id) }
                return
            } catch {
                logger.error("tasks cannot be read, trying again", metadata: ["error": "\(error)"])
                try? await clock.sleep(until: clock.now + Self.retryAfterFailure)
            }
        }
    }

    private enum Next {
        case again
        case pause(until: Instant)
        /// Until deliveries to the endpoint were recorded, or it was changed.
        case awaitChange
        case end
    }

    private func work(_ id: DeliveryTaskID) async {
        guard let task = try? await ledger.read({ try $0.deliveryTask(id, within: .platform) }) else { return }
        let signals = deliveries.outside.tasks
        let signal = signals.signal(for: id, of: task.endpointID)
        defer { signals.forget(id, of: task.endpointID) }
        var pace = TaskPace(rate: task.rate)
        while !Task.isCancelled {
            do {
                switch try await step(id, &pace) {
                case .again: continue
                case .pause(let until): try? await clock.sleep(until: until)
                case .awaitChange: await signal.wait()
                case .end: return
                }
            } catch {
                if Task.isCancelled { return }
                logger.error(
                    "a task cannot go on, trying again",
                    metadata: ["task.id": "\(id)", "error": "\(error)"]
                )
                try? await clock.sleep(until: clock.now + Self.retryAfterFailure)
            }
        }
    }

    /// Does the next thing that the ledger's state asks for.
    private func step(_ id: DeliveryTaskID, _ pace: inout TaskPace) async throws -> Next {
        let view = try await ledger.read { try TaskView(id, $0) }
        guard let view else { return .end }
        guard let endpoint = view.endpoint else {
            let now = clock.now
            _ = try await change(id) { try $1.fail($0, reason: "endpoint_deleted", at: now) }
            return .end
        }
        // Visible in the task's `stalled`; enabling the endpoint wakes this.
        guard endpoint.isEnabled else { return .awaitChange }
        switch view.task.phase {
        case .starting:
            try await begin(view.task)
            return .again
        case .placing:
            switch pace.step(waiting: view.waiting, at: clock.now) {
            case .pause(let until): return .pause(until: until)
            case .awaitAttempts: return .awaitChange
            case .place(let most):
                try await place(view, atMost: most, &pace)
                return .again
            }
        case .finishing:
            if view.waiting > 0 { return .awaitChange }
            return try await finish(view.task)
        }
    }

    /// Sets aside what waits for a retry at an endpoint that asks for order, so that all goes out in the log's order.
    private func begin(_ task: DeliveryTask) async throws {
        // After a restart nobody has told the engine of it yet.
        await deliveries.endpointChanged(task.endpointID)
        await deliveries.quiet(task.endpointID)
        try Task.checkCancellation()
        let now = clock.now
        _ = try await change(task.id) { task, transaction in
            try transaction.setAsidePending(of: task.endpointID, beyond: nil)
            // Order may have been asked for in the middle: what the task has come by has its turn now.
            for lane in task.lanes where lane.position > 0 {
                let place = EventPosition(dealerID: lane.dealerID, sequence: lane.position)
                try transaction.bringBackPending(of: task.endpointID, through: place, at: now)
            }
            var task = task
            task.phase = .placing
            task.updatedAt = now
            try transaction.update(task)
            return task
        }
        await deliveries.endpointChanged(task.endpointID)
    }

    private func place(_ view: TaskView, atMost most: Int, _ pace: inout TaskPace) async throws {
        let portion = try await ledger.read { try view.portion(atMost: most, $0) }
        let now = clock.now
        let (task, hastened) = try await ledger.write { transaction in
            guard var task = try transaction.deliveryTask(view.task.id, within: .platform), task.state == .running
            else { return (DeliveryTask?.none, Set<EventPosition>()) }
            let hastened = try transaction.place(portion.events, for: task, at: now)
            task.take(portion, at: now)
            // What was set aside has its turn where the task has come by; behind the task's end, when it is done.
            let place = task.phase == .finishing ? nil : portion.place
            try transaction.bringBackPending(of: task.endpointID, through: place, at: now)
            try transaction.update(task)
            return (task, hastened)
        }
        guard let task else { return }
        pace.placed(portion.events.count, at: now)
        deliveries.rowsAdded(to: task.endpointID, hastened: hastened)
        if task.phase == .finishing { await deliveries.endpointChanged(task.endpointID) }
    }

    private func finish(_ task: DeliveryTask) async throws -> Next {
        let now = clock.now
        let ended = try await change(task.id) { task, transaction in
            guard try transaction.waitingCount(of: task.id) == 0 else { return task }
            var task = task
            task.end(.done, counts: try transaction.counts(of: task.id), at: now)
            try transaction.update(task)
            return task
        }
        guard let ended else { return .end }
        // Somebody has put one of its deliveries in the way again meanwhile.
        if ended.state == .running { return .again }
        logger.info(
            "a task is done",
            metadata: [
                "task.id": "\(ended.id)", "endpoint.id": "\(ended.endpointID)", "matched": "\(ended.matched)",
                "delivered": "\(ended.counts.delivered)",
            ]
        )
        return .end
    }

    /// Changes the task in one transaction, unless it does not run any more.
    private func change(
        _ id: DeliveryTaskID,
        _ body: @escaping @Sendable (DeliveryTask, any LedgerTransaction) throws -> DeliveryTask
    ) async throws -> DeliveryTask? {
        try await ledger.write { transaction in
            guard let task = try transaction.deliveryTask(id, within: .platform), task.state == .running else {
                return nil
            }
            return try body(task, transaction)
        }
    }
}
