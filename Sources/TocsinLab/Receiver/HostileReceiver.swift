import NIOCore
import NIOPosix
import Synchronization

/// A receiver that takes connections and never takes a webhook.
package final class HostileReceiver: Sendable {
    package enum Manner: Sendable {
        /// Reads, and says nothing.
        case blackHole
        /// Answers 200, one byte a second, and never comes to the end.
        case slowLoris
    }

    package let port: Int
    private let channel: any Channel
    private let counted: Counted

    private final class Counted: Sendable {
        let requests = Atomic<Int>(0)
    }

    private init(port: Int, channel: any Channel, counted: Counted) {
        self.port = port
        self.channel = channel
        self.counted = counted
    }

    /// Listens on a free port of 127.0.0.1.
    package static func start(_ manner: Manner, on group: any EventLoopGroup) async throws -> HostileReceiver {
        let counted = Counted()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = HostileHandler(manner) { counted.requests.wrappingAdd(1, ordering: .relaxed) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        guard let port = channel.localAddress?.port else { throw LabError("the hostile receiver has no port") }
        return HostileReceiver(port: port, channel: channel, counted: counted)
    }

    /// Where the endpoint of that number is to be reached.
    package func url(endpoint: Int) -> String { "http://127.0.0.1:\(port)/hook/\(endpoint)" }

    /// How many connections have brought a request so far.
    package var requests: Int { counted.requests.load(ordering: .relaxed) }

    package func stop() async { try? await channel.close().get() }
}

/// Serves one connection, badly.
private final class HostileHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a slow loris says, a byte at a time, and then zeros for a body that nobody lives to see the end of.
    private static let head = Array("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".utf8)

    private let manner: HostileReceiver.Manner
    private let onRequest: () -> Void
    private var hasRead = false
    private var sent = 0

    init(_ manner: HostileReceiver.Manner, onRequest: @escaping () -> Void) {
        self.manner = manner
        self.onRequest = onRequest
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasRead else { return }
        hasRead = true
        onRequest()
        switch manner {
        case .blackHole: break
        case .slowLoris: drip(context)
        }
    }

    private func drip(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let byte = sent < Self.head.count ? Self.head[sent] : UInt8(ascii: "0")
        sent += 1
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [self] in drip(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
