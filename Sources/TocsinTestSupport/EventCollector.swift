import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Keeps what was published, and lets a test wait for it.
package final class EventCollector: EventSink {
    private struct State {
        var events: [LoggedEvent] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    package init() {}

    package var events: [LoggedEvent] { state.withLock { $0.events } }

    package func published(_ events: [LoggedEvent]) {
        let ready = state.withLock { state in
            state.events += events
            let count = state.events.count
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    /// Returns when an event of the type has been published.
    package func wait(for type: EventType) async {
        while true {
            let count = state.withLock { state in
                state.events.contains { $0.type == type } ? nil : state.events.count + 1
            }
            guard let count else { return }
            await wait(for: count)
        }
    }

    /// Returns when at least so many events have been published.
    package func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.events.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
