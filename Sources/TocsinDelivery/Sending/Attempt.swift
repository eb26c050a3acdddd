import NIOCore

/// One attempt under way; confined to the event loop of its shard.
final class Attempt: Aged {
    /// Where an attempt stands, which is what a timeout has to tell.
    enum Phase {
        case resolving
        case connecting
        case handshaking
        case waiting
        case reading

        var sentence: String {
            switch self {
            case .resolving: "The host name did not resolve in time."
            case .connecting: "The receiver did not accept a connection in time."
            case .handshaking: "The TLS handshake did not end in time."
            case .waiting: "The receiver did not answer in time."
            case .reading: "The receiver's answer did not end in time."
            }
        }
    }

    let url: EndpointURL
    let bytes: ByteBuffer
    /// How TLS is spoken, and as whom.
    let tls: TLSSettings
    /// To be served before others.
    let isUrgent: Bool
    let started: NIODeadline
    let deadline: NIODeadline
    private let end: Errand.End

    var phase = Phase.resolving
    /// When the present phase began.
    var phaseStarted: NIODeadline
    var outcome = WebhookOutcome()
    var connection: Connection?
    /// Checked addresses that have not been tried.
    var addresses: ArraySlice<IPAddress> = []
    /// What it waits for a connection of.
    var dials: PoolKey?
    /// Set once the one retry after a stale connection is used up.
    var isRetry = false
    private(set) var isOver = false

    var older: Attempt?
    var newer: Attempt?

    init(
        url: EndpointURL,
        bytes: ByteBuffer,
        tls: TLSSettings,
        isUrgent: Bool,
        started: NIODeadline,
        deadline: NIODeadline,
        end: @escaping Errand.End
    ) {
        self.url = url
        self.bytes = bytes
        self.tls = tls
        self.isUrgent = isUrgent
        self.started = started
        self.phaseStarted = started
        self.deadline = deadline
        self.end = end
    }

    func enter(_ next: Phase, at now: NIODeadline) {
        phase = next
        phaseStarted = now
    }

    func wrote(at now: NIODeadline) {
        outcome.timing.wroteAt = Duration(now - started)
        enter(.waiting, at: now)
    }

    func received(at now: NIODeadline) {
        guard case .waiting = phase else { return }
        outcome.timing.firstByte = Duration(now - phaseStarted)
        enter(.reading, at: now)
    }

    /// Keeps what is known of the response, be it whole or not.
    func take(_ parser: ResponseParser) {
        guard let head = parser.head else { return }
        outcome.status = head.status
        outcome.retryAfter = head.retryAfter
        outcome.contentType = head.contentType
        outcome.body = parser.body
    }

    func resume(failure: WebhookFailure?) {
        isOver = true
        outcome.failure = failure
        outcome.timing.total = Duration(NIODeadline.now() - started)
        end(outcome)
    }
}
