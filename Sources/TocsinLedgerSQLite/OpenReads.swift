import Synchronization
import TocsinLedger

/// Counts the reads under way, so that a ledger is closed behind the last one and never under one.
final class OpenReads: Sendable {
    private struct State {
        var reads = 0
        var isClosed = false
        var closer: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func begin() throws(LedgerError) {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.reads += 1 }
            return state.isClosed
        }
        if isClosed { throw LedgerError(.unavailable, "the ledger is closed") }
    }

    func end() {
        let closer: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.reads -= 1
            guard state.reads == 0 else { return nil }
            defer { state.closer = nil }
            return state.closer
        }
        closer?.resume()
    }

    /// Lets no more reads in and waits for those under way; false if somebody did so before.
    func close() async -> Bool {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return false }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.reads > 0 { state.closer = continuation }
                return state.reads == 0
            }
            if isIdle { continuation.resume() }
        }
        return true
    }
}
