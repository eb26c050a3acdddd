import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization
import TocsinCore
import TocsinJSON

/// Sends requests to a server that may be killed at any moment, each until it is answered, and remembers the answers.
final class SoakClient: Sendable {
    /// What was acknowledged so far.
    struct Acknowledged: Sendable {
        var requests: [String: Int] = [:]
        var refused = 0
        var repeats = 0
        /// Named by replies to reports.
        var events: [EventKey] = []
        /// Alarms as `dealer/A-…`, and snapshots by their ids: their events name them.
        var things: Set<String> = []
        var problems: [String] = []
    }

    struct Call: Sendable {
        var kind: String
        var path: String
        var body: [UInt8]
        var contentType = "application/json"
        var authorization: String
        /// The same for every repetition, so that nothing is done twice; none where the body has an id of its own.
        var key: String?
        var dealer: Int
    }

    /// A request hangs when the server dies under it; longer than any healthy one takes.
    private static let requestMax: TimeAmount = .seconds(15)
    private static let pauseBeforeRepeat: Duration = .milliseconds(100)
    /// A restart takes seconds; who is not answered for this long never is.
    private static let patience: Duration = .seconds(120)
    private static let problemsMax = 20

    private let server: String
    private let state = Mutex(Acknowledged())

    init(server: String) { self.server = server }

    var acknowledged: Acknowledged { state.withLock { $0 } }

    /// Sends the request until it is answered for good.
    func send(_ call: Call) async throws {
        let end = ContinuousClock.now + Self.patience
        while ContinuousClock.now < end {
            try Task.checkCancellation()
            if let (status, body) = await attempt(call), take(call, status, body) { return }
            state.withLock { $0.repeats += 1 }
            try await Task.sleep(for: Self.pauseBeforeRepeat)
        }
        note("\(call.kind) was not answered within \(Self.patience.milliseconds / 1000) s")
    }

    private func attempt(_ call: Call) async -> (status: Int, body: [UInt8])? {
        var request = HTTPClientRequest(url: server + call.path)
        request.method = .POST
        request.headers.add(name: "content-type", value: call.contentType)
        request.headers.add(name: "authorization", value: "Bearer \(call.authorization)")
        if let key = call.key { request.headers.add(name: "idempotency-key", value: key) }
        request.body = .bytes(ByteBuffer(bytes: call.body))
        guard let reply = try? await HTTPClient.shared.execute(request, timeout: Self.requestMax),
            let body = try? await reply.body.collect(upTo: 1 << 20)
        else { return nil }
        return (Int(reply.status.code), Array(body.readableBytesView))
    }

    /// Takes an answer in; false if the request is to be repeated.
    private func take(_ call: Call, _ status: Int, _ body: [UInt8]) -> Bool {
        let json = try? JSONParser.parse(body)
        if status >= 500 || json?["error"]?["code"]?.string == "idempotency_in_progress" { return false }
        switch status {
        case 200...299: state.withLock { accept(call, json, &$0) }
        // The state does not allow it: an answer like any other.
        case 409: state.withLock { $0.refused += 1 }
        default: note("\(call.kind) was refused: \(status) \(String(decoding: body.prefix(300), as: UTF8.self))")
        }
        return true
    }

    private func accept(_ call: Call, _ json: JSON?, _ state: inout Acknowledged) {
        state.requests[call.kind, default: 0] += 1
        for event in json?["event_ids"]?.array ?? [] {
            if let id = event.string { state.events.append(EventKey(id)) }
        }
        if let id = json?["snapshot_id"]?.string { state.things.insert(id) }
        if let id = json?["alarm_id"]?.string { state.things.insert("\(call.dealer)/\(id)") }
    }

    private func note(_ problem: String) {
        state.withLock { if $0.problems.count < Self.problemsMax { $0.problems.append(problem) } }
    }
}
