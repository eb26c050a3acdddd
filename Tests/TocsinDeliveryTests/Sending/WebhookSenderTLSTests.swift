import NIOCore
import NIOSSL
import Testing

@testable import TocsinDelivery

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

@Suite(.timeLimit(.minutes(5)))
struct WebhookSenderTLSTests {
    @Test
    func `a certificate from outside the trust store is refused`() async throws {
        let certificate = try await TestCertificate()
        defer { certificate.remove() }
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]], tls: certificate.serverContext())
        try await withSender { sender in
            let outcome = await sender.send(try .sample("https://receiver.test:\(receiver.port)/"))
            #expect(outcome.failure == WebhookFailure(.tls, "The receiver's certificate is not trusted."))
        }
        #expect(receiver.seen.requests.isEmpty)
        try await receiver.stop()
    }

    @Test(arguments: ["receiver.test", "127.0.0.1"])
    func `an extra authority is trusted, and the connection kept`(host: String) async throws {
        let certificate = try await TestCertificate()
        defer { certificate.remove() }
        let receiver = try await ScriptedReceiver(
            [[.request, .send(ok), .request, .send(ok)]],
            tls: certificate.serverContext()
        )
        try await withSender(extraCAFile: certificate.file) { sender in
            let request = try WebhookRequest.sample("https://\(host):\(receiver.port)/")
            let first = await sender.send(request)
            #expect(first.isSuccess)
            #expect(first.timing.tls != nil)
            let second = await sender.send(request)
            #expect(second.isSuccess)
            #expect(second.reusedConnection)
        }
        #expect(receiver.seen.connections == 1)
        try await receiver.stop()
    }

    @Test
    func `a trusted certificate for another host is refused, though it names the address`() async throws {
        let certificate = try await TestCertificate()
        defer { certificate.remove() }
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]], tls: certificate.serverContext())
        try await withSender(extraCAFile: certificate.file) { sender in
            let outcome = await sender.send(try .sample("https://other.test:\(receiver.port)/"))
            #expect(outcome.failure == WebhookFailure(.tls, "The receiver's certificate is not for this host."))
        }
        #expect(receiver.seen.requests.isEmpty)
        try await receiver.stop()
    }

    @Test(arguments: [
        ("hooks.example.com", true), ("HOOKS.example.com.", true), ("*.example.com", true), ("example.com", false),
        ("*.com", false), ("*", false), ("h*.example.com", false), ("*.hooks.example.com", false),
        ("*.ample.com", false), ("", false),
    ])
    func `a wildcard stands for one whole label`(pattern: String, isCovered: Bool) {
        #expect(HostCertificate.covers(pattern, host: "hooks.example.com") == isCovered)
    }

    @Test
    func `a kept TLS connection that turns out closed is replaced once`() async throws {
        let certificate = try await TestCertificate()
        defer { certificate.remove() }
        let receiver = try await ScriptedReceiver(
            [[.request, .send(ok), .request, .close], [.request, .send(ok)]],
            tls: certificate.serverContext()
        )
        try await withSender(extraCAFile: certificate.file) { sender in
            let request = try WebhookRequest.sample("https://receiver.test:\(receiver.port)/")
            #expect(await sender.send(request).isSuccess)
            let second = await sender.send(request)
            #expect(second.isSuccess)
            #expect(!second.reusedConnection)
        }
        try await receiver.stop()
    }

    @Test
    func `a receiver that stalls the handshake is left at the deadline`() async throws {
        let receiver = try await ScriptedReceiver([[]])
        try await withSender(limits: .short(total: .milliseconds(500))) { sender in
            let outcome = await sender.send(try .sample("https://127.0.0.1:\(receiver.port)/"))
            #expect(outcome.failure == WebhookFailure(.timeout, "The TLS handshake did not end in time."))
        }
        try await receiver.stop()
    }

    // MARK: Mutual TLS

    @Test
    func `the endpoint's certificate is shown to a receiver that asks for it, and by no other endpoint's requests`()
        async throws
    {
        let server = try await TestCertificate(), client = try await TestCertificate(subject: "tocsin")
        defer { server.remove(); client.remove() }
        let receiver = try await ScriptedReceiver(
            [Array(repeating: [ReceiverStep.request, .send(ok)], count: 3).flatMap { $0 }],
            tls: server.serverContext(clients: client)
        )
        let identity = try client.identity()
        try await withSender(extraCAFile: server.file) { sender in
            let url = "https://receiver.test:\(receiver.port)/"
            let shown = try WebhookRequest.sample(url, identity: identity)
            #expect(await sender.send(shown).isSuccess)
            #expect(await sender.send(shown).reusedConnection)
            // The kept connection is authenticated as somebody: whoever has no certificate must not get it.
            let without = await sender.send(try .sample(url))
            #expect(without.failure?.code == .tls, "\(without)")
            #expect(!without.reusedConnection)
            let other = await sender.send(try .sample(url, identity: try server.identity()))
            #expect(other.failure?.code == .tls, "\(other)")
        }
        #expect(receiver.seen.requests.count == 2)
        try await receiver.stop()
    }

    @Test
    func `a certificate and a key that are none, or not of each other, are told by the member`() async throws {
        let one = try await TestCertificate(), two = try await TestCertificate()
        defer { one.remove(); two.remove() }
        let (chain, key) = (try one.chainText(), try two.keyText())
        #expect(throws: ClientIdentity.Fault.self) { try ClientIdentity(certificate: chain, privateKey: key) }
        for (certificate, privateKey, member) in [
            ("nonsense", key, "certificate"), (key, key, "certificate"), ("", key, "certificate"),
            (chain, "nonsense", "private_key"), (chain, chain, "private_key"), (chain, key, "private_key"),
        ] {
            do throws(ClientIdentity.Fault) {
                _ = try ClientIdentity(certificate: certificate, privateKey: privateKey)
                Issue.record("it was taken")
            } catch {
                #expect(error.member == member)
            }
        }
        let own = try ClientIdentity(certificate: chain, privateKey: try one.keyText())
        let text = ClientIdentity.text(certificate: chain, privateKey: try one.keyText())
        #expect(try ClientIdentity(text: text).fingerprint == own.fingerprint)
        #expect(own.fingerprint.count == 64)
    }

    @Test(arguments: [
        [ReceiverStep.bytes, .send("HTTP/1.1 400 Bad Request\r\n\r\n")], [.bytes, .close], [.bytes, .reset],
    ])
    func `a receiver that does not speak TLS is told as such`(script: [ReceiverStep]) async throws {
        let receiver = try await ScriptedReceiver([script])
        try await withSender { sender in
            let outcome = await sender.send(try .sample("https://receiver.test:\(receiver.port)/"))
            #expect(outcome.failure?.code == .tls)
        }
        try await receiver.stop()
    }
}
