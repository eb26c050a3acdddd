import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import TocsinDelivery

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/// What the behaviours' receivers need, and the receivers themselves.
private struct Alley {
    let good: TestCertificate
    let certificates: [TestCertificate]
    private(set) var receivers: [ScriptedReceiver] = []
    private(set) var urls: [String] = []
    private var fillers: [any Channel] = []

    init(_ behaviours: [HostileBehaviour]) async throws {
        let good = try await TestCertificate()
        let other = try await TestCertificate(names: "DNS:other.test")
        let past = try await TestCertificate(validity: .past)
        let future = try await TestCertificate(validity: .future)
        self.good = good
        certificates = [good, other, past, future]
        func context(_ certificate: HostileBehaviour.Certificate) async throws -> NIOSSLContext {
            switch certificate {
            case .good: try good.serverContext()
            case .untrusted: try other.serverContext()
            case .expired: try past.serverContext()
            case .notYetValid: try future.serverContext()
            case .otherHost: try good.serverContext()
            case .demandsClient: try good.serverContext(clients: other)
            case .oldTLS: try good.serverContext(newest: .tlsv11)
            }
        }
        for behaviour in behaviours {
            let script = [behaviour.script]
            let receiver: ScriptedReceiver
            var (scheme, host) = ("http", "receiver.test")
            var closedPort: Int?
            switch behaviour.door {
            case .plain: receiver = try await ScriptedReceiver(script)
            case .closed:
                receiver = try await ScriptedReceiver(script)
                // One that was just given up may be another test's by now; this one no test can get.
                closedPort = 1
            case .slow: receiver = try await ScriptedReceiver(script, accepts: .milliseconds(100))
            case .neverAccepts: receiver = try await ScriptedReceiver(script, accepts: nil)
            case .full:
                receiver = try await ScriptedReceiver(script, backlog: 0, accepts: nil)
                fillers += try await Self.fill(receiver.port)
            case .rawTLS:
                receiver = try await ScriptedReceiver(script)
                scheme = "https"
            case .tls(let certificate):
                receiver = try await ScriptedReceiver(script, tls: context(certificate))
                (scheme, host) = ("https", certificate == .otherHost ? "else.test" : host)
            }
            receivers.append(receiver)
            urls.append("\(scheme)://\(host):\(closedPort ?? receiver.port)/hook")
        }
    }

    /// Takes the places that the kernel has for connections that wait to be accepted.
    private static func fill(_ port: Int) async throws -> [any Channel] {
        var taken: [any Channel] = []
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.milliseconds(300))
        while taken.count < 16, let channel = try? await bootstrap.connect(host: "127.0.0.1", port: port).get() {
            taken.append(channel)
        }
        return taken
    }

    func close() async {
        for filler in fillers { try? await filler.close() }
        for receiver in receivers { try? await receiver.stop() }
        for certificate in certificates { certificate.remove() }
    }
}

@Suite(.serialized, .timeLimit(.minutes(2)))
struct HostileReceiverTests {
    /// How far behind its deadline an attempt may end (issue D), on a machine that runs its timers in time.
    private static let grace = Duration.milliseconds(250)

    /// How late timers of the sender's own event loops fire while attempts are under way: the machine's part of lateness.
    private static func lateness(until ended: NIOLockedValueBox<Bool>) async -> Duration {
        await withTaskGroup(of: Duration.self) { group in
            for eventLoop in MultiThreadedEventLoopGroup.singleton.makeIterator() {
                group.addTask {
                    var worst = Duration.zero
                    while !ended.withLockedValue({ $0 }) {
                        let due = NIODeadline.now() + .milliseconds(20)
                        let fired = try? await eventLoop.scheduleTask(deadline: due) { NIODeadline.now() }.futureResult
                            .get()
                        worst = max(worst, fired.map { Duration($0 - due) } ?? .zero)
                    }
                    return worst
                }
            }
            return await group.reduce(.zero, max)
        }
    }

    @Test
    func `receivers that would last for ever are left at the deadline, and nobody else notices`() async throws {
        try await Self.run(HostileBehaviour.all.filter(\.lasts), deadline: .seconds(2))
    }

    @Test
    func `receivers that break rules are told as such at once, and nobody else notices`() async throws {
        try await Self.run(HostileBehaviour.all.filter { !$0.lasts }, deadline: .seconds(20))
    }

    private static func run(_ behaviours: [HostileBehaviour], deadline: Duration) async throws {
        let alley = try await Alley(behaviours)
        let healthy = try await ScriptedReceiver([
            Array(repeating: [ReceiverStep.request, .send(ok)], count: 500).flatMap { $0 }
        ])
        let ended = NIOLockedValueBox(false)
        let isOver: @Sendable () -> Bool = { ended.withLockedValue { $0 } }
        try await withSender(extraCAFile: alley.good.file, limits: .short(total: deadline)) { sender in
            async let late = lateness(until: ended)
            async let served = keepSending(to: healthy.port, through: sender, until: isOver)
            let outcomes = try await outcomes(of: behaviours, at: alley.urls, through: sender)
            ended.withLockedValue { $0 = true }
            let (lateness, healthyOutcomes) = await (late, try served)
            for (behaviour, outcome) in zip(behaviours, outcomes) {
                expect(outcome, of: behaviour, within: deadline, lateness: lateness)
            }
            #expect(healthyOutcomes.filter { !$0.isSuccess }.map(\.failure).isEmpty)
        }
        // The sender is shut down by now, and that waits for the last connection: none is left behind.
        await alley.close()
        try await healthy.stop()
    }

    private static func outcomes(
        of behaviours: [HostileBehaviour],
        at urls: [String],
        through sender: WebhookSender
    ) async throws -> [WebhookOutcome] {
        try await withThrowingTaskGroup(of: (Int, WebhookOutcome).self) { group in
            for (index, behaviour) in behaviours.enumerated() {
                let body = String(repeating: "x", count: behaviour.requestBytes)
                let request = try WebhookRequest.sample(urls[index], body: body)
                group.addTask { (index, await sender.send(request)) }
            }
            var outcomes = Array(repeating: WebhookOutcome(), count: behaviours.count)
            for try await (index, outcome) in group { outcomes[index] = outcome }
            return outcomes
        }
    }

    /// Sends to a healthy receiver, one request after the other, for as long as the hostile ones last.
    private static func keepSending(
        to port: Int,
        through sender: WebhookSender,
        until isOver: @Sendable () -> Bool
    ) async throws -> [WebhookOutcome] {
        let request = try WebhookRequest.sample("http://receiver.test:\(port)/")
        var outcomes: [WebhookOutcome] = []
        while outcomes.count < 20 || (!isOver() && outcomes.count < 500) { outcomes.append(await sender.send(request)) }
        return outcomes
    }

    private static func expect(
        _ outcome: WebhookOutcome,
        of behaviour: HostileBehaviour,
        within deadline: Duration,
        lateness: Duration
    ) {
        let words = behaviour.ends.split(separator: " ").map(String.init)
        let status = outcome.status.map(String.init)
        let failure = outcome.failure?.code.rawValue
        let told = "\(behaviour.name): \(status ?? "–") \(failure ?? "–"), \(outcome.timing.total)"
        // Where two words of a kind are named, either is right: who is first is the kernel's affair.
        let statuses = words.filter { Int($0) != nil }
        let failures = words.filter { Int($0) == nil }
        let isFailureOptional = behaviour.name == "answers before it is asked"
        if let status {
            #expect(statuses.contains(status), "\(told)")
        } else {
            #expect(statuses.isEmpty || isFailureOptional, "\(told)")
        }
        if let failure {
            #expect(failures.contains(failure), "\(told)")
        } else {
            #expect(failures.isEmpty || isFailureOptional, "\(told)")
        }
        #expect(outcome.timing.total <= deadline + grace + lateness, "\(told), timers late by \(lateness)")
        #expect(outcome.body.count <= ResponseParser.bodyKeptMax)
        if failure == "timeout" { #expect(outcome.timing.total >= deadline, "\(told)") }
        #expect(outcome.isSuccess == (failure == nil && status.map { $0.hasPrefix("2") } == true), "\(told)")
    }

    /// What flows endlessly, by what comes before it.
    @Test(arguments: [
        ("", "HTTP/1.1 103 Hints\r\n\r\n"), ("HTTP/1.1 200 OK\r\nA: ", "a"), ("HTTP/1.1 200 OK\r\n", "A: b\r\n"),
        ("HTTP/1.1 200 OK\r\n", "A:\r\n"), ("", "\0"), ("HTTP/1.1 200 OK\r\n\r\n", "never"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;", "a"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n", "\0"),
    ])
    func `what an endless answer makes us hold is bounded`(start: String, again: String) {
        for size in [7, 1460, 65_536] {
            var parser = ResponseParser()
            var step = parser.feed(ByteBuffer(string: start))
            var (fed, held) = (start.utf8.count, 0)
            let piece = String(repeating: again, count: size / again.utf8.count + 1)
            while step == .needsMore, fed < 4_000_000 {
                step = parser.feed(ByteBuffer(string: piece))
                fed += piece.utf8.count
                held = max(held, parser.heldBytes)
            }
            #expect(step != .needsMore, "cut off after \(fed) bytes")
            #expect(fed <= 100 * 1024 + piece.utf8.count, "pieces of \(size)")
            // Twice the limits: a buffer grows by doubling.
            #expect(held <= 2 * (ResponseParser.headBytesMax + ResponseParser.bodyBytesMax) + 2 * piece.utf8.count)
        }
    }
}
