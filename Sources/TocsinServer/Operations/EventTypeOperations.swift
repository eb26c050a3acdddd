import HTTPTypes
import TocsinCore
import TocsinJSON

/// What types of events there are, and what their bodies look like (decisions §8).
enum EventTypeOperations {
    static let all = [list]

    private static let list = Operation(
        .get,
        "/v1/event-types",
        id: "listEventTypes",
        tag: .events,
        summary: "List the types of events with the schemas of their bodies",
        callers: .authenticated,
        replies: [
            .ok(
                "All of them.",
                .page(
                    of: Schema.object([
                        .required("type", .oneOf(EventType.self)),
                        .required("scope", Schema.oneOf(Scope.self).nullable),
                        .required("subscribable", .boolean),
                        .required("family", .oneOf(EventFamily.self)),
                        .required("title", .string()),
                        .required("description", .string()),
                        .required("schema", Schema.any.described("JSON Schema 2020-12 of the body.")),
                        .required("example", Schema.any.described("A body as it might come.")),
                    ]).named("EventType")
                )
            )
        ],
        handle: { _ in .ok(bytes: reply) }
    )

    /// The reply, which depends on nothing but the program.
    private static let reply: [UInt8] = {
        let types: [JSON] = EventCatalog.all.map { entry in
            var alone = entry.schema
            alone.name = nil
            var components = SchemaComponents()
            return [
                "type": .string(entry.type.rawValue),
                "scope": JSON(entry.scope?.rawValue),
                "subscribable": .bool(entry.type.isSubscribable),
                "family": .string(entry.family.rawValue),
                "title": .string(entry.title),
                "description": .string(entry.summary),
                "schema": components.document(alone),
                "example": entry.example,
            ]
        }
        return JSON.object(["data": .array(types), "next_cursor": nil]).bytes
    }()
}
