import NIOConcurrencyHelpers
import NIOCore
import Testing
import TocsinEngine

@testable import TocsinDelivery

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/// A zone's records (parted by commas), then what becomes of an attempt without the lab switch: the failure's code, or the
/// addresses that may be connected to.
private let zones = table(
    """
    A 8.8.8.8                                            | 8.8.8.8
    AAAA 2606:4700::1111                                 | 2606:4700::1111
    A 8.8.8.8, AAAA 2606:4700::1111                      | 8.8.8.8 2606:4700::1111
    A 8.8.8.8, A 8.8.4.4, A 1.1.1.1                      | 8.8.8.8 8.8.4.4 1.1.1.1
    CNAME b.test, b.test A 8.8.8.8                       | 8.8.8.8
    CNAME B.TEST, b.Test A 8.8.8.8                       | 8.8.8.8
    CNAME b.test, b.test CNAME c.test, c.test A 8.8.8.8  | 8.8.8.8
    A 8.8.8.8, other.test A 127.0.0.1                    | 8.8.8.8
    A 8.8.8.8, BIG                                       | 8.8.8.8
    A 127.0.0.1                                          | refused_address
    A 127.0.0.2                                          | refused_address
    A 127.255.255.255                                    | refused_address
    A 0.0.0.0                                            | refused_address
    A 0.0.0.1                                            | refused_address
    A 10.0.0.1                                           | refused_address
    A 172.16.0.1                                         | refused_address
    A 172.31.255.255                                     | refused_address
    A 192.168.0.1                                        | refused_address
    A 100.64.0.1                                         | refused_address
    A 169.254.169.254                                    | refused_address
    A 169.254.170.2                                      | refused_address
    A 168.63.129.16                                      | refused_address
    A 192.0.0.192                                        | refused_address
    A 192.0.2.1                                          | refused_address
    A 198.18.0.1                                         | refused_address
    A 224.0.0.1                                          | refused_address
    A 255.255.255.255                                    | refused_address
    AAAA ::1                                             | refused_address
    AAAA ::                                              | refused_address
    AAAA fe80::1                                         | refused_address
    AAAA fc00::1                                         | refused_address
    AAAA fd00:ec2::254                                   | refused_address
    AAAA fec0::1                                         | refused_address
    AAAA ff02::1                                         | refused_address
    AAAA ::ffff:127.0.0.1                                | refused_address
    AAAA ::ffff:8.8.8.8                                  | refused_address
    AAAA ::127.0.0.1                                     | refused_address
    AAAA ::ffff:0:127.0.0.1                              | refused_address
    AAAA 64:ff9b::127.0.0.1                              | refused_address
    AAAA 64:ff9b::8.8.8.8                                | refused_address
    AAAA 64:ff9b:1::127.0.0.1                            | refused_address
    AAAA 2002:7f00:1::                                   | refused_address
    AAAA 2002:a9fe:a9fe::                                | refused_address
    AAAA 2001:0:808:808:0:ffff:80ff:fffe                 | refused_address
    AAAA 2001:db8::1                                     | refused_address
    AAAA 2606:4700::5efe:7f00:1                          | refused_address
    AAAA 2606:4700::200:5efe:10.0.0.1                    | refused_address
    A 8.8.8.8, A 127.0.0.1                               | refused_address
    A 127.0.0.1, A 8.8.8.8                               | refused_address
    A 8.8.8.8, A 8.8.4.4, A 1.1.1.1, A 9.9.9.9, A 10.0.0.1 | refused_address
    A 8.8.8.8, AAAA ::1                                  | refused_address
    A 127.0.0.1, AAAA 2606:4700::1111                    | refused_address
    CNAME b.test, b.test A 127.0.0.1                     | refused_address
    CNAME b.test, b.test CNAME c.test, c.test A 10.0.0.1 | refused_address
    CNAME localhost, localhost A 127.0.0.1               | refused_address
    A 127.0.0.1, BIG                                     | refused_address
    CNAME b.test                                         | dns
    CNAME b.test, b.test CNAME b.test                    | dns
    CNAME zone.test                                      | dns
    other.test A 8.8.8.8                                 | dns
    NXDOMAIN                                             | dns
    SERVFAIL                                             | dns
    NXDOMAIN, A 8.8.8.8                                  | dns
    GARBAGE                                              | dns
    SILENT                                               | dns
    A 8.8.8.8, OTHER-ID                                  | dns
    A 8.8.8.8, OTHER-NAME                                | dns
    """
)

@Suite(.timeLimit(.minutes(5)), .enabled(if: DNSServer.mustRun, DNSServer.comment))
struct EgressDNSTests {
    @Test
    func `the table of zones holds against a real DNS server, and the canary hears of none`() async throws {
        let canary = try await ScriptedReceiver([[.request, .send(ok)]])
        var policy = EgressPolicy.strict
        // So that a refusal is one of the address, and a mistake would be heard.
        policy.allowedPorts.insert(canary.port)
        let names = zones.indices.map { "zone\($0).test" }
        let script = Dictionary(
            uniqueKeysWithValues: zip(names, zones).map { name, row in
                (name, [row[0].split(separator: ",").map { String($0.replacing("zone.test", with: name)) }])
            }
        )
        try await DNSServer.with(script) { dns in
            let resolver = try dns.resolver()
            try await withSender(policy: policy, resolver: resolver) { sender in
                for (name, row) in zip(names, zones) {
                    let found = await verdict(name, row, sender, resolver, policy, port: canary.port)
                    #expect(found == row[1], "\(row[0])")
                }
            }
            await resolver.shutdown()
        }
        #expect(canary.seen.connections == 0)
        try await canary.stop()
    }

    /// Public addresses are judged but not called on: tests do not knock at strangers' doors.
    private func verdict(
        _ name: String,
        _ row: [String],
        _ sender: WebhookSender,
        _ resolver: SystemResolver,
        _ policy: EgressPolicy,
        port: Int
    ) async -> String {
        if row[1].contains(where: { ".:".contains($0) }), let addresses = try? await resolver.resolve(name) {
            let isAllowed = addresses.allSatisfy { policy.verdict(for: $0, port: port) == .allowed }
            return isAllowed ? addresses.map(\.description).joined(separator: " ") : "refused_address"
        }
        guard let request = try? WebhookRequest.sample("https://\(name):\(port)/", policy: policy) else {
            return "no URL"
        }
        return await sender.send(request).failure?.code.rawValue ?? "sent"
    }

    @Test
    func `a name that is bound to loopback after its first answer never reaches the canary`() async throws {
        let canary = try await ScriptedReceiver([[.request, .send(ok)]])
        var policy = EgressPolicy.strict
        policy.allowedPorts.insert(canary.port)
        // A sink for misdirected questions, run for the public (RFC 7535): nothing listens at this port.
        let sink = "A 192.31.196.1"
        try await DNSServer.with(["rebind.test": [[sink], ["A 127.0.0.1"], [sink, "A 127.0.0.1"]]]) { dns in
            let resolver = try dns.resolver()
            var limits = WebhookSender.Limits.patient
            limits.connectPerAddress = .milliseconds(300)
            try await withSender(policy: policy, resolver: resolver, limits: limits) { sender in
                let request = try WebhookRequest.sample("https://rebind.test:\(canary.port)/", policy: policy)
                let first = await sender.send(request)
                #expect(first.failure?.code != .refusedAddress)
                #expect(first.address == "192.31.196.1:\(canary.port)", "the checked address is the one that is tried")
                for _ in 0..<2 {
                    let again = await sender.send(request)
                    #expect(again.failure?.code == .refusedAddress)
                    #expect(again.address == nil)
                }
            }
            await resolver.shutdown()
            // One question of each type for an attempt: no second answer can slip in after the check.
            #expect(dns.questions.filter { $0 == "A rebind.test" }.count == 3, "\(dns.questions)")
        }
        #expect(canary.seen.connections == 0)
        try await canary.stop()
    }

    @Test
    func `a kept connection is not used for a name that has moved to a refused address`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok), .request, .send(ok)]])
        let answers = [["A 127.0.0.1"], ["A 127.0.0.1"], ["A 169.254.169.254"], ["A 127.0.0.1", "A 169.254.169.254"]]
        try await DNSServer.with(["kept.test": answers]) { dns in
            let resolver = try dns.resolver()
            try await withSender(resolver: resolver) { sender in
                let request = try WebhookRequest.sample("http://kept.test:\(receiver.port)/")
                #expect(await sender.send(request).isSuccess)
                #expect(await sender.send(request).reusedConnection)
                #expect(await sender.send(request).failure?.code == .refusedAddress)
                #expect(await sender.send(request).failure?.code == .refusedAddress)
            }
            await resolver.shutdown()
        }
        #expect(receiver.seen.requests.count == 2)
        try await receiver.stop()
    }

    @Test
    func `an answer is remembered for its seconds only`() async throws {
        try await DNSServer.with(["name.test": [["A 8.8.8.8"], ["A 8.8.4.4"]]]) { dns in
            let resolver = try dns.resolver(timeToLive: .hours(1))
            #expect(try await resolver.resolve("name.test") == [try #require(IPAddress("8.8.8.8"))])
            #expect(resolver.cached("name.test") == [try #require(IPAddress("8.8.8.8"))])
            #expect(try await resolver.resolve("name.test") == [try #require(IPAddress("8.8.8.8"))])
            #expect(dns.questions.filter { $0.hasPrefix("A ") }.count == 1)
            await resolver.shutdown()
        }
    }

    @Test
    func `a server that nobody runs is told as such`() async throws {
        let port = try await {
            let dns = try await DNSServer([:]); dns.stop(); return dns.port
        }()
        let loopback = try #require(IPAddress("127.0.0.1"))
        let dns = try DNSLookup(
            server: loopback,
            port: port,
            randomness: SystemRandomness(),
            patience: [.milliseconds(50)]
        )
        #expect(throws: ResolverError.self) { try dns.lookup("name.test").get() }
    }
}
