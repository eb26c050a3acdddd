import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

@testable import TocsinDelivery

extension EgressPolicy {
    static let strict = EgressPolicy()
    static let lab = EgressPolicy(allowPrivate: true)
}

extension WebhookSender.Limits {
    /// A deadline that a test can wait for.
    static func short(total: Duration = .milliseconds(200)) -> Self {
        var limits = Self()
        limits.total = total
        return limits
    }

    /// A deadline that only a broken sender reaches.
    static var patient: Self { short(total: .seconds(20)) }
}

extension WebhookRequest {
    static func sample(
        _ url: String,
        policy: EgressPolicy = .lab,
        headers: [(String, String)] = [("webhook-id", "evt_1")],
        body: String = "{\"type\":\"test.ping\"}",
        identity: ClientIdentity? = nil
    ) throws -> WebhookRequest {
        let url = try EndpointURL(url, policy: policy)
        return WebhookRequest(url: url, headers: headers, body: ByteBuffer(string: body), identity: identity)
    }
}

/// Answers from a list, one answer per question; the last one stays.
final class ListResolver: AddressResolver {
    private let answers: NIOLockedValueBox<[[String]]>

    init(_ answers: [[String]]) {
        self.answers = NIOLockedValueBox(answers)
    }

    func resolve(_ host: String) async throws -> [IPAddress] {
        let answer = answers.withLockedValue { $0.count > 1 ? $0.removeFirst() : $0.first ?? [] }
        return answer.compactMap { IPAddress($0) }
    }
}

/// Never answers.
struct SilentResolver: AddressResolver {
    func resolve(_ host: String) async throws -> [IPAddress] {
        try await Task.sleep(for: .seconds(3600))
        return []
    }
}

/// Runs a test against a sender, and shuts it down afterwards.
func withSender(
    policy: EgressPolicy = .lab,
    resolver: any AddressResolver = ListResolver([["127.0.0.1"]]),
    extraCAFile: String? = nil,
    limits: WebhookSender.Limits = .patient,
    _ body: (WebhookSender) async throws -> Void
) async throws {
    let sender = try WebhookSender(
        group: MultiThreadedEventLoopGroup.singleton,
        policy: policy,
        resolver: resolver,
        extraCAFile: extraCAFile,
        limits: limits,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
    do {
        try await body(sender)
    } catch {
        await sender.shutdown()
        throw error
    }
    await sender.shutdown()
}

/// Sends one request to a scripted receiver.
func outcome(
    of scripts: [ReceiverStep]...,
    limits: WebhookSender.Limits = .patient
) async throws -> (outcome: WebhookOutcome, seen: ScriptedReceiver.Record) {
    let receiver = try await ScriptedReceiver(scripts)
    let result = NIOLockedValueBox(WebhookOutcome())
    try await withSender(limits: limits) { sender in
        let outcome = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/hook?a=1"))
        result.withLockedValue { $0 = outcome }
    }
    try await receiver.stop()
    return (result.withLockedValue { $0 }, receiver.seen)
}

/// The cells of a table in plain text: a row a line, cells parted by bars.
func table(_ text: String) -> [[String]] {
    text.split(separator: "\n").map { line in
        line.split(separator: "|", omittingEmptySubsequences: false).map { cell in
            String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }
}
