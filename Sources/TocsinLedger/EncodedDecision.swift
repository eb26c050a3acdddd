import TocsinCore
import TocsinJSON

/// What of a decision can be encoded before its commit.
///
/// A ledger has one writer, and everything that it does is waited for; whoever decides can encode meanwhile.
package final class EncodedDecision: Sendable {
    /// The new state's snapshot.
    package let snapshot: [UInt8]?
    /// When the site must be looked at next, by the new state.
    package let due: Instant?
    /// One for each event of the decision, in their order.
    package let events: [Event]
    /// The details of each audit entry of the decision, in their order; none where there are none.
    package let details: [[UInt8]?]
    /// The last of the audit entries that change the site's state, if one does.
    package let lastChange: Int?

    /// The incidents whose alarms its events name.
    package let incidents: Set<IncidentID>

    package struct Event: Sendable {
        package let head: EventHead
        /// None where the commit must encode it.
        package let body: EncodedBody?
    }

    package init(_ decision: Decision) {
        snapshot = decision.newState?.snapshot
        due = decision.newState?.nextDeadline
        let (dealer, partner, at) = (decision.dealerID, decision.partnerID, decision.at)
        events = decision.events.map { draft in
            Event(
                head: EventHead(draft, dealerID: dealer, partnerID: partner, createdAt: at),
                body: EncodedBody(draft.body, id: draft.id, createdAt: at)
            )
        }
        incidents = Set(decision.events.compactMap(\.body.incident))
        details = decision.audit.map(\.encodedDetails)
        lastChange = decision.audit.lastIndex(where: \.changesState)
    }
}

extension EventHead {
    /// What a draft will be, in the log of this dealer.
    package convenience init(
        _ draft: EventDraft,
        dealerID: DealerID,
        partnerID: PartnerID?,
        createdAt: Instant
    ) {
        self.init(
            dealerID: dealerID,
            id: draft.id,
            type: draft.body.type,
            siteID: draft.siteID,
            partnerID: draft.siteID == nil ? nil : partnerID,
            audience: draft.audience,
            createdAt: createdAt
        )
    }
}

extension AuditEntry {
    /// The details as the ledger keeps them.
    package var encodedDetails: [UInt8]? { details.isEmpty ? nil : JSON.object(details).bytes }
}
