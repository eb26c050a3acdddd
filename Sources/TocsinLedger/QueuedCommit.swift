/// Decisions that stand in the ledger's queue: what came before them is written before them, what comes later after them.
package struct QueuedCommit: Sendable {
    private let wait: @Sendable () async throws(LedgerError) -> [CommitOutcome]

    /// Takes what waits for the outcomes.
    package init(_ wait: @escaping @Sendable () async throws(LedgerError) -> [CommitOutcome]) { self.wait = wait }

    /// One outcome per decision, in the same order, when all are durable; to be asked for once.
    ///
    /// - Throws: When nothing at all was committed.
    package func outcomes() async throws(LedgerError) -> [CommitOutcome] { try await wait() }
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
