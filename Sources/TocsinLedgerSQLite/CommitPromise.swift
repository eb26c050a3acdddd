import Synchronization
import TocsinLedger

/// The outcomes of decisions that are queued, for the one who waits for them.
final class CommitPromise: Sendable {
    typealias Written = Result<[WrittenDecision], LedgerError>

    private enum State {
        case open
        case awaited(CheckedContinuation<Written, Never>)
        case kept(Written)
    }

    private let state = Mutex(State.open)
    private let listener = Mutex<(isDone: Bool, call: (@Sendable () -> Void)?)>((false, nil))

    /// Tells how it ended; only the first call counts.
    func keep(_ written: Written) {
        let waiter = state.withLock { state -> CheckedContinuation<Written, Never>? in
            switch state {
            case .open:
                state = .kept(written)
                return nil
            case .awaited(let waiter):
                state = .kept(written)
                return waiter
            case .kept: return nil
            }
        }
        waiter?.resume(returning: written)
        let call = listener.withLock { listener in
            listener.isDone = true
            defer { listener.call = nil }
            return listener.call
        }
        call?()
    }

    /// Calls `body` when it is known how it ended.
    func whenKept(_ body: @escaping @Sendable () -> Void) {
        let isDone = listener.withLock { listener in
            if !listener.isDone { listener.call = body }
            return listener.isDone
        }
        if isDone { body() }
    }

    /// Waits; what the writer left to be computed is computed here.
    func outcomes() async throws(LedgerError) -> [CommitOutcome] {
        let written: Written = await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Written? in
                if case .kept(let written) = state { return written }
                state = .awaited(continuation)
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
        return try written.get().map(\.outcome)
    }
}
