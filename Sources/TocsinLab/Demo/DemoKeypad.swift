import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinJSON

/// The keypad and the detectors of a shop without a panel: commands and signals over the API, as an app sends them.
struct DemoKeypad: Sendable {
    struct Answer: Sendable {
        var status: Int
        var json: JSON
        var sentAt: UInt64
        var repliedAt: UInt64

        var milliseconds: Double { Double(repliedAt - sentAt) / 1e6 }
        /// The state of the only partition, where the answer tells it.
        var state: String? { json["partitions"]?.array?.first?["state"]?.string }
    }

    let server: String
    let site: String
    let apiKey: String
    let clock: any WallClock

    /// Enters a user's code together with what is to be done.
    func command(_ action: String, code: String, mode: String? = nil) async throws -> Answer {
        var body: JSONObject = ["user_code": .string(code)]
        body["mode"] = mode.map(JSON.string)
        return try await call(.POST, "/arming/actions/\(action)", .object(body))
    }

    /// Tells that a door opens or closes.
    func signal(_ zone: Int, _ kind: String) async throws -> Answer {
        let timestamp = clock.now.rfc3339Milliseconds
        return try await call(
            .POST,
            "/signals",
            ["zone": JSON(zone), "kind": .string(kind), "timestamp": .string(timestamp)]
        )
    }

    func state() async throws -> Answer { try await call(.GET, "/arming", nil) }

    /// What changed, oldest first.
    func history() async throws -> [JSON] {
        try await call(.GET, "/arming/history?limit=50", nil).json["data"]?.array?.reversed() ?? []
    }

    private func call(_ method: HTTPMethod, _ path: String, _ body: JSON?) async throws -> Answer {
        var request = HTTPClientRequest(url: "\(server)/v1/sites/\(site)\(path)")
        request.method = method
        request.headers.add(name: "authorization", value: "Bearer \(apiKey)")
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body.bytes))
        }
        let sentAt = Stopwatch.now
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let bytes = Array(try await reply.body.collect(upTo: 1 << 20).readableBytesView)
        let status = Int(reply.status.code)
        guard [200, 202, 409].contains(status) else {
            throw LabError(
                "\(method.rawValue) \(path) was answered \(status): \(String(decoding: bytes, as: UTF8.self))"
            )
        }
        return Answer(status: status, json: try JSONParser.parse(bytes), sentAt: sentAt, repliedAt: Stopwatch.now)
    }
}

/// The webhooks of one site, in the order of their arrival.
final class DemoInbox: Sendable {
    private struct State {
        var waiting: [WebhookSink.Webhook] = []
        var consumer: CheckedContinuation<WebhookSink.Webhook?, Never>?
    }

    private let state = Mutex(State())
    private let site: [UInt8]

    init(site: String) { self.site = Array(site.utf8) }

    /// Takes a webhook in, if it is about the site.
    func take(_ webhook: WebhookSink.Webhook) {
        guard webhook.body.firstRange(of: site) != nil else { return }
        let consumer = state.withLock { state in
            if state.consumer == nil { state.waiting.append(webhook) }
            defer { state.consumer = nil }
            return state.consumer
        }
        consumer?.resume(returning: webhook)
    }

    /// The next webhook; nothing if none comes within `seconds`.
    func next(within seconds: Int) async -> WebhookSink.Webhook? {
        let watchdog = Task {
            try await Task.sleep(for: .seconds(seconds))
            let consumer = state.withLock { state in
                defer { state.consumer = nil }
                return state.consumer
            }
            consumer?.resume(returning: nil)
        }
        defer { watchdog.cancel() }
        return await withCheckedContinuation { continuation in
            let here = state.withLock { state -> WebhookSink.Webhook? in
                if !state.waiting.isEmpty { return state.waiting.removeFirst() }
                state.consumer = continuation
                return nil
            }
            if let here { continuation.resume(returning: here) }
        }
    }
}
