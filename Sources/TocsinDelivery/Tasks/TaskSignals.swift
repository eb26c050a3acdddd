import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Tells the task service of new tasks, and wakes who works on one when its endpoint was changed, or deliveries recorded.
final class TaskSignals: Sendable {
    private let signals = Mutex<[EndpointID: [DeliveryTaskID: WakeSignal]]>([:])
    /// Tasks to be taken up.
    let begun: AsyncStream<DeliveryTaskID>
    private let beginning: AsyncStream<DeliveryTaskID>.Continuation

    init() { (begun, beginning) = AsyncStream.makeStream(of: DeliveryTaskID.self) }

    func begin(_ task: DeliveryTaskID) { beginning.yield(task) }

    /// The signal that a task's worker waits for, until ``forget(_:of:)``.
    func signal(for task: DeliveryTaskID, of endpoint: EndpointID) -> WakeSignal {
        let signal = WakeSignal()
        signals.withLock { $0[endpoint, default: [:]][task] = signal }
        return signal
    }

    func forget(_ task: DeliveryTaskID, of endpoint: EndpointID) {
        signals.withLock { signals in
            signals[endpoint]?[task] = nil
            if signals[endpoint]?.isEmpty == true { signals[endpoint] = nil }
        }
    }

    func changed(_ endpoint: EndpointID) {
        let woken = signals.withLock { $0[endpoint]?.values.map { $0 } ?? [] }
        for signal in woken { signal.signal() }
    }

    /// Most of the time there is no task, and this costs one look.
    func recorded(_ batch: DeliveryBatch) {
        let woken = signals.withLock { signals -> [WakeSignal] in
            if signals.isEmpty { return [] }
            return Set(batch.exceptions.map(\.endpointID)).flatMap { signals[$0]?.values.map { $0 } ?? [] }
        }
        for signal in woken { signal.signal() }
    }
}
