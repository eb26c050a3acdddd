import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON

@testable import TocsinServer

/// When a request was received is told where its bytes are read, not where it is handled (design, arming: time (b)).
@Suite struct IncomingRequestTests {
    private static func channel(_ incoming: IncomingRequests) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
        try pipeline.addHandler(WireHandler.Installer(incoming) { "req_test" })
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        return channel
    }

    private static func head(_ path: String) -> ByteBuffer {
        ByteBuffer(string: "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    }

    private static let disarm = "/v1/sites/site_01/arming/actions/disarm"

    @Test func `a request is received with its last byte`() throws {
        let clock = StandingClock(ServerWorld.start)
        let incoming = WireTests.requests(clock: clock)
        let channel = try Self.channel(incoming)
        try channel.writeInbound(Self.head(Self.disarm))
        try channel.writeInbound(ByteBuffer(string: "{"))
        let request = try #require(incoming.next(on: channel))
        #expect(request.receivedAt == nil)
        clock.advance(.seconds(1))
        try channel.writeInbound(ByteBuffer(string: "}"))
        clock.advance(.seconds(1))
        #expect(request.receivedAt == ServerWorld.start + .seconds(1))
        #expect(incoming.next(on: channel) == nil)
        _ = try? channel.finish()
    }

    /// Else a command behind a stream would hold its site up as long as its sender likes, and be of long ago in the end.
    @Test func `one behind a request that is not answered yet is received when its turn comes`() throws {
        let incoming = WireTests.requests()
        let channel = try Self.channel(incoming)
        for _ in 1...2 {
            try channel.writeInbound(Self.head(Self.disarm))
            try channel.writeInbound(ByteBuffer(string: "{}"))
        }
        #expect(incoming.next(on: channel)?.receivedAt != nil)
        let second = try #require(incoming.next(on: channel))
        #expect(second.receivedAt == nil)
        _ = try? channel.finish()
    }

    /// Else who sends a command behind an answer that ended the connection would hold a site up without any right to it.
    @Test func `what comes behind the last answer is nobody's`() throws {
        let arrivals = Arrivals(clock: WireTests.clock) { _, _ in }
        let incoming = WireTests.requests(arrivals)
        let channel = try Self.channel(incoming)
        try channel.writeInbound(Self.head(Self.disarm))
        try channel.writeInbound(ByteBuffer(string: "{}"))
        #expect(!arrivals.isEmpty)
        _ = try? channel.close(mode: .output).wait()
        #expect(arrivals.isEmpty)
        try channel.writeInbound(Self.head(Self.disarm))
        try channel.writeInbound(ByteBuffer(string: "{}"))
        #expect(arrivals.isEmpty)
        #expect(incoming.next(on: channel) == nil)
        _ = try? channel.finish()
    }

    @Test(arguments: [
        ("/v1/sites/site_01/arming/actions/disarm?x=1", true), ("/v1/sites/site_01/signals", true),
        ("/v1/sites/site_01/arming-state", true), ("/v1/sites/site_01/zones", false),
        ("/v1/sites/nonsense/signals", false),
        ("/v1/devices/dev_01/snapshots", false), ("/v1/alarms/A-1/resolve", false), ("/nothing", false),
    ])
    func `a site waits for what commands it, until that is answered or its connection ends`(
        path: String,
        isAwaited: Bool
    ) throws {
        let clock = StandingClock(ServerWorld.start)
        let arrivals = Arrivals(clock: clock) { _, _ in }
        let incoming = WireTests.requests(arrivals, clock: clock)
        for isHandled in [true, false] {
            let channel = try Self.channel(incoming)
            try channel.writeInbound(Self.head(path))
            try channel.writeInbound(ByteBuffer(string: "{}"))
            #expect(arrivals.isEmpty != isAwaited)
            if isHandled { incoming.next(on: channel)?.finish() }
            #expect(arrivals.isEmpty == (isHandled || !isAwaited))
            _ = try? channel.finish()
            #expect(arrivals.isEmpty)
        }
    }

    @Test func `a disarm that was read in time is done, though it is handled when the entry delay is over`()
        async throws
    {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await world.command("arm", shop, ["instant_arm": true])
            _ = try await world.signal(shop, 1, "open")
            #expect(try await world.arming(shop).partition(0, "state") == "entry_delay")
            let pipeline = Pipeline(services: world.services, routes: Routes(Operations.all))
            let path = "\(shop.path)/arming/actions/disarm"
            let body: JSON = ["user_code": .string(ServerWorld.Shop.code)]
            let channel = EmbeddedChannel()
            pipeline.incoming.begin(HTTPRequestHead(version: .http1_1, method: .POST, uri: path), on: channel).end()
            #expect(!world.services.sites.arrivals.isEmpty)
            world.clock.advance(.seconds(120))
            let response = try await pipeline.respond(
                to: Request(
                    head: HTTPRequest(
                        method: .post,
                        scheme: "http",
                        authority: "tocsin.test",
                        path: path,
                        headerFields: [.authorization: "Bearer \(world.admin)", .contentType: "application/json"]
                    ),
                    body: RequestBody(buffer: ByteBuffer(bytes: body.bytes))
                ),
                context: Connection(
                    source: ApplicationRequestContextSource(channel: channel, logger: Logger(label: "test"))
                )
            )
            #expect(response.status.code == 200)
            #expect(world.services.sites.arrivals.isEmpty)
            let arming = try await world.arming(shop)
            #expect(arming.partition(0, "state") == "disarmed")
            #expect(arming.partition(0, "in_alarm") == false)
        }
    }
}
