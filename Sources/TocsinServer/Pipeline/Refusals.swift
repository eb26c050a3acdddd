import HTTPTypes
import Synchronization
import TocsinCore
import TocsinJSON
import TocsinLedger

extension APIError {
    private var isCallers: Bool { (400..<500).contains(code.status.code) }

    /// Whether the site has not come to decide on the request, which is the caller's to mend.
    var isBeforeDecision: Bool { isCallers && !isDecided }

    /// Whether the audit log is to tell of it: whatever a known caller tried to change in vain, and whatever it tried to see
    /// without the right to.
    ///
    /// Limits of rate are no attempts: whoever meets them sends the same request again.
    func isAudited(of operation: Operation) -> Bool {
        guard isBeforeDecision else { return false }
        return switch code.status {
        case .unauthorized, .tooManyRequests: false
        case .forbidden: true
        case let status where status.code < 500: operation.isWrite
        default: false
        }
    }
}

/// Bounds what refusals of one caller add to the audit log, so that nobody fills it with them.
///
/// Beyond so many a minute they are counted: at each power of two one is written that tells how many were not. So the log
/// grows with the logarithm of an attack, and no more than half of one is untold whenever it ends.
final class RefusalLimiter: Sendable {
    /// As many as a person or a broken integration makes in a minute; each costs a durable write.
    static let writtenPerMinute = 60
    static let window: Duration = .seconds(60)
    /// Callers that are remembered before those of an earlier minute are forgotten.
    static let sweepCount = 10_000

    private struct Count {
        var since: Instant
        var refusals = 0
        var unwritten = 0
    }

    private let counts = Mutex<[String: Count]>([:])

    /// Counts one refusal; returns how many before it were not written, and nothing if this one is not either.
    func take(_ caller: String, at now: Instant) -> Int? {
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

/// A refusal on its way into the audit log: what was tried, by whom, and why it came to nothing; nothing of the body.
struct RefusalEntry: Sendable {
    /// Longer ids are none of ours.
    private static let targetLengthMax = 128
    private static let fieldLengthMax = 64

    var refusal: APIError
    var at: Instant
    var place: PathSite
    var requestID: String
    var traceID: String?
    var address: String?
    /// Refusals of the caller before this one that were only counted.
    var unwritten: Int

    /// The entry, at the site that the path names if the caller may know of it.
    func auditEntry(_ reader: any LedgerReader) throws -> AuditEntry {
        let site = try place.site(reader)
        let ownDealer: DealerID? = if case .dealer(let dealer) = place.caller.reach { dealer } else { nil }
        var details = JSONObject()
        details["field"] = field.map(JSON.string)
        if unwritten > 0 { details["refusals_not_written"] = JSON(unwritten) }
        return AuditEntry(
            at: at,
            dealerID: site?.dealerID ?? ownDealer,
            siteID: site?.id,
            actor: place.caller.actor,
            action: place.bound.operation.id,
            target: place.values.last.map { String($0.prefix(Self.targetLengthMax)) },
            result: refusal.code.rawValue,
            explanation: explanation,
            cause: "request",
            requestID: requestID,
            traceID: traceID,
            address: address,
            details: details
        )
    }

    /// What was refused for its form is not quoted: the form may hold a code or a secret.
    private var explanation: String {
        switch refusal.code.status {
        case .badRequest, .unprocessableContent: "The request has not the form that the operation takes."
        default: refusal.message
        }
    }

    /// Where the fault is, if that is a name that we could have given: a body may have any names.
    private var field: String? {
        guard let field = refusal.field, field.utf8.count <= Self.fieldLengthMax,
            field.wholeMatch(of: /[a-z_]+(\[\d+\])*(\.[a-z_]+(\[\d+\])*)*/) != nil
        else { return nil }
        return field
    }
}
