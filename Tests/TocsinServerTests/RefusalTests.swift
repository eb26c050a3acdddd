import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// What the audit log keeps of refusals (decisions §10).
@Suite struct RefusalTests {
    private static func entries(_ world: ServerWorld, _ query: String = "") async throws -> [JSON] {
        let answer = try await world.send(.get, "/v1/audit?limit=200\(query)", as: world.admin)
        return try #require(answer["data"]?.array)
    }

    /// What an app of the shop tries, and how it is refused.
    struct Attempt: Sendable, CustomTestStringConvertible {
        var method: HTTPRequest.Method = .post
        var path: String
        var body: JSON?
        var scopes: Set<Scope>
        var headers: [String: String] = [:]
        var result: String
        var action: String
        var isAtSite = true

        var testDescription: String { "\(method) \(path) \(result)" }
    }

    static let attempts = [
        Attempt(
            path: "/v1/alarms/A-1/acknowledge",
            body: [:],
            scopes: [.eventsRead],
            result: "permission_denied",
            action: "acknowledgeAlarm",
            isAtSite: false
        ),
        Attempt(
            method: .get,
            path: "SITE/users",
            scopes: [.eventsRead],
            result: "permission_denied",
            action: "listSiteUsers"
        ),
        Attempt(
            path: "/v1/alarms/A-77/acknowledge",
            body: [:],
            scopes: [.eventsWrite],
            result: "alarm_not_found",
            action: "acknowledgeAlarm",
            isAtSite: false
        ),
        Attempt(
            path: "/v1/alarms/A-1/dispatch",
            body: ["responder_id": "g", "responder_type": "guard"],
            scopes: [.alarmsWrite],
            result: "validation_failed",
            action: "dispatchAlarm",
            isAtSite: false
        ),
        Attempt(
            path: "/v1/relays/rel_none/activate",
            body: ["duration_seconds": 5],
            scopes: [.relaysWrite],
            result: "relay_not_found",
            action: "activateRelay",
            isAtSite: false
        ),
        Attempt(
            path: "/v1/devices/dev_none/heartbeat",
            scopes: [.devicesWrite],
            result: "device_not_found",
            action: "postHeartbeat",
            isAtSite: false
        ),
        Attempt(
            path: "/v1/devices/heartbeats",
            body: ["device_ids": ["dev_1"], "timestamp": "2999-01-01T00:00:00Z"],
            scopes: [.devicesWrite],
            result: "timestamp_in_future",
            action: "postHeartbeats",
            isAtSite: false
        ),
        Attempt(
            path: "/v1/devices/dev_none/snapshots",
            scopes: [.snapshotsWrite],
            headers: ["Content-Type": "image/png"],
            result: "device_not_found",
            action: "postSnapshot",
            isAtSite: false
        ),
        Attempt(
            path: "SITE/signals",
            body: ["zone": 5, "kind": "ajar"],
            scopes: [.devicesWrite],
            result: "validation_failed",
            action: "postSignals"
        ),
        Attempt(
            method: .patch,
            path: "SITE",
            body: ["name": "New"],
            scopes: [.sitesWrite],
            headers: ["If-Match": "\"999\""],
            result: "version_conflict",
            action: "patchSite"
        ),
        Attempt(
            path: "SITE/schedules/sch_none/actions/skip",
            scopes: [.sitesWrite],
            result: "schedule_not_found",
            action: "skipSchedule"
        ),
        Attempt(
            path: "SITE/arming/actions/disarm",
            body: "4711",
            scopes: [.armingWrite],
            result: "validation_failed",
            action: "disarmSite"
        ),
    ]

    @Test(arguments: attempts)
    func `what a caller tried in vain is audited once, with who and where`(attempt: Attempt) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, attempt.scopes)
            let path = attempt.path.replacing("SITE", with: shop.path)
            let before = try await world.counts()
            let refused = try await world.send(attempt.method, path, as: key, attempt.body, headers: attempt.headers)
            #expect(refused.code == attempt.result, "\(refused.text)")
            let entries = try await Self.entries(world, "&actor_id=\(app)")
            #expect(entries.count == 1, "\(entries)")
            let entry = try #require(entries.first)
            #expect(entry["action"]?.string == attempt.action)
            #expect(entry["result"]?.string == attempt.result)
            #expect(entry["actor"] == ["kind": "app", "id": .string(app.text)])
            #expect(entry["dealer_id"]?.string == shop.dealer)
            #expect(entry["site_id"]?.string == (attempt.isAtSite ? shop.site : nil))
            #expect(entry["request_id"]?.string == refused.headers[.requestID])
            #expect(entry["text"] == nil && entry["details"]?["body"] == nil)
            let after = try await world.counts()
            #expect(after.filter { $0.key != "audit" } == before.filter { $0.key != "audit" })
        }
    }

    @Test func `strangers, reads, and requests for nothing we have write nothing`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let before = try await Self.entries(world).count
            let path = "\(shop.path)/arming/actions/disarm"
            #expect(try await world.send(.post, path, ["user_code": "4711"]).status == 401)
            #expect(try await world.send(.post, path, as: "tcs_live_wrong", ["user_code": "4711"]).status == 401)
            #expect(try await world.send(.get, "/v1/alarms/A-9", as: shop.key).status == 404)
            #expect(try await world.send(.get, "/v1/alarms?limit=0", as: shop.key).status == 422)
            #expect(try await world.send(.post, "/v1/nothing", as: shop.key, [:]).status == 404)
            #expect(try await world.send(.put, shop.path, as: shop.key, [:]).status == 405)
            #expect(try await Self.entries(world).count == before)
        }
    }

    @Test func `a good key from an address off its list is audited`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let (app, key) = try await world.app(of: dealer, [.sitesRead], allowing: ["192.0.2.7"])
            #expect(try await world.send(.get, "/v1/sites", as: key).code == "permission_denied")
            let entries = try await Self.entries(world, "&actor_id=\(app)")
            #expect(entries.compactMap { $0["result"]?.string } == ["permission_denied"])
        }
    }

    /// A body may hold a code or a secret anywhere, in the name of a member too.
    @Test func `nothing of a body is written down`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, Set(Scope.allCases))
            let secrets = ["83511938", "hunter2", "Kennwort9"]
            let strict = ["Prefer": "handling=strict"]
            let bodies: [(String, String)] = [
                ("arming/actions/arm", #"{"mode":"custom","custom_mode":"away","user_code":83511938}"#),
                ("arming/actions/arm", #"{"mode":"away","custom_mode":"hunter2","user_code":"83511938"}"#),
                ("arming/actions/disarm", #"{"83511938":1}"#), ("arming/actions/disarm", #"{"user_code":"83511938""#),
                ("users", #"{"name":"Kennwort9","code":"83511938x"}"#), ("users", #"{"name":["hunter2"]}"#),
                ("zones", #"{"number":83511938,"name":"x"}"#), ("relays", #"{"name":"x","actuator":"Kennwort9"}"#),
            ]
            for (path, body) in bodies {
                let bytes = Array(body.utf8)
                let path = "\(shop.path)/\(path)"
                let refused = try await world.send(.post, path, as: key, bytes: bytes, headers: strict)
                #expect((400..<500).contains(refused.status), "\(refused.text)")
            }
            let entries = try await Self.entries(world, "&actor_id=\(app)")
            #expect(entries.count == bodies.count)
            for secret in secrets { #expect(!JSON.array(entries).text.contains(secret)) }
        }
    }

    @Test func `what the site has refused itself is audited by it alone`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await world.command("disarm", shop, code: "0815")
            _ = try await world.command("disarm", shop, headers: ["If-Match": "\"999\""])
            _ = try await world.command("disarm", shop, ["partition": 7])
            let actions = try await Self.entries(world, "&site_id=\(shop.site)").prefix(3)
                .map { "\($0["action"]?.string ?? "") \($0["result"]?.string ?? "")" }
            #expect(
                actions == [
                    "arming.disarm partition_not_found", "arming.disarm version_conflict",
                    "arming.disarm invalid_user_code",
                ]
            )
        }
    }

    @Test func `a flood of refusals is counted, and the log says how many`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, [.relaysWrite])
            func refuse(_ times: Int) async throws {
                for _ in 0..<times {
                    let refused = try await world.send(.post, "/v1/relays/rel_x/deactivate", as: key)
                    #expect(refused.status == 404)
                }
            }
            try await refuse(100)
            var entries = try await Self.entries(world, "&actor_id=\(app)")
            // The first sixty, and the sixty-fourth.
            #expect(entries.count == RefusalLimiter.writtenPerMinute + 1)
            #expect(entries.first?["details"]?["refusals_not_written"] == 3)
            // Others have their own measure.
            #expect(try await world.send(.post, "/v1/relays/rel_x/deactivate", as: shop.key).status == 404)
            world.clock.advance(.seconds(60))
            try await refuse(1)
            entries = try await Self.entries(world, "&actor_id=\(app)")
            #expect(entries.count == RefusalLimiter.writtenPerMinute + 2)
            #expect(entries.first?["details"]?["refusals_not_written"] == 36)
        }
    }

    @Test func `what sites refuse is counted with the rest, and locks out all the same`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, [.armingWrite])
            let path = "\(shop.path)/arming/actions/disarm"
            for attempt in 1...100 {
                let refused = try await world.send(.post, path, as: key, ["user_code": "0815"])
                #expect(refused.code == (attempt <= 5 ? "invalid_user_code" : "user_code_locked"), "\(refused.text)")
            }
            let entries = try await Self.entries(world, "&actor_id=\(app)")
            let refusals = entries.filter { $0["action"] == "arming.disarm" }
            #expect(refusals.count == RefusalLimiter.writtenPerMinute + 1)
            #expect(refusals.first?["details"]?["refusals_not_written"] == 3)
            #expect(entries.contains { $0["action"] == "code.locked" })
            // One measure for all: what the site does not decide on is beyond it too.
            _ = try await world.send(.post, path, as: key, [])
            #expect(try await Self.entries(world, "&actor_id=\(app)").count == entries.count)
            // The silent alarm of a duress code is raised and written whatever was before.
            let duress = try await world.send(.post, path, as: key, ["user_code": .string(ServerWorld.Shop.duressCode)])
            #expect(duress.code == "user_code_locked")
            let alarms = try await world.send(.get, "/v1/alarms?site_id=\(shop.site)", as: world.admin)
            #expect(alarms["data"]?.array?.first?["trigger"] == "duress", "\(alarms.text)")
            #expect(try await Self.entries(world, "&site_id=\(shop.site)").contains { $0["action"] == "alarm.duress" })
        }
    }

    @Test func `of any flood at most half is untold, in few entries`() {
        let limiter = RefusalLimiter()
        let now = ServerWorld.start
        var (written, untold) = (0, 0)
        for _ in 1...1_000_000 {
            if limiter.take(AuditEntry.Actor(.app, "app_1"), at: now) == nil {
                untold += 1
            } else {
                (written, untold) = (written + 1, 0)
            }
        }
        #expect(written < RefusalLimiter.writtenPerMinute + 20)
        #expect(untold <= 500_000)
    }
}
