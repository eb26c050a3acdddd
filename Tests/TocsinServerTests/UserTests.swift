import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct UserTests {
    /// A dealer with a site that Tocsin arms itself, and the path of its users.
    private static func shop(_ world: ServerWorld) async throws -> (dealer: String, site: String, users: String) {
        let dealer = try await world.dealer("Acme")
        let site = try await world.site("Shop", dealer: dealer).string("site_id")
        return (dealer, site, "/v1/sites/\(site)/users")
    }

    @Test func `a user is made with a code that is never shown, changed, and deleted`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let made = try await world.send(
                .post,
                shop.users,
                as: world.admin,
                [
                    "name": "Ann", "email": "ann@example.test", "code": "4711", "duress_code": "8090",
                    "rights": ["partitions": [1], "modes": ["stay", "away"], "actions": ["disarm", "arm"]],
                    "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00+00:00",
                    "windows": [["days": ["mon", "tue"], "from": "06:00", "to": "22:00"]], "maximum_uses": 10,
                ]
            )
            #expect(made.status == 201, "\(made.text)")
            #expect(made["has_code"]?.bool == true && made["has_duress_code"]?.bool == true)
            #expect(made["rights"]?["modes"]?.array == ["away", "stay"])
            #expect(made["valid_until"]?.string == "2027-01-01T00:00:00Z")
            let id = try made.string("user_id")
            let shown = try await world.send(.get, "\(shop.users)/\(id)", as: world.admin)
            #expect(shown.json == made.json)
            for text in [made.text, shown.text] { #expect(!text.contains("4711") && !text.contains("hash")) }

            let engine = try await world.ledger.load([SiteID(stored: shop.site)])
            let ann = try #require(engine[SiteID(stored: shop.site)]?.configuration.users.first)
            #expect(ann.partitions == [1] && ann.maximumUses == 10 && ann.windows?.count == 1)

            let path = "\(shop.users)/\(id)"
            let changed = try await world.send(
                .patch,
                path,
                as: world.admin,
                ["name": "Anne", "duress_code": nil, "rights": nil, "maximum_uses": nil, "one_time": true]
            )
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed["has_code"]?.bool == true && changed["has_duress_code"]?.bool == false)
            #expect(changed["rights"] == nil && changed["one_time"]?.bool == true)
            #expect(try await world.send(.delete, path, as: world.admin).status == 204)
            #expect(try await world.send(.get, path, as: world.admin).code == "user_not_found")
            let audit = try await world.send(.get, "/v1/audit?site_id=\(shop.site)", as: world.admin)
            let actions = try #require(audit["data"]?.array).compactMap { $0["action"]?.string }
            #expect(actions.prefix(3) == ["user.delete", "user.change", "user.create"])
            #expect(!audit.text.contains("4711") && !audit.text.contains("8090"))
        }
    }

    @Test func `taken, weak and neighbouring codes are refused in the same words`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let ann: JSON = ["name": "Ann", "code": "4711", "duress_code": "8090"]
            let made = try await world.send(.post, shop.users, as: world.admin, ann)
            #expect(made.status == 201)
            var messages: Set<String> = []
            for (code, duress, field) in [
                ("4711", nil, "code"), ("8090", nil, "code"), ("8091", nil, "code"), ("1234", nil, "code"),
                ("0000", nil, "code"), ("471", nil, "code"), ("471108151", nil, "code"), ("47a1", nil, "code"),
                ("5000", "4710", "duress_code"), ("5000", "8090", "duress_code"), ("5000", "5001", "duress_code"),
                ("5000", "5000", "duress_code"), (nil, "4711", "duress_code"),
            ] as [(String?, String?, String)] {
                var body: JSONObject = ["name": "Bob"]
                body["code"] = code.map(JSON.string)
                body["duress_code"] = duress.map(JSON.string)
                let answer = try await world.send(.post, shop.users, as: world.admin, .object(body))
                #expect(answer.status == 422 && answer.code == "user_code_unacceptable", "\(answer.text)")
                #expect(answer.field == field, "\(answer.text)")
                messages.insert(try #require(answer["error"]?["message"]?.string))
            }
            #expect(messages.count == 1)
            let bob: JSON = ["name": "Bob", "code": "4712", "duress_code": "8095"]
            #expect(try await world.send(.post, shop.users, as: world.admin, bob).status == 201)

            // One's own codes are no obstacle to those that replace them.
            let path = "\(shop.users)/\(try made.string("user_id"))"
            for change in [["code": "4711"], ["code": "8090", "duress_code": "4715"], ["duress_code": "4714"]]
                as [JSON]
            {
                let changed = try await world.send(.patch, path, as: world.admin, change)
                #expect(changed.status == 200, "\(changed.text)")
            }
            let taken = try await world.send(.patch, path, as: world.admin, ["duress_code": "8091"])
            #expect(taken.code == "user_code_unacceptable")

            let other = try await world.site("Bar", dealer: shop.dealer).string("site_id")
            #expect(try await world.send(.post, "/v1/sites/\(other)/users", as: world.admin, ann).status == 201)
        }
    }

    @Test func `a site does not take a profile that asks for longer codes than its people have`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let site = SiteID(stored: shop.site)
            let users: [JSON] = [
                ["name": "Ann", "code": "471108"], ["name": "Bob", "code": "258046", "duress_code": "8090"],
                ["name": "Eva"], ["name": "Old", "code": "802571"],
            ]
            var paths: [String: String] = [:]
            for user in users {
                let made = try await world.send(.post, shop.users, as: world.admin, user)
                #expect(made.status == 201, "\(made.text)")
                paths[try made.string("name")] = "\(shop.users)/\(try made.string("user_id"))"
                #expect(!made.text.contains("digits"))
            }
            // As it was kept before lengths were.
            try await world.ledger.write { transaction in
                let stored = try transaction.fixtures(of: site, kind: .user, within: .platform)
                guard var old = stored.first(where: { $0.name == "Old" }) else { return }
                old.settings["code_digits"] = nil
                try transaction.update(old)
            }
            func switched() async throws -> ServerWorld.Answer {
                let body: JSON = ["compliance_profile": "en_g3"]
                return try await world.send(.patch, "/v1/sites/\(shop.site)", as: world.admin, body)
            }
            let refused = try await switched()
            #expect(refused.status == 422 && refused.field == "compliance_profile", "\(refused.text)")
            #expect(refused.text.contains("a code of Bob, Old has fewer than 6 digits"), "\(refused.text)")
            let bob = try await world.send(.patch, try #require(paths["Bob"]), as: world.admin, ["duress_code": nil])
            #expect(bob.status == 200, "\(bob.text)")
            #expect(try await switched().status == 422)
            let old = try await world.send(.patch, try #require(paths["Old"]), as: world.admin, ["code": "802571"])
            #expect(old.status == 200, "\(old.text)")
            #expect(try await switched().status == 200)
        }
    }

    @Test func `ten thousand users are listed page by page, by name`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let site = SiteID(stored: shop.site)
            try await world.ledger.write { transaction in
                for number in 0..<SiteParts.maximumPerSite {
                    let name = "User \(10_000 + (number * 7919) % 10_000)"
                    let user = Fixture(
                        id: "usr_\(number)",
                        siteID: site,
                        kind: .user,
                        number: nil,
                        name: name,
                        settings: [:]
                    )
                    try transaction.insert(user)
                }
            }
            var names: [String] = []
            var cursor: String?
            repeat {
                let after = cursor.map { "&cursor=\($0)" } ?? ""
                let page = try await world.send(.get, "\(shop.users)?limit=200\(after)", as: world.admin)
                names += page["data"]?.array?.compactMap { $0["name"]?.string } ?? []
                cursor = page["next_cursor"]?.string
            } while cursor != nil && names.count < 20_000
            #expect(names == (0..<10_000).map { "User \(10_000 + $0)" })
        }
    }

    @Test func `a profile may ask for longer codes`() async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            let patched = try await world.send(
                .patch,
                "/v1/sites/\(shop.site)",
                as: world.admin,
                ["compliance_profile": "en_g3"]
            )
            #expect(patched.status == 200, "\(patched.text)")
            let short = try await world.send(.post, shop.users, as: world.admin, ["name": "Ann", "code": "4711"])
            #expect(short.code == "user_code_unacceptable")
            #expect(short["error"]?["message"]?.string?.contains("6 to 8 digits") == true)
            let long = try await world.send(.post, shop.users, as: world.admin, ["name": "Ann", "code": "471108"])
            #expect(long.status == 201)
        }
    }

    @Test(
        arguments: [
            (["email": "ann"], "email", "validation_failed"),
            (["rights": ["partitions": [2]]], "rights.partitions[0]", "validation_failed"),
            (["rights": ["modes": ["vacation"]]], "rights.modes[0]", "validation_failed"),
            (["valid_from": "2026-01-01"], "valid_from", "validation_failed"),
            (["valid_from": "2026-01-01T00:00:00+02:00"], "valid_from", "timestamp_not_utc"),
            (
                ["valid_from": "2026-01-02T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"], "valid_until",
                "validation_failed"
            ),
            (["windows": [["from": "6:00", "to": "22:00"]]], "windows[0].from", "validation_failed"),
            (["windows": [["from": "06:00", "to": "24:00"]]], "windows[0].to", "validation_failed"),
            (["one_time": true, "maximum_uses": 2], "maximum_uses", "validation_failed"),
            (["maximum_uses": 0], "maximum_uses", "validation_failed"),
        ] as [(JSONObject, String, String)]
    )
    func `a setting that cannot be is refused by its field`(
        changes: JSONObject,
        field: String,
        code: String
    ) async throws {
        try await ServerWorld.run { world in
            let shop = try await Self.shop(world)
            var body: JSONObject = ["name": "Ann"]
            for member in changes.members { body[member.name] = member.value }
            let answer = try await world.send(.post, shop.users, as: world.admin, .object(body))
            #expect(answer.status == 422 && answer.code == code, "\(answer.text)")
            #expect(answer.field == field)
        }
    }

    @Test func `on a partner's site codes and schedules are the partner's`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let site = "/v1/sites/\(scene.site)"
            let code = try await world.send(
                .post,
                "\(site)/users",
                as: world.admin,
                ["name": "Ann", "code": "4711"]
            )
            #expect(code.status == 409 && code.code == "arming_authority_conflict", "\(code.text)")
            let plain = try await world.send(.post, "\(site)/users", as: world.admin, ["name": "Ann"])
            #expect(plain.status == 201)
            let path = "\(site)/users/\(try plain.string("user_id"))"
            let later = try await world.send(.patch, path, as: world.admin, ["duress_code": "4711"])
            #expect(later.code == "arming_authority_conflict")
            let schedule = try await world.send(
                .post,
                "\(site)/schedules",
                as: world.admin,
                ["partition": 1, "arm": "away", "at": "18:00"]
            )
            #expect(schedule.code == "arming_authority_conflict")
        }
    }

    @Test func `a partner and a reader do not reach codes`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let partner = try await world.partner("Clouds", model: "platform_triggered")
            let site = try await world.site("Shop", dealer: dealer, partner: partner.id).string("site_id")
            let users = "/v1/sites/\(site)/users"
            let made = try await world.send(.post, users, as: world.admin, ["name": "Ann", "code": "4711"])
            let path = "\(users)/\(try made.string("user_id"))"
            let (_, reader) = try await world.app(of: dealer, [.sitesRead])
            for token in [partner.token, reader] {
                let body: JSON = ["name": "Bob"]
                #expect(try await world.send(.post, users, as: token, body).code == "permission_denied")
                #expect(try await world.send(.patch, path, as: token, body).code == "permission_denied")
                #expect(try await world.send(.delete, path, as: token).code == "permission_denied")
            }
            #expect(try await world.send(.get, path, as: reader)["has_code"]?.bool == true)
            let seen = try await world.send(.get, path, as: partner.token)
            #expect(seen["name"]?.string == "Ann" && seen["has_code"] == nil)
            // The schedules of its sites are the partner's to set.
            let rule: JSON = ["partition": 1, "disarm": true, "at": "07:30"]
            let schedule = try await world.send(.post, "/v1/sites/\(site)/schedules", as: partner.token, rule)
            #expect(schedule.status == 201, "\(schedule.text)")
        }
    }
}
