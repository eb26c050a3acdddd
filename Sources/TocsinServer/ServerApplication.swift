import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import TocsinCore
import TocsinEngine
import TocsinLedger

/// The HTTP server: Hummingbird's shell around ``Pipeline``.
///
/// It stops as a service does: it takes no more connections, finishes the requests that are in flight, and ends.
package struct ServerApplication: Service {
    /// How long a connection may say nothing before it is closed: slow clients hold nothing up for longer.
    static let idleTimeout: TimeAmount = .seconds(60)
    /// Heads beyond this are refused by the decoder, which cannot say why: so it lies above the longest query that an
    /// operation documents (3,300 characters, of which each may take 12 bytes), with its headers.
    static let headerSizeMax = 64 * 1024
    /// A closing time opens many connections in one second.
    static let backlog = 4096

    package let services: Services
    private let settings: ServerSettings
    private let logger: Logger

    package init(
        ledger: any Ledger,
        vault: Vault,
        clock: any WallClock,
        randomness: any Randomness,
        settings: ServerSettings,
        sites: any SiteControl,
        deliveries: any DeliveryControl,
        devices: DeviceRegistry,
        fleet: (any FleetControl)? = nil,
        snapshotFiles: SnapshotFiles,
        broadcaster: EventBroadcaster = EventBroadcaster(),
        metricsPage: (@Sendable () -> String)? = nil,
        logger: Logger
    ) async throws {
        self.settings = settings
        self.logger = logger
        services = try await Services(
            ledger: ledger,
            vault: vault,
            clock: clock,
            randomness: randomness,
            settings: settings,
            sites: sites,
            deliveries: deliveries,
            devices: devices,
            fleet: fleet,
            snapshotFiles: snapshotFiles,
            broadcaster: broadcaster,
            metricsPage: metricsPage
        )
    }

    /// The application itself, for tests that talk to it without a socket.
    package func application(
        onRunning: @escaping @Sendable (any Channel) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: Self.headerSizeMax,
            maxHeaderListSize: Self.headerSizeMax,
            maxHeaderFieldCount: 100
        )
        let pipeline = Pipeline(services: services, routes: Routes(Operations.all))
        let outcomes = OutcomeBoxes()
        return Application(
            responder: pipeline,
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [
                        WireHandler.Installer(pipeline.incoming) { [services] in
                            services.newRequestID(at: services.clock.now)
                        },
                        DirectLane.Installer { [logger] eventLoop in
                            DirectLane(
                                pipeline: pipeline,
                                outcomes: outcomes.box(of: eventLoop),
                                idleTime: Self.idleTimeout,
                                logger: logger
                            )
                        },
                    ],
                    // What the lane takes nobody behind it hears of.
                    idleTimeout: nil,
                    httpDecoderConfiguration: decoder
                )
            ),
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port),
                backlog: Self.backlog
            ),
            onServerRunning: onRunning,
            logger: logger
        )
    }

    package func run() async throws { try await run { _ in } }

    /// Serves until graceful shutdown; tells `onRunning` the port once requests are taken.
    package func run(onRunning: @escaping @Sendable (Int) async -> Void) async throws {
        let application = application { channel in
            await onRunning(channel.localAddress?.port ?? 0)
        }
        // Told at once: among the application's own services the listener is shut down first, and would wait for streams
        // that nobody has told to end.
        try await withGracefulShutdownHandler {
            try await application.run()
        } onGracefulShutdown: { [services] in
            services.beginStopping()
        }
    }
}
