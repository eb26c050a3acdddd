import TocsinCore
import TocsinJSON

/// What a file's things are called in the ledger, with the secrets of those that were made just now (decisions §12).
package struct FleetResult: Sendable {
    package struct EndpointResult: Sendable {
        package var url: String
        package var endpointID: EndpointID
        /// Only where the endpoint was made just now: shown once.
        package var secret: String?
    }

    package struct DealerResult: Sendable {
        package var name: String
        package var dealerID: DealerID
    }

    package struct AppResult: Sendable {
        package var name: String
        package var appID: AppID
        /// Only where the app was made just now: shown once.
        package var apiKey: String?
        package var endpoints: [EndpointResult]
    }

    package struct PartnerResult: Sendable {
        package var name: String
        package var partnerID: PartnerID
        package var clientID: String
        /// Only where the partner was made just now: shown once.
        package var clientSecret: String?
        package var endpoints: [EndpointResult]
    }

    package struct SiteResult: Sendable {
        package var name: String
        package var siteID: SiteID
        package var partitions: [(number: Int, id: PartitionID)]
        /// Zones carry their number.
        package var fixtures: [FixtureKind: [(number: Int?, name: String, id: String)]]
        /// What the bridges of relays are signed to with, by the relay's id: only where it was drawn just now, shown once.
        package var relaySecrets: [String: String] = [:]
    }

    package var dealers: [DealerResult] = []
    package var apps: [AppResult] = []
    package var partners: [PartnerResult] = []
    package var sites: [SiteResult] = []

    package var isEmpty: Bool { dealers.isEmpty && apps.isEmpty && partners.isEmpty && sites.isEmpty }

    mutating func append(_ other: FleetResult) {
        dealers += other.dealers
        apps += other.apps
        partners += other.partners
        sites += other.sites
    }

    /// The output of `tocsin apply`.
    package var json: JSON {
        [
            "dealers": .array(dealers.map { ["name": .string($0.name), "dealer_id": .string($0.dealerID.text)] }),
            "apps": .array(apps.map(\.json)),
            "partners": .array(partners.map(\.json)),
            "sites": .array(sites.map(\.json)),
        ]
    }
}

extension FleetResult.EndpointResult {
    var json: JSON {
        var object: JSONObject = ["url": .string(url), "endpoint_id": .string(endpointID.text)]
        object["secret"] = secret.map(JSON.string)
        return .object(object)
    }
}

extension FleetResult.AppResult {
    var json: JSON {
        var object: JSONObject = ["name": .string(name), "app_id": .string(appID.text)]
        object["api_key"] = apiKey.map(JSON.string)
        object["endpoints"] = .array(endpoints.map(\.json))
        return .object(object)
    }
}

extension FleetResult.PartnerResult {
    var json: JSON {
        var object: JSONObject = [
            "name": .string(name), "partner_id": .string(partnerID.text), "client_id": .string(clientID),
        ]
        object["client_secret"] = clientSecret.map(JSON.string)
        object["endpoints"] = .array(endpoints.map(\.json))
        return .object(object)
    }
}

extension FleetResult.SiteResult {
    var json: JSON {
        var object: JSONObject = ["name": .string(name), "site_id": .string(siteID.text)]
        object["partitions"] = .array(
            partitions.map { ["number": JSON($0.number), "partition_id": .string($0.id.text)] }
        )
        for kind in FixtureKind.allCases {
            let entries = fixtures[kind] ?? []
            // What every reader of the output looks for is always there; the rest only where there is some.
            let isAlwaysListed =
                switch kind {
                case .zone, .device, .user, .relay: true
                case .schedule, .contact: false
                }
            if !isAlwaysListed && entries.isEmpty { continue }
            object[kind.listName] = .array(
                entries.map { entry in
                    var member = JSONObject()
                    member[entry.number == nil ? "name" : "number"] =
                        entry.number.map { JSON($0) } ?? .string(entry.name)
                    member["\(kind.rawValue)_id"] = .string(entry.id)
                    if kind == .relay { member["secret"] = relaySecrets[entry.id].map(JSON.string) }
                    return .object(member)
                }
            )
        }
        return .object(object)
    }
}

/// One line of the difference between the file and the ledger.
package struct FleetChange: Hashable, Sendable, CustomStringConvertible {
    package enum Action: String, Sendable {
        case create
        case update
        case delete

        var mark: String {
            switch self {
            case .create: "+"
            case .update: "~"
            case .delete: "-"
            }
        }
    }

    package var action: Action
    /// `dealer`, `app`, `endpoint`, `partner`, `link`, `site`, `partition`, or a fixture's kind.
    package var kind: String
    /// What it is called: `Back Door`, or `Main Street 1 / zone 5`.
    package var name: String
    /// Which members an update changes.
    package var members: [String]

    package init(_ action: Action, _ kind: String, _ name: String, members: [String] = []) {
        self.action = action
        self.kind = kind
        self.name = name
        self.members = members
    }

    package var description: String {
        let line = "\(action.mark) \(kind) \(name)"
        return members.isEmpty ? line : "\(line): \(members.joined(separator: ", "))"
    }

    package var json: JSON {
        var object: JSONObject = ["action": .string(action.rawValue), "kind": .string(kind), "name": .string(name)]
        if !members.isEmpty { object["members"] = JSON(members) }
        return .object(object)
    }
}

/// What applying a file did, or with a dry run would do.
package struct FleetOutcome: Sendable {
    package var isDryRun: Bool
    /// Empty for a dry run.
    package var result = FleetResult()
    package var changes: [FleetChange] = []
    /// What the file may ask for but will have no effect.
    package var warnings: [FleetProblem] = []
    /// Endpoints that were made, changed or deleted, or whose partner was linked: the delivery engine has to be told.
    package var touchedEndpoints: Set<EndpointID> = []
    /// Apps, partners and dealers that were changed or deleted: what is remembered of their credentials is old.
    package var touchedApps: Set<AppID> = []
    package var touchedPartners: Set<PartnerID> = []
    package var deletedDealers: Set<DealerID> = []

    /// The reply of `POST /v1/fleet/apply`.
    package var json: JSON {
        [
            "dry_run": .bool(isDryRun),
            "result": result.json,
            "changes": .array(changes.map(\.json)),
            "warnings": .array(warnings.map(\.json)),
        ]
    }
}

extension FleetChange {
    /// Reads what ``json`` wrote.
    package init?(_ json: JSON) {
        guard let action = json["action"]?.string.flatMap(Action.init), let kind = json["kind"]?.string,
            let name = json["name"]?.string
        else { return nil }
        self.init(action, kind, name, members: json["members"]?.array?.compactMap(\.string) ?? [])
    }
}
