import Synchronization
import TocsinCore
import TocsinEngine

/// Rings once at the instant it is set to; setting it again replaces that.
final class AlarmClock: Sendable {
    private let due = Mutex<Instant?>(nil)
    private let signal = WakeSignal()

    func set(_ instant: Instant?) {
        let isChanged = due.withLock { due in
            defer { due = instant }
            return due != instant
        }
        if isChanged { signal.signal() }
    }

    /// Rings until the task is cancelled.
    func run(_ clock: any WallClock, ring: @Sendable () -> Void) async {
        while !Task.isCancelled {
            let next = due.withLock { $0 }
            await signal.wait(until: next, clock: clock)
            guard let next, clock.now >= next else { continue }
            due.withLock { if $0 == next { $0 = nil } }
            ring()
        }
    }
}
