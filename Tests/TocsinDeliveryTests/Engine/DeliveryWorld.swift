import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// A dealer with an app, a partner with a site, a ledger in memory, and a delivery engine with a scripted sender.
final class DeliveryWorld: Sendable {
    let ledger: any Ledger
    let clock = ManualClock(at: LedgerWorld.start)
    let random = SeededRandomness(seed: 42)
    let vault = Vault(key: Array(repeating: 9, count: 32))
    let dealer: DealerID
    let app: AppID
    let partner: PartnerID
    let site: SiteID
    let otherSite: SiteID

    init() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        self.ledger = ledger
        let world = try await LedgerWorld.make(in: ledger)
        dealer = world.dealer.id
        app = world.app.id
        partner = world.partner.id
        site = world.site.id
        otherSite = try await world.addSite("no partner", ofPartner: false).site.id
        var record = world.app
        record.scopes = [.sitesRead, .eventsRead]
        try await ledger.write { [record] in try $0.update(record) }
    }

    /// Stores an endpoint with a secret of its own.
    func endpoint(
        _ host: String = "a",
        owner: EndpointOwner? = nil,
        events: Set<EventType> = [.partitionArmed, .endpointFailing, .endpointDisabled],
        ordering: DeliveryOrdering = .none,
        headers: [String: String] = [:]
    ) async throws -> EndpointID {
        let id = random.id(EndpointNoun.self, at: clock.now)
        var endpoint = Endpoint(
            id: id,
            owner: owner ?? .app(app, of: dealer),
            url: "https://\(host).example.com/hook",
            events: events,
            ordering: ordering,
            createdAt: clock.now
        )
        for (name, value) in headers {
            let context = WebhookSecret.vaultContext(ofHeader: name, of: id)
            endpoint.sealedHeaders[name] = try vault.seal(value.utf8, context: context)
        }
        let secret = try secret(of: id, Signatures.secrets[0])
        try await ledger.write { [endpoint] in try $0.insert(endpoint, secret: secret) }
        return id
    }

    func secret(of id: EndpointID, _ text: String, expiresAt: Instant? = nil) throws -> EndpointSecret {
        EndpointSecret(
            endpointID: id,
            sealed: try vault.seal(text.utf8, context: WebhookSecret.vaultContext(of: id)),
            createdAt: clock.now,
            expiresAt: expiresAt
        )
    }

    /// Appends events as a decision would, without telling the engine.
    func append(_ count: Int = 1, site: SiteID? = nil) async throws -> [LoggedEvent] {
        let site = site ?? self.site
        let (now, dealer) = (clock.now, dealer)
        let drafts = (0..<count).map { _ in
            EventDraft(
                id: random.id(at: now),
                siteID: site,
                partitionID: nil,
                body: .partitionArmed(
                    PartitionArmed(partitionID: PartitionID(stored: "p_1"), siteID: site, mode: "away", by: "user")
                )
            )
        }
        return try await ledger.write { try $0.append(drafts, to: dealer, at: now) }
    }

    /// Appends alarms of the one site, without telling the engine.
    func appendAlarms(_ count: Int = 1) async throws -> [LoggedEvent] {
        let (now, dealer) = (clock.now, dealer)
        let drafts = (1...count).map { number in
            EventDraft(
                id: random.id(at: now),
                siteID: site,
                partitionID: nil,
                body: .alarmAcknowledged(
                    AlarmAcknowledged(
                        alarm: .existing(AlarmNumber(Int64(number))),
                        operatorID: nil,
                        reason: nil
                    )
                )
            )
        }
        return try await ledger.write { try $0.append(drafts, to: dealer, at: now) }
    }

    func change(_ id: EndpointID, _ change: @escaping @Sendable (inout Endpoint) -> Void) async throws {
        try await ledger.write { transaction in
            guard var endpoint = try transaction.endpoint(id, within: .platform) else { return }
            change(&endpoint)
            try transaction.change(endpoint)
        }
    }

    func stored(_ id: EndpointID) async throws -> Endpoint? {
        try await ledger.read { try $0.endpoint(id, within: .platform) }
    }

    func row(_ event: LoggedEvent, _ id: EndpointID) async throws -> ExceptionalDelivery? {
        try await ledger.read { try $0.exceptionalDelivery(of: event.position, to: id) }
    }

    func attempts(_ event: LoggedEvent, _ id: EndpointID) async throws -> [DeliveryAttempt] {
        try await ledger.read { try $0.attempts(of: event.position, to: id) }
    }

    func cursor(_ id: EndpointID) async throws -> Int64? {
        try await ledger.read { try $0.cursors(of: id).first?.sequence }
    }
}

/// An engine that runs, and what one test needs of it.
final class RunningEngine: Sendable {
    let engine: DeliveryEngine
    let sender = ScriptedSender()
    let settlements = Settlements()
    private let group: ServiceGroup
    private let task: Task<Void, any Error>
    private let clock: ManualClock

    init(_ world: DeliveryWorld, ledger: (any Ledger)? = nil, sinks: [any EventSink] = []) {
        clock = world.clock
        engine = DeliveryEngine(
            ledger: ledger ?? world.ledger,
            sender: sender,
            vault: world.vault,
            policy: EgressPolicy(),
            clock: world.clock,
            randomness: world.random,
            observer: settlements,
            sinks: sinks,
            logger: Logger(label: "delivery") { _ in SwiftLogNoOpLogHandler() }
        )
        group = ServiceGroup(services: [engine], logger: Logger(label: "group") { _ in SwiftLogNoOpLogHandler() })
        task = Task { [group] in try await group.run() }
    }

    /// Returns when so many attempts were made in all, and what followed from them is recorded.
    func attempts(_ count: Int) async {
        await sender.wait(for: count)
        await settlements.wait(forAttempts: count)
        await engine.flush()
    }

    /// Moves the clock to when the row is due, once the engine sleeps until then.
    func move(to instant: Instant?) async {
        guard let instant else { return }
        await clock.waitForSleeper(until: instant)
        clock.move(to: instant)
    }

    func stop() async throws {
        await beginStop()
        try await waitForStop()
    }

    /// Asks to stop, and does not wait.
    func beginStop() async { await group.triggerGracefulShutdown() }

    func waitForStop() async throws { try await task.value }
}

/// Hears the ends of attempts and deliveries, and lets a test wait for them.
final class Settlements: DeliveryObserver {
    private struct State {
        var attempts = 0
        var settled = 0
        var waiters: [(attempts: Int, settled: Int, continuation: CheckedContinuation<Void, Never>)] = []

        func isReached(_ attempts: Int, _ settled: Int) -> Bool { self.attempts >= attempts && self.settled >= settled }
    }

    private let state = Mutex(State())

    func settled(
        _ event: LoggedEvent,
        to endpoint: EndpointID,
        as outcome: DeliveryState,
        attempts: Int,
        at instant: Instant
    ) {
        count { $0.settled += 1 }
    }

    func attempted(_ position: EventPosition, to endpoint: EndpointID, verdict: AttemptVerdict, at instant: Instant) {
        count { $0.attempts += 1 }
    }

    private func count(_ count: (inout State) -> Void) {
        let ready = state.withLock { state in
            count(&state)
            let reached = state
            state.waiters.removeAll { reached.isReached($0.attempts, $0.settled) }
            let ready = reached.waiters.filter { reached.isReached($0.attempts, $0.settled) }
            return ready.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    func wait(forAttempts attempts: Int = 0, forSettled settled: Int = 0) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.isReached(attempts, settled) { return true }
                state.waiters.append((attempts, settled, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
