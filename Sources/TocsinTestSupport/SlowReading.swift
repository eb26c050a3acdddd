import Synchronization
import TocsinCore
import TocsinLedger

/// A ledger whose readings are handed over late.
package final class SlowReading: LedgerInFront {
    private struct State {
        var isHolding = false
        var held: [CheckedContinuation<Void, Never>] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    package let real: any Ledger
    private let state = Mutex(State())

    package init(_ real: any Ledger) { self.real = real }

    package func hold() { state.withLock { $0.isHolding = true } }

    /// Hands over what was read: the first so many, or all and from now on without delay.
    package func letGo(_ count: Int? = nil) {
        let ready = state.withLock { state in
            let ready = state.held.prefix(count ?? state.held.count)
            state.held.removeFirst(ready.count)
            if count == nil { state.isHolding = false }
            return Array(ready)
        }
        for continuation in ready { continuation.resume() }
    }

    package func waitForHeld(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.held.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    package func read<T: Sendable>(_ body: @escaping @Sendable (any LedgerReader) throws -> T) async throws -> T {
        let answer = try await real.read(body)
        await withCheckedContinuation { continuation in
            let (passes, ready) = state.withLock { state in
                guard state.isHolding else { return (true, [CheckedContinuation<Void, Never>]()) }
                state.held.append(continuation)
                let count = state.held.count
                defer { state.waiters.removeAll { $0.count <= count } }
                return (false, state.waiters.filter { $0.count <= count }.map(\.continuation))
            }
            if passes { continuation.resume() }
            for waiter in ready { waiter.resume() }
        }
        return answer
    }
}
