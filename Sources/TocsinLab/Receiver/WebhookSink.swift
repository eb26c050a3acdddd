import NIOCore
import NIOPosix
import Synchronization

/// A receiver of webhooks that counts, times and checks what comes, and costs little.
package final class WebhookSink: Sendable {
    /// A webhook as it is shown to whoever decides the answer.
    package struct Webhook: Sendable {
        package var endpoint: Int
        package var event: EventKey
        package var eventID: String
        package var type: String
        package var body: [UInt8]
        package var at: UInt64
    }

    /// Decides with what status a webhook is answered; called on the receiver's event loop.
    package typealias Answer = @Sendable (Webhook) -> Int

    /// What a receiver does with a webhook; only an answer of 2xx takes it.
    package enum Reaction: Sendable {
        case answer(Int)
        /// Answers so late, in milliseconds.
        case late(Int, milliseconds: Int64)
        /// Says nothing and leaves the connection open.
        case silence
        /// Closes the connection without a word.
        case hangUp

        /// What is noted of it: 0 where nothing is answered.
        var status: Int {
            switch self {
            case .answer(let status), .late(let status, milliseconds: _): status
            case .silence, .hangUp: 0
            }
        }
    }

    /// Like ``Answer``, for receivers that do worse than answer an error.
    package typealias React = @Sendable (Webhook) -> Reaction

    /// One request in so many has its signatures verified: 2 %.
    package static let sampleEvery = 50

    package let arrivals: ArrivalLog
    package let port: Int
    private let channel: any Channel
    private let shared: Shared

    /// What all connections of the receiver use.
    final class Shared: Sendable {
        let arrivals: ArrivalLog
        let sampleEvery: Int
        let react: React?
        private let checks = Mutex<[Int: SignatureCheck]>([:])
        private let served = Atomic<Int>(0)

        init(arrivals: ArrivalLog, sampleEvery: Int, react: React?) {
            self.arrivals = arrivals
            self.sampleEvery = sampleEvery
            self.react = react
        }

        /// What to check the next webhook with, if it belongs to the sample.
        ///
        /// Counted over all connections: a sender may open thousands and use each a few times.
        func checkForNext(to endpoint: Int) -> SignatureCheck? {
            let number = served.wrappingAdd(1, ordering: .relaxed).newValue
            return number % sampleEvery == 0 ? checks.withLock { $0[endpoint] } : nil
        }

        func setChecks(_ new: [Int: SignatureCheck]) { checks.withLock { $0 = new } }
    }

    private init(arrivals: ArrivalLog, port: Int, channel: any Channel, shared: Shared) {
        self.arrivals = arrivals
        self.port = port
        self.channel = channel
        self.shared = shared
    }

    /// Listens on a free port of 127.0.0.1.
    ///
    /// - Parameters:
    ///   - group: Whose event loops receive.
    ///   - port: The port to take; 0 takes any that is free.
    ///   - sampleEvery: One request in so many has its signatures verified.
    ///   - answer: What a webhook is answered; 200 to all if there is none.
    /// - Returns: The receiver, listening.
    /// - Throws: When the port cannot be had.
    package static func start(
        on group: any EventLoopGroup,
        port: Int = 0,
        sampleEvery: Int = WebhookSink.sampleEvery,
        answer: Answer? = nil
    ) async throws -> WebhookSink {
        guard let answer else { return try await start(on: group, port: port, sampleEvery: sampleEvery, react: nil) }
        let react: React = { webhook in .answer(answer(webhook)) }
        return try await start(on: group, port: port, sampleEvery: sampleEvery, react: react)
    }

    /// Listens on a port of 127.0.0.1 and does with each webhook what `react` says; takes all if there is none.
    package static func start(
        on group: any EventLoopGroup,
        port: Int = 0,
        sampleEvery: Int = WebhookSink.sampleEvery,
        react: React?
    ) async throws -> WebhookSink {
        let arrivals = ArrivalLog()
        let shared = Shared(arrivals: arrivals, sampleEvery: sampleEvery, react: react)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SinkHandler(shared: shared))
                }
            }
            .bind(host: "127.0.0.1", port: port)
            .get()
        guard let port = channel.localAddress?.port else { throw LabError("the receiver has no port") }
        return WebhookSink(arrivals: arrivals, port: port, channel: channel, shared: shared)
    }

    /// Where the endpoint of that number is to be reached.
    package func url(endpoint: Int) -> String { "http://127.0.0.1:\(port)/hook/\(endpoint)" }

    /// Sets the secrets by endpoint; a webhook to an endpoint without one is counted, but not verified.
    package func verify(secrets: [Int: String]) throws {
        shared.setChecks(try secrets.mapValues(SignatureCheck.init(secret:)))
    }

    package func stop() async { try? await channel.close().get() }
}

/// Serves one connection.
private final class SinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let ok = ByteBuffer(string: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    private let shared: WebhookSink.Shared
    private var pending = ByteBuffer()
    private var pendingSince: UInt64 = 0

    init(shared: WebhookSink.Shared) { self.shared = shared }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        let now = Stopwatch.now
        if pending.readableBytes == 0 {
            pendingSince = now
            pending = buffer
        } else {
            pending.writeBuffer(&buffer)
        }
        while pending.readableBytes > 0 {
            switch pending.withUnsafeReadableBytes(serve) {
            case .needsMore: return
            case .malformed:
                context.close(promise: nil)
                return
            case .served(let length, let reaction, let closes):
                pending.moveReaderIndex(forwardBy: length)
                pendingSince = now
                perform(reaction, context)
                if closes { context.close(promise: nil) }
            }
        }
    }

    private func perform(_ reaction: WebhookSink.Reaction, _ context: ChannelHandlerContext) {
        switch reaction {
        case .answer(let status): context.write(wrapOutboundOut(Self.reply(status)), promise: nil)
        case .late(let status, let milliseconds):
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(milliseconds)) { [self] in
                guard context.channel.isActive else { return }
                context.writeAndFlush(wrapOutboundOut(Self.reply(status)), promise: nil)
            }
        case .silence: break
        case .hangUp: context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private enum Step {
        case needsMore
        case malformed
        case served(length: Int, reaction: WebhookSink.Reaction, closes: Bool)
    }

    private func serve(_ bytes: UnsafeRawBufferPointer) -> Step {
        switch RequestScanner.scan(bytes) {
        case .needsMore: return .needsMore
        case .malformed: return .malformed
        case .request(let request):
            return .served(length: request.length, reaction: note(request, bytes), closes: request.closes)
        }
    }

    /// Records the webhook and decides what is done with it.
    private func note(_ request: ScannedRequest, _ bytes: UnsafeRawBufferPointer) -> WebhookSink.Reaction {
        guard let id = request.eventID else {
            shared.arrivals.noteForeign()
            return .answer(200)
        }
        let event = EventKey(bytes[id])
        let check = shared.checkForNext(to: request.endpoint)
        let problem = check?.problem(
            head: UnsafeRawBufferPointer(rebasing: bytes[..<request.headLength]),
            body: Array(bytes[request.headLength..<request.length])
        )
        let reaction = shared.react.map { $0(webhook(request, event, bytes)) } ?? .answer(200)
        shared.arrivals.note(
            Arrival(event: event, endpoint: Int32(request.endpoint), status: Int16(reaction.status), at: pendingSince),
            checked: check != nil,
            problem: problem
        )
        return reaction
    }

    private func webhook(
        _ request: ScannedRequest,
        _ event: EventKey,
        _ bytes: UnsafeRawBufferPointer
    ) -> WebhookSink.Webhook {
        let head = UnsafeRawBufferPointer(rebasing: bytes[..<request.headLength])
        return WebhookSink.Webhook(
            endpoint: request.endpoint,
            event: event,
            eventID: RequestScanner.header("x-chekt-event-id", in: head) ?? "",
            type: RequestScanner.header("x-chekt-event-type", in: head) ?? "",
            body: Array(bytes[request.headLength..<request.length]),
            at: pendingSince
        )
    }

    private static func reply(_ status: Int) -> ByteBuffer {
        status == 200 ? ok : ByteBuffer(string: "HTTP/1.1 \(status) Scripted\r\ncontent-length: 0\r\n\r\n")
    }
}
