import HTTPTypes
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
