import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOEmbedded
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// Every kind of bad input gets a 4xx that names what is wrong, and leaves nothing behind (issue A, bad input).
@Suite struct BadInputTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var status: Int
        var code: String
        var field: String?
        var changes: JSONObject

        init(_ name: String, _ status: Int, _ code: String, field: String? = nil, _ changes: JSONObject) {
            self.name = name
            self.status = status
            self.code = code
            self.field = field
            self.changes = changes
        }

        var testDescription: String { name }
    }

    static let invalid = "validation_failed"
    static let long = JSON.string(String(repeating: "x", count: 1000))
    static let rows: [Row] = [
        Row("no state", 422, invalid, field: "state", ["state": nil]),
        Row("an unknown state", 422, invalid, field: "state", ["state": "asleep"]),
        Row("a state of the wrong type", 422, invalid, field: "state", ["state": 7]),
        Row("no partition", 422, invalid, field: "partition", ["partition": nil]),
        Row("a partition without a meaning", 422, invalid, field: "partition", ["partition": "everything"]),
        Row("a partition that is a list", 422, invalid, field: "partition", ["partition": ["all"]]),
        Row("partition zero", 422, invalid, field: "partition", ["partition": 0]),
        Row("a partition number that does not exist", 404, "partition_not_found", ["partition": 9]),
        Row("a partition id that does not exist", 404, "partition_not_found", ["partition": "p_unknown"]),
        Row("no timestamp", 422, invalid, field: "timestamp", ["timestamp": nil]),
        Row("a timestamp that is none", 422, invalid, field: "timestamp", ["timestamp": "yesterday"]),
        Row("a Unix timestamp", 422, invalid, field: "timestamp", ["timestamp": 1_779_789_600]),
        Row(
            "a local timestamp",
            422,
            "timestamp_not_utc",
            field: "timestamp",
            ["timestamp": "2026-05-26T05:00:00-05:00"]
        ),
        Row(
            "a timestamp 31 s ahead",
            422,
            "timestamp_in_future",
            field: "timestamp",
            ["timestamp": "2026-05-26T10:00:31Z"]
        ),
        Row("no source", 422, invalid, field: "source", ["source": nil]),
        Row("our own source", 422, invalid, field: "source", ["source": "system"]),
        Row("no user for a keypad", 422, invalid, field: "user_id", ["user_id": nil]),
        Row("an empty user", 422, invalid, field: "user_id", ["user_id": ""]),
        Row("a user that is too long", 422, invalid, field: "user_id", ["user_id": long]),
        Row("a negative delay", 422, invalid, field: "delay_seconds", ["delay_seconds": -1]),
        Row("a huge delay", 422, invalid, field: "delay_seconds", ["delay_seconds": .decimal("1e999")]),
        Row("a delay in words", 422, invalid, field: "delay_seconds", ["delay_seconds": "60"]),
        Row(
            "a delay beyond 64 bits",
            422,
            invalid,
            field: "delay_seconds",
            ["delay_seconds": .decimal("99999999999999999999")]
        ),
        Row("zones that are a name", 422, invalid, field: "zones", ["zones": "Back Door"]),
        Row(
            "too many zones",
            422,
            invalid,
            field: "zones",
            ["zones": .array(Array(repeating: ["number": 1], count: 257))]
        ),
        Row(
            "a zone with a bad number",
            422,
            invalid,
            field: "zones[1].number",
            ["zones": [["number": 1], ["number": "x"]]]
        ),
        Row("a reason that is too long", 422, invalid, field: "reason", ["reason": long]),
        Row("a report id that is too long", 422, invalid, field: "report_id", ["report_id": long]),
    ]

    @Test(arguments: rows)
    func `a bad report is refused by name and leaves nothing behind`(row: Row) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let before = try await world.counts()

            let answer = try await world.report(scene, row.changes)

            #expect(answer.status == row.status, "\(answer.text)")
            #expect(answer.code == row.code, "\(answer.text)")
            if let field = row.field { #expect(answer.field == field) }
            #expect(answer["error"]?["message"]?.string?.isEmpty == false)
            #expect(answer["error"]?["request_id"]?.string == answer.headers[.requestID])
            #expect(try await world.counts()["events"] == before["events"])
        }
    }

    static let texts: [(name: String, bytes: [UInt8])] = [
        ("nothing", []),
        ("half an object", Array("{\"state\":".utf8)),
        ("two values", Array("{} {}".utf8)),
        ("a duplicate member", Array(#"{"state":"disarmed","state":"armed_away"}"#.utf8)),
        ("a NUL", Array(#"{"state":"\u0000"}"#.utf8)),
        ("half a surrogate", Array(#"{"state":"\ud800"}"#.utf8)),
        ("invalid UTF-8", Array("{\"state\":\"".utf8) + [0xFF, 0xFE] + Array("\"}".utf8)),
        ("deep nesting", Array(repeating: UInt8(ascii: "["), count: 100_000)),
        ("a bare NaN", Array("{\"delay_seconds\":NaN}".utf8)),
    ]

    @Test(arguments: texts.map(\.name))
    func `a body that is not JSON is malformed`(name: String) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let bytes = try #require(Self.texts.first { $0.name == name }?.bytes)
            let path = "/v1/sites/\(scene.site)/arming-state"
            let answer = try await world.send(.post, path, as: scene.partner.token, bytes: bytes)
            #expect(answer.status == 400, "\(answer.text)")
            #expect(answer.code == "malformed_json")
        }
    }

    @Test func `a body that is no object names the body`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/sites/\(scene.site)/arming-state"
            let answer = try await world.send(.post, path, as: scene.partner.token, ["armed"])
            #expect(answer.status == 422)
            #expect(answer.field == "")
        }
    }

    @Test func `one byte beyond 1 MiB is too large, with a length and without`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/sites/\(scene.site)/arming-state"
            let bytes = Array(repeating: UInt8(ascii: " "), count: (1 << 20) + 1)

            let declared = try await world.send(.post, path, as: scene.partner.token, bytes: bytes)
            #expect(declared.status == 413)
            #expect(declared.code == "body_too_large")

            // As with chunked framing: no length is declared, and the body comes in pieces.
            let pieces = AsyncStream<ByteBuffer> { continuation in
                for start in stride(from: 0, to: bytes.count, by: 65_536) {
                    continuation.yield(ByteBuffer(bytes: bytes[start..<min(start + 65_536, bytes.count)]))
                }
                continuation.finish()
            }
            let head = HTTPRequest(
                method: .post,
                scheme: "http",
                authority: "tocsin.test",
                path: path,
                headerFields: [
                    .authorization: "Bearer \(scene.partner.token)", .contentType: "application/json",
                ]
            )
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let response = try await Pipeline(services: world.services, routes: Routes(Operations.all)).respond(
                to: Request(head: head, body: RequestBody(asyncSequence: pieces)),
                context: Connection(source: .init(channel: NIOAsyncTestingChannel(), logger: logger))
            )
            #expect(response.status.code == 413)
        }
    }

    @Test func `another media type is refused`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let path = "/v1/sites/\(scene.site)/arming-state"
            let answer = try await world.send(
                .post,
                path,
                as: scene.partner.token,
                .object(world.reportBody()),
                headers: ["Content-Type": "text/plain"]
            )
            #expect(answer.status == 415)
            let charset = try await world.send(
                .post,
                path,
                as: scene.partner.token,
                .object(world.reportBody()),
                headers: ["Content-Type": "Application/JSON; charset=utf-8"]
            )
            #expect(charset.status == 200)
        }
    }

    @Test(arguments: [("gzip", 415), ("identity, br", 415), ("Identity", 200), ("", 200)])
    func `a packed body is refused, and what says that it is none is taken`(encoding: String, status: Int) async throws
    {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let (path, body) = ("/v1/sites/\(scene.site)/arming-state", JSON.object(world.reportBody()))
            let headers = ["Content-Encoding": encoding]
            let answer = try await world.send(.post, path, as: scene.partner.token, body, headers: headers)
            #expect(answer.status == status, "\(answer.text)")
            if status == 200 { return }
            #expect(answer.field == "Content-Encoding" && answer.code == "unsupported_media_type")
            #expect(answer.json["error"]?["message"]?.string?.contains("without Content-Encoding") == true)
            let camera = try await world.camera("Bolt")
            let picture = try Sample.bytes("door.jpg")
            let upload = try await world.upload(picture, to: camera, headers: headers)
            #expect(upload.status == 415 && upload.field == "Content-Encoding", "\(upload.text)")
            #expect(try world.files() == [])
        }
    }

    @Test func `an expectation that nobody knows, and two keys, are refused by name`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let (path, body) = ("/v1/sites/\(scene.site)/arming-state", JSON.object(world.reportBody()))
            let token = scene.partner.token
            let expects = try await world.send(.post, path, as: token, body, headers: ["Expect": "a-miracle"])
            #expect(expects.status == 417 && expects.code == "expectation_failed", "\(expects.text)")
            #expect(expects.field == "Expect")
            let reading = try await world.send(.get, "/v1/sites", as: token, headers: ["Expect": "100-continue, more"])
            #expect(reading.status == 417)

            var fields: HTTPFields = [.authorization: "Bearer \(token)", .contentType: "application/json"]
            for key in ["one", "two"] { fields.append(HTTPField(name: .idempotencyKey, value: key)) }
            let head = HTTPRequest(
                method: .post,
                scheme: "http",
                authority: "tocsin.test",
                path: path,
                headerFields: fields
            )
            let before = try await world.counts()
            let response = try await Pipeline(services: world.services, routes: Routes(Operations.all)).respond(
                to: Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body.bytes))),
                context: Connection(source: .init(channel: NIOAsyncTestingChannel(), logger: Logger(label: "test")))
            )
            #expect(response.status.code == 400)
            #expect(try await world.counts()["events"] == before["events"])
            let sent = try await world.send(.post, path, as: token, body, headers: ["Expect": "100-Continue"])
            #expect(sent.status == 200, "\(sent.text)")
        }
    }

    @Test func `unknown members are ignored, unless the request is strict`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            #expect(try await world.report(scene, ["colour": "red"]).status == 200)
            let strict = try await world.report(scene, ["colour": "red"], headers: ["Prefer": "handling=strict"])
            #expect(strict.status == 422)
            #expect(strict.field == "colour")
        }
    }

    @Test func `unknown paths are 404 and other methods 405 with what is allowed`() async throws {
        try await ServerWorld.run { world in
            let unknown = try await world.send(.get, "/v1/nothing", as: world.admin)
            #expect(unknown.status == 404)
            #expect(unknown.code == "not_found")
            #expect(unknown.headers[.requestID] != nil)
            let method = try await world.send(.put, "/v1/dealers", as: world.admin, [:])
            #expect(method.status == 405)
            #expect(method.headers[.allow] == "GET, POST, HEAD")
            #expect(try await world.send(.get, "/v1/dealers/", as: world.admin).status == 404)
        }
    }

    @Test(arguments: ["with space", "", "ü", String(repeating: "x", count: 129)])
    func `a trace id must be short and visible`(traceID: String) async throws {
        try await ServerWorld.run { world in
            let answer = try await world.send(
                .get,
                "/v1/dealers",
                as: world.admin,
                headers: ["x-partner-trace-id": traceID]
            )
            #expect(answer.status == 400)
            #expect(answer.code == "invalid_trace_id")
        }
    }

    @Test(
        arguments: [
            ("limit=0", 422, "limit"), ("limit=201", 422, "limit"), ("limit=ten", 422, "limit"),
            ("cursor=rubbish", 422, "cursor"), ("limit=%FF", 400, nil), ("limit=1&limit=2", 400, "limit"),
        ] as [(String, Int, String?)]
    )
    func `a bad parameter is refused by name`(query: String, status: Int, field: String?) async throws {
        try await ServerWorld.run { world in
            let answer = try await world.send(.get, "/v1/sites?\(query)", as: world.admin)
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer.field == field)
        }
    }

    @Test(arguments: ["site_unknown", "prt_1", "x", "site_%2e%2e", "site_'--", String(repeating: "y", count: 300)])
    func `an id that cannot be ours is unknown`(id: String) async throws {
        try await ServerWorld.run { world in
            let answer = try await world.send(.get, "/v1/sites/\(id)", as: world.admin)
            #expect(answer.status == 404)
            #expect(answer.code == "site_not_found")
        }
    }
}
