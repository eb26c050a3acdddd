import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

/// Sites that Tocsin arms itself, as a fleet file describes them, and an app that is their keypad.
enum ShopFleet {
    /// Long enough not to occur by chance in a ledger's bytes.
    static let code = "48159263"
    static let duressCode = "90517346"
    static let wrongCode = "31972864"
    static let keypad = "keypad"

    static func of(_ sites: [JSON], hooks: [String] = []) -> JSON {
        let endpoints = hooks.map { url -> JSON in
            [
                "url": .string(url),
                "events": ["arming.state_changed", "partition.armed", "partition.disarmed", "alarm.created"],
            ]
        }
        let keypad: JSON = [
            "name": .string(keypad), "scopes": ["arming:write", "devices:write", "sites:read"],
        ]
        let listener: JSON = [
            "name": .string(Fleet.app), "scopes": ["events:read", "sites:read"], "endpoints": .array(endpoints),
        ]
        return [
            "dealers": [["name": .string(Fleet.dealer), "apps": [keypad, listener]]], "sites": .array(sites),
        ]
    }

    /// A shop with a front door to leave by, and a back door that must be closed.
    static func shop(_ name: String = Fleet.site, exitSeconds: Int = 2, partitions: Int = 1) -> JSON {
        [
            "name": .string(name), "external_site_id": .string(name), "dealer": .string(Fleet.dealer),
            "timezone": "America/Chicago",
            "partitions": .array(
                (1...partitions).map { number in
                    [
                        "number": JSON(number), "name": .string("Area \(number)"),
                        "exit_delay_seconds": ["away": JSON(exitSeconds), "stay": 30, "night": 0],
                        "entry_delay_seconds": 30,
                    ]
                }
            ),
            "zones": [
                ["number": 1, "name": "Front Door", "type": "exit_entry", "kind": "contact", "partitions": [1]],
                ["number": 5, "name": "Back Door", "type": "perimeter", "kind": "contact", "partitions": [1]],
            ],
            "users": [["name": "Ann", "code": .string(code), "duress_code": .string(duressCode)]],
        ]
    }
}

/// One such site, and somebody at its keypad.
struct ShopKeypad: Sendable {
    var api: API
    var site: String

    func command(_ action: String, _ body: JSONObject = [:], code: String = ShopFleet.code) async throws -> Reply {
        var body = body
        body["user_code"] = .string(code)
        if action == "arm", body["mode"] == nil { body["mode"] = "away" }
        return try await api.post("/v1/sites/\(site)/arming/actions/\(action)", .object(body))
    }

    func signal(_ zone: Int, _ kind: String) async throws {
        try await api.expect(202, .POST, "/v1/sites/\(site)/signals", Self.signal(zone, kind, at: Date()))
    }

    static func signal(_ zone: Int, _ kind: String, at date: Date, id: String? = nil) -> JSON {
        var signal: JSONObject = [
            "zone": JSON(zone), "kind": .string(kind),
            "timestamp": .string(date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))),
        ]
        signal["signal_id"] = id.map(JSON.string)
        return .object(signal)
    }

    /// The site's only partition.
    func partition() async throws -> JSON {
        let arming = try await api.expect(200, .GET, "/v1/sites/\(site)/arming")
        return try #require(arming["partitions"]?.array?.first)
    }

    /// The history, oldest first.
    func history() async throws -> [JSON] {
        let page = try await api.expect(200, .GET, "/v1/sites/\(site)/arming/history")
        return (page["data"]?.array ?? []).reversed()
    }

    func becomes(_ state: String) async throws {
        try await eventually("the state \(state)") { try await partition()["state"]?.string == state }
    }
}

extension Installation {
    func keypad(_ server: Server, _ site: String = Fleet.site) throws -> ShopKeypad {
        ShopKeypad(api: server.api(try apiKey(ShopFleet.keypad)), site: try siteID(site))
    }

    /// Whether any file of the data directory holds the text.
    func dataHolds(_ text: String) throws -> Bool {
        let wanted = Data(text.utf8)
        let names = try FileManager.default.subpathsOfDirectory(atPath: data.path)
        return try names.map { data.appendingPathComponent($0) }
            .filter { (try $0.resourceValues(forKeys: [.isRegularFileKey])).isRegularFile == true }
            .contains { try Data(contentsOf: $0).range(of: wanted) != nil }
    }
}
