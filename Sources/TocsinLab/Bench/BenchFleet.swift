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
    }

    package let shape: Shape
    package let data: String
    package let clientID: String
    package let clientSecret: String
    package let dealers: [DealerID]
    /// Site number `i` is the dealer's of number `i` modulo the number of dealers.
    package let sites: [SiteID]
    /// By dealer: its endpoints, as (number at the receiver, id).
    package let endpoints: [[(number: Int, id: EndpointID)]]
    package let secrets: [Int: String]

    /// How many sites are made in one transaction: few enough to stay in memory, many enough to share the fsync.
    private static let sitesPerWrite = 10_000

    /// Makes the fleet: what has credentials through `tocsin apply`, the sites straight through the ledger's port.
    package static func make(
        _ shape: Shape,
        at data: String,
        receiver: WebhookSink?,
        workspace: Workspace,
        clock: some WallClock
    ) async throws -> BenchFleet {
        let file = data + "/fleet.json"
        try Data(description(shape, receiver: receiver).bytes).write(to: URL(fileURLWithPath: file))
        let output = try await Program.run(
            try Program.path,
            ["apply", "-f", file, "--allow-private-endpoints"] + LedgerFile.arguments(data: data),
            in: workspace
        )
        let made = try JSONParser.parse(output)
        guard let partner = made["partners"]?.array?.first, let partnerID = partner["partner_id"]?.string,
            let clientID = partner["client_id"]?.string, let clientSecret = partner["client_secret"]?.string
        else { throw LabError("`tocsin apply` made no partner") }
        let dealers = (made["dealers"]?.array ?? []).compactMap { $0["dealer_id"]?.string }.map(DealerID.init(stored:))
        guard dealers.count == shape.dealers else { throw LabError("`tocsin apply` made \(dealers.count) dealers") }
        let (endpoints, secrets) = try endpoints(made, shape)
        let sites = try await fill(
            shape,
            dealers: dealers,
            partner: PartnerID(stored: partnerID),
            path: LedgerFile.path(data: data),
            clock: clock
        )
        try receiver?.verify(secrets: secrets)
        return BenchFleet(
            shape: shape,
            data: data,
            clientID: clientID,
            clientSecret: clientSecret,
            dealers: dealers,
            sites: sites,
            endpoints: endpoints,
            secrets: secrets
        )
    }

    private static func description(_ shape: Shape, receiver: WebhookSink?) -> JSON {
        let dealers = (0..<shape.dealers).map { dealer -> JSON in
            let endpoints = (0..<shape.endpointsPerDealer).compactMap { index -> JSON? in
                guard let receiver else { return nil }
                let number = dealer * shape.endpointsPerDealer + index
                return [
                    "url": .string(receiver.url(endpoint: number)), "events": JSON(shape.events.map(\.rawValue)),
                ]
            }
            return [
                "name": .string("Dealer \(dealer)"),
                "apps": [
                    [
                        "name": .string("App \(dealer)"), "scopes": ["events:read", "sites:read"],
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
        clock: some WallClock
    ) async throws -> [SiteID] {
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
                        partnerID: partner,
                        externalID: "shop-\(index)",
                        name: "Shop \(index)",
                        timezone: "America/Chicago",
                        address: nil,
                        testMode: false,
                        armingModel: .partnerTriggered,
                        createdAt: now
                    )
                    let partition = Partition(id: partitions[index], siteID: site.id, number: 1, name: "Shop")
                    try transaction.insert(site, partitions: [partition])
                }
            }
        }
        try await ledger.close()
        return sites
    }
}
