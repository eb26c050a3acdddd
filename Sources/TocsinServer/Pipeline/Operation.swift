import HTTPTypes
import TocsinCore
import TocsinJSON

/// One thing that the server can do over HTTP, declared once: routing, access, checks and the document all read this.
package struct Operation: Sendable {
    package typealias Handler = @Sendable (Call) async throws -> Reply
    /// Takes the outcome of a request, on any thread; what is behind it is worked out where it is answered.
    package typealias Telling = @Sendable (@escaping @Sendable () throws -> Reply) -> Void
    /// Does the same as ``Handler``, and returns at once; it throws before anything has happened, or not at all.
    package typealias DirectHandler = @Sendable (Call, @escaping Telling) throws -> Void
    /// Hears the user code of a request whose body was read, and that is refused before its site has decided.
    package typealias Hearing = @Sendable (Call) async throws -> Void

    package enum Body: Sendable {
        case none
        /// A JSON value of this form.
        case json(Schema)
        /// The same, or nothing at all.
        case optionalJSON(Schema)
        /// `application/x-www-form-urlencoded`; the handler reads it.
        case form(Schema)
        /// A file of one of these types, which the handler reads part by part.
        case media([MediaType])

        /// Whether the pipeline reads it; a handler that reads it itself asks ``Call/readmitted()`` when it has.
        var isRead: Bool {
            switch self {
            case .none, .media: false
            case .json, .optionalJSON, .form: true
            }
        }

        /// Whether there is one, whoever reads it.
        var isSent: Bool { if case .none = self { false } else { true } }
    }

    /// A query parameter.
    package struct Parameter: Sendable {
        package var name: String
        package var schema: Schema
        package var isRequired: Bool

        package static func optional(_ name: String, _ schema: Schema) -> Parameter {
            Parameter(name: name, schema: schema, isRequired: false)
        }

        package static func required(_ name: String, _ schema: Schema) -> Parameter {
            Parameter(name: name, schema: schema, isRequired: true)
        }
    }

    /// A reply that the operation gives when it is not refused.
    package struct ReplyShape: Sendable {
        package var status: HTTPResponse.Status
        package var description: String
        /// None for a reply without a body.
        package var content: Schema?
        package var contentType = Reply.jsonType

        package static func ok(_ description: String, _ content: Schema) -> ReplyShape {
            ReplyShape(status: .ok, description: description, content: content)
        }

        package static func created(_ description: String, _ content: Schema) -> ReplyShape {
            ReplyShape(status: .created, description: description, content: content)
        }

        package static func noContent(_ description: String) -> ReplyShape {
            ReplyShape(status: .noContent, description: description, content: nil)
        }
    }

    package struct Flags: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        /// Draws from a bucket per caller and site instead of the caller's own (decisions §1); the path names the site, or
        /// what of it is meant.
        package static let siteBucket = Flags(rawValue: 1 << 0)
        /// Takes no `Idempotency-Key` although it is a POST.
        package static let noIdempotencyKey = Flags(rawValue: 1 << 1)
        /// Refusals have another form than ours (RFC 6749 §5.2).
        package static let oauthErrors = Flags(rawValue: 1 << 2)
    }

    package static let bodyLimit = 1 << 20

    package var method: HTTPRequest.Method
    /// `/v1/sites/{site_id}`: a name in braces takes one segment.
    package var path: String
    package var id: String
    package var tag: Tag
    package var summary: String
    package var notes: String?
    package var callers: Callers
    package var query: [Parameter]
    package var body: Body
    package var replies: [ReplyShape]
    /// The codes it refuses with beyond those that follow from its declaration; see ``allErrors``.
    package var errors: [ErrorCode]
    package var flags: Flags
    package var bodyLimit: Int
    /// None for what takes no user code.
    package var hear: Hearing?
    /// For what comes so often that it has a way of its own, ``DirectLane``; must do as `handle` does.
    package var direct: DirectHandler?
    package var handle: Handler

    package init(
        _ method: HTTPRequest.Method,
        _ path: String,
        id: String,
        tag: Tag,
        summary: String,
        notes: String? = nil,
        callers: Callers,
        query: [Parameter] = [],
        body: Body = .none,
        replies: [ReplyShape],
        errors: [ErrorCode] = [],
        flags: Flags = [],
        bodyLimit: Int = Operation.bodyLimit,
        hear: Hearing? = nil,
        direct: DirectHandler? = nil,
        handle: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.id = id
        self.tag = tag
        self.summary = summary
        self.notes = notes
        self.callers = callers
        self.query = query
        self.body = body
        self.replies = replies
        self.errors = errors
        self.flags = flags
        self.bodyLimit = bodyLimit
        self.hear = hear
        self.direct = direct
        self.handle = handle
    }

    /// The chapters of the document.
    package enum Tag: String, CaseIterable, Sendable {
        case arming
        case alarms
        case sites
        case devices
        case dealers
        case partners
        case apps
        case endpoints
        case deliveries
        case events
        case snapshots
        case audit
        case access
        case operations
    }
}

extension Operation {
    var segments: [Substring] { path.split(separator: "/") }

    /// The names in braces, in order.
    var pathParameters: [String] {
        segments.filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    var isWrite: Bool { method != .get && method != .head }
    var takesIdempotencyKey: Bool { isWrite && !flags.contains(.noIdempotencyKey) }

    /// Every code that the operation can answer with: its own, and what the pipeline refuses on its behalf.
    package var allErrors: [ErrorCode] {
        var codes = errors + [.expectationFailed, .invalidTraceID, .internalError, .serviceUnavailable, .rateLimited]
        if !callers.anonymous { codes += [.invalidAPIKey, .permissionDenied] }
        if !query.isEmpty { codes += [.malformedRequest, .validationFailed] }
        if takesIdempotencyKey { codes += [.invalidIdempotencyKey, .idempotencyConflict, .idempotencyInProgress] }
        if case .none = body {} else { codes.append(.requestTimeout) }
        switch body {
        case .none: break
        case .json, .optionalJSON:
            codes += [.malformedJSON, .malformedRequest, .validationFailed, .bodyTooLarge, .unsupportedMediaType]
        case .form: codes += [.malformedRequest, .bodyTooLarge, .unsupportedMediaType]
        case .media: codes += [.malformedRequest, .bodyTooLarge, .unsupportedMediaType]
        }
        return ErrorCode.allCases.filter(codes.contains)
    }

    /// Room for the longest name, with four bytes for each of its characters, in base64.
    private static let cursorLength = 3000

    /// The page of a list (decisions §1).
    package static let pageParameters: [Parameter] = [
        .optional("limit", Schema.integer(1...200).described("How many at most; 50 if left out.")),
        .optional("cursor", Schema.string(1...cursorLength).described("`next_cursor` of the page before.")),
    ]
}

/// A request cannot be answered without waiting for something first.
struct NeedsWaiting: Error {}
