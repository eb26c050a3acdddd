import TocsinCore
import TocsinJSON

/// What of a decision can be encoded before its commit.
///
/// A ledger has one writer, and everything that it does is waited for; whoever decides can encode meanwhile.
package struct EncodedDecision: Sendable {
    /// The new state's snapshot.
    package var snapshot: [UInt8]?
    /// When the site must be looked at next, by the new state.
    package var due: Instant?
    /// One for each event of the decision, in their order; none where the commit must encode it.
    package var bodies: [EncodedBody?]
    /// The details of each audit entry of the decision, in their order; none where there are none.
    package var details: [[UInt8]?]

    package init(_ decision: Decision) {
        snapshot = decision.newState?.snapshot
        due = decision.newState?.nextDeadline
        bodies = decision.events.map { EncodedBody($0.body, id: $0.id, createdAt: decision.at) }
        details = decision.audit.map(\.encodedDetails)
    }
}

extension AuditEntry {
    /// The details as the ledger keeps them.
    package var encodedDetails: [UInt8]? { details.isEmpty ? nil : JSON.object(details).bytes }
}
