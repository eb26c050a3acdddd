import TocsinJSON

/// Who holds the arming state of a site (decisions §3); fixed when the site is made.
package enum ArmingModel: String, CaseIterable, Sendable {
    case partnerTriggered = "partner_triggered"
    case platformTriggered = "platform_triggered"
}

/// A protected place of a dealer's customer.
package struct Site: Hashable, Sendable {
    package var id: SiteID
    package var dealerID: DealerID
    package var partnerID: PartnerID?
    /// The partner's (or dealer's) own id of the site, unique per partner.
    package var externalID: String?
    package var name: String
    /// An IANA time zone name.
    package var timezone: String
    package var address: String?
    package var testMode: Bool
    package var armingModel: ArmingModel
    /// What its delays and windows are held to.
    package var complianceProfile: ComplianceProfile
    package var createdAt: Instant

    package init(
        id: SiteID,
        dealerID: DealerID,
        partnerID: PartnerID?,
        externalID: String?,
        name: String,
        timezone: String,
        address: String?,
        testMode: Bool,
        armingModel: ArmingModel,
        complianceProfile: ComplianceProfile = .none,
        createdAt: Instant
    ) {
        self.id = id
        self.dealerID = dealerID
        self.partnerID = partnerID
        self.externalID = externalID
        self.name = name
        self.timezone = timezone
        self.address = address
        self.testMode = testMode
        self.armingModel = armingModel
        self.complianceProfile = complianceProfile
        self.createdAt = createdAt
    }
}

/// How long one has to leave, by mode, in seconds (defaults: design, arming).
package struct ExitDelays: Hashable, Sendable {
    package var away: Int
    package var stay: Int
    package var night: Int
    package var custom: Int

    package init(away: Int = 60, stay: Int = 30, night: Int = 0, custom: Int = 60) {
        self.away = away
        self.stay = stay
        self.night = night
        self.custom = custom
    }

    package func seconds(for mode: ArmingMode) -> Int {
        switch mode {
        case .away: away
        case .stay: stay
        case .night: night
        case .custom: custom
        }
    }

    package var all: [Int] { [away, stay, night, custom] }
}

/// A part of a site that is armed on its own.
package struct Partition: Hashable, Sendable {
    /// A delay is at most ten minutes under any profile (design, compliance profiles).
    package static let delaySeconds = 0...600
    /// Larger than any panel's; keeps a site's state small enough to load in one read.
    package static let maximumPerSite = 256

    package var id: PartitionID
    package var siteID: SiteID
    package var number: Int
    package var name: String
    package var exitDelaySeconds: ExitDelays
    package var entryDelaySeconds: Int
    package var policy: PartitionPolicy

    package init(
        id: PartitionID,
        siteID: SiteID,
        number: Int,
        name: String,
        exitDelaySeconds: ExitDelays = ExitDelays(),
        entryDelaySeconds: Int = 30,
        policy: PartitionPolicy = PartitionPolicy()
    ) {
        self.id = id
        self.siteID = siteID
        self.number = number
        self.name = name
        self.exitDelaySeconds = exitDelaySeconds
        self.entryDelaySeconds = entryDelaySeconds
        self.policy = policy
    }
}

/// What a fixture is: everything that belongs to a site beside its partitions.
package enum FixtureKind: String, CaseIterable, Sendable {
    case zone
    case device
    case relay
    case user
    case schedule
    case contact
}

/// A zone, device, relay, user, schedule or contact of a site, as it was configured.
///
/// Its members beyond number and name are kept as checked JSON until the machines that use them give them a type.
package struct Fixture: Hashable, Sendable {
    /// The id with the prefix of its kind (`zone_…`, `dev_…`, …).
    package var id: String
    package var siteID: SiteID
    package var kind: FixtureKind
    /// Zones are numbered, unique in the site.
    package var number: Int?
    package var name: String
    package var settings: JSONObject

    package init(
        id: String,
        siteID: SiteID,
        kind: FixtureKind,
        number: Int?,
        name: String,
        settings: JSONObject
    ) {
        self.id = id
        self.siteID = siteID
        self.kind = kind
        self.number = number
        self.name = name
        self.settings = settings
    }
}
