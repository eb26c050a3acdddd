/// An event in its place in a dealer's log.
///
/// It is handed on to everybody who listens, so copies share what was known of it before its commit.
package struct LoggedEvent: Hashable, Sendable {
    package let head: EventHead
    package let sequence: Int64
    package let createdAt: Instant
    /// The encoded body: what every reader and receiver gets, byte for byte.
    package let body: [UInt8]

    package init(_ head: EventHead, sequence: Int64, createdAt: Instant, body: [UInt8]) {
        self.head = head
        self.sequence = sequence
        self.createdAt = createdAt
        self.body = body
    }

    package init(
        dealerID: DealerID,
        sequence: Int64,
        id: EventID,
        type: EventType,
        siteID: SiteID?,
        partnerID: PartnerID?,
        audience: EventAudience,
        createdAt: Instant,
        body: [UInt8]
    ) {
        head = EventHead(
            dealerID: dealerID,
            id: id,
            type: type,
            siteID: siteID,
            partnerID: partnerID,
            audience: audience
        )
        self.sequence = sequence
        self.createdAt = createdAt
        self.body = body
    }

    package var dealerID: DealerID { head.dealerID }
    package var id: EventID { head.id }
    package var type: EventType { head.type }
    package var siteID: SiteID? { head.siteID }
    /// The partner of that site, if it has one: a partner sees its own sites' events only.
    package var partnerID: PartnerID? { head.partnerID }
    package var audience: EventAudience { head.audience }
}

/// What is known of an event before it has its place, its moment and its bytes.
package final class EventHead: Hashable, Sendable {
    package let dealerID: DealerID
    package let id: EventID
    package let type: EventType
    package let siteID: SiteID?
    package let partnerID: PartnerID?
    package let audience: EventAudience

    package init(
        dealerID: DealerID,
        id: EventID,
        type: EventType,
        siteID: SiteID?,
        partnerID: PartnerID?,
        audience: EventAudience
    ) {
        self.dealerID = dealerID
        self.id = id
        self.type = type
        self.siteID = siteID
        self.partnerID = partnerID
        self.audience = audience
    }

    /// The same event under another id.
    package func renamed(_ id: EventID) -> EventHead {
        EventHead(
            dealerID: dealerID,
            id: id,
            type: type,
            siteID: siteID,
            partnerID: partnerID,
            audience: audience
        )
    }

    package static func == (a: EventHead, b: EventHead) -> Bool {
        a === b
            || a.id == b.id && a.dealerID == b.dealerID && a.type == b.type && a.siteID == b.siteID
                && a.partnerID == b.partnerID && a.audience == b.audience
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension LoggedEvent {
    package var position: EventPosition { EventPosition(dealerID: dealerID, sequence: sequence) }
}

/// Names one event in one dealer's log.
package struct EventPosition: Hashable, Comparable, Sendable {
    package var dealerID: DealerID
    package var sequence: Int64

    package init(dealerID: DealerID, sequence: Int64) {
        self.dealerID = dealerID
        self.sequence = sequence
    }

    package static func < (a: Self, b: Self) -> Bool { (a.dealerID, a.sequence) < (b.dealerID, b.sequence) }
}
