import Synchronization

/// One webhook that arrived.
package struct Arrival: Hashable, Sendable {
    package var event: EventKey
    /// Which endpoint it came to, by the number in its path.
    package var endpoint: Int32
    /// What it was answered.
    package var status: Int16
    /// Monotonic nanoseconds at which its first byte was read.
    package var at: UInt64

    package var isAccepted: Bool { (200..<300).contains(status) }
}

/// Everything that a receiver got.
package final class ArrivalLog: Sendable {
    private struct State {
        var arrivals: [Arrival] = []
        var accepted = 0
        var lastAcceptedAt: UInt64 = 0
        var requests = 0
        var checked = 0
        var problems: [String] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// How many problems are kept in words; more only repeat them.
    private static let maximumProblems = 20

    func note(_ arrival: Arrival, checked: Bool, problem: String?) {
        state.withLock { state in
            state.requests += 1
            state.arrivals.append(arrival)
            if arrival.isAccepted {
                state.accepted += 1
                state.lastAcceptedAt = arrival.at
            }
            if checked { state.checked += 1 }
            if let problem, state.problems.count < Self.maximumProblems { state.problems.append(problem) }
        }
    }

    /// A request that is no webhook: the reference measurement's.
    func noteForeign() { state.withLock { $0.requests += 1 } }

    /// Webhooks that were answered 2xx, repeated ones included.
    package var accepted: Int { state.withLock { $0.accepted } }
    /// When the last of them came, in monotonic nanoseconds.
    package var lastAcceptedAt: UInt64 { state.withLock { $0.lastAcceptedAt } }
    package var arrivals: [Arrival] { state.withLock { $0.arrivals } }
    package var checkedSignatures: Int { state.withLock { $0.checked } }
    package var problems: [String] { state.withLock { $0.problems } }

    /// Forgets what arrived so far, for the next run.
    package func reset() {
        state.withLock { state in
            state.arrivals.removeAll(keepingCapacity: true)
            state.accepted = 0
            state.lastAcceptedAt = 0
            state.requests = 0
            state.checked = 0
            state.problems = []
        }
    }
}
