import HTTPTypes

extension HTTPField.Name {
    package static let requestID = ours("X-Request-Id")
    package static let traceID = ours("x-partner-trace-id")
    package static let idempotencyKey = ours("Idempotency-Key")
    package static let idempotencyReplayed = ours("Idempotency-Replayed")
    package static let rateLimitLimit = ours("X-RateLimit-Limit")
    package static let rateLimitRemaining = ours("X-RateLimit-Remaining")
    package static let rateLimitReset = ours("X-RateLimit-Reset")
    package static let forwardedFor = ours("X-Forwarded-For")
    package static let prefer = ours("Prefer")
    package static let lastEventID = ours("Last-Event-ID")

    private static func ours(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is not a field name") }
        return name
    }
}
