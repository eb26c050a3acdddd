import Synchronization
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// Relays over the real ledger: their end, and how those who switch them are told (decisions §7).
@Suite(.timeLimit(.minutes(5))) struct RelayCommandTests {
    private static let start = LedgerWorld.start

    @Test func `a relay is told on, and off at its end`() async throws {
        try await withRelays { stage in
            let relay = try await stage.relay("Siren")
            #expect(try await stage.order(.activate(seconds: 30), relay) == .activated)

            let on = await stage.bridge.next()
            #expect(on.order == .on(until: Self.start + .seconds(30), seconds: 30))
            await stage.clock.waitForSleeper(until: Self.start + .seconds(30) + DeadlineTimer.settleTime)
            stage.clock.move(to: Self.start + .seconds(30) + DeadlineTimer.settleTime)

            let off = await stage.bridge.next()
            #expect(off.order == .off && off.relayID == relay)
            _ = try await stage.command(of: relay, once: .sent)
            #expect(try await stage.state(of: relay) == nil)
            let actions = try await stage.audit().prefix(2).map(\.action)
            #expect(actions == ["relay.end", "relay.activate"])
        }
    }

    @Test func `a relay goes off at its time though the server restarted in between`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let known = Mutex<RelayID?>(nil)
        try await withRelays(ledger: ledger, world: world) { stage in
            let relay = try await stage.relay("Siren")
            known.withLock { $0 = relay }
            try await stage.order(.activate(seconds: 30), relay)
            _ = try await stage.command(of: relay, once: .sent)
        }
        let relay = try #require(known.withLock { $0 })

        try await withRelays(ledger: ledger, world: world, startingAfter: .seconds(10)) { stage in
            let end = Self.start + .seconds(30)
            let before = try await stage.state(of: relay)
            #expect(before?.until == end)
            await stage.clock.waitForSleeper(until: end + DeadlineTimer.settleTime)
            stage.clock.move(to: end + DeadlineTimer.settleTime)
            let command = await stage.bridge.next()
            #expect(command.order == .off)
            let after = try await stage.state(of: relay)
            #expect(after == nil)
        }
    }

    @Test func `a relay whose time ran out while the server was down goes off when it is back`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let known = Mutex<RelayID?>(nil)
        try await withRelays(ledger: ledger, world: world) { stage in
            let relay = try await stage.relay("Siren")
            known.withLock { $0 = relay }
            try await stage.order(.activate(seconds: 30), relay)
        }
        let relay = try #require(known.withLock { $0 })

        try await withRelays(ledger: ledger, world: world, startingAfter: .seconds(9_999)) { stage in
            while await stage.bridge.next().order != .off {}
            let after = try await stage.state(of: relay)
            #expect(after == nil)
        }
    }

    @Test func `a command that an ended program had under way is sent by the next under the same id`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let broken = Mutex<RelayCommand?>(nil)
        try await withRelays(ledger: ledger, world: world) { stage in
            let relay = try await stage.relay("Siren")
            stage.bridge.hold { _ in true }
            try await stage.order(.activate(seconds: 600), relay)
            let sent = await stage.bridge.next()
            broken.withLock { $0 = sent }
        }
        let first = try #require(broken.withLock { $0 })

        try await withRelays(ledger: ledger, world: world, startingAfter: .seconds(5)) { stage in
            let again = await stage.bridge.next()
            #expect(again.id == first.id && again.body == first.body)
            let sent = try await stage.command(of: first.relayID, once: .sent)
            #expect(sent.attempts == 1)
        }
    }

    @Test func `a failed command is tried again with the same id, until it comes through`() async throws {
        try await withRelays { stage in
            let relay = try await stage.relay("Siren")
            stage.bridge.fail(2)
            try await stage.order(.activate(seconds: 60), relay)

            let first = await stage.bridge.next()
            for pause in [1, 3] {
                let due = Self.start + .seconds(pause)
                await stage.clock.waitForSleeper(until: due)
                stage.clock.move(to: due)
                #expect(await stage.bridge.next().id == first.id)
            }
            let sent = try await stage.command(of: relay, once: .sent)
            #expect(sent.attempts == 3 && sent.lastError == nil)
        }
    }

    @Test func `a command that is of no use any more is given up, and that is audited`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let known = Mutex<RelayID?>(nil)
        try await withRelays(ledger: ledger, world: world) { stage in
            let relay = try await stage.relay("Siren")
            known.withLock { $0 = relay }
            stage.bridge.fail(1)
            try await stage.order(.deactivate, relay)
            await stage.clock.waitForSleeper(until: Self.start + .seconds(1))
        }
        let relay = try #require(known.withLock { $0 })

        try await withRelays(ledger: ledger, world: world, startingAfter: RelayCommand.offLifetime) { stage in
            let given = try await stage.command(of: relay, once: .failed)
            #expect(given.attempts == 1)
            let entry = try await stage.audit().first { $0.action == "relay.command" }
            #expect(entry?.result == "undelivered" && entry?.target == relay.text)
            #expect(entry?.siteID == world.site.id)
        }
    }

    @Test func `a newer command waits for the older of its relay, and none is sent after it`() async throws {
        try await withRelays { stage in
            let relay = try await stage.relay("Siren")
            stage.bridge.hold { $0.order != .off }
            try await stage.order(.activate(seconds: 60), relay)
            let on = await stage.bridge.next()
            // Two more while the first is under way: the last alone is sent.
            try await stage.order(.activate(seconds: 90), relay)
            try await stage.order(.deactivate, relay)
            let other = try await stage.relay("Gate")
            try await stage.order(.deactivate, other)
            #expect(await stage.bridge.next().relayID == other)

            stage.bridge.release()

            let off = await stage.bridge.next()
            #expect(off.relayID == relay && off.order == .off && off.id != on.id)
            _ = try await stage.command(of: relay, once: .sent)
        }
    }

    @Test func `a command that ends while the ledger is asked what is due is not sent anew`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let slow = SlowReading(ledger)
        try await withRelays(ledger: slow, world: world) { stage in
            let relay = try await stage.relay("Siren")
            stage.bridge.hold { $0.relayID == relay }
            try await stage.order(.activate(seconds: 60), relay)
            #expect(await stage.bridge.next().relayID == relay)

            slow.hold()
            let other = try await stage.relay("Gate")
            try await stage.order(.deactivate, other)
            await slow.waitForHeld(1)
            stage.bridge.release()
            while try await ledger.read({ try $0.lastCommand(of: relay, within: .platform) })?.state != .sent {
                await Task.yield()
            }
            // The service is told of the end a moment later.
            for _ in 0..<1_000 { await Task.yield() }
            slow.letGo()

            #expect(await stage.bridge.next().relayID == other)
            _ = try await stage.command(of: other, once: .sent)
            #expect(try await stage.command(of: relay, once: .sent).attempts == 1)
        }
    }

    @Test func `bridges that never answer hold up no other site`() async throws {
        try await withRelays { stage in
            let (hostile, _) = try await stage.world.addSite("Hostile")
            stage.bridge.hold { $0.siteID == hostile.id }
            for number in 0..<(RelayCommandService.concurrencyPerSite * 3) {
                let relay = try await stage.relay("Relay \(number)", at: hostile)
                try await stage.order(.deactivate, relay, at: hostile)
            }
            for _ in 0..<RelayCommandService.concurrencyPerSite {
                #expect(await stage.bridge.next().siteID == hostile.id)
            }

            let relay = try await stage.relay("Siren")
            try await stage.order(.activate(seconds: 30), relay)

            #expect(await stage.bridge.next().relayID == relay)
            _ = try await stage.command(of: relay, once: .sent)
        }
    }

    @Test func `a partner's alarm switches by rule, in the order of the log`() async throws {
        try await withRelays { stage in
            let relay = try await stage.relay("Siren", rules: [RelayRule(durationSeconds: 60)])
            let zone = Fixture(
                id: stage.world.random.id(ZoneNoun.self, at: Self.start).text,
                siteID: stage.world.site.id,
                kind: .zone,
                number: 1,
                name: "Smoke",
                settings: ["type": .string(ZoneType.h24Fire.rawValue)]
            )
            try await stage.ledger.write { try $0.insert(zone) }
            let request = Request(
                siteID: stage.world.site.id,
                reach: .platform,
                actor: AuditEntry.Actor(.partner, stage.world.partner.id.text),
                receivedAt: stage.clock.now,
                requestID: "req_test"
            )
            let signal = Signal(origin: .number(1), kind: .open, timestamp: stage.clock.now)
            _ = try await stage.engine.signals(SignalBatch([signal], request: request) { _ in [] })

            let on = await stage.bridge.next()
            #expect(on.relayID == relay && on.order == .on(until: Self.start + .seconds(60), seconds: 60))
            let dealer = stage.world.dealer.id
            let log = try await stage.ledger.read { try $0.events(of: dealer, after: 0, limit: 99) }
            #expect(log.map(\.type) == [.alarmCreated, .relayActivated])
            let body = String(decoding: log[1].body, as: UTF8.self)
            #expect(body.contains("\"trigger\":\"alarm.created:A-1\""))
        }
    }
}
