import TocsinCore
import TocsinLedger

extension LedgerConformance {
    static let deletionCases = [
        LedgerCase("nobody sees what a dealer leaves, and it goes in steps", dealerLeaves),
        LedgerCase("a new dealer has nothing of what a deleted one left", newDealerBeside),
        LedgerCase("what endpoints, apps and partners leave goes in steps", endpointsLeave),
        LedgerCase("what was under way when a dealer was deleted is not written", underWay),
    ]

    private static let limit = 7

    private static func dealerLeaves(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        try await ledger.write { try $0.link(other.dealer.id, to: world.partner.id) }
        let gone = try await Estate.fill(world, partners, rounds: 12)
        let kept = try await Estate.fill(other, partners, rounds: 3)
        // The last of all rows are the other's.
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }

        try expect(try await ledger.read { try $0.hasRemains() }, "nothing is known to be left")
        try await gone.expectNobodySees()
        try await kept.expectAlone()
        var before = try await ledger.read { try $0.counts() }
        var steps = 0
        while steps < 100 {
            let cleared = try await ledger.write { try $0.clearRemains(limit: limit) }
            try expect(cleared <= limit, "a step of \(cleared) rows")
            let after = try await ledger.read { try $0.counts() }
            // An event's row is a decision's, which has two; a report is not counted.
            let removed = before.reduce(0) { $0 + $1.value - (after[$1.key] ?? 0) }
            try expect(removed <= 2 * limit, "a step took \(before), and left \(after)")
            before = after
            steps += 1
            try await gone.expectNobodySees()
            try await kept.expectAlone()
            if cleared < limit { break }
        }
        try expect(steps > 10, "it took \(steps) steps")
        try expect(try await !ledger.read { try $0.hasRemains() }, "something is known to be left")
        let nouns = ["event", "audit", "alarm", "alarm_entry", "exceptional_delivery", "delivery_attempt", "remains"]
        try expectEqual(nouns.map { before[$0] }, [6, 3, 3, 3, 12, 12, 0])
        try expectEqual(try await ledger.write { try $0.clearRemains(limit: limit) }, 0)
        let next = try await ledger.commit([other.decision(version: 4)]).first?.events?.map(\.sequence)
        try expectEqual(next, [7, 8])
    }

    private static func newDealerBeside(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        let gone = try await Estate.fill(world, partners, rounds: 5)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        // It comes right behind the one that is gone, as does another while half of that is removed.
        let next = try await LedgerWorld.make(in: ledger, name: "Bolt")
        _ = try await ledger.write { try $0.clearRemains(limit: limit) }
        let third = try await LedgerWorld.make(in: ledger, name: "Cole")
        for world in [next, third] {
            try expectEqual(try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 9).count }, 0)
            let audit = try await ledger.read {
                try $0.audit(within: .dealer(world.dealer.id), filter: .init(), page: .init())
            }
            try expectEqual(audit.items.count, 0)
        }
        let events = try require(try await ledger.commit([next.decision(version: 1)]).first?.events)
        _ = try await ledger.commit([third.decision(version: 1)])
        try await gone.expectNobodySees()
        try await ledger.clearRemains(limit: limit)
        try await gone.expectNobodySees()
        let found = try await ledger.read { try $0.events(of: next.dealer.id, after: 0, limit: 9) }
        try expectEqual(found, events)
        let counts = try await ledger.read { try $0.counts() }
        try expectEqual([counts["event"], counts["audit"]], [4, 2])
    }

    private static func endpointsLeave(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let kept = try await world.addEndpoint()
        let estate = try await Estate.fill(world, kept, rounds: 6)
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        try await estate.deliver(to: [partners])
        func left() async throws -> [Int64?] {
            try expectEqual(try await ledger.read { try $0.verify() }, [])
            try await ledger.clearRemains(limit: 5)
            try expectEqual(try await ledger.read { try $0.verify() }, [])
            let counts = try await ledger.read { try $0.counts() }
            return ["exceptional_delivery", "delivery_attempt", "remains"].map { counts[$0] }
        }
        let task = DeliveryTaskID(stored: "task_none")
        try await ledger.write { try $0.deleteEndpoint(estate.own.id) }
        try expectEqual(try await ledger.read { try $0.deadCount(of: estate.own.id) }, 0)
        try expectEqual(try await ledger.read { try $0.counts(of: task) }, DeliveryTask.Counts())
        try expectEqual(try await left(), [24, 24, 0])
        try await ledger.write { try $0.deletePartner(world.partner.id) }
        try expectEqual(try await left(), [12, 12, 0])
        try await ledger.write { try $0.deleteApp(world.app.id) }
        try expectEqual(try await left(), [0, 0, 0])
        // The log has nothing to do with who was sent it.
        try expectEqual(try await ledger.read { try $0.counts()["event"] }, 12)
    }

    private static func underWay(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        try await ledger.record(
            DeliveryBatch(
                attempts: [attempt(event, to: partners.id, succeeded: false)],
                exceptions: [exception(event, to: partners.id, .retrying, due: LedgerWorld.start)],
                cursors: [EndpointCursor(endpointID: partners.id, position: event.position)]
            )
        )
        try await ledger.clearRemains(limit: limit)
        let counts = try await ledger.read { try $0.counts() }
        try expectEqual([counts["exceptional_delivery"], counts["delivery_attempt"], counts["event"]], [0, 0, 0])
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }
}

/// A dealer with something of everything that a deletion leaves.
private struct Estate: Sendable {
    let world: LedgerWorld
    let own: Endpoint
    /// Of a partner, whom it outlives.
    let shared: Endpoint
    let events: [LoggedEvent]

    /// Commits so many decisions of two events each, every one of which is still to be delivered to both endpoints.
    static func fill(_ world: LedgerWorld, _ shared: Endpoint, rounds: Int64) async throws -> Estate {
        let own = try await world.addEndpoint()
        var events: [LoggedEvent] = []
        for round in 1...rounds {
            var decision = world.decision(version: round)
            decision.reportIDs = ["r-\(round)"]
            decision.alarms = [world.raised(IncidentID(round))]
            events += try require(try await world.ledger.commit([decision]).first?.events)
        }
        let estate = Estate(world: world, own: own, shared: shared, events: events)
        try await estate.deliver(to: [own, shared])
        return estate
    }

    func deliver(to endpoints: [Endpoint]) async throws {
        for endpoint in endpoints {
            try await world.ledger.record(
                DeliveryBatch(
                    attempts: events.map { LedgerConformance.attempt($0, to: endpoint.id, succeeded: false) },
                    exceptions: events.map {
                        LedgerConformance.exception($0, to: endpoint.id, .retrying, due: LedgerWorld.start)
                    }
                )
            )
        }
    }

    /// Expects that whoever asks finds nothing of the dealer.
    func expectNobodySees() async throws {
        let dealer = world.dealer.id
        try await world.ledger.read { reader in
            try expectEqual(try reader.dealer(dealer, within: .platform), nil)
            try expectEqual(try reader.site(world.site.id, within: .platform), nil)
            try expectEqual(try reader.endpoint(own.id, within: .platform), nil)
            try expectEqual(try reader.events(of: dealer, after: 0, limit: 9), [])
            try expectEqual(try reader.lastSequence(of: dealer), 0)
            for event in events {
                try expectEqual(try reader.event(event.id, within: .platform), nil)
                try expectEqual(try reader.event(at: event.position), nil)
                for endpoint in [own, shared] {
                    try expectEqual(try reader.exceptionalDelivery(of: event.position, to: endpoint.id), nil)
                    try expectEqual(try reader.attempts(of: event.position, to: endpoint.id), [])
                }
            }
            let due = try reader.dueDeliveries(of: shared.id, by: LedgerWorld.start, limit: 1_000)
            try expect(due.allSatisfy { $0.position.dealerID != dealer }, "its deliveries are due")
            let audit = try reader.audit(within: .platform, filter: .init(), page: .init(limit: 1_000)).items
            try expect(audit.allSatisfy { $0.entry.dealerID != dealer }, "its audit entries are listed")
            let alarms = try reader.alarms(within: .platform, filter: .init(), page: .init(limit: 1_000)).items
            try expect(alarms.allSatisfy { $0.dealerID != dealer }, "its alarms are listed")
            try expectEqual(try reader.alarm(AlarmNumber(1), of: dealer, within: .platform), nil)
            try expectEqual(try reader.verify(), [])
        }
    }

    /// Expects that everything is this dealer's, and all of it is there.
    func expectAlone() async throws {
        let dealer = world.dealer.id
        try await world.ledger.read { reader in
            try expectEqual(try reader.events(of: dealer, after: 0, limit: 1_000), events)
            let due = try reader.dueDeliveries(of: shared.id, by: LedgerWorld.start, limit: 1_000)
            try expectEqual(due.map(\.position.sequence), events.map(\.sequence))
            try expectEqual(try reader.nextDue(of: shared.id), LedgerWorld.start)
            for event in events {
                try expectEqual(try reader.attempts(of: event.position, to: shared.id).count, 1)
                try expectEqual(try reader.attempts(of: event.position, to: own.id).count, 1)
            }
            let deliveries = try reader.deliveries(within: .platform, filter: .init(), page: .init(limit: 1_000)).items
            try expectEqual(deliveries.count, 2 * events.count)
            let audit = try reader.audit(within: .platform, filter: .init(), page: .init(limit: 1_000)).items
            try expectEqual(audit.count, events.count / 2)
            let alarms = try reader.alarms(within: .platform, filter: .init(), page: .init(limit: 1_000)).items
            try expectEqual(alarms.count, events.count / 2)
            for alarm in alarms {
                let number = try require(alarm.number)
                try expectEqual(try reader.timeline(of: number, of: dealer, limit: 9).count, 1)
            }
            try expectEqual(try reader.cursors(of: shared.id).map(\.dealerID), [dealer])
        }
    }
}

extension Ledger {
    /// Removes all that deletions left, in steps of so many rows.
    package func clearRemains(limit: Int) async throws {
        while try await write({ try $0.clearRemains(limit: limit) }) >= limit {}
    }
}
