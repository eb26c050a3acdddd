import NIOCore
import NIOPosix

/// What a connection of the load does next.
package enum LoadStep: Sendable {
    /// The request was written into the buffer.
    case send
    /// Nothing to send now; ask again after that.
    case wait(TimeAmount)
    /// This connection has nothing more to do.
    case done
}

/// Makes the requests of a load and takes in the replies; called on the load's event loop.
package protocol LoadSource: Sendable {
    /// Writes the connection's next request into the buffer, or says why there is none.
    func next(connection: Int, into buffer: inout ByteBuffer) -> LoadStep

    /// Takes in a reply: its status, its body, and when the request was sent (monotonic nanoseconds).
    func finish(connection: Int, status: Int, body: UnsafeRawBufferPointer, sentAt: UInt64)
}

/// Keep-alive HTTP/1.1 connections, each with one request under way, that cost as little as possible.
package enum LoadClient {
    /// Opens `connections` to the port on 127.0.0.1, works off the source, and returns when all have nothing more to do.
    ///
    /// - Throws: When a connection breaks, a reply is not HTTP or does not come: then figures would mean nothing. When the
    ///   caller is cancelled.
    package static func run(
        _ source: some LoadSource,
        port: Int,
        connections: Int,
        on group: any EventLoopGroup
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<connections {
                tasks.addTask { try await drive(source, connection: number, port: port, on: group) }
            }
            try await tasks.waitForAll()
        }
    }

    private static func drive(
        _ source: some LoadSource,
        connection: Int,
        port: Int,
        on group: any EventLoopGroup
    ) async throws {
        let loop = group.next()
        let finished = loop.makePromise(of: Void.self)
        do {
            let channel = try await ClientBootstrap(group: loop)
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = LoadHandler(source: source, connection: connection, finished: finished)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: "127.0.0.1", port: port)
                .get()
            try await withTaskCancellationHandler {
                try await finished.futureResult.get()
            } onCancel: {
                finished.fail(CancellationError())
                channel.close(promise: nil)
            }
            try? await channel.close().get()
        } catch {
            finished.fail(error)
            throw error
        }
    }
}

/// Drives one connection.
private final class LoadHandler<Source: LoadSource>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let source: Source
    private let connection: Int
    private let finished: EventLoopPromise<Void>
    private var pending = ByteBuffer()
    private var sentAt: UInt64 = 0
    private var isDone = false
    private var isWaiting = false

    /// How long a reply may take: longer than anything the server does, on any machine that can measure.
    private static var replyMax: TimeAmount { .seconds(60) }

    init(source: Source, connection: Int, finished: EventLoopPromise<Void>) {
        self.source = source
        self.connection = connection
        self.finished = finished
    }

    func channelActive(context: ChannelHandlerContext) {
        proceed(context)
        watch(context)
    }

    /// Looks now and then whether a reply is overdue: cheaper than a timer for every request.
    private func watch(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(5)) { [self] in
            guard !isDone, context.channel.isActive else { return }
            if isWaiting, Stopwatch.now - sentAt > UInt64(Self.replyMax.nanoseconds) {
                fail(
                    context,
                    LabError("the server did not answer within \(Self.replyMax.nanoseconds / 1_000_000_000) s")
                )
            } else {
                watch(context)
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if pending.readableBytes == 0 { pending = buffer } else { pending.writeBuffer(&buffer) }
        switch pending.withUnsafeReadableBytes(take) {
        case .needsMore: break
        case .malformed: fail(context, LabError("a reply is not HTTP/1.1 with a length"))
        case .reply(let reply):
            isWaiting = false
            pending.moveReaderIndex(forwardBy: reply.length)
            proceed(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDone { fail(context, LabError("the server closed a connection of the load")) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, error) }

    private func take(_ bytes: UnsafeRawBufferPointer) -> ReplyScan {
        let scan = ReplyScanner.scan(bytes)
        if case .reply(let reply) = scan {
            let body = UnsafeRawBufferPointer(rebasing: bytes[reply.headLength..<reply.length])
            source.finish(connection: connection, status: reply.status, body: body, sentAt: sentAt)
        }
        return scan
    }

    private func proceed(_ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: 1024)
        switch source.next(connection: connection, into: &buffer) {
        case .send:
            sentAt = Stopwatch.now
            isWaiting = true
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        case .wait(let time):
            context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
                if context.channel.isActive { proceed(context) }
            }
        case .done:
            isDone = true
            finished.succeed()
        }
    }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        isDone = true
        finished.fail(error)
        context.close(promise: nil)
    }
}
