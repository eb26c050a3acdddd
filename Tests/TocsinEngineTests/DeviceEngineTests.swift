import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// Devices over the real ledger: silence, return, what a restart remembers (decisions §7).
@Suite(.timeLimit(.minutes(5))) struct DeviceEngineTests {
    private static let camera = DeviceID(stored: "dev_camera")

    @Test func `a device is offline a minute after its last sign, once, and comes back with its downtime`() async throws
    {
        try await withDevices { stage in
            let start = stage.start
            #expect(try await stage.saw(Self.camera).isEmpty)
            await stage.clock.waitForSleeper(until: start + .seconds(60))
            stage.clock.move(to: start + .seconds(60))
            await stage.collector.wait(for: .deviceOffline)
            #expect(try await stage.view(Self.camera) == DeviceView(status: .offline, lastSeenAt: start))
            #expect(try await stage.zone()?.condition == .unknown)

            stage.clock.move(to: start + .milliseconds(142_900))
            _ = try await stage.saw(Self.camera)
            await stage.collector.wait(for: .deviceOnline)
            let device = "\"device_id\":\"dev_camera\",\"site_id\":\"\(stage.world.site.id)\""
            let told = try await stage.told()
            #expect(told.count == 2)
            #expect(told.first?.contains("{\(device),\"last_seen_at\":\"\(start.rfc3339Seconds)\"}") == true)
            #expect(
                told.last?.contains("{\(device),\"previous_status\":\"offline\",\"downtime_seconds\":142}") == true
            )
            #expect(try await stage.zone()?.condition == .closed)
            #expect(try await stage.audit().map(\.action) == ["device.online", "device.offline"])
        }
    }

    @Test func `a device that flaps within the minute tells nothing`() async throws {
        try await withDevices { stage in
            for turn in 0..<5 {
                _ = try await stage.saw(Self.camera)
                if turn == 0 { await stage.clock.waitForSleeper(until: stage.start + .seconds(60)) }
                stage.clock.advance(by: .milliseconds(59_999))
                // Each look finds nobody, and sets the clock for the next one.
                if turn > 0 { await stage.clock.waitForSleeper(until: stage.clock.now + .milliseconds(250)) }
            }
            #expect(try await stage.log().isEmpty)
        }
    }

    @Test func `a restart counts from its own start, and tells the true last sign`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        try await withDevices(ledger: ledger, world: world) { stage in
            _ = try await stage.saw(Self.camera)
            await stage.clock.waitForSleeper(until: start + SightingKeeper.interval)
            stage.clock.advance(by: SightingKeeper.interval)
            // The keeper sleeps no more; what it keeps is seen below, or is kept when it stops.
        }
        try await withDevices(ledger: ledger, world: world, startingAfter: .seconds(3_600), adds: false) {
            (stage) async throws in
            let grace = start + .seconds(3_660)
            await stage.clock.waitForSleeper(until: grace)
            #expect(try await stage.view(Self.camera) == DeviceView(status: .online, lastSeenAt: start))
            stage.clock.move(to: grace)
            await stage.collector.wait(for: .deviceOffline)
            #expect(try await stage.told().first?.contains(start.rfc3339Seconds) == true)
        }
        try await withDevices(ledger: ledger, world: world, startingAfter: .seconds(7_200), adds: false) { stage in
            _ = try await stage.saw(Self.camera)
            await stage.collector.wait(for: .deviceOnline)
            #expect(try await stage.told().last?.contains("\"downtime_seconds\":7200") == true)
            #expect(try await stage.log().count == 2)
        }
        try await ledger.close()
    }

    @Test func `a silence that the full ledger refuses is tried again`() async throws {
        try await withDevices { stage in
            _ = try await stage.saw(Self.camera)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(60))
            stage.faults.failNextCommit(with: LedgerError(.full, "no space"))
            stage.clock.move(to: stage.start + .seconds(60))
            await stage.clock.waitForSleeper(until: stage.start + .seconds(61))
            #expect(try await stage.log().isEmpty)
            stage.clock.move(to: stage.start + .seconds(61))
            await stage.collector.wait(for: .deviceOffline)

            stage.faults.failNextCommit(with: LedgerError(.full, "no space"))
            _ = try await stage.saw(Self.camera)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(62))
            stage.clock.move(to: stage.start + .seconds(62))
            await stage.collector.wait(for: .deviceOnline)
            #expect(try await stage.log().count == 2)
        }
    }

    @Test func `a signal of a zone is a sign of its device`() async throws {
        try await withDevices { stage in
            let signal = Signal(origin: .number(1), kind: .open, timestamp: stage.clock.now)
            let request = Request(
                siteID: stage.world.site.id,
                reach: .platform,
                actor: AuditEntry.Actor(.app, "app_1"),
                receivedAt: stage.clock.now,
                requestID: "req_1"
            )
            _ = try await stage.engine.signals(SignalBatch([signal], request: request) { _ in [] })
            // The watch sleeps until the device could be silent: it has read the devices, and taken the sign.
            await stage.clock.waitForSleeper(until: stage.start + .seconds(60))
            #expect(try await stage.view(Self.camera)?.status == .online)
        }
    }

    @Test func `many that fall silent together are all told, in bounded steps`() async throws {
        let count = 2_500
        let ids = (0..<count).map { DeviceID(stored: "dev_\($0)") }
        try await withDevices { stage in
            let site = stage.world.site.id
            let other = try await stage.world.addSite("Elsewhere").site.id
            try await stage.ledger.write { transaction in
                for (index, id) in ids.enumerated() {
                    try transaction.insert(
                        Self.device(id, "Camera \(index)", at: index.isMultiple(of: 2) ? site : other)
                    )
                }
            }
            await stage.devices.refresh()
            #expect(try await stage.saw(ids).isEmpty)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(60))
            stage.clock.move(to: stage.start + .seconds(60))
            await stage.collector.wait(for: count)
            #expect(Set(stage.collector.events.map(\.body)).count == count)
            #expect(stage.devices.count(of: .offline) == count)
        }
    }

    @Test func `a device that was deleted is unknown, and nothing is told of it`() async throws {
        try await withDevices { stage in
            _ = try await stage.saw(Self.camera)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(60))
            try await stage.ledger.write { [site = stage.world.site.id] transaction in
                try transaction.deleteFixture(Self.camera.text, of: site)
            }
            await stage.devices.refresh()
            #expect(try await stage.saw(Self.camera) == [Self.camera])
            #expect(try await stage.view(Self.camera) == nil)
            #expect(stage.devices.count(of: .online) == 0)
        }
    }

    @Test func `a zone of a partner's site follows the device that it is given`() async throws {
        try await withDevices { stage in
            #expect(stage.world.site.armingModel == .partnerTriggered)
            _ = try await stage.saw(Self.camera)
            await stage.clock.waitForSleeper(until: stage.start + .seconds(60))
            stage.clock.move(to: stage.start + .seconds(60))
            await stage.collector.wait(for: .deviceOffline)
            #expect(try await stage.zone()?.condition == .unknown)
            try await stage.ledger.write { [site = stage.world.site.id] transaction in
                var zone = try #require(try transaction.fixture("zone_1", kind: .zone, within: .platform))
                #expect(zone.siteID == site)
                zone.settings["device_id"] = nil
                try transaction.update(zone)
            }
            await stage.engine.reconfigured()
            // Whatever is decided next on the site comes after that.
            _ = try await stage.report(.armedAway)
            #expect(try await stage.zone()?.condition == .closed)
            #expect(try await stage.ledger.read { try $0.verify() } == [])
        }
    }

    // MARK: Parts

    private static func device(_ id: DeviceID, _ name: String, at site: SiteID) -> Fixture {
        Fixture(id: id.text, siteID: site, kind: .device, number: nil, name: name, settings: ["type": "camera"])
    }

    /// A stage with a camera and a zone of it.
    private func withDevices(
        ledger given: (any Ledger)? = nil,
        world givenWorld: LedgerWorld? = nil,
        startingAfter delay: Duration = .zero,
        adds: Bool = true,
        _ body: @escaping @Sendable (Stage) async throws -> Void
    ) async throws {
        let ledger = try given ?? SQLiteLedger.open(.memory)
        let world = if let givenWorld { givenWorld } else { try await LedgerWorld.make(in: ledger) }
        if adds {
            let zone = Fixture(
                id: "zone_1",
                siteID: world.site.id,
                kind: .zone,
                number: 1,
                name: "Hall",
                settings: ["type": "interior_instant", "device_id": .string(Self.camera.text)]
            )
            try await ledger.write { transaction in
                try transaction.insert(Self.device(Self.camera, "Hall camera", at: world.site.id))
                try transaction.insert(zone)
            }
        }
        try await withStage(ledger: ledger, world: world, startingAfter: delay, watchesDevices: true, body)
    }
}

extension Stage {
    fileprivate func saw(_ id: DeviceID) async throws -> [DeviceID] { try await saw([id]) }

    fileprivate func saw(_ ids: [DeviceID]) async throws -> [DeviceID] {
        try await devices.saw(ids, within: .dealer(world.dealer.id), at: clock.now)
    }

    fileprivate func view(_ id: DeviceID) async throws -> DeviceView? { try await devices.views(of: [id])[id] }

    /// The bodies of the log.
    fileprivate func told() async throws -> [String] {
        try await log().map { String(decoding: $0.body, as: UTF8.self) }
    }

    fileprivate func zone() async throws -> ZoneState? {
        try await ledger.load([world.site.id])[world.site.id]?.state.zones[ZoneID(stored: "zone_1")]
    }
}
