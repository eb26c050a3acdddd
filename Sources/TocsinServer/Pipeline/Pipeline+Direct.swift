import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import TocsinCore
import TocsinEngine
import TocsinJSON

/// The short way through the same steps, for operations with a ``Operation/direct`` handler: nothing is waited for, so that
/// the request stays on its connection's event loop until it is handed over, and is answered there.
///
/// Whatever is not plainly in order goes the long way as if nothing had happened: refusals are said in one place.
extension Pipeline {
    /// A request whose head may go the short way.
    struct DirectRequest {
        let bound: BoundOperation
        let pathValues: [String]
        let head: HTTPRequestHead
    }

    /// A request that was handed over, and waits for its outcome; an object, so that it is not copied meanwhile.
    final class Handed: Sendable {
        /// What a refusal is made of.
        fileprivate let progress: Progress
        fileprivate let told: Told

        fileprivate init(_ progress: Progress, _ told: Told) {
            self.progress = progress
            self.told = told
        }
    }

    /// None for what has to go the long way.
    func directRequest(_ head: HTTPRequestHead) -> DirectRequest? {
        guard head.method == .POST, head.version == .http1_1, head.isKeepAlive,
            head.uri.utf8.first == UInt8(ascii: "/"),
            !head.uri.utf8.contains(UInt8(ascii: "?")),
            case .found(let bound, let values) = routes.match(.post, head.uri[...]), bound.operation.direct != nil
        else { return nil }
        return DirectRequest(bound: bound, pathValues: values, head: head)
    }

    /// Hands a request over, if nothing of it must be waited for or refused.
    ///
    /// - Parameters:
    ///   - request: Its head.
    ///   - body: The whole body.
    ///   - peer: Whose connection it is.
    ///   - token: What the connection's last request was known by; becomes this one's.
    ///   - tell: Takes the outcome later, on any thread.
    /// - Returns: None for what has to go the long way.
    func handOver(
        _ request: DirectRequest,
        _ body: ByteBuffer,
        from peer: ClientAddress?,
        token: inout CheckedToken?,
        _ tell: @escaping Operation.Telling
    ) -> Handed? {
        let now = services.clock.now
        let head = RequestHead(request.head.headers)
        let operation = request.bound.operation
        guard let direct = operation.direct, head.idempotencyKey == nil, head.contentLength != nil, !head.waitsToGoOn,
            head.hasContentType(Reply.jsonType), body.readableBytes <= operation.bodyLimit,
            head.traceID?.isVisibleASCII(upTo: Self.traceIDLengthMax) ?? true,
            // What has a bucket of its site would have to be looked up.
            let caller = caller(head.authorization, &token, now),
            caller.tier == .unlimited
        else { return nil }
        var progress = Progress(requestID: services.newRequestID(at: now), startedAt: now, head: head)
        progress.head.range = nil
        progress.traceID = head.traceID
        progress.bound = request.bound
        progress.address = services.settings.trustedProxies.client(peer: peer, forwardedFor: head.forwardedFor)
        progress.caller = caller
        progress.place = place(request.bound, request.pathValues, caller, "")
        do {
            try operation.callers.admit(caller)
            try checkHead(head, operation)
            let bytes = Array(body.readableBytesView)
            var call = Call(
                services: services,
                caller: caller,
                requestID: progress.requestID,
                traceID: progress.traceID,
                receivedAt: now,
                pacing: CodePacing(),
                bytes: bytes,
                clientAddress: progress.address,
                head: progress.head,
                bound: request.bound,
                pathValues: request.pathValues
            )
            call.json = try checkedBody(bytes, operation, head)
            call.body = Fields(call.json.object ?? [:])
            try direct(call, tell)
            progress.call = call
        } catch {
            return nil
        }
        return Handed(progress, told(of: progress))
    }

    /// Who asks, if all that must be known of it is in memory.
    private func caller(_ authorization: String?, _ token: inout CheckedToken?, _ now: Instant) -> Caller? {
        if token == nil || token?.authorization != authorization {
            token = services.authenticator.checkedToken(authorization)
        }
        return token.flatMap { services.authenticator.caller(by: $0, now: now) }
    }

    /// What the outcome is answered with; the reply of a refusal, which is written down first, has to be waited for.
    func refusal(_ error: any Error, of handed: Handed, _ logger: Logger) async -> Reply {
        await refuse(error, handed.progress, logger)
    }

    /// Writes the whole response, as ``response(_:_:isHead:)`` would have it written.
    ///
    /// - Parameters:
    ///   - reply: What is answered; it has its bytes, or none.
    ///   - handed: The request.
    ///   - date: The value of the `Date` field.
    ///   - buffer: Where it is written to.
    func write(_ reply: Reply, to handed: Handed, date: String, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(String(reply.status.code))
        buffer.writeStaticString(" ")
        buffer.writeString(reply.status.reasonPhrase)
        buffer.writeStaticString("\r\n")
        func line(_ name: String, _ value: String) {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        eachField(of: reply, handed.told) { line($0.rawName, $1) }
        var body: [UInt8] = []
        if case .bytes(let bytes, let contentType) = reply.body {
            body = bytes
            line("Content-Type", contentType)
        }
        line("Content-Length", String(body.count))
        line("Date", date)
        buffer.writeStaticString("\r\n")
        buffer.writeBytes(body)
        measure(reply, handed.told)
    }
}
