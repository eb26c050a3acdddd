import TocsinCore
import TocsinLedger

/// A ledger that stands in front of another, and passes on whatever it does not meddle with.
package protocol LedgerInFront: Ledger {
    var real: any Ledger { get }
}

extension LedgerInFront {
    package func queue(_ decisions: [Decision]) -> QueuedCommit { real.queue(decisions) }

    package func record(_ batch: DeliveryBatch) async throws(LedgerError) { try await real.record(batch) }

    package func load(_ sites: [SiteID]) async throws(LedgerError) -> [SiteID: SiteRecord] {
        try await real.load(sites)
    }

    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any LedgerTransaction) throws -> T
    ) async throws -> T {
        try await real.write(body)
    }

    package func read<T: Sendable>(_ body: @escaping @Sendable (any LedgerReader) throws -> T) async throws -> T {
        try await real.read(body)
    }

    package func checkWritable() async throws(LedgerError) { try await real.checkWritable() }
    package func backup(to path: String) async throws(LedgerError) { try await real.backup(to: path) }
    package func close() async throws(LedgerError) { try await real.close() }
}
