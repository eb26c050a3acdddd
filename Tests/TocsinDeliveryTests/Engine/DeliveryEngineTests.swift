import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinLedger
import TocsinTestSupport

@Suite(.timeLimit(.minutes(5))) struct `Delivery engine` {
    @Test func `an event is signed, sent and recorded`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(headers: ["X-Api-Key": "hunter2"])
        let running = RunningEngine(world)
        let event = try await world.append()[0]
        running.engine.published([event])
        await running.attempts(1)

        let sent = try #require(running.sender.sent.first)
        #expect(sent.url == "https://a.example.com/hook")
        #expect(sent.body == String(decoding: event.body, as: UTF8.self))
        let signatures = Signer(secrets: [Signatures.secrets[0]])
            .sign(id: event.id.text, timestamp: "1790000000", body: event.body, at: world.clock.now)
        #expect(
            sent.headers == [
                "X-CHeKT-Signature": signatures?.chekt, "X-CHeKT-Timestamp": "1790000000",
                "X-CHeKT-Event-Id": event.id.text, "X-CHeKT-Event-Type": "partition.armed",
                "X-CHeKT-Delivery-Id": DeliveryID(of: event.id, to: endpoint).text, "X-CHeKT-Sequence": "1",
                "webhook-id": event.id.text, "webhook-timestamp": "1790000000",
                "webhook-signature": signatures?.standard, "X-Api-Key": "hunter2",
            ]
        )
        let attempt = try #require(try await world.attempts(event, endpoint).first)
        #expect(attempt.succeeded && attempt.status == 200 && attempt.address == "192.0.2.1:443")
        #expect(attempt.requestHeaders.contains("webhook-signature: <redacted>\n"))
        #expect(attempt.requestHeaders.contains("X-Api-Key: <redacted>\n"))
        #expect(!attempt.requestHeaders.contains("v1") && !attempt.requestHeaders.contains("hunter2"))
        #expect(try await world.cursor(endpoint) == 1)
        #expect(try await world.row(event, endpoint) == nil)
        try await running.stop()
    }

    @Test func `a receiver that fails five times gets the same bytes under the same id`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { _, before in before < 5 ? .status(500) : .status(204) }
        let event = try await world.append()[0]
        running.engine.published([event])
        for attempt in 1...5 {
            await running.attempts(attempt)
            let row = try await world.row(event, endpoint)
            #expect(row?.state == .retrying && row?.attempts == attempt)
            await running.move(to: row?.nextAttemptAt)
        }
        await running.attempts(6)
        #expect(Set(running.sender.sent.map(\.id)) == [event.id.text])
        #expect(Set(running.sender.sent.map(\.body)).count == 1)
        #expect(Set(running.sender.sent.map { $0.headers["webhook-timestamp"] }).count == 6)
        #expect(try await world.row(event, endpoint)?.state == .delivered)
        #expect(try await world.attempts(event, endpoint).map(\.number) == Array(1...6))
        #expect(try await world.attempts(event, endpoint).first?.failure == "server_error")
        #expect(try await world.stored(endpoint)?.failingSince == nil)
        try await running.stop()
    }

    @Test func `410 disables the endpoint, tells the app's others, and enabling goes on`() async throws {
        let world = try await DeliveryWorld()
        let gone = try await world.endpoint("gone", events: [.partitionArmed])
        let other = try await world.endpoint("other", events: [.endpointDisabled])
        let running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.url.contains("gone") ? .status(410) : .status(200) }
        let first = try await world.append()[0]
        running.engine.published([first])
        await running.attempts(2)
        #expect(running.sender.sent.last?.headers["X-CHeKT-Event-Type"] == "endpoint.disabled")
        #expect(running.sender.sent.last?.url.contains("other") == true)
        #expect(try await world.stored(gone)?.disabledReason == "gone")
        #expect(try await world.row(first, gone)?.state == .dead)

        let second = try await world.append()
        running.engine.published(second)
        await running.engine.flush()
        #expect(running.sender.sent.count == 2)
        await #expect(throws: DeliveryError.self) { try await running.engine.sendTest(gone) }

        running.sender.answer { _, _ in .status(200) }
        try await world.change(gone) { endpoint in
            endpoint.isEnabled = true
            endpoint.disabledReason = nil
        }
        await running.engine.endpointChanged(gone)
        await running.attempts(3)
        #expect(running.sender.sent.last?.id == second[0].id.text)
        #expect(try await world.cursor(gone) == second[0].sequence)
        #expect(try await world.cursor(other) == second[0].sequence)
        try await running.stop()
    }

    @Test func `a pause that an overloaded receiver asks for is kept`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { _, before in before == 0 ? .status(503, retryAfter: "120") : .status(200) }
        let event = try await world.append()[0]
        running.engine.published([event])
        await running.attempts(1)
        let due = try await world.row(event, endpoint)?.nextAttemptAt
        #expect(due == world.clock.now + .seconds(120))
        await running.move(to: due)
        await running.attempts(2)
        try await running.stop()
    }

    @Test func `a scope taken away between failure and retry withdraws the delivery`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        running.sender.answer { _, _ in .noAnswer }
        let event = try await world.append()[0]
        running.engine.published([event])
        await running.attempts(1)
        #expect(try await world.attempts(event, endpoint).first?.failure == "connect")
        let (app, dealer) = (world.app, world.dealer)
        try await world.ledger.write { transaction in
            guard var record = try transaction.app(app, within: .dealer(dealer)) else { return }
            record.scopes = [.eventsRead]
            try transaction.update(record)
        }
        await running.engine.appChanged(world.app)
        await running.move(to: try await world.row(event, endpoint)?.nextAttemptAt)
        await running.settlements.wait(forSettled: 1)
        await running.engine.flush()
        #expect(try await world.row(event, endpoint)?.state == .withdrawn)
        #expect(running.sender.sent.count == 1)
        try await running.stop()
    }

    @Test func `while secrets overlap both sign`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        let secret = try world.secret(of: endpoint, Signatures.secrets[1])
        try await world.ledger.write { try $0.insert(secret) }
        await running.engine.endpointChanged(endpoint)
        let event = try await world.append()[0]
        running.engine.published([event])
        await running.attempts(1)
        let both = Signer(secrets: Signatures.secrets.reversed())
            .sign(id: event.id.text, timestamp: "1790000000", body: event.body, at: world.clock.now)
        #expect(running.sender.sent.first?.headers["X-CHeKT-Signature"] == both?.chekt)
        #expect(running.sender.sent.first?.headers["webhook-signature"] == both?.standard)
        try await running.stop()
    }

    @Test func `a test goes to its endpoint alone and is delivered`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint("a", events: [.alarmCreated])
        _ = try await world.endpoint("b")
        let collector = EventCollector()
        let running = RunningEngine(world, sinks: [collector])
        let event = try await running.engine.sendTest(endpoint)
        await running.attempts(1)
        #expect(running.sender.sent.map(\.url) == ["https://a.example.com/hook"])
        #expect(running.sender.sent.first?.headers["X-CHeKT-Event-Type"] == "test.ping")
        #expect(collector.events == [event])
        await #expect(throws: DeliveryError.self) {
            try await running.engine.sendTest(EndpointID(stored: "ep_unknown"))
        }
        try await running.stop()
    }

    @Test func `failing for an hour is told once to the app's other endpoints only`() async throws {
        let world = try await DeliveryWorld()
        let failing = try await world.endpoint("failing")
        _ = try await world.endpoint("other", events: [.endpointFailing])
        _ = try await world.endpoint("partner", owner: .partner(world.partner), events: [.endpointFailing])
        var running = RunningEngine(world)
        running.sender.answer { sent, _ in sent.url.contains("failing") ? .status(500) : .status(200) }
        let event = try await world.append()[0]
        running.engine.published([event])
        var attempts = 1
        await running.attempts(attempts)
        while let due = try await world.row(event, failing)?.nextAttemptAt, due < LedgerWorld.start + .seconds(3600) {
            await running.move(to: due)
            attempts += 1
            await running.attempts(attempts)
        }
        await running.move(to: LedgerWorld.start + .seconds(3600))
        await running.attempts(attempts + 1)
        let notice = try #require(running.sender.sent.last)
        #expect(notice.url.contains("other"))
        #expect(notice.headers["X-CHeKT-Event-Type"] == "endpoint.failing")
        #expect(notice.body.contains(failing.text))
        try await running.stop()

        // After a restart it is known that this was told.
        running = RunningEngine(world)
        await running.engine.flush()
        let last = try await world.ledger.read { [dealer = world.dealer] in try $0.lastSequence(of: dealer) }
        #expect(last == 2)
        #expect(running.sender.sent.isEmpty)
        try await running.stop()
    }

    @Test func `a client certificate that expires is told of 30, 7 and 1 days before, once each, over restarts too`()
        async throws
    {
        let world = try await DeliveryWorld()
        let guarded = try await world.endpoint("guarded")
        _ = try await world.endpoint("other", events: [.endpointFailing])
        let end = LedgerWorld.start + .seconds(40 * 86_400)
        try await world.change(guarded) {
            $0.clientCertificate = ClientCertificate(sealed: [1], fingerprint: "f", expiresAt: end)
        }
        var running = RunningEngine(world)
        for (number, days) in [30, 7, 1].enumerated() {
            await running.move(to: end - .seconds(days * 86_400))
            await running.attempts(1)
            let notice = try #require(running.sender.sent.last)
            #expect(notice.url.contains("other") && notice.headers["X-CHeKT-Event-Type"] == "endpoint.failing")
            #expect(notice.body.contains(guarded.text) && notice.body.contains("certificate_expiring"))
            #expect(notice.body.contains(end.rfc3339Seconds))
            try await running.stop()
            running = RunningEngine(world)
            await running.engine.flush()
            let last = try await world.ledger.read { [dealer = world.dealer] in try $0.lastSequence(of: dealer) }
            #expect(last == Int64(number + 1), "told again, or not at all")
        }
        #expect(try await world.stored(guarded)?.isEnabled == true)

        // Another one is watched at once, from where it stands.
        let next = world.clock.now + .seconds(5 * 86_400)
        try await world.change(guarded) { $0.clientCertificate?.expiresAt = next }
        await running.engine.endpointChanged(guarded)
        await running.attempts(1)
        #expect(running.sender.sent.last?.body.contains(next.rfc3339Seconds) == true)
        try await world.change(guarded) { $0.clientCertificate = nil }
        await running.engine.endpointChanged(guarded)
        try await running.stop()
    }

    @Test func `a partner gets its own sites' events with the dealer's id`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint(owner: .partner(world.partner))
        let running = RunningEngine(world)
        let other = try await world.append(site: world.otherSite)
        let own = try await world.append()
        running.engine.published(other + own)
        await running.attempts(1)
        #expect(running.sender.sent.map(\.id) == [own[0].id.text])
        #expect(running.sender.sent.first?.headers["X-CHeKT-Dealer-Id"] == world.dealer.text)
        #expect(try await world.cursor(endpoint) == 2)
        try await running.stop()
    }

    @Test func `resending sends a delivered event once more`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint()
        let running = RunningEngine(world)
        let event = try await world.append()[0]
        running.engine.published([event])
        await running.attempts(1)
        try await running.engine.resend(event.position, to: endpoint)
        await running.attempts(2)
        #expect(try await world.row(event, endpoint)?.state == .delivered)
        #expect(try await world.attempts(event, endpoint).map(\.number) == [1, 2])
        let unknown = EventPosition(dealerID: world.dealer, sequence: 99)
        await #expect(throws: DeliveryError.self) { try await running.engine.resend(unknown, to: endpoint) }
        try await running.stop()
    }

    @Test func `a deleted endpoint gets nothing more`() async throws {
        let world = try await DeliveryWorld()
        let endpoint = try await world.endpoint("a")
        _ = try await world.endpoint("b")
        let running = RunningEngine(world)
        await running.engine.flush()
        try await world.ledger.write { try $0.deleteEndpoint(endpoint) }
        await running.engine.endpointDeleted(endpoint)
        running.engine.published(try await world.append())
        await running.attempts(1)
        #expect(running.sender.sent.map(\.url) == ["https://b.example.com/hook"])
        try await running.stop()
    }
}
