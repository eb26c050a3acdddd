import HTTPTypes
import HummingbirdTesting
import NIOCore
import NIOPosix
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// Reports over real connections, where they have a way of their own.
@Suite struct DirectLaneTests {
    /// What only the lane writes: the world's own time, which stands still.
    private static let laneDate = "Tue, 26 May 2026 10:00:00 GMT"

    /// A report over the long way, which a query leads to, and over the short one.
    private static func both(
        _ world: ServerWorld,
        _ scene: ServerWorld.Scene,
        _ changes: JSONObject,
        token: String? = nil,
        _ headers: [String: String] = [:]
    ) async throws -> (long: ServerWorld.Answer, short: ServerWorld.Answer) {
        let token = token ?? scene.partner.token
        var answers: [ServerWorld.Answer] = []
        for query in ["?", ""] {
            answers.append(
                try await world.send(
                    .post,
                    "/v1/sites/\(scene.site)/arming-state\(query)",
                    as: token,
                    .object(world.reportBody(changes)),
                    headers: headers
                )
            )
        }
        return (answers[0], answers[1])
    }

    private static func names(_ answer: ServerWorld.Answer) -> [String] {
        answer.headers.map(\.name.canonicalName).sorted()
    }

    @Test func `both ways answer alike`() async throws {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            let (long, short) = try await Self.both(world, scene, [:], ["x-partner-trace-id": "trace-1"])
            #expect(long.status == 200 && short.status == 200, "\(short.text)")
            #expect(long.headers[.date] != Self.laneDate)
            #expect(short.headers[.date] == Self.laneDate)
            #expect(Self.names(long) == Self.names(short))
            for name: HTTPField.Name in [.contentType, .traceID, .rateLimitLimit, .rateLimitRemaining, .rateLimitReset]
            {
                #expect(long.headers[name] == short.headers[name] && short.headers[name] != nil, "\(name)")
            }
            #expect(long["received_at"] == short["received_at"])
            #expect(long["partitions"]?.array?.first?["state"] == short["partitions"]?.array?.first?["state"])
            // The second told nothing new.
            #expect(short["partitions"]?.array?.first?["version"]?.integer == 2)
        }
    }

    @Test(
        arguments: [
            (["state": "entry_delay"], [:], "invalid_transition"),
            (["state": "asleep"], [:], "validation_failed"),
            (["timestamp": "2026-05-26T10:05:00Z"], [:], "timestamp_in_future"),
            (["timestamp": "2026-05-26T10:00:00+02:00"], [:], "timestamp_not_utc"),
            (["partition": "9"], [:], "partition_not_found"),
            (["color": "red"], ["Prefer": "handling=strict"], "validation_failed"),
            ([:], ["Content-Encoding": "gzip"], "unsupported_media_type"),
            ([:], ["Content-Type": "text/plain"], "unsupported_media_type"),
            ([:], ["Authorization": "Bearer nobody"], "invalid_api_key"),
            ([:], ["x-partner-trace-id": "a b"], "invalid_trace_id"),
        ] as [([String: JSON], [String: String], String)]
    )
    func `both ways refuse alike`(changes: [String: JSON], headers: [String: String], code: String) async throws {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            _ = try await world.report(scene, ["state": "disarmed"])
            var members = JSONObject()
            for (name, value) in changes { members[name] = value }
            let (long, short) = try await Self.both(world, scene, members, headers)
            #expect(long.code == code && short.code == code, "\(long.text) \(short.text)")
            #expect(long.status == short.status && long.field == short.field)
            #expect(long["error"]?["message"] == short["error"]?["message"])
            #expect(long["error"]?["details"] == short["error"]?["details"])
            #expect(Self.names(long) == Self.names(short))
            let audit = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)
            let results = (audit["data"]?.array ?? []).compactMap { $0["result"]?.string }.filter { $0 == code }
            #expect(results.count == (code == "invalid_api_key" ? 0 : 2), "\(audit.text)")
        }
    }

    @Test func `another partner's site is unknown, and a revoked partner is nobody, at once`() async throws {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            let other = try await world.partner("Other panels")
            _ = try await world.send(.get, "/v1/sites", as: other.token)
            #expect(try await world.report(scene, as: other.token).code == "site_not_found")
            #expect(try await world.report(scene).status == 200)
            _ = try await world.send(.post, "/v1/partners/\(scene.partner.id)/actions/revoke", as: world.admin)
            #expect(try await world.report(scene).code == "invalid_api_key")
        }
    }

    @Test func `what comes at once is answered in its order, even when the client has nothing more to say`()
        async throws
    {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            let port = try #require(world.client.port)
            func report(_ state: String, _ query: String, _ trace: String) -> String {
                world.requestText(scene, state, query, trace)
            }
            // The token is known from here on.
            _ = try await world.report(scene)
            let get = "GET /v1/sites/\(scene.site)/arming HTTP/1.1\r\nHost: x\r\n\r\n"
            let requests = [
                report("armed_stay", "", "t-1"), report("disarmed", "", "t-2"), get, report("armed_away", "?", "t-3"),
                report("asleep", "", "t-4"), report("disarmed", "", "t-5"),
            ]
            let text = try await Conversation.hold(port: port, saying: requests.joined())
            let traces = text.ranges(of: "x-partner-trace-id: t-").map { text[$0.upperBound] }
            #expect(traces == ["1", "2", "3", "4", "5"], "\(text)")
            let statuses = text.ranges(of: "HTTP/1.1 ").map { String(text[$0.upperBound...].prefix(3)) }
            #expect(statuses == ["200", "200", "401", "200", "422", "200"], "\(text)")
        }
    }

    @Test func `a connection is read on when what came at once is answered`() async throws {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            let text = try await Conversation.hold(
                port: try #require(world.client.port),
                saying: world.requestText(scene, "armed_stay", "", "t-1")
                    + world.requestText(scene, "disarmed", "", "t-2"),
                then: world.requestText(scene, "armed_away", "", "t-3"),
                after: "trace-id: t-2"
            )
            #expect(text.ranges(of: "HTTP/1.1 200 OK").count == 3, "\(text)")
        }
    }

    @Test func `a body that comes in pieces, or not whole, is nobody's harm`() async throws {
        try await ServerWorld.run(.live) { world in
            let scene = try await world.scene()
            let port = try #require(world.client.port)
            _ = try await world.report(scene)
            let body = world.bodyText(["state": "disarmed"])
            let head = """
                POST /v1/sites/\(scene.site)/arming-state HTTP/1.1\r
                Host: x\r
                Authorization: Bearer \(scene.partner.token)\r
                Content-Type: application/json\r
                Content-Length: \(body.utf8.count)\r
                Expect: 100-continue\r
                \r

                """
            let text = try await Conversation.hold(port: port, saying: head, then: body, after: "100 Continue\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "\(text)")
            let cut = head.replacing("Expect: 100-continue\r\n", with: "") + body.dropLast()
            #expect(try await Conversation.hold(port: port, saying: cut).contains(" 200 ") == false)
        }
    }
}

extension ServerWorld {
    fileprivate func requestText(_ scene: Scene, _ state: String, _ query: String, _ trace: String) -> String {
        let body = bodyText(["state": .string(state)])
        return """
            POST /v1/sites/\(scene.site)/arming-state\(query) HTTP/1.1\r
            Host: x\r
            Authorization: Bearer \(scene.partner.token)\r
            Content-Type: application/json\r
            Content-Length: \(body.utf8.count)\r
            x-partner-trace-id: \(trace)\r
            \r
            \(body)
            """
    }

    fileprivate func bodyText(_ changes: JSONObject) -> String {
        String(decoding: JSON.object(reportBody(changes)).bytes, as: UTF8.self)
    }
}

/// A connection on which everything is said, then nothing more; what the server says is kept.
private enum Conversation {
    static func hold(
        port: Int,
        saying first: String,
        then second: String? = nil,
        after cue: String = ""
    ) async throws -> String {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true)
                )
            }
        }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: first))
            var rest = second
            if rest == nil { outbound.finish() }
            var heard = ""
            for try await buffer in inbound {
                heard += String(buffer: buffer)
                if let text = rest, heard.contains(cue) {
                    rest = nil
                    try await outbound.write(ByteBuffer(string: text))
                    outbound.finish()
                }
            }
            return heard
        }
    }
}
