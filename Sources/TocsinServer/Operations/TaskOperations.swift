import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Durable tasks, `/v1/operations` on the wire (decisions §11): how far they are, and stopping them.
enum TaskOperations {
    static let all = [list, get, cancel]

    private static let progress = Schema.object([
        .required("matched", Schema.count.described("Events found so far.")),
        .required("delivered", .count),
        .required("failed", Schema.count.described("Dead: all attempts are used up.")),
        .required(
            "withdrawn",
            Schema.count.described("No longer allowed, or given up when the operation was cancelled.")
        ),
        .required("retrying", Schema.count.described("Tried and failed; the endpoint's schedule goes on with it.")),
        .required("remaining", Schema.count.described("Found, and not tried yet.")),
        .required("unsearched", Schema.count.described("Entries of the log that were not looked at yet.")),
        .required("rate", Schema.number(0...1_000_000).described("Tried a second, since it began.")),
    ])

    static let schema = Schema.object([
        .required("operation_id", .id(DeliveryTaskNoun.prefix)),
        .required("kind", .oneOf(DeliveryTask.Kind.self)),
        .required("endpoint_id", .id(EndpointNoun.prefix)),
        .required(
            "state",
            Schema.oneOf(DeliveryTask.State.self).described("`done`: everything was tried at least once.")
        ),
        .optional(
            "stalled",
            Schema.oneOf(["endpoint_disabled", "breaker_open"]).described(
                "Why it does not go on just now. `breaker_open`: the endpoint does not answer; `breaker` tells more."
            )
        ),
        .optional(
            "breaker",
            EndpointOperations.breakerSchema.described("The endpoint's, while the operation runs there.")
        ),
        .optional("reason", Schema.oneOf(["endpoint_deleted"]).described("Why it has failed.")),
        .optional("since", .time),
        .required("until", .time),
        .optional("types", .array(of: .oneOf(EventType.self), count: 0...EventType.allCases.count)),
        .optional("site_id", .id(SiteNoun.prefix)),
        .required("rate_per_second", .count),
        .required(
            "missed",
            Schema.count.described(
                """
                Entries of its range that the retention had taken when it was made, whether or not they were for the \
                endpoint. From an instant on at most so many: when they were committed nobody knows any more.
                """
            )
        ),
        .required("requested_by", .object([.required("kind", .string(1...16)), .required("id", .string(0...64))])),
        .required("progress", progress),
        .required("created_at", .time),
        .required("updated_at", .time),
        .optional("ended_at", .time),
    ]).named("Operation")

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/operations",
        id: "listOperations",
        tag: .deliveries,
        summary: "List replays and the like, newest first",
        callers: .admins.withApps.withPartners,
        query: Operation.pageParameters + [
            .optional("state", .oneOf(DeliveryTask.State.self)),
            .optional("endpoint_id", .id(EndpointNoun.prefix)),
        ],
        replies: [.ok("A page of operations.", .page(of: schema))],
        errors: [.invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            var filter = DeliveryTaskFilter(
                endpointID: call.query.optionalString("endpoint_id").map(EndpointID.init(stored:)),
                state: call.query.optionalValue("state")
            )
            if case .app(let own) = call.caller { filter.appID = own.id }
            return try await call.read { [filter] reader in
                let found = try reader.deliveryTasks(within: reach, filter: filter, page: page)
                return .page(try found.items.map { try json($0, call, reader) }, next: found.next)
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/operations/{operation_id}",
        id: "getOperation",
        tag: .deliveries,
        summary: "Get an operation with its progress",
        callers: .admins.withApps.withPartners,
        replies: [.ok("The operation.", schema)],
        errors: [.operationNotFound],
        handle: { call in
            .ok(try await call.read { try json(found(call, $0), call, $0) })
        }
    )

    private static let cancel = Operation(
        .post,
        "/v1/operations/{operation_id}/actions/cancel",
        id: "cancelOperation",
        tag: .deliveries,
        summary: "Cancel an operation",
        notes: """
            What it has put in the way and was not delivered is again what it was before; what is in flight ends. Live \
            events go on at once.
            """,
        callers: .admins,
        replies: [.ok("The operation as it ended.", schema)],
        errors: [.operationNotFound, .operationEnded],
        handle: { call in
            let now = call.receivedAt
            let reply = try await call.commit { transaction in
                let task = try found(call, transaction)
                guard task.state == .running else {
                    throw APIError(.operationEnded, "The operation has ended already (\(task.state.rawValue)).")
                }
                let ended = try transaction.cancel(task, at: now)
                return Change(
                    .ok(try json(ended, call, transaction)),
                    action: "operation.cancel",
                    dealerID: task.owner.dealerID,
                    target: task.id.text,
                    explanation: "The operation was cancelled (\(task.kind.rawValue) to \(task.endpointID))."
                )
            }
            if let ended = try await call.read({ try? found(call, $0) }) {
                await call.services.deliveries.taskEnded(ended)
            }
            return reply
        }
    )

    // MARK: Parts

    /// The task, if the caller reaches it; an app reaches those of its own endpoints.
    private static func found(_ call: Call, _ reader: any LedgerReader) throws -> DeliveryTask {
        let id: DeliveryTaskID = try call.id("operation_id", orThrow: .operationNotFound)
        guard let task = try reader.deliveryTask(id, within: call.reach) else {
            throw APIError.missing(.operationNotFound)
        }
        if case .app(let own) = call.caller, task.owner != .app(own.id, of: own.dealerID) {
            throw APIError.missing(.operationNotFound)
        }
        return task
    }

    private static func json(_ task: DeliveryTask, _ call: Call, _ reader: any LedgerReader) throws -> JSON {
        guard task.state == .running else {
            return json(task, counts: task.counts, stands: nil, at: task.endedAt ?? task.updatedAt)
        }
        let stands = try reader.endpoint(task.endpointID, within: .platform).map { Standing(of: $0, call) }
        return json(task, counts: try reader.counts(of: task.id), stands: stands, at: call.receivedAt)
    }

    /// How the endpoint stands at which a task runs.
    enum Standing {
        case disabled
        case enabled(CircuitBreaker)

        init(of endpoint: Endpoint, _ call: Call) {
            self = endpoint.isEnabled ? .enabled(call.services.deliveries.breaker(of: endpoint.id)) : .disabled
        }
    }

    /// Tells what keeps a running task from going on.
    private static func show(_ standing: Standing, at now: Instant, in object: inout JSONObject) {
        switch standing {
        case .disabled: object["stalled"] = "endpoint_disabled"
        case .enabled(let breaker):
            switch breaker.state(at: now) {
            // One attempt under way that may fail is no progress.
            case .open, .halfOpen: object["stalled"] = "breaker_open"
            case .closed, .recovering: break
            }
            object["breaker"] = EndpointOperations.json(breaker, at: now)
        }
    }

    static func json(_ task: DeliveryTask, counts: DeliveryTask.Counts, stands: Standing?, at now: Instant) -> JSON {
        var object: JSONObject = [
            "operation_id": .string(task.id.text),
            "kind": .string(task.kind.rawValue),
            "endpoint_id": .string(task.endpointID.text),
            "state": .string(task.state.rawValue),
        ]
        if task.state == .running, let stands { show(stands, at: now, in: &object) }
        object["reason"] = task.reason.map(JSON.string)
        object["since"] = task.since.map { .string($0.rfc3339Milliseconds) }
        object["until"] = .string(task.until.rfc3339Milliseconds)
        object["types"] = task.types.map { JSON($0.map(\.rawValue).sorted()) }
        object["site_id"] = task.siteID.map { .string($0.text) }
        object["rate_per_second"] = JSON(task.rate)
        object["missed"] = .integer(task.missed)
        object["requested_by"] = ["kind": .string(task.requestedBy.kind.rawValue), "id": .string(task.requestedBy.id)]
        object["progress"] = progress(task, counts, at: now)
        object["created_at"] = .string(task.createdAt.rfc3339Milliseconds)
        object["updated_at"] = .string(task.updatedAt.rfc3339Milliseconds)
        object["ended_at"] = task.endedAt.map { .string($0.rfc3339Milliseconds) }
        return .object(object)
    }

    private static func progress(_ task: DeliveryTask, _ counts: DeliveryTask.Counts, at now: Instant) -> JSON {
        let tried = counts.delivered + counts.dead + counts.retrying
        // In hundredths, so that the number is written without the noise of a division.
        let rate = tried * 100_000 / max(1, (now - task.createdAt).milliseconds)
        return [
            "matched": .integer(task.matched),
            "delivered": .integer(counts.delivered),
            "failed": .integer(counts.dead),
            "withdrawn": .integer(counts.withdrawn),
            "retrying": .integer(counts.retrying),
            "remaining": .integer(counts.waiting),
            "unsearched": .integer(task.state == .running ? task.unsearched : 0),
            "rate": .decimal("\(rate / 100).\(String(rate % 100 + 100).dropFirst())"),
        ]
    }
}
