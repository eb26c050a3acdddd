import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// Whatever is another tenant's does not exist.
@Suite struct TenancyTests {
    @Test func `other tenants' things are not found by anyone who is not theirs`() async throws {
        try await ServerWorld.run { world in
            let mine = try await world.scene("Mine")
            let theirs = try await world.scene("Theirs")
            let (_, appKey) = try await world.app(of: mine.dealer, Set(Scope.allCases))
            let dealerAdmin = try await world.dealerAdmin(of: mine.dealer)

            for token in [appKey, dealerAdmin, mine.partner.token] {
                let site = "/v1/sites/\(theirs.site)"
                let calls: [(HTTPRequest.Method, String, JSON?)] = [
                    (.get, site, nil),
                    (.patch, site, ["name": "Stolen"]),
                    (.delete, site, nil),
                    (.get, "\(site)/arming", nil),
                    (.get, "\(site)/partitions", nil),
                    (.post, "\(site)/partitions", ["number": 2, "name": "Stolen"]),
                    (.get, "\(site)/partitions/\(theirs.partition)", nil),
                    (.delete, "\(site)/partitions/\(theirs.partition)", nil),
                    (.post, "\(site)/arming-state", .object(world.reportBody())),
                ]
                for (method, path, body) in calls {
                    let answer = try await world.send(method, path, as: token, body)
                    #expect(answer.status == 404, "\(method) \(path) as \(token): \(answer.text)")
                    #expect(answer.code == "site_not_found")
                }
                let list = try await world.send(.get, "/v1/sites", as: token)
                #expect(list["data"]?.array?.compactMap { $0["site_id"]?.string } == [mine.site])
            }
            // A partition of another site is not one of this.
            let cross = "/v1/sites/\(mine.site)/partitions/\(theirs.partition)"
            #expect(try await world.send(.get, cross, as: world.admin).code == "partition_not_found")
        }
    }

    @Test func `a partner makes sites only for dealers that have linked it`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let partner = try await world.partner("PanelCo")
            let body: JSON = [
                "name": "Shop", "timezone": "UTC", "dealer_id": .string(dealer), "external_site_id": "s1",
            ]

            let refused = try await world.send(.post, "/v1/sites", as: partner.token, body)
            #expect(refused.code == "dealer_not_found")
            let admin = try await world.dealerAdmin(of: dealer)
            let link = "/v1/dealers/\(dealer)/partners/\(partner.id)"
            #expect(try await world.send(.put, link, as: admin).status == 204)
            let made = try await world.send(.post, "/v1/sites", as: partner.token, body)
            #expect(made.status == 201)
            #expect(made["partner_id"]?.string == partner.id)
            let twice = try await world.send(.post, "/v1/sites", as: partner.token, body)
            #expect(twice.status == 409)
            #expect(twice.field == "external_site_id")
            let found = try await world.send(.get, "/v1/sites?external_site_id=s1", as: partner.token)
            #expect(found["data"]?.array?.count == 1)

            #expect(try await world.send(.delete, link, as: admin).status == 204)
            let after: JSON = ["name": "Shop 2", "timezone": "UTC", "dealer_id": .string(dealer)]
            #expect(try await world.send(.post, "/v1/sites", as: partner.token, after).code == "dealer_not_found")
        }
    }

    @Test func `a dealer's admin is confined to the dealer, and an app to its scopes`() async throws {
        try await ServerWorld.run { world in
            let mine = try await world.dealer("Mine")
            let theirs = try await world.dealer("Theirs")
            let admin = try await world.dealerAdmin(of: mine)
            #expect(try await world.send(.get, "/v1/dealers/\(theirs)", as: admin).code == "dealer_not_found")
            #expect(try await world.send(.get, "/v1/dealers", as: admin)["data"]?.array?.count == 1)
            #expect(try await world.send(.post, "/v1/dealers", as: admin, ["name": "New"]).status == 403)
            let body: JSON = ["name": "Shop", "timezone": "UTC", "dealer_id": .string(theirs)]
            #expect(try await world.send(.post, "/v1/sites", as: admin, body).code == "dealer_not_found")

            let (_, key) = try await world.app(of: mine, [.sitesRead])
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            let denied = try await world.send(.post, "/v1/sites", as: key, ["name": "Shop", "timezone": "UTC"])
            #expect(denied.code == "permission_denied")
            #expect(denied["error"]?["message"]?.string?.contains("sites:write") == true)
        }
    }
}
