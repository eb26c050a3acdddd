import HTTPTypes
import HummingbirdCore
import NIOCore
import TocsinCore
import TocsinJSON
import TocsinLedger

/// The audit log (decisions §10).
enum AuditOperations {
    static let all = [list]

    static let linesType = "application/x-ndjson"

    private static let schema = Schema.object([
        .required("audit_id", .count),
        .required("at", .time),
        .optional("dealer_id", .id(DealerNoun.prefix)),
        .optional("site_id", .id(SiteNoun.prefix)),
        .required("actor", .object([.required("kind", .string()), .required("id", .string())])),
        .required("action", .string()),
        .optional("target", .string()),
        .required("result", .string()),
        .required("explanation", .string(0...4000)),
        .required("cause", .string()),
        .optional("request_id", .string()),
        .optional("trace_id", .string()),
        .optional("address", .string()),
        .optional("details", Schema.any),
    ]).named("AuditEntry")

    private static let list = Operation(
        .get,
        "/v1/audit",
        id: "listAudit",
        tag: .audit,
        summary: "Read the audit log, newest first",
        notes: "With `Accept: application/x-ndjson` everything that matches, one entry a line.",
        callers: .admins,
        query: Operation.pageParameters + [
            .optional("site_id", .id(SiteNoun.prefix)),
            .optional("action", .string(1...100)),
            .optional("actor_id", .string(1...100)),
            .optional("since", .time),
        ],
        replies: [.ok("A page of the audit log.", .page(of: schema))],
        errors: [.invalidCursor, .timestampNotUTC],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let filter = AuditFilter(
                siteID: call.query.optionalString("site_id").map(SiteID.init(stored:)),
                action: call.query.optionalString("action"),
                actorID: call.query.optionalString("actor_id"),
                since: try call.query.optionalString("since").map { try EndpointActions.utc($0, field: "since") }
            )
            if call.accepts(linesType) { return export(call, reach, filter) }
            let items = try await call.read { reader in
                let found = try reader.audit(within: reach, filter: filter, page: page)
                return (found.items.map { json($0.id, $0.entry) }, found.next)
            }
            return .page(items.0, next: items.1)
        }
    )

    private static func export(_ call: Call, _ reach: Reach, _ filter: AuditFilter) -> Reply {
        Reply(
            .ok,
            body: .stream(contentType: linesType) { writer in
                var page = PageRequest(limit: PageRequest.maximumLimit)
                repeat {
                    let asked = page
                    let (lines, next) = try await call.read { reader in
                        let found = try reader.audit(within: reach, filter: filter, page: asked)
                        let lines = found.items.flatMap { json($0.id, $0.entry).bytes + [UInt8(ascii: "\n")] }
                        return (lines, found.next)
                    }
                    try await writer.write(ByteBuffer(bytes: lines))
                    page.after = next
                } while page.after != nil
            }
        )
    }

    private static func json(_ id: Int64, _ entry: AuditEntry) -> JSON {
        var object: JSONObject = ["audit_id": .integer(id), "at": .string(entry.at.rfc3339Milliseconds)]
        object["dealer_id"] = entry.dealerID.map { .string($0.text) }
        object["site_id"] = entry.siteID.map { .string($0.text) }
        object["actor"] = ["kind": .string(entry.actor.kind.rawValue), "id": .string(entry.actor.id)]
        object["action"] = .string(entry.action)
        object["target"] = entry.target.map(JSON.string)
        object["result"] = .string(entry.result)
        object["explanation"] = .string(entry.explanation)
        object["cause"] = .string(entry.cause)
        object["request_id"] = entry.requestID.map(JSON.string)
        object["trace_id"] = entry.traceID.map(JSON.string)
        object["address"] = entry.address.map(JSON.string)
        if !entry.details.isEmpty { object["details"] = .object(entry.details.members) }
        return .object(object)
    }
}
