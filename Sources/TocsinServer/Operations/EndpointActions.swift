import HTTPTypes
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What can be done to an endpoint beside changing it (design, delivery: secrets, on re-enable, operator).
enum EndpointActions {
    /// How long an older secret signs beside the new one.
    static let secretOverlap: Duration = .seconds(86_400)

    static let rotateSecret = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/rotate-secret",
        id: "rotateEndpointSecret",
        tag: .endpoints,
        summary: "Give an endpoint a new signing secret",
        notes: "For 24 hours every delivery carries the signatures of both. With `v1a` the key pair is new as well.",
        callers: .admins,
        replies: [.ok("The endpoint with its new secret.", EndpointOperations.withSecret)],
        errors: [.endpointNotFound, .tooMany],
        handle: { call in
            let id = try EndpointOperations.endpointID(call)
            let secret = call.newSigningSecret()
            let sealed = try call.services.vault.seal(secret.utf8, context: WebhookSecret.vaultContext(of: id))
            let now = call.receivedAt
            let reply = try await call.commit { transaction in
                var endpoint = try EndpointOperations.found(id, call, transaction)
                let live = try transaction.secrets(of: id)
                    .filter { $0.publicKey == nil && $0.expiresAt.map { $0 > now } ?? true }
                if live.count >= WebhookSecret.liveMaximum {
                    throw APIError(
                        .tooMany,
                        "\(live.count) secrets are live. Wait until the older ones end, 24 hours after their rotation."
                    )
                }
                // Before the new one is there, so that one made in the same millisecond ends too.
                try transaction.expireSecrets(of: id, madeBefore: now + .milliseconds(1), at: now + secretOverlap)
                try transaction.insert(EndpointSecret(endpointID: id, sealed: sealed, createdAt: now))
                endpoint = try EndpointSecurity.completed(endpoint, call, transaction)
                return EndpointOperations.change(
                    Reply.ok(EndpointOperations.json(endpoint, secret: secret)).uncached,
                    "endpoint.rotate_secret",
                    endpoint,
                    "The endpoint got a new secret."
                )
            }
            await call.services.deliveries.endpointChanged(id)
            return reply
        }
    )

    static let test = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/test",
        id: "testEndpoint",
        tag: .endpoints,
        summary: "Send a test event to an endpoint",
        notes: "A `test.ping` goes the way of every event: logged, signed, retried, and to this endpoint alone.",
        callers: .admins,
        replies: [
            Operation.ReplyShape(
                status: .accepted,
                description: "The test event is in the log.",
                content: .object([.required("event_id", .id(EventNoun.prefix)), .required("delivery_id", .id("dlv_"))])
            )
        ],
        errors: [.endpointNotFound, .endpointDisabled, .deliveryNotFound],
        handle: { call in
            let id = try EndpointOperations.endpointID(call)
            let endpoint = try await call.read { try EndpointOperations.found(id, call, $0) }
            if !endpoint.isEnabled {
                throw APIError(.endpointDisabled, "The endpoint is disabled. Enable it first, then test it.")
            }
            let event = try await refusing { try await call.services.deliveries.sendTest(id) }
            let delivery = DeliveryID(of: event.id, to: id)
            let json: JSON = ["event_id": .string(event.id.text), "delivery_id": .string(delivery.text)]
            return try await call.commit { _ in
                EndpointOperations.change(
                    Reply(.accepted, body: .bytes(json.bytes, contentType: Reply.jsonType)),
                    "endpoint.test",
                    endpoint,
                    "A test event was sent to the endpoint."
                )
            }
        }
    )

    static let enable = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/enable",
        id: "enableEndpoint",
        tag: .endpoints,
        summary: "Enable an endpoint, and say what becomes of its backlog",
        notes: """
            `resume` goes on where it stopped, `skip` forgets what has gathered, retries included, `replay` sends \
            everything since an instant (`since`) again. The last two are for an endpoint that is disabled, and cancel \
            an operation that was under way there.
            """,
        callers: .admins,
        body: .json(
            .object([.required("mode", .oneOf(["resume", "skip", "replay"])), .optional("since", .time)])
        ),
        replies: [
            .ok(
                "The enabled endpoint.",
                Schema.object(
                    EndpointOperations.members + [
                        .optional("skipped", SkippedBacklog.schema), .required("missed", missedSchema),
                    ]
                ).named("EnabledEndpoint")
            )
        ],
        errors: [.endpointNotFound, .endpointEnabled, .timestampNotUTC],
        handle: { call in
            let id = try EndpointOperations.endpointID(call)
            let mode = try call.body.string("mode")
            let since = try call.body.optionalString("since").map { try utc($0, field: "since") }
            if mode == "replay", since == nil { throw APIError.invalid("since", "is required for the mode replay") }
            let now = call.receivedAt
            let reply = try await call.commit { transaction in
                var endpoint = try EndpointOperations.found(id, call, transaction)
                if endpoint.isEnabled, mode != "resume" {
                    // Its place in the log is in use: moved now, it would be moved back by what is under way.
                    throw APIError(.endpointEnabled, "The endpoint is enabled. Disable it first, then \(mode).")
                }
                endpoint.isEnabled = true
                endpoint.disabledReason = nil
                endpoint.failingSince = nil
                try transaction.update(endpoint)
                if mode != "resume", let task = try transaction.runningTask(of: id) {
                    _ = try transaction.cancel(task, at: now)
                }
                var skipped: SkippedBacklog?
                if mode == "skip" {
                    skipped = try SkippedBacklog(of: endpoint, transaction)
                    skipped?.retries = try transaction.withdrawDeliveries(of: id, at: now)
                }
                let missed = try missed(by: id, since: mode == "replay" ? since : nil, at: now, transaction)
                try moveCursors(of: id, mode: mode, since: since, transaction)
                var object = EndpointOperations.object(endpoint)
                object["skipped"] = skipped?.json
                object["missed"] = .integer(missed)
                let clauses = [skipped?.clause, missedClause(missed)].compactMap { $0 }
                var change = EndpointOperations.change(
                    .ok(.object(object)),
                    "endpoint.enable",
                    endpoint,
                    "The endpoint was enabled (\(([mode] + clauses).joined(separator: ": ")))."
                )
                change.details["skipped"] = skipped?.json
                change.details["missed"] = .integer(missed)
                return change
            }
            await call.services.deliveries.endpointChanged(id)
            return reply
        }
    )

    static let disable = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/disable",
        id: "disableEndpoint",
        tag: .endpoints,
        summary: "Disable an endpoint",
        notes: "Nothing is sent from now on; its place in the log is kept.",
        callers: .admins,
        replies: [.ok("The disabled endpoint.", EndpointOperations.schema)],
        errors: [.endpointNotFound],
        handle: { call in
            let id = try EndpointOperations.endpointID(call)
            let reply = try await call.commit { transaction in
                var endpoint = try EndpointOperations.found(id, call, transaction)
                endpoint.isEnabled = false
                endpoint.disabledReason = "admin"
                try transaction.update(endpoint)
                return EndpointOperations.change(
                    .ok(EndpointOperations.json(endpoint)),
                    "endpoint.disable",
                    endpoint,
                    "The endpoint was disabled."
                )
            }
            await call.services.deliveries.endpointChanged(id)
            // Its place as it is recorded now is what a later `enable` moves.
            await call.services.deliveries.flush()
            return reply
        }
    )

    // MARK: Parts

    /// Says in the API's words what the delivery engine refuses.
    static func refusing<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as DeliveryError {
            let code: ErrorCode =
                switch error.code {
                case .endpointNotFound: .endpointNotFound
                case .endpointDisabled, .noLog: .endpointDisabled
                case .eventNotFound: .deliveryNotFound
                }
            throw APIError(code, error.message)
        }
    }

    static func utc(_ text: String, field: String) throws -> Instant {
        do throws(TimestampError) {
            return try Instant(rfc3339: text)
        } catch {
            switch error {
            case .malformed: throw APIError.invalid(field, "is not an RFC 3339 time")
            case .notUTC:
                throw APIError(.timestampNotUTC, "\"\(field)\" must be in UTC: end it with Z or +00:00.", field: field)
            }
        }
    }

    private static let missedSchema = Schema.count.described(
        """
        Entries of the dealer's log, subscribed to or not, that the retention has taken before the endpoint came to them. \
        With `replay` at most so many: when they were committed nobody knows any more.
        """
    )

    /// Counts what is gone from the part of the log that the endpoint is to get; to be asked before its place is moved.
    private static func missed(
        by endpoint: EndpointID,
        since: Instant?,
        at now: Instant,
        _ reader: any LedgerReader
    ) throws -> Int64 {
        try reader.cursors(of: endpoint).reduce(0) { sum, cursor in
            let missed =
                try since.map { try reader.missed(of: cursor.dealerID, since: $0, now: now) }
                ?? reader.missed(of: cursor.dealerID, after: cursor.sequence)
            return sum + missed
        }
    }

    /// For the audit log's sentence.
    static func missedClause(_ count: Int64) -> String? {
        count == 0 ? nil : "\(count) entries of the log are missed, which the retention has taken"
    }

    private static func moveCursors(
        of endpoint: EndpointID,
        mode: String,
        since: Instant?,
        _ transaction: any LedgerTransaction
    ) throws {
        for cursor in try transaction.cursors(of: endpoint) {
            let target =
                switch mode {
                // Past what is gone, which is told once.
                case "resume": max(cursor.sequence, try transaction.firstSequence(of: cursor.dealerID) - 1)
                default:
                    try since.map { try transaction.lastSequence(of: cursor.dealerID, before: $0) }
                        ?? transaction.lastSequence(of: cursor.dealerID)
                }
            if mode == "resume", target == cursor.sequence { continue }
            let place = EventPosition(dealerID: cursor.dealerID, sequence: target)
            try transaction.setCursor(EndpointCursor(endpointID: endpoint, position: place))
            // What has a row is passed over where the log is read again, so that it would not be sent.
            if mode == "replay" { try transaction.forgetDeliveries(of: endpoint, after: place) }
        }
    }
}

extension Call {
    /// `whsec_` and the base64 of 32 random bytes (decisions §8).
    func newSigningSecret() -> String { WebhookSecret.make(services.randomness) }
}
