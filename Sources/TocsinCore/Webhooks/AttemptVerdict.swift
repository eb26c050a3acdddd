/// How an attempt ended, as far as it decides what follows.
package struct AttemptResult: Hashable, Sendable {
    /// The status of the response, if one began.
    package var status: Int?
    /// There was no complete answer in time.
    package var isBroken: Bool
    /// The raw value of `Retry-After`.
    package var retryAfter: String?

    package init(status: Int?, isBroken: Bool = false, retryAfter: String? = nil) {
        self.status = status
        self.isBroken = isBroken
        self.retryAfter = retryAfter
    }

    package var verdict: AttemptVerdict {
        guard let status, !isBroken else { return .noAnswer }
        switch status {
        case 200...299: return .delivered
        case 300...399: return .redirected
        case 410: return .gone
        case 400...499: return .refused
        default: return .serverError
        }
    }

    /// How long the receiver asks us to wait; only these answers may ask (design, delivery: `Retry-After`).
    package func pause(now: Instant) -> Duration? {
        guard let status, !isBroken, let retryAfter, [429, 502, 503, 504].contains(status) else { return nil }
        return RetryAfter.pause(retryAfter, now: now)
    }
}

/// What an attempt's end means (design, delivery: success, 410, other 4xx).
package enum AttemptVerdict: String, CaseIterable, Sendable {
    /// Any 2xx.
    case delivered
    /// 410: the receiver wants nothing more; the endpoint is disabled.
    case gone
    /// 3xx: redirects are never followed.
    case redirected
    /// Another 4xx: tried again, for receivers deploy, but flagged in the log.
    case refused
    /// 5xx, or a status outside HTTP's classes.
    case serverError = "server_error"
    /// No complete answer in time.
    case noAnswer = "no_answer"

    /// What the attempts log says to a person where there was an answer, but no 2xx.
    package func sentence(status: Int) -> String? {
        switch self {
        case .delivered, .noAnswer: nil
        case .gone: "The receiver answered 410: it wants no more events, so the endpoint was disabled."
        case .redirected: "The receiver answered with a redirect (\(status)), and redirects are not followed."
        case .refused: "The receiver refused the request (\(status)); check the URL, its credentials and its verifier."
        case .serverError: "The receiver failed (\(status))."
        }
    }
}
