import Synchronization
import TocsinCore

/// Bounds what refusals of one caller add to the audit log, so that nobody fills it with them: whether the site decided on them
/// or not.
///
/// Beyond so many a minute they are counted: at each power of two one is written that tells how many were not. So the log
/// grows with the logarithm of an attack, and no more than half of one is untold whenever it ends.
package final class RefusalLimiter: Sendable {
    /// As many as a person or a broken integration makes in a minute; each costs a durable write.
    package static let writtenPerMinute = 60
    static let window: Duration = .seconds(60)
    /// Callers that are remembered before those of an earlier minute are forgotten.
    static let sweepCount = 10_000

    private struct Count {
        var since: Instant
        var refusals = 0
        var unwritten = 0
    }

    private let counts = Mutex<[AuditEntry.Actor: Count]>([:])

    package init() {}

    /// Counts one refusal; returns how many before it were not written, and nothing if this one is not either.
    package func take(_ caller: AuditEntry.Actor, at now: Instant) -> Int? {
        counts.withLock { counts in
            if counts.count >= Self.sweepCount, counts[caller] == nil {
                counts = counts.filter { now - $0.value.since < Self.window }
            }
            var count = counts[caller] ?? Count(since: now)
            // A clock that was set back begins a new minute.
            if now < count.since || now - count.since >= Self.window { (count.since, count.refusals) = (now, 0) }
            count.refusals += 1
            let isPowerOfTwo = count.refusals & (count.refusals - 1) == 0
            guard count.refusals <= Self.writtenPerMinute || isPowerOfTwo else {
                count.unwritten += 1
                counts[caller] = count
                return nil
            }
            defer { counts[caller] = Count(since: count.since, refusals: count.refusals) }
            return count.unwritten
        }
    }
}
