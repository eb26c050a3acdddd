import Synchronization
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger

/// Everything that handlers work with; made once by ``ServerApplication``.
package final class Services: Sendable {
    package let ledger: any Ledger
    package let vault: Vault
    package let clock: any WallClock
    package let randomness: any Randomness
    package let settings: ServerSettings
    package let directory: Directory
    package let tokens: TokenIssuer
    package let sites: any SiteControl
    package let deliveries: any DeliveryControl
    /// Every device, and when it was last seen.
    package let devices: DeviceRegistry
    /// Applies and exports fleet files; none where nobody wired one.
    let fleet: (any FleetControl)?
    /// Wakes those who follow the log.
    package let broadcaster: EventBroadcaster
    /// What `GET /metrics` shows; none if the program keeps no metrics.
    let metricsPage: (@Sendable () -> String)?
    let failures: FailureLimiter
    let limiter = RateLimiter()
    let mediaLimiter = MediaLimiter()
    let snapshotFiles: SnapshotFiles
    let snapshotLinks: SnapshotLinks
    let snapshotMetrics = SnapshotMetrics()
    /// What local times stand for.
    package let timeZones = TimeZones()
    let running = IdempotencyRegistry()
    /// Shared with the sites: a caller has one measure for all refusals.
    var refusals: RefusalLimiter { sites.refusals }
    let authenticator: Authenticator
    /// Set once, when the program begins to stop: `/health/ready` says so to load balancers.
    private let stopping = Atomic(false)
    private let requestNumber: Atomic<UInt64>
    private let requestSeed: UInt16

    init(
        ledger: any Ledger,
        vault: Vault,
        clock: any WallClock,
        randomness: any Randomness,
        settings: ServerSettings,
        sites: any SiteControl,
        deliveries: any DeliveryControl,
        devices: DeviceRegistry,
        fleet: (any FleetControl)?,
        snapshotFiles: SnapshotFiles,
        broadcaster: EventBroadcaster,
        metricsPage: (@Sendable () -> String)?
    ) async throws {
        self.ledger = ledger
        self.vault = vault
        self.clock = clock
        self.randomness = randomness
        self.settings = settings
        self.sites = sites
        self.deliveries = deliveries
        self.devices = devices
        self.fleet = fleet
        self.snapshotFiles = snapshotFiles
        snapshotLinks = SnapshotLinks(publicURL: settings.publicURL, vault: vault)
        self.broadcaster = broadcaster
        self.metricsPage = metricsPage
        directory = Directory(ledger: ledger, clock: clock)
        tokens = try await TokenIssuer.load(ledger: ledger, vault: vault, publicURL: settings.publicURL)
        failures = FailureLimiter(clock: clock)
        authenticator = Authenticator(directory: directory, tokens: tokens, failures: failures, clock: clock)
        requestNumber = Atomic(randomness.next())
        requestSeed = UInt16(truncatingIfNeeded: randomness.next())
    }

    /// An id for a request: unique, ordered by time, and cheaper than asking the system for randomness each time.
    func newRequestID(at instant: Instant) -> String {
        let number = requestNumber.wrappingAdd(1, ordering: .relaxed).newValue
        return RequestID(at: instant, random: (high: requestSeed, low: number)).text
    }

    /// What was answered to an earlier request with this claim's key, if that is still in force.
    func stored(_ claim: IdempotencyClaim) async throws -> IdempotencyRecord? {
        let (ticket, now) = (claim.ticket, clock.now)
        let record = try await ledger.read { reader in
            try reader.idempotencyRecord(
                caller: ticket.caller,
                method: ticket.method,
                path: ticket.path,
                key: ticket.key
            )
        }
        return record.flatMap { now - $0.createdAt < IdempotencyRecord.lifetime ? $0 : nil }
    }

    /// Takes over at once that an app changed: its credentials, what its endpoints get, the streams that it follows.
    func appChanged(_ id: AppID) async {
        directory.forget(id)
        broadcaster.wakeAll()
        await deliveries.appChanged(id)
    }

    /// The same for a partner.
    func partnerChanged(_ id: PartnerID) async {
        directory.forget(id)
        broadcaster.wakeAll()
        await deliveries.partnerChanged(id)
    }

    package var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func beginStopping() {
        stopping.store(true, ordering: .relaxed)
        broadcaster.wakeAll()
    }
}

/// What the server needs to know from outside.
package struct ServerSettings: Sendable {
    package var host: String
    /// 0 takes any free port.
    package var port: Int
    /// Where the server is reached from outside, without a slash at the end: the issuer of tokens.
    package var publicURL: String
    /// Whose `X-Forwarded-For` is believed.
    package var trustedProxies: [AddressBlock]
    /// Where webhooks may go: what an endpoint's URL is checked against when it is set.
    package var egress: EgressPolicy

    package init(
        host: String,
        port: Int,
        publicURL: String,
        trustedProxies: [AddressBlock] = [],
        egress: EgressPolicy = EgressPolicy(allowPrivate: false)
    ) {
        self.host = host
        self.port = port
        self.publicURL = publicURL.hasSuffix("/") ? String(publicURL.dropLast()) : publicURL
        self.trustedProxies = trustedProxies
        self.egress = egress
    }
}

/// What decides everything that happens on a site.
package protocol SiteControl: Sendable {
    /// Bounds what refusals add to the audit log.
    var refusals: RefusalLimiter { get }
    /// Is told what was read for a site, before it is handled.
    var arrivals: Arrivals { get }
    func report(_ command: ReportCommand) async throws(LedgerError) -> ReportResult
    /// The same for a caller that does not wait.
    func report(_ command: ReportCommand, then answer: @escaping ReportAnswer)
    func command(_ command: PanelCommand) async throws(LedgerError) -> PanelResult
    func signals(_ batch: SignalBatch) async throws(LedgerError) -> SignalResult
    func schedule(_ command: ScheduleCommand) async throws(LedgerError) -> ScheduleResult
    /// Whatever concerns a site's alarms, devices, snapshots or relays.
    func ask<Task: SiteTask>(_ task: Task) async throws(LedgerError) -> TaskResult<Task.Answer>
    /// Some site's configuration was changed: what is due by the new one is looked at now.
    func reconfigured() async
}

extension SiteEngine: SiteControl {}

/// What management tells the delivery engine, after the commit.
package protocol DeliveryControl: Sendable {
    /// The endpoint was made, changed, enabled, disabled, or has other secrets.
    func endpointChanged(_ id: EndpointID) async
    /// The app's scopes or standing changed: what its endpoints may get is judged anew.
    func appChanged(_ id: AppID) async
    func endpointDeleted(_ id: EndpointID) async
    /// The partner was revoked or deleted, or another dealer has linked it.
    func partnerChanged(_ id: PartnerID) async
    /// How the endpoint's breaker stands: whether it answers.
    func breaker(of id: EndpointID) -> CircuitBreaker
    /// Returns when what happened before is recorded.
    func flush() async
    /// Adds a `test.ping` to the log that goes to this endpoint alone; returns it once it is durable.
    func sendTest(_ id: EndpointID) async throws -> LoggedEvent
    /// Makes one more attempt of an event, now, whatever became of it before.
    func resend(_ position: EventPosition, to id: EndpointID) async throws
    /// A task was stored, and runs from now on.
    func taskBegun(_ task: DeliveryTask) async
    /// A task was cancelled.
    func taskEnded(_ task: DeliveryTask) async
}

extension DeliveryEngine: DeliveryControl {}
