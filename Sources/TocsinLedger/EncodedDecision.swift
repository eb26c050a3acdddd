import TocsinCore

/// What of a decision can be encoded before its commit.
///
/// A ledger has one writer, and everything that it does is waited for; whoever decides can encode meanwhile.
package final class EncodedDecision: Equatable, Sendable {
    /// The new state's snapshot.
    package let snapshot: [UInt8]?
    /// When the site must be looked at next, by the new state.
    package let due: Instant?
    /// One for each event of the decision, in their order.
    package let events: [Event]
    /// The rows of those events; none if a body of them is not known before the commit.
    package let rows: [PackedEvents]?
    /// The decision's audit entries, in their order, as their rows keep them.
    package let audit: [[UInt8]]
    /// The last of the audit entries that change the site's state, if one does.
    package let lastChange: Int?

    /// The incidents whose alarms its events name.
    package let incidents: Set<IncidentID>

    package struct Event: Equatable, Sendable {
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
        rows = Self.rows(of: events)
        audit = decision.audit.map(PackedAudit.pack)
        lastChange = decision.audit.lastIndex(where: \.changesState)
    }

    private init(_ other: EncodedDecision, _ events: [Event], _ audit: [[UInt8]]) {
        (snapshot, due, incidents, lastChange) = (other.snapshot, other.due, other.incidents, other.lastChange)
        self.events = events
        self.audit = audit
        rows = Self.rows(of: events)
    }

    private static func rows(of events: [Event]) -> [PackedEvents]? {
        let bodies = events.compactMap { event in event.body.map { (head: event.head, body: $0) } }
        return bodies.count == events.count ? PackedEvents.pack(bodies) : nil
    }

    /// The same at another moment, with new ids for its events; nil if one must be encoded by the commit.
    func moved(to at: Instant, drawing id: () -> EventID) -> EncodedDecision? {
        var (moved, audit) = ([Event](), audit)
        moved.reserveCapacity(events.count)
        for event in events {
            let (old, new) = (event.head.id, id())
            guard let body = event.body?.moved(from: old, to: new, createdAt: at) else { return nil }
            moved.append(Event(head: event.head.moved(to: at, as: new), body: body))
            // Which of the events a change set off stands in its entry.
            for index in audit.indices { _ = audit[index].replace(old, by: new) }
        }
        return EncodedDecision(self, moved, audit)
    }

    package static func == (a: EncodedDecision, b: EncodedDecision) -> Bool {
        a.snapshot == b.snapshot && a.due == b.due && a.events == b.events && a.rows == b.rows && a.audit == b.audit
            && a.lastChange == b.lastChange && a.incidents == b.incidents
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
