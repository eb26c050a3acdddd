import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import TocsinEngine

/// Takes the requests off a connection that ``Pipeline`` can hand over without waiting, and answers them on its event loop.
///
/// It stands in front of everything but the decoder. A request is taken when all of it came in one read, nothing before it is
/// unanswered, and it is plainly in order; everything else passes through. While a request is taken, whatever else comes is
/// held, so that answers keep their order and nobody ends the connection underneath it.
final class DirectLane: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What came in while a request was taken.
    private enum Held {
        case part(HTTPServerRequestPart)
        case event(Any)
        case error(any Error)
    }

    /// Puts a ``DirectLane`` behind the decoder of each connection, one ``OutcomeBox`` for those of an event loop.
    final class Installer: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = Never

        private let make: @Sendable (any EventLoop) -> DirectLane

        init(_ make: @escaping @Sendable (any EventLoop) -> DirectLane) { self.make = make }

        func handlerAdded(context: ChannelHandlerContext) {
            let pipeline = context.pipeline.syncOperations
            do {
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try pipeline.addHandler(make(context.eventLoop), position: .after(decoder))
            } catch {
                context.fireErrorCaught(error)
            }
        }
    }

    private let pipeline: Pipeline
    private let outcomes: OutcomeBox
    private let logger: Logger
    private let idleTime: TimeAmount
    private var context: ChannelHandlerContext?
    /// Where whole responses are written: behind whoever would encode them.
    private var wire: ChannelHandlerContext?
    private lazy var peer = ClientAddress(context?.channel.remoteAddress)
    /// What may be taken, if its rest comes in the same read.
    private var candidate: (request: Pipeline.DirectRequest, body: ByteBuffer?)?
    private var taken: Pipeline.Handed?
    private var token: CheckedToken?
    private var held: CircularBuffer<Held> = []
    private var wantsMore = false
    /// Requests that have passed through and whose answer has not ended.
    private var passed = 0
    /// A request that has passed through has not ended yet.
    private var isPassing = false
    /// Something has passed since the end of a read was.
    private var hasPassed = false
    /// Nothing more is answered.
    private var isClosing = false
    private var lastActive = NIODeadline.now()
    private var idleCheck: Scheduled<Void>?
    private var date = DateField()

    init(pipeline: Pipeline, outcomes: OutcomeBox, idleTime: TimeAmount, logger: Logger) {
        self.pipeline = pipeline
        self.outcomes = outcomes
        self.idleTime = idleTime
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        wire = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
        if context.channel.isActive { checkIdleness(context, in: idleTime) }
    }

    func handlerRemoved(context _: ChannelHandlerContext) { end() }

    func channelActive(context: ChannelHandlerContext) {
        checkIdleness(context, in: idleTime)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        idleCheck?.cancel()
        idleCheck = nil
        (context, wire, candidate, taken) = (nil, nil, nil, nil)
        held = []
    }

    // MARK: What comes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if taken != nil { held.append(.part(part)) } else { take(part, context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        passCandidate(context)
        guard hasPassed else { return }
        hasPassed = false
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if taken != nil { return held.append(.event(event)) }
        passCandidate(context)
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if taken != nil { return held.append(.error(error)) }
        passCandidate(context)
        context.fireErrorCaught(error)
    }

    /// Nothing more is read while something is held: so no more is held than one read brings.
    func read(context: ChannelHandlerContext) {
        if held.isEmpty { context.read() } else { wantsMore = true }
    }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            if passed == 0, !isClosing, wire != nil, context.channel.isWritable,
                let request = pipeline.directRequest(head)
            {
                candidate = (request, nil)
            } else {
                pass(part, context)
            }
        case .body(let buffer):
            if candidate == nil { return pass(part, context) }
            if candidate?.body == nil {
                candidate?.body = buffer
            } else {
                candidate?.body?.writeImmutableBuffer(buffer)
            }
        case .end(let trailers):
            if let candidate, trailers == nil, let handed = handOver(candidate.request, candidate.body ?? ByteBuffer())
            {
                self.candidate = nil
                taken = handed
                return
            }
            passCandidate(context)
            pass(part, context)
        }
    }

    private func handOver(_ request: Pipeline.DirectRequest, _ body: ByteBuffer) -> Pipeline.Handed? {
        guard let context else { return nil }
        let (outcomes, lane) = (outcomes, NIOLoopBound(self, eventLoop: context.eventLoop))
        return pipeline.handOver(request, body, from: peer, token: &token) { outcome in
            outcomes.put { lane.value.answer(outcome) }
        }
    }

    private func passCandidate(_ context: ChannelHandlerContext) {
        guard let (request, body) = candidate else { return }
        candidate = nil
        pass(.head(request.head), context)
        if let body { pass(.body(body), context) }
    }

    private func pass(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        (lastActive, hasPassed) = (.now(), true)
        switch part {
        case .head: (passed, isPassing) = (passed + 1, true)
        case .body: break
        case .end: isPassing = false
        }
        context.fireChannelRead(wrapInboundOut(part))
    }

    // MARK: What goes out

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // What was not answered by now is not worked on either: the connection is as idle as it is silent.
        if mode != .input { isClosing = true }
        context.close(mode: mode, promise: promise)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            // What is no request is answered, too.
            passed = max(0, passed - 1)
            lastActive = .now()
        }
        context.write(data, promise: promise)
    }

    private func answer(_ outcome: () throws -> Reply) {
        guard let taken, let context else { return }
        do {
            answer(try outcome(), taken)
        } catch {
            let (pipeline, logger, outcomes) = (pipeline, logger, outcomes)
            let lane = NIOLoopBound(self, eventLoop: context.eventLoop)
            Task {
                let reply = await pipeline.refusal(error, of: taken, logger)
                outcomes.put { lane.value.answer(reply, taken) }
            }
        }
    }

    private func answer(_ reply: Reply, _ handed: Pipeline.Handed) {
        guard taken != nil, let context, let wire else { return }
        taken = nil
        lastActive = .now()
        var buffer = ByteBufferAllocator().buffer(capacity: 1024)
        pipeline.write(reply, to: handed, date: date.text(at: pipeline.services.clock.now), into: &buffer)
        wire.writeAndFlush(NIOAny(IOData.byteBuffer(buffer)), promise: nil)
        if !held.isEmpty || wantsMore { goOn(context) }
    }

    /// Goes on with what was held, until one of it is taken.
    private func goOn(_ context: ChannelHandlerContext) {
        while taken == nil, let next = held.popFirst() {
            switch next {
            case .part(let part): take(part, context)
            case .event(let event): userInboundEventTriggered(context: context, event: event)
            case .error(let error): errorCaught(context: context, error: error)
            }
        }
        guard taken == nil else { return }
        channelReadComplete(context: context)
        guard wantsMore else { return }
        wantsMore = false
        context.read()
    }

    // MARK: Silence

    /// Closes the connection that says nothing, and lets a request that is worked on take its time.
    private func checkIdleness(_ context: ChannelHandlerContext, in time: TimeAmount) {
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            let isWorkedOn = !isClosing && (taken != nil || passed > 0 && !isPassing)
            let rest = isWorkedOn ? idleTime : lastActive + idleTime - .now()
            if rest > .nanoseconds(0) { checkIdleness(context, in: rest) } else { context.close(promise: nil) }
        }
    }
}

/// Brings outcomes to an event loop, all that gathered at once: a commit ends many requests.
final class OutcomeBox: Sendable {
    private let waiting = Mutex<[@Sendable () -> Void]>([])
    private let eventLoop: any EventLoop

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func put(_ outcome: @escaping @Sendable () -> Void) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(outcome)
            return waiting.count == 1
        }
        guard isFirst else { return }
        eventLoop.execute { [self] in
            let outcomes = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            for outcome in outcomes { outcome() }
        }
    }
}

/// The box of each event loop.
final class OutcomeBoxes: Sendable {
    private let boxes = Mutex<[ObjectIdentifier: OutcomeBox]>([:])

    func box(of eventLoop: any EventLoop) -> OutcomeBox {
        boxes.withLock { boxes in
            let id = ObjectIdentifier(eventLoop)
            if let box = boxes[id] { return box }
            let box = OutcomeBox(eventLoop)
            boxes[id] = box
            return box
        }
    }
}
