import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

/// What a receiver does on one connection, step by step; after the last step it keeps the connection open and is silent.
enum ReceiverStep: Sendable {
    /// Waits for one whole request.
    case request
    /// Waits for the first bytes, whatever they are.
    case bytes
    case send(String)
    case sendBytes([UInt8])
    /// Takes no more bytes, so that its window closes.
    case stopReading
    case wait(TimeAmount)
    /// Sends a byte at a time.
    case drip(String, every: TimeAmount)
    /// Sends the same again and again, as fast as it is taken.
    case endless(String)
    case close
    case halfClose
    case reset
}

/// A receiver on a loopback port that plays back a script of bytes on each connection.
final class ScriptedReceiver: Sendable {
    /// What has been seen so far.
    struct Record: Sendable {
        var connections = 0
        var closed = 0
        var requests: [String] = []
    }

    private let server: any Channel
    fileprivate let record = NIOLockedValueBox(Record())
    /// The first connection that ended.
    let firstClosed: EventLoopPromise<Void>
    let port: Int

    /// Receivers have threads of their own, as they would have machines of their own.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    /// Takes one script per connection; the last one serves all further connections.
    ///
    /// - Parameters:
    ///   - scripts: What it does.
    ///   - tls: Speaks TLS with these settings.
    ///   - backlog: How many connections the kernel completes before they are accepted.
    ///   - accepts: When it begins to accept; nil is never.
    /// - Throws: When no port can be had.
    init(
        _ scripts: [[ReceiverStep]],
        tls: NIOSSLContext? = nil,
        backlog: Int32 = 256,
        accepts: TimeAmount? = .zero
    ) async throws {
        let record = record
        let firstClosed = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Void.self)
        self.firstClosed = firstClosed
        server = try await ServerBootstrap(group: Self.group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.autoRead, value: accepts == .zero)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let index = record.withLockedValue { record in
                    record.connections += 1
                    return record.connections - 1
                }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    let steps = scripts[min(index, scripts.count - 1)]
                    try pipeline.addHandler(ScriptHandler(steps, record: record, firstClosed: firstClosed))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        port = server.localAddress?.port ?? 0
        if let accepts, accepts > .zero {
            let server = server
            server.eventLoop.scheduleTask(in: accepts) { server.setOption(.autoRead, value: true) }
        }
    }

    var seen: Record { record.withLockedValue { $0 } }

    /// Accepts no more connections, and takes the places that the kernel has for those that wait: whoever connects now waits.
    func fillUp() async throws -> [any Channel] {
        try await server.setOption(.autoRead, value: false).get()
        var taken: [any Channel] = []
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(.milliseconds(300))
        while taken.count < 16, let channel = try? await bootstrap.connect(host: "127.0.0.1", port: port).get() {
            taken.append(channel)
        }
        return taken
    }

    func stop() async throws {
        try await server.close()
        firstClosed.succeed()
    }
}

private final class ScriptHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var steps: ArraySlice<ReceiverStep>
    private var isWaiting = false
    private var isWaitingForBytes = false
    private var received = ""
    private let record: NIOLockedValueBox<ScriptedReceiver.Record>
    private let firstClosed: EventLoopPromise<Void>

    init(
        _ steps: [ReceiverStep],
        record: NIOLockedValueBox<ScriptedReceiver.Record>,
        firstClosed: EventLoopPromise<Void>
    ) {
        self.steps = steps[...]
        self.record = record
        self.firstClosed = firstClosed
    }

    func channelActive(context: ChannelHandlerContext) { advance(context) }

    func channelInactive(context: ChannelHandlerContext) {
        record.withLockedValue { $0.closed += 1 }
        firstClosed.succeed()
        steps = []
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
        if isWaitingForBytes {
            isWaitingForBytes = false
            received = ""
            return advance(context)
        }
        guard isWaiting, let end = Self.requestEnd(received) else { return }
        record.withLockedValue { $0.requests.append(String(received[..<end])) }
        received = String(received[end...])
        isWaiting = false
        advance(context)
    }

    private static func requestEnd(_ text: String) -> String.Index? {
        guard let headEnd = text.range(of: "\r\n\r\n") else { return nil }
        let length =
            text[..<headEnd.lowerBound].split(separator: "\r\n")
            .first { $0.hasPrefix("Content-Length: ") }
            .flatMap { Int($0.dropFirst("Content-Length: ".count)) }
        guard let length, text[headEnd.upperBound...].utf8.count >= length else { return nil }
        return text.utf8.index(headEnd.upperBound, offsetBy: length)
    }

    private func advance(_ context: ChannelHandlerContext) {
        while let step = steps.popFirst() {
            switch step {
            case .request:
                isWaiting = true
                return
            case .bytes:
                isWaitingForBytes = true
                return
            case .send(let text):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .sendBytes(let bytes):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            case .stopReading:
                context.channel.setOption(.autoRead, value: false).assumeIsolated().whenComplete { _ in }
            case .wait(let time):
                context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
                    if context.channel.isActive { advance(context) }
                }
                return
            case .drip(let text, let every):
                return drip(Array(text.utf8)[...], every: every, context)
            case .endless(let text):
                // In large writes: many small ones would keep the event loop from everything else.
                let times = 65536 / text.utf8.count + 1
                return flood(ByteBuffer(string: String(repeating: text, count: times)), context)
            case .close:
                return context.close(promise: nil)
            case .halfClose:
                context.close(mode: .output, promise: nil)
            case .reset:
                // Closing with unread or unsent bytes and no linger time makes the kernel send RST.
                let provider = context.channel as? any SocketOptionProvider
                _ = provider?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                return context.close(promise: nil)
            }
        }
    }

    private func drip(_ bytes: ArraySlice<UInt8>, every: TimeAmount, _ context: ChannelHandlerContext) {
        guard let byte = bytes.first, context.channel.isActive else { return advance(context) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: every) { [self] in
            drip(bytes.dropFirst(), every: every, context)
        }
    }

    private func flood(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: written)
        written.futureResult.assumeIsolated().whenSuccess { [self] in
            context.eventLoop.assumeIsolated().execute { [self] in flood(bytes, context) }
        }
    }
}
