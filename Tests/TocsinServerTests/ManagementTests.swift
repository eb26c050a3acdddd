import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct ManagementTests {
    @Test func `a dealer is created, read, changed and deleted, and each is audited`() async throws {
        try await ServerWorld.run { world in
            let id = try await world.dealer("Acme")
            #expect(
                try await world.send(.post, "/v1/dealers", as: world.admin, ["name": "Acme"]).code == "already_exists"
            )
            let path = "/v1/dealers/\(id)"
            #expect(try await world.send(.patch, path, as: world.admin, ["name": "Acme 2"])["name"]?.string == "Acme 2")
            #expect(try await world.send(.get, path, as: world.admin)["name"]?.string == "Acme 2")
            let audit = try await world.ledger.read { reader in
                try reader.audit(within: .platform, filter: AuditFilter(), page: PageRequest()).items.map(\.entry)
            }
            #expect(
                audit.map { "\($0.action) \($0.result)" }.reversed() == [
                    "dealer.create ok", "createDealer already_exists", "dealer.change ok",
                ]
            )
            #expect(audit.allSatisfy { $0.actor.id == "tok_root" && $0.requestID?.isEmpty == false })
            #expect(try await world.send(.delete, path, as: world.admin).status == 204)
            #expect(try await world.send(.get, path, as: world.admin).code == "dealer_not_found")
        }
    }

    @Test func `a list is read in pages that meet without gap or overlap`() async throws {
        try await ServerWorld.run { world in
            for number in 0..<7 { _ = try await world.dealer("Dealer \(number)") }
            var names: [String] = []
            var cursor: String?
            var pages = 0
            repeat {
                let suffix = cursor.map { "&cursor=\($0)" } ?? ""
                let page = try await world.send(.get, "/v1/dealers?limit=3\(suffix)", as: world.admin)
                names += page["data"]?.array?.compactMap { $0["name"]?.string } ?? []
                cursor = page["next_cursor"]?.string
                pages += 1
            } while cursor != nil
            #expect(Set(names).count == 7)
            #expect(names.count == 7)
            #expect(pages == 3)
        }
    }

    @Test func `a site is made with its partitions and defaults`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let made = try await world.send(
                .post,
                "/v1/sites",
                as: world.admin,
                [
                    "dealer_id": .string(dealer), "name": "Shop", "timezone": "Europe/Berlin", "address": "Here 1",
                    "partitions": [
                        ["number": 2, "name": "Store", "exit_delay_seconds": ["away": 45]],
                        ["number": 1, "name": "House", "entry_delay_seconds": 20],
                    ],
                ]
            )
            #expect(made.status == 201, "\(made.text)")
            #expect(made["arming_model"]?.string == "platform_triggered")
            #expect(made["test_mode"]?.bool == false)
            let partitions = try #require(made["partitions"]?.array)
            #expect(partitions.map { $0["number"]?.integer } == [1, 2])
            #expect(partitions[0]["entry_delay_seconds"]?.integer == 20)
            #expect(partitions[1]["exit_delay_seconds"]?["away"]?.integer == 45)
            #expect(partitions[1]["exit_delay_seconds"]?["stay"]?.integer == 30)
        }
    }

    @Test(
        arguments: [
            (["name": "Shop", "timezone": "Mars/Olympus"], 422, "timezone"),
            (["name": "Shop", "timezone": "GMT+3"], 422, "timezone"),
            (["name": "", "timezone": "UTC"], 422, "name"),
            (["timezone": "UTC"], 422, "name"),
            (["name": "Shop", "timezone": "UTC", "dealer_id": nil], 422, "dealer_id"),
            (["name": "Shop", "timezone": "UTC", "dealer_id": "dlr_unknown"], 404, "dealer_id"),
            (["name": "Shop", "timezone": "UTC", "partner_id": "prt_unknown"], 404, "partner_id"),
            (["name": "Shop", "timezone": "UTC", "partitions": []], 422, "partitions"),
            (
                [
                    "name": "Shop", "timezone": "UTC",
                    "partitions": [["number": 1, "name": "A"], ["number": 1, "name": "B"]],
                ], 422, "partitions[1].number"
            ),
            (
                [
                    "name": "Shop", "timezone": "UTC",
                    "partitions": [["number": 1, "name": "A", "entry_delay_seconds": 601]],
                ], 422, "partitions[0].entry_delay_seconds"
            ),
        ] as [(JSON, Int, String)]
    )
    func `a bad site is refused by name`(body: JSON, status: Int, field: String) async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            var object = body.object ?? [:]
            if object["dealer_id"] == nil { object["dealer_id"] = .string(dealer) }
            if object["dealer_id"] == .null { object["dealer_id"] = nil }
            let answer = try await world.send(.post, "/v1/sites", as: world.admin, .object(object))
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer.field == field)
            #expect(try await world.send(.get, "/v1/sites", as: world.admin)["data"]?.array?.isEmpty == true)
        }
    }

    @Test func `a change that names an old version is refused`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/sites/\(scene.site)"
            let tag = try #require(try await world.send(.get, path, as: world.admin).headers[.eTag])
            let first = try await world.send(.patch, path, as: world.admin, ["name": "A"], headers: ["If-Match": tag])
            #expect(first.status == 200)
            #expect(first.headers[.eTag] != tag)
            let second = try await world.send(.patch, path, as: world.admin, ["name": "B"], headers: ["If-Match": tag])
            #expect(second.status == 412)
            #expect(second.code == "version_conflict")
        }
    }

    @Test func `what is armed is deleted only by force`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            for path in ["/v1/sites/\(scene.site)", "/v1/dealers/\(scene.dealer)"] {
                let answer = try await world.send(.delete, path, as: world.admin)
                #expect(answer.status == 409)
                #expect(answer.code == "site_armed")
            }
            let forced = try await world.send(.delete, "/v1/sites/\(scene.site)?force=true", as: world.admin)
            #expect(forced.status == 204)
            #expect(try await world.report(scene).code == "site_not_found")
        }
    }

    @Test func `partitions are added, changed and deleted, but never the last`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/sites/\(scene.site)/partitions"
            let last = try await world.send(.delete, "\(path)/\(scene.partition)", as: world.admin)
            #expect(last.code == "last_partition")
            let body: JSON = ["number": 2, "name": "Store"]
            let id = try await world.send(.post, path, as: world.admin, body).string("partition_id")
            #expect(try await world.send(.post, path, as: world.admin, body).code == "already_exists")
            let changed = try await world.send(.patch, "\(path)/\(id)", as: world.admin, ["entry_delay_seconds": 5])
            #expect(changed["entry_delay_seconds"]?.integer == 5)
            #expect(try await world.send(.get, path, as: world.admin)["data"]?.array?.count == 2)
            #expect(try await world.report(scene)["partitions"]?.array?.count == 2)
            #expect(try await world.send(.delete, "\(path)/\(id)", as: world.admin).code == "site_armed")
            #expect(try await world.send(.delete, "\(path)/\(id)?force=true", as: world.admin).status == 204)
            #expect(try await world.send(.get, "\(path)/\(id)", as: world.admin).code == "partition_not_found")
        }
    }

    @Test func `a partner's model is fixed from its first site on, and the partner stays while it has sites`()
        async throws
    {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            let path = "/v1/partners/\(partner.id)"
            let other: JSON = ["arming_model": "platform_triggered"]
            #expect(try await world.send(.patch, path, as: world.admin, other).status == 200)
            let dealer = try await world.dealer("Acme")
            _ = try await world.site("Shop", dealer: dealer, partner: partner.id)
            let locked = try await world.send(.patch, path, as: world.admin, ["arming_model": "partner_triggered"])
            #expect(locked.code == "arming_model_locked")
            #expect(try await world.send(.delete, path, as: world.admin).code == "partner_has_sites")
            let linked = try await world.send(.get, "/v1/dealers/\(dealer)/partners", as: world.admin)
            #expect(linked["data"]?.array?.first?["partner_id"]?.string == partner.id)
        }
    }

    @Test func `health tells whether requests should come`() async throws {
        try await ServerWorld.run { world in
            #expect(try await world.send(.get, "/health/live")["status"]?.string == "live")
            #expect(try await world.send(.get, "/health/ready").status == 200)
            world.services.beginStopping()
            let stopping = try await world.send(.get, "/health/ready")
            #expect(stopping.status == 503)
            #expect(stopping.headers[.retryAfter] != nil)
            #expect(try await world.send(.head, "/health/live").text.isEmpty)
        }
    }
}
