import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import TocsinDelivery

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

@Suite(.timeLimit(.minutes(5)))
struct WebhookSenderTests {
    // MARK: Receivers that answer

    @Test
    func `a 200 is a success and says where the time went`() async throws {
        let (outcome, seen) = try await outcome(
            of: [.request, .send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")]
        )

        #expect(outcome.isSuccess)
        #expect(outcome.status == 200)
        #expect(outcome.body == Array("ok".utf8))
        #expect(outcome.contentType == "text/plain")
        #expect(outcome.address?.hasPrefix("127.0.0.1:") == true)
        #expect(outcome.timing.connect != nil)
        #expect(outcome.timing.tls == nil)
        #expect(outcome.timing.firstByte != nil)
        #expect(try #require(outcome.timing.wroteAt) < outcome.timing.total)
        #expect(seen.requests.count == 1)
        #expect(seen.requests.first?.hasPrefix("POST /hook?a=1 HTTP/1.1\r\nHost: 127.0.0.1:") == true)
        #expect(seen.requests.first?.hasSuffix("webhook-id: evt_1\r\n\r\n{\"type\":\"test.ping\"}") == true)
    }

    @Test
    func `a connection is kept for the next request`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok), .request, .send(ok), .request, .send(ok)]])
        try await withSender { sender in
            for number in 0..<3 {
                let outcome = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/"))
                #expect(outcome.isSuccess)
                #expect(outcome.reusedConnection == (number > 0))
            }
        }
        #expect(receiver.seen.connections == 1)
        #expect(receiver.seen.requests.count == 3)
        try await receiver.stop()
    }

    @Test
    func `connections are not shared between hosts`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        try await withSender { sender in
            for host in ["one.test", "two.test"] {
                let outcome = await sender.send(try .sample("http://\(host):\(receiver.port)/"))
                #expect(outcome.isSuccess)
                #expect(!outcome.reusedConnection)
            }
        }
        #expect(receiver.seen.connections == 2)
        #expect(receiver.seen.requests.last?.contains("Host: two.test:") == true)
        try await receiver.stop()
    }

    @Test
    func `many requests at once all end, each on a connection of its own or a kept one`() async throws {
        let script = Array(repeating: [ReceiverStep.request, .send(ok)], count: 200).flatMap { $0 }
        let receiver = try await ScriptedReceiver([script])
        try await withSender { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(receiver.port)/")
            let successes = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<200 { group.addTask { await sender.send(request).isSuccess } }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(successes == 200)
        }
        #expect(receiver.seen.requests.count == 200)
        try await receiver.stop()
    }

    @Test(arguments: [301, 302, 307, 308])
    func `a redirect is not followed`(status: Int) async throws {
        let target = try await ScriptedReceiver([[.request, .send(ok)]])
        let (outcome, _) = try await outcome(
            of: [
                .request,
                .send(
                    "HTTP/1.1 \(status) Go\r\nLocation: http://127.0.0.1:\(target.port)/\r\nContent-Length: 0\r\n\r\n"
                ),
            ]
        )

        #expect(outcome.status == status)
        #expect(outcome.failure == nil)
        #expect(!outcome.isSuccess)
        #expect(target.seen.connections == 0)
        try await target.stop()
    }

    @Test
    func `Retry-After is passed through`() async throws {
        let (outcome, _) = try await outcome(
            of: [.request, .send("HTTP/1.1 503 Busy\r\nRETRY-AFTER:  120 \r\nContent-Length: 0\r\n\r\n")]
        )

        #expect(outcome.status == 503)
        #expect(outcome.retryAfter == "120")
        #expect(!outcome.isSuccess)
    }

    @Test
    func `an answer that comes before the whole request was sent costs the connection`() async throws {
        let receiver = try await ScriptedReceiver([
            [.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")], [.request, .send(ok)],
        ])
        try await withSender { sender in
            let large = String(repeating: "x", count: 16 * 1024 * 1024)
            let first = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/", body: large))
            #expect(first.status == 413)

            let second = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/"))
            #expect(second.isSuccess)
            #expect(!second.reusedConnection)
        }
        try await receiver.stop()
    }

    @Test
    func `an idle connection is closed after its time`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        var limits = WebhookSender.Limits.patient
        limits.idle = .milliseconds(50)
        try await withSender(limits: limits) { sender in
            #expect(await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/")).isSuccess)

            try await receiver.firstClosed.futureResult.get()
        }
        try await receiver.stop()
    }

    @Test
    func `no more connections are kept idle than allowed`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        var limits = WebhookSender.Limits.patient
        limits.idlePerHost = 0
        try await withSender(limits: limits) { sender in
            for _ in 0..<2 {
                let outcome = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/"))
                #expect(outcome.isSuccess)
                #expect(!outcome.reusedConnection)
            }
        }
        try await receiver.stop()
    }

    // MARK: Connections that end

    @Test
    func `a kept connection that turns out closed is replaced once`() async throws {
        let receiver = try await ScriptedReceiver([
            [.request, .send(ok), .request, .close],
            [.request, .send(ok), .request, .reset],
            [.request, .close],
        ])
        try await withSender { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(receiver.port)/")
            #expect(await sender.send(request).isSuccess)

            let second = await sender.send(request)
            #expect(second.isSuccess)
            #expect(!second.reusedConnection)
            #expect(receiver.seen.connections == 2)

            let third = await sender.send(request)
            #expect(third.failure?.code == .closedEarly)
            #expect(receiver.seen.connections == 3)
        }
        let bodies = receiver.seen.requests
        #expect(bodies.count == 5)
        #expect(Set(bodies).count == 1)
        try await receiver.stop()
    }

    @Test
    func `a fresh connection that is closed without an answer is not retried`() async throws {
        let (outcome, seen) = try await outcome(of: [.request, .close], [.request, .send(ok)])

        #expect(outcome.failure?.code == .closedEarly)
        #expect(outcome.status == nil)
        #expect(seen.connections == 1)
    }

    @Test
    func `a kept connection that breaks within the answer is not retried`() async throws {
        let receiver = try await ScriptedReceiver([
            [.request, .send(ok), .request, .send("HTTP/1.1 200 OK\r\n"), .close], [.request, .send(ok)],
        ])
        try await withSender { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(receiver.port)/")
            #expect(await sender.send(request).isSuccess)
            #expect(await sender.send(request).failure?.code == .closedEarly)
        }
        #expect(receiver.seen.connections == 1)
        try await receiver.stop()
    }

    @Test
    func `bytes after an answer never meet the next request`() async throws {
        let receiver = try await ScriptedReceiver([
            [.request, .send(ok + "HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n")], [.request, .send(ok)],
        ])
        try await withSender { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(receiver.port)/")
            #expect(await sender.send(request).isSuccess)
            let second = await sender.send(request)
            #expect(second.isSuccess)
            #expect(!second.reusedConnection)
        }
        try await receiver.stop()
    }

    @Test
    func `a reset is told as one`() async throws {
        let (outcome, _) = try await outcome(of: [.request, .reset])

        #expect(outcome.failure?.code == .reset)
    }

    @Test
    func `a half close instead of an answer ends the attempt`() async throws {
        let (outcome, _) = try await outcome(of: [.request, .halfClose])

        #expect(outcome.failure?.code == .closedEarly)
    }

    @Test
    func `a half close within the body keeps the status but is no success`() async throws {
        let (outcome, _) = try await outcome(
            of: [.request, .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"), .halfClose]
        )

        #expect(outcome.failure?.code == .closedEarly)
        #expect(outcome.status == 200)
        #expect(outcome.body == Array("part".utf8))
        #expect(!outcome.isSuccess)
    }

    @Test
    func `a refused connection is told as one`() async throws {
        let receiver = try await ScriptedReceiver([[]])
        let port = receiver.port
        try await receiver.stop()
        try await withSender { sender in
            let outcome = await sender.send(try .sample("http://127.0.0.1:\(port)/"))
            #expect(outcome.failure == WebhookFailure(.connect, "The receiver refused the connection."))
            #expect(outcome.address == "127.0.0.1:\(port)")
        }
    }

    @Test
    func `the next address is tried when one refuses`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        try await withSender(resolver: ListResolver([["127.0.0.2", "::1", "127.0.0.1"]])) { sender in
            let outcome = await sender.send(try .sample("http://receiver.test:\(receiver.port)/"))
            #expect(outcome.isSuccess)
            #expect(outcome.address == "127.0.0.1:\(receiver.port)")
        }
        try await receiver.stop()
    }

    @Test
    func `shutdown ends what is under way`() async throws {
        let receiver = try await ScriptedReceiver([[.request]])
        try await withSender { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(receiver.port)/")
            async let waiting = sender.send(request)
            await sender.shutdown()
            #expect(await waiting.failure?.code == .stopped)
            #expect(await sender.send(request).failure?.code == .stopped)
        }
        try await receiver.stop()
    }

    // MARK: Hostile receivers

    @Test(arguments: [
        [ReceiverStep.request],
        [],
        [.request, .send("HTTP/1.1 200 OK\r\nContent-")],
        [.request, .drip("HTTP/1.1 200 OK\r\n\(String(repeating: "A: b\r\n", count: 99))", every: .milliseconds(5))],
    ])
    func `a receiver that stalls before the end of the head is left at the deadline`(
        script: [ReceiverStep]
    )
        async throws
    {
        let (outcome, _) = try await outcome(of: script, limits: .short())

        #expect(outcome.failure?.code == .timeout)
        #expect(outcome.status == nil)
        #expect(outcome.timing.total >= .milliseconds(200))
        #expect(outcome.timing.total < .seconds(5))
    }

    @Test
    func `a body that drips is left at the deadline, and what came of it is kept`() async throws {
        let (outcome, _) = try await outcome(
            of: [
                .request, .send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                .drip(String(repeating: "x", count: 1000), every: .milliseconds(10)),
            ],
            limits: .short(total: .milliseconds(500))
        )

        #expect(outcome.failure?.code == .timeout)
        #expect(outcome.status == 200)
        #expect(!outcome.body.isEmpty)
        #expect(!outcome.isSuccess)
    }

    @Test
    func `endless informational responses are cut off`() async throws {
        let (outcome, _) = try await outcome(of: [.request, .endless("HTTP/1.1 100 Continue\r\n\r\n")])

        #expect(outcome.failure?.code == .badResponse)
    }

    @Test
    func `endless headers are cut off`() async throws {
        let (outcome, _) = try await outcome(
            of: [.request, .send("HTTP/1.1 200 OK\r\n"), .endless("X-Filler: abcdefgh\r\n")]
        )

        #expect(outcome.failure?.code == .headersTooLarge)
    }

    @Test
    func `one endless header line is cut off`() async throws {
        let (outcome, _) = try await outcome(
            of: [.request, .send("HTTP/1.1 200 OK\r\nX-Filler: "), .endless(String(repeating: "a", count: 4096))]
        )

        #expect(outcome.failure?.code == .headersTooLarge)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
    ])
    func `an endless body is cut off and judged by its status`(head: String) async throws {
        let receiver = try await ScriptedReceiver([
            [.request, .send(head), .endless(String(repeating: "a", count: 4096))]
        ])
        try await withSender { sender in
            let outcome = await sender.send(try .sample("http://127.0.0.1:\(receiver.port)/"))
            #expect(outcome.isSuccess)
            #expect(outcome.body.count == ResponseParser.bodyKeptMax)

            try await receiver.firstClosed.futureResult.get()
        }
        try await receiver.stop()
    }

    @Test
    func `something that is not HTTP is a bad response`() async throws {
        let (outcome, _) = try await outcome(of: [.send("220 mail.example ESMTP\r\n")])

        #expect(outcome.failure?.code == .badResponse)
        #expect(outcome.status == nil)
    }

    @Test
    func `an injected header is refused before anything is sent`() async throws {
        let receiver = try await ScriptedReceiver([[.request, .send(ok)]])
        try await withSender { sender in
            let outcome = await sender.send(
                try .sample("http://127.0.0.1:\(receiver.port)/", headers: [("X-A", "b\r\nX-Evil: 1")])
            )
            #expect(outcome.failure?.code == .invalidRequest)
        }
        #expect(receiver.seen.connections == 0)
        try await receiver.stop()
    }
}
