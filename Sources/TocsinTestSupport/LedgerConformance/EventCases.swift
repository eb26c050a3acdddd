import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let eventCases = [
        LedgerCase("the log is read in order from any sequence", logInOrder),
        LedgerCase("a filter lets through what it names", filters),
        LedgerCase("a notice is seen by its own app and by admins alone", audiences),
        LedgerCase("a filtered reader skips nothing and comes to the end", filteredPaging),
        LedgerCase("a sparse filter is searched in bounded steps", sparseFilter),
        LedgerCase("events are found by id and by position", eventLookups),
        LedgerCase("the first sequence is that of the oldest event that is kept", firstSequences),
        LedgerCase("what is missed since an instant is told where that cannot be ruled out", missedSince),
        LedgerCase("a named consumer's place is kept for its owner", consumers),
    ]

    private static func logInOrder(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        for version: Int64 in 1...4 {
            _ = try await ledger.commit([world.decision(version: version), other.decision(version: version)])
        }
        let events = try await ledger.read { try $0.events(of: world.dealer.id, after: 3, limit: 4) }
        try expectEqual(events.map(\.sequence), [4, 5, 6, 7])
        try expect(events.allSatisfy { $0.dealerID == world.dealer.id }, "another dealer's event")
        try expectEqual(try await ledger.read { try $0.events(of: world.dealer.id, after: 8, limit: 4) }, [])
        try expectEqual(try await ledger.read { try $0.lastSequence(of: DealerID(stored: "dlr_none")) }, 0)
    }

    private static func firstSequences(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        func first(_ dealer: DealerID) async throws -> Int64 {
            try await ledger.read { try $0.firstSequence(of: dealer) }
        }
        try expectEqual(try await first(DealerID(stored: "dlr_none")), 1)
        try expectEqual(try await first(world.dealer.id), 1)
        // Beside another's, of rows that hold one event and rows that hold many.
        for count in 1...40 {
            for world in [world, other] {
                _ = try await ledger.write { transaction in
                    let drafts = (0..<count % 7 + 1).map { _ in world.arming() }
                    return try transaction.append(drafts, to: world.dealer.id, at: LedgerWorld.start)
                }
            }
        }
        try expectEqual(try await first(world.dealer.id), 1)
        let late = LedgerWorld.start + .seconds(200 * 86_400)
        var seen: Set<Int64> = []
        while let oldest = try await ledger.read({ try $0.events(of: world.dealer.id, after: 0, limit: 1).first }) {
            try expectEqual(try await first(world.dealer.id), oldest.sequence)
            try expectEqual(
                try await ledger.read { try $0.missed(of: world.dealer.id, after: 2) },
                max(0, oldest.sequence - 3)
            )
            seen.insert(oldest.sequence)
            _ = try await ledger.write { try $0.purge(now: late, limit: 9) }
        }
        try expect(seen.count > 10, "purged in one go")
        let last = try await ledger.read { try $0.lastSequence(of: world.dealer.id) }
        try expectEqual(try await first(world.dealer.id), last + 1)
        _ = try await ledger.commit([world.decision(version: 1)])
        try expectEqual(try await first(world.dealer.id), last + 1)
    }

    private static func missedSince(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        let day: Duration = .seconds(86_400)
        for number in 0..<3 {
            _ = try await ledger.write { [now = start + day * number] transaction in
                try transaction.append([world.arming(at: now), world.arming(at: now)], to: world.dealer.id, at: now)
            }
        }
        func missed(since instant: Instant, at now: Instant) async throws -> Int64 {
            try await ledger.read { try $0.missed(of: world.dealer.id, since: instant, now: now) }
        }
        let now = start + Retention.events
        try expectEqual(try await missed(since: start - day, at: now), 0)
        _ = try await ledger.write { try $0.purge(now: now, limit: 100) }
        try expectEqual(try await missed(since: start - day, at: now), 2)
        try expectEqual(try await missed(since: start, at: now), 2)
        // The retention has not come there.
        try expectEqual(try await missed(since: start + .milliseconds(1), at: now), 0)
        let later = now + day * 50
        try expectEqual(try await missed(since: start + day, at: later), 2)
        // The log has what was before.
        try expectEqual(try await missed(since: start + day + .milliseconds(1), at: later), 0)
        _ = try await ledger.write { try $0.purge(now: later, limit: 100) }
        try expectEqual(try await missed(since: start + day * 3, at: later), 6)
        try expectEqual(try await missed(since: later - day, at: later), 0)
    }

    private static func filters(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let own = try await world.addSite("Depot", ofPartner: false)
        _ = try await ledger.commit([
            world.decision(version: 1), world.decision(on: own.site, own.partition, version: 1),
        ])
        func sequences(_ filter: EventFilter) async throws -> [Int64] {
            let found = try await ledger.read {
                try $0.events(of: world.dealer.id, after: 0, filter: filter, limit: 50)
            }
            try expectEqual(found.searchedTo, 4)
            return found.events.map(\.sequence)
        }
        try expectEqual(try await sequences(EventFilter()), [1, 2, 3, 4])
        try expectEqual(try await sequences(EventFilter(types: [.partitionArmed])), [2, 4])
        try expectEqual(try await sequences(EventFilter(types: [])), [])
        try expectEqual(try await sequences(EventFilter(siteID: own.site.id)), [3, 4])
        try expectEqual(try await sequences(EventFilter(types: [.partitionArmed], siteID: world.site.id)), [2])
        try expectEqual(try await sequences(EventFilter(partnerID: world.partner.id)), [1, 2])
        try expectEqual(try await sequences(EventFilter(partnerID: PartnerID(stored: "prt_x"))), [])
        try expectEqual(try await sequences(EventFilter(appID: world.app.id)), [1, 2, 3, 4])
    }

    private static func audiences(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var second = world.app
        second.id = world.random.id(at: LedgerWorld.start)
        second.name = "second"
        let other = second
        try await ledger.write { try $0.insert(other) }
        let endpoint = try await world.addEndpoint().id
        try await ledger.write { transaction in
            let drafts = [
                world.arming(), world.notice(of: endpoint, for: .app(world.app.id, except: endpoint)),
                world.notice(of: endpoint, for: .endpoint(endpoint)),
            ]
            let logged = try transaction.append(drafts, to: world.dealer.id, at: LedgerWorld.start)
            try expectEqual(logged.map(\.sequence), [1, 2, 3])
        }
        let filters: [(EventFilter, [Int64])] = [
            (EventFilter(), [1, 2, 3]), (EventFilter(appID: world.app.id), [1, 2, 3]),
            (EventFilter(appID: other.id), [1]), (EventFilter(partnerID: world.partner.id), [1]),
        ]
        for (filter, expected) in filters {
            let found = try await ledger.read {
                try $0.events(of: world.dealer.id, after: 0, filter: filter, limit: 50)
            }
            try expectEqual(found.events.map(\.sequence), expected)
            try expectEqual(found.searchedTo, 3)
        }
    }

    private static func filteredPaging(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let rare = try await world.addSite("Depot", ofPartner: false)
        var expected: [Int64] = []
        var versions: (common: Int64, rare: Int64) = (1, 1)
        for number in 0..<60 {
            let isRare = world.random.next() % 5 == 0 || number == 59
            let decision =
                isRare
                ? world.decision(on: rare.site, rare.partition, version: versions.rare)
                : world.decision(version: versions.common)
            if isRare { versions.rare += 1 } else { versions.common += 1 }
            let events = try require(try await ledger.commit([decision]).first?.events)
            if isRare { expected += events.map(\.sequence) }
        }
        for filter in [
            EventFilter(siteID: rare.site.id), EventFilter(types: Set(EventType.allCases), siteID: rare.site.id),
        ] {
            for limit in [1, 3, 50] {
                var seen: [Int64] = []
                var after: Int64 = 0
                for _ in 0..<200 where after < 120 {
                    let found = try await ledger.read { [after] in
                        try $0.events(of: world.dealer.id, after: after, filter: filter, limit: limit)
                    }
                    try expect(found.events.count <= limit, "too many")
                    try expect(found.searchedTo > after, "the reader does not come on")
                    seen += found.events.map(\.sequence)
                    after = found.searchedTo
                }
                try expectEqual(seen, expected)
                try expectEqual(after, 120)
            }
        }
    }

    private static func sparseFilter(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        // More than any adapter's window.
        let count = 12_000
        try await ledger.write { transaction in
            let drafts = (0..<count).map { _ in world.arming() }
            _ = try transaction.append(drafts, to: world.dealer.id, at: LedgerWorld.start)
            let last = world.notice(of: EndpointID(stored: "ep_1"), for: .everyone)
            _ = try transaction.append([last], to: world.dealer.id, at: LedgerWorld.start)
        }
        var after: Int64 = 0
        var steps = 0
        var seen: [Int64] = []
        while after < Int64(count) + 1, steps < 100 {
            let found = try await ledger.read { [after] in
                try $0.events(of: world.dealer.id, after: after, filter: EventFilter(types: [.testPing]), limit: 10)
            }
            try expect(found.searchedTo > after, "the reader does not come on")
            seen += found.events.map(\.sequence)
            after = found.searchedTo
            steps += 1
        }
        try expectEqual(seen, [Int64(count) + 1])
        try expect(steps > 1, "the whole log was searched at once")
    }

    private static func eventLookups(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.last)
        try await ledger.read { reader in
            try expectEqual(try reader.event(event.id, within: .platform), event)
            try expectEqual(try reader.event(EventID(stored: "evt_x"), within: .platform), nil)
            try expectEqual(try reader.event(at: event.position), event)
            try expectEqual(try reader.event(at: EventPosition(dealerID: world.dealer.id, sequence: 3)), nil)
        }
    }

    private static func consumers(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let dealer = world.dealer.id
        try expectEqual(try await ledger.read { try $0.consumer("c", of: dealer, owner: "app:1") }, nil)
        for place: Int64 in [7, 3] {
            try await ledger.write { try $0.setConsumer("c", of: dealer, owner: "app:1", to: place) }
            try expectEqual(try await ledger.read { try $0.consumer("c", of: dealer, owner: "app:1") }, place)
        }
        try expectEqual(try await ledger.read { try $0.consumer("c", of: dealer, owner: "app:2") }, nil)
        try expectEqual(try await ledger.read { try $0.consumer("d", of: dealer, owner: "app:1") }, nil)
    }
}
