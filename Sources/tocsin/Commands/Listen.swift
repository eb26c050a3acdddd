import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON

/// `tocsin listen`: an app's events on a machine that no webhook can reach (design, delivery: local).
struct Listen: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow an app's events, and post them to a program on this machine.",
        discussion: """
            Receives the events through the server's event stream and posts the same bytes to --forward, signed like a \
            real delivery. A break is bridged: it goes on after the last event that it saw.
            """
    )

    /// How long to wait before the stream is opened again; doubled up to the maximum while it cannot be.
    static let reconnectDelay: Duration = .seconds(1)
    static let reconnectDelayMaximum: Duration = .seconds(15)

    @Option(help: ArgumentHelp("The server.", valueName: "url")) var url = "http://127.0.0.1:8080"
    @Option(help: ArgumentHelp("The app's key (or TOCSIN_API_KEY).", valueName: "key")) var apiKey: String?
    @Option(help: ArgumentHelp("Where to post the events.", valueName: "url")) var forward: String?
    @Option(help: ArgumentHelp("The endpoint's secret; none given: a fresh one is printed.", valueName: "whsec_…"))
    var secret: String?
    @Option(help: ArgumentHelp("Start after this sequence; left out: with the next event.", valueName: "sequence"))
    var after: Int64?
    @Option(help: ArgumentHelp("End after so many events.", valueName: "n")) var count: Int?
    @Flag(help: "Print one JSON object an event.") var json = false

    func validate() throws {
        if let secret, WebhookSecret.key(of: secret) == nil {
            throw ValidationError("--secret must be whsec_ and the base64 of \(WebhookSecret.keyLength) bytes")
        }
        if let forward, URL(string: forward)?.scheme?.hasPrefix("http") != true {
            throw ValidationError("--forward must be a URL such as http://localhost:3000")
        }
    }

    func run() async throws {
        guard let key = apiKey ?? ProcessInfo.processInfo.environment["TOCSIN_API_KEY"] else {
            throw ProgramError.usage("listen needs the app's key: --api-key or TOCSIN_API_KEY")
        }
        let client = try APIClient(url: url, credential: key)
        let forwarder = forward.map { Forwarder(url: $0, secret: secret ?? WebhookSecret.make(SystemRandomness())) }
        if let forwarder, secret == nil { Console.note("signing with the secret \(forwarder.secret)") }
        var last = after.map(String.init)
        var seen = 0
        var delay = Self.reconnectDelay
        while true {
            do {
                let stream = try await open(client, after: last)
                Console.note("listening to \(url)")
                delay = Self.reconnectDelay
                var parser = EventStreamParser()
                for try await piece in stream.body {
                    guard let events = parser.feed(piece.readableBytesView) else {
                        throw ProgramError.failed("\(url) does not send an event stream")
                    }
                    for event in events {
                        if let warning = event.missedWarning {
                            Console.note(warning)
                            continue
                        }
                        last = event.id
                        await show(event, forwarder)
                        seen += 1
                        if seen == count { return }
                    }
                }
                Console.note("the stream has ended; opening it again")
            } catch let error as ProgramError {
                throw error
            } catch {
                Console.note("the stream broke off (\(error)); opening it again in \(delay)")
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, Self.reconnectDelayMaximum)
        }
    }

    /// Opens the stream; a refusal ends the program, because asking again would be refused again.
    private func open(_ client: APIClient, after last: String?) async throws -> HTTPClientResponse {
        var request = client.request("/v1/events/stream")
        request.headers.add(name: "Accept", value: "text/event-stream")
        if let last { request.headers.add(name: "Last-Event-ID", value: last) }
        let response = try await Web.client.execute(request, deadline: .distantFuture)
        if (400..<500).contains(response.status.code), response.status.code != 429 {
            let reply = try await response.body.collect(upTo: 1 << 20)
            throw APIClient.refusal(response.status.code, Array(buffer: reply))
        }
        guard response.status == .ok else { throw StreamRefused(status: response.status.code) }
        return response
    }

    private func show(_ event: ServerSentEvent, _ forwarder: Forwarder?) async {
        let outcome = await forwarder?.send(event)
        if json {
            var object: JSONObject = ["sequence": .string(event.id), "type": .string(event.type)]
            object["sequence"] = Int64(event.id).map(JSON.integer) ?? .string(event.id)
            object["event"] = (try? JSONParser.parse(event.data)) ?? .string(event.data)
            object["forwarded"] = outcome.map(JSON.string)
            return Console.print(.object(object))
        }
        let time = SystemClock().now.rfc3339Milliseconds
        Console.print("\(time)  #\(event.id)  \(event.type)" + (outcome.map { "  → \($0)" } ?? ""))
    }
}

/// The server is there, but does not give the stream just now.
private struct StreamRefused: Error, CustomStringConvertible {
    var status: UInt
    var description: String { "status \(status)" }
}

/// Posts events to a local program as the delivery engine would.
private struct Forwarder: Sendable {
    let url: String
    let secret: String
    private let signer: Signer

    init(url: String, secret: String) {
        self.url = url
        self.secret = secret
        signer = Signer(secrets: [secret])
    }

    /// Posts the bytes of an event and tells how it was answered.
    func send(_ event: ServerSentEvent) async -> String {
        let clock = SystemClock()
        let now = clock.now
        let body = Array(event.data.utf8)
        let id = (try? JSONParser.parse(body))?["id"]?.string ?? "evt_\(event.id)"
        let timestamp = String(now.secondsSinceEpoch)
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.body = .bytes(body)
        let delivery: DeliveryID = SystemRandomness().id(at: now)
        var headers = [
            ("Content-Type", "application/json"), ("User-Agent", "Tocsin-Listen"), ("X-CHeKT-Timestamp", timestamp),
            ("X-CHeKT-Event-Id", id), ("X-CHeKT-Event-Type", event.type), ("X-CHeKT-Delivery-Id", delivery.text),
            ("X-CHeKT-Sequence", event.id), ("webhook-id", id), ("webhook-timestamp", timestamp),
        ]
        if let signatures = signer.sign(id: id, timestamp: timestamp, body: body, at: now) {
            headers += [("X-CHeKT-Signature", signatures.chekt), ("webhook-signature", signatures.standard)]
        }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        do {
            let response = try await Web.client.execute(request, timeout: .seconds(30))
            // The connection is used again only when the answer has been read.
            _ = try? await response.body.collect(upTo: 1 << 20)
            let milliseconds = (clock.now - now).milliseconds
            return "\(response.status.code) in \(milliseconds) ms"
        } catch {
            return "failed: \(error)"
        }
    }
}
