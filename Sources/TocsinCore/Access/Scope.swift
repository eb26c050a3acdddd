/// What an app may see or do (decisions §2).
package enum Scope: String, CaseIterable, Sendable {
    case devicesRead = "devices:read"
    case devicesWrite = "devices:write"
    case eventsRead = "events:read"
    case eventsWrite = "events:write"
    case alarmsWrite = "alarms:write"
    case snapshotsRead = "snapshots:read"
    case snapshotsWrite = "snapshots:write"
    case sitesRead = "sites:read"
    case sitesWrite = "sites:write"
    case armingWrite = "arming:write"
    case relaysWrite = "relays:write"
}

/// How far a caller's authority goes: the tenant that no query can be written without.
package enum Reach: Hashable, Sendable {
    /// A platform admin: everything.
    case platform
    /// A dealer's admin or app: what belongs to that dealer.
    case dealer(DealerID)
    /// A partner: the sites under its partnership, across dealers.
    case partner(PartnerID)
}

/// How many requests a caller may make (decisions §1).
package enum RateTier: String, CaseIterable, Sendable {
    case free
    case pro
    case enterprise
    case unlimited

    /// Requests a minute; what the headers of an unlimited caller show is a number too (decisions §1).
    package var perMinute: Int {
        switch self {
        case .free: 60
        case .pro: 600
        case .enterprise: 3000
        case .unlimited: 1_000_000
        }
    }

    /// How many may come in one second.
    package var burst: Int {
        switch self {
        case .free: 5
        case .pro: 30
        case .enterprise: 200
        case .unlimited: 1_000_000
        }
    }
}
