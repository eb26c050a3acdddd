import Synchronization

/// Errands on their way to their event loop, urgent ones ahead.
///
/// What is handed to an event loop as a task runs to its end: an alarm would stand behind every attempt that was handed over
/// before, signed and written one after the other. Here the event loop takes what is urgent between any two of them.
final class ErrandQueue: Sendable {
    private struct State {
        var urgent: [Errand] = []
        var others: [Errand] = []
        /// Somebody will come and take them.
        var isAwaited = false
    }

    private let state = Mutex(State())
    /// Whether there are urgent ones, for whoever looks often.
    private let urgent = Atomic(false)

    /// Adds errands; true if somebody has to be sent for them.
    func put(_ errands: [Errand]) -> Bool {
        state.withLock { state in
            for errand in errands {
                if errand.isUrgent { state.urgent.append(errand) } else { state.others.append(errand) }
            }
            if !state.urgent.isEmpty { urgent.store(true, ordering: .releasing) }
            defer { state.isAwaited = true }
            return !state.isAwaited
        }
    }

    /// All that wait, urgent ones first; whoever puts more sends for them again.
    func take() -> [Errand] {
        state.withLock { state in
            state.isAwaited = false
            urgent.store(false, ordering: .releasing)
            defer { (state.urgent, state.others) = ([], []) }
            return state.urgent + state.others
        }
    }

    /// What is urgent and has come since all were taken.
    func takeUrgent() -> [Errand] {
        guard urgent.load(ordering: .acquiring) else { return [] }
        return state.withLock { state in
            urgent.store(false, ordering: .releasing)
            defer { state.urgent = [] }
            return state.urgent
        }
    }
}
