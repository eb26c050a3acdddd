import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// What a scope hides is hidden on every way out, at once, also what went out before (decisions §2).
@Suite struct ScopeTests {
    /// Every way on which an app can be told of events, by what it is asked, and the sequences that it tells.
    private static func told(
        _ world: ServerWorld,
        _ app: String,
        endpoint: String,
        deliveries: [String]
    ) async throws -> [String: Set<Int64>] {
        var told: [String: Set<Int64>] = [:]
        for (way, query) in [("list", "?limit=200"), ("consumer", "?consumer=mine&limit=200")] {
            told[way] = Set(try await world.events(as: app, query).sequences)
        }
        let list = try await world.send(.get, "/v1/deliveries?endpoint_id=\(endpoint)&limit=200", as: app)
        told["deliveries"] = Set(list["data"]?.array?.compactMap { $0["sequence"]?.integer } ?? [])
        for delivery in deliveries {
            let answer = try await world.send(.get, "/v1/deliveries/\(delivery)", as: app)
            if let sequence = answer["sequence"]?.integer { told["delivery", default: []].insert(sequence) }
            if answer.status != 200 { #expect(answer.code == "delivery_not_found") }
        }
        return told
    }

    @Test func `tightening hides an event from lists, consumers, deliveries and attempts, and widening shows it`()
        async throws
    {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let relay = try await world.send(.post, "\(shop.path)/relays", as: shop.key, ["name": "Siren"])
            try await world.settled()
            let path = "/v1/relays/\(try relay.string("relay_id"))/activate"
            _ = try await world.send(.post, path, as: shop.key, ["duration_seconds": 5])
            _ = try await world.command("arm", shop, ["mode": "night"])
            let made = try await world.app(of: shop.dealer, [.eventsRead, .sitesRead])
            let endpoint = try await world.endpoint(ofApp: made.id.text, as: world.admin).string("endpoint_id")
            let dealer = DealerID(stored: shop.dealer)
            let events = try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 100) }
            #expect(Set(events.compactMap(\.type.requiredScope)) == [.eventsRead, .sitesRead])
            let endpointID = EndpointID(stored: endpoint)
            for (index, event) in events.enumerated() {
                // Some went out at once, some are tried again.
                let state: DeliveryState? = index % 2 == 0 ? nil : .retrying
                try await world.deliver(sequence: event.sequence, of: dealer, to: endpointID, state: state)
            }
            let deliveries = events.map { DeliveryID(of: $0.id, to: endpointID).text }
            let place: JSON = ["sequence": 0]
            _ = try await world.send(.put, "/v1/events/consumers/mine", as: made.key, place)

            for scopes in [[.eventsRead], [.sitesRead], [.devicesRead], [.eventsRead, .sitesRead]] as [Set<Scope>] {
                let body: JSON = ["scopes": JSON(scopes.map(\.rawValue).sorted())]
                let patched = try await world.send(.patch, "/v1/apps/\(made.id)", as: world.admin, body)
                #expect(patched.status == 200, "\(patched.text)")

                let covered = events.filter { $0.type.requiredScope.map(scopes.contains) ?? true }
                let told = try await Self.told(world, made.key, endpoint: endpoint, deliveries: deliveries)
                for way in ["list", "consumer", "deliveries", "delivery"] {
                    #expect(told[way, default: []] == Set(covered.map(\.sequence)), "\(way) with \(scopes)")
                }
            }
            // An app cannot widen itself, and who did is written down.
            let own = try await world.send(.patch, "/v1/apps/\(made.id)", as: made.key, ["scopes": ["sites:write"]])
            #expect(own.code == "permission_denied")
            let audit = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)
            let widened = audit["data"]?.array?.first { $0["details"]?["scopes_added"]?.array?.isEmpty == false }
            #expect(widened?["actor"]?["id"] == "tok_root")
        }
    }
}
