import Synchronization
import TocsinCore

/// The breakers that are not closed, for whoever asks; the loop notes what changes.
final class EndpointHealth: Sendable {
    private let breakers = Mutex<[EndpointID: CircuitBreaker]>([:])

    func breaker(of id: EndpointID) -> CircuitBreaker { breakers.withLock { $0[id] } ?? CircuitBreaker() }

    /// Takes over a breaker that has opened, closed, or begun a slow start; returns how many are open.
    func note(_ breaker: CircuitBreaker, of id: EndpointID) -> Int {
        breakers.withLock { breakers in
            breakers[id] = breaker.isClosed && !breaker.isRecovering ? nil : breaker
            return breakers.values.count { !$0.isClosed }
        }
    }

    /// The endpoint is gone, or disabled.
    func forget(_ id: EndpointID) { breakers.withLock { _ = $0.removeValue(forKey: id) } }
}
