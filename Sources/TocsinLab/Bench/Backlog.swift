import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite

/// Events that wait in the logs of a fleet behind its endpoints' cursors, as the product itself keeps a backlog.
enum Backlog {
    /// How many are appended in one transaction: few enough to stay in memory, many enough to share the fsync.
    private static let eventsPerWrite = 20_000
    /// Told now and then: ten millions take minutes.
    private static let eventsPerWord = 1_000_000

    /// Appends so many events to the logs of these dealers, evenly, through the ledger's own port.
    ///
    /// Each site's states alternate and end as they are stored, so that the ledger verifies.
    static func seed(_ count: Int, _ fleet: BenchFleet, dealers: Range<Int>, _ context: BenchContext) async throws {
        context.progress("seeding \(Figures.grouped(count)) undelivered events")
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)))
        let randomness = SystemRandomness()
        let now = context.clock.now
        var seeded = 0
        // A site has two events in a row, so that it ends as it began.
        let pairs = (count + 1) / 2
        while seeded < pairs {
            let range = seeded..<min(seeded + eventsPerWrite / 2, pairs)
            try await ledger.write { transaction in
                for (place, dealer) in dealers.enumerated() {
                    let drafts = range.lazy.filter { $0 % dealers.count == place }.flatMap { pair in
                        let site = Self.site(pair / dealers.count, of: dealer, fleet)
                        return [true, false].map { draft(fleet, site, isArming: $0, at: now, randomness) }
                    }
                    _ = try transaction.append(Array(drafts), to: fleet.dealers[dealer], at: now)
                }
            }
            seeded = range.upperBound
            if seeded * 2 % eventsPerWord < eventsPerWrite, seeded * 2 >= eventsPerWord {
                context.progress("  \(Figures.grouped(seeded * 2)) events")
            }
        }
        try await ledger.close()
    }

    /// The place in the fleet of the dealer's site with that number, counted around.
    private static func site(_ number: Int, of dealer: Int, _ fleet: BenchFleet) -> Int {
        let sites = (fleet.sites.count - dealer + fleet.dealers.count - 1) / fleet.dealers.count
        return dealer + number % sites * fleet.dealers.count
    }

    private static func draft(
        _ fleet: BenchFleet,
        _ site: Int,
        isArming: Bool,
        at now: Instant,
        _ randomness: SystemRandomness
    ) -> EventDraft {
        let (armed, disarmed) = (Phase.armed(.away).wireState, Phase.disarmed.wireState)
        let change = ArmingStateChanged(
            siteID: fleet.sites[site],
            partitionID: fleet.partitions[site],
            newState: isArming ? armed : disarmed,
            previousState: isArming ? disarmed : armed,
            timestamp: now,
            triggeredBy: "user_123",
            source: .keypad
        )
        return EventDraft(
            id: randomness.id(at: now),
            siteID: fleet.sites[site],
            partitionID: fleet.partitions[site],
            body: .armingStateChanged(change)
        )
    }

    /// Has the program itself find the ledger clean; what it says if it does not.
    static func problems(of fleet: BenchFleet, _ context: BenchContext) async throws -> [String] {
        do {
            try await Program.run(
                try Program.path,
                ["admin", "verify"] + LedgerFile.arguments(data: fleet.data),
                in: context.workspace
            )
            return []
        } catch let error as LabError {
            return ["the ledger does not verify: \(error)"]
        }
    }
}
