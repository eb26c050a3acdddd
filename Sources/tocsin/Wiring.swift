import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinFleet
import TocsinLedger
import TocsinServer

/// The place that names concrete types and puts them together; which ledger it is, `Store` knows.
enum Wiring {
    /// What applies and exports fleet files.
    static func fleet(_ store: Store, policy: EgressPolicy) -> FleetService {
        return FleetService(
            ledger: store.ledger,
            vault: store.vault,
            clock: SystemClock(),
            randomness: SystemRandomness(),
            checkURL: { text in
                do throws(EndpointURLError) {
                    _ = try EndpointURL(text, policy: policy)
                    return nil
                } catch {
                    return "\(error.sentence) \(error.remedy)"
                }
            }
        )
    }

    /// The services of a server, in the order in which they start; they stop in the reverse one.
    ///
    /// - Parameters:
    ///   - store: The open ledger; the last service to stop closes it.
    ///   - settings: What is in force.
    ///   - metrics: Where the parts' figures are gathered.
    ///   - logger: Gets what operators must know.
    ///   - onListening: Called with the address once requests are taken.
    /// - Returns: All services.
    /// - Throws: When the address or the ledger cannot be used.
    static func server(
        _ store: Store,
        _ settings: Settings,
        metrics: PrometheusRegistry,
        logger: Logger,
        onListening: @escaping @Sendable (String) -> Void
    ) async throws -> [any Service] {
        let (clock, randomness) = (SystemClock(), SystemRandomness())
        let port = settings.port == 0 ? try await freePort(on: settings.host) : settings.port
        let address = "http://\(settings.host.contains(":") ? "[\(settings.host)]" : settings.host):\(port)"
        let policy = policy(settings, port: port)
        let resolver = try resolver(settings)
        let broadcaster = EventBroadcaster()
        let commands = try commander(store, settings, policy: policy, resolver: resolver, logger: logger)
        let delivery = DeliveryEngine(
            ledger: store.ledger,
            sender: try sender(settings, policy: policy, resolver: resolver, logger: logger),
            vault: store.vault,
            policy: policy,
            clock: clock,
            randomness: randomness,
            commands: commands,
            sinks: [broadcaster],
            logger: logger
        )
        let notices = try notices(store, settings, logger: logger)
        let devices = DeviceRegistry(ledger: store.ledger, clock: clock, logger: logger)
        let relays = try relays(store, settings, policy: policy, resolver: resolver, logger: logger)
        let engine = SiteEngine(
            ledger: store.ledger,
            clock: clock,
            randomness: randomness,
            vault: store.vault,
            partners: commands,
            devices: devices,
            relays: relays,
            sinks: [delivery, broadcaster, notices],
            logger: logger
        )
        let files = SnapshotFiles(root: SnapshotFiles.root(in: settings.dataDirectory), clock: clock)
        let application = try await ServerApplication(
            ledger: store.ledger,
            vault: store.vault,
            clock: clock,
            randomness: randomness,
            settings: try serverSettings(settings, port: port, address: address, policy: policy),
            sites: engine,
            deliveries: delivery,
            devices: devices,
            fleet: RemoteFleet(service: fleet(store, policy: policy)),
            snapshotFiles: files,
            broadcaster: broadcaster,
            metricsPage: { metrics.page() },
            logger: logger
        )
        return [
            GroundService(ledger: store.ledger, resolver: resolver),
            housekeeper(store, settings, files: files, logger: logger),
            delivery,
            DeliveryTaskService(ledger: store.ledger, deliveries: delivery, clock: clock, logger: logger),
            notices,
            relays,
            engine,
            engine.deadlines,
            SightingKeeper(registry: devices, ledger: store.ledger, clock: clock, logger: logger),
            DeviceWatch(registry: devices, engine: engine, clock: clock, logger: logger),
            ServerService(application: application, address: address) { onListening(address) },
        ]
    }

    /// What forgets, of the ledger and of the files; first, what a crash broke off before anything new comes in.
    private static func housekeeper(
        _ store: Store,
        _ settings: Settings,
        files: SnapshotFiles,
        logger: Logger
    ) -> Housekeeper {
        files.removeBrokenOff()
        let clock = SystemClock()
        let keeper = SnapshotKeeper(
            ledger: store.ledger,
            files: files,
            clock: clock,
            retentionDays: settings.snapshotRetentionDays,
            logger: logger
        )
        return Housekeeper(ledger: store.ledger, snapshots: keeper, clock: clock, logger: logger)
    }

    /// Endpoints' hosts are resolved as the system does it, unless a server is named.
    private static func resolver(_ settings: Settings) throws -> SystemResolver {
        guard let server = settings.egressDNS else { return SystemResolver() }
        let dns = try DNSLookup(server: server.address, port: server.port, randomness: SystemRandomness())
        return SystemResolver(lookup: { dns.lookup($0) })
    }

    private static func serverSettings(
        _ settings: Settings,
        port: Int,
        address: String,
        policy: EgressPolicy
    ) throws -> ServerSettings {
        ServerSettings(
            host: settings.host,
            port: port,
            publicURL: settings.publicURL ?? address,
            trustedProxies: try proxies(settings),
            egress: policy
        )
    }

    private static func commander(
        _ store: Store,
        _ settings: Settings,
        policy: EgressPolicy,
        resolver: SystemResolver,
        logger: Logger
    ) throws -> PartnerCommandSender {
        PartnerCommandSender(
            ledger: store.ledger,
            sender: try sender(
                settings,
                policy: policy,
                resolver: resolver,
                patience: PendingCommand.patience,
                logger: logger
            ),
            vault: store.vault,
            policy: policy,
            clock: SystemClock(),
            logger: logger
        )
    }

    private static func relays(
        _ store: Store,
        _ settings: Settings,
        policy: EgressPolicy,
        resolver: SystemResolver,
        logger: Logger
    ) throws -> RelayCommandService {
        let clock = SystemClock()
        return RelayCommandService(
            ledger: store.ledger,
            log: LogRelayActuator(logger: logger),
            webhook: RelayCommandSender(
                sender: try sender(
                    settings,
                    policy: policy,
                    resolver: resolver,
                    patience: RelayCommandSender.patience,
                    logger: logger
                ),
                vault: store.vault,
                policy: policy,
                clock: clock
            ),
            clock: clock,
            logger: logger
        )
    }

    private static func notices(_ store: Store, _ settings: Settings, logger: Logger) throws -> NoticeService {
        NoticeService(
            ledger: store.ledger,
            notifier: try notifier(settings, logger: logger),
            clock: SystemClock(),
            logger: logger
        )
    }

    private static func notifier(_ settings: Settings, logger: Logger) throws -> any Notifier {
        guard let mail = settings.mail else { return LogNotifier(logger: logger) }
        do {
            return try SMTPNotifier(
                server: mail.server,
                sender: mail.sender,
                group: MultiThreadedEventLoopGroup.singleton,
                extraCAFile: settings.caFile
            )
        } catch {
            throw caFileError(settings, error)
        }
    }

    private static func caFileError(_ settings: Settings, _ error: any Error) -> ProgramError {
        ProgramError.configuration(
            "ca_file: the trusted authorities cannot be read (\(settings.caFile ?? "the system's")): \(error)"
        )
    }

    private static func sender(
        _ settings: Settings,
        policy: EgressPolicy,
        resolver: SystemResolver,
        patience: Duration? = nil,
        logger: Logger
    ) throws -> WebhookSender {
        var limits = WebhookSender.Limits()
        // What is not answered in time is over: a connection must not wait for longer.
        if let patience { limits.total = patience }
        do {
            return try WebhookSender(
                group: MultiThreadedEventLoopGroup.singleton,
                policy: policy,
                resolver: resolver,
                extraCAFile: settings.caFile,
                limits: limits,
                logger: logger
            )
        } catch {
            throw caFileError(settings, error)
        }
    }

    private static func policy(_ settings: Settings, port: Int) -> EgressPolicy {
        EgressPolicy(
            allowPrivate: settings.allowsPrivateEndpoints,
            ownListeners: listeners(on: settings.host, port: port),
            localAddresses: EgressPolicy.interfaceAddresses()
        )
    }

    /// Where webhooks may never go: back to this server.
    private static func listeners(on host: String, port: Int) -> [EgressPolicy.Listener] {
        // A name may stand for any of this machine's addresses.
        let addresses = IPAddress(host).map { [$0] } ?? [IPAddress(v4: 0), IPAddress(v6: 0)]
        return addresses.map { EgressPolicy.Listener(address: $0, port: port) }
    }

    private static func proxies(_ settings: Settings) throws -> [AddressBlock] {
        try settings.trustedProxies.map { text in
            guard let block = AddressBlock(text) else {
                throw ProgramError.configuration("trusted_proxies: “\(text)” is not an address or a CIDR block")
            }
            return block
        }
    }

    /// A port that nobody listens on: the server's own URL must be known before it listens, because tokens name it.
    private static func freePort(on host: String) async throws -> Int {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: host, port: 0).get()
            let port = channel.localAddress?.port
            try await channel.close()
            if let port { return port }
        } catch {
            throw ProgramError.configuration("listen: \(host) cannot be listened on: \(error)")
        }
        throw ProgramError.configuration("listen: \(host) has no free port")
    }
}

/// Releases what all others stand on, after they have stopped.
private struct GroundService: Service {
    let ledger: any Ledger
    let resolver: SystemResolver

    func run() async throws {
        try? await gracefulShutdown()
        await resolver.shutdown()
        try await ledger.close()
    }
}

/// Runs the server and tells when requests are taken.
private struct ServerService: Service {
    let application: ServerApplication
    let address: String
    let onListening: @Sendable () -> Void

    func run() async throws {
        do {
            try await application.run { [onListening] _ in onListening() }
        } catch let error as IOError {
            throw ProgramError.configuration(
                "listen: \(address) cannot be listened on (\(error)); stop what listens there, or choose another address"
            )
        }
    }
}
