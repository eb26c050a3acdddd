import ArgumentParser
import Logging
import Metrics
import ServiceLifecycle
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinServer
import UnixSignals

/// `tocsin serve`: the server.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server.",
        discussion: """
            Prints one line on standard output when it takes requests. SIGTERM and SIGINT stop it: what was acknowledged \
            is finished, and it ends with status 0 within 10 seconds.
            """
    )

    /// Leaves the rest of the promised 10 s to the end of the process.
    static let stopWithin: Duration = .seconds(9)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var server: ServerOptions

    func run() async throws {
        let settings = try await Settings.load(global, server: server)
        let clock = SystemClock()
        LoggingSystem.bootstrap { LineLogHandler(label: $0, level: settings.logLevel, clock: clock) }
        let metrics = PrometheusRegistry()
        MetricsSystem.bootstrap(metrics)
        let logger = Logger(label: "tocsin")
        FileLimit.raise(logger)
        let store = try await Store.open(settings, role: .server)
        if settings.allowsPrivateEndpoints {
            logger.warning(
                "PRIVATE ENDPOINTS ARE ALLOWED: webhooks may go to loopback and private addresses; never do this in production"
            )
        }
        await hint(store, settings)
        let services: [any Service]
        do {
            services = try await Wiring.server(store, settings, metrics: metrics, logger: logger) { address in
                Console.print("listening on \(address)")
            }
        } catch {
            await store.close()
            throw error as? ProgramError ?? .configuration("the server cannot start: \(error)")
        }
        var configuration = ServiceGroupConfiguration(
            // A service that fails takes the others down the way that SIGTERM does: what was acknowledged is finished.
            services: services.map { .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup) },
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        configuration.maximumGracefulShutdownDuration = Self.stopWithin
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            throw error as? ProgramError ?? .failed("the server stopped: \(error)")
        }
        logger.info("stopped")
    }

    /// On a new ledger nobody could ask for anything yet.
    private func hint(_ store: Store, _ settings: Settings) async {
        let tokens = try? await store.ledger.read { try $0.adminTokens(within: .platform) }
        guard let tokens, tokens.allSatisfy(\.isRevoked) else { return }
        Console.note(
            "There is no admin token yet. Make one with:\n"
                + "  tocsin admin token create --name first --data \(settings.dataDirectory)"
        )
    }
}
