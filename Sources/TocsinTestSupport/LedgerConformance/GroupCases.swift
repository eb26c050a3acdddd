import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let groupCases = [
        LedgerCase("a thousand concurrent commits get one gapless log", concurrentCommits),
        LedgerCase("concurrent commits on one site: one wins for each version", concurrentOnOneSite),
        LedgerCase("a closure that throws loses its own writes alone", throwingClosure),
        LedgerCase("a closure sees its own writes and those before it", closureSeesWrites),
        LedgerCase("a commit and a closure of the same group share the counter", closureAndCommitShareCounter),
        LedgerCase("nothing is taken after close", closedRefuses),
        LedgerCase("a backup is a sound ledger's file and overwrites nothing", backupOverwritesNothing),
    ]

    private struct Refused: Error {}

    private static func concurrentCommits(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let sitesPerWorld = 50
        let commitsPerSite: Int64 = 10
        var sites: [(LedgerWorld, Site, Partition)] = []
        for number in 0..<sitesPerWorld {
            for world in [world, other] {
                let made = try await world.addSite("Side Street \(number)")
                sites.append((world, made.site, made.partition))
            }
        }

        let sequences = try await withThrowingTaskGroup(of: [EventPosition].self) { group in
            for (world, site, partition) in sites {
                group.addTask {
                    var positions: [EventPosition] = []
                    for version in 1...commitsPerSite {
                        let outcome = try await ledger.commit([world.decision(on: site, partition, version: version)])
                        positions += try require(outcome.first?.events, "a conflict").map(\.position)
                    }
                    return positions
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }

        let eventsPerDealer = Int64(sitesPerWorld) * commitsPerSite * 2
        for dealer in [world.dealer.id, other.dealer.id] {
            let own = sequences.filter { $0.dealerID == dealer }.map(\.sequence).sorted()
            try expectEqual(own, Array(1...eventsPerDealer))
        }
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func concurrentOnOneSite(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let wins = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await ledger.commit([world.decision(version: 1)]).first?.isConflict == false ? 1 : 0
                }
            }
            return try await group.reduce(0, +)
        }
        try expectEqual(wins, 1)
        try expectEqual(try await ledger.read { try $0.lastSequence(of: world.dealer.id) }, 2)
    }

    private static func throwingClosure(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let outcomes = await withTaskGroup(of: (Int, Bool).self) { group in
            for number in 0..<40 {
                group.addTask {
                    do {
                        try await ledger.write { transaction in
                            var dealer = world.dealer
                            dealer.id = DealerID(stored: "dlr_\(number)")
                            dealer.name = "Dealer \(number)"
                            try transaction.insert(dealer)
                            // Every third has written already when it gives up, by itself or by a name that is taken.
                            if number % 3 == 0 { throw Refused() }
                            if number % 3 == 1 { try transaction.insert(world.dealer) }
                        }
                        return (number, true)
                    } catch {
                        return (number, false)
                    }
                }
            }
            return await group.reduce(into: [Int: Bool]()) { $0[$1.0] = $1.1 }
        }

        for number in 0..<40 {
            try expectEqual(outcomes[number], number % 3 == 2)
            let stored = try await ledger.read { try $0.dealer(DealerID(stored: "dlr_\(number)"), within: .platform) }
            try expectEqual(stored != nil, number % 3 == 2)
        }
        do {
            try await ledger.write { _ in throw Refused() }
            throw ConformanceFailure(description: "the closure's own error was lost")
        } catch is Refused {}
    }

    private static func closureSeesWrites(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (before, after) = try await ledger.write { transaction in
            let before = try transaction.lastSequence(of: world.dealer.id)
            _ = try transaction.append([world.arming()], to: world.dealer.id, at: LedgerWorld.start)
            return (before, try transaction.lastSequence(of: world.dealer.id))
        }
        try expectEqual([before, after], [0, 1])
        let stored = try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 5) }
        try expectEqual(stored.map(\.partnerID), [world.partner.id])
    }

    private static func closureAndCommitShareCounter(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<30 {
                let made = try await world.addSite("Side Street \(number)")
                group.addTask {
                    _ = try await ledger.commit([world.decision(on: made.site, made.partition, version: 1)])
                }
                group.addTask {
                    try await ledger.write { transaction in
                        let logged = try transaction.append(
                            [world.arming()],
                            to: world.dealer.id,
                            at: LedgerWorld.start
                        )
                        try expectEqual(logged.first?.sequence, try transaction.lastSequence(of: world.dealer.id))
                        if number % 5 == 0 { throw Refused() }
                    }
                }
            }
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is Refused) { throw error }
            }
        }
        let events = try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 1000) }
        try expectEqual(events.map(\.sequence), Array(1...(30 * 2 + 24)))
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func closedRefuses(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await ledger.close()
        try await expectRefusal(.unavailable) { _ = try await ledger.commit([world.decision(version: 1)]) }
        try await expectRefusal(.unavailable) { try await ledger.write { _ in } }
        try await expectRefusal(.unavailable) { _ = try await ledger.load([world.site.id]) }
        try await ledger.close()
    }

    private static func backupOverwritesNothing(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await ledger.commit([world.decision(version: 1)])
        let path = temporaryPath(world.random.next())
        try await ledger.backup(to: path)
        defer { removeFile(path) }
        try await expectRefusal(.invalid) { try await ledger.backup(to: path) }
        try expect(
            try await ledger.commit([world.decision(version: 2)]).first?.events != nil,
            "no commit after a backup"
        )
    }
}
