import Synchronization
import TocsinCore
import TocsinEngine

/// A clock that a test moves; whoever sleeps until an instant is woken when it is passed.
package final class ManualClock: WallClock {
    private struct Sleeper {
        var until: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Instant
        var nextNumber = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Tests that wait for somebody to sleep until an instant or later.
        var watchers: [(until: Instant, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state: Mutex<State>

    package init(at instant: Instant) { state = Mutex(State(now: instant)) }

    package var now: Instant { state.withLock { $0.now } }

    package func advance(by duration: Duration) { move(to: now + duration) }

    package func move(to instant: Instant) {
        let woken = state.withLock { state in
            state.now = instant
            let due = state.sleepers.filter { $0.value.until <= instant }
            for number in due.keys { state.sleepers[number] = nil }
            return due.values.sorted { $0.until < $1.until }.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    package func sleep(until instant: Instant) async throws {
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isOver, watchers) = state.withLock { state -> (Bool, [CheckedContinuation<Void, Never>]) in
                    if instant <= state.now || Task.isCancelled { return (true, []) }
                    state.sleepers[number] = Sleeper(until: instant, continuation: continuation)
                    let satisfied = state.watchers.filter { $0.until == instant }
                    state.watchers.removeAll { $0.until == instant }
                    return (false, satisfied.map(\.continuation))
                }
                for watcher in watchers { watcher.resume() }
                if isOver { continuation.resume() }
            }
            try Task.checkCancellation()
        } onCancel: {
            let sleeper = state.withLock { $0.sleepers.removeValue(forKey: number) }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Returns when somebody sleeps until exactly this instant: the signal that a timer is set.
    package func waitForSleeper(until instant: Instant) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.sleepers.values.contains(where: { $0.until == instant }) { return true }
                state.watchers.append((instant, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
