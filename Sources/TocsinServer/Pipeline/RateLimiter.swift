import HTTPTypes
import Synchronization
import TocsinCore
import TocsinEngine

/// What a bucket said, as `X-RateLimit-*` tells it.
struct RateStanding: Sendable {
    var limit: Int
    var remaining: Int
    /// Seconds until the bucket is full again.
    var resetSeconds: Int
    /// Seconds until a request would be let through; none if this one was.
    var retryAfterSeconds: Int?
}

/// A bucket that fills steadily and is emptied by requests.
struct TokenBucket: Sendable {
    private(set) var tokens: Double
    private var filledAt: Instant
    let capacity: Double
    let perSecond: Double

    init(capacity: Double, perSecond: Double, now: Instant) {
        tokens = capacity
        filledAt = now
        self.capacity = capacity
        self.perSecond = perSecond
    }

    mutating func fill(now: Instant) {
        // A clock that was set back fills nothing, and is followed.
        let seconds = max(0, Double((now - filledAt).milliseconds) / 1000)
        tokens = min(capacity, tokens + seconds * perSecond)
        filledAt = now
    }

    /// Takes a token if there is one.
    mutating func take(now: Instant) -> Bool {
        fill(now: now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    var secondsUntilNext: Int { Int(((1 - tokens) / perSecond).rounded(.up)) }
    var secondsUntilFull: Int { Int(((capacity - tokens) / perSecond).rounded(.up)) }
    var isFull: Bool { tokens >= capacity }
}

/// Buckets by name, without an end to the names: full ones are forgotten when there are many.
final class BucketTable: Sendable {
    /// Buckets that are kept before the full ones are swept out.
    static let sweepCount = 100_000

    private let buckets = Mutex<[String: TokenBucket]>([:])

    /// Lets `body` use the bucket of that name, which is made at need.
    func withBucket<Result: Sendable>(
        _ name: String,
        now: Instant,
        make: () -> TokenBucket,
        _ body: (inout TokenBucket) -> Result
    ) -> Result {
        buckets.withLock { buckets in
            if buckets.count >= Self.sweepCount, buckets[name] == nil {
                buckets = buckets.filter { entry in
                    var bucket = entry.value
                    bucket.fill(now: now)
                    return !bucket.isFull
                }
            }
            return body(&buckets[name, default: make()])
        }
    }
}

/// Limits callers by their tier: one bucket per caller, one per caller and site for arming (decisions §1).
struct RateLimiter: Sendable {
    private let table = BucketTable()

    /// Takes one request from the bucket of that name.
    func take(_ tier: RateTier, bucket name: @autoclosure () -> String, now: Instant) -> RateStanding {
        guard tier != .unlimited else { return Self.unlimited }
        let capacity = Double(tier.burst)
        let perSecond = Double(tier.perMinute) / 60
        return table.withBucket(name(), now: now) {
            TokenBucket(capacity: capacity, perSecond: perSecond, now: now)
        } _: { bucket in
            let isLetThrough = bucket.take(now: now)
            return RateStanding(
                limit: tier.perMinute,
                remaining: Int(bucket.tokens),
                resetSeconds: bucket.secondsUntilFull,
                retryAfterSeconds: isLetThrough ? nil : max(1, bucket.secondsUntilNext)
            )
        }
    }

    static let unlimited = RateStanding(
        limit: RateTier.unlimited.perMinute,
        remaining: RateTier.unlimited.perMinute,
        resetSeconds: 0,
        retryAfterSeconds: nil
    )
}

/// Limits failed authentications per address, so that keys cannot be guessed at speed.
struct FailureLimiter: Sendable {
    /// Failures in a row that an address may have: a misconfigured fleet behind one address stays reachable.
    static let burst = 50.0
    /// Failures a second that it may go on with.
    static let perSecond = 0.5

    private let table = BucketTable()
    let clock: any WallClock

    /// Throws 429 while the address has used up its failures.
    func check(_ address: ClientAddress?) throws {
        let now = clock.now
        let wait = table.withBucket(name(address), now: now, make: { bucket(now) }) { bucket -> Int? in
            bucket.fill(now: now)
            return bucket.tokens >= 1 ? nil : max(1, bucket.secondsUntilNext)
        }
        guard let wait else { return }
        throw APIError(
            .rateLimited,
            "Too many requests from this address failed to authenticate. Correct the credential, and wait \(wait) s.",
            headers: [.retryAfter: String(wait)]
        )
    }

    func record(_ address: ClientAddress?) {
        let now = clock.now
        table.withBucket(name(address), now: now, make: { bucket(now) }) { _ = $0.take(now: now) }
    }

    private func name(_ address: ClientAddress?) -> String { address?.limitKey ?? "unknown" }

    private func bucket(_ now: Instant) -> TokenBucket {
        TokenBucket(capacity: Self.burst, perSecond: Self.perSecond, now: now)
    }
}
