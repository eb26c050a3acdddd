import NIOCore
import NIOHTTP1

/// Stands between a connection's bytes and its requests: tells a client to go on with its body, and answers what is no
/// request.
///
/// What the decoder refuses (two framings at once, an unknown method, a head that is too long) never gets to ``Pipeline``, and
/// would be answered without a word. It also bounds the time that a body takes: who sends a byte now and then is never idle,
/// and would hold what was looked up for its head for as long as it likes. And it tells when a request was received.
final class WireHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Asks to send `100 Continue`: the client waits for it with its body (RFC 9110 §10.1.1).
    struct GoOn: Sendable {}

    /// What whoever reads a body gets when its time is up.
    struct BodyTooSlow: Error {}

    /// Seconds from a head to its body's end; below ``ServerApplication/idleTimeout``, so that who stalls is told.
    static let bodyTime: Int64 = 45
    /// The same for a file: the largest takes that long at 35 kB/s.
    static let fileTime: Int64 = 300

    /// Puts a ``WireHandler`` behind the decoder, which is there already when further handlers are added.
    final class Installer: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = Never

        private let incoming: IncomingRequests
        private let newRequestID: @Sendable () -> String

        init(_ incoming: IncomingRequests, newRequestID: @escaping @Sendable () -> String) {
            self.incoming = incoming
            self.newRequestID = newRequestID
        }

        func handlerAdded(context: ChannelHandlerContext) {
            let pipeline = context.pipeline.syncOperations
            do {
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try pipeline.addHandler(WireHandler(incoming, newRequestID: newRequestID), position: .after(decoder))
            } catch {
                context.fireErrorCaught(error)
            }
        }
    }

    private let incoming: IncomingRequests
    private let newRequestID: @Sendable () -> String
    /// The request that is being read.
    private var request: IncomingRequest?
    /// Requests that have begun, and whose answer has not ended.
    private var unanswered = 0
    /// Nothing more can be read.
    private var isBroken = false
    /// Nothing more is answered: what comes now nobody will handle, and no site may wait for it.
    private var isClosing = false
    /// How long the body that is coming in may take; none between requests.
    private var time: TimeAmount?
    private var deadline: Scheduled<Void>?
    /// The last answer is out: whatever comes after it would be taken for a part of it.
    private var isOver = false

    init(_ incoming: IncomingRequests, newRequestID: @escaping @Sendable () -> String) {
        self.incoming = incoming
        self.newRequestID = newRequestID
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isBroken { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            unanswered += 1
            request = isClosing ? nil : incoming.begin(head, on: context.channel)
            let type = head.headers.first(name: "Content-Type")?.lowercased() ?? ""
            time = .seconds(type.hasPrefix("image/") || type.hasPrefix("video/") ? Self.fileTime : Self.bodyTime)
        case .body: break
        case .end:
            stopClock()
            if unanswered == 1 { request?.end() }
            request = nil
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Most requests are there whole by now, and need no clock.
        if let time, deadline == nil {
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.tooSlow(context) }
        }
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        stopClock()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stopClock()
        incoming.forget(context.channel)
    }

    private func stopClock() {
        time = nil
        deadline?.cancel()
        deadline = nil
    }

    private func tooSlow(_ context: ChannelHandlerContext) {
        guard time != nil, !isBroken else { return }
        stopClock()
        isBroken = true
        // A body that nobody waits for any more has its answer already.
        if unanswered == 0 { return context.close(promise: nil) }
        context.fireErrorCaught(BodyTooSlow())
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isOver {
            promise?.succeed(())
            return
        }
        if case .end = unwrapOutboundIn(data) {
            unanswered -= 1
            isOver = isBroken && unanswered <= 0
        }
        context.write(data, promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input {
            isClosing = true
            incoming.forget(context.channel)
        }
        context.close(mode: mode, promise: promise)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is GoOn else { return context.triggerUserOutboundEvent(event, promise: promise) }
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError, !isBroken {
            stopClock()
            isBroken = true
            // A request whose body broke off is answered by whoever reads it.
            if unanswered == 0 { refuse(context) }
        }
        context.fireErrorCaught(error)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        let requestID = newRequestID()
        let body = ByteBuffer(bytes: APIError.undecodable.body(requestID: requestID))
        let headers: HTTPHeaders = [
            "Content-Type": Reply.jsonType, "Content-Length": String(body.readableBytes), "X-Request-Id": requestID,
            "Connection": "close",
        ]
        let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        isOver = true
    }
}

extension APIError {
    /// 400: bytes that HTTP/1.1 does not know as a request, or as its body.
    static let undecodable = APIError(
        .malformedRequest,
        "This is no HTTP/1.1 request that we can read: look at its method, its framing and the length of its head."
    )
}
