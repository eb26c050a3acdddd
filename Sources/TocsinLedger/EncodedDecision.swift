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
    package let audit: [Audit]
    /// The moment of the decision and of its events.
    package let at: Instant
    /// Whether nothing but a state, events, audit entries and marks is to be stored.
    package let isStateAlone: Bool
    /// The last of the audit entries that change the site's state, if one does.
    package let lastChange: Int?

    /// The incidents whose alarms its events name.
    package let incidents: Set<IncidentID>

    package struct Event: Equatable, Sendable {
        package let head: EventHead
        /// None where the commit must encode it.
        package fileprivate(set) var body: EncodedBody?
    }

    package struct Audit: Equatable, Sendable {
        package fileprivate(set) var at: Instant
        package let changesState: Bool
        package fileprivate(set) var packed: [UInt8]
    }

    package init(_ decision: Decision) {
        at = decision.at
        snapshot = decision.newState?.snapshot
        due = decision.newState?.nextDeadline
        let (dealer, partner) = (decision.dealerID, decision.partnerID)
        events = decision.events.map { [at] draft in
            Event(
                head: EventHead(draft, dealerID: dealer, partnerID: partner),
                body: EncodedBody(draft.body, id: draft.id, createdAt: at)
            )
        }
        incidents = Set(decision.events.compactMap(\.body.incident))
        rows = Self.rows(of: events, at: at)
        audit = decision.audit.map {
            Audit(at: $0.at, changesState: $0.changesState, packed: PackedAudit.pack($0))
        }
        lastChange = audit.lastIndex(where: \.changesState)
        isStateAlone = decision.isStateAlone
    }

    private init(_ other: EncodedDecision, at: Instant, _ events: [Event], _ rows: [PackedEvents]?, _ audit: [Audit]) {
        (snapshot, due, incidents, lastChange) = (other.snapshot, other.due, other.incidents, other.lastChange)
        isStateAlone = other.isStateAlone
        self.at = at
        self.events = events
        self.rows = rows
        self.audit = audit
    }

    private static func rows(of events: [Event], at: Instant) -> [PackedEvents]? {
        let bodies = events.compactMap { event in event.body.map { (head: event.head, body: $0) } }
        return bodies.count == events.count ? PackedEvents.pack(bodies, at: at) : nil
    }

    /// The same at another moment; nil if the commit must encode it.
    func moved(to at: WrittenInstant) -> EncodedDecision? {
        guard let rows else { return nil }
        var (events, audit) = (events, audit)
        for index in events.indices {
            guard let body = events[index].body else { return nil }
            if body.endsWithSequence { continue }
            guard let moved = body.moved(to: at) else { return nil }
            events[index].body = moved
        }
        for index in audit.indices where audit[index].at == self.at { audit[index].at = at.instant }
        var moved: [PackedEvents] = []
        moved.reserveCapacity(rows.count)
        for row in rows {
            guard let row = row.moved(to: at) else { return nil }
            moved.append(row)
        }
        return EncodedDecision(self, at: at.instant, events, moved, audit)
    }

    /// The same with other ids for its events; nil if it does not tell them as expected.
    package func renamed(as ids: [EventID]) -> EncodedDecision? {
        guard ids.count == events.count else { return nil }
        var (renamed, audit) = ([Event](), audit)
        for (event, id) in zip(events, ids) {
            guard var body = event.body?.unfinished, body.replace(event.head.id, by: id) else { return nil }
            let ends = event.body?.endsWithSequence ?? false
            renamed.append(
                Event(
                    head: event.head.renamed(id),
                    body: EncodedBody(unfinished: body, endsWithSequence: ends)
                )
            )
            // Which of the events a change set off stands in its entry.
            for index in audit.indices { _ = audit[index].packed.replace(event.head.id, by: id) }
        }
        return EncodedDecision(self, at: at, renamed, Self.rows(of: renamed, at: at), audit)
    }

    package static func == (a: EncodedDecision, b: EncodedDecision) -> Bool {
        a.at == b.at && a.snapshot == b.snapshot && a.due == b.due && a.events == b.events && a.rows == b.rows
            && a.audit == b.audit
            && a.lastChange == b.lastChange && a.incidents == b.incidents
    }
}

extension EventHead {
    /// What a draft will be, in the log of this dealer.
    package convenience init(
        _ draft: EventDraft,
        dealerID: DealerID,
        partnerID: PartnerID?
    ) {
        self.init(
            dealerID: dealerID,
            id: draft.id,
            type: draft.body.type,
            siteID: draft.siteID,
            partnerID: draft.siteID == nil ? nil : partnerID,
            audience: draft.audience
        )
    }
}
