import HTTPTypes
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Why the state of a site is what it is: every change with who, from where, and why (decisions §13, I22).
extension ArmingOperations {
    static let history = Operation(
        .get,
        "/v1/sites/{site_id}/arming/history",
        id: "getArmingHistory",
        tag: .arming,
        summary: "Read in plain words why a site's state is what it is, newest first",
        notes: "Goes back as far as the audit log is kept.",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of changes.", .page(of: changeSchema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let (id, reach, page) = (try call.siteID, try call.reach, try call.page)
            let place = try HistoryPlace(page.after)
            let found = try await call.read { reader in
                guard try reader.site(id, within: reach) != nil else { throw APIError.missing(.siteNotFound) }
                let page = PageRequest(limit: page.limit, after: place.after)
                return try reader.history(of: id, within: reach, page: page)
            }
            let (changes, next) = flattened(found, from: place, limit: page.limit)
            return .page(changes, next: next)
        }
    )

    private static let changeSchema = Schema.object([
        .required("at", .time),
        .required("partition_id", .id(PartitionNoun.prefix)),
        .required("state", .string(1...64)),
        .required("previous_state", .string(1...64)),
        .optional("by", ArmingView.personSchema),
        .required("source", .oneOf(Source.self)),
        .required("cause", Schema.string(1...64).described("`report`, `command`, `signal`, `deadline` or `schedule`.")),
        .required("explanation", .string(0...4000)),
        .optional("event_id", .id(EventNoun.prefix)),
    ]).named("ArmingChange")

    /// The single changes of a page of entries, newest first, no more than asked for; and where the next page begins.
    private static func flattened(
        _ found: Page<(id: Int64, entry: AuditEntry)>,
        from place: HistoryPlace,
        limit: Int
    ) -> (changes: [JSON], next: String?) {
        var changes: [JSON] = []
        var after = place.after
        for (index, item) in found.items.enumerated() {
            let skipped = index == 0 ? place.skipped : 0
            let all = (item.entry.details["changes"]?.array ?? []).reversed()
            for (position, change) in all.enumerated().dropFirst(skipped) {
                if changes.count == limit { return (changes, HistoryPlace(after: after, skipped: position).text) }
                changes.append(change)
            }
            after = String(item.id)
        }
        return (changes, found.next.map { HistoryPlace(after: $0, skipped: 0).text })
    }
}

/// A place in a site's history: one entry of the log may hold many changes, and a page may end among them.
struct HistoryPlace: Hashable {
    /// The last entry that was shown whole; none at the beginning.
    var after: String?
    /// How many changes of the entry behind it were shown.
    var skipped: Int

    init(after: String?, skipped: Int) {
        self.after = after
        self.skipped = skipped
    }

    /// Reads the inside of a cursor.
    ///
    /// - Throws: 422 for one that is not ours.
    init(_ text: String?) throws(APIError) {
        guard let text else {
            self.init(after: nil, skipped: 0)
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let skipped = Int(parts[1]), skipped >= 0 else {
            throw APIError(
                .invalidCursor,
                "The cursor is not one of ours. Use `next_cursor` of the page before, unchanged.",
                field: "cursor"
            )
        }
        self.init(after: parts[0].isEmpty ? nil : String(parts[0]), skipped: skipped)
    }

    var text: String { "\(after ?? ""):\(skipped)" }
}
