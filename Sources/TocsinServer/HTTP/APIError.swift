import HTTPTypes
import TocsinJSON

/// Every code that an error reply may carry: stable words for programs (decisions §1).
package enum ErrorCode: String, CaseIterable, Sendable {
    case malformedJSON = "malformed_json"
    case malformedRequest = "malformed_request"
    case invalidIdempotencyKey = "invalid_idempotency_key"
    case invalidTraceID = "invalid_trace_id"

    case invalidAPIKey = "invalid_api_key"
    case permissionDenied = "permission_denied"
    case invalidUserCode = "invalid_user_code"

    case notFound = "not_found"
    case dealerNotFound = "dealer_not_found"
    case partnerNotFound = "partner_not_found"
    case siteNotFound = "site_not_found"
    case partitionNotFound = "partition_not_found"
    case zoneNotFound = "zone_not_found"
    case deviceNotFound = "device_not_found"
    case relayNotFound = "relay_not_found"
    case userNotFound = "user_not_found"
    case scheduleNotFound = "schedule_not_found"
    case contactNotFound = "contact_not_found"
    case appNotFound = "app_not_found"
    case endpointNotFound = "endpoint_not_found"
    case eventNotFound = "event_not_found"
    case deliveryNotFound = "delivery_not_found"
    case operationNotFound = "operation_not_found"
    case consumerNotFound = "consumer_not_found"
    case snapshotNotFound = "snapshot_not_found"
    case snapshotExpired = "snapshot_expired"
    case alarmNotFound = "alarm_not_found"

    case methodNotAllowed = "method_not_allowed"

    case alreadyExists = "already_exists"
    case armFailed = "arm_failed"
    case armingAuthorityConflict = "arming_authority_conflict"
    case armingModelLocked = "arming_model_locked"
    case deletionRefused = "deletion_refused"
    case endpointDisabled = "endpoint_disabled"
    case endpointEnabled = "endpoint_enabled"
    case idempotencyConflict = "idempotency_conflict"
    case idempotencyInProgress = "idempotency_in_progress"
    case invalidAlarmTransition = "invalid_alarm_transition"
    case invalidTransition = "invalid_transition"
    case lastPartition = "last_partition"
    case operationEnded = "operation_ended"
    case operationRunning = "operation_running"
    case partnerHasSites = "partner_has_sites"
    case partnerRevoked = "partner_revoked"
    case siteArmed = "site_armed"
    case siteInAlarm = "site_in_alarm"
    case tooMany = "too_many"
    case undeliveredEvents = "undelivered_events"

    case requestTimeout = "request_timeout"
    case versionConflict = "version_conflict"
    case bodyTooLarge = "body_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case expectationFailed = "expectation_failed"
    case rangeNotSatisfiable = "range_not_satisfiable"

    case validationFailed = "validation_failed"
    case unreadableMedia = "unreadable_media"
    case userCodeUnacceptable = "user_code_unacceptable"
    case dealerRequired = "dealer_required"
    case invalidCursor = "invalid_cursor"
    case timestampNotUTC = "timestamp_not_utc"
    case timestampInFuture = "timestamp_in_future"

    case rateLimited = "rate_limited"
    case userCodeLocked = "user_code_locked"

    case internalError = "internal_error"
    case serviceUnavailable = "service_unavailable"
    case partnerUnreachable = "partner_unreachable"

    package var status: HTTPResponse.Status {
        switch self {
        case .malformedJSON, .malformedRequest, .invalidIdempotencyKey, .invalidTraceID: .badRequest
        case .invalidAPIKey: .unauthorized
        case .permissionDenied, .invalidUserCode: .forbidden
        case .notFound, .dealerNotFound, .partnerNotFound, .siteNotFound, .partitionNotFound, .zoneNotFound,
            .deviceNotFound, .relayNotFound, .userNotFound, .scheduleNotFound, .contactNotFound, .appNotFound,
            .endpointNotFound, .eventNotFound, .deliveryNotFound, .operationNotFound,
            .consumerNotFound, .snapshotNotFound, .alarmNotFound:
            .notFound
        case .snapshotExpired: .gone
        case .methodNotAllowed: .methodNotAllowed
        case .requestTimeout: .requestTimeout
        case .alreadyExists, .armFailed, .armingAuthorityConflict, .armingModelLocked, .deletionRefused,
            .endpointDisabled,
            .endpointEnabled, .idempotencyConflict,
            .idempotencyInProgress, .invalidAlarmTransition, .invalidTransition, .lastPartition,
            .operationEnded, .operationRunning, .partnerHasSites,
            .partnerRevoked,
            .siteArmed, .siteInAlarm, .tooMany, .undeliveredEvents:
            .conflict
        case .versionConflict: .preconditionFailed
        case .bodyTooLarge: .contentTooLarge
        case .unsupportedMediaType: .unsupportedMediaType
        case .expectationFailed: .expectationFailed
        case .rangeNotSatisfiable: .rangeNotSatisfiable
        case .validationFailed, .unreadableMedia, .userCodeUnacceptable, .dealerRequired, .invalidCursor,
            .timestampNotUTC,
            .timestampInFuture:
            .unprocessableContent
        case .rateLimited, .userCodeLocked: .tooManyRequests
        case .internalError: .internalServerError
        case .serviceUnavailable: .serviceUnavailable
        case .partnerUnreachable: .gatewayTimeout
        }
    }
}

/// A refusal as the caller gets to see it: a code, a sentence that says what to do next, and where it was.
package struct APIError: Error, Sendable {
    package var code: ErrorCode
    package var message: String
    /// The request's field that is at fault.
    package var field: String?
    package var details: JSONObject?
    package var headers: HTTPFields
    /// Whether the site itself refused it, in its turn: it has written the audit log then, and heard the code.
    package var isDecided = false

    package init(
        _ code: ErrorCode,
        _ message: String,
        field: String? = nil,
        details: JSONObject? = nil,
        headers: HTTPFields = [:]
    ) {
        self.code = code
        self.message = message
        self.field = field
        self.details = details
        self.headers = headers
    }

    /// The same as the decision of a site.
    package var decided: APIError {
        var copy = self
        copy.isDecided = true
        return copy
    }

    /// The body of decisions §1.
    package func body(requestID: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("error")
            writer.object { writer in
                writer.member("code", code.rawValue)
                writer.member("message", message)
                writer.member("request_id", requestID)
                writer.member("field", ifPresent: field)
                if let details { writer.member("details", .object(details)) }
            }
        }
        return writer.bytes
    }
}

extension APIError {
    /// 422 for what a schema found; the first error names the field, all stand in the details.
    package static func invalid(_ errors: [FieldError]) -> APIError {
        let first = errors.first ?? FieldError(field: "", message: "is invalid")
        let subject = first.field.isEmpty ? "The body" : "\"\(first.field)\""
        let all: [JSON] = errors.map { ["field": .string($0.field), "message": .string($0.message)] }
        return APIError(
            .validationFailed,
            "\(subject) \(first.message).",
            field: first.field,
            details: ["errors": .array(all)]
        )
    }

    /// 422 for one field that a handler found at fault; `complaint` completes the sentence that the field begins.
    package static func invalid(_ field: String, _ complaint: String) -> APIError {
        invalid([FieldError(field: field, message: complaint)])
    }

    package static let invalidCredentials = APIError(
        .invalidAPIKey,
        "The credential is missing, unknown, expired or revoked. Send `Authorization: Bearer …` with a valid one.",
        headers: [.wwwAuthenticate: "Bearer realm=\"tocsin\", error=\"invalid_token\""]
    )

    package static func bodyTooLarge(limit: Int) -> APIError {
        APIError(.bodyTooLarge, "The body is larger than \(limit) bytes. Send less at once.")
    }

    /// 408: the connection is closed with it.
    static let bodyTooSlow = APIError(
        .requestTimeout,
        "The body did not come whole in \(WireHandler.bodyTime) s (a file: \(WireHandler.fileTime) s). Send the request again."
    )

    package static let unavailable = APIError(
        .serviceUnavailable,
        "Nothing was stored, because the storage cannot take it just now. Send the same request again later.",
        headers: [.retryAfter: "5"]
    )
}
