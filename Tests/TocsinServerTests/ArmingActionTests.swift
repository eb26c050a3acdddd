import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON

@testable import TocsinServer

/// Commands to a site that Tocsin arms itself (decisions §5).
@Suite struct ArmingActionTests {
    typealias Shop = ServerWorld.Shop

    @Test func `a user code arms, and the reply is what GET shows`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let reply = try await world.command("arm", shop)

            #expect(reply.status == 200, "\(reply.text)")
            #expect(reply["site_id"]?.string == shop.site)
            #expect(reply["arming_model"] == "platform_triggered")
            #expect(reply.partition(0, "state") == "arming_in_progress")
            #expect(reply.partition(0, "mode") == "away")
            #expect(reply.partition(0, "exit_delay_ends_at") == "2026-05-26T10:01:00.000Z")
            #expect(reply.partition(0, "by")?["name"] == "Ann")
            #expect(reply.partition(0, "by")?["method"] == "api")
            let shown = try await world.arming(shop)
            #expect(shown["partitions"] == reply["partitions"])
            #expect(shown.headers[.eTag] == reply.headers[.eTag])
            #expect(shown["zones"]?.array?.compactMap { $0["state"]?.string } == ["closed", "closed", "closed"])

            let skipped = try await world.command("skip-exit", shop)
            #expect(skipped.status == 200, "\(skipped.text)")
            #expect(try await world.states(shop) == ["armed_away", "armed_away"])
            let disarmed = try await world.command("disarm", shop)
            #expect(disarmed.partition(1, "state") == "disarmed")
        }
    }

    @Test func `one partition, by its id or number, is armed alone`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let first = try await world.command("arm", shop, ["mode": "night", "partition": 2])
            #expect(first["partitions"]?.array?.count == 1)
            #expect(first.partition(0, "state") == "armed_night")
            #expect(try await world.states(shop) == ["disarmed", "armed_night"])
            let target = JSON.string(shop.partitions[0])
            _ = try await world.command("arm", shop, ["mode": "stay", "instant_arm": true, "partition": target])
            #expect(try await world.states(shop) == ["armed_stay", "armed_night"])
            let unknown = try await world.command("arm", shop, ["partition": 7])
            #expect(unknown.status == 404)
            #expect(unknown.code == "partition_not_found")
        }
    }

    @Test func `without a code, or with a wrong one, an app and a partner may nothing; an admin needs none`()
        async throws
    {
        try await ServerWorld.run { world in
            let partner = try await world.partner("Cloud", model: "platform_triggered")
            let shop = try await world.shop(partner: partner.id)
            for token in [shop.key, partner.token] {
                for code in [nil, "0815", "not a code"] {
                    let answer = try await world.command("arm", shop, code: code, as: token)
                    #expect(answer.status == 403)
                    #expect(answer.code == "invalid_user_code")
                    #expect(answer.field == "user_code")
                    #expect(answer.json["error"]?["details"] == nil)
                }
            }
            #expect(try await world.states(shop) == ["disarmed", "disarmed"])
            #expect(try await world.command("arm", shop, as: partner.token).status == 200)
            #expect(try await world.command("disarm", shop, code: nil, as: world.admin).status == 200)
            #expect(try await world.states(shop) == ["disarmed", "disarmed"])
        }
    }

    @Test func `an open door refuses, with the reason and the remedy, and nothing changes`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            #expect(try await world.signal(shop, 5, "open").status == 202)
            let before = try await world.arming(shop)
            #expect(before.partition(0, "ready") == ["away": false, "stay": false, "night": false])
            #expect(before.partition(1, "ready") == ["away": true, "stay": true, "night": true])
            #expect(before.partition(0, "not_ready")?.array?.first?["message"] == "Cannot arm - Back Door is open")
            #expect(before.partition(0, "not_ready")?.array?.first?["modes"] == ["away", "stay", "night"])
            #expect(before["zones"]?.array?[1]["state"] == "open")

            let refused = try await world.command("arm", shop)

            #expect(refused.status == 409)
            #expect(refused.code == "arm_failed")
            let expected: JSON = [
                "code": "zone_open", "zone_number": 5, "zone_name": "Back Door",
                "message": "Cannot arm - Back Door is open", "remedy": "Close Back Door (zone 5) or bypass it",
            ]
            #expect(refused.reasons == [expected])
            #expect(try await world.states(shop) == ["disarmed", "disarmed"], "all partitions or none")

            let bypassed = try await world.command("arm", shop, ["bypass_zones": [5]])
            #expect(bypassed.status == 200, "\(bypassed.text)")
            #expect(bypassed.partition(0, "bypassed_zones") == [5])
            _ = try await world.command("disarm", shop)
            #expect(try await world.command("arm", shop, ["force_arm": true]).partition(0, "bypassed_zones") == [5])
            _ = try await world.command("disarm", shop)
            _ = try await world.signal(shop, 5, "closed")
            #expect(try await world.command("arm", shop).status == 200)
        }
    }

    @Test func `five wrong codes lock out their source and nobody else`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, other) = try await world.app(of: shop.dealer, [.armingWrite])
            for _ in 1...5 { #expect(try await world.command("disarm", shop, code: "0815").status == 403) }

            let locked = try await world.command("disarm", shop)

            #expect(locked.status == 429)
            #expect(locked.code == "user_code_locked")
            #expect(locked.headers[.retryAfter] == "300")
            #expect(try await world.command("disarm", shop, as: other).status == 200)
            world.clock.advance(.seconds(299))
            #expect(try await world.command("disarm", shop).headers[.retryAfter] == "1")
            world.clock.advance(.seconds(1))
            #expect(try await world.command("disarm", shop).status == 200)
        }
    }

    @Test func `a right that a user does not have is named`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let disarm = try await world.command("disarm", shop, code: Shop.armingCode)
            #expect(disarm.status == 403)
            #expect(disarm.code == "permission_denied")
            #expect(
                disarm.reasons.compactMap { $0["code"]?.string }.sorted()
                    == ["not_permitted_action", "not_permitted_action", "not_permitted_partition"]
            )
            let arm = try await world.command("arm", shop, code: Shop.armingCode)
            #expect(arm.status == 409)
            #expect(arm.reasons.map { $0["code"] } == ["not_permitted_partition"])
            let own = try await world.command("arm", shop, ["partition": 1], code: Shop.armingCode)
            #expect(own.status == 200, "\(own.text)")
        }
    }

    @Test(arguments: ["arm", "disarm", "skip-exit", "quick-exit", "silence"])
    func `a site whose partner holds the state takes no command`(action: String) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let (_, key) = try await world.app(of: scene.dealer, Set(Scope.allCases))
            let shop = Shop(dealer: scene.dealer, site: scene.site, partitions: [scene.partition], key: key)
            for token in [key, world.admin, scene.partner.token] {
                let answer = try await world.command(action, shop, as: token)
                #expect(answer.status == 409)
                #expect(answer.code == "arming_authority_conflict")
                #expect(answer.json["error"]?["message"]?.string?.contains("partner") == true)
            }
        }
    }

    @Test func `a command that names another version than the present one is refused`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let seen = try #require(try await world.arming(shop).headers[.eTag])
            _ = try await world.signal(shop, 5, "open")
            let present = try #require(try await world.arming(shop).headers[.eTag])
            #expect(seen != present)

            for wanted in [seen, "\"abc\"", "\"1\", \"2\""] {
                let late = try await world.command("arm", shop, headers: ["If-Match": wanted])
                #expect(late.status == 412, "\(wanted): \(late.text)")
                #expect(late.code == "version_conflict")
                #expect(late.json["error"]?["details"]?["version"]?.integer.map { "\"\($0)\"" } == present)
            }
            for wanted in [present, "*", "\(seen), \(present)"] {
                let version = wanted == present ? present : wanted
                let fresh = try await world.command("disarm", shop, headers: ["If-Match": version])
                // A command with a code is a change of its own: the next turn must name the version after it.
                #expect(fresh.status == (wanted.contains(seen) ? 412 : 200), "\(wanted): \(fresh.text)")
            }
        }
    }

    @Test func `another tenant's site is not found by whoever asks`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("Cloud", model: "platform_triggered")
            let shop = try await world.shop("Mine", partner: partner.id)
            let other = try await world.shop("Theirs")
            let stranger = try await world.partner("Other cloud", model: "platform_triggered")
            let foreignAdmin = try await world.dealerAdmin(of: other.dealer)
            for token in [other.key, stranger.token, foreignAdmin] {
                for action in ["arm", "disarm", "skip-exit", "quick-exit", "silence"] {
                    let answer = try await world.command(action, shop, as: token)
                    #expect(answer.status == 404)
                    #expect(answer.code == "site_not_found")
                }
                #expect(try await world.signal(shop, 5, "open", as: token).code == "site_not_found")
                let history = try await world.send(.get, "\(shop.path)/arming/history", as: token)
                #expect(history.code == "site_not_found")
            }
            #expect(try await world.arming(shop).partition(0, "ready") == ["away": true, "stay": true, "night": true])
            let (_, reader) = try await world.app(of: shop.dealer, [.sitesRead, .sitesWrite])
            #expect(try await world.command("arm", shop, as: reader).code == "permission_denied")
            #expect(try await world.signal(shop, 5, "open", as: reader).code == "permission_denied")
        }
    }

    @Test func `what cannot be done now is told as such`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let skip = try await world.command("skip-exit", shop)
            #expect(skip.status == 409)
            #expect(skip.code == "invalid_transition")
            #expect(try await world.command("quick-exit", shop).code == "invalid_transition")
            #expect(try await world.command("silence", shop).status == 200)
            _ = try await world.command("arm", shop, ["mode": "night"])
            #expect(try await world.command("quick-exit", shop).status == 200)
            #expect(try await world.states(shop) == ["arming_in_progress", "arming_in_progress"])
        }
    }

    @Test(
        arguments: [
            (#"{}"#, "mode"), (#"{"mode":"vacation"}"#, "mode"), (#"{"mode":1}"#, "mode"),
            (#"{"mode":"away","custom_mode":"vacation"}"#, "custom_mode"),
            (#"{"mode":"custom","custom_mode":"stay"}"#, "custom_mode"),
            (#"{"mode":"away","partition":"north"}"#, "partition"), (#"{"mode":"away","partition":0}"#, "partition"),
            (#"{"mode":"away","bypass_zones":[0]}"#, "bypass_zones[0]"),
            (#"{"mode":"away","bypass_zones":5}"#, "bypass_zones"),
            (#"{"mode":"away","force_arm":"yes"}"#, "force_arm"), (#"{"mode":"away","user_code":4711}"#, "user_code"),
            (#"{"mode":"away","user_code":""}"#, "user_code"), (#"[]"#, ""),
        ]
    )
    func `bad input names its field`(body: String, field: String) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = "\(shop.path)/arming/actions/arm"
            let answer = try await world.send(.post, path, as: world.admin, bytes: Array(body.utf8))
            #expect(answer.status == 422, "\(answer.text)")
            #expect(answer.field ?? "" == field)
            #expect(!answer.text.contains("4711"))
        }
    }

    @Test func `a custom mode that a partition does not have is a reason`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let answer = try await world.command("arm", shop, ["mode": "custom", "custom_mode": "vacation"])
            #expect(answer.status == 409, "\(answer.text)")
            #expect(answer.reasons.first?["code"] == "mode_not_configured")
        }
    }

    @Test func `a repetition gets the first reply again, and a refusal may be tried again`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let key = ["Idempotency-Key": "k1"]
            _ = try await world.signal(shop, 5, "open")
            #expect(try await world.command("arm", shop, headers: key).status == 409)
            _ = try await world.signal(shop, 5, "closed")
            let armed = try await world.command("arm", shop, headers: key)
            #expect(armed.status == 200)
            _ = try await world.command("disarm", shop)

            let again = try await world.command("arm", shop, headers: key)

            #expect(again.status == 200)
            #expect(again.text == armed.text)
            #expect(again.headers[.idempotencyReplayed] == "true")
            #expect(try await world.states(shop) == ["disarmed", "disarmed"])
            let other = try await world.command("arm", shop, code: Shop.armingCode, headers: key)
            #expect(other.code == "idempotency_conflict")
        }
    }

    @Test func `of two commands at once both are answered in one order, and If-Match lets one win`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            for round in 1...5 {
                let version = try #require(try await world.arming(shop).headers[.eTag])
                async let first = world.command("arm", shop, ["mode": "night"], headers: ["If-Match": version])
                async let second = world.command("disarm", shop, headers: ["If-Match": version])
                let answers = try await [first, second]
                #expect(answers.map(\.status).sorted() == [200, 412], "round \(round)")
                let loser = try #require(answers.first { $0.status == 412 })
                let winner = try #require(answers.first { $0.status == 200 })
                let met = loser.json["error"]?["details"]?["version"]?.integer
                #expect(met.map { "\"\($0)\"" } == winner.headers[.eTag], "the loser sees what the winner left")
            }
            _ = try await world.command("disarm", shop)
            // Without a version both are carried out, one after the other: the state is that of the later version.
            async let arm = world.command("arm", shop, ["mode": "night"])
            async let disarm = world.command("disarm", shop)
            let answers = try await [arm, disarm]
            let versions = answers.compactMap { $0.headers[.eTag] }
            #expect(Set(versions).count == 2)
            let shown = try await world.arming(shop)
            let last = try #require(answers.first { $0.headers[.eTag] == shown.headers[.eTag] })
            #expect(last["partitions"] == shown["partitions"])
        }
    }
}

/// Replies to commands with a code leave on a grid of time.
@Suite struct CodePacingTests {
    @Test(
        arguments: [(0, 50), (1, 50), (49_999, 50), (50_000, 50), (50_001, 100), (149_000, 150)] as [(Int64, Int64)]
    )
    func `the release is the first step of the grid that is not past`(elapsed: Int64, release: Int64) {
        #expect(CodePacing.release(after: .microseconds(elapsed)) == .milliseconds(release))
    }

    @Test func `success and refusal alike wait for the grid`() async throws {
        struct Refused: Error {}
        let started = ContinuousClock.now
        try await CodePacing().paced {}
        #expect(started.duration(to: .now) >= CodePacing.step)
        let again = ContinuousClock.now
        await #expect(throws: Refused.self) { try await CodePacing().paced { throw Refused() } }
        #expect(again.duration(to: .now) >= CodePacing.step)
    }
}
