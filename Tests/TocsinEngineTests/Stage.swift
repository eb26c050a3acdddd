import Logging
import ServiceLifecycle
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// An engine that runs, with the means to look at what it did.
struct Stage: Sendable {
    let ledger: any Ledger
    let faults: FaultyLedger
    let world: LedgerWorld
    let engine: SiteEngine
    let devices: DeviceRegistry
    let clock: ManualClock
    let collector: EventCollector
    let vault: Vault
    let start: Instant

    func report(
        _ state: ReportedState,
        site: SiteID? = nil,
        target: PartitionTarget = .all,
        timestamp: Instant? = nil,
        receivedAt: Instant? = nil,
        delaySeconds: Int? = nil,
        reportID: String? = nil,
        partner: PartnerID? = nil,
        idempotency: IdempotencyTicket? = nil
    ) async throws -> ReportResult {
        let report = ArmingReport(
            state: state,
            target: target,
            timestamp: timestamp ?? start,
            userID: "Ann",
            source: .keypad,
            delaySeconds: delaySeconds,
            reportID: reportID
        )
        return try await engine.report(
            ReportCommand(
                siteID: site ?? world.site.id,
                partnerID: partner ?? world.partner.id,
                report: report,
                receivedAt: receivedAt ?? clock.now,
                requestID: "req_test",
                idempotency: idempotency
            )
        )
    }

    func storedState() async throws -> PartitionState {
        let (site, partition) = (world.site.id, world.partition.id)
        let record = try await ledger.load([site])[site]
        guard let state = record?.state.partitions[partition] else { throw Missing(what: "the partition's state") }
        return state
    }

    func log() async throws -> [LoggedEvent] {
        try await ledger.read { [dealer = world.dealer.id] in try $0.events(of: dealer, after: 0, limit: 10_000) }
    }

    func audit() async throws -> [AuditEntry] {
        try await ledger.read { [dealer = world.dealer.id] reader in
            try reader.audit(within: .dealer(dealer), filter: AuditFilter(), page: PageRequest(limit: 200)).items
                .map(\.entry)
        }
    }

    /// Adds so many sites of the partner's with one partition each.
    func addSites(_ count: Int) async throws -> [SiteID] {
        let sites = (0..<count).map { _ in world.random.id(SiteNoun.self, at: start) }
        try await ledger.write { [model = world.site] transaction in
            for (index, id) in sites.enumerated() {
                var site = model
                (site.id, site.name, site.externalID) = (id, "Shop \(index)", "shop-\(index)")
                let partition = PartitionID(stored: "p_\(index)")
                try transaction.insert(
                    site,
                    partitions: [Partition(id: partition, siteID: id, number: 1, name: "Shop")]
                )
            }
        }
        return sites
    }

    struct Missing: Error {
        var what: String
    }
}

/// Runs an engine and its deadlines around `body`, then stops them as the program would.
func withStage(
    ledger given: (any Ledger)? = nil,
    world givenWorld: LedgerWorld? = nil,
    startingAfter delay: Duration = .zero,
    partners: (any PartnerCommander)? = nil,
    watchesDevices: Bool = false,
    _ body: @escaping @Sendable (Stage) async throws -> Void
) async throws {
    let ledger = try given ?? SQLiteLedger.open(.memory)
    let world = if let givenWorld { givenWorld } else { try await LedgerWorld.make(in: ledger) }
    let faults = FaultyLedger(ledger)
    let clock = ManualClock(at: LedgerWorld.start + delay)
    let collector = EventCollector()
    let vault = Vault(key: Array(repeating: 7, count: Vault.keyLength))
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let devices = DeviceRegistry(ledger: faults, clock: clock, logger: logger)
    let engine = SiteEngine(
        ledger: faults,
        clock: clock,
        randomness: SeededRandomness(seed: 42),
        vault: vault,
        partners: partners,
        devices: devices,
        sinks: [collector],
        logger: logger
    )
    let services: [any Service] =
        watchesDevices
        ? [
            engine, engine.deadlines, SightingKeeper(registry: devices, ledger: faults, clock: clock, logger: logger),
            DeviceWatch(registry: devices, engine: engine, clock: clock, logger: logger),
        ] : [engine, engine.deadlines]
    let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(services: services, logger: logger)
    )
    let stage = Stage(
        ledger: ledger,
        faults: faults,
        world: world,
        engine: engine,
        devices: devices,
        clock: clock,
        collector: collector,
        vault: vault,
        start: LedgerWorld.start
    )
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        do {
            try await body(stage)
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}
