import Hummingbird
import Logging

/// The reference for ingestion: Hummingbird with one route that says hello, and nothing else.
package enum HelloServer {
    package static func run(port: Int) async throws {
        let router = Router()
        router.get("hello") { _, _ in "Hello" }
        var logger = Logger(label: "hello")
        logger.logLevel = .error
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port)),
            logger: logger
        )
        try await application.runService()
    }
}
