import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing
import TocsinEngine
import TocsinJSON

@testable import TocsinServer

/// What is said on a connection before, or without, a request.
@Suite struct WireTests {
    /// A connection as the server sets it up, up to where requests are read.
    private static func channel(_ incoming: IncomingRequests = requests()) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withPipeliningAssistance: false,
            withErrorHandling: false
        )
        try channel.pipeline.syncOperations.addHandler(WireHandler.Installer(incoming) { "req_test" })
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        return channel
    }

    static let clock = StandingClock(ServerWorld.start)

    static func requests(
        _ arrivals: Arrivals? = nil,
        clock: StandingClock = clock
    ) -> IncomingRequests {
        let arrivals = arrivals ?? Arrivals(clock: clock) { _, _ in }
        return IncomingRequests(Routes(Operations.all), arrivals: arrivals, clock: clock)
    }

    private static func sent(_ channel: EmbeddedChannel) throws -> String {
        var text = ""
        while let part = try channel.readOutbound(as: IOData.self) {
            if case .byteBuffer(let buffer) = part { text += String(buffer: buffer) }
        }
        return text
    }

    private static func send(_ text: String, to channel: EmbeddedChannel) {
        // Whoever stands behind hears of it, too.
        #expect(throws: (any Error).self) { try channel.writeInbound(ByteBuffer(string: text)) }
    }

    @Test(arguments: [
        "POST /v1/alarms HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "FROB /v1/alarms HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1/alarms HTTP/9.9\r\n\r\n", "\u{16}\u{03}\u{01}",
    ])
    func `what is no request is refused in words, once, and the connection ends`(bytes: String) throws {
        let channel = try Self.channel()
        Self.send(bytes, to: channel)
        let answer = try Self.sent(channel)
        #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(answer.contains("X-Request-Id: req_test\r\n") && answer.contains("Connection: close\r\n"))
        let body = try #require(answer.firstRange(of: "\r\n\r\n")).upperBound
        let json = try JSONParser.parse(String(answer[body...]))
        #expect(json["error"]?["code"] == "malformed_request")
        #expect(json["error"]?["request_id"] == "req_test")
        // Whatever the server says of it afterwards would be a second answer.
        let head = HTTPResponseHead(version: .http1_1, status: .badRequest)
        try channel.writeOutbound(HTTPServerResponsePart.head(head))
        #expect(try Self.sent(channel).isEmpty)
        _ = try? channel.finish()
    }

    @Test func `a body that breaks off is left to whoever reads it, and answered once`() throws {
        let channel = try Self.channel()
        Self.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", to: channel)
        #expect(try Self.sent(channel).isEmpty)
        let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: ["Content-Length": "0"])
        for _ in 1...2 {
            try channel.writeOutbound(HTTPServerResponsePart.head(head))
            try channel.writeOutbound(HTTPServerResponsePart.end(nil))
        }
        #expect(try Self.sent(channel).components(of: "HTTP/1.1 400") == 1)
        _ = try? channel.finish()
    }

    @Test func `a client that waits is told to go on, and answered after that`() throws {
        let channel = try Self.channel()
        try channel.writeInbound(ByteBuffer(string: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"))
        try channel.triggerUserOutboundEvent(WireHandler.GoOn()).wait()
        #expect(try Self.sent(channel) == "HTTP/1.1 100 Continue\r\n\r\n")
        try channel.writeInbound(ByteBuffer(string: "{}"))
        let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Length": "0"])
        try channel.writeOutbound(HTTPServerResponsePart.head(head))
        try channel.writeOutbound(HTTPServerResponsePart.end(nil))
        #expect(try Self.sent(channel).hasPrefix("HTTP/1.1 200 OK\r\n"))
        _ = try? channel.finish()
    }
}

extension String {
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
