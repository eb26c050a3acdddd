import Synchronization
import TocsinCore
import TocsinLedger

/// A ledger whose next commits fail as told; everything else goes to the real one.
package final class FaultyLedger: LedgerInFront {
    package let real: any Ledger
    private let faults = Mutex<[LedgerError]>([])
    private let writeFaults = Mutex<[LedgerError]>([])

    package init(_ real: any Ledger) { self.real = real }

    /// Makes one commit more fail, behind those that were told before.
    package func failNextCommit(with error: LedgerError) { faults.withLock { $0.append(error) } }

    /// Makes one `write` more fail, behind those that were told before.
    package func failNextWrite(with error: LedgerError) { writeFaults.withLock { $0.append(error) } }

    package func queue(_ decisions: [Decision]) -> QueuedCommit {
        let fault = faults.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let fault else { return real.queue(decisions) }
        return QueuedCommit { () throws(LedgerError) in throw fault }
    }

    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any LedgerTransaction) throws -> T
    ) async throws -> T {
        let fault = writeFaults.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let fault { throw fault }
        return try await real.write(body)
    }
}
