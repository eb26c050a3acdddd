import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

extension ServerWorld {
    /// A shop that Tocsin arms itself: two partitions, three zones, three people, and an app that may do everything.
    struct Shop: Sendable {
        static let code = "4711"
        static let duressCode = "9119"
        /// May arm, not disarm.
        static let armingCode = "2580"

        var dealer: String
        var site: String
        var partitions: [String]
        var key: String

        var path: String { "/v1/sites/\(site)" }
    }

    func shop(_ name: String = "Acme", partner: String? = nil) async throws -> Shop {
        let dealer = try await dealer(name)
        let (_, key) = try await app(of: dealer, Set(Scope.allCases))
        return try await shop(name, of: dealer, key: key, partner: partner)
    }

    func shop(_ name: String, of dealer: String, key: String, partner: String? = nil) async throws -> Shop {
        var body: JSONObject = ["name": .string(name), "timezone": "America/Chicago", "dealer_id": .string(dealer)]
        body["partner_id"] = partner.map(JSON.string)
        body["partitions"] = [["number": 1, "name": "Sales"], ["number": 2, "name": "Office"]]
        let made = try await send(.post, "/v1/sites", as: admin, .object(body))
        #expect(made.status == 201, "\(made.text)")
        let shop = Shop(
            dealer: dealer,
            site: try made.string("site_id"),
            partitions: made["partitions"]?.array?.compactMap { $0["partition_id"]?.string } ?? [],
            key: key
        )
        try await settled()
        let zones: [JSON] = [
            ["number": 1, "name": "Front Door", "type": "exit_entry", "kind": "contact", "partitions": [1]],
            ["number": 5, "name": "Back Door", "type": "perimeter", "kind": "contact", "partitions": [1]],
            ["number": 9, "name": "Office Window", "type": "perimeter", "kind": "glass", "partitions": [2]],
        ]
        let users: [JSON] = [
            ["name": "Ann", "code": .string(Shop.code), "duress_code": .string(Shop.duressCode)],
            ["name": "Bob", "code": .string(Shop.armingCode), "rights": ["actions": ["arm"], "partitions": [1]]],
        ]
        for (path, bodies) in [("zones", zones), ("users", users)] {
            for body in bodies {
                let answer = try await send(.post, "\(shop.path)/\(path)", as: admin, body)
                #expect(answer.status == 201, "\(answer.text)")
                // Each at its own time, so that every shop has the same version.
                try await settled()
            }
        }
        return shop
    }

    /// Returns when the engine has looked at every site whose configuration was changed: each look is a version.
    func settled() async throws {
        while try await ledger.read({ reader in
            try reader.pendingDeadlines(after: nil, limit: 100).contains { $0.due == .reconfigured }
        }) {}
    }

    /// Sends a command as the shop's app, with Ann's code unless another one is given.
    func command(
        _ action: String,
        _ shop: Shop,
        _ body: JSONObject = [:],
        code: String? = Shop.code,
        as token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        var body = body
        body["user_code"] = code.map(JSON.string)
        if action == "arm", body["mode"] == nil { body["mode"] = "away" }
        return try await send(
            .post,
            "\(shop.path)/arming/actions/\(action)",
            as: token ?? shop.key,
            .object(body),
            headers: headers
        )
    }

    func signal(_ shop: Shop, _ zone: Int, _ kind: String, as token: String? = nil) async throws -> Answer {
        let body: JSON = [
            "zone": JSON(zone), "kind": .string(kind), "timestamp": .string(clock.now.rfc3339Milliseconds),
        ]
        return try await send(.post, "\(shop.path)/signals", as: token ?? shop.key, body)
    }

    func arming(_ shop: Shop, as token: String? = nil) async throws -> Answer {
        try await send(.get, "\(shop.path)/arming", as: token ?? shop.key)
    }

    func states(_ shop: Shop) async throws -> [String] {
        try await arming(shop)["partitions"]?.array?.compactMap { $0["state"]?.string } ?? []
    }
}

extension ServerWorld.Answer {
    /// A member of the reply's partition at that place.
    func partition(_ index: Int = 0, _ member: String) -> JSON? {
        guard let partitions = json["partitions"]?.array, index < partitions.count else { return nil }
        return partitions[index][member]
    }

    var reasons: [JSON] { json["error"]?["details"]?["reasons"]?.array ?? [] }
}
