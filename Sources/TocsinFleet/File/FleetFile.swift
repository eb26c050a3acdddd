import TocsinCore
import TocsinJSON

/// What a fleet file asks for (decisions §12).
///
/// An optional member that the file leaves out keeps what is stored, or takes the default where the thing is new. A list
/// that it leaves out says nothing about its things, even when pruning; an empty list says that there are none.
package struct FleetFile: Sendable {
    /// Larger than 100,000 sites with everything; bounds what one request can make us hold.
    package static let maximumBytes = 64 << 20

    package var dealers: [FleetDealer]?
    package var partners: [FleetPartner]?
    package var sites: [FleetSite]?
}

/// A value with the place where the file says it.
package struct Marked<Value: Sendable>: Sendable {
    package var value: Value
    package var place: Place
}

package struct FleetDealer: Sendable {
    package var place: Place
    package var name: String
    package var apps: [FleetApp]?
    package var holidays: [Holiday]?
    package var autoResolvesCancelled: Bool?
}

package struct FleetApp: Sendable {
    package var place: Place
    package var name: String
    package var scopes: Set<Scope>
    package var ipAllowList: [String]?
    package var tier: RateTier?
    package var endpoints: [FleetEndpoint]?
}

package struct FleetEndpoint: Sendable {
    package var place: Place
    package var url: Marked<String>
    package var events: Set<EventType>
    package var ordering: DeliveryOrdering?
    package var headers: [String: String]?
    package var concurrency: Int?
    package var ratePerSecond: Int?
    package var retrySchedule: [Int]?
    package var signature: SignatureScheme?
    package var clientCertificate: FleetCertificate?
}

/// What the file says of the certificate that an endpoint's receiver asks of us (mutual TLS).
package enum FleetCertificate: Sendable {
    /// `null`: the endpoint shows none.
    case none
    /// Chain and private key, as ``ClientIdentity/text(certificate:privateKey:)`` writes them, which were found to belong together.
    case whole(text: String, fingerprint: String, expiresAt: Instant, at: Place)
    /// By its fingerprint only, as an export and the API show it: keeps what is there.
    case shown(fingerprint: String, at: Place)
}

package struct FleetPartner: Sendable {
    package var place: Place
    package var name: String
    package var armingModel: ArmingModel
    /// Compact JSON.
    package var jwks: String?
    package var tier: RateTier?
    package var endpoints: [FleetEndpoint]?
}

package struct FleetSite: Sendable {
    package var place: Place
    package var name: String
    package var externalID: String?
    package var dealer: Marked<String>
    package var partner: Marked<String>?
    package var timezone: String
    package var address: String?
    package var testMode: Bool?
    package var complianceProfile: ComplianceProfile?
    package var partitions: [FleetPartition]?
    /// By kind; a kind that the file does not list is absent.
    package var fixtures: [FixtureKind: [FleetFixture]]
}

package struct FleetPartition: Sendable {
    package var place: Place
    package var number: Int
    package var name: String?
    /// Seconds by mode, only those that the file names.
    package var exitDelays: [ExitMode: Int]
    package var entryDelaySeconds: Int?
    /// The members of the policy that the file names.
    package var policy: JSONObject
}

/// The modes that have an exit delay of their own.
package enum ExitMode: String, CaseIterable, Sendable {
    case away, stay, night, custom

    package var delay: WritableKeyPath<ExitDelays, Int> {
        switch self {
        case .away: \.away
        case .stay: \.stay
        case .night: \.night
        case .custom: \.custom
        }
    }
}

/// Who switches a relay, as the file names it.
package struct FleetActuator: Sendable {
    package var type: Relay.ActuatorType
    /// There where it is a webhook.
    package var url: Marked<String>?
    package var secret: Marked<String>?
}

/// A zone, device, relay, user, schedule or contact as the file names it.
package struct FleetFixture: Sendable {
    package var place: Place
    package var kind: FixtureKind
    package var number: Int?
    package var name: String
    /// The members that are kept as they stand.
    package var settings: JSONObject
    /// A device of the same site, by name.
    package var device: Marked<String>?
    /// The bridge that a device hangs on, by name.
    package var bridge: Marked<String>?
    /// A relay of the same site, by name: what a schedule switches on.
    package var relay: Marked<String>?
    /// Who switches a relay.
    package var actuator: FleetActuator?
    /// Partitions of the same site, by number.
    package var partitions: Marked<[Int]>?
    package var code: Marked<String>?
    package var duressCode: Marked<String>?
}
