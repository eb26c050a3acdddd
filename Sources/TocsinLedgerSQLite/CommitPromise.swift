import Synchronization
import TocsinLedger

/// The outcomes of decisions that are queued, for the one who waits for them.
final class CommitPromise: Sendable {
    typealias Written = Result<[WrittenDecision], LedgerError>

    private struct State {
        var written: Written?
        var waiter: CheckedContinuation<Written, Never>?
        var listener: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Tells how it ended; only the first call counts.
    func keep(_ written: Written) {
        let heard = state.withLock { state -> State in
            guard state.written == nil else { return State() }
            defer { state = State(written: written) }
            return state
        }
        heard.waiter?.resume(returning: written)
        heard.listener?()
    }

    /// Calls `body` when it is known how it ended.
    func whenKept(_ body: @escaping @Sendable () -> Void) {
        let isKept = state.withLock { state in
            if state.written == nil { state.listener = body }
            return state.written != nil
        }
        if isKept { body() }
    }

    /// Waits; what the writer left to be computed is computed here.
    func outcomes() async throws(LedgerError) -> [CommitOutcome] {
        let written: Written = await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Written? in
                if state.written == nil { state.waiter = continuation }
                return state.written
            }
            if let known { continuation.resume(returning: known) }
        }
        return try written.get().map(\.outcome)
    }
}
