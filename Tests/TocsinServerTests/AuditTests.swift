import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

@Suite struct AuditTests {
    private static func actions(_ world: ServerWorld, _ query: String, as token: String) async throws -> [String] {
        let answer = try await world.send(.get, "/v1/audit\(query)", as: token)
        #expect(answer.status == 200, "\(answer.text)")
        return try #require(answer["data"]?.array).compactMap { $0["action"]?.string }
    }

    @Test func `an entry says who did what from where, and why it went as it went`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let admin = try await world.dealerAdmin(of: dealer)
            let headers = ["x-partner-trace-id": "trace-7"]
            let body: JSON = ["name": "Shop", "timezone": "UTC"]
            let made = try await world.send(.post, "/v1/sites", as: admin, body, headers: headers)
            let site = try made.string("site_id")
            let answer = try await world.send(.get, "/v1/audit?site_id=\(site)", as: admin)
            let entry = try #require(answer["data"]?.array?.first)
            #expect(entry["action"]?.string == "site.create")
            #expect(entry["actor"] == ["kind": "admin", "id": .string("tok_\(dealer)")])
            #expect(entry["target"]?.string == site)
            #expect(entry["result"]?.string == "ok")
            #expect(entry["cause"]?.string == "request")
            #expect(entry["trace_id"]?.string == "trace-7")
            #expect(entry["request_id"]?.string == made.headers[.requestID])
            #expect(entry["explanation"]?.string?.contains("Shop") == true)
        }
    }

    @Test func `entries are found by action, actor, site and time, newest first`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let path = "/v1/sites/\(scene.site)"
            _ = try await world.send(.patch, path, as: admin, ["name": "One"])
            world.clock.advance(.seconds(60))
            let since = world.clock.now
            _ = try await world.send(.patch, path, as: world.admin, ["name": "Two"])
            _ = try await world.send(.delete, "\(path)/partitions/\(scene.partition)", as: admin)

            #expect(try await Self.actions(world, "?action=site.change", as: admin) == ["site.change", "site.change"])
            let actor = "?actor_id=tok_\(scene.dealer)"
            #expect(try await Self.actions(world, actor, as: admin) == ["deletePartition", "site.change"])
            let time = "?since=\(since.rfc3339Seconds)"
            #expect(try await Self.actions(world, time, as: world.admin) == ["deletePartition", "site.change"])
            #expect(try await Self.actions(world, "?site_id=\(scene.site)&action=site.create", as: admin).count == 1)
            let refused = try await world.send(.get, "/v1/audit?action=deletePartition", as: admin)
            #expect(refused["data"]?.array?.first?["result"]?.string == "last_partition")

            let zoned = "?since=2026-05-26T12:00:00%2B02:00"
            #expect(try await world.send(.get, "/v1/audit\(zoned)", as: admin).code == "timestamp_not_utc")
            #expect(try await world.send(.get, "/v1/audit?since=now", as: admin).field == "since")
        }
    }

    @Test func `pages meet without gap or overlap, and everything comes as lines`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let admin = try await world.dealerAdmin(of: dealer)
            // More than one page of the export.
            for number in 0..<205 {
                let answer = try await world.send(
                    .patch,
                    "/v1/dealers/\(dealer)",
                    as: admin,
                    ["name": .string("A\(number)")]
                )
                #expect(answer.status == 200)
            }
            var ids: [Int64] = []
            var query = "?limit=100&action=dealer.change"
            while true {
                let answer = try await world.send(.get, "/v1/audit\(query)", as: admin)
                ids += try #require(answer["data"]?.array).compactMap { $0["audit_id"]?.integer }
                guard let next = answer["next_cursor"]?.string else { break }
                query = "?limit=100&action=dealer.change&cursor=\(next)"
            }
            #expect(ids.count == 205)
            #expect(ids == ids.sorted(by: >))

            let headers = ["Accept": "application/x-ndjson"]
            let export = try await world.send(.get, "/v1/audit?action=dealer.change", as: admin, headers: headers)
            #expect(export.headers[.contentType] == "application/x-ndjson")
            #expect(export.text.hasSuffix("}\n"))
            let lines = try export.text.split(separator: "\n").map { try JSONParser.parse(String($0)) }
            #expect(lines.compactMap { $0["audit_id"]?.integer } == ids)
        }
    }

    @Test func `a dealer's admin reads its own dealer's entries, and nobody else reads any`() async throws {
        try await ServerWorld.run { world in
            let (mine, theirs) = (try await world.scene("Mine"), try await world.scene("Theirs"))
            let admin = try await world.dealerAdmin(of: mine.dealer)
            let answer = try await world.send(.get, "/v1/audit", as: admin)
            let dealers = Set(try #require(answer["data"]?.array).map { $0["dealer_id"]?.string })
            #expect(dealers == [mine.dealer])
            #expect(try await Self.actions(world, "?site_id=\(theirs.site)", as: admin) == [])
            let headers = ["Accept": "application/x-ndjson"]
            let export = try await world.send(.get, "/v1/audit", as: admin, headers: headers)
            #expect(export.text.contains(mine.dealer) && !export.text.contains(theirs.dealer))
            #expect(try await Self.actions(world, "?action=site.create", as: world.admin).count == 2)
            let (_, key) = try await world.app(of: mine.dealer, Set(Scope.allCases))
            for token in [key, mine.partner.token] {
                #expect(try await world.send(.get, "/v1/audit", as: token).code == "permission_denied")
            }
        }
    }

    @Test func `no secret and no key is ever in the audit log`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let app = try await world.send(.post, "/v1/apps", as: admin, AppTests.body)
            let id = try app.string("app_id")
            let rotated = try await world.send(.post, "/v1/apps/\(id)/actions/rotate-key", as: admin)
            let endpoint = try await world.endpoint(ofApp: id, as: admin, ["headers": ["X-Api-Key": "top-secret"]])
            let secrets = [
                try app.string("api_key"), try rotated.string("api_key"), try endpoint.string("secret"), "top-secret",
                scene.partner.secret,
            ]
            let headers = ["Accept": "application/x-ndjson"]
            let export = try await world.send(.get, "/v1/audit", as: world.admin, headers: headers)
            #expect(export.text.contains("endpoint.create"))
            for secret in secrets { #expect(!export.text.contains(secret)) }
        }
    }
}
