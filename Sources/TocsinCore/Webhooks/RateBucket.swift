/// Keeps an endpoint's attempts below its rate: a token bucket that knows when its next token comes.
///
/// A tenth of a second's tokens may go at once; so in any span of time there are at most `burst + rate × span` attempts.
struct RateBucket: Hashable, Sendable {
    let perSecond: Int
    /// In thousandths: a millisecond brings `perSecond` of them.
    private var tokens: Int64
    private var filledAt: Instant?

    init(perSecond: Int) {
        self.perSecond = max(1, perSecond)
        tokens = Int64(Self.burst(of: perSecond)) * 1000
    }

    /// How many attempts of a rate may begin at once.
    static func burst(of perSecond: Int) -> Int { max(1, perSecond / 10) }

    private func tokens(at now: Instant) -> Int64 {
        guard let filledAt else { return tokens }
        let passed = max(0, (now - filledAt).milliseconds)
        let full = Int64(Self.burst(of: perSecond)) * 1000
        return passed > full ? full : min(full, tokens + passed * Int64(perSecond))
    }

    func allows(at now: Instant) -> Bool { tokens(at: now) >= 1000 }

    /// When an attempt may begin next.
    func next(after now: Instant) -> Instant {
        let missing = max(0, 1000 - tokens(at: now))
        return now + .milliseconds((missing + Int64(perSecond) - 1) / Int64(perSecond))
    }

    mutating func take(at now: Instant) {
        tokens = tokens(at: now) - 1000
        // The clock may step back; a token must not come twice for it.
        filledAt = filledAt.map { max($0, now) } ?? now
    }
}
