import Synchronization

/// What was waited for did not happen in time.
struct TimedOut: Error, CustomStringConvertible {
    var what: String
    var description: String { "timed out waiting for \(what)" }
}

/// A value under a lock, together with those who wait until it satisfies them.
final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        /// Resumes its task and says so, if the value is what it waits for.
        var offer: @Sendable (Value) -> Bool
        var cancel: @Sendable () -> Void
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
    }

    private let state: Mutex<State>

    init(_ value: Value) {
        state = Mutex(State(value: value))
    }

    var current: Value { state.withLock { $0.value } }

    /// Changes the value and wakes everybody whom the change satisfies.
    @discardableResult
    func update<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
        state.withLock { state in
            let result = change(&state.value)
            for (id, waiter) in state.waiters where waiter.offer(state.value) {
                state.waiters[id] = nil
            }
            return result
        }
    }

    /// Waits until the match finds something in the value, woken by changes; throws ``TimedOut`` after the limit.
    func wait<Found: Sendable>(
        for what: String,
        within limit: Duration = .seconds(30),
        _ match: @escaping @Sendable (Value) -> Found?
    ) async throws -> Found {
        try await withThrowingTaskGroup(of: Found.self) { group in
            group.addTask { try await self.found(match) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw TimedOut(what: what)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    private func found<Found: Sendable>(_ match: @escaping @Sendable (Value) -> Found?) async throws -> Found {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Found, any Error>) in
                state.withLock { state in
                    if let found = match(state.value) { return continuation.resume(returning: found) }
                    // The handler below finds the waiter, or ran before, and then the task says so.
                    if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                    state.waiters[id] = Waiter(
                        offer: { value in
                            guard let found = match(value) else { return false }
                            continuation.resume(returning: found)
                            return true
                        },
                        cancel: { continuation.resume(throwing: CancellationError()) }
                    )
                }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.cancel()
        }
    }
}
