import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// What must be refused, over a real connection, with nothing stored.
    @Suite
    struct BadInput {
        /// A request that must be refused.
        struct Case: Sendable {
            var title: String
            var body: HTTPClientRequest.Body
            var status: Int
            var code: String
            var field: String?

            init(_ title: String, _ bytes: [UInt8], _ status: Int, _ code: String, field: String? = nil) {
                self.init(title, .bytes(ByteBuffer(bytes: bytes)), status, code, field)
            }

            init(_ title: String, _ text: String, _ status: Int, _ code: String, field: String? = nil) {
                self.init(title, Array(text.utf8), status, code, field: field)
            }

            init(_ title: String, _ body: HTTPClientRequest.Body, _ status: Int, _ code: String, _ field: String?) {
                (self.title, self.body, self.status, self.code, self.field) = (title, body, status, code, field)
            }
        }

        private static let good = Report(state: "armed_away").json.object ?? [:]

        /// The good report with one member replaced.
        private static func changed(_ name: String, _ value: JSON?) -> String {
            var object = good
            object[name] = value
            return JSON.object(object).text
        }

        /// The good report with the raw text of one member more.
        private static func adding(_ member: String) -> String {
            JSON.object(good).text.dropLast() + "," + member + "}"
        }

        private static let megabyte = 1 << 20

        private static let malformed: [Case] = [
            Case("an empty body", "", 400, "malformed_json"),
            Case("half an object", #"{"state":"armed_away""#, 400, "malformed_json"),
            Case("text after the value", JSON.object(good).text + "x", 400, "malformed_json"),
            Case("a member twice", adding(#""state":"disarmed""#), 400, "malformed_json"),
            Case("nesting without end", String(repeating: "[", count: 100_000), 400, "malformed_json"),
            Case("deep nesting", adding(#""x":\#(nested(64))"#), 400, "malformed_json"),
            Case(
                "invalid UTF-8",
                Array(#"{"state":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8),
                400,
                "malformed_json"
            ),
            Case(
                "an escaped NUL",
                changed("user_id", "x").replacing(#""x""#, with: #""\u0000""#),
                400,
                "malformed_json"
            ),
            Case("a raw NUL", Array(JSON.object(good).text.utf8) + [0], 400, "malformed_json"),
            Case("an unpaired surrogate", adding(#""reason":"\ud800""#), 400, "malformed_json"),
        ]

        private static let tooLarge: [Case] = [
            Case("1 MiB and a byte", [UInt8](repeating: 0x20, count: megabyte + 1), 413, "body_too_large"),
            Case(
                "1 MiB and a byte in chunks",
                .stream(Chunks(count: 17, size: megabyte / 16), length: .unknown),
                413,
                "body_too_large",
                nil
            ),
        ]

        private static let invalid: [Case] = [
            Case("an array", "[]", 422, "validation_failed"),
            Case("no state", changed("state", nil), 422, "validation_failed", field: "state"),
            Case("a state that is a number", changed("state", 5), 422, "validation_failed", field: "state"),
            Case("an unknown state", changed("state", "armed_twice"), 422, "validation_failed", field: "state"),
            Case("an unknown source", changed("source", "telepathy"), 422, "validation_failed", field: "source"),
            Case("no user", changed("user_id", nil), 422, "validation_failed", field: "user_id"),
            Case("a user that is an object", changed("user_id", [:]), 422, "validation_failed", field: "user_id"),
            Case("a partition that is a list", changed("partition", []), 422, "validation_failed", field: "partition"),
            Case("a negative delay", changed("delay_seconds", -1), 422, "validation_failed", field: "delay_seconds"),
            Case("half a second", adding(#""delay_seconds":0.5"#), 422, "validation_failed", field: "delay_seconds"),
            Case("a huge number", adding(#""delay_seconds":1e999"#), 422, "validation_failed", field: "delay_seconds"),
            Case(
                "a number of 400 digits",
                adding(#""delay_seconds":\#(String(repeating: "9", count: 400))"#),
                422,
                "validation_failed",
                field: "delay_seconds"
            ),
            Case("zones that are text", changed("zones", "5"), 422, "validation_failed", field: "zones"),
            Case("a zone that is text", changed("zones", ["5"]), 422, "validation_failed", field: "zones[0]"),
            Case("not a time", changed("timestamp", "yesterday"), 422, "validation_failed", field: "timestamp"),
            Case(
                "30 February",
                changed("timestamp", "2026-02-30T10:00:00Z"),
                422,
                "validation_failed",
                field: "timestamp"
            ),
            Case(
                "a time that is not UTC",
                changed("timestamp", "2024-01-15T10:30:00+02:00"),
                422,
                "timestamp_not_utc",
                field: "timestamp"
            ),
            Case(
                "a time in the future",
                changed("timestamp", .string(Time.ago(seconds: -120))),
                422,
                "timestamp_in_future",
                field: "timestamp"
            ),
            Case("an unknown partition", changed("partition", 99), 404, "partition_not_found"),
            Case("an unknown partition id", changed("partition", "p_nosuch"), 404, "partition_not_found"),
        ]

        private static func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }

        @Test(.timeLimit(.minutes(2)))
        func `malformed, oversized and invalid reports are refused by name and leave no trace`() async throws {
            try await stage { stage in
                for bad in Self.malformed + Self.tooLarge + Self.invalid {
                    let reply = try await stage.partner.send(
                        .POST,
                        "/v1/sites/\(stage.site)/arming-state",
                        body: bad.body
                    )
                    #expect(reply.status == bad.status, "\(bad.title): \(reply.text)")
                    #expect(reply.errorCode == bad.code, "\(bad.title): \(reply.text)")
                    if let field = bad.field { #expect(reply.errorField == field, "\(bad.title): \(reply.text)") }
                    #expect(reply.json["error"]?["message"]?.string?.isEmpty == false, "\(bad.title)")
                    let requestID = reply.headers.first(name: "X-Request-Id")
                    #expect(requestID != nil && reply.json["error"]?["request_id"]?.string == requestID, "\(bad.title)")
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `other tenants' things do not exist for a caller`() async throws {
            let fleet = Fleet.of(
                sites: [
                    Fleet.site(named: Fleet.site), Fleet.site(named: "Others' site", partner: "OtherCo"),
                    Fleet.site(named: "Rival's site", dealer: "Rival", partner: "OtherCo"),
                    Fleet.site(named: "No partner", partner: nil),
                ],
                dealers: [["name": "Rival", "apps": [["name": "rival", "scopes": ["sites:read", "events:read"]]]]],
                partners: [Fleet.partner(named: "OtherCo")]
            )
            try await stage(fleet) { stage in
                let report = Report(state: "armed_away").json
                let others = try ["Others' site", "Rival's site"].map(stage.installation.siteID)
                for path in ["site_%00", "..%2F..%2Fhealth", "%FF"] {
                    #expect(try await stage.partner.post("/v1/sites/\(path)/arming-state", report).status == 404)
                }
                for site in others + ["site_nosuch", "nonsense"] {
                    let reply = try await stage.partner.post("/v1/sites/\(site)/arming-state", report)
                    #expect(reply.status == 404, "\(site): \(reply.text)")
                    #expect(reply.errorCode == "site_not_found", "\(site): \(reply.text)")
                    #expect(try await stage.partner.get("/v1/sites/\(site)/arming").status == 404)
                }
                let app = stage.admin.with(token: try stage.installation.apiKey())
                #expect(try await app.get("/v1/sites/\(try stage.installation.siteID("Rival's site"))").status == 404)
                #expect(try await app.get("/v1/sites/\(stage.site)").status == 200)
                // A partner's site for a dealer that has not linked it: the dealer does not exist for the partner.
                let rival = try stage.installation.dealerID("Rival")
                let site: JSON = ["dealer_id": .string(rival), "name": "Sneaky", "timezone": "UTC"]
                let sneaky = try await stage.partner.post("/v1/sites", site)
                #expect(sneaky.status == 404, "\(sneaky.text)")
                #expect(sneaky.errorCode == "dealer_not_found", "\(sneaky.text)")
                // An app is no partner: it may not report, not even for its own dealer's site.
                let byApp = try await app.post("/v1/sites/\(stage.site)/arming-state", report)
                #expect(byApp.status == 403, "\(byApp.text)")
                #expect(byApp.errorCode == "permission_denied", "\(byApp.text)")
            }
        }

        /// A stage whose log, states and versions must be the same after the body as before.
        private func stage(_ fleet: JSON = Fleet.one(), _ body: (Stage) async throws -> Void) async throws {
            try await Installation.with(fleet) { installation in
                let server = try await installation.start()
                let stage = Stage(
                    installation: installation,
                    partner: server.api(try await installation.partnerToken(server)),
                    admin: server.api(installation.adminToken),
                    site: try installation.siteID(Fleet.site)
                )
                try await stage.partner.report(
                    stage.site,
                    Report(state: "armed_stay", timestamp: Time.ago(seconds: 60))
                )
                let before = try await stage.everything()
                try await body(stage)
                #expect(try await stage.everything() == before)
                #expect(try await server.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }
    }
}

/// A server with one site to be left alone.
private struct Stage {
    let installation: Installation
    let partner: API
    let admin: API
    let site: String

    /// The log, the sites, and the site's state with its version, as text.
    func everything() async throws -> [String] {
        let log = try await admin.log(dealer: installation.dealerID()).map(\.event.text)
        let arming = try await admin.expect(200, .GET, "/v1/sites/\(site)/arming").text
        let sites = try await admin.expect(200, .GET, "/v1/sites?limit=200").text
        return log + [arming, sites]
    }
}

/// White space in chunks, so that the length is not announced.
private struct Chunks: AsyncSequence, Sendable {
    let count: Int
    let size: Int

    struct Iterator: AsyncIteratorProtocol {
        var left: Int
        let size: Int

        mutating func next() async -> ByteBuffer? {
            guard left > 0 else { return nil }
            left -= 1
            return ByteBuffer(repeating: 0x20, count: size)
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(left: count, size: size) }
}
