import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Starting a task at an endpoint: replay, and sending again what failed (design, delivery: operator).
enum EndpointTasks {
    /// Tasks that run at once for one dealer, or for one partner: each is a bounded load of its own.
    static let runningMaximum = 4

    private static let range: [Schema.Property] = [
        .optional(
            "types",
            Schema.array(
                of: .oneOf(EventType.allCases.filter(\.isSubscribable).map(\.rawValue)),
                count: 1...EventType.allCases.count
            ).described("Only events of these types; left out: all that the endpoint subscribes to.")
        ),
        .optional("site_id", Schema.id(SiteNoun.prefix).described("Only events of this site.")),
        .optional(
            "rate_per_second",
            Schema.integer(1...Int64(TaskPace.rateMaximum))
                .described("At most so many a second; left out: \(TaskPace.defaultRate), or the endpoint's own rate.")
        ),
    ]

    private static let refusals: [ErrorCode] = [
        .endpointNotFound, .endpointDisabled, .siteNotFound, .operationRunning, .tooMany, .timestampNotUTC,
        .timestampInFuture,
    ]

    private static let reply = Operation.ReplyShape(
        status: .accepted,
        description: "The operation, which goes on by itself.",
        content: TaskOperations.schema
    )

    static let replay = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/replay",
        id: "replayEndpoint",
        tag: .endpoints,
        summary: "Send a part of the log to an endpoint again",
        notes: """
            From `since`, or behind the sequence `after`, until `until`, or the sequence `through`, but no further than \
            the endpoint has come: what lies ahead of it is sent anyway. Also what was before the endpoint was made; only \
            what its subscription and its owner's scopes cover now. With the same `webhook-id` and the same bytes. An \
            endpoint with `ordering: site` gets nothing newer until all of it is on its way.
            """,
        callers: .admins,
        body: .json(
            .object(
                [
                    .optional("since", .time),
                    .optional("after", Schema.count.described("In place of `since`: only larger sequences.")),
                    .optional("until", .time),
                    .optional("through", Schema.count.described("In place of `until`: this sequence is the last.")),
                ] + range
            )
        ),
        replies: [reply],
        errors: refusals,
        handle: { call in try await start(.replay, call) }
    )

    static let resendFailed = Operation(
        .post,
        "/v1/endpoints/{endpoint_id}/actions/resend-failed",
        id: "resendFailedDeliveries",
        tag: .endpoints,
        summary: "Send again what has failed since an instant",
        notes: """
            Every delivery that is dead, or waits for a retry, and whose last attempt was made between `since` and \
            `until`: it is tried now. With the same `webhook-id` and the same bytes.
            """,
        callers: .admins,
        body: .json(.object([.required("since", .time), .optional("until", .time)] + range)),
        replies: [reply],
        errors: refusals,
        handle: { call in try await start(.resendFailed, call) }
    )

    // MARK: Parts

    private static func start(_ kind: DeliveryTask.Kind, _ call: Call) async throws -> Reply {
        let id = try EndpointOperations.endpointID(call)
        let taskID: DeliveryTaskID = call.newID()
        // The endpoint's place as it is now, not as it was last recorded.
        await call.services.deliveries.flush()
        let reply = try await call.commit { transaction in
            let endpoint = try EndpointOperations.found(id, call, transaction)
            try refuse(endpoint, transaction)
            let task = try task(kind, taskID, endpoint, call, transaction)
            try transaction.insert(task)
            let stands = TaskOperations.Standing(of: endpoint, call)
            let json = TaskOperations.json(task, counts: task.counts, stands: stands, at: call.receivedAt)
            return EndpointOperations.change(
                Reply(.accepted, body: .bytes(json.bytes, contentType: Reply.jsonType)),
                kind == .replay ? "endpoint.replay" : "endpoint.resend_failed",
                endpoint,
                kind == .replay ? "A replay was started (\(taskID))." : "What failed is sent again (\(taskID))."
            )
        }
        if let task = try await call.read({ try $0.deliveryTask(taskID, within: .platform) }) {
            await call.services.deliveries.taskBegun(task)
        }
        return reply
    }

    private static func refuse(_ endpoint: Endpoint, _ reader: any LedgerReader) throws {
        if !endpoint.isEnabled {
            throw APIError(.endpointDisabled, "The endpoint is disabled. Enable it first.")
        }
        if let running = try reader.runningTask(of: endpoint.id) {
            throw APIError(
                .operationRunning,
                "The operation \(running.id) runs at this endpoint. Wait until it is done, or cancel it.",
                details: ["operation_id": .string(running.id.text)]
            )
        }
        if try reader.runningTaskCount(beside: endpoint.owner) >= runningMaximum {
            throw APIError(
                .tooMany,
                "\(runningMaximum) operations run already. Wait until one is done, or cancel one."
            )
        }
    }

    private static func task(
        _ kind: DeliveryTask.Kind,
        _ id: DeliveryTaskID,
        _ endpoint: Endpoint,
        _ call: Call,
        _ reader: any LedgerReader
    ) throws -> DeliveryTask {
        let range = try TaskRange(kind, call)
        let types = call.body.strings("types").map { Set($0.compactMap(EventType.init(rawValue:))) }
        if let strange = types?.subtracting(endpoint.events).map(\.rawValue).min() {
            throw APIError.invalid("types", "names \(strange), which the endpoint does not subscribe to")
        }
        let parts = try reader.cursors(of: endpoint.id).map { try range.part($0, endpoint, reader) }
        return DeliveryTask(
            id: id,
            kind: kind,
            endpoint: endpoint,
            since: range.since,
            until: range.until ?? call.receivedAt,
            types: types,
            siteID: try site(of: endpoint, call, reader),
            rate: try rate(of: endpoint, call),
            requestedBy: call.caller.actor,
            lanes: parts.map(\.lane).filter { $0.remaining > 0 },
            missed: parts.reduce(0) { $0 + $1.missed },
            createdAt: call.receivedAt
        )
    }

    private static func rate(of endpoint: Endpoint, _ call: Call) throws -> Int {
        let own = endpoint.ratePerSecond ?? TaskPace.rateMaximum
        guard let asked = call.body.optionalInteger("rate_per_second") else { return min(TaskPace.defaultRate, own) }
        if asked > own {
            throw APIError.invalid("rate_per_second", "must not exceed the endpoint's own rate, which is \(own)")
        }
        return asked
    }

    private static func site(of endpoint: Endpoint, _ call: Call, _ reader: any LedgerReader) throws -> SiteID? {
        guard let id: SiteID = try call.bodyID("site_id", orThrow: .siteNotFound) else { return nil }
        let reach: Reach =
            switch endpoint.owner {
            case .app(_, let dealer): .dealer(dealer)
            case .partner(let partner): .partner(partner)
            }
        guard try reader.site(id, within: reach) != nil else { throw APIError.missing(.siteNotFound, field: "site_id") }
        return id
    }
}

/// The part of the log that a request names.
private struct TaskRange {
    let kind: DeliveryTask.Kind
    let since: Instant?
    let after: Int64?
    let until: Instant?
    let through: Int64?
    private let now: Instant

    init(_ kind: DeliveryTask.Kind, _ call: Call) throws {
        self.kind = kind
        now = call.receivedAt
        let body = call.body
        since = try body.optionalString("since").map { try EndpointActions.utc($0, field: "since") }
        until = try body.optionalString("until").map { try EndpointActions.utc($0, field: "until") }
        after = body.optionalInteger("after").map(Int64.init)
        through = body.optionalInteger("through").map(Int64.init)
        if (since == nil) == (after == nil) {
            throw APIError.invalid("since", "is required, or \"after\" in its place")
        }
        if until != nil, through != nil { throw APIError.invalid("through", "stands in place of \"until\"") }
        if let since, since > call.receivedAt {
            throw APIError(.timestampInFuture, "\"since\" lies in the future.", field: "since")
        }
        if let since, let until, until < since { throw APIError.invalid("until", "lies before \"since\"") }
    }

    /// What is to be searched of one log, and how many entries in front of that are gone.
    func part(
        _ cursor: EventPosition,
        _ endpoint: Endpoint,
        _ reader: any LedgerReader
    ) throws -> (lane: DeliveryTask.Lane, missed: Int64) {
        if after != nil || through != nil, case .partner = endpoint.owner {
            throw APIError.invalid(
                after != nil ? "after" : "through",
                "cannot be told for a partner's endpoint, which follows several logs; name an instant"
            )
        }
        var lane = DeliveryTask.Lane(dealerID: cursor.dealerID, position: 0, end: 0)
        switch kind {
        case .replay:
            let start = try after ?? since.map { try reader.lastSequence(of: cursor.dealerID, before: $0) } ?? 0
            let gone = try reader.firstSequence(of: cursor.dealerID) - 1
            lane.position = max(start, gone)
            // An instant is a whole millisecond; what was committed in it belongs to it.
            let last = try until.map { try reader.lastSequence(of: cursor.dealerID, before: $0 + .milliseconds(1)) }
            lane.end = min(through ?? last ?? .max, cursor.sequence)
            let missed =
                try after.map { min(gone, lane.end) - $0 }
                ?? since.map { min(lane.end, try reader.missed(of: cursor.dealerID, since: $0, now: now)) }
            return (lane, max(0, missed ?? 0))
        case .resendFailed:
            // Failures are found by their own time: the event may be older.
            lane.end = try reader.lastSequence(of: cursor.dealerID)
        }
        return (lane, 0)
    }
}
