/// A security company: the tenant.
package struct Dealer: Hashable, Sendable {
    package var id: DealerID
    package var name: String
    package var createdAt: Instant
    /// Whether an alarm that a disarm cancelled, and that nobody has taken on, resolves itself (T28).
    package var autoResolvesCancelled: Bool

    package init(id: DealerID, name: String, createdAt: Instant, autoResolvesCancelled: Bool = false) {
        self.autoResolvesCancelled = autoResolvesCancelled
        self.id = id
        self.name = name
        self.createdAt = createdAt
    }
}

/// A platform that integrates across dealers under one arming model.
package struct Partner: Hashable, Sendable {
    package var id: PartnerID
    package var name: String
    package var armingModel: ArmingModel
    package var clientID: String
    /// A hash of the client secret: the secret itself is shown once and kept nowhere.
    package var clientSecretHash: String
    /// The partner's public keys for `private_key_jwt`, as it registered them (a JWKS document).
    package var jwks: String?
    /// A revoked partner's tokens stop working at once.
    package var isRevoked: Bool
    package var tier: RateTier
    package var createdAt: Instant

    package init(
        id: PartnerID,
        name: String,
        armingModel: ArmingModel,
        clientID: String,
        clientSecretHash: String,
        jwks: String?,
        isRevoked: Bool = false,
        tier: RateTier = .unlimited,
        createdAt: Instant
    ) {
        self.id = id
        self.name = name
        self.armingModel = armingModel
        self.clientID = clientID
        self.clientSecretHash = clientSecretHash
        self.jwks = jwks
        self.isRevoked = isRevoked
        self.tier = tier
        self.createdAt = createdAt
    }
}

/// A dealer's program with scopes, a key, and endpoints.
package struct App: Hashable, Sendable {
    package var id: AppID
    package var dealerID: DealerID
    package var name: String
    package var scopes: Set<Scope>
    /// CIDR blocks or addresses; empty allows every address.
    package var ipAllowList: [String]
    package var isRevoked: Bool
    package var tier: RateTier
    package var createdAt: Instant

    package init(
        id: AppID,
        dealerID: DealerID,
        name: String,
        scopes: Set<Scope>,
        ipAllowList: [String] = [],
        isRevoked: Bool = false,
        tier: RateTier = .unlimited,
        createdAt: Instant
    ) {
        self.id = id
        self.dealerID = dealerID
        self.name = name
        self.scopes = scopes
        self.ipAllowList = ipAllowList
        self.isRevoked = isRevoked
        self.tier = tier
        self.createdAt = createdAt
    }
}

/// An app's key as the ledger keeps it; after a rotation the old one lives until `expiresAt` (decisions §2).
package struct AppKey: Hashable, Sendable {
    package var appID: AppID
    /// SHA-256 of the key, in hexadecimal.
    package var hash: String
    package var expiresAt: Instant?

    package init(appID: AppID, hash: String, expiresAt: Instant? = nil) {
        self.appID = appID
        self.hash = hash
        self.expiresAt = expiresAt
    }
}

/// An admin's token (decisions §11).
package struct AdminToken: Hashable, Sendable {
    package var id: TokenID
    package var name: String
    /// SHA-256 of the token, in hexadecimal.
    package var hash: String
    /// The dealer it reaches; none reaches the whole platform.
    package var dealerID: DealerID?
    package var isRevoked: Bool
    package var createdAt: Instant

    package init(
        id: TokenID,
        name: String,
        hash: String,
        dealerID: DealerID?,
        isRevoked: Bool = false,
        createdAt: Instant
    ) {
        self.id = id
        self.name = name
        self.hash = hash
        self.dealerID = dealerID
        self.isRevoked = isRevoked
        self.createdAt = createdAt
    }
}
