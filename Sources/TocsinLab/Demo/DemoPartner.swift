import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinJSON

/// A panel platform that reports what its panels do, as the arming document asks it to.
final class DemoPartner: Sendable {
    /// One report, before it is stamped and sent.
    struct Report: Sendable {
        var site: String
        var state: String
        var source = "keypad"
        var userID: String? = "user_123"
        var delaySeconds: Int?
        var mode: String?
        var zone: (number: Int, name: String)?
        /// How long before the present it happened, in milliseconds.
        var age = 0
    }

    /// What the server answered.
    struct Answer: Sendable {
        var status: Int
        var sentAt: UInt64
        var repliedAt: UInt64
        var events: [String]
        /// State, previous state, and why it was not applied, of the first partition.
        var state: String
        var previousState: String
        var reason: String?
        var applied: Bool
        var text: String

        var milliseconds: Double { Double(repliedAt - sentAt) / 1e6 }
    }

    /// What was sent and answered so far.
    struct Tally: Sendable {
        var reports = 0
        var applied = 0
        var duplicates = 0
        var superseded = 0
        var refused = 0
        /// Every event that the server acknowledged, and when its report was sent.
        var acknowledged: [EventKey: UInt64] = [:]
    }

    private let server: String
    private let token: String
    private let sites: [String: String]
    private let clock: any WallClock
    private let tally = Mutex(Tally())

    /// Takes the server's URL, a token, and the sites' ids by their names.
    init(server: String, token: String, sites: [String: String], clock: any WallClock) {
        self.server = server
        self.token = token
        self.sites = sites
        self.clock = clock
    }

    var soFar: Tally { tally.withLock { $0 } }

    /// The body of a report that happens now.
    func body(_ report: Report) -> [UInt8] {
        var writer = JSONWriter()
        let at = clock.now - .milliseconds(report.age)
        writer.object { writer in
            writer.member("state", report.state)
            writer.member("partition", "all")
            writer.member("timestamp", at.rfc3339Milliseconds)
            writer.member("user_id", ifPresent: report.userID)
            writer.member("source", report.source)
            if let delay = report.delaySeconds { writer.member("delay_seconds", delay) }
            writer.member("mode", ifPresent: report.mode)
            if let zone = report.zone {
                writer.name("zones")
                writer.array { writer in
                    writer.object { writer in
                        writer.member("number", zone.number)
                        writer.member("name", zone.name)
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Sends a report; 409 is an answer like any other, everything else but 200 an error.
    @discardableResult
    func send(_ report: Report) async throws -> Answer { try await send(body(report), site: report.site) }

    /// Sends a body, perhaps for the second time.
    @discardableResult
    func send(_ body: [UInt8], site: String) async throws -> Answer {
        guard let id = sites[site] else { throw LabError("the demo has no site \"\(site)\"") }
        var request = HTTPClientRequest(url: "\(server)/v1/sites/\(id)/arming-state")
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        request.headers.add(name: "authorization", value: "Bearer \(token)")
        request.body = .bytes(ByteBuffer(bytes: body))
        let sentAt = Stopwatch.now
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let bytes = Array(try await reply.body.collect(upTo: 1 << 20).readableBytesView)
        let repliedAt = Stopwatch.now
        let json = try JSONParser.parse(bytes)
        let partition = json["partitions"]?.array?.first
        let answer = Answer(
            status: Int(reply.status.code),
            sentAt: sentAt,
            repliedAt: repliedAt,
            events: (json["event_ids"]?.array ?? []).compactMap(\.string),
            state: partition?["state"]?.string ?? "",
            previousState: partition?["previous_state"]?.string ?? "",
            reason: partition?["reason"]?.string,
            applied: partition?["applied"]?.bool ?? false,
            text: String(decoding: bytes, as: UTF8.self)
        )
        guard [200, 409].contains(answer.status) else {
            throw LabError("a report was answered \(answer.status): \(answer.text)")
        }
        note(answer)
        return answer
    }

    private func note(_ answer: Answer) {
        tally.withLock { tally in
            tally.reports += 1
            if answer.status != 200 { tally.refused += 1 }
            if answer.applied { tally.applied += 1 }
            if answer.reason == "duplicate" { tally.duplicates += 1 }
            if answer.reason == "superseded" { tally.superseded += 1 }
            for event in answer.events { tally.acknowledged[EventKey(event)] = answer.sentAt }
        }
    }
}
