import NIOCore
import NIOSSL
import NIOTLS

/// What connections must have in common to serve each other's requests.
struct PoolKey: Hashable, Sendable {
    let address: IPAddress
    let port: Int
    let scheme: EndpointURL.Scheme
    /// Names the TLS server, so that a certificate checked for one host never serves another.
    let host: String
    /// A connection on which one endpoint's certificate was shown must not carry another's requests.
    let identity: String?
}

/// A connection to a receiver, one request at a time; confined to its event loop.
final class Connection: ChannelInboundHandler, Aged {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case opening
        case handshaking
        case busy
        /// The response is complete; the rest of the read cycle shows whether more bytes follow it.
        case settling(reusable: Bool)
        case idle
        case closed
    }

    let key: PoolKey
    let addressText: String
    /// What the certificate has to name; nil when the host is an address.
    private let serverName: String?
    private let shard: Shard
    private var state = State.opening
    private var context: ChannelHandlerContext?
    private var attempt: Attempt?
    private var parser = ResponseParser()
    private var hasServed = false
    /// When an idle connection is closed.
    var expires = NIODeadline.distantFuture

    var older: Connection?
    var newer: Connection?

    init(key: PoolKey, serverName: String?, shard: Shard) {
        self.key = key
        self.serverName = serverName
        self.shard = shard
        self.addressText = key.address.text(port: key.port)
    }

    // MARK: What the shard asks for

    /// The TCP connection stands: sends the attempt's request, over TLS once the handshake is done.
    func opened(for attempt: Attempt, at now: NIODeadline) {
        guard case .opening = state else {
            return shard.fail(attempt, WebhookFailure(.closedEarly, "The receiver closed the connection."))
        }
        switch key.scheme {
        case .http:
            send(attempt, at: now)
        case .https:
            state = .handshaking
            self.attempt = attempt
            attempt.enter(.handshaking, at: now)
        }
    }

    /// Stands, but whom it was opened for has taken another meanwhile.
    ///
    /// Without TLS it is kept for the next. A handshake is not made for nobody: there is no attempt whose time would bound it.
    func openedForNobody() {
        guard case .opening = state, context != nil, key.scheme == .http else { return drop() }
        state = .idle
        shard.becameIdle(self)
    }

    func send(_ attempt: Attempt, at now: NIODeadline) {
        guard let context else {
            state = .closed
            shard.fail(attempt, WebhookFailure(.closedEarly, "The receiver closed the connection."))
            return
        }
        self.attempt = attempt
        attempt.outcome.reusedConnection = hasServed
        state = .busy
        parser = ResponseParser()
        attempt.enter(.waiting, at: now)
        context.writeAndFlush(wrapOutboundOut(attempt.bytes), promise: nil)
        // A write that failed has closed the connection and ended or moved the attempt already.
        if case .busy = state { attempt.wrote(at: .now()) }
    }

    /// Hands the part of a response that has come to the attempt.
    func tellProgress() {
        attempt?.take(parser)
    }

    /// Closes at once; the attempt, if any, is no longer this connection's business.
    func drop() {
        state = .closed
        attempt = nil
        parser = ResponseParser()
        context?.close(promise: nil)
    }

    // MARK: What the channel reports

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        shard.channelOpened(key)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        shard.channelClosed(key)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshaking = state, let attempt, case .some(.handshakeCompleted) = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        let now = NIODeadline.now()
        attempt.outcome.timing.tls = Duration(now - attempt.phaseStarted)
        guard isForHost(context) else { return shard.fail(attempt, Self.otherHost) }
        send(attempt, at: now)
    }

    private func isForHost(_ context: ChannelHandlerContext) -> Bool {
        guard let serverName else { return true }
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        return certificate.map { HostCertificate.names($0, host: serverName) } ?? false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .busy: break
        case .opening, .handshaking, .settling, .idle:
            // Bytes nobody asked for: what they would answer cannot be known, so they must not meet a request.
            return unsolicited()
        case .closed: return
        }
        guard let attempt else { return }
        attempt.received(at: .now())
        switch parser.feed(unwrapInboundIn(data)) {
        case .needsMore:
            break
        case .complete(let reusable):
            let isWritten = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0
            complete(attempt, reusable: reusable && isWritten)
        case .failed(let failure):
            attempt.take(parser)
            shard.fail(attempt, failure)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard case .settling(let reusable) = state else { return }
        hasServed = true
        guard reusable else { return drop() }
        state = .idle
        shard.becameIdle(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended(nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ended(error)
        context.close(promise: nil)
    }

    // MARK: How exchanges end

    private func complete(_ attempt: Attempt, reusable: Bool) {
        attempt.take(parser)
        parser = ResponseParser()
        self.attempt = nil
        state = .settling(reusable: reusable)
        shard.succeed(attempt)
    }

    private func unsolicited() {
        let stray = attempt
        attempt = nil
        if case .idle = state { shard.leavesPool(self) }
        if let stray { shard.fail(stray, WebhookFailure(.badResponse, "The receiver spoke before it was asked.")) }
        drop()
    }

    private func ended(_ error: (any Error)?) {
        let was = state
        state = .closed
        let attempt = attempt
        self.attempt = nil
        switch was {
        case .opening, .settling, .closed:
            break
        case .idle:
            shard.leavesPool(self)
        case .handshaking:
            if let attempt { shard.fail(attempt, Self.handshakeFailure(error)) }
        case .busy:
            if let attempt { endedWhileBusy(attempt, error) }
        }
    }

    private func endedWhileBusy(_ attempt: Attempt, _ error: (any Error)?) {
        if hasServed, !attempt.isRetry, case .waiting = attempt.phase {
            return shard.retry(attempt)
        }
        let step: ResponseParser.Step? = error == nil ? parser.end() : nil
        attempt.take(parser)
        switch step {
        case .complete: shard.succeed(attempt)
        case .failed(let failure): shard.fail(attempt, failure)
        case .needsMore, nil:
            shard.fail(attempt, Self.breakOff(error))
        }
    }

    private static func breakOff(_ error: (any Error)?) -> WebhookFailure {
        switch error {
        case is IOError:
            WebhookFailure(.reset, "The receiver reset the connection.")
        // In TLS 1.3 a client hears only now that its certificate, or the lack of one, does not please.
        case let error? where String(describing: error).contains("_ALERT_"):
            WebhookFailure(
                .tls,
                "The receiver ended TLS with an alert: perhaps it misses a client certificate, or does not accept the one it saw."
            )
        case .some, nil:
            WebhookFailure(.closedEarly, "The receiver ended the connection improperly.")
        }
    }

    private static let otherHost = WebhookFailure(.tls, "The receiver's certificate is not for this host.")

    private static func handshakeFailure(_ error: (any Error)?) -> WebhookFailure {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            otherHost
        case let error? where String(describing: error).contains("CERTIFICATE_VERIFY_FAILED"):
            WebhookFailure(.tls, "The receiver's certificate is not trusted.")
        case is IOError:
            WebhookFailure(.tls, "The receiver reset the connection during the TLS handshake.")
        case .some:
            WebhookFailure(.tls, "The TLS handshake failed.")
        case nil:
            WebhookFailure(.tls, "The receiver closed the connection during the TLS handshake.")
        }
    }
}
