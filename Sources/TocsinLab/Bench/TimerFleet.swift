import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

/// Platform-triggered sites of one dealer, each with a partition and a front door, in a ledger of their own.
struct TimerFleet: Sendable {
    let path: String
    let dealer: DealerID
    let sites: [SiteID]
    let partitions: [PartitionID]
    let exitSeconds: Int

    /// How many sites are made in one transaction: few enough to stay in memory, many enough to share the fsync.
    private static let sitesPerWrite = 10_000

    static func make(
        sites count: Int,
        exitSeconds: Int,
        at path: String,
        clock: some WallClock
    ) async throws -> TimerFleet {
        let ledger = try SQLiteLedger.open(.file(path))
        let randomness = SystemRandomness()
        let now = clock.now
        let dealer = Dealer(id: randomness.id(at: now), name: "Dealer", createdAt: now)
        let fleet = TimerFleet(
            path: path,
            dealer: dealer.id,
            sites: (0..<count).map { _ in randomness.id(SiteNoun.self, at: now) },
            partitions: (0..<count).map { _ in randomness.id(PartitionNoun.self, at: now) },
            exitSeconds: exitSeconds
        )
        try await ledger.write { try $0.insert(dealer) }
        for start in stride(from: 0, to: count, by: sitesPerWrite) {
            try await ledger.write { transaction in
                for index in start..<min(start + sitesPerWrite, count) {
                    try fleet.insert(index, door: randomness.id(ZoneNoun.self, at: now), at: now, transaction)
                }
            }
        }
        try await ledger.close()
        return fleet
    }

    private func insert(
        _ index: Int,
        door: ZoneID,
        at now: Instant,
        _ transaction: any LedgerTransaction
    ) throws {
        let site = Site(
            id: sites[index],
            dealerID: dealer,
            partnerID: nil,
            externalID: "shop-\(index)",
            name: "Shop \(index)",
            timezone: "America/Chicago",
            address: nil,
            testMode: false,
            armingModel: .platformTriggered,
            createdAt: now
        )
        let partition = Partition(
            id: partitions[index],
            siteID: site.id,
            number: 1,
            name: "Shop",
            exitDelaySeconds: ExitDelays(away: exitSeconds)
        )
        try transaction.insert(site, partitions: [partition])
        try transaction.insert(
            Fixture(
                id: door.text,
                siteID: site.id,
                kind: .zone,
                number: 1,
                name: "Front Door",
                settings: ["type": .string(ZoneType.exitEntry.rawValue), "kind": "contact"]
            )
        )
    }
}
