import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// A duress code cannot be told from the ordinary one by whoever is not entitled to know (design, arming: people; I17).
@Suite struct DuressTests {
    typealias Shop = ServerWorld.Shop

    /// Plays a story with both codes: it looks the same, but for the one silent alarm.
    private func expectAlike(_ story: (String) async throws -> (seen: [String], alarms: Int)) async throws {
        let normal = try await story(Shop.code)
        let duress = try await story(Shop.duressCode)
        #expect(normal.alarms == 0)
        #expect(duress.alarms == 1)
        #expect(normal.seen.map(Self.masked) == duress.seen.map(Self.masked))
    }

    /// Everything that an app without `events:read` sees of a shop after the same story with this code.
    private func story(_ code: String, alarmed: Bool) async throws -> (seen: [String], alarms: Int) {
        let seen = Box<([String], Int)>(([], 0))
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, reader) = try await world.app(of: shop.dealer, [.sitesRead, .armingWrite, .devicesRead])
            var told: [String] = []
            _ = try await world.command("arm", shop, ["instant_arm": true])
            world.clock.advance(.seconds(10))
            if alarmed { _ = try await world.signal(shop, 5, "open") }
            let key = ["Idempotency-Key": "k"]
            let reply = try await world.command("disarm", shop, code: code, as: reader, headers: key)
            told += [reply.text, reply.headers[.eTag] ?? "", "\(reply.status)"]
            let replay = try await world.command("disarm", shop, code: code, as: reader, headers: key)
            told += [replay.text, "\(replay.headers)"]
            for path in ["arming", "arming/history", ""] {
                let answer = try await world.send(.get, path.isEmpty ? shop.path : "\(shop.path)/\(path)", as: reader)
                told += [answer.text, answer.headers[.eTag] ?? ""]
            }
            world.clock.advance(.seconds(400))
            let again = try await world.command("arm", shop, ["mode": "night"], code: code, as: reader)
            let events = try await world.send(.get, "/v1/events?after=0", as: reader)
            told += [again.text, again.headers[.eTag] ?? "", events.text]
            let log = try await world.send(.get, "/v1/events?after=0&type=alarm.created", as: shop.key)
            let triggers = log["data"]?.array?.compactMap { $0["event"]?["data"]?["trigger"]?.string } ?? []
            seen.value = (told, triggers.count { $0 == "duress" })
        }
        return seen.value
    }

    @Test(arguments: [false, true])
    func `replies, versions, pages, history and events read the same, and the silent alarm is raised`(
        alarmed: Bool
    ) async throws {
        let normal = try await story(Shop.code, alarmed: alarmed)
        let duress = try await story(Shop.duressCode, alarmed: alarmed)
        #expect(normal.alarms == 0)
        #expect(duress.alarms >= 1)
        #expect(normal.seen.count == duress.seen.count)
        for (one, other) in zip(normal.seen, duress.seen) {
            #expect(Self.masked(one) == Self.masked(other))
        }
    }

    /// Ids and sequences are drawn in another order when there is one event more; everything else must be equal.
    ///
    /// That a gap between visible sequences hints at something hidden is accepted (decisions §14).
    private static func masked(_ text: String) -> String {
        text.replacing(/(evt|req)_[0-9a-z]{26}/) { "\($0.output.1)_…" }
            .replacing(/sequence":\d+/, with: "sequence\":…")
            .replacing(/"next_cursor":"?\w+"?/, with: "\"next_cursor\":…")
    }

    @Test(arguments: [["If-Match": "\"999\""], [:]])
    func `a command that comes to nothing anyway reads the same, and the silent alarm is raised`(
        headers: [String: String]
    ) async throws {
        func story(_ code: String) async throws -> (seen: [String], alarms: Int) {
            let seen = Box<([String], Int)>(([], 0))
            try await ServerWorld.run { world in
                let shop = try await world.shop()
                let (_, reader) = try await world.app(of: shop.dealer, [.sitesRead, .armingWrite])
                var told: [String] = []
                // Without a version it names a partition that the site does not have.
                let body: JSONObject = headers.isEmpty ? ["partition": 7] : [:]
                for action in ["disarm", "arm", "silence"] {
                    let reply = try await world.command(action, shop, body, code: code, as: reader, headers: headers)
                    #expect(reply.status == (headers.isEmpty ? 404 : 412), "\(reply.text)")
                    told += [reply.text, "\(reply.headers.map(\.name))"]
                    if !headers.isEmpty, action == "silence" {
                        // The refusal names the version that the next command may go by.
                        let version = try #require(reply.json["error"]?["details"]?["version"]?.integer)
                        let arming = try await world.arming(shop, as: reader)
                        #expect(arming.headers[.eTag] == "\"\(version)\"")
                    }
                }
                let wrong = try await world.command("disarm", shop, body, code: "0815", as: reader, headers: headers)
                #expect(wrong.status == 403)
                for path in ["arming", "arming/history"] {
                    let answer = try await world.send(.get, "\(shop.path)/\(path)", as: reader)
                    told += [answer.text, answer.headers[.eTag] ?? ""]
                }
                let events = try await world.send(.get, "/v1/events?after=0", as: reader)
                let log = try await world.send(.get, "/v1/events?after=0&type=alarm.created", as: shop.key)
                seen.value = (told + [events.text], log["data"]?.array?.count ?? 0)
            }
            return seen.value
        }
        try await expectAlike(story)
    }

    /// A command that is refused before its site can look at the code.
    struct Misfit: Sendable, CustomTestStringConvertible {
        var action = "disarm"
        var body: JSONObject = [:]
        var headers: [String: String] = [:]
        var form = Form.text
        var status: Int

        /// How the code is sent.
        enum Form: Sendable {
            case text
            case number
            case fraction
            case listed
            case bodyListed
        }

        var testDescription: String { "\(action) \(body) \(headers) \(form) \(status)" }

        func json(_ code: String) -> JSON {
            var body = body
            body["user_code"] =
                switch form {
                case .text, .bodyListed: .string(code)
                case .number: Int64(code).map(JSON.integer)
                case .fraction: .decimal("\(code).0")
                case .listed: .array([.string(code)])
                }
            return form == .bodyListed ? .array([.object(body)]) : .object(body)
        }
    }

    static let misfits = [
        Misfit(action: "arm", body: ["mode": "sideways"], status: 422),
        Misfit(action: "arm", status: 422),
        Misfit(action: "arm", body: ["mode": "away", "custom_mode": "party"], status: 422),
        Misfit(body: ["partition": ["number": 1]], status: 422),
        Misfit(body: ["loudness": 7], headers: ["Prefer": "handling=strict"], status: 422),
        Misfit(form: .number, status: 422),
        Misfit(form: .fraction, status: 422),
        Misfit(form: .listed, status: 422),
        Misfit(form: .bodyListed, status: 422),
        Misfit(headers: ["x-partner-trace-id": "no blanks"], status: 400),
        Misfit(headers: ["Idempotency-Key": "no blanks"], status: 400),
        Misfit(headers: ["Content-Encoding": "gzip"], status: 415),
        Misfit(headers: ["Expect": "an-answer"], status: 417),
        Misfit(body: ["partition": 1], headers: ["Idempotency-Key": "used"], status: 409),
    ]

    @Test(arguments: misfits)
    func `a command of no good form, or with a used key, reads the same, and the silent alarm is raised`(
        misfit: Misfit
    ) async throws {
        func story(_ code: String) async throws -> (seen: [String], alarms: Int) {
            let seen = Box<([String], Int)>(([], 0))
            try await ServerWorld.run { world in
                let shop = try await world.shop()
                let (_, reader) = try await world.app(of: shop.dealer, [.sitesRead, .armingWrite])
                let first = try await world.command("disarm", shop, as: reader, headers: ["Idempotency-Key": "used"])
                #expect(first.status == 200)
                let body = misfit.json(code)
                let path = "\(shop.path)/arming/actions/\(misfit.action)"
                var told: [String] = []
                // Again and again: it is one alarm.
                for _ in 1...2 {
                    let reply = try await world.send(.post, path, as: reader, body, headers: misfit.headers)
                    #expect(reply.status == misfit.status, "\(reply.text)")
                    #expect(!reply.text.contains(code))
                    told += [reply.text, "\(reply.headers.map(\.name))", "\(reply.text.utf8.count)"]
                }
                for path in ["arming", "arming/history", ""] {
                    let answer = try await world.send(
                        .get,
                        path.isEmpty ? shop.path : "\(shop.path)/\(path)",
                        as: reader
                    )
                    told += [answer.text, answer.headers[.eTag] ?? ""]
                }
                told.append(try await world.send(.get, "/v1/events?after=0", as: reader).text)
                let log = try await world.send(.get, "/v1/events?after=0&type=alarm.created", as: shop.key)
                let audit = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)
                let operation = "\(misfit.action)Site"
                let refusals = audit["data"]?.array?.filter { $0["action"]?.string == operation } ?? []
                #expect(refusals.count { $0["site_id"]?.string == shop.site } == 2, "\(audit.text)")
                #expect(!audit.text.contains("\"\(code)\""))
                told += refusals.map { "\($0["result"]?.text ?? "") \($0["explanation"]?.text ?? "")" }
                seen.value = (told, log["data"]?.array?.count ?? 0)
            }
            return seen.value
        }
        try await expectAlike(story)
    }

    /// No reply tells whether the code was right, so that nobody can guess by it or be locked out by it.
    @Test func `wrong codes in commands of no good form are not counted`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = "\(shop.path)/arming/actions/arm"
            for code in 1000...1009 {
                let reply = try await world.send(.post, path, as: shop.key, ["user_code": JSON("\(code)")])
                #expect(reply.status == 422)
            }
            #expect(try await world.command("arm", shop).status == 200)
        }
    }

    @Test(arguments: misfits)
    func `a command of no good form takes as long as any other`(misfit: Misfit) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let body = misfit.json(Shop.duressCode)
            let started = ContinuousClock.now
            let path = "\(shop.path)/arming/actions/\(misfit.action)"
            _ = try await world.send(.post, path, as: shop.key, body, headers: misfit.headers)
            #expect(started.duration(to: .now) >= CodePacing.step)
        }
    }

    /// Who may raise and work alarms, but not see them, must not find a hidden one by doing so.
    @Test func `an alarm under duress looks like none to whoever works alarms without seeing them`() async throws {
        func story(isHidden: Bool) async throws -> [String] {
            let seen = Box<[String]>([])
            try await ServerWorld.run { world in
                let shop = try await world.shop()
                let (_, worker) = try await world.app(of: shop.dealer, [.alarmsWrite, .eventsWrite], tier: .free)
                if isHidden {
                    #expect(try await world.command("disarm", shop, code: Shop.duressCode).status == 200)
                }
                var told: [String] = []
                func tell(_ answer: ServerWorld.Answer) {
                    told += ["\(answer.status) \(answer.text)", "\(answer.headers[.rateLimitRemaining] ?? "")"]
                }
                let dispatch: JSON = ["responder_id": "g1", "responder_type": "guard", "eta_seconds": 60]
                tell(try await world.send(.post, "/v1/alarms/A-1/dispatch", as: worker, dispatch))
                tell(try await world.send(.post, "/v1/alarms/A-1/annotate", as: worker, ["verdict": "person"]))
                world.clock.advance(.seconds(10))
                for kind in [AlarmClass.duress, .duress, .intrusion, .intrusion] {
                    let body: JSON = [
                        "site_id": .string(shop.site), "trigger": "button", "class": .string(kind.rawValue),
                    ]
                    tell(try await world.send(.post, "/v1/alarms", as: worker, body))
                }
                seen.value = told
            }
            return seen.value
        }
        let (plain, hidden) = (try await story(isHidden: false), try await story(isHidden: true))
        #expect(plain.map { $0.prefix(3) } == hidden.map { $0.prefix(3) })
        // That a number is missing hints at an alarm that somebody else has, as a missing sequence does (decisions §14).
        func masked(_ told: [String]) -> [String] {
            told.map { Self.masked($0).replacing(/A-\d+/, with: "A-…") }
        }
        #expect(masked(plain) == masked(hidden))
        #expect(plain.contains { $0.hasPrefix("200") } && plain.contains { $0.hasPrefix("404") })
    }

    /// Who may delete sites, but not see alarms, must not learn from a refusal that there was one.
    @Test(arguments: [Shop.code, Shop.duressCode])
    func `a silent alarm that is not delivered yet stands against a deletion only for who may know of it`(
        code: String
    ) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, deleter) = try await world.app(of: shop.dealer, [.sitesWrite, .armingWrite])
            let (watcher, _) = try await world.app(of: shop.dealer, [.eventsRead, .sitesRead])
            let endpoint: JSON = ["url": "https://example.com/alarms", "events": ["alarm.created"]]
            let made = try await world.send(.post, "/v1/apps/\(watcher)/endpoints", as: world.admin, endpoint)
            #expect(made.status == 201, "\(made.text)")
            #expect(try await world.command("disarm", shop, code: code, as: deleter).status == 200)

            if code == Shop.duressCode {
                let refused = try await world.send(.delete, shop.path, as: world.admin)
                #expect(refused.code == "undelivered_events", "\(refused.text)")
            }
            let gone = try await world.send(.delete, shop.path, as: deleter)
            #expect(gone.status == 204, "\(gone.text)")
            // The endpoint's cursor stands before the event, which is still there to be delivered.
            let cursors = try await world.ledger.read { [id = EndpointID(stored: try made.string("endpoint_id"))] in
                try $0.cursors(of: id)
            }
            let log = try await world.send(.get, "/v1/events?dealer_id=\(shop.dealer)&after=0", as: world.admin)
            let alarms = (log["data"]?.array ?? []).filter { $0["type"] == "alarm.created" }
            #expect(alarms.count == (code == Shop.duressCode ? 1 : 0))
            for alarm in alarms {
                let sequence = try #require(alarm["sequence"]?.integer)
                #expect(cursors.allSatisfy { $0.sequence < sequence })
            }
        }
    }

    @Test func `during a lock-out a duress code gets the same reply, and raises the alarm`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            for _ in 1...5 { _ = try await world.command("disarm", shop, code: "0815") }
            let normal = try await world.command("disarm", shop)
            let duress = try await world.command("disarm", shop, code: Shop.duressCode)
            #expect(normal.status == 429)
            #expect(duress.status == 429)
            #expect(duress.headers[.retryAfter] == normal.headers[.retryAfter])
            #expect(duress.text.utf8.count == normal.text.utf8.count)
            let log = try await world.send(.get, "/v1/events?after=0&type=alarm.created", as: shop.key)
            #expect(log["data"]?.array?.count == 1)
            #expect(log["data"]?.array?.first?["event"]?["data"]?["priority"] == "CRITICAL")
        }
    }

    @Test func `no code is written down: not in the audit log, not in a refusal`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let wrong = "80156032"
            for code in [Shop.code, Shop.duressCode, wrong] {
                _ = try await world.command("arm", shop, code: code, headers: ["Idempotency-Key": "k\(code)"])
                let answer = try await world.command("disarm", shop, code: code)
                #expect(!answer.text.contains(code))
            }
            let audit = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)
            #expect(audit.text.contains("arming.disarm"))
            for code in [Shop.code, Shop.duressCode, wrong] { #expect(!audit.text.contains("\"\(code)\"")) }
        }
    }
}

/// A value that a closure hands out.
private final class Box<Value>: @unchecked Sendable {
    // Sendable: written once, before the only reader goes on.
    var value: Value
    init(_ value: Value) { self.value = value }
}
