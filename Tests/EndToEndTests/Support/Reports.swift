import Foundation
import NIOCore
import NIOHTTP1
import TocsinJSON

/// An arming report in the arming document's own shape.
struct Report: Sendable {
    var state: String
    var partition: JSON = "all"
    var timestamp: String = Time.now()
    var userID: String? = "user_123"
    var source = "keypad"
    var more: JSONObject = [:]

    var json: JSON {
        var object: JSONObject = [
            "state": .string(state), "partition": partition, "timestamp": .string(timestamp),
        ]
        object["user_id"] = userID.map(JSON.string)
        object["source"] = .string(source)
        for (name, value) in more.members { object[name] = value }
        return .object(object)
    }
}

extension API {
    /// Sends a report and demands that it is acknowledged.
    @discardableResult
    func report(_ site: String, _ report: Report) async throws -> JSON {
        try await expect(200, .POST, "/v1/sites/\(site)/arming-state", report.json)
    }

    /// Every entry of the dealer's log, read page by page.
    func log(dealer: String) async throws -> [LogEntry] {
        var entries: [LogEntry] = []
        while true {
            let after = entries.last?.sequence ?? 0
            let page = try await expect(200, .GET, "/v1/events?dealer_id=\(dealer)&after=\(after)&limit=200")
            let items = (page["data"]?.array ?? []).compactMap(LogEntry.init)
            if items.isEmpty { return entries }
            entries += items
        }
    }

    /// Every audit entry that the caller may see, as text, read page by page, newest first.
    func auditTexts() async throws -> [String] {
        var texts: [String] = []
        var cursor = ""
        while true {
            let page = try await expect(200, .GET, "/v1/audit?limit=200\(cursor)")
            texts += (page["data"]?.array ?? []).map(\.text)
            guard let next = page["next_cursor"]?.string else { return texts }
            cursor = "&cursor=\(next)"
        }
    }

    /// The same as JSON Lines, in one reply.
    func auditExport() async throws -> [String] {
        let reply = try await send(.GET, "/v1/audit", headers: [("Accept", "application/x-ndjson")])
        guard reply.status == 200 else { throw UnexpectedReply(request: "GET /v1/audit", reply: reply) }
        return reply.text.split(separator: "\n").map(String.init)
    }

    /// The states of a site's partitions by id.
    func states(_ site: String) async throws -> [String: String] {
        let arming = try await expect(200, .GET, "/v1/sites/\(site)/arming")
        let pairs = (arming["partitions"]?.array ?? [])
            .map { ($0["partition_id"]?.string ?? "", $0["state"]?.string ?? "") }
        return Dictionary(pairs) { _, last in last }
    }
}

/// One item of `GET /v1/events`.
struct LogEntry: Sendable {
    var sequence: Int64
    var type: String
    var siteID: String?
    var event: JSON
    var id: String { event["id"]?.string ?? "" }

    init?(_ json: JSON) {
        guard let sequence = json["sequence"]?.integer, let type = json["type"]?.string, let event = json["event"]
        else { return nil }
        self.sequence = sequence
        self.type = type
        siteID = json["site_id"]?.string
        self.event = event
    }
}

extension [LogEntry] {
    /// Whether the sequence counts 1, 2, 3 … without a gap.
    var isGapless: Bool { map(\.sequence) == (0..<count).map { Int64($0) + 1 } }

    /// The last state of each partition, by folding the changes; a change that does not follow the one before is an error.
    func folded() throws -> [String: String] {
        var states: [String: String] = [:]
        for entry in self where entry.type == "arming.state_changed" {
            let partition = entry.event["partition_id"]?.string ?? ""
            let known = states[partition] ?? "disarmed"
            guard entry.event["previous_state"]?.string == known else { throw BrokenChain(entry: entry, known: known) }
            states[partition] = entry.event["new_state"]?.string
        }
        return states
    }
}

/// An event that claims another previous state than the events before it left.
struct BrokenChain: Error, CustomStringConvertible {
    var entry: LogEntry
    var known: String
    var description: String { "after \(known) the log has \(entry.event.text) (sequence \(entry.sequence))" }
}

/// Times as they stand in requests.
enum Time {
    static func now() -> String { text(Date()) }
    static func ago(seconds: Int) -> String { text(Date(timeIntervalSinceNow: -Double(seconds))) }

    /// Counted from when the tests began, so that a time that is computed twice is the same.
    static func fixed(secondsBeforeStart seconds: Int) -> String { text(start.addingTimeInterval(-Double(seconds))) }

    private static let start = Date()

    private static func text(_ date: Date) -> String { date.formatted(.iso8601) }
}
