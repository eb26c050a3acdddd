import CoreMetrics
import Synchronization

/// Keeps the program's metrics and shows them as Prometheus reads them (text format 0.0.4).
///
/// A backend of swift-metrics: `MetricsSystem.bootstrap(registry)` once, in the program's wiring. Dimensions must be of
/// bounded variety; no tenant's names or ids (decisions §1).
package final class PrometheusRegistry: MetricsFactory {
    private struct Key: Hashable {
        var label: String
        var dimensions: String
    }

    private enum Metric {
        case counter(CounterValue)
        case gauge(GaugeValue)
        case histogram(HistogramValue)

        var typeName: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private let metrics = Mutex<[Key: Metric]>([:])

    package init() {}

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let fresh = CounterValue()
        guard case .counter(let value) = metric(label, dimensions, make: .counter(fresh)) else { return fresh }
        return value
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        let fresh = GaugeValue()
        guard case .gauge(let value) = metric(label, dimensions, make: .gauge(fresh)) else { return fresh }
        return value
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else {
            let fresh = GaugeValue()
            guard case .gauge(let value) = metric(label, dimensions, make: .gauge(fresh)) else { return fresh }
            return value
        }
        return histogram(label, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions)
    }

    package func destroyCounter(_: any CounterHandler) {}
    package func destroyMeter(_: any MeterHandler) {}
    package func destroyRecorder(_: any RecorderHandler) {}
    package func destroyTimer(_: any TimerHandler) {}

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> HistogramValue {
        let bounds = label.hasSuffix("_seconds") ? HistogramValue.secondBounds : HistogramValue.countBounds
        let fresh = HistogramValue(bounds: bounds)
        guard case .histogram(let value) = metric(label, dimensions, make: .histogram(fresh)) else { return fresh }
        return value
    }

    /// The metric of that name, or the new one; one of another kind under the same name is left out of the page.
    private func metric(_ label: String, _ dimensions: [(String, String)], make fresh: Metric) -> Metric {
        let text = dimensions.map { "\(Self.name($0.0))=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        let key = Key(label: Self.name(label), dimensions: text)
        return metrics.withLock { metrics in
            if let known = metrics[key] { return known }
            metrics[key] = fresh
            return fresh
        }
    }

    // MARK: The page

    /// The page that `GET /metrics` shows.
    package func page() -> String {
        let sorted = metrics.withLock { metrics in
            metrics.sorted { ($0.key.label, $0.key.dimensions) < ($1.key.label, $1.key.dimensions) }
                .map { (label: $0.key.label, dimensions: $0.key.dimensions, metric: Box($0.value)) }
        }
        var page = ""
        var lastLabel = ""
        for (label, dimensions, box) in sorted {
            if label != lastLabel { page += "# TYPE \(label) \(box.metric.typeName)\n" }
            lastLabel = label
            switch box.metric {
            case .counter(let value): page += "\(label)\(Self.braced(dimensions)) \(value.current)\n"
            case .gauge(let value): page += "\(label)\(Self.braced(dimensions)) \(Self.number(value.current))\n"
            case .histogram(let value): page += value.lines(label: label, dimensions: dimensions)
            }
        }
        return page
    }

    /// Carries a metric, which is only references to Sendable values, out of the lock.
    private struct Box: Sendable {
        let metric: Metric
        init(_ metric: Metric) { self.metric = metric }
    }

    static func braced(_ dimensions: String) -> String { dimensions.isEmpty ? "" : "{\(dimensions)}" }

    static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    private static func name(_ text: String) -> String {
        String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "_" || $0 == ":" ? $0 : "_" })
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

/// A number that only grows.
private final class CounterValue: CounterHandler {
    private let value = Atomic<Int64>(0)

    var current: Int64 { value.load(ordering: .relaxed) }
    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { value.store(0, ordering: .relaxed) }
}

/// A number that goes up and down.
private final class GaugeValue: MeterHandler, RecorderHandler {
    private let value = Mutex(0.0)

    var current: Double { value.withLock { $0 } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
}

/// How many observations fell below each of a few fixed bounds.
private final class HistogramValue: RecorderHandler, TimerHandler {
    /// From half a millisecond to past the contract's five seconds.
    static let secondBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
    static let countBounds = [1.0, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]

    private struct State {
        var counts: [Int64]
        var total = 0.0
        var count: Int64 = 0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count)))
    }

    func record(_ value: Int64) { record(Double(value)) }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func record(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 }
        state.withLock { state in
            if let index { state.counts[index] += 1 }
            state.total += value
            state.count += 1
        }
    }

    func lines(label: String, dimensions: String) -> String {
        let state = state.withLock { $0 }
        let prefix = dimensions.isEmpty ? "" : dimensions + ","
        var lines = ""
        var sum: Int64 = 0
        for (bound, count) in zip(bounds, state.counts) {
            sum += count
            lines += "\(label)_bucket{\(prefix)le=\"\(PrometheusRegistry.number(bound))\"} \(sum)\n"
        }
        lines += "\(label)_bucket{\(prefix)le=\"+Inf\"} \(state.count)\n"
        lines += "\(label)_sum\(PrometheusRegistry.braced(dimensions)) \(state.total)\n"
        lines += "\(label)_count\(PrometheusRegistry.braced(dimensions)) \(state.count)\n"
        return lines
    }
}
