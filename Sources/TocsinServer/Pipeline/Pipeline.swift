import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What Hummingbird hands over beside the request.
struct Connection: InitializableFromSource {
    let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
        logger = source.logger
    }
}

/// Takes every request through the same steps, in an order in which nothing is read before it may be asked.
///
/// Find the operation, authenticate, authorise, limit the rate, read the body, authenticate and authorise again, look for
/// a stored reply, check the body, run the handler, answer.
struct Pipeline: HTTPResponder {
    typealias Context = Connection

    let services: Services
    let routes: Routes
    let metrics = ServerMetrics()
    /// What connections have read and nobody handles yet.
    let incoming: IncomingRequests

    init(services: Services, routes: Routes) {
        self.services = services
        self.routes = routes
        incoming = IncomingRequests(routes, arrivals: services.sites.arrivals, clock: services.clock)
    }

    /// A request on its way: what is known of it so far, and what its response must tell in any case.
    struct Progress: Sendable {
        let requestID: String
        let startedAt: Instant
        /// The same on a clock that nobody sets.
        let started = ContinuousClock.now
        var head: RequestHead
        /// None without a socket.
        var incoming: IncomingRequest?
        var traceID: String?
        var caller = Caller.anonymous
        var address: ClientAddress?
        /// What the path is about, once it is known who asks.
        var place: PathSite?
        var standing = RateLimiter.unlimited
        var bound: BoundOperation?
        var call: Call?
    }

    func respond(to request: HummingbirdCore.Request, context: Connection) async throws -> Response {
        let now = services.clock.now
        var progress = Progress(
            requestID: services.newRequestID(at: now),
            startedAt: now,
            head: RequestHead(request.headers),
            incoming: incoming.next(on: context.channel)
        )
        defer { progress.incoming?.finish() }
        var reply: Reply
        do {
            reply = try await answer(request, context, &progress)
        } catch is HTTPParserError {
            // Its body broke off; nothing more can be read from the connection, which is closed then.
            reply = await refuse(APIError.undecodable, progress, context.logger)
            reply.headers[.connection] = "close"
        } catch is WireHandler.BodyTooSlow {
            reply = await refuse(APIError.bodyTooSlow, progress, context.logger)
            reply.headers[.connection] = "close"
        } catch {
            reply = await refuse(error, progress, context.logger)
        }
        let told = told(of: progress)
        measure(reply, told)
        return response(reply, told, isHead: request.method == .head)
    }

    // MARK: Steps

    private func answer(
        _ request: HummingbirdCore.Request,
        _ context: Connection,
        _ progress: inout Progress
    ) async throws -> Reply {
        let target = request.head.path ?? "/"
        let split = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        let rawQuery = split == target.endIndex ? "" : target[target.utf8.index(after: split)...]
        // Only a GET is answered in part (RFC 9110 §14.2).
        if request.method != .get { progress.head.range = nil }
        let (bound, pathValues) = try find(request.method, target[..<split])
        progress.bound = bound
        let operation = bound.operation
        progress.traceID = progress.head.traceID.flatMap { $0.isVisibleASCII(upTo: Self.traceIDLengthMax) ? $0 : nil }
        let address = services.settings.trustedProxies.client(
            peer: ClientAddress(context.channel.remoteAddress),
            forwardedFor: progress.head.forwardedFor
        )
        progress.address = address
        try await admit(&progress, bound, pathValues, rawQuery)
        try await limit(operation, &progress)
        // A code that comes with it must be heard: then not before the body is there.
        if operation.hear == nil { try checkHead(progress.head, operation) }
        let goOn = goOn(progress.head, context.channel)
        let bytes = try await body(of: request, operation, progress.head, goOn)
        var call = Call(
            services: services,
            caller: progress.caller,
            requestID: progress.requestID,
            traceID: progress.traceID,
            receivedAt: progress.incoming?.receivedAt ?? services.clock.now,
            pacing: CodePacing(),
            bytes: bytes,
            clientAddress: address,
            head: progress.head,
            bound: bound,
            pathValues: pathValues
        )
        call.arrival = progress.incoming?.arrival
        // Who was revoked while the body came gets nothing done with it (decisions §2).
        if operation.body.isRead {
            call.caller = try await call.readmitted()
            progress.caller = call.caller
            progress.place?.caller = call.caller
        }
        progress.call = call
        // Not before: a code that comes with it must be heard.
        try checkHead(progress.head, operation)
        if progress.head.traceID != nil, progress.traceID == nil { throw Self.invalidTraceID }
        let claim = try claim(operation, progress, path: target[..<split], query: rawQuery, payload: bytes)
        if let claim { try services.running.begin(claim) }
        defer { if let claim { services.running.end(claim) } }
        call.idempotency = claim
        call.upload = MediaUpload(request, of: operation, progress.head, goOn: goOn)
        // The payload of an upload is known only when its handler has read it.
        if call.upload == nil, let claim, let stored = try await services.stored(claim) {
            return try await AlarmPlaceholder.filled(claim.replay(stored), from: services.ledger)
        }
        call.json = try checkedBody(bytes, operation, progress.head)
        call.body = Fields(call.json.object ?? [:])
        call.query = try checkedQuery(rawQuery, operation)
        return try await operation.handle(call)
    }

    private func find(_ method: HTTPRequest.Method, _ path: Substring) throws -> (BoundOperation, [String]) {
        switch routes.match(method, path) {
        case .found(let bound, let parameters): return (bound, parameters)
        case .otherMethods(let allow):
            throw APIError(
                .methodNotAllowed,
                "This path does not take \(method.rawValue). It takes \(allow).",
                headers: [.allow: allow]
            )
        case .none:
            throw APIError(.notFound, "There is nothing at this path. GET /openapi.json lists what there is.")
        }
    }

    /// Longer trace ids would be a way to fill the audit log.
    static let traceIDLengthMax = 128

    private static let invalidTraceID = APIError(
        .invalidTraceID,
        "x-partner-trace-id must have 1 to \(traceIDLengthMax) visible ASCII characters.",
        field: "x-partner-trace-id"
    )

    /// Looks up who asks, and whether they may ask for this.
    private func admit(
        _ progress: inout Progress,
        _ bound: BoundOperation,
        _ values: [String],
        _ query: Substring
    ) async throws {
        if bound.operation.callers.anonymous { return }
        let (authorization, address) = (progress.head.authorization, progress.address)
        do {
            progress.caller = try await services.authenticator.caller(authorization: authorization) { address }
        } catch let error as RefusedCaller {
            progress.caller = error.caller
            progress.place = place(bound, values, progress.caller, query)
            throw error.refusal
        }
        progress.place = place(bound, values, progress.caller, query)
        try bound.operation.callers.admit(progress.caller)
    }

    func place(_ bound: BoundOperation, _ values: [String], _ caller: Caller, _ query: Substring) -> PathSite {
        let dealer = query.isEmpty ? nil : try? FormFields(query, plusIsSpace: false)["dealer_id"]
        return PathSite(bound: bound, values: values, caller: caller, dealer: dealer.flatMap(DealerID.init))
    }

    private func limit(_ operation: Operation, _ progress: inout Progress) async throws {
        let caller = progress.caller
        // Made-up names have no buckets of their own: there is no end to them.
        var site: Site?
        if operation.flags.contains(.siteBucket), caller.tier != .unlimited, let place = progress.place {
            site = try await services.ledger.read { try place.site($0) }
        }
        progress.standing = services.limiter.take(
            caller.tier,
            bucket: site.map { "\(caller.key) \($0.id)" } ?? caller.key,
            now: progress.startedAt
        )
        guard let wait = progress.standing.retryAfterSeconds else { return }
        throw APIError(
            .rateLimited,
            "Too many requests for your tier. Send this one again in \(wait) s.",
            headers: [.retryAfter: String(wait)]
        )
    }

    /// Tells a client that waits with its body to send it; so one that is refused before does not.
    private func goOn(_ head: RequestHead, _ channel: any Channel) -> @Sendable () -> Void {
        guard head.waitsToGoOn else { return {} }
        return { channel.triggerUserOutboundEvent(WireHandler.GoOn(), promise: nil) }
    }

    /// Reads the body if the operation has one; a body that it does not have is left unread.
    private func body(
        of request: HummingbirdCore.Request,
        _ operation: Operation,
        _ head: RequestHead,
        _ goOn: () -> Void
    ) async throws -> [UInt8] {
        let type: String
        switch operation.body {
        case .none, .media: return []
        case .json: type = Reply.jsonType
        case .optionalJSON:
            if head.contentType == nil, head.contentLength ?? "0" == "0" { return [] }
            type = Reply.jsonType
        case .form: type = "application/x-www-form-urlencoded"
        }
        let tooLarge = APIError.bodyTooLarge(limit: operation.bodyLimit)
        if let length = head.contentLength.flatMap(Int.init), length > operation.bodyLimit { throw tooLarge }
        guard head.hasContentType(type) else {
            throw APIError(.unsupportedMediaType, "The body must be \(type). Set Content-Type to that.")
        }
        goOn()
        do {
            var buffer = try await request.body.collect(upTo: operation.bodyLimit)
            return buffer.readBytes(length: buffer.readableBytes) ?? []
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }

    /// Refuses what the header fields ask for and nobody here does.
    func checkHead(_ head: RequestHead, _ operation: Operation) throws(APIError) {
        if head.expectsMore {
            throw APIError(
                .expectationFailed,
                "Expect may be \"100-continue\" and nothing else. Leave it out, or send that.",
                field: "Expect"
            )
        }
        if head.isEncoded, operation.body.isSent {
            throw APIError(
                .unsupportedMediaType,
                "The body must come as it is. Send it unpacked, without Content-Encoding.",
                field: "Content-Encoding",
                headers: [.acceptEncoding: "identity"]
            )
        }
        if head.hasSeveralKeys, operation.takesIdempotencyKey {
            throw APIError(
                .invalidIdempotencyKey,
                "The request has several Idempotency-Key fields. Send one.",
                field: "Idempotency-Key"
            )
        }
    }

    private func claim(
        _ operation: Operation,
        _ progress: Progress,
        path: Substring,
        query: Substring,
        payload: [UInt8]
    ) throws -> IdempotencyClaim? {
        guard let key = progress.head.idempotencyKey, operation.takesIdempotencyKey else { return nil }
        guard key.isVisibleASCII(upTo: IdempotencyClaim.keyLengthMax) else {
            throw APIError(
                .invalidIdempotencyKey,
                "Idempotency-Key must have 1 to \(IdempotencyClaim.keyLengthMax) visible ASCII characters.",
                field: "Idempotency-Key"
            )
        }
        return IdempotencyClaim(
            caller: progress.caller,
            method: operation.method.rawValue,
            path: String(path),
            key: key,
            query: query,
            payload: payload,
            vault: services.vault
        )
    }

    func checkedBody(_ bytes: [UInt8], _ operation: Operation, _ head: RequestHead) throws -> JSON {
        let schema: Schema
        switch operation.body {
        case .none, .form, .media: return [:]
        case .json(let wanted): schema = wanted
        case .optionalJSON(let wanted):
            if bytes.isEmpty { return [:] }
            schema = wanted
        }
        let json: JSON
        do {
            json = try JSONParser.parse(bytes)
        } catch {
            throw APIError(
                .malformedJSON,
                "The body is not JSON that we accept: \(error.reason) at byte \(error.offset).",
                details: ["offset": JSON(error.offset), "reason": .string(error.code.rawValue)]
            )
        }
        let errors = schema.validate(json, strict: head.isStrict)
        if !errors.isEmpty { throw APIError.invalid(errors) }
        return json
    }

    /// Turns the query's texts into the values that the parameters' schemas ask for; unknown parameters are ignored.
    private func checkedQuery(_ query: Substring, _ operation: Operation) throws -> Fields {
        if operation.query.isEmpty || query.isEmpty && !operation.query.contains(where: \.isRequired) {
            return Fields([:])
        }
        let form = try FormFields(query, plusIsSpace: false)
        var values = JSONObject()
        var errors: [FieldError] = []
        for parameter in operation.query {
            guard let text = form[parameter.name] else {
                if parameter.isRequired { errors.append(FieldError(field: parameter.name, message: "is required")) }
                continue
            }
            let value = parameter.schema.value(fromQuery: text)
            let found = Schema.object([.required(parameter.name, parameter.schema)]).validate([parameter.name: value])
            if found.isEmpty { values[parameter.name] = value }
            errors += found
        }
        if !errors.isEmpty { throw APIError.invalid(errors) }
        return Fields(values)
    }

    // MARK: Refusing

    func refuse(_ error: any Error, _ progress: Progress, _ logger: Logger) async -> Reply {
        let refusal = APIError(telling: error)
        if refusal.code == .internalError {
            logger.error(
                "request failed",
                metadata: ["request.id": "\(progress.requestID)", "error": "\(String(reflecting: error))"]
            )
        }
        if let cause = error as? SnapshotRefusal {
            logger.warning(
                "a snapshot could not be stored or read",
                metadata: ["request.id": "\(progress.requestID)", "error": "\(cause)"]
            )
        }
        if let call = progress.call, let hear = call.bound.operation.hear, refusal.isBeforeDecision {
            // Hearing takes its time, and so does writing it down: neither may tell which code it was.
            try? await call.pacing.paced {
                do {
                    try await hear(call)
                } catch {
                    logger.error("a refused code could not be heard", metadata: ["request.id": "\(call.requestID)"])
                }
                await audit(refusal, progress, logger)
            }
        } else {
            await audit(refusal, progress, logger)
        }
        return told(refusal, progress)
    }

    /// The refusal in the form that the operation's callers read.
    private func told(_ refusal: APIError, _ progress: Progress) -> Reply {
        if progress.bound?.operation.flags.contains(.oauthErrors) ?? false, refusal.isBeforeDecision {
            var reply = OAuthError(.invalidRequest, refusal.message).reply
            reply.status = refusal.code.status
            for field in refusal.headers { reply.headers[field.name] = field.value }
            return reply
        }
        var reply = Reply(refusal.code.status, headers: refusal.headers)
        reply.body = .bytes(refusal.body(requestID: progress.requestID), contentType: Reply.jsonType)
        return reply
    }

    /// Keeps what a known caller was refused (decisions §10).
    private func audit(_ refusal: APIError, _ progress: Progress, _ logger: Logger) async {
        guard let place = progress.place, refusal.isAudited(of: place.bound.operation),
            let unwritten = services.refusals.take(place.caller.actor, at: services.clock.now)
        else { return }
        let entry = RefusalEntry(
            refusal: refusal,
            at: progress.call?.receivedAt ?? progress.startedAt,
            place: place,
            requestID: progress.requestID,
            traceID: progress.traceID,
            address: progress.address?.description,
            unwritten: unwritten
        )
        do {
            try await services.ledger.write { try $0.append(try entry.auditEntry($0)) }
        } catch {
            // The refusal stands whether or not it could be noted; nothing was acknowledged.
            logger.warning("a refusal could not be audited", metadata: ["request.id": "\(progress.requestID)"])
        }
    }

    // MARK: Answering

    /// What of a request every response to it tells, and what is counted of it.
    struct Told: Sendable {
        fileprivate let requestID: String
        fileprivate let traceID: String?
        fileprivate let standing: RateStanding
        fileprivate let started: ContinuousClock.Instant
        fileprivate let metrics: OperationMetrics
    }

    func told(of progress: Progress) -> Told {
        Told(
            requestID: progress.requestID,
            traceID: progress.traceID,
            standing: progress.standing,
            started: progress.started,
            metrics: progress.bound?.metrics ?? metrics.unknown
        )
    }

    func measure(_ reply: Reply, _ told: Told) {
        told.metrics.record(status: reply.status.code, told.started.duration(to: .now))
    }

    /// Names the header fields of every response, beside those of its body.
    func eachField(of reply: Reply, _ told: Told, _ write: (HTTPField.Name, String) -> Void) {
        for field in reply.headers { write(field.name, field.value) }
        write(.requestID, told.requestID)
        write(.rateLimitLimit, String(told.standing.limit))
        write(.rateLimitRemaining, String(told.standing.remaining))
        write(.rateLimitReset, String(told.standing.resetSeconds))
        if let traceID = told.traceID { write(.traceID, traceID) }
    }

    private func response(_ reply: Reply, _ told: Told, isHead: Bool) -> Response {
        var headers = HTTPFields()
        eachField(of: reply, told) { headers.append(HTTPField(name: $0, value: $1)) }
        let body: ResponseBody
        switch reply.body {
        case .none: body = ResponseBody()
        case .bytes(let bytes, let contentType):
            headers.append(HTTPField(name: .contentType, value: contentType))
            body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        case .sized(let contentType, let length, let write):
            headers.append(HTTPField(name: .contentType, value: contentType))
            body = ResponseBody(contentLength: length) { writer in
                try await write(&writer)
                try await writer.finish(nil)
            }
        case .stream(let contentType, let write):
            headers.append(HTTPField(name: .contentType, value: contentType))
            body = ResponseBody { writer in
                try await write(&writer)
                // Without it the reader would wait for more.
                try await writer.finish(nil)
            }
        }
        let response = Response(status: reply.status, headers: headers, body: body)
        return isHead ? response.createHeadResponse() : response
    }
}

extension Schema {
    /// The value that a query's text stands for; a text that does not fit stays a text, and validation says so.
    fileprivate func value(fromQuery text: String) -> JSON {
        switch kind {
        case .integer: Int64(text).map(JSON.integer) ?? .string(text)
        case .number: Double(text) == nil ? .string(text) : .decimal(text)
        case .boolean: text == "true" ? true : text == "false" ? false : .string(text)
        case .any, .string, .array, .object, .map, .anyOf: .string(text)
        }
    }
}

extension APIError {
    /// What a caller gets to see of any error; what is not ours to tell becomes a 500 without its insides.
    init(telling error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as LedgerError: self.init(telling: error)
        case is SnapshotRefusal: self = .unavailable
        default: self = .internalFailure
        }
    }

    private init(telling error: LedgerError) {
        switch error.code {
        case .full, .unavailable: self = .unavailable
        case .duplicate:
            let subject = error.subject ?? "value"
            self.init(.alreadyExists, "This \(subject) is taken already. Choose another.", field: error.subject)
        case .invalid:
            self.init(.invalidCursor, "The cursor is not one of ours. Begin at the first page.", field: "cursor")
        case .locked, .corrupt, .newerSchema: self = .internalFailure
        }
    }

    static let internalFailure = APIError(
        .internalError,
        "Something went wrong on our side. Send the request again later, and quote the request id if it goes on."
    )
}
