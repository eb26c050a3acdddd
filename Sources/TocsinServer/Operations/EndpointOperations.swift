import HTTPTypes
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Endpoints of apps and partners (decisions §11; design, delivery).
enum EndpointOperations {
    static let all = [
        listOfApp, createForApp, listOfPartner, createForPartner, get, patch, delete,
        EndpointActions.rotateSecret, EndpointActions.test, EndpointActions.enable, EndpointActions.disable,
        EndpointTasks.replay, EndpointTasks.resendFailed,
    ]

    /// Bounds what one app can make the server hold connections and memory for.
    static let maximumPerOwner = 100
    static let headersMaximum = 20
    static let retryStepsMaximum = 50
    /// A step longer than the schedule's whole day would never be taken.
    static let retryStepSeconds: ClosedRange<Int64> = 1...86_400
    /// Set by the sender or by the signature; an endpoint must not replace them.
    static let reservedHeaders: Set<String> = [
        "host", "content-length", "content-type", "transfer-encoding", "connection", "te", "trailer", "upgrade",
        "keep-alive", "proxy-authorization", "proxy-connection", "expect", "user-agent", "accept-encoding",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    ]

    static let schema = Schema.object(members).named("Endpoint")

    static let members: [Schema.Property] =
        [
            .required("endpoint_id", .id(EndpointNoun.prefix)),
            .optional("app_id", .id(AppNoun.prefix)),
            .optional("partner_id", .id(PartnerNoun.prefix)),
            .required("url", url),
            .required("events", events),
            .required("ordering", .oneOf(DeliveryOrdering.self)),
            .required("header_names", .array(of: .string(1...100), count: 0...headersMaximum)),
            .required("concurrency", concurrency),
            .optional("rate_per_second", rate),
            .optional("retry_schedule", retrySchedule),
            .required("enabled", .boolean),
            .optional("disabled_reason", .string(1...64)),
            .optional("failing_since", .time),
            .optional("breaker", breaker),
            .required("created_at", .time),
        ] + EndpointSecurity.members

    static let withSecret = Schema.object(
        members + [.required("secret", Schema.string(1...200).described("The signing secret, shown once."))]
    ).named("EndpointWithSecret")

    private static let url = Schema.string(1...EndpointURL.lengthMax, format: "uri")
        .example("https://example.test/hook")
    private static let events = Schema.array(
        of: .oneOf(EventType.allCases.filter(\.isSubscribable).map(\.rawValue)),
        count: 1...EventType.allCases.count
    )
    static let breakerSchema = Schema.object([
        .required("state", .oneOf(CircuitBreaker.State.self)), .optional("probe_at", .time),
    ])
    private static let breaker = breakerSchema.described(
        "Only where a single enabled endpoint is read. `open`: it does not answer, and is left alone until `probe_at`."
    )
    private static let concurrency = Schema.integer(1...64).described("Attempts in flight at once.")
    private static let rate = Schema.integer(1...10_000).described("Attempts a second, at most.")
    private static let retrySchedule = Schema.array(of: .integer(retryStepSeconds), count: 1...retryStepsMaximum)
        .described("Seconds from each failed attempt to the next; left out: the default schedule.")
    private static let headers = Schema.map(of: .string(0...1000), atMost: headersMaximum).writeOnly
        .described("Sent with every attempt. The values are secrets: never shown again.")

    private static let settings: [Schema.Property] =
        [
            .optional("ordering", .oneOf(DeliveryOrdering.self)),
            .optional("headers", headers),
            .optional("concurrency", concurrency),
            .optional("rate_per_second", rate.nullable),
            .optional("retry_schedule", retrySchedule.nullable),
        ] + EndpointSecurity.settings

    private static let createBody = Schema.object(
        [.required("url", url), .required("events", events)] + settings
    )

    static func object(_ endpoint: Endpoint) -> JSONObject {
        var object: JSONObject = ["endpoint_id": .string(endpoint.id.text)]
        switch endpoint.owner {
        case .app(let app, _): object["app_id"] = .string(app.text)
        case .partner(let partner): object["partner_id"] = .string(partner.text)
        }
        object["url"] = .string(endpoint.url)
        object["events"] = JSON(endpoint.events.map(\.rawValue).sorted())
        object["ordering"] = .string(endpoint.ordering.rawValue)
        object["header_names"] = JSON(endpoint.sealedHeaders.keys.sorted())
        object["concurrency"] = JSON(endpoint.concurrency)
        object["rate_per_second"] = endpoint.ratePerSecond.map { JSON($0) }
        object["retry_schedule"] = endpoint.retrySchedule.map { .array($0.map { JSON($0) }) }
        object["enabled"] = .bool(endpoint.isEnabled)
        object["disabled_reason"] = endpoint.disabledReason.map(JSON.string)
        object["failing_since"] = endpoint.failingSince.map { .string($0.rfc3339Seconds) }
        object["created_at"] = .string(endpoint.createdAt.rfc3339Seconds)
        EndpointSecurity.show(endpoint, in: &object)
        return object
    }

    static func json(_ endpoint: Endpoint) -> JSON { .object(object(endpoint)) }

    static func json(_ endpoint: Endpoint, secret: String) -> JSON {
        var object = object(endpoint)
        object["secret"] = .string(secret)
        return .object(object)
    }

    static func json(_ breaker: CircuitBreaker, at now: Instant) -> JSON {
        var object: JSONObject = ["state": .string(breaker.state(at: now).rawValue)]
        object["probe_at"] = breaker.pausesUntil.map { .string($0.rfc3339Seconds) }
        return .object(object)
    }

    // MARK: Operations

    private static let listOfApp = Operation(
        .get,
        "/v1/apps/{app_id}/endpoints",
        id: "listAppEndpoints",
        tag: .endpoints,
        summary: "List an app's endpoints",
        callers: .admins.withApps,
        replies: [.ok("All of them.", .page(of: schema))],
        errors: [.appNotFound],
        handle: { call in
            let id: AppID = try call.id("app_id", orThrow: .appNotFound), reach = try call.reach
            try call.refuseForeign(app: id)
            let endpoints = try await call.read { reader in
                try reader.endpoints(of: .app(id, of: AppOperations.found(reader.app(id, within: reach)).dealerID))
            }
            return .page(endpoints.map(json), next: nil)
        }
    )

    private static let createForApp = Operation(
        .post,
        "/v1/apps/{app_id}/endpoints",
        id: "createAppEndpoint",
        tag: .endpoints,
        summary: "Create an endpoint of an app",
        notes: "It gets the events from now on. The signing secret is shown in this reply only.",
        callers: .admins,
        body: .json(createBody),
        replies: [.created("The new endpoint with its secret.", withSecret)],
        errors: [.appNotFound, .tooMany],
        handle: { call in
            let id: AppID = try call.id("app_id", orThrow: .appNotFound), reach = try call.reach
            return try await create(call) { reader in
                .app(id, of: try AppOperations.found(reader.app(id, within: reach)).dealerID)
            }
        }
    )

    private static let listOfPartner = Operation(
        .get,
        "/v1/partners/{partner_id}/endpoints",
        id: "listPartnerEndpoints",
        tag: .endpoints,
        summary: "List a partner's endpoints",
        callers: .platformAdmins.withPartners,
        replies: [.ok("All of them.", .page(of: schema))],
        errors: [.partnerNotFound],
        handle: { call in
            let id: PartnerID = try call.id("partner_id", orThrow: .partnerNotFound), reach = try call.reach
            let endpoints = try await call.read { reader in
                if try reader.partner(id, within: reach) == nil { throw APIError.missing(.partnerNotFound) }
                return try reader.endpoints(of: .partner(id))
            }
            return .page(endpoints.map(json), next: nil)
        }
    )

    private static let createForPartner = Operation(
        .post,
        "/v1/partners/{partner_id}/endpoints",
        id: "createPartnerEndpoint",
        tag: .endpoints,
        summary: "Create an endpoint of a partner",
        notes: "It gets the events of the partner's own sites, across dealers, from now on.",
        callers: .platformAdmins,
        body: .json(createBody),
        replies: [.created("The new endpoint with its secret.", withSecret)],
        errors: [.partnerNotFound, .tooMany],
        handle: { call in
            let id: PartnerID = try call.id("partner_id", orThrow: .partnerNotFound), reach = try call.reach
            return try await create(call) { reader in
                if try reader.partner(id, within: reach) == nil { throw APIError.missing(.partnerNotFound) }
                return .partner(id)
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/endpoints/{endpoint_id}",
        id: "getEndpoint",
        tag: .endpoints,
        summary: "Get an endpoint",
        callers: .admins.withApps.withPartners,
        replies: [.ok("The endpoint.", schema)],
        errors: [.endpointNotFound],
        handle: { call in
            let id = try endpointID(call)
            let endpoint = try await call.read { try found(id, call, $0) }
            var object = object(endpoint)
            if endpoint.isEnabled {
                object["breaker"] = json(call.services.deliveries.breaker(of: id), at: call.receivedAt)
            }
            return .ok(.object(object))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/endpoints/{endpoint_id}",
        id: "patchEndpoint",
        tag: .endpoints,
        summary: "Change an endpoint",
        notes: "A type that is taken from the subscription is withdrawn at once, also where it waits for a retry.",
        callers: .admins,
        body: .json(.object([.optional("url", url), .optional("events", events)] + settings)),
        replies: [.ok("The endpoint as it is now.", schema)],
        errors: [.endpointNotFound],
        handle: { call in
            let id = try endpointID(call)
            let reply = try await call.commit { transaction in
                var endpoint = try found(id, call, transaction)
                try apply(call, to: &endpoint)
                try transaction.change(endpoint)
                endpoint = try EndpointSecurity.completed(endpoint, call, transaction)
                return change(.ok(json(endpoint)), "endpoint.change", endpoint, "The endpoint was changed.")
            }
            await call.services.deliveries.endpointChanged(id)
            return reply
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/endpoints/{endpoint_id}",
        id: "deleteEndpoint",
        tag: .endpoints,
        summary: "Delete an endpoint",
        callers: .admins,
        query: [.force],
        replies: [.noContent("The endpoint is gone.")],
        errors: [.endpointNotFound, .undeliveredEvents],
        handle: { call in
            let id = try endpointID(call)
            let reply = try await call.commit { transaction in
                let endpoint = try found(id, call, transaction)
                if !call.isForced { try APIError.refuse(DeletionGuard(transaction).obstacles(to: endpoint)) }
                try transaction.deleteEndpoint(id)
                return change(.noContent, "endpoint.delete", endpoint, "The endpoint was deleted.")
            }
            await call.services.deliveries.endpointDeleted(id)
            return reply
        }
    )

    // MARK: Parts

    static func endpointID(_ call: Call) throws -> EndpointID {
        try call.id("endpoint_id", orThrow: .endpointNotFound)
    }

    /// The endpoint, if the caller reaches it; an app reaches only its own.
    static func found(_ id: EndpointID, _ call: Call, _ reader: any LedgerReader) throws -> Endpoint {
        guard let endpoint = try reader.endpoint(id, within: call.reach) else {
            throw APIError.missing(.endpointNotFound)
        }
        if case .app(let own) = call.caller, endpoint.owner != .app(own.id, of: own.dealerID) {
            throw APIError.missing(.endpointNotFound)
        }
        return endpoint
    }

    static func change(_ reply: Reply, _ action: String, _ endpoint: Endpoint, _ explanation: String) -> Change {
        Change(
            reply,
            action: action,
            dealerID: endpoint.owner.dealerID,
            target: endpoint.id.text,
            explanation: "\(explanation.dropLast()): \(endpoint.url)."
        )
    }

    private static func create(
        _ call: Call,
        owner: @escaping @Sendable (any LedgerReader) throws -> EndpointOwner
    ) async throws -> Reply {
        let id: EndpointID = call.newID()
        let secret = call.newSigningSecret()
        let sealed = try call.services.vault.seal(secret.utf8, context: WebhookSecret.vaultContext(of: id))
        let reply = try await call.commit { transaction in
            let owner = try owner(transaction)
            if try transaction.endpoints(of: owner).count >= maximumPerOwner {
                throw APIError(.tooMany, "There are \(maximumPerOwner) endpoints already. Delete one first.")
            }
            var endpoint = Endpoint(id: id, owner: owner, url: "", events: [], createdAt: call.receivedAt)
            try apply(call, to: &endpoint)
            try transaction.insert(
                endpoint,
                secret: EndpointSecret(endpointID: id, sealed: sealed, createdAt: call.receivedAt)
            )
            endpoint = try EndpointSecurity.completed(endpoint, call, transaction)
            let reply = Reply.created(json(endpoint, secret: secret)).uncached
            return change(reply, "endpoint.create", endpoint, "The endpoint was created.")
        }
        await call.services.deliveries.endpointChanged(id)
        return reply
    }

    /// Takes over what the body names.
    private static func apply(_ call: Call, to endpoint: inout Endpoint) throws {
        let body = call.body
        if let url = body.optionalString("url") {
            do throws(EndpointURLError) {
                _ = try EndpointURL(url, policy: call.services.settings.egress)
            } catch {
                throw APIError(
                    .validationFailed,
                    "\(error.sentence) \(error.remedy)",
                    field: "url",
                    details: ["reason": .string(error.code.rawValue)]
                )
            }
            endpoint.url = url
        }
        if let events = body.strings("events") {
            endpoint.events = Set(events.compactMap(EventType.init(rawValue:)))
            if case .app = endpoint.owner, let type = endpoint.events.first(where: \.isForPartners) {
                throw APIError.invalid("events", "may name \(type.rawValue) at a partner's endpoint only")
            }
        }
        endpoint.ordering = body.optionalValue("ordering") ?? endpoint.ordering
        endpoint.concurrency = body.optionalInteger("concurrency") ?? endpoint.concurrency
        if body.has("rate_per_second") { endpoint.ratePerSecond = body.optionalInteger("rate_per_second") }
        if body.has("retry_schedule") {
            endpoint.retrySchedule = body.object["retry_schedule"]?.array?.compactMap(\.integer).map(Int.init)
        }
        try EndpointSecurity.apply(call, to: &endpoint)
        if let headers = body.fields("headers") { endpoint.sealedHeaders = try sealed(headers, of: endpoint.id, call) }
    }

    private static func sealed(_ headers: Fields, of endpoint: EndpointID, _ call: Call) throws -> [String: [UInt8]] {
        var sealed: [String: [UInt8]] = [:]
        for (name, value) in headers.object.members {
            let lowercased = name.lowercased()
            guard isToken(name) else { throw APIError.invalid("headers.\(name)", "is not a header name") }
            if reservedHeaders.contains(lowercased) || lowercased.hasPrefix("x-chekt-") {
                throw APIError.invalid("headers.\(name)", "is set by Tocsin itself")
            }
            guard let text = value.string, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || $0 == 0x09 }) else {
                throw APIError.invalid("headers.\(name)", "may hold visible ASCII characters, spaces and tabs only")
            }
            let context = WebhookSecret.vaultContext(ofHeader: lowercased, of: endpoint)
            sealed[lowercased] = try call.services.vault.seal(text.utf8, context: context)
        }
        return sealed
    }

    /// RFC 9110's token.
    private static func isToken(_ name: String) -> Bool {
        (1...100).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}
