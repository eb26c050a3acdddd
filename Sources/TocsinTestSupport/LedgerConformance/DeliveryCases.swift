import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let deliveryCases = [
        LedgerCase("due deliveries come earliest first and only when due", dueDeliveries),
        LedgerCase("an exceptional delivery is replaced by its next state", replacedDeliveries),
        LedgerCase("attempts are listed in order with all that was measured", attemptsRoundTrip),
        LedgerCase("what was taken at the first attempt is known, until it is to be sent anew", deliveredAtOnce),
        LedgerCase("deliveries are listed newest first, plain and exceptional together", deliveryList),
        LedgerCase("a list goes back through quiet hours and busy seconds alike", deliveryListOverTime),
        LedgerCase("a list of deliveries is filtered, and bounded by reach", deliveryFilters),
    ]

    package static func attempt(
        _ event: LoggedEvent,
        to endpoint: EndpointID,
        number: Int = 1,
        succeeded: Bool = true,
        at instant: Instant = LedgerWorld.start
    ) -> DeliveryAttempt {
        DeliveryAttempt(
            endpointID: endpoint,
            position: event.position,
            eventID: event.id,
            number: number,
            at: instant,
            succeeded: succeeded,
            status: succeeded ? 204 : nil,
            failure: succeeded ? nil : "timeout",
            failureMessage: succeeded ? nil : "No answer within 30 s.",
            address: "192.0.2.1:443",
            dnsMicroseconds: 10,
            connectMicroseconds: succeeded ? 20 : nil,
            tlsMicroseconds: nil,
            firstByteMicroseconds: 40,
            totalMicroseconds: 100,
            requestHeaders: "webhook-id: \(event.id)",
            responseBody: succeeded ? [] : [0, 255]
        )
    }

    package static func exception(
        _ event: LoggedEvent,
        to endpoint: EndpointID,
        _ state: DeliveryState,
        due: Instant? = nil,
        attempts: Int = 1,
        at instant: Instant = LedgerWorld.start
    ) -> ExceptionalDelivery {
        ExceptionalDelivery(
            endpointID: endpoint,
            position: event.position,
            eventID: event.id,
            state: state,
            attempts: attempts,
            nextAttemptAt: due,
            eventCreatedAt: event.createdAt,
            updatedAt: instant
        )
    }

    private static func events(_ world: LedgerWorld, _ count: Int) async throws -> [LoggedEvent] {
        // One millisecond apart, so that their ids are in the order of the log.
        try await events(world, at: (0..<count).map { .milliseconds($0) })
    }

    private static func events(_ world: LedgerWorld, at times: [Duration]) async throws -> [LoggedEvent] {
        try await world.ledger.write { transaction in
            let drafts = times.map { world.arming(at: LedgerWorld.start + $0) }
            return try transaction.append(drafts, to: world.dealer.id, at: LedgerWorld.start)
        }
    }

    private static func dueDeliveries(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (first, second) = (try await world.addEndpoint().id, try await world.addEndpoint().id)
        let events = try await events(world, 5)
        let start = LedgerWorld.start
        let rows = [
            exception(events[0], to: first, .retrying, due: start + .seconds(30)),
            exception(events[1], to: first, .waiting, due: start + .seconds(10)),
            exception(events[2], to: first, .waiting),
            exception(events[3], to: first, .dead),
            exception(events[4], to: first, .retrying, due: start + .seconds(60)),
            exception(events[0], to: second, .retrying, due: start),
        ]
        try await ledger.record(DeliveryBatch(exceptions: rows))
        try await ledger.read { reader in
            let due = try reader.dueDeliveries(of: first, by: start + .seconds(30), limit: 10)
            try expectEqual(due, [rows[1], rows[0]])
            try expectEqual(try reader.dueDeliveries(of: first, by: start + .seconds(30), limit: 1), [rows[1]])
            try expectEqual(try reader.dueDeliveries(of: first, by: start + .seconds(9), limit: 10), [])
            try expectEqual(try reader.nextDue(of: first), start + .seconds(10))
            try expectEqual(try reader.nextDue(of: EndpointID(stored: "ep_none")), nil)
            try expectEqual(try reader.deadCount(of: first), 1)
            try expectEqual(try reader.deadCount(of: second), 0)
        }
    }

    private static func replacedDeliveries(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let event = try await events(world, 1)[0]
        let start = LedgerWorld.start
        let states = [
            exception(event, to: endpoint, .retrying, due: start + .seconds(5)),
            exception(event, to: endpoint, .retrying, due: start + .seconds(35), attempts: 2, at: start + .seconds(5)),
            exception(event, to: endpoint, .delivered, attempts: 3, at: start + .seconds(35)),
        ]
        for state in states {
            try await ledger.record(DeliveryBatch(exceptions: [state]))
            try expectEqual(
                try await ledger.read { try $0.exceptionalDelivery(of: event.position, to: endpoint) },
                state
            )
            try expectEqual(try await ledger.read { try $0.nextDue(of: endpoint) }, state.nextAttemptAt)
        }
        try expectEqual(try await ledger.read { try $0.counts()["exceptional_delivery"] }, 1)
    }

    private static func deliveredAtOnce(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (first, second) = (try await world.addEndpoint().id, try await world.addEndpoint().id)
        let events = try await events(world, 4)
        let attempts = [
            attempt(events[0], to: first), attempt(events[1], to: first, succeeded: false),
            attempt(events[1], to: first, number: 2), attempt(events[2], to: first), attempt(events[3], to: second),
        ]
        try await ledger.record(DeliveryBatch(attempts: attempts))
        func known(_ endpoint: EndpointID) async throws -> Set<Int64> {
            try await ledger.read { try $0.deliveredAtOnce(events, to: endpoint) }
        }
        try expectEqual(try await known(first), [1, 3])
        try await ledger.write { try $0.forgetDeliveries(of: first, after: events[0].position) }
        try expectEqual(try await known(first), [])
        try await ledger.record(DeliveryBatch(attempts: [attempt(events[2], to: first)]))
        try expectEqual(try await known(first), [3])
        try expectEqual(try await known(second), [4])
    }

    private static func attemptsRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let events = try await events(world, 2)
        let attempts = [
            attempt(events[0], to: endpoint, succeeded: false),
            attempt(events[0], to: endpoint, number: 2, succeeded: false, at: LedgerWorld.start + .seconds(5)),
            attempt(events[0], to: endpoint, number: 3, at: LedgerWorld.start + .seconds(35)),
        ]
        try await ledger.record(DeliveryBatch(attempts: attempts + [attempt(events[1], to: endpoint)]))
        try await ledger.read { reader in
            try expectEqual(try reader.attempts(of: events[0].position, to: endpoint), attempts)
            try expectEqual(try reader.attempts(of: events[1].position, to: endpoint).count, 1)
            try expectEqual(try reader.attempts(of: events[1].position, to: EndpointID(stored: "ep_x")), [])
        }
    }

    private static func deliveryList(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoints = [
            try await world.addEndpoint().id, try await world.addEndpoint().id, try await world.addEndpoint().id,
        ]
        let events = try await events(world, 7)
        var batch = DeliveryBatch()
        for (index, event) in events.enumerated() {
            for (place, endpoint) in endpoints.enumerated() {
                if (index + place) % 3 == 0 {
                    batch.attempts.append(attempt(event, to: endpoint, succeeded: false))
                    batch.exceptions.append(exception(event, to: endpoint, .retrying, due: LedgerWorld.start))
                } else {
                    batch.attempts.append(attempt(event, to: endpoint))
                }
            }
        }
        // Made twice, as after a crash; and one whose first attempt succeeded after it had waited.
        batch.attempts.append(attempt(events[1], to: endpoints[0]))
        batch.exceptions.append(exception(events[2], to: endpoints[0], .delivered))
        try await ledger.record(batch)
        let expected = events.flatMap { event in endpoints.map { DeliveryID(of: event.id, to: $0) } }.sorted(by: >)

        for limit in [1, 2, 4, 100] {
            let seen = try await all(of: world, limit: limit)
            try expectEqual(seen.map(\.id), expected)
            try expectEqual(seen.count { $0.state == .retrying }, 7)
            try expect(seen.allSatisfy { $0.eventType == .partitionArmed }, "another type")
        }
        try await expectRefusal(.invalid) {
            _ = try await ledger.read {
                try $0.deliveries(within: .platform, filter: .init(), page: PageRequest(after: "nonsense"))
            }
        }
    }

    /// A whole list, read page by page.
    private static func all(
        of world: LedgerWorld,
        _ filter: DeliveryFilter = .init(),
        limit: Int
    ) async throws -> [DeliverySummary] {
        var seen: [DeliverySummary] = []
        var after: String?
        repeat {
            let page = try await world.ledger.read { [after] in
                try $0.deliveries(
                    within: .dealer(world.dealer.id),
                    filter: filter,
                    page: PageRequest(limit: limit, after: after)
                )
            }
            seen += page.items
            after = page.next
        } while after != nil && seen.count < 1_000
        return seen
    }

    /// Endpoints are sent to seldom and often, late and at once; each list is what was recorded, in its order.
    private static func deliveryListOverTime(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var endpoints: [EndpointID] = []
        for _ in 0..<5 { endpoints.append(try await world.addEndpoint().id) }
        let busy = (0..<60).map { Duration.milliseconds($0 * 40) }
        let quiet = (1...20).map { Duration.seconds($0 * 3_600) }
        let events = try await events(world, at: busy + quiet)
        var attempts: [DeliveryAttempt] = []
        for (number, event) in events.enumerated() {
            for (place, endpoint) in endpoints.enumerated() where number % (place * place + 1) == 0 {
                attempts.append(attempt(event, to: endpoint))
            }
        }
        // A backlog is delivered after what is newer.
        let late = attempts.filter { $0.endpointID == endpoints[2] }
        for part in [attempts.filter { $0.endpointID != endpoints[2] }, late] {
            try await ledger.record(DeliveryBatch(attempts: part))
        }
        func ids(_ attempts: [DeliveryAttempt]) -> [DeliveryID] {
            attempts.map { DeliveryID(of: $0.eventID, to: $0.endpointID) }.sorted(by: >)
        }
        for limit in [1, 3, 7, 200] {
            try expectEqual(try await all(of: world, limit: limit).map(\.id), ids(attempts))
            for endpoint in endpoints {
                let found = try await all(of: world, .init(endpointID: endpoint), limit: limit)
                try expectEqual(found.map(\.id), ids(attempts.filter { $0.endpointID == endpoint }))
            }
        }
    }

    private static func deliveryFilters(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (own, partners) = (
            try await world.addEndpoint().id, try await world.addEndpoint(.partner(world.partner.id)).id
        )
        let events = try await events(world, 3)
        try await ledger.record(
            DeliveryBatch(
                attempts: [
                    attempt(events[0], to: own), attempt(events[1], to: own, succeeded: false),
                    attempt(events[0], to: partners),
                ],
                exceptions: [exception(events[1], to: own, .dead), exception(events[2], to: own, .delivered)]
            )
        )
        func listed(_ reach: Reach, _ filter: DeliveryFilter) async throws -> [DeliveryID] {
            try await ledger.read { try $0.deliveries(within: reach, filter: filter, page: .init()).items.map(\.id) }
        }
        let ids = events.map { DeliveryID(of: $0.id, to: own) }
        let partnersID = DeliveryID(of: events[0].id, to: partners)
        try expectEqual(try await listed(.platform, .init(endpointID: own)), ids.reversed())
        try expectEqual(try await listed(.platform, .init(state: .dead)), [ids[1]])
        try expectEqual(try await listed(.platform, .init(endpointID: own, state: .delivered)), [ids[2], ids[0]])
        try expectEqual(try await listed(.platform, .init(state: .retrying)), [])
        try expectEqual(try await listed(.platform, .init(eventID: events[0].id)), [ids[0], partnersID].sorted(by: >))
        try expectEqual(try await listed(.partner(world.partner.id), .init()), [partnersID])
        try expectEqual(try await listed(.dealer(world.dealer.id), .init(endpointID: partners)), [])
        try expectEqual(try await listed(.dealer(DealerID(stored: "dlr_x")), .init()), [])
    }
}
