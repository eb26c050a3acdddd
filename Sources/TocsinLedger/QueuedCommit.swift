/// Decisions that stand in the ledger's queue: what came before them is written before them, what comes later after them.
package struct QueuedCommit: Sendable {
    private let wait: @Sendable () async throws(LedgerError) -> [CommitOutcome]
    private let tell: @Sendable (@escaping @Sendable () -> Void) -> Void

    /// Takes what waits for the outcomes.
    package init(_ wait: @escaping @Sendable () async throws(LedgerError) -> [CommitOutcome]) {
        self.init(wait) { $0() }
    }

    /// Takes what waits for the outcomes, and what calls a function once there is nothing to wait for any more.
    package init(
        _ wait: @escaping @Sendable () async throws(LedgerError) -> [CommitOutcome],
        whenDone tell: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.wait = wait
        self.tell = tell
    }

    /// One outcome per decision, in the same order, when all are durable; to be asked for once.
    ///
    /// - Throws: When nothing at all was committed.
    package func outcomes() async throws(LedgerError) -> [CommitOutcome] { try await wait() }

    /// Calls `body` once ``outcomes()`` has nothing to wait for any more, on any thread.
    ///
    /// It must return at once. To be asked for once.
    package func whenDone(_ body: @escaping @Sendable () -> Void) { tell(body) }
}

extension Ledger {
    /// Commits decisions, each whole or not at all, all of them with one durable write.
    ///
    /// - Parameter decisions: At most one per site.
    /// - Returns: One outcome per decision, in the same order.
    /// - Throws: When nothing at all was committed.
    package func commit(_ decisions: [Decision]) async throws(LedgerError) -> [CommitOutcome] {
        if decisions.isEmpty { return [] }
        return try await queue(decisions).outcomes()
    }
}
