import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

/// Whoever holds a body back is asked again when it is there (decisions §2), and does not hold it for ever.
@Suite struct HeldBodyTests {
    /// A body whose last bytes come when something else has happened.
    struct HeldBody: AsyncSequence, Sendable {
        typealias Element = ByteBuffer

        let bytes: [UInt8]
        let between: @Sendable () async throws -> Void

        struct Iterator: AsyncIteratorProtocol {
            let body: HeldBody
            var parts = 0

            mutating func next() async throws -> ByteBuffer? {
                parts += 1
                if parts == 1 { return ByteBuffer(bytes: body.bytes.prefix(1)) }
                if parts > 2 { return nil }
                try await body.between()
                return ByteBuffer(bytes: body.bytes.dropFirst())
            }
        }

        func makeAsyncIterator() -> Iterator { Iterator(body: self) }
    }

    /// Sends a request of which all but the first byte comes after `between`.
    private static func status(
        _ world: ServerWorld,
        _ path: String,
        as token: String,
        _ bytes: [UInt8],
        type: String = "application/json",
        between: @escaping @Sendable () async throws -> Void
    ) async throws -> Int {
        let head = HTTPRequest(
            method: .post,
            scheme: "http",
            authority: "tocsin.test",
            path: path,
            headerFields: [.authorization: "Bearer \(token)", .contentType: type]
        )
        let body = RequestBody(asyncSequence: HeldBody(bytes: bytes, between: between))
        let source = ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test"))
        let pipeline = Pipeline(services: world.services, routes: Routes(Operations.all))
        let response = try await pipeline.respond(
            to: Request(head: head, body: body),
            context: Connection(source: source)
        )
        return response.status.code
    }

    enum Change: CaseIterable, Sendable {
        case none
        case revoked
        case tightened
        case moved

        var status: Int {
            switch self {
            case .none: 200
            case .revoked: 401
            case .tightened, .moved: 403
            }
        }

        func make(_ world: ServerWorld, _ app: AppID) async throws {
            let answer: ServerWorld.Answer
            switch self {
            case .none: return
            case .revoked: answer = try await world.send(.post, "/v1/apps/\(app)/actions/revoke", as: world.admin)
            case .tightened:
                answer = try await world.send(.patch, "/v1/apps/\(app)", as: world.admin, ["scopes": ["sites:read"]])
            case .moved:
                let list: JSON = ["ip_allow_list": ["192.0.2.7/32"]]
                answer = try await world.send(.patch, "/v1/apps/\(app)", as: world.admin, list)
            }
            #expect(answer.status == 200, "\(answer.text)")
        }
    }

    @Test(arguments: Change.allCases)
    func `a disarm whose app lost the right while the body came is not done`(change: Change) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (app, key) = try await world.app(of: shop.dealer, [.armingWrite])
            _ = try await world.command("arm", shop, ["instant_arm": true])
            let before = try await world.arming(shop).text
            let body: JSON = ["user_code": .string(ServerWorld.Shop.code)]
            let path = "\(shop.path)/arming/actions/disarm"
            let status = try await Self.status(world, path, as: key, body.bytes) { try await change.make(world, app) }
            #expect(status == change.status)
            #expect((try await world.arming(shop).text == before) == (change != .none))
            let refused = try await world.send(.get, "/v1/audit?action=disarmSite", as: world.admin)
            let results = refused["data"]?.array?.compactMap { $0["result"]?.string } ?? []
            #expect(results.contains("permission_denied") == (change.status == 403), "\(refused.text)")
        }
    }

    @Test func `a report whose partner was revoked while the body came is not taken`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            let body = JSON.object(world.reportBody())
            let (path, token) = ("/v1/sites/\(scene.site)/arming-state", scene.partner.token)
            let before = try await world.counts()
            let status = try await Self.status(world, path, as: token, body.bytes) {
                let revoked = try await world.send(
                    .post,
                    "/v1/partners/\(scene.partner.id)/actions/revoke",
                    as: world.admin
                )
                #expect(revoked.status == 200, "\(revoked.text)")
            }
            #expect(status == 401)
            #expect(try await world.counts()["events"] == before["events"])
        }
    }

    @Test(arguments: [Change.none, .revoked, .tightened])
    func `an upload whose app lost the right while the file came leaves nothing`(change: Change) async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let (app, key) = try await world.app(of: camera.dealer, [.snapshotsWrite])
            let (path, picture) = ("/v1/devices/\(camera.device)/snapshots", try Sample.bytes("door.jpg"))
            let status = try await Self.status(world, path, as: key, picture, type: "image/jpeg") {
                try await change.make(world, app)
            }
            #expect(status == (change == .none ? 201 : change.status))
            #expect(try world.files().isEmpty == (change != .none))
        }
    }

    @Test func `a picture whose device is deleted while it comes is refused, and nothing is left of it`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let (path, picture) = ("/v1/devices/\(camera.device)/snapshots", try Sample.bytes("door.jpg"))
            let (_, key) = try await world.app(of: camera.dealer, [.snapshotsWrite])
            let status = try await Self.status(world, path, as: key, picture, type: "image/jpeg") {
                let gone = try await world.send(.delete, "/v1/devices/\(camera.device)", as: world.admin)
                #expect(gone.status == 204, "\(gone.text)")
            }
            #expect(status == 404)
            #expect(try world.files().isEmpty)
            #expect(try await world.counts()["snapshot"] == 0)
        }
    }

    @Test func `a body that is too slow is answered 408`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let path = "\(shop.path)/arming/actions/disarm"
            let status = try await Self.status(world, path, as: shop.key, [0x7B, 0x7D]) {
                throw WireHandler.BodyTooSlow()
            }
            #expect(status == 408)
        }
    }

    // MARK: On the wire

    /// Counts what whoever reads a connection's requests hears of slow bodies.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart

        var slow = 0

        func errorCaught(context _: ChannelHandlerContext, error: any Error) {
            if error is WireHandler.BodyTooSlow { slow += 1 }
        }
    }

    private static func channel() throws -> (channel: EmbeddedChannel, reader: Reader) {
        let (channel, reader) = (EmbeddedChannel(), Reader())
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
        try pipeline.addHandler(WireHandler.Installer(WireTests.requests()) { "req_test" })
        try pipeline.addHandler(reader)
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        return (channel, reader)
    }

    @Test(arguments: [("application/json", WireHandler.bodyTime), ("image/png", WireHandler.fileTime)])
    func `a body that trickles in ends when its time is up, however often a byte comes`(
        type: String,
        limit: Int64
    ) throws {
        let (channel, reader) = try Self.channel()
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: \(type)\r\nContent-Length: 9999\r\n\r\n"
        try channel.writeInbound(ByteBuffer(string: head))
        for _ in 1..<limit {
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            try channel.writeInbound(ByteBuffer(string: "x"))
        }
        #expect(reader.slow == 0)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(reader.slow == 1)
        _ = try? channel.finish()
    }

    @Test func `a request that is whole in time is left alone, and so is the next`() throws {
        let (channel, reader) = try Self.channel()
        for _ in 1...3 {
            try channel.writeInbound(ByteBuffer(string: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{"))
            channel.embeddedEventLoop.advanceTime(by: .seconds(WireHandler.bodyTime - 1))
            try channel.writeInbound(ByteBuffer(string: "}"))
            channel.embeddedEventLoop.advanceTime(by: .seconds(WireHandler.fileTime))
        }
        #expect(reader.slow == 0)
        #expect(channel.isActive)
        _ = try? channel.finish()
    }

    @Test func `a body that nobody waits for any more ends with its connection`() throws {
        let (channel, reader) = try Self.channel()
        try channel.writeInbound(ByteBuffer(string: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"))
        let head = HTTPResponseHead(version: .http1_1, status: .unauthorized, headers: ["Content-Length": "0"])
        try channel.writeOutbound(HTTPServerResponsePart.head(head))
        try channel.writeOutbound(HTTPServerResponsePart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(WireHandler.bodyTime))
        #expect(!channel.isActive)
        #expect(reader.slow == 0)
        _ = try? channel.finish()
    }
}
