import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOEmbedded
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// The event stream over the real pipeline: its body is read piece by piece, as a client reads it from a socket.
@Suite struct EventStreamTests {
    @Test func `a stream starts at the end of the log, and shows what is committed from then on`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            try await world.toggle(scene, times: 2)
            try await world.following(as: admin) { stream in
                try await stream.expect(": following from 4")
                try await world.toggle(scene, times: 2)
                // The clock stands still, so that only the commit itself can have woken the stream.
                let events = try await stream.events(4)
                #expect(events.map(\.id) == [5, 6, 7, 8])
                let stored = try #require(
                    try await world.ledger.read { reader in
                        try reader.event(at: EventPosition(dealerID: DealerID(stored: scene.dealer), sequence: 5))
                    }
                )
                #expect(events[0].type == stored.type.rawValue)
                #expect(events[0].data == String(decoding: stored.body, as: UTF8.self))
            }
        }
    }

    @Test func `a reader that comes back goes on behind the last event that it has seen`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            try await world.toggle(scene, times: 2)
            try await world.following(as: admin, headers: [.lastEventID: "1"]) { stream in
                try await stream.expect(": following from 1")
                let events = try await stream.events(3)
                #expect(events.map(\.id) == [2, 3, 4])
            }
            try await world.following(as: admin, "?after=3&type=partition.disarmed") { stream in
                try await stream.expect(": following from 3")
                try await world.toggle(scene, times: 2)
                let events = try await stream.events(2)
                #expect(events.allSatisfy { $0.type == "partition.disarmed" && $0.id > 3 })
            }
        }
    }

    @Test func `a reader that the retention was faster than is told first what it has missed`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            try await world.toggle(scene, times: 4)
            try await world.forget(4)
            for (query, headers) in [("?after=1", [:]), ("", [.lastEventID: "1"])] as [(String, HTTPFields)] {
                try await world.following(as: admin, query, headers: headers) { stream in
                    try await stream.expect(": following from 1")
                    // Without an id: the reader's own last one stays.
                    try await stream.expect("event: tocsin.missed\ndata: {\"missed\":3,\"first_sequence\":5}")
                    #expect(try await stream.events(4).map(\.id) == [5, 6, 7, 8])
                }
            }
            // A filter that lets nothing through does not hide it.
            try await world.following(as: admin, "?after=3&type=alarm.created") { stream in
                try await stream.expect(": following from 3")
                try await stream.expect("event: tocsin.missed\ndata: {\"missed\":1,\"first_sequence\":5}")
            }
            try await world.following(as: admin, "?after=4") { stream in
                try await stream.expect(": following from 4")
                #expect(try await stream.events(4).map(\.id) == [5, 6, 7, 8])
            }
        }
    }

    @Test func `a reader that the retention overtakes while it follows is told, too`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            try await world.toggle(scene, times: 2)
            try await world.following(as: admin, "?after=0&type=partition.armed") { stream in
                try await stream.expect(": following from 0")
                #expect(try await stream.events(1).map(\.type) == ["partition.armed"])
                // Not announced to anybody, so that the stream looks only when they are gone.
                let late = world.clock.now + .seconds(200 * 86_400)
                _ = try await world.ledger.write { transaction in
                    let drafts = (0..<3).map { number in
                        EventDraft(
                            id: world.services.randomness.id(at: world.clock.now),
                            siteID: nil,
                            partitionID: nil,
                            body: .testPing(TestPing(endpointID: EndpointID(stored: "ep_1"), message: "\(number)"))
                        )
                    }
                    _ = try transaction.append(drafts, to: DealerID(stored: scene.dealer), at: world.clock.now)
                    return try transaction.purge(now: late, limit: 100)
                }
                try await world.toggle(scene, times: 1)
                try await stream.expect("event: tocsin.missed\ndata: {\"missed\":3,\"first_sequence\":8}")
                #expect(try await stream.events(1).map(\.type) == ["partition.armed"])
            }
        }
    }

    @Test(arguments: ["evt_1", "-1", "9999999999999999999"])
    func `a last event id that is no place is refused, lest events be skipped`(id: String) async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            let headers = ["Last-Event-ID": id]
            let answer = try await world.send(.get, "/v1/events/stream", as: admin, headers: headers)
            #expect(answer.status == 422)
            #expect(answer.field == "Last-Event-ID")
        }
    }

    @Test func `a stream that may not be followed is refused before it begins`() async throws {
        try await ServerWorld.run { world in
            let path = "/v1/events/stream"
            let unnamed = try await world.send(.get, path, as: world.admin)
            #expect(unnamed.code == "dealer_required")
            #expect(try await world.send(.get, "\(path)?dealer_id=dlr_x", as: world.admin).code == "dealer_not_found")
            #expect(try await world.send(.get, path).code == "invalid_api_key")
        }
    }

    @Test func `a stream ends when the server stops`() async throws {
        try await ServerWorld.run { world in
            let admin = try await world.dealerAdmin(of: try await world.dealer("Acme"))
            try await world.following(as: admin) { stream in
                try await stream.expect(": following from 0")
                world.services.beginStopping()
                try await stream.expect(nil)
            }
        }
    }

    @Test(arguments: ["revoke", "delete", "allow list"])
    func `an app's stream ends as soon as the app may not call any more`(how: String) async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let (id, key) = try await world.app(of: scene.dealer, [.sitesRead])
            try await world.following(as: key) { stream in
                try await stream.expect(": following from 0")
                let answer =
                    switch how {
                    case "revoke": try await world.send(.post, "/v1/apps/\(id)/actions/revoke", as: admin)
                    case "delete": try await world.send(.delete, "/v1/apps/\(id)", as: admin)
                    default:
                        try await world.send(
                            .patch,
                            "/v1/apps/\(id)",
                            as: admin,
                            ["ip_allow_list": ["203.0.113.1"]]
                        )
                    }
                #expect(answer.status < 300)
                try await stream.expect(nil)
            }
        }
    }

    @Test func `a revoked partner's stream ends, and tells nothing more`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            try await world.following(as: scene.partner.token, "?dealer_id=\(scene.dealer)") { stream in
                try await stream.expect(": following from 0")
                _ = try await world.send(.post, "/v1/partners/\(scene.partner.id)/actions/revoke", as: world.admin)
                try await stream.expect(nil)
            }
        }
    }

    @Test func `the stream of a key in its overlap ends with the key`() async throws {
        try await ServerWorld.run { world in
            var scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let (id, old) = try await world.app(of: scene.dealer, [.sitesRead])
            try await world.following(as: old) { stream in
                try await stream.expect(": following from 0")
                #expect(try await world.send(.post, "/v1/apps/\(id)/actions/rotate-key", as: admin).status == 200)
                try await world.toggle(scene, times: 1)
                #expect(try await stream.events(2).map(\.id) == [1, 2])
                world.clock.advance(.seconds(86_400))
                scene.partner.token = try await world.token(scene.partner.clientID, scene.partner.secret)
                try await world.toggle(scene, times: 2)
                // The last sign of life is of the wait that the clock ended; the events behind it are not told.
                try await stream.expect(": alive")
                try await stream.expect(nil)
            }
        }
    }

    @Test func `a scope that is taken away is missing from a stream that is open`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let admin = try await world.dealerAdmin(of: scene.dealer)
            let (id, key) = try await world.app(of: scene.dealer, [.sitesRead, .eventsRead])
            let endpoint = try await world.endpoint(ofApp: id.text, as: admin).string("endpoint_id")
            try await world.following(as: key) { stream in
                try await stream.expect(": following from 0")
                try await world.toggle(scene, times: 1)
                #expect(Set(try await stream.events(2).map(\.type)) == ["arming.state_changed", "partition.armed"])
                _ = try await world.send(.patch, "/v1/apps/\(id)", as: admin, ["scopes": ["events:read"]])
                try await world.toggle(scene, times: 2)
                // What needs no scope comes, and nothing of what happened before it.
                let test = try await world.send(.post, "/v1/endpoints/\(endpoint)/actions/test", as: admin)
                #expect(test.status == 202)
                #expect(try await stream.events(1).map(\.type) == ["test.ping"])
            }
        }
    }
}

/// What a stream has written, block by block.
private final class StreamReader: ResponseBodyWriter, Sendable {
    struct Event: Equatable {
        var id: Int64
        var type: String
        var data: String
    }

    private let blocks: AsyncStream<String>
    private let continuation: AsyncStream<String>.Continuation

    init() {
        (blocks, continuation) = AsyncStream.makeStream()
    }

    func write(_ buffer: ByteBuffer) async throws {
        for block in String(buffer: buffer).split(separator: "\n\n") { continuation.yield(String(block)) }
    }

    func finish(_: HTTPFields?) async throws { continuation.finish() }
    func end() { continuation.finish() }

    /// The next block, without its blank line; none once the stream has ended.
    func next() async throws -> String? {
        for await block in blocks { return block }
        return nil
    }

    /// Expects a comment, or with none the end.
    func expect(_ block: String?, _ location: SourceLocation = #_sourceLocation) async throws {
        let found = try await next()
        #expect(found == block, sourceLocation: location)
    }

    func events(_ count: Int) async throws -> [Event] {
        var events: [Event] = []
        while events.count < count {
            let lines = try #require(try await next(), "the stream ended").split(separator: "\n").map(String.init)
            events.append(
                Event(
                    id: try #require(Int64(lines[0].dropFirst("id: ".count))),
                    type: String(lines[1].dropFirst("event: ".count)),
                    data: String(lines[2].dropFirst("data: ".count))
                )
            )
        }
        return events
    }
}

extension ServerWorld {
    /// Follows the log while `body` runs; then the stream is left, as a client leaves it.
    fileprivate func following(
        as token: String,
        _ query: String = "",
        headers extra: HTTPFields = [:],
        _ body: (StreamReader) async throws -> Void
    ) async throws {
        var headers = extra
        headers[.authorization] = "Bearer \(token)"
        let request = Request(
            head: HTTPRequest(
                method: .get,
                scheme: "http",
                authority: "localhost",
                path: "/v1/events/stream\(query)",
                headerFields: headers
            ),
            body: RequestBody(buffer: ByteBuffer())
        )
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let source = ApplicationRequestContextSource(channel: NIOAsyncTestingChannel(), logger: logger)
        let pipeline = Pipeline(services: services, routes: Routes(Operations.all))
        let response = try await pipeline.respond(to: request, context: Connection(source: source))
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "text/event-stream")
        let reader = StreamReader()
        let content = response.body
        let writing = Task {
            try? await content.write(reader)
            reader.end()
        }
        defer { writing.cancel() }
        try await body(reader)
    }
}
