/// Whose endpoint it is.
package enum EndpointOwner: Hashable, Sendable {
    case app(AppID, of: DealerID)
    /// One endpoint, one cursor per dealer, only the partner's own sites' events.
    case partner(PartnerID)

    /// The dealer whose log and audit tell of it; none for a partner's.
    package var dealerID: DealerID? {
        switch self {
        case .app(_, let dealer): dealer
        case .partner: nil
        }
    }
}

/// What order an endpoint asks for (design, delivery).
package enum DeliveryOrdering: String, CaseIterable, Sendable {
    case none
    case site
}

/// A webhook URL with its subscription.
package struct Endpoint: Hashable, Sendable {
    package var id: EndpointID
    package var owner: EndpointOwner
    package var url: String
    package var events: Set<EventType>
    package var ordering: DeliveryOrdering
    /// Extra request headers; the values are secrets and are kept sealed (`name` → sealed value).
    package var sealedHeaders: [String: [UInt8]]
    package var signature = SignatureScheme.v1
    /// Shown to a receiver that asks for one.
    package var clientCertificate: ClientCertificate?
    /// Those of its secrets, newest first; changed by changing these.
    package var publicKeys: [EndpointPublicKey] = []
    /// Attempts in flight at once.
    package var concurrency: Int
    package var ratePerSecond: Int?
    /// The endpoint's own retry steps in seconds; none takes the default schedule.
    package var retrySchedule: [Int]?
    package var isEnabled: Bool
    /// Why it was disabled: `admin`, `gone` (410) or `failing`.
    package var disabledReason: String?
    /// Since when nothing but failures were seen.
    package var failingSince: Instant?
    package var createdAt: Instant

    package init(
        id: EndpointID,
        owner: EndpointOwner,
        url: String,
        events: Set<EventType>,
        ordering: DeliveryOrdering = .none,
        sealedHeaders: [String: [UInt8]] = [:],
        concurrency: Int = Endpoint.defaultConcurrency,
        ratePerSecond: Int? = nil,
        retrySchedule: [Int]? = nil,
        isEnabled: Bool = true,
        disabledReason: String? = nil,
        failingSince: Instant? = nil,
        createdAt: Instant
    ) {
        self.id = id
        self.owner = owner
        self.url = url
        self.events = events
        self.ordering = ordering
        self.sealedHeaders = sealedHeaders
        self.concurrency = concurrency
        self.ratePerSecond = ratePerSecond
        self.retrySchedule = retrySchedule
        self.isEnabled = isEnabled
        self.disabledReason = disabledReason
        self.failingSince = failingSince
        self.createdAt = createdAt
    }

    package static let defaultConcurrency = 16
}

/// One signing secret of an endpoint, sealed at rest.
package struct EndpointSecret: Hashable, Sendable {
    package var endpointID: EndpointID
    package var sealed: [UInt8]
    package var createdAt: Instant
    /// While secrets overlap, the older ones sign until then.
    package var expiresAt: Instant?
    /// Set where the secret is a private key (`v1a`).
    package var publicKey: String?

    package init(
        endpointID: EndpointID,
        sealed: [UInt8],
        createdAt: Instant,
        expiresAt: Instant? = nil,
        publicKey: String? = nil
    ) {
        self.endpointID = endpointID
        self.sealed = sealed
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.publicKey = publicKey
    }
}
