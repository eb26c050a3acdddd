import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import TocsinCore
import TocsinEngine

/// Hands notices to a mail server, one connection for each.
package struct SMTPNotifier: Notifier {
    /// From the name's resolution to the server's last yes; a server that is slower is tried again later.
    package static let timeLimit: Duration = .seconds(60)
    private static let connectLimit: TimeAmount = .seconds(15)

    private let server: MailServer
    private let sender: MailSender
    private let group: any EventLoopGroup
    private let tls: NIOSSLContext
    private let timeLimit: Duration

    /// Reads the trust store; certificates are always verified.
    ///
    /// - Parameters:
    ///   - server: Where mail is handed in.
    ///   - sender: Who it comes from.
    ///   - group: Where the connections live.
    ///   - extraCAFile: A PEM file of authorities to trust beside the system's.
    ///   - timeLimit: For one message.
    /// - Throws: When the trust store or the extra file cannot be read.
    package init(
        server: MailServer,
        sender: MailSender,
        group: any EventLoopGroup,
        extraCAFile: String? = nil,
        timeLimit: Duration = SMTPNotifier.timeLimit
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        configuration.shutdownTimeout = .seconds(1)
        if let extraCAFile { configuration.additionalTrustRoots = [.file(extraCAFile)] }
        tls = try NIOSSLContext(configuration: configuration)
        self.server = server
        self.sender = sender
        self.group = group
        self.timeLimit = timeLimit
    }

    package func deliver(_ notice: Notice) async throws(NotifierError) {
        guard let recipient = notice.address.flatMap(MailAddress.init) else {
            throw NotifierError(.badAddress, "The person's address is not one to send mail to.", isPermanent: true)
        }
        let message = MailMessage(notice: notice, sender: sender, recipient: recipient)
        let eventLoop = group.next()
        // Whoever is first decides: the dialogue, the time limit, or the end of the program.
        let done = eventLoop.makePromise(of: Void.self)
        let limit = eventLoop.scheduleTask(in: TimeAmount(timeLimit)) {
            done.fail(NotifierError(.timeout, "The mail server did not take the message in time."))
        }
        converse(message, on: eventLoop, done)
        defer { limit.cancel() }
        do {
            try await withTaskCancellationHandler {
                try await done.futureResult.get()
            } onCancel: {
                done.fail(NotifierError(.stopped, "The program is stopping."))
            }
        } catch {
            throw (error as? NotifierError) ?? NotifierError(.broken, "\(error)")
        }
    }

    private func converse(_ message: MailMessage, on eventLoop: any EventLoop, _ done: EventLoopPromise<Void>) {
        let (server, tls) = (server, tls)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.connectLimit)
            // Nothing is read before the handlers are there to hear it.
            .channelOption(.autoRead, value: false)
            .connect(host: server.host, port: server.port)
            .whenComplete { result in
                switch result {
                case .failure(let error):
                    done.fail(NotifierError(.unreachable, "The mail server cannot be reached: \(error)."))
                case .success(let channel):
                    done.futureResult.whenComplete { _ in channel.close(promise: nil) }
                    do {
                        let dialogue = SMTPDialogue(
                            server: server,
                            message: message,
                            clientName: Self.clientName(channel.localAddress)
                        )
                        let handler = SMTPHandler(dialogue, server: server, tls: tls, done: done)
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(handler)
                        if server.security == .immediate { try handler.startTLS(in: pipeline) }
                        channel.setOption(.autoRead, value: true).whenFailure { done.fail($0) }
                    } catch {
                        done.fail(error)
                    }
                }
            }
    }

    /// The address that we connect from, as EHLO takes it from who has no name (RFC 5321, 4.1.3).
    private static func clientName(_ address: SocketAddress?) -> String {
        guard let text = address?.ipAddress else { return "[127.0.0.1]" }
        return text.contains(":") ? "[IPv6:\(text)]" : "[\(text)]"
    }
}

/// Carries the dialogue out on a channel; confined to its event loop.
private final class SMTPHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: MailServer
    private let tls: NIOSSLContext
    private let done: EventLoopPromise<Void>
    /// What the certificate has to name; nil when the host is an address.
    private let serverName: String?
    private var dialogue: SMTPDialogue
    private var reader = SMTPReplyReader()

    init(_ dialogue: SMTPDialogue, server: MailServer, tls: NIOSSLContext, done: EventLoopPromise<Void>) {
        self.dialogue = dialogue
        self.server = server
        self.tls = tls
        self.done = done
        serverName = IPAddress(server.host) == nil ? server.host : nil
    }

    /// Puts TLS below the dialogue; the handshake begins at once.
    func startTLS(in pipeline: ChannelPipeline.SynchronousOperations) throws {
        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName), position: .first)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do throws(NotifierError) {
            guard let reply = try reader.feed(unwrapInboundIn(data).readableBytesView) else { return }
            perform(dialogue.received(reply), context)
        } catch {
            done.fail(error)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.handshakeCompleted) = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        if let serverName {
            let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
            guard certificate.map({ HostCertificate.names($0, host: serverName.lowercased()) }) ?? false else {
                return done.fail(NotifierError(.insecure, "The mail server's certificate is for another host."))
            }
        }
        if dialogue.isStartingTLS { perform(dialogue.secured(), context) }
    }

    private func perform(_ action: SMTPDialogue.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .send(let bytes): write(bytes, context)
        case .startTLS:
            do {
                try startTLS(in: context.pipeline.syncOperations)
            } catch {
                done.fail(NotifierError(.insecure, "TLS cannot be started: \(error)."))
            }
        case .finish(let goodbye):
            write(goodbye, context)
            done.succeed()
        case .fail(let error): done.fail(error)
        }
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTLS = error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
        let code: NotifierError.Code = isTLS ? .insecure : .broken
        done.fail(NotifierError(code, "The connection to the mail server failed: \(error)."))
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(NotifierError(.broken, "The mail server hung up while it owed an answer to \(dialogue.waitsFor)."))
        context.fireChannelInactive()
    }
}
