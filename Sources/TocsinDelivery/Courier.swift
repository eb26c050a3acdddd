import NIOCore
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Makes an endpoint's attempts: headers, signature, request, and the line of the attempts log.
///
/// It is made anew whenever the endpoint, its secrets or its headers change.
final class Courier: Sendable {
    private let endpointID: EndpointID
    private let url: EndpointURL?
    /// Why there is no URL or no signature; such an attempt fails without a connection.
    private let fault: WebhookFailure?
    private let signer: Signer
    private let ownHeaders: [(String, String)]
    private let identity: ClientIdentity?
    private let tellsDealer: Bool

    init(_ record: EndpointRecord, vault: Vault, policy: EgressPolicy) {
        let endpoint = record.endpoint
        endpointID = endpoint.id
        tellsDealer = if case .partner = endpoint.owner { true } else { false }
        var fault: WebhookFailure?
        do throws(EndpointURLError) {
            url = try EndpointURL(endpoint.url, policy: policy)
        } catch {
            url = nil
            fault = WebhookFailure(.refusedURL, "\(error.sentence) \(error.remedy)")
        }
        var headers: [(String, String)] = []
        var signer = Signer(secrets: [])
        var identity: ClientIdentity?
        do {
            signer = try Signer(record.secrets, scheme: endpoint.signature, vault: vault)
            for (name, sealed) in endpoint.sealedHeaders.sorted(by: { $0.key < $1.key }) {
                let context = WebhookSecret.vaultContext(ofHeader: name, of: endpoint.id)
                headers.append((name, String(decoding: try vault.open(sealed, context: context), as: UTF8.self)))
            }
            if let certificate = endpoint.clientCertificate {
                let context = WebhookSecret.vaultContext(ofCertificateOf: endpoint.id)
                let text = String(decoding: try vault.open(certificate.sealed, context: context), as: UTF8.self)
                identity = try ClientIdentity(text: text)
            }
        } catch {
            fault = fault ?? WebhookFailure(.invalidRequest, "A secret of the endpoint cannot be opened; set it again.")
        }
        self.signer = signer
        self.identity = identity
        ownHeaders = headers
        self.fault = fault
    }

    /// One attempt, to be made when its turn has come; tells how it ended as the machine and as the attempts log take it.
    func errand(
        _ attempt: EndpointConsumer.Attempt,
        clock: any WallClock,
        end: @escaping @Sendable (AttemptResult, DeliveryAttempt, Instant) -> Void
    ) -> Errand {
        let isUrgent = DeliveryClass(attempt.event.type) == .alarm
        return Errand(url: url, isUrgent: isUrgent, hasCertificate: identity != nil) { [self] in
            let event = attempt.event
            let startedAt = clock.now
            let timestamp = String(startedAt.secondsSinceEpoch)
            let headers = plainHeaders(event, timestamp, parked: attempt.parked)
            let signatures = signer.sign(id: event.id.text, timestamp: timestamp, body: event.body, at: startedAt)
            let shown = shownHeaders(headers, isSigned: signatures != nil)
            let request = request(headers, signatures, event.body)
            return (
                request,
                { [self] outcome in
                    let result = AttemptResult(
                        status: outcome.status,
                        isBroken: outcome.failure != nil || outcome.status == nil,
                        retryAfter: outcome.retryAfter
                    )
                    end(result, row(attempt, outcome, result.verdict, at: startedAt, headers: shown), clock.now)
                }
            )
        }
    }

    /// Puts a command to the partner (decisions §5): signed as an event, but no delivery.
    func ask(
        _ inquiry: PartnerInquiry,
        through sender: any AttemptSender,
        clock: any WallClock
    ) async -> WebhookOutcome {
        let now = clock.now
        let timestamp = String(now.secondsSinceEpoch)
        let headers =
            DeliveryHeader.ofCommand(inquiry.id.text, type: EventType.armingCommand.rawValue, timestamp)
            + [DeliveryHeader.dealerID.with(inquiry.dealerID.text)]
        let signatures = signer.sign(id: inquiry.id.text, timestamp: timestamp, body: inquiry.body, at: now)
        switch request(headers, signatures, inquiry.body) {
        case .success(let request): return await sender.send(request)
        case .failure(let fault):
            var outcome = WebhookOutcome()
            outcome.failure = fault
            return outcome
        }
    }

    private func request(
        _ headers: [(String, String)],
        _ signatures: Signer.Signatures?,
        _ body: [UInt8]
    ) -> Result<WebhookRequest, WebhookFailure> {
        if let fault { return .failure(fault) }
        guard let url, let signatures else {
            return .failure(
                WebhookFailure(.invalidRequest, "No signing secret of the endpoint is live; rotate it.")
            )
        }
        return .success(
            WebhookRequest(
                url: url,
                headers: headers + signatures.headers + ownHeaders,
                body: ByteBuffer(bytes: body),
                identity: identity
            )
        )
    }

    private func plainHeaders(
        _ event: LoggedEvent,
        _ timestamp: String,
        parked: EventID?
    ) -> [(String, String)] {
        var headers: [(String, String)] = []
        headers.reserveCapacity(10 + ownHeaders.count)
        headers.append(DeliveryHeader.timestamp.with(timestamp))
        headers.append(DeliveryHeader.eventID.with(event.id.text))
        headers.append(DeliveryHeader.eventType.with(event.type.rawValue))
        headers.append(DeliveryHeader.deliveryID.with(DeliveryID(of: event.id, to: endpointID).text))
        headers.append(DeliveryHeader.sequence.with(String(event.sequence)))
        if tellsDealer { headers.append(DeliveryHeader.dealerID.with(event.dealerID.text)) }
        if let parked { headers.append(DeliveryHeader.parked.with(parked.text)) }
        headers.append(DeliveryHeader.webhookID.with(event.id.text))
        headers.append(DeliveryHeader.webhookTimestamp.with(timestamp))
        return headers
    }

    private static let redactedSignatures = [DeliveryHeader.signature, .webhookSignature]
        .map { "\($0.rawValue): <redacted>\n" }.joined()

    /// What the attempts log shows: signatures and the values of the endpoint's own headers are secrets.
    private func shownHeaders(_ headers: [(String, String)], isSigned: Bool) -> String {
        var text = ""
        text.reserveCapacity(512)
        for (name, value) in headers {
            text += name
            text += ": "
            text += value
            text += "\n"
        }
        if isSigned { text += Self.redactedSignatures }
        for (name, _) in ownHeaders { text += "\(name): <redacted>\n" }
        return text
    }

    private func row(
        _ attempt: EndpointConsumer.Attempt,
        _ outcome: WebhookOutcome,
        _ verdict: AttemptVerdict,
        at startedAt: Instant,
        headers: String
    ) -> DeliveryAttempt {
        DeliveryAttempt(
            endpointID: endpointID,
            position: attempt.event.position,
            eventID: attempt.event.id,
            number: attempt.number,
            at: startedAt,
            succeeded: verdict == .delivered,
            status: outcome.status,
            failure: outcome.failure?.code.rawValue ?? (verdict == .delivered ? nil : verdict.rawValue),
            failureMessage: outcome.failure?.sentence ?? outcome.status.flatMap(verdict.sentence),
            address: outcome.address,
            dnsMicroseconds: outcome.timing.dns?.microseconds,
            connectMicroseconds: outcome.timing.connect?.microseconds,
            tlsMicroseconds: outcome.timing.tls?.microseconds,
            firstByteMicroseconds: outcome.timing.firstByte?.microseconds,
            totalMicroseconds: outcome.timing.total.microseconds,
            requestHeaders: headers,
            responseBody: outcome.body
        )
    }
}

extension Duration {
    fileprivate var microseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
    }
}

extension DeliveryHeader {
    func with(_ value: String) -> (String, String) { (rawValue, value) }

    /// What a command has whoever it goes to, but for the signatures: it is signed as an event, and no delivery.
    static func ofCommand(_ id: String, type: String, _ timestamp: String) -> [(String, String)] {
        [
            Self.timestamp.with(timestamp), eventID.with(id), eventType.with(type), webhookID.with(id),
            webhookTimestamp.with(timestamp),
        ]
    }
}

extension Signer.Signatures {
    /// The two signature headers.
    var headers: [(String, String)] {
        [DeliveryHeader.signature.with(chekt), DeliveryHeader.webhookSignature.with(standard)]
    }
}
