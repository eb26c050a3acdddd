import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// One request on its way through a handler: who asks, for what, and the means to answer.
///
/// It is made as soon as the body was read; what must be checked yet is empty until it has been.
package struct Call: Sendable {
    package let services: Services
    package internal(set) var caller: Caller
    package let requestID: String
    /// The caller's own `x-partner-trace-id`.
    package let traceID: String?
    package var address: String? { clientAddress?.description }
    /// When the last byte of the request was read.
    package let receivedAt: Instant
    /// What the call's site waits for until its command is there; none if nobody waits.
    package internal(set) var arrival: Arrivals.Arrival?
    /// Begins where `receivedAt` does, on a clock that nobody sets.
    package let pacing: CodePacing
    /// The body; it has passed the operation's schema.
    package internal(set) var json: JSON = [:]
    /// The body, if it is an object.
    package internal(set) var body = Fields([:])
    /// The body's bytes, for operations that read them themselves.
    package let bytes: [UInt8]
    /// The body, where the handler reads it part by part.
    package internal(set) var upload: MediaUpload?
    /// The query's parameters, by their schemas.
    package internal(set) var query = Fields([:])
    /// The request's claim to be done once; ``commit(_:)`` honours it, any other way of committing must.
    ///
    /// Where there is an ``upload``, it does not cover the body yet.
    package internal(set) var idempotency: IdempotencyClaim?
    let clientAddress: ClientAddress?
    let head: RequestHead
    let bound: BoundOperation
    let pathValues: [String]

    package var ledger: any Ledger { services.ledger }

    // MARK: Reading the request

    /// A name in braces of the operation's path.
    package func path(_ name: String) throws -> String {
        guard let index = bound.parameterNames.firstIndex(of: name), index < pathValues.count else {
            throw UncheckedFieldError(field: name)
        }
        return pathValues[index]
    }

    /// An id in the path; one that could not be ours is as unknown as one that does not exist.
    package func id<Noun>(_ name: String, orThrow code: ErrorCode) throws -> ID<Noun> {
        guard let id = ID<Noun>(try path(name)) else { throw APIError.missing(code) }
        return id
    }

    package var siteID: SiteID { get throws { try id("site_id", orThrow: .siteNotFound) } }

    /// An id in the body; an unknown form of it is 404, as a foreign one would be.
    package func bodyID<Noun>(_ name: String, orThrow code: ErrorCode) throws -> ID<Noun>? {
        guard let text = body.optionalString(name) else { return nil }
        guard let id = ID<Noun>(text) else { throw APIError.missing(code, field: name) }
        return id
    }

    package var page: PageRequest {
        get throws {
            let after = try query.optionalString("cursor").map(Cursor.decode)
            return PageRequest(limit: query.optionalInteger("limit") ?? PageRequest.defaultLimit, after: after)
        }
    }

    /// How far the caller sees.
    ///
    /// - Throws: 401 for a caller without a credential, which no operation that asks for this admits.
    package var reach: Reach {
        get throws {
            guard let reach = caller.reach else { throw APIError.invalidCredentials }
            return reach
        }
    }

    /// The call as the site engine and the audit log need it.
    var request: TocsinEngine.Request {
        get throws { try request(at: siteID) }
    }

    /// The same for an operation whose path does not name the site.
    func request(at site: SiteID) throws -> TocsinEngine.Request {
        TocsinEngine.Request(
            siteID: site,
            reach: try reach,
            actor: caller.actor,
            receivedAt: receivedAt,
            requestID: requestID,
            traceID: traceID,
            address: address,
            idempotency: idempotency?.ticket,
            arrival: arrival
        )
    }

    /// Whether the credential would still be let in: what lasts longer than a request asks again.
    package var isStillAdmitted: Bool {
        get async {
            (try? await readmitted()) != nil
        }
    }

    /// The caller as it is now: what has a body read after the head was looked at asks before it acts (decisions §2).
    ///
    /// - Throws: 401 or 403 for a credential that would no longer be let in.
    package func readmitted() async throws -> Caller {
        if bound.operation.callers.anonymous { return caller }
        let address = clientAddress
        do {
            let caller = try await services.authenticator.caller(authorization: head.authorization) { address }
            try bound.operation.callers.admit(caller)
            guard caller.key == self.caller.key else { throw APIError.invalidCredentials }
            return caller
        } catch let error as RefusedCaller {
            throw error.refusal
        }
    }

    package var isForced: Bool { query.optionalBool("force") ?? false }

    /// Whether the caller asked for this media type.
    package func accepts(_ type: String) -> Bool { head.accept?.lowercased().contains(type) ?? false }

    package var lastEventID: String? { head.lastEventID }

    /// Throws 412 if the request names another version than the present one (decisions §5).
    package func checkVersion(_ version: Int64) throws(APIError) {
        guard let wanted = head.ifMatch, wanted != "*" else { return }
        let tags = wanted.split(separator: ",").map { $0.trimmed }
        guard tags.contains("\"\(version)\"") || tags.contains("\(version)") else {
            throw APIError.versionConflict(current: version)
        }
    }

    /// The versions that `If-Match` allows, for whoever decides on the site later; none if any will do.
    ///
    /// A text that names none of ours matches no version.
    var matchedVersions: [Int64]? {
        guard let wanted = head.ifMatch, wanted != "*" else { return nil }
        return wanted.split(separator: ",").map { Int64($0.trimmed.filter { $0 != "\"" }) ?? Self.impossibleVersion }
    }

    /// No site has it: versions count from 1.
    private static let impossibleVersion: Int64 = -1

    // MARK: Answering

    package func newID<Noun>(_: Noun.Type = Noun.self) -> ID<Noun> {
        services.randomness.id(Noun.self, at: receivedAt)
    }

    /// A secret of 32 random bytes behind a prefix that tells what it is.
    package func newSecret(_ prefix: String) -> String {
        prefix + services.randomness.bytes(32).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Answers from one consistent state of the ledger.
    package func read<T: Sendable>(_ body: @escaping @Sendable (any LedgerReader) throws -> T) async throws -> T {
        try await services.ledger.read(body)
    }

    /// Changes the ledger and answers: the change, its audit entry and the reply to a repetition are one transaction.
    ///
    /// `body` may run more than once. Effects outside of the ledger come after this has returned.
    package func commit(_ body: @escaping @Sendable (any LedgerTransaction) throws -> Change) async throws -> Reply {
        let call = self
        let reply = try await services.ledger.write { transaction in
            let change = try body(transaction)
            try transaction.append(call.auditEntry(of: change))
            if let claim = call.idempotency {
                try transaction.insert(claim.record(of: change.reply, at: call.receivedAt))
            }
            return change.reply
        }
        // A changed configuration may have moved a site's deadlines.
        await services.sites.reconfigured()
        await services.devices.refresh()
        return reply
    }

    private func auditEntry(of change: Change) -> AuditEntry {
        AuditEntry(
            at: receivedAt,
            dealerID: change.dealerID,
            siteID: change.siteID,
            actor: caller.actor,
            action: change.action,
            target: change.target,
            explanation: change.explanation,
            cause: "request",
            requestID: requestID,
            traceID: traceID,
            address: address,
            details: change.details
        )
    }
}

/// What a handler did in a transaction: the reply, and what the audit log says of it.
package struct Change: Sendable {
    package var reply: Reply
    /// `noun.verb`.
    package var action: String
    package var dealerID: DealerID?
    package var siteID: SiteID?
    package var target: String?
    /// Why, in words that a person can read.
    package var explanation: String
    /// What else is worth keeping; never a secret.
    package var details: JSONObject

    package init(
        _ reply: Reply,
        action: String,
        dealerID: DealerID? = nil,
        siteID: SiteID? = nil,
        target: String?,
        explanation: String,
        details: JSONObject = [:]
    ) {
        self.reply = reply
        self.action = action
        self.dealerID = dealerID
        self.siteID = siteID
        self.target = target
        self.explanation = explanation
        self.details = details
    }
}

extension APIError {
    /// 412: the request stands on a version that is not the present one.
    package static func versionConflict(current version: Int64) -> APIError {
        APIError(
            .versionConflict,
            "It has changed since you read it: the version is now \(version). Read it again and repeat the change.",
            details: ["version": .integer(version)]
        )
    }

    /// 404 `<thing>_not_found`, which is also said of another tenant's (decisions §1).
    package static func missing(_ code: ErrorCode, field: String? = nil) -> APIError {
        let thing = code.rawValue.replacing("_not_found", with: "")
        return APIError(code, "There is no such \(thing), or it is not yours to see. Check the id.", field: field)
    }
}
