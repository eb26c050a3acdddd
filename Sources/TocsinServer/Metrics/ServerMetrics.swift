import Metrics

/// The metrics of one operation, made once: making them per request would cost a look-up each.
final class OperationMetrics: Sendable {
    private let duration: Timer
    private let byStatusClass: [Counter]

    init(operation: String) {
        duration = Timer(label: "tocsin_http_request_duration_seconds", dimensions: [("operation", operation)])
        byStatusClass = (1...5).map { hundreds in
            Counter(
                label: "tocsin_http_requests_total",
                dimensions: [("operation", operation), ("status", "\(hundreds)xx")]
            )
        }
    }

    func record(status: Int, _ elapsed: Duration) {
        let (seconds, attoseconds) = elapsed.components
        duration.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        let index = status / 100 - 1
        if byStatusClass.indices.contains(index) { byStatusClass[index].increment() }
    }
}

/// Metrics of requests that met no operation.
struct ServerMetrics: Sendable {
    let unknown = OperationMetrics(operation: "unknown")
}
