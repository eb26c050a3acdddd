import Foundation
import TocsinCore
import TocsinJSON

/// The tenants of a soak: partners' sites and sites that Tocsin arms, with cameras, and endpoints that hear of everything.
struct SoakFleet: Sendable {
    /// A site with what requests need of it.
    struct Place: Sendable {
        var site: String
        var dealer: Int
        var isPlatformTriggered: Bool
        /// Its camera, where it has one.
        var device: String?
    }

    static let dealers = 4
    static let endpointsPerDealer = 3
    /// Of each dealer: as many that a partner arms as Tocsin arms.
    private static let sitesPerKind = 4
    static let code = "48159263"
    static let backDoor = 5
    static let events: [EventType] = [
        .armingStateChanged, .partitionArmed, .partitionDisarmed, .armingFailed, .alarmCreated, .alarmActivity,
        .snapshotCreated, .deviceOffline, .deviceOnline,
    ]
    /// Quick at first, and patient for twenty minutes: a fast machine has endpoints in spells of faults most of the time.
    private static let retrySteps = [1, 2, 4, 8, 15] + Array(repeating: 30, count: 40)

    /// What accounting needs: dealers, endpoints, secrets.
    let fleet: BenchFleet
    let places: [Place]

    /// Makes the fleet through `tocsin apply`, as a person would.
    static func make(at data: String, receiver: WebhookSink, _ workspace: Workspace) async throws -> SoakFleet {
        let file = data + "/fleet.json"
        try Data(description(receiver).bytes).write(to: URL(fileURLWithPath: file))
        let output = try await Program.run(
            try Program.path,
            ["apply", "-f", file, "--allow-private-endpoints"] + LedgerFile.arguments(data: data),
            in: workspace
        )
        let made = try JSONParser.parse(output)
        let shape = BenchFleet.Shape(
            dealers: dealers,
            endpointsPerDealer: endpointsPerDealer,
            sites: dealers * sitesPerKind * 2,
            events: events
        )
        let fleet = try BenchFleet.read(made, shape, data: data)
        try receiver.verify(secrets: fleet.secrets)
        return SoakFleet(fleet: fleet, places: try places(made))
    }

    private static func places(_ made: JSON) throws -> [Place] {
        try (made["sites"]?.array ?? []).map { site in
            guard let id = site["site_id"]?.string, let words = site["name"]?.string?.split(separator: " "),
                words.count == 3, let dealer = Int(words[1])
            else { throw LabError("`tocsin apply` made a site without id or name") }
            return Place(
                site: id,
                dealer: dealer,
                isPlatformTriggered: words[0] == "Shop",
                device: site["devices"]?.array?.first?["device_id"]?.string
            )
        }
    }

    private static func description(_ receiver: WebhookSink) -> JSON {
        let scopes: [Scope] = [
            .eventsRead, .sitesRead, .armingWrite, .devicesRead, .devicesWrite, .alarmsWrite, .snapshotsRead,
            .snapshotsWrite,
        ]
        let list = (0..<dealers).map { dealer -> JSON in
            let endpoints = (0..<endpointsPerDealer).map { index -> JSON in
                [
                    "url": .string(receiver.url(endpoint: dealer * endpointsPerDealer + index)),
                    "events": JSON(events.map(\.rawValue)),
                    "retry_schedule": .array(retrySteps.map { JSON($0) }),
                ]
            }
            return [
                "name": .string("Dealer \(dealer)"),
                "apps": [
                    [
                        "name": .string("App \(dealer)"), "scopes": JSON(scopes.map(\.rawValue)),
                        "endpoints": .array(endpoints),
                    ]
                ],
            ]
        }
        let sites = (0..<dealers).flatMap { dealer in
            (0..<sitesPerKind).flatMap { [shop($0, of: dealer), panel($0, of: dealer)] }
        }
        return [
            "dealers": .array(list), "partners": [["name": "PanelCo", "arming_model": "partner_triggered"]],
            "sites": .array(sites),
        ]
    }

    /// A site that Tocsin arms: a back door, a camera, and somebody with a code.
    private static func shop(_ number: Int, of dealer: Int) -> JSON {
        [
            "name": .string("Shop \(dealer) \(number)"), "external_site_id": .string("shop-\(dealer)-\(number)"),
            "dealer": .string("Dealer \(dealer)"), "timezone": "UTC",
            "partitions": [
                [
                    "number": 1, "name": "Shop", "exit_delay_seconds": ["away": 1, "stay": 0, "night": 0],
                    "entry_delay_seconds": 2,
                ]
            ],
            "zones": [
                [
                    "number": JSON(backDoor), "name": "Back Door", "type": "perimeter", "kind": "contact",
                    "partitions": [1],
                ]
            ],
            "devices": [["name": "Hall camera", "type": "camera"]],
            "users": [["name": "Ann", "code": .string(code)]],
        ]
    }

    /// A site whose panel a partner knows.
    private static func panel(_ number: Int, of dealer: Int) -> JSON {
        [
            "name": .string("Panel \(dealer) \(number)"), "external_site_id": .string("panel-\(dealer)-\(number)"),
            "dealer": .string("Dealer \(dealer)"), "partner": "PanelCo", "timezone": "America/Chicago",
            "partitions": [
                [
                    "number": 1, "name": "Shop", "exit_delay_seconds": ["away": 0, "stay": 0, "night": 0],
                    "entry_delay_seconds": 2,
                ]
            ],
        ]
    }
}
