import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What an endpoint does not get because its backlog was skipped (design, delivery: on re-enable).
///
/// Told by the log's positions, which costs nothing however long the backlog is. What of it the endpoint would have got takes
/// reading the log, inside the transaction that moves the endpoint's place; so that is told of short backlogs only.
struct SkippedBacklog {
    /// Entries read for ``events``: some milliseconds of the one writer.
    static let countedMaximum: Int64 = 1000

    /// Entries of the logs that were passed over, subscribed to or not.
    let logEntries: Int64
    /// Those among them that the endpoint takes and had not got; none where there are too many to look.
    let events: Int?
    /// Deliveries that waited for another attempt.
    var retries = 0

    static let schema = Schema.object([
        .required(
            "log_entries",
            Schema.count.described("Entries of the dealer's log that were passed over, subscribed to or not.")
        ),
        .optional(
            "events",
            Schema.count.described(
                "Those that the endpoint would have got; told where at most \(countedMaximum) entries were passed over."
            )
        ),
        .required("retries", Schema.count.described("Deliveries that waited for another attempt: withdrawn.")),
    ]).described("With `skip`: what the endpoint does not get.")

    /// Measures what lies before the endpoint; to be asked before its place is moved.
    init(of endpoint: Endpoint, _ reader: any LedgerReader) throws {
        let cursors = try reader.cursors(of: endpoint.id)
        let counts = try cursors.map { max(0, try reader.lastSequence(of: $0.dealerID) - $0.sequence) }
        logEntries = counts.reduce(0, +)
        guard logEntries <= Self.countedMaximum else {
            events = nil
            return
        }
        let subscription = try Subscription(of: endpoint, reader)
        var events = 0
        for (cursor, count) in zip(cursors, counts) where count > 0 {
            let passed = try reader.events(of: cursor.dealerID, after: cursor.sequence, limit: Int(count))
                .filter(subscription.takes)
            let delivered = try reader.deliveredAtOnce(passed, to: endpoint.id)
            events += try passed.count { event in
                try !delivered.contains(event.sequence)
                    && reader.exceptionalDelivery(of: event.position, to: endpoint.id) == nil
            }
        }
        self.events = events
    }

    var json: JSON {
        var object: JSONObject = ["log_entries": .integer(logEntries)]
        object["events"] = events.map { JSON($0) }
        object["retries"] = JSON(retries)
        return .object(object)
    }

    /// For the audit log's sentence.
    var clause: String {
        let whole = "\(logEntries) entries of the log passed over"
        return events.map { "\(whole), \($0) of them for this endpoint" } ?? whole
    }
}
