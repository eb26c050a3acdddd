import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import TocsinDelivery

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

@Suite(.timeLimit(.minutes(5)))
struct WebhookSenderAddressTests {
    /// Sends to a name that resolves like this.
    private func outcome(
        to url: String = "https://receiver.test/",
        addresses: [String],
        policy: EgressPolicy
    ) async throws -> WebhookOutcome {
        let result = NIOLockedValueBox(WebhookOutcome())
        try await withSender(policy: policy, resolver: ListResolver([addresses])) { sender in
            let outcome = await sender.send(try .sample(url))
            result.withLockedValue { $0 = outcome }
        }
        return result.withLockedValue { $0 }
    }

    @Test(arguments: ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "fd00::1"])
    func `a name that resolves to an inner address is refused`(address: String) async throws {
        let outcome = try await outcome(addresses: [address], policy: .strict)

        #expect(outcome.failure?.code == .refusedAddress)
        #expect(outcome.failure?.sentence.contains(address) == false)
        #expect(outcome.address == nil)
    }

    @Test(arguments: ["169.254.169.254", "fe80::1", "224.0.0.1", "fd00:ec2::254", "::ffff:169.254.169.254"])
    func `the lab switch does not open link-local, metadata and multicast`(address: String) async throws {
        let outcome = try await outcome(addresses: [address], policy: .lab)

        #expect(outcome.failure?.code == .refusedAddress)
    }

    @Test(arguments: [["1.1.1.1", "10.0.0.1"], ["10.0.0.1", "1.1.1.1"]])
    func `one inner address among public ones refuses the name`(addresses: [String]) async throws {
        let outcome = try await outcome(addresses: addresses, policy: .strict)

        #expect(outcome.failure?.code == .refusedAddress)
    }

    @Test
    func `an address that was allowed when the endpoint was made is judged again`() async throws {
        try await withSender(policy: .strict) { sender in
            let literal = await sender.send(try .sample("https://127.0.0.1/", policy: .lab))
            #expect(literal.failure?.code == .refusedAddress)
            let plain = await sender.send(try .sample("http://hooks.example.com/", policy: .lab))
            #expect(plain.failure?.code == .refusedURL)
            let port = await sender.send(try .sample("https://1.1.1.1:9000/", policy: .lab))
            #expect(port.failure?.code == .refusedAddress)
        }
    }

    @Test
    func `a name that is bound to another address later is refused then, kept connection or not`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok), .request, .send(ok)]])
        let resolver = ListResolver([["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "169.254.169.254"]])
        try await withSender(resolver: resolver) { sender in
            let request = try WebhookRequest.sample("http://receiver.test:\(receiver.port)/")
            #expect(await sender.send(request).isSuccess)
            #expect(await sender.send(request).failure?.code == .refusedAddress)
            #expect(await sender.send(request).failure?.code == .refusedAddress)
        }
        #expect(receiver.seen.requests.count == 1)
        try await receiver.stop()
    }

    @Test
    func `the own listener is never reached`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        var policy = EgressPolicy.lab
        policy.ownListeners = [.init(address: try #require(IPAddress("0.0.0.0")), port: receiver.port)]
        try await withSender(policy: policy) { sender in
            let outcome = await sender.send(try .sample("http://receiver.test:\(receiver.port)/"))
            #expect(outcome.failure?.code == .refusedAddress)
        }
        #expect(receiver.seen.connections == 0)
        try await receiver.stop()
    }

    // MARK: Names

    @Test
    func `a name that does not resolve in time ends at the deadline`() async throws {
        try await withSender(resolver: SilentResolver(), limits: .short()) { sender in
            let outcome = await sender.send(try .sample("https://receiver.test/"))
            #expect(outcome.failure == WebhookFailure(.timeout, "The host name did not resolve in time."))
        }
    }

    @Test
    func `a name without addresses is a failure of DNS`() async throws {
        #expect(try await outcome(addresses: [], policy: .strict).failure?.code == .dns)
    }

    @Test
    func `the system's resolver knows localhost, and not what cannot be a name`() async throws {
        let loopback = try #require(IPAddress("127.0.0.1"))
        let resolver = SystemResolver()

        #expect(try await resolver.resolve("localhost").contains(loopback))
        // Too long for a question to be asked, so that no name server has to answer.
        let impossible = String(repeating: "a", count: 300)
        await #expect(throws: ResolverError.self) { try await resolver.resolve(impossible) }
        await resolver.shutdown()
    }

    @Test
    func `an answer is remembered for its time, a failure too`() async throws {
        let now = NIOLockedValueBox(NIODeadline.uptimeNanoseconds(1))
        let asked = NIOLockedValueBox<[String]>([])
        let address = try #require(IPAddress("1.1.1.1"))
        let resolver = SystemResolver(
            timeToLive: .seconds(5),
            now: { now.withLockedValue { $0 } },
            lookup: { host in
                asked.withLockedValue { $0.append(host) }
                return host == "good.test" ? .success([address]) : .failure(ResolverError(sentence: "no"))
            }
        )

        #expect(resolver.cached("good.test") == nil)
        for _ in 0..<2 { #expect(try await resolver.resolve("good.test") == [address]) }
        for _ in 0..<2 { await #expect(throws: ResolverError.self) { try await resolver.resolve("bad.test") } }
        #expect(resolver.cached("good.test") == [address])
        #expect(asked.withLockedValue { $0 } == ["good.test", "bad.test"])

        now.withLockedValue { $0 = $0 + .seconds(5) }
        #expect(resolver.cached("good.test") == nil)
        #expect(try await resolver.resolve("good.test") == [address])
        #expect(asked.withLockedValue { $0.count } == 3)
        await resolver.shutdown()
    }

    @Test
    func `look-ups of one name are merged and the memory of answers is bounded`() async throws {
        let asked = NIOLockedValueBox(0)
        let go = ConditionLock(value: 0)
        let address = try #require(IPAddress("1.1.1.1"))
        let resolver = SystemResolver(
            timeToLive: .hours(1),
            entriesMax: 1,
            lookup: { _ in
                asked.withLockedValue { $0 += 1 }
                go.lock(whenValue: 1)
                go.unlock()
                return .success([address])
            }
        )
        try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            for _ in 0..<8 { group.addTask { try await resolver.resolve("slow.test") } }
            go.lock()
            go.unlock(withValue: 1)
            for try await answer in group { #expect(answer == [address]) }
        }
        #expect(asked.withLockedValue { $0 } == 1)

        _ = try await resolver.resolve("other.test")
        #expect(resolver.cached("slow.test") != nil)
        #expect(resolver.cached("other.test") == nil)
        await resolver.shutdown()
    }
}
