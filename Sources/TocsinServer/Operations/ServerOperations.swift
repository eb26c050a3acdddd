import HTTPTypes
import TocsinJSON
import TocsinLedger

/// What the server says of itself.
enum ServerOperations {
    static let all = [document, live, ready, metrics]

    private static let healthSchema = Schema.object([.required("status", .string(1...64))]).named("Health")

    private static let document = Operation(
        .get,
        "/openapi.json",
        id: "getDocument",
        tag: .operations,
        summary: "Get this document",
        callers: .everybody,
        replies: [.ok("OpenAPI 3.1.", .object([.required("openapi", .string(1...16))]))],
        handle: { _ in .ok(bytes: OpenAPIDocument.bytes) }
    )

    private static let live = Operation(
        .get,
        "/health/live",
        id: "getLiveness",
        tag: .operations,
        summary: "Tell whether the process runs",
        callers: .everybody,
        replies: [.ok("It runs.", healthSchema)],
        handle: { _ in .ok(["status": "live"]) }
    )

    private static let ready = Operation(
        .get,
        "/health/ready",
        id: "getReadiness",
        tag: .operations,
        summary: "Tell whether requests should be sent here",
        notes: "The ledger can be read and written, and the server is not stopping.",
        callers: .everybody,
        replies: [.ok("Ready.", healthSchema)],
        handle: { call in
            if call.services.isStopping {
                throw APIError(.serviceUnavailable, "The server is stopping.", headers: [.retryAfter: "5"])
            }
            do {
                _ = try await call.read { try $0.schemaVersion() }
                try await call.services.ledger.checkWritable()
            } catch {
                throw APIError.unavailable
            }
            return .ok(["status": "ready"])
        }
    )

    private static let metrics = Operation(
        .get,
        "/metrics",
        id: "getMetrics",
        tag: .operations,
        summary: "Get the metrics in Prometheus' text format",
        callers: .everybody,
        replies: [
            Operation.ReplyShape(
                status: .ok,
                description: "All metrics; no tenant's names or ids.",
                content: .string(0...Int(Int32.max)),
                contentType: metricsType
            )
        ],
        handle: { call in
            let page = call.services.metricsPage?() ?? ""
            return Reply(.ok, body: .bytes(Array(page.utf8), contentType: metricsType))
        }
    )

    private static let metricsType = "text/plain; version=0.0.4"
}
