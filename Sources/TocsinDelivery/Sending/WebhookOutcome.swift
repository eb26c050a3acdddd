import NIOCore

/// One POST to be made.
///
/// The sender adds `Host`, `User-Agent`, `Content-Type` and `Content-Length`; the other headers are given complete.
package struct WebhookRequest: Sendable {
    package let url: EndpointURL
    package let headers: [(String, String)]
    package let body: ByteBuffer
    /// Shown to a receiver that asks for a certificate.
    package let identity: ClientIdentity?

    package init(url: EndpointURL, headers: [(String, String)], body: ByteBuffer, identity: ClientIdentity? = nil) {
        self.url = url
        self.headers = headers
        self.body = body
        self.identity = identity
    }
}

/// Why an attempt did not end with a complete response.
package struct WebhookFailure: Error, Hashable, Sendable {
    /// Stable words for the attempts log and metrics.
    package enum Code: String, Sendable, CaseIterable {
        case invalidRequest = "invalid_request"
        case refusedURL = "refused_url"
        case refusedAddress = "refused_address"
        case dns
        case connect
        case tls
        case timeout
        case reset
        case closedEarly = "closed_early"
        case badResponse = "bad_response"
        case headersTooLarge = "headers_too_large"
        /// The sender was shut down before the attempt ended.
        case stopped
    }

    package let code: Code
    /// Says what happened in words that a tenant may read.
    package let sentence: String

    package init(_ code: Code, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }
}

/// Where the time of an attempt went; a part that did not happen is nil.
package struct WebhookTiming: Hashable, Sendable {
    /// Name resolution.
    package var dns: Duration?
    /// TCP connect, over all addresses that were tried; nil on a reused connection.
    package var connect: Duration?
    package var tls: Duration?
    /// From the start of the attempt until the request was handed to the kernel.
    package var wroteAt: Duration?
    /// From then until the first byte of the response.
    package var firstByte: Duration?
    package var total: Duration = .zero
}

/// How an attempt ended.
///
/// `status` and `failure` are both set when a response began and did not end properly.
package struct WebhookOutcome: Sendable {
    package var status: Int?
    package var failure: WebhookFailure?
    /// The raw value of `Retry-After`.
    package var retryAfter: String?
    package var contentType: String?
    /// The first bytes of the body, at most `ResponseParser.bodyKeptMax`.
    package var body: [UInt8] = []
    /// `ip:port` of the connection that was made or tried last.
    package var address: String?
    package var reusedConnection = false
    package var timing = WebhookTiming()

    package init() {}

    /// Any complete 2xx counts as delivered, one whose body was cut at the read limit too.
    package var isSuccess: Bool {
        guard failure == nil, let status else { return false }
        return (200...299).contains(status)
    }
}
