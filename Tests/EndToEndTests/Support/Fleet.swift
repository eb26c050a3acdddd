import TocsinJSON

/// The fleets that the tests apply: one dealer with one app, partners, and their sites.
enum Fleet {
    static let dealer = "Acme Security"
    static let app = "hooks"
    static let partner = "PanelCo"
    static let site = "Main Street 1"

    static let armingEvents = [
        "arming.state_changed", "arming.failed", "partition.armed", "partition.disarmed", "alarm.created",
    ]

    /// One site with one partition and a back door, and an endpoint for each address.
    static func one(hooks: [String] = [], retrySteps: [Int]? = nil) -> JSON {
        of(sites: [site(named: site)], hooks: hooks, retrySteps: retrySteps)
    }

    static func of(
        sites: [JSON],
        hooks: [String] = [],
        retrySteps: [Int]? = nil,
        dealers: [JSON] = [],
        partners: [JSON] = []
    ) -> JSON {
        let endpoints = hooks.map { url -> JSON in
            var endpoint = JSONObject()
            endpoint["url"] = .string(url)
            endpoint["events"] = JSON(armingEvents)
            endpoint["retry_schedule"] = retrySteps.map { .array($0.map { JSON($0) }) }
            return .object(endpoint)
        }
        let app: JSON = [
            "name": .string(app), "scopes": ["events:read", "sites:read"], "endpoints": .array(endpoints),
        ]
        return [
            "dealers": .array([["name": .string(dealer), "apps": [app]]] + dealers),
            "partners": .array([partner(named: partner)] + partners),
            "sites": .array(sites),
        ]
    }

    static func partner(named name: String) -> JSON {
        ["name": .string(name), "arming_model": "partner_triggered"]
    }

    static func site(
        named name: String,
        partitions: Int = 1,
        dealer: String = dealer,
        partner: String? = partner
    ) -> JSON {
        var site: JSONObject = [
            "name": .string(name), "external_site_id": .string(name), "dealer": .string(dealer),
        ]
        site["partner"] = partner.map(JSON.string)
        site["timezone"] = "America/Chicago"
        site["partitions"] = .array(
            (1...partitions).map { number in
                [
                    "number": JSON(number), "name": .string("Area \(number)"),
                    "exit_delay_seconds": ["away": 60, "stay": 30, "night": 0], "entry_delay_seconds": 30,
                ]
            }
        )
        site["zones"] = [
            ["number": 5, "name": "Back Door", "type": "exit_entry", "kind": "contact", "partitions": [1]]
        ]
        return .object(site)
    }
}
