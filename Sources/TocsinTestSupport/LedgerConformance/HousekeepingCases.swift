import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let auditCases = [
        LedgerCase("the audit log is listed newest first and filtered", auditList),
        LedgerCase("a dealer's audit entries are found among those of others", auditOfDealers),
    ]

    static let housekeepingCases = [
        LedgerCase("facts are kept and changed", facts),
        LedgerCase("an assertion is used once until it expires", assertions),
        LedgerCase("counts tell how much of each there is", counting),
        LedgerCase("verify finds a state that the log does not tell of", verifyFindsFold),
        LedgerCase("verify finds a cursor beyond the log", verifyFindsCursor),
    ]

    static let purgeCases = [
        LedgerCase("purge forgets what has outlived its time, a bounded number at once", purgeForgets),
        LedgerCase("purge takes as much as it may while there is more, whatever decisions hold", purgeTellsOfMore),
        LedgerCase("purge keeps events that an enabled endpoint has before it", purgeKeepsBeforeCursor),
        LedgerCase("purge keeps events that a delivery waits for", purgeKeepsPending),
        LedgerCase("purge keeps events that a running task has before it", purgeKeepsSearched),
        LedgerCase("purge goes past what one dealer keeps", purgeGoesPast),
    ]

    private static func auditOfDealers(_ ledger: any Ledger) async throws {
        let worlds = [try await LedgerWorld.make(in: ledger), try await LedgerWorld.make(in: ledger, name: "Bolt")]
        for round in 1...5 {
            // Of decisions that share a commit, and of requests in between.
            let decisions = worlds.map { $0.decision(version: Int64(round)) }
            try expectEqual(try await ledger.commit(decisions).count { $0.events != nil }, 2)
            try await ledger.write { transaction in
                for world in worlds { try transaction.append(world.auditEntry("site.update")) }
            }
        }
        func ids(_ dealer: DealerID, after: String? = nil, limit: Int = 100) async throws -> [Int64] {
            try await ledger.read { reader in
                let page = PageRequest(limit: limit, after: after)
                return try reader.audit(within: .dealer(dealer), filter: .init(), page: page).items.map(\.id)
            }
        }
        let all = try await ledger.read {
            try $0.audit(within: .platform, filter: .init(), page: .init(limit: 100)).items
        }
        try expectEqual(all.count, 20)
        for world in worlds {
            let own = all.filter { $0.entry.dealerID == world.dealer.id }.map(\.id)
            try expectEqual(try await ids(world.dealer.id), own)
            // From any place, be it another dealer's entry or none at all.
            for place in (all.map(\.id) + [0, 1_000]) {
                let behind = Array(own.filter { $0 < place }.prefix(3))
                try expectEqual(try await ids(world.dealer.id, after: String(place), limit: 3), behind)
            }
        }
        try await ledger.write { try $0.deleteDealer(worlds[0].dealer.id) }
        let left = try await ledger.read {
            try $0.audit(within: .platform, filter: .init(), page: .init(limit: 100)).items
        }
        try expectEqual(left.map(\.id), all.filter { $0.entry.dealerID == worlds[1].dealer.id }.map(\.id))
        try expectEqual(try await ids(worlds[0].dealer.id), [])
    }

    private static func auditList(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        try await ledger.write { transaction in
            for number in 0..<6 {
                var entry = world.auditEntry(
                    number % 2 == 0 ? "arming.report" : "site.update",
                    at: start + .seconds(number)
                )
                if number == 5 {
                    entry.siteID = nil
                    entry.dealerID = nil
                    entry.actor = .system
                    entry.details = [:]
                }
                entry.target = "t\(number)"
                entry.requestID = "req_\(number)"
                entry.traceID = "trace"
                entry.address = "192.0.2.7"
                try transaction.append(entry)
            }
        }
        func targets(_ filter: AuditFilter, _ reach: Reach = .platform, limit: Int = 2) async throws -> [String] {
            var targets: [String] = []
            var after: String?
            repeat {
                let page = try await ledger.read { [after] in
                    try $0.audit(within: reach, filter: filter, page: PageRequest(limit: limit, after: after))
                }
                targets += page.items.compactMap(\.entry.target)
                after = page.next
            } while after != nil
            return targets
        }
        try expectEqual(try await targets(.init()), ["t5", "t4", "t3", "t2", "t1", "t0"])
        try expectEqual(try await targets(.init(), .dealer(world.dealer.id)), ["t4", "t3", "t2", "t1", "t0"])
        try expectEqual(try await targets(.init(action: "site.update")), ["t5", "t3", "t1"])
        try expectEqual(try await targets(.init(siteID: world.site.id)), ["t4", "t3", "t2", "t1", "t0"])
        try expectEqual(try await targets(.init(actorID: "tocsin")), ["t5"])
        try expectEqual(try await targets(.init(since: start + .seconds(4))), ["t5", "t4"])
        try await expectRefusal(.invalid) {
            _ = try await ledger.read { try $0.audit(within: .platform, filter: .init(), page: .init(after: "x")) }
        }
        let oldest = try await ledger.read {
            try $0.audit(within: .platform, filter: .init(), page: .init()).items.last?.entry
        }
        var expected = world.auditEntry(at: start)
        expected.target = "t0"
        expected.requestID = "req_0"
        expected.traceID = "trace"
        expected.address = "192.0.2.7"
        try expectEqual(oldest, expected)
    }

    private static func facts(_ ledger: any Ledger) async throws {
        try expectEqual(try await ledger.read { try $0.fact("a") }, nil)
        for value: [UInt8] in [[1], [], [0, 255]] {
            try await ledger.write { try $0.setFact("a", to: value) }
            try expectEqual(try await ledger.read { try $0.fact("a") }, value)
        }
        try expect(try await ledger.read { try $0.schemaVersion() } > 0, "no version")
    }

    private static func assertions(_ ledger: any Ledger) async throws {
        let start = LedgerWorld.start
        func use(_ id: String, _ client: String, at now: Instant) async throws -> Bool {
            try await ledger.write { try $0.useAssertion(id, of: client, expiresAt: start + .seconds(300), now: now) }
        }
        try expectEqual(try await use("j1", "c1", at: start), true)
        try expectEqual(try await use("j1", "c1", at: start + .seconds(299)), false)
        try expectEqual(try await use("j1", "c2", at: start), true)
        try expectEqual(try await use("j2", "c1", at: start), true)
        try expectEqual(try await use("j1", "c1", at: start + .seconds(300)), true)
    }

    private static func counting(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await world.addEndpoint()
        _ = try await ledger.commit([world.decision(version: 1)])
        let counts = try await ledger.read { try $0.counts() }
        for (noun, count) in ["dealer": 1, "partner": 1, "site": 1, "partition": 1, "app": 1, "endpoint": 1]
            as [String: Int64]
        {
            try expectEqual(counts[noun], count)
        }
        try expectEqual(counts["event"], 2)
        try expectEqual(counts["audit"], 1)
    }

    private static func verifyFindsFold(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await ledger.commit([world.decision(version: 1)])
        try expectEqual(try await ledger.read { try $0.verify() }, [])
        var silent = world.decision(version: 2)
        silent.newState?.partitions[world.partition.id]?.phase = .disarmed
        silent.events = []
        _ = try await ledger.commit([silent])
        let findings = try await ledger.read { try $0.verify() }
        try expectEqual(findings.count, 1)
        try expect(findings.first?.contains(world.partition.id.text) == true, "the partition is not named: \(findings)")
    }

    private static func verifyFindsCursor(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let beyond = EventPosition(dealerID: world.dealer.id, sequence: 5)
        try await ledger.write { try $0.setCursor(EndpointCursor(endpointID: endpoint, position: beyond)) }
        let findings = try await ledger.read { try $0.verify() }
        try expectEqual(findings.count, 1)
        try expect(findings.first?.contains(endpoint.text) == true, "the endpoint is not named: \(findings)")
    }

    private static let days = 86_400

    private static func purgeForgets(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        var decision = world.decision(version: 1)
        decision.reportIDs = ["r-1", "r-2", "r-3"]
        decision.idempotency = [key(at: start)]
        let event = try require(try await ledger.commit([decision]).first?.events?.first)
        let endpoint = try await world.addEndpoint().id
        try await ledger.record(
            DeliveryBatch(
                attempts: [attempt(event, to: endpoint, succeeded: false)],
                exceptions: [exception(event, to: endpoint, .dead)]
            )
        )
        _ = try await ledger.write { try $0.useAssertion("j", of: "c", expiresAt: start + .seconds(300), now: start) }
        func purge(days: Int, limit: Int = 100) async throws -> Set<String> {
            let purged = try await ledger.write { try $0.purge(now: start + .seconds(days * Self.days), limit: limit) }
            return Set(purged.filter { $0.value > 0 }.keys)
        }

        try expectEqual(try await purge(days: 0), [])
        try expectEqual(try await purge(days: 1), ["idempotency_record", "client_assertion"])
        try expectEqual(try await purge(days: 6), [])
        try expectEqual(try await purge(days: 8, limit: 2), ["known_report"])
        try expectEqual(try await purge(days: 8, limit: 2), ["known_report"])
        try expectEqual(try await purge(days: 8, limit: 2), [])
        try expectEqual(try await purge(days: 29), [])
        try expectEqual(try await purge(days: 30), ["delivery_attempt", "exceptional_delivery"])
        try expectEqual(try await purge(days: 89), [])
        try expectEqual(try await purge(days: 90), ["event"])
        try expectEqual(try await purge(days: 364), [])
        try expectEqual(try await purge(days: 365), ["audit"])

        let counts = try await ledger.read { try $0.counts() }
        try expectEqual([counts["event"], counts["audit"], counts["delivery_attempt"]], [0, 0, 0])
        try expectEqual(try await ledger.read { try $0.lastSequence(of: world.dealer.id) }, 2)
        try expectEqual(try await ledger.read { try $0.verify() }, [])
        let next = try await ledger.commit([world.decision(version: 2)]).first?.events?.map(\.sequence)
        try expectEqual(next, [3, 4])
        let found = try await ledger.read { try $0.events(of: world.dealer.id, after: 0, filter: .init(), limit: 1) }
        try expectEqual(found.events.map(\.sequence), [3])
    }

    private static func purgeTellsOfMore(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        for version: Int64 in 1...4 { _ = try await ledger.commit([world.decision(version: version)]) }
        // Each decision has two events: with an odd limit they never add up to it.
        let late = LedgerWorld.start + .seconds(200 * days)
        let limit = 3
        var purged: [Int] = []
        while purged.last ?? limit >= limit, purged.count < 9 {
            purged.append(try await ledger.write { try $0.purge(now: late, limit: limit) }["event"] ?? 0)
        }
        try expectEqual(purged, [4, 4, 0])
    }

    private static func purgeKeepsBeforeCursor(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        for version: Int64 in 1...3 { _ = try await ledger.commit([world.decision(version: version)]) }
        func move(_ endpoint: Endpoint, to sequence: Int64) async throws {
            let position = EventPosition(dealerID: world.dealer.id, sequence: sequence)
            try await ledger.record(
                DeliveryBatch(cursors: [EndpointCursor(endpointID: endpoint.id, position: position)])
            )
        }
        func purge(limit: Int = 100) async throws -> [Int64] {
            let late = LedgerWorld.start + .seconds(200 * days)
            _ = try await ledger.write { try $0.purge(now: late, limit: limit) }
            return try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 100).map(\.sequence) }
        }
        try await move(endpoint, to: 4)
        try expectEqual(try await purge(), [1, 2, 3, 4, 5, 6])
        try await move(partners, to: 2)
        // What was committed together goes together.
        try expectEqual(try await purge(limit: 1), [3, 4, 5, 6])
        try expectEqual(try await purge(), [3, 4, 5, 6])
        var disabled = partners
        disabled.isEnabled = false
        try await ledger.write { [disabled] in try $0.update(disabled) }
        try expectEqual(try await purge(), [5, 6])
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func purgeKeepsSearched(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let idle = try await world.addEndpoint()
        for version: Int64 in 1...4 { _ = try await ledger.commit([world.decision(version: version)]) }
        let end = [endpoint, idle].map {
            EndpointCursor(endpointID: $0.id, position: EventPosition(dealerID: world.dealer.id, sequence: 8))
        }
        try await ledger.record(DeliveryBatch(cursors: end))
        var task = DeliveryTask(
            id: world.random.id(at: LedgerWorld.start),
            kind: .replay,
            endpoint: endpoint,
            since: LedgerWorld.start,
            until: LedgerWorld.start,
            requestedBy: AuditEntry.Actor(.admin, "tok_1"),
            lanes: [DeliveryTask.Lane(dealerID: world.dealer.id, position: 2, end: 6)],
            createdAt: LedgerWorld.start
        )
        try await ledger.write { [task] in try $0.insert(task) }
        let late = LedgerWorld.start + .seconds(200 * days)
        func kept() async throws -> [Int64] {
            _ = try await ledger.write { try $0.purge(now: late, limit: 100) }
            return try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 100).map(\.sequence) }
        }
        try expectEqual(try await kept(), [3, 4, 5, 6, 7, 8])
        task.lanes[0].position = 4
        try await ledger.write { [task] in try $0.update(task) }
        try expectEqual(try await kept(), [5, 6, 7, 8])
        _ = try await ledger.write { [task] in try $0.cancel(task, at: late) }
        try expectEqual(try await kept(), [])
    }

    private static func purgeGoesPast(_ ledger: any Ledger) async throws {
        let keeper = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        _ = try await keeper.addEndpoint()
        for world in [keeper, other] {
            for version: Int64 in 1...6 { _ = try await ledger.commit([world.decision(version: version)]) }
        }
        let late = LedgerWorld.start + .seconds(200 * days)
        while try await ledger.write({ try $0.purge(now: late, limit: 3) })["event"] ?? 0 >= 3 {}
        let left = try await ledger.read { reader in
            try [keeper, other].map { try reader.events(of: $0.dealer.id, after: 0, limit: 100).count }
        }
        try expectEqual(left, [12, 0])
    }

    private static func purgeKeepsPending(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let events = try require(try await ledger.commit([world.decision(version: 1)]).first?.events)
        let late = LedgerWorld.start + .seconds(200 * days)
        let end = EndpointCursor(endpointID: endpoint, position: events[1].position)
        for (state, kept) in [(DeliveryState.retrying, 2), (.waiting, 2), (.dead, 0)] as [(DeliveryState, Int)] {
            let row = exception(events[1], to: endpoint, state, due: late, at: late)
            try await ledger.record(DeliveryBatch(exceptions: [row], cursors: [end]))
            _ = try await ledger.write { try $0.purge(now: late, limit: 100) }
            try expectEqual(
                try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 9).count },
                kept
            )
        }
    }
}
