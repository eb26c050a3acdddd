/// An event in its place in a dealer's log.
package struct LoggedEvent: Hashable, Sendable {
    package var dealerID: DealerID
    package var sequence: Int64
    package var id: EventID
    package var type: EventType
    package var siteID: SiteID?
    /// The partner of that site, if it has one: a partner sees its own sites' events only.
    package var partnerID: PartnerID?
    package var audience: EventAudience
    package var createdAt: Instant
    /// The encoded body: what every reader and receiver gets, byte for byte.
    package var body: [UInt8]

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
        self.dealerID = dealerID
        self.sequence = sequence
        self.id = id
        self.type = type
        self.siteID = siteID
        self.partnerID = partnerID
        self.audience = audience
        self.createdAt = createdAt
        self.body = body
    }
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
