import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let taskCases = [
        LedgerCase("a task comes back as it was stored, and as it was changed", taskRoundTrip),
        LedgerCase("tasks are listed newest first, within reach, and counted while they run", taskList),
        LedgerCase("a task puts each event in the way once, whatever became of it before", placedRows),
        LedgerCase("a cancelled task's deliveries are what they were before", cancelledRows),
        LedgerCase("what was recorded after a cancellation is found", lateRows),
        LedgerCase("what waits is set aside and brought back in the log's order", setAside),
        LedgerCase("failed deliveries are found by when they failed", failedRows),
        LedgerCase("ended tasks are forgotten with their deliveries", forgottenTasks),
    ]

    private static func task(
        _ world: LedgerWorld,
        _ endpoint: Endpoint,
        _ kind: DeliveryTask.Kind = .replay,
        at instant: Instant = LedgerWorld.start
    ) -> DeliveryTask {
        DeliveryTask(
            id: world.random.id(at: instant),
            kind: kind,
            endpoint: endpoint,
            since: instant - .seconds(60),
            until: instant,
            requestedBy: AuditEntry.Actor(.admin, "tok_1"),
            lanes: [DeliveryTask.Lane(dealerID: world.dealer.id, position: 0, end: 100)],
            createdAt: instant
        )
    }

    private static func events(_ world: LedgerWorld, _ count: Int) async throws -> [LoggedEvent] {
        try await world.ledger.write { transaction in
            try transaction.append((0..<count).map { _ in world.arming() }, to: world.dealer.id, at: LedgerWorld.start)
        }
    }

    private static func taskRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let app = try await world.addEndpoint()
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        var first = task(world, app)
        first.types = [.partitionArmed, .alarmCreated]
        first.siteID = world.site.id
        first.rate = 7
        first.missed = 1_234
        var second = task(world, partners, .resendFailed)
        second.since = nil
        second.phase = .starting
        for task in [first, second] {
            try await ledger.write { [task] in try $0.insert(task) }
            try expectEqual(try await ledger.read { try $0.deliveryTask(task.id, within: .platform) }, task)
        }
        first.lanes[0].position = 42
        first.matched = 12
        first.phase = .finishing
        first.end(
            .failed,
            reason: "endpoint_deleted",
            counts: DeliveryTask.Counts([.delivered: 1, .dead: 2, .withdrawn: 3, .retrying: 4, .waiting: 5]),
            at: LedgerWorld.start + .seconds(9)
        )
        try await ledger.write { [first] in
            try $0.update(first)
            // It outlives its endpoint.
            try $0.deleteEndpoint(app.id)
        }
        try expectEqual(try await ledger.read { [first] in try $0.deliveryTask(first.id, within: .platform) }, first)
    }

    private static func taskList(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let app = try await world.addEndpoint()
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        var tasks = (0..<3).map { task(world, app, at: LedgerWorld.start + .seconds($0)) }
        tasks.append(task(world, partners, at: LedgerWorld.start + .seconds(3)))
        tasks[0].end(.done, counts: DeliveryTask.Counts(), at: LedgerWorld.start + .seconds(1))
        try await ledger.write { [tasks] in for task in tasks { try $0.insert(task) } }
        let (dealer, ids) = (world.dealer.id, tasks.map(\.id))
        try await ledger.read { reader in
            func listed(_ reach: Reach, _ filter: DeliveryTaskFilter = .init()) throws -> [DeliveryTaskID] {
                try reader.deliveryTasks(within: reach, filter: filter, page: .init()).items.map(\.id)
            }
            try expectEqual(try listed(.platform), ids.reversed())
            try expectEqual(try listed(.dealer(dealer)), ids[..<3].reversed())
            try expectEqual(try listed(.partner(world.partner.id)), [ids[3]])
            try expectEqual(try listed(.dealer(DealerID(stored: "dlr_x"))), [])
            try expectEqual(try listed(.platform, .init(endpointID: partners.id)), [ids[3]])
            try expectEqual(try listed(.platform, .init(appID: AppID(stored: "app_x"))), [])
            try expectEqual(try listed(.platform, .init(appID: world.app.id, state: .done)), [ids[0]])
            let page = try reader.deliveryTasks(within: .platform, filter: .init(), page: .init(limit: 3))
            try expectEqual(page.items.map(\.id), ids[1...].reversed())
            let rest = PageRequest(limit: 3, after: page.next)
            let last = try reader.deliveryTasks(within: .platform, filter: .init(), page: rest)
            try expectEqual(last.items.map(\.id), [ids[0]])
            try expectEqual(try reader.deliveryTask(ids[0], within: .partner(world.partner.id)), nil)
            try expectEqual(Set(try reader.runningTasks()), Set(ids[1...]))
            try expectEqual(try reader.runningTaskCount(beside: app.owner), 2)
            try expectEqual(try reader.runningTaskCount(beside: partners.owner), 1)
            try expectEqual(try reader.runningTask(of: partners.id)?.id, ids[3])
        }
    }

    /// Six events: never sent, delivered at once, delivered later, dead, retrying, withdrawn.
    private static func fates(
        _ world: LedgerWorld,
        _ endpoint: Endpoint
    ) async throws -> (events: [LoggedEvent], due: Instant) {
        let events = try await events(world, 6)
        let due = LedgerWorld.start + .seconds(600)
        try await world.ledger.record(
            DeliveryBatch(
                attempts: [attempt(events[1], to: endpoint.id), attempt(events[2], to: endpoint.id, succeeded: false)],
                exceptions: [
                    exception(events[2], to: endpoint.id, .delivered, attempts: 2),
                    exception(events[3], to: endpoint.id, .dead, attempts: 9),
                    exception(events[4], to: endpoint.id, .retrying, due: due, attempts: 3),
                    exception(events[5], to: endpoint.id, .withdrawn, attempts: 0),
                ]
            )
        )
        return (events, due)
    }

    private static func placedRows(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let (events, _) = try await fates(world, endpoint)
        let task = task(world, endpoint), now = LedgerWorld.start + .seconds(5)
        for time in 1...2 {
            let hastened = try await ledger.write { transaction in
                if time == 1 { try transaction.insert(task) }
                return try transaction.place(events, for: task, at: now + .seconds(time))
            }
            if time == 1 { try expectEqual(hastened, [events[4].position]) }
        }
        try await ledger.read { reader in
            let rows = try events.map { try reader.exceptionalDelivery(of: $0.position, to: endpoint.id) }
            try expectEqual(rows.map { $0?.state }, Array(repeating: .waiting, count: 6))
            // Placed again, nothing changed.
            try expectEqual(rows.map { $0?.nextAttemptAt }, Array(repeating: now + .seconds(1), count: 6))
            try expectEqual(rows.map { $0?.attempts }, [0, 1, 2, 9, 3, 0])
            try expectEqual(
                rows.map { $0?.task?.prior },
                [.none, .delivered, .delivered, .dead, .retrying, .withdrawn]
            )
            try expect(rows.allSatisfy { $0?.task?.id == task.id }, "a row is not marked")
            try expectEqual(try reader.counts(of: task.id), DeliveryTask.Counts([.waiting: 6]))
            try expectEqual(try reader.waitingCount(of: task.id), 6)
        }
        // What the delivery engine records leaves the mark.
        try await ledger.record(
            DeliveryBatch(exceptions: [exception(events[0], to: endpoint.id, .delivered, attempts: 1)])
        )
        try await ledger.read { reader in
            try expectEqual(try reader.counts(of: task.id), DeliveryTask.Counts([.waiting: 5, .delivered: 1]))
        }
    }

    private static func cancelledRows(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let (events, _) = try await fates(world, endpoint)
        let task = task(world, endpoint), now = LedgerWorld.start + .seconds(5)
        try await ledger.write { transaction in
            try transaction.insert(task)
            _ = try transaction.place(events, for: task, at: now)
        }
        try await ledger.record(
            DeliveryBatch(exceptions: [exception(events[2], to: endpoint.id, .delivered, attempts: 3)])
        )
        let ended = try await ledger.write { try $0.cancel(task, at: now + .seconds(1)) }
        try expectEqual(ended.state, .cancelled)
        try expectEqual(ended.counts, DeliveryTask.Counts([.delivered: 1, .withdrawn: 4, .retrying: 1]))
        try await ledger.read { reader in
            try expectEqual(try reader.deliveryTask(task.id, within: .platform), ended)
            let rows = try events.map { try reader.exceptionalDelivery(of: $0.position, to: endpoint.id) }
            try expectEqual(
                rows.map { $0?.state },
                [.withdrawn, .delivered, .delivered, .dead, .retrying, .withdrawn]
            )
            try expectEqual(try reader.dueDeliveries(of: endpoint.id, by: now, limit: 9).map(\.position.sequence), [5])
            try expectEqual(try reader.runningTask(of: endpoint.id), nil)
        }
    }

    private static func lateRows(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let events = try await events(world, 1)
        let task = task(world, endpoint), now = LedgerWorld.start
        try await ledger.write { transaction in
            try transaction.insert(task)
            _ = try transaction.place(events, for: task, at: now)
            _ = try transaction.cancel(task, at: now)
        }
        try expectEqual(try await ledger.read { try $0.cancelledTasksWithRows().map(\.id) }, [])
        try await ledger.record(
            DeliveryBatch(exceptions: [exception(events[0], to: endpoint.id, .retrying, due: now + .seconds(5))])
        )
        try expectEqual(try await ledger.read { try $0.cancelledTasksWithRows().map(\.id) }, [task.id])
        try expectEqual(try await ledger.write { try $0.giveUpRows(of: task.id, at: now) }, 1)
        try expectEqual(try await ledger.read { try $0.cancelledTasksWithRows().map(\.id) }, [])
        try expectEqual(try await ledger.read { try $0.nextDue(of: endpoint.id) }, nil)
    }

    private static func setAside(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (endpoint, other) = (try await world.addEndpoint(), try await world.addEndpoint())
        let events = try await events(world, 4)
        let due = LedgerWorld.start + .seconds(60), now = LedgerWorld.start + .seconds(1)
        try await ledger.record(
            DeliveryBatch(
                exceptions: [
                    exception(events[0], to: endpoint.id, .retrying, due: due),
                    exception(events[1], to: endpoint.id, .waiting, due: due),
                    exception(events[2], to: endpoint.id, .dead),
                    exception(events[3], to: endpoint.id, .retrying, due: due),
                    exception(events[0], to: other.id, .retrying, due: due),
                ]
            )
        )
        try await ledger.write { try $0.setAsidePending(of: endpoint.id, beyond: nil) }
        try expectEqual(try await ledger.read { try $0.nextDue(of: endpoint.id) }, nil)
        try expectEqual(try await ledger.read { try $0.nextDue(of: other.id) }, due)
        try await ledger.write { try $0.bringBackPending(of: endpoint.id, through: events[2].position, at: now) }
        func back() async throws -> [Int64] {
            try await ledger.read { try $0.dueDeliveries(of: endpoint.id, by: now, limit: 9).map(\.position.sequence) }
        }
        try expectEqual(try await back(), [1, 2])
        try await ledger.write { try $0.bringBackPending(of: endpoint.id, through: nil, at: now) }
        try expectEqual(try await back(), [1, 2, 4])
        try await ledger.write { try $0.setAsidePending(of: endpoint.id, beyond: events[0].position) }
        try expectEqual(try await back(), [1])
        try await ledger.write { try $0.bringBackPending(of: endpoint.id, through: nil, at: now) }
        let rows = try await ledger.read { try $0.dueDeliveries(of: endpoint.id, by: now, limit: 9) }
        try expectEqual(rows.map(\.state), [.retrying, .waiting, .retrying])
    }

    private static func failedRows(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let events = try await events(world, 6)
        func failed(_ index: Int, _ state: DeliveryState, _ second: Int) -> ExceptionalDelivery {
            let instant = LedgerWorld.start + .seconds(second)
            return exception(events[index], to: endpoint.id, state, due: instant + .seconds(30), at: instant)
        }
        try await ledger.record(
            DeliveryBatch(
                exceptions: [
                    failed(0, .dead, 9), failed(1, .dead, 10), failed(2, .retrying, 20), failed(3, .waiting, 20),
                    failed(4, .delivered, 20), failed(5, .dead, 31),
                ]
            )
        )
        func found(after position: Int64, limit: Int = 10) async throws -> [Int64] {
            try await ledger.read { reader in
                try reader.failedDeliveries(
                    to: endpoint.id,
                    in: DeliveryTask.Lane(dealerID: world.dealer.id, position: position, end: 6),
                    from: LedgerWorld.start + .seconds(10),
                    through: LedgerWorld.start + .seconds(30),
                    limit: limit
                ).map(\.position.sequence)
            }
        }
        try expectEqual(try await found(after: 0), [2, 3])
        try expectEqual(try await found(after: 0, limit: 1), [2])
        try expectEqual(try await found(after: 2), [3])
    }

    private static func forgottenTasks(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        var tasks = (0..<2).map { _ in task(world, endpoint) }
        tasks[0].end(.done, counts: DeliveryTask.Counts(), at: LedgerWorld.start)
        try await ledger.write { [tasks] in for task in tasks { try $0.insert(task) } }
        for (days, left) in [(29, 2), (31, 1)] {
            let now = LedgerWorld.start + .seconds(days * 86_400)
            _ = try await ledger.write { try $0.purge(now: now, limit: 100) }
            try expectEqual(try await ledger.read { try $0.counts()["delivery_task"] }, Int64(left))
        }
    }
}
