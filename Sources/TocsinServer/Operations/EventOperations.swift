import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// A dealer's log: read, followed, and a place kept in it (decisions §8).
enum EventOperations {
    static let all = [list, setConsumer, EventStream.follow]

    private static let loggedType = Schema.oneOf(EventType.allCases.filter(\.isLogged).map(\.rawValue))
    private static let item = Schema.object([
        .required("sequence", .count),
        .required("type", loggedType),
        .optional("site_id", .id(SiteNoun.prefix)),
        .required("event", Schema.any.described("The body, as it is delivered.")),
    ]).named("LogEntry")

    static let dealer = Operation.Parameter.optional(
        "dealer_id",
        Schema.id(DealerNoun.prefix).described("Whose log; required for a caller that reaches several dealers.")
    )
    static let filters: [Operation.Parameter] = [
        dealer,
        .optional("type", loggedType),
        .optional("site_id", .id(SiteNoun.prefix)),
    ]
    private static let consumerName = Schema.string(1...100).described("The name of a durable cursor of this caller.")

    private static let first = Schema.count.described(
        "The oldest event that the log still has; where it has none, the one that comes next."
    )
    private static let missed = Schema.count.described(
        """
        Entries of the log behind the place that was named, whatever the filter, that the retention has taken before they \
        were read. 0 where no place was named.
        """
    )

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/events",
        id: "listEvents",
        tag: .events,
        summary: "Read the log",
        notes: """
            In the order of `sequence`. Go on with `after` = `last_sequence`: it is where the search ended, so nothing \
            is skipped and nothing is searched twice, also where a filter lets little through. `missed` above 0 says that \
            the retention was faster than the reader.
            """,
        callers: .admins.withApps.withPartners,
        query: filters + [
            .optional("after", Schema.count.described("Only events with a larger sequence.")),
            .optional("consumer", consumerName),
            .optional("limit", .integer(1...200)),
            .optional("cursor", .string(1...1000)),
        ],
        replies: [
            .ok(
                "A part of the log.",
                .object([
                    .required("data", .array(of: item, count: 0...200)),
                    .required("first_sequence", first),
                    .required("missed", missed),
                    .required("last_sequence", .count),
                    .required("next_cursor", Schema.string(0...1000).nullable),
                ])
            )
        ],
        errors: [.dealerNotFound, .dealerRequired, .siteNotFound, .consumerNotFound, .invalidCursor],
        handle: { call in
            let page = try call.page
            return try await call.read { reader in
                let view = try LogView(call, reader)
                let named = try place(call, view, page, reader)
                let after = named ?? 0
                let last = try reader.lastSequence(of: view.dealerID)
                try view.refuse(after, beyond: last, field: page.after == nil ? "after" : "cursor")
                let found = try reader.events(
                    of: view.dealerID,
                    after: after,
                    filter: view.filter,
                    limit: page.limit
                )
                let first = try reader.firstSequence(of: view.dealerID)
                var writer = JSONWriter(reserving: 4096)
                writer.object { writer in
                    writer.name("data")
                    writer.array { writer in for event in found.events { event.writeItem(to: &writer) } }
                    writer.member("first_sequence", first)
                    writer.member("missed", named.map { max(0, first - 1 - $0) } ?? 0)
                    writer.member("last_sequence", max(found.searchedTo, after))
                    let next = found.searchedTo < last ? Cursor.encode(String(found.searchedTo)) : nil
                    writer.member("next_cursor", JSON(next))
                }
                return .ok(bytes: writer.bytes)
            }
        }
    )

    private static let setConsumer = Operation(
        .put,
        "/v1/events/consumers/{name}",
        id: "setConsumer",
        tag: .events,
        summary: "Keep a place in the log under a name",
        notes: "What was read up to `sequence` is done with; `GET /v1/events?consumer={name}` goes on behind it.",
        callers: .admins.withApps.withPartners,
        query: [dealer],
        body: .json(.object([.required("sequence", .count)])),
        replies: [
            .ok(
                "The place.",
                .object([.required("name", consumerName), .required("sequence", .count)])
            )
        ],
        errors: [.dealerNotFound, .dealerRequired],
        handle: { call in
            let name = try call.path("name")
            guard (1...100).contains(name.count) else {
                throw APIError.invalid("name", "must have 1 to 100 characters")
            }
            let sequence = Int64(try call.body.integer("sequence"))
            return try await call.commit { transaction in
                let view = try LogView(call, transaction)
                if try sequence > transaction.lastSequence(of: view.dealerID) {
                    throw APIError.invalid("sequence", "lies beyond the end of the log")
                }
                try transaction.setConsumer(name, of: view.dealerID, owner: call.caller.key, to: sequence)
                return Change(
                    .ok(["name": .string(name), "sequence": .integer(sequence)]),
                    action: "consumer.set",
                    dealerID: view.dealerID,
                    target: name,
                    explanation: "The consumer \(name) has read up to \(sequence)."
                )
            }
        }
    )

    // MARK: Parts

    /// The place behind which the caller reads on; none where it names none, and begins with what there is.
    private static func place(
        _ call: Call,
        _ view: LogView,
        _ page: PageRequest,
        _ reader: any LedgerReader
    ) throws -> Int64? {
        if let cursor = page.after {
            guard let sequence = Int64(cursor), sequence >= 0 else {
                throw APIError(.invalidCursor, "The cursor is not one of this list.", field: "cursor")
            }
            return sequence
        }
        if let after = call.query.optionalInteger("after") { return Int64(after) }
        guard let name = call.query.optionalString("consumer") else { return nil }
        guard let sequence = try reader.consumer(name, of: view.dealerID, owner: call.caller.key) else {
            throw APIError(
                .consumerNotFound,
                "You have no consumer of that name. Make it with PUT /v1/events/consumers/{name}.",
                field: "consumer"
            )
        }
        return sequence
    }
}

/// Which part of which log a caller may see, by its query.
struct LogView {
    let dealerID: DealerID
    let filter: EventFilter

    /// Judges anew on every use, so that a scope that is taken away is gone at once.
    init(_ call: Call, _ reader: any LedgerReader) throws {
        let reach = try call.reach
        dealerID = try Self.dealer(call, reach, reader)
        var filter = EventFilter(types: try Self.types(call, reader))
        if let text = call.query.optionalString("site_id") {
            guard let id = SiteID(text), let site = try reader.site(id, within: reach), site.dealerID == dealerID else {
                throw APIError.missing(.siteNotFound, field: "site_id")
            }
            filter.siteID = id
        }
        switch call.caller {
        case .app(let app): filter.appID = app.id
        case .partner(let partner): filter.partnerID = partner.id
        case .platformAdmin, .dealerAdmin, .anonymous: break
        }
        self.filter = filter
    }

    /// Refuses a place that the log has not reached: whoever went on from there would skip all that lies before.
    func refuse(_ place: Int64, beyond last: Int64, field: String) throws(APIError) {
        if place > last { throw .invalid(field, "lies beyond the end of the log, which is \(last)") }
    }

    /// The dealer that the query names, or the only one that the caller reaches.
    static func dealer(_ call: Call, _ reach: Reach, _ reader: any LedgerReader) throws -> DealerID {
        let named = call.query.optionalString("dealer_id")
        if case .dealer(let own) = reach {
            if let named, named != own.text { throw APIError.missing(.dealerNotFound, field: "dealer_id") }
            return own
        }
        guard let named else {
            throw APIError(
                .dealerRequired,
                "You reach several dealers, and each counts its events and alarms itself. Name one in \"dealer_id\".",
                field: "dealer_id"
            )
        }
        guard let id = DealerID(named), try reader.dealer(id, within: reach) != nil else {
            throw APIError.missing(.dealerNotFound, field: "dealer_id")
        }
        return id
    }

    /// The types that the caller's scopes cover; none stands for all.
    private static func types(_ call: Call, _ reader: any LedgerReader) throws -> Set<EventType>? {
        let wanted: EventType? = call.query.optionalValue("type")
        guard let covered = try coveredTypes(call, reader) else { return wanted.map { [$0] } }
        return covered.filter { wanted == nil || $0 == wanted }
    }

    /// The types that the caller's scopes cover now; none for a caller who has every scope.
    static func coveredTypes(_ call: Call, _ reader: any LedgerReader) throws -> Set<EventType>? {
        guard case .app(let app) = call.caller else { return nil }
        guard let present = try reader.app(app.id, within: .dealer(app.dealerID)), !present.isRevoked else {
            throw APIError.invalidCredentials
        }
        return Set(EventType.allCases.filter { $0.requiredScope.map(present.scopes.contains) ?? true })
    }
}

extension LoggedEvent {
    fileprivate func writeItem(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("sequence", sequence)
            writer.member("type", type.rawValue)
            writer.member("site_id", ifPresent: siteID?.text)
            writer.name("event")
            writer.verbatim(body)
        }
    }
}
