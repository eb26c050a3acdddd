import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Deliveries and their attempts (design, delivery: log).
enum DeliveryOperations {
    static let all = [list, get, resend]

    /// Beside the states that the ledger keeps: handed over, and nothing known of it yet.
    private static let pending = "pending"

    private static let members: [Schema.Property] = [
        .required("delivery_id", .id(DeliveryNoun.prefix)),
        .required("endpoint_id", .id(EndpointNoun.prefix)),
        .required("dealer_id", .id(DealerNoun.prefix)),
        .required("event_id", .id(EventNoun.prefix)),
        .required("event_type", .oneOf(EventType.self)),
        .required("sequence", .count),
        .required("state", .oneOf(DeliveryState.allCases.map(\.rawValue) + [pending])),
        .required("attempts", .count),
        .optional("next_attempt_at", .time),
        .required("updated_at", .time),
    ]

    private static let schema = Schema.object(members).named("Delivery")

    private static let attempt = Schema.object([
        .required("number", .count),
        .required("at", .time),
        .required("succeeded", .boolean),
        .optional("status", .integer(0...999)),
        .optional("failure", .object([.required("code", .string()), .required("message", .string(0...2000))])),
        .optional("address", .string()),
        .required(
            "timing_ms",
            Schema.map(of: .any, atMost: 8).described("`dns`, `connect`, `tls`, `first_byte`, `total`.")
        ),
        .required("request_headers", .array(of: .string(0...4000), count: 0...100)),
        .required("response_body", .string(0...4096)),
    ]).named("Attempt")

    private static let withAttempts = Schema.object(
        members + [.required("attempt_log", .array(of: attempt, count: 0...1000))]
    ).named("DeliveryWithAttempts")

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/deliveries",
        id: "listDeliveries",
        tag: .deliveries,
        summary: "List deliveries, newest first",
        notes: "What was not attempted yet is not listed: it stands in the log, ahead of the endpoint's cursor.",
        callers: .admins.withApps.withPartners,
        query: Operation.pageParameters + [
            .optional("endpoint_id", .id(EndpointNoun.prefix)),
            .optional("state", .oneOf(DeliveryState.self)),
            .optional("event_id", .id(EventNoun.prefix)),
        ],
        replies: [.ok("A page of deliveries.", .page(of: schema))],
        errors: [.invalidCursor, .endpointNotFound],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            return try await call.read { reader in
                var filter = DeliveryFilter(
                    state: call.query.optionalValue("state"),
                    eventID: call.query.optionalString("event_id").map(EventID.init(stored:))
                )
                if let text = call.query.optionalString("endpoint_id") {
                    guard let id = EndpointID(text) else {
                        throw APIError.missing(.endpointNotFound, field: "endpoint_id")
                    }
                    filter.endpointID = try EndpointOperations.found(id, call, reader).id
                } else if case .app(let app) = call.caller {
                    let own = try reader.endpoints(of: .app(app.id, of: app.dealerID))
                    guard let only = own.first else { return .page([], next: nil) }
                    if own.count > 1 {
                        throw APIError.invalid("endpoint_id", "is required, as the app has several endpoints")
                    }
                    filter.endpointID = only.id
                }
                // What its scopes do not cover now it does not hear of here either, though it was delivered once.
                filter.types = try LogView.coveredTypes(call, reader)
                let found = try reader.deliveries(within: reach, filter: filter, page: page)
                return .page(found.items.map { .object(object($0)) }, next: found.next)
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/deliveries/{delivery_id}",
        id: "getDelivery",
        tag: .deliveries,
        summary: "Get a delivery with all its attempts",
        callers: .admins.withApps.withPartners,
        replies: [.ok("The delivery.", withAttempts)],
        errors: [.deliveryNotFound],
        handle: { call in
            .ok(.object(try await call.read { try Found(call, $0).json }))
        }
    )

    private static let resend = Operation(
        .post,
        "/v1/deliveries/{delivery_id}/actions/resend",
        id: "resendDelivery",
        tag: .deliveries,
        summary: "Send an event to an endpoint once more",
        notes: "With the same `webhook-id` and the same bytes, whatever became of it before.",
        callers: .admins,
        replies: [
            Operation.ReplyShape(
                status: .accepted,
                description: "One more attempt is scheduled, now.",
                content: .object([.required("delivery_id", .id(DeliveryNoun.prefix))])
            )
        ],
        errors: [.deliveryNotFound, .endpointNotFound, .endpointDisabled],
        handle: { call in
            let found = try await call.read { try Found(call, $0) }
            if !found.endpoint.isEnabled {
                throw APIError(.endpointDisabled, "The endpoint is disabled. Enable it first, then send again.")
            }
            let id = DeliveryID(of: found.event.id, to: found.endpoint.id)
            let position = EventPosition(dealerID: found.event.dealerID, sequence: found.event.sequence)
            // First what was asked for: a stored reply must not stand for something that did not happen.
            try await EndpointActions.refusing {
                try await call.services.deliveries.resend(position, to: found.endpoint.id)
            }
            return try await call.commit { _ in
                Change(
                    Reply(
                        .accepted,
                        body: .bytes(
                            JSON.object(["delivery_id": .string(id.text)]).bytes,
                            contentType: Reply.jsonType
                        )
                    ),
                    action: "delivery.resend",
                    dealerID: found.event.dealerID,
                    siteID: found.event.siteID,
                    target: id.text,
                    explanation: "The event \(found.event.id) is sent to \(found.endpoint.url) once more."
                )
            }
        }
    )

    // MARK: Parts

    private static func object(_ delivery: DeliverySummary) -> JSONObject {
        var object: JSONObject = [
            "delivery_id": .string(delivery.id.text),
            "endpoint_id": .string(delivery.endpointID.text),
            "dealer_id": .string(delivery.position.dealerID.text),
            "event_id": .string(delivery.eventID.text),
            "event_type": .string(delivery.eventType.rawValue),
            "sequence": .integer(delivery.position.sequence),
            "state": .string(delivery.state.rawValue),
            "attempts": JSON(delivery.attempts),
        ]
        object["next_attempt_at"] = delivery.nextAttemptAt.map { .string($0.rfc3339Milliseconds) }
        object["updated_at"] = .string(delivery.updatedAt.rfc3339Milliseconds)
        return object
    }

    private static func json(_ attempt: DeliveryAttempt) -> JSON {
        var object: JSONObject = [
            "number": JSON(attempt.number),
            "at": .string(attempt.at.rfc3339Milliseconds),
            "succeeded": .bool(attempt.succeeded),
        ]
        object["status"] = attempt.status.map { JSON($0) }
        if let code = attempt.failure {
            object["failure"] = ["code": .string(code), "message": .string(attempt.failureMessage ?? "")]
        }
        object["address"] = attempt.address.map(JSON.string)
        var timing = JSONObject()
        timing["dns"] = attempt.dnsMicroseconds.map(milliseconds)
        timing["connect"] = attempt.connectMicroseconds.map(milliseconds)
        timing["tls"] = attempt.tlsMicroseconds.map(milliseconds)
        timing["first_byte"] = attempt.firstByteMicroseconds.map(milliseconds)
        timing["total"] = milliseconds(attempt.totalMicroseconds)
        object["timing_ms"] = .object(timing)
        object["request_headers"] = JSON(attempt.requestHeaders.split(separator: "\n").map(String.init))
        // A receiver may answer with anything; what is not UTF-8 is shown with replacement characters.
        let body = String(decoding: attempt.responseBody, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
        object["response_body"] = .string(body)
        return .object(object)
    }

    private static func milliseconds(_ microseconds: Int) -> JSON {
        .decimal("\(microseconds / 1000).\(String(microseconds % 1000 + 1000).dropFirst())")
    }

    /// A delivery that the caller may see, with what is known of it.
    private struct Found {
        let endpoint: Endpoint
        let event: LoggedEvent
        let summary: DeliverySummary
        let isPending: Bool
        let attempts: [DeliveryAttempt]

        init(_ call: Call, _ reader: any LedgerReader) throws {
            let id: DeliveryID = try call.id("delivery_id", orThrow: .deliveryNotFound)
            let reach = try call.reach
            // A partner's reach covers its sites' events; a test of its endpoint is of no site.
            guard let eventID = id.event, let endpoint = try reader.endpoint(suffix: id.endpointSuffix, within: reach),
                let event = try reader.event(eventID, within: .platform)
            else { throw APIError.missing(.deliveryNotFound) }
            if case .app(let own) = call.caller, endpoint.owner != .app(own.id, of: own.dealerID) {
                throw APIError.missing(.deliveryNotFound)
            }
            if try LogView.coveredTypes(call, reader)?.contains(event.type) == false {
                throw APIError.missing(.deliveryNotFound)
            }
            let position = EventPosition(dealerID: event.dealerID, sequence: event.sequence)
            let exception = try reader.exceptionalDelivery(of: position, to: endpoint.id)
            attempts = try reader.attempts(of: position, to: endpoint.id)
            isPending = exception == nil && attempts.isEmpty
            if isPending {
                let cursor = try reader.cursors(of: endpoint.id).first { $0.dealerID == event.dealerID }
                // Only what is on its way to this endpoint; any other event is none of its deliveries.
                let takes = try Subscription(of: endpoint, reader).takes(event)
                guard let cursor, cursor.sequence < event.sequence, takes else {
                    throw APIError.missing(.deliveryNotFound)
                }
            }
            self.endpoint = endpoint
            self.event = event
            summary = DeliverySummary(
                endpointID: endpoint.id,
                position: position,
                eventID: event.id,
                eventType: event.type,
                state: exception?.state ?? (attempts.last?.succeeded == true ? .delivered : .retrying),
                attempts: exception?.attempts ?? attempts.count,
                nextAttemptAt: exception?.nextAttemptAt,
                updatedAt: exception?.updatedAt ?? attempts.last?.at ?? event.createdAt
            )
        }

        var json: JSONObject {
            var object = DeliveryOperations.object(summary)
            if isPending { object["state"] = .string(DeliveryOperations.pending) }
            object["attempt_log"] = .array(attempts.map(DeliveryOperations.json))
            return object
        }
    }
}
