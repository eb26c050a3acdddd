import Foundation
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

/// Dealers, their endpoints, a partner and its sites, made in a new data directory for one benchmark.
package struct BenchFleet: Sendable {
    package struct Shape: Sendable {
        package var dealers: Int
        package var endpointsPerDealer: Int
        package var sites: Int
        /// What every endpoint subscribes to.
        package var events: [EventType]
        /// What every dealer's app may do.
        package var scopes: [Scope] = [.eventsRead, .sitesRead]
        /// Whether Tocsin itself arms the sites; else their partner does.
        package var isPlatformTriggered = false
        package var timeZone = "America/Chicago"
    }

    /// What a site gets beside its partition.
    package typealias Outfit = @Sendable (Site, Partition, any LedgerTransaction) throws -> Void

    package let shape: Shape
    package let data: String
    package let clientID: String
    package let clientSecret: String
    package let dealers: [DealerID]
    package let partner: PartnerID
    /// Site number `i` is the dealer's of number `i` modulo the number of dealers.
    package private(set) var sites: [SiteID] = []
    /// Each site's only partition.
    package private(set) var partitions: [PartitionID] = []
    /// By dealer: its app's key.
    package let apiKeys: [String]
    /// By dealer: its endpoints, as (number at the receiver, id).
    package let endpoints: [[(number: Int, id: EndpointID)]]
    package let secrets: [Int: String]

    /// How many sites are made in one transaction: few enough to stay in memory, many enough to share the fsync.
    private static let sitesPerWrite = 10_000

    /// Makes the fleet: what has credentials through `tocsin apply`, the sites straight through the ledger's port.
    ///
    /// - Parameters:
    ///   - shape: How large it is.
    ///   - data: The directory it is made in.
    ///   - receiver: Where the endpoints are, and what learns their secrets; without one there are no endpoints.
    ///   - url: Where the endpoint of a number is, if not at the receiver; must end in that number.
    ///   - workspace: Where the program runs.
    ///   - clock: Tells when all of it was made.
    ///   - outfit: What each site gets beside its partition.
    /// - Returns: The fleet.
    /// - Throws: When anything of it cannot be made.
    package static func make(
        _ shape: Shape,
        at data: String,
        receiver: WebhookSink?,
        url: ((Int) -> String)? = nil,
        workspace: Workspace,
        clock: some WallClock,
        outfit: Outfit? = nil
    ) async throws -> BenchFleet {
        let file = data + "/fleet.json"
        try Data(description(shape, url: url ?? receiver.map { $0.url(endpoint:) }).bytes).write(
            to: URL(fileURLWithPath: file)
        )
        let output = try await Program.run(
            try Program.path,
            ["apply", "-f", file, "--allow-private-endpoints"] + LedgerFile.arguments(data: data),
            in: workspace
        )
        let made = try JSONParser.parse(output)
        var fleet = try read(made, shape, data: data)
        (fleet.sites, fleet.partitions) = try await fill(
            shape,
            dealers: fleet.dealers,
            partner: fleet.partner,
            path: LedgerFile.path(data: data),
            clock: clock,
            outfit: outfit
        )
        try receiver?.verify(secrets: fleet.secrets)
        return fleet
    }

    /// Takes from what `tocsin apply` printed who is in the fleet; sites it has none of yet.
    static func read(_ made: JSON, _ shape: Shape, data: String) throws -> BenchFleet {
        guard let partner = made["partners"]?.array?.first, let partnerID = partner["partner_id"]?.string,
            let clientID = partner["client_id"]?.string, let clientSecret = partner["client_secret"]?.string
        else { throw LabError("`tocsin apply` made no partner") }
        let dealers = (made["dealers"]?.array ?? []).compactMap { $0["dealer_id"]?.string }.map(DealerID.init(stored:))
        guard dealers.count == shape.dealers else { throw LabError("`tocsin apply` made \(dealers.count) dealers") }
        let (endpoints, secrets) = try endpoints(made, shape)
        return BenchFleet(
            shape: shape,
            data: data,
            clientID: clientID,
            clientSecret: clientSecret,
            dealers: dealers,
            partner: PartnerID(stored: partnerID),
            apiKeys: try apiKeys(made, shape),
            endpoints: endpoints,
            secrets: secrets
        )
    }

    private static func description(_ shape: Shape, url: ((Int) -> String)?) -> JSON {
        let dealers = (0..<shape.dealers).map { dealer -> JSON in
            let endpoints = (0..<shape.endpointsPerDealer).compactMap { index -> JSON? in
                guard let url else { return nil }
                let number = dealer * shape.endpointsPerDealer + index
                return [
                    "url": .string(url(number)), "events": JSON(shape.events.map(\.rawValue)),
                ]
            }
            return [
                "name": .string("Dealer \(dealer)"),
                "apps": [
                    [
                        "name": .string("App \(dealer)"), "scopes": JSON(shape.scopes.map(\.rawValue)),
                        "endpoints": .array(endpoints),
                    ]
                ],
            ]
        }
        return [
            "dealers": .array(dealers),
            "partners": [["name": "PanelCo", "arming_model": "partner_triggered"]],
        ]
    }

    private static func apiKeys(_ made: JSON, _ shape: Shape) throws -> [String] {
        let apps = made["apps"]?.array ?? []
        return try (0..<shape.dealers).map { dealer in
            guard let key = apps.first(where: { $0["name"]?.string == "App \(dealer)" })?["api_key"]?.string else {
                throw LabError("`tocsin apply` made no key of the app of dealer \(dealer)")
            }
            return key
        }
    }

    private static func endpoints(
        _ made: JSON,
        _ shape: Shape
    ) throws -> ([[(number: Int, id: EndpointID)]], [Int: String]) {
        var endpoints: [[(number: Int, id: EndpointID)]] = Array(repeating: [], count: shape.dealers)
        var secrets: [Int: String] = [:]
        for app in made["apps"]?.array ?? [] {
            for endpoint in app["endpoints"]?.array ?? [] {
                guard let text = endpoint["url"]?.string?.split(separator: "/").last, let number = Int(text),
                    let id = endpoint["endpoint_id"]?.string, let secret = endpoint["secret"]?.string
                else { throw LabError("`tocsin apply` made an endpoint without id or secret") }
                endpoints[number / shape.endpointsPerDealer].append((number, EndpointID(stored: id)))
                secrets[number] = secret
            }
        }
        return (endpoints, secrets)
    }

    private static func fill(
        _ shape: Shape,
        dealers: [DealerID],
        partner: PartnerID,
        path: String,
        clock: some WallClock,
        outfit: Outfit?
    ) async throws -> ([SiteID], [PartitionID]) {
        let ledger = try SQLiteLedger.open(.file(path))
        let randomness = SystemRandomness()
        let now = clock.now
        let sites = (0..<shape.sites).map { _ in randomness.id(SiteNoun.self, at: now) }
        let partitions = (0..<shape.sites).map { _ in randomness.id(PartitionNoun.self, at: now) }
        try await ledger.write { transaction in
            for dealer in dealers { try transaction.link(dealer, to: partner) }
        }
        for start in stride(from: 0, to: shape.sites, by: sitesPerWrite) {
            try await ledger.write { transaction in
                for index in start..<min(start + sitesPerWrite, shape.sites) {
                    let site = Site(
                        id: sites[index],
                        dealerID: dealers[index % dealers.count],
                        partnerID: shape.isPlatformTriggered ? nil : partner,
                        externalID: "shop-\(index)",
                        name: "Shop \(index)",
                        timezone: shape.timeZone,
                        address: nil,
                        testMode: false,
                        armingModel: shape.isPlatformTriggered ? .platformTriggered : .partnerTriggered,
                        createdAt: now
                    )
                    let partition = Partition(id: partitions[index], siteID: site.id, number: 1, name: "Shop")
                    try transaction.insert(site, partitions: [partition])
                    try outfit?(site, partition, transaction)
                }
            }
        }
        try await ledger.close()
        return (sites, partitions)
    }
}
