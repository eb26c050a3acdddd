import Metrics
import TocsinCore

/// What the delivery engine counts; no tenant's id is in a label.
struct DeliveryMetrics: Sendable {
    private let attempts: [AttemptVerdict: Counter]
    private let settled: [DeliveryState: Counter]
    private let eventToDelivered = Timer(label: "tocsin_event_to_delivered_seconds")
    private let attemptDuration = Timer(label: "tocsin_delivery_attempt_seconds")
    private let held = Gauge(label: "tocsin_deliveries_held")
    private let inFlight = Gauge(label: "tocsin_deliveries_in_flight")
    private let openBreakers = Gauge(label: "tocsin_delivery_breakers_open")
    private let batchSize = Recorder(label: "tocsin_delivery_batch_attempts")

    init() {
        attempts = Dictionary(
            uniqueKeysWithValues: AttemptVerdict.allCases.map {
                ($0, Counter(label: "tocsin_delivery_attempts_total", dimensions: [("result", $0.rawValue)]))
            }
        )
        settled = Dictionary(
            uniqueKeysWithValues: DeliveryState.allCases.map {
                ($0, Counter(label: "tocsin_deliveries_settled_total", dimensions: [("state", $0.rawValue)]))
            }
        )
    }

    func attempt(_ verdict: AttemptVerdict, microseconds: Int) {
        attempts[verdict]?.increment()
        attemptDuration.recordMicroseconds(microseconds)
    }

    func settled(_ event: LoggedEvent, _ state: DeliveryState, at now: Instant) {
        settled[state]?.increment()
        if state == .delivered { eventToDelivered.recordMilliseconds((now - event.createdAt).milliseconds) }
    }

    func breakersOpen(_ count: Int) { openBreakers.record(count) }

    func recorded(attempts: Int, held: Int, inFlight: Int) {
        batchSize.record(attempts)
        self.held.record(held)
        self.inFlight.record(inFlight)
    }
}
