import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let deviceCases = [
        LedgerCase("a device gets a slot of its own, and no other gets it when it is gone", slots),
        LedgerCase("every deletion of a device is told, whoever deletes it", deletions),
        LedgerCase("what a device told is stored by the decision", changes),
        LedgerCase("a refused decision changes nothing of a device", refusedChanges),
        LedgerCase("a device is found within the caller's reach only", deviceReach),
        LedgerCase("sightings come back as they were stored, in order", storedSightings),
    ]

    private static let start = LedgerWorld.start

    private static func add(_ id: String, _ name: String, to world: LedgerWorld, site: Site? = nil) async throws {
        let fixture = Fixture(
            id: id,
            siteID: (site ?? world.site).id,
            kind: .device,
            number: nil,
            name: name,
            settings: ["type": "camera"]
        )
        try await world.ledger.write { try $0.insert(fixture) }
    }

    private static func entries(
        _ ledger: any Ledger,
        after slot: Int? = nil,
        limit: Int = 100
    ) async throws
        -> [DeviceEntry]
    {
        try await ledger.read { try $0.deviceEntries(after: slot, limit: limit) }
    }

    private static func slots(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        for number in 1...3 { try await add("dev_\(number)", "Camera \(number)", to: world) }
        let first = try await entries(ledger)
        try expectEqual(first.map(\.id.text), ["dev_1", "dev_2", "dev_3"])
        try expectEqual(first.map(\.siteID), Array(repeating: world.site.id, count: 3))
        try expectEqual(first[0].dealerID, world.dealer.id)
        try expectEqual(first[0].partnerID, world.partner.id)
        try expectEqual(try await entries(ledger, after: first[0].slot, limit: 1), [first[1]])
        try expectEqual(
            try await ledger.read { try $0.deviceEntries(of: [DeviceID(stored: "dev_3"), DeviceID(stored: "dev_x")]) },
            [first[2]]
        )

        try await ledger.write { try $0.deleteFixture("dev_3", of: world.site.id) }
        try await add("dev_4", "Camera 4", to: world)
        let fourth = try require(try await entries(ledger).last)
        try expectEqual(fourth.id.text, "dev_4")
        try expect(fourth.slot > first[2].slot, "a slot was given twice")
    }

    private static func deletions(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Elsewhere")
        let theirs = try await LedgerWorld.make(in: ledger, name: "Rival")
        try await add("dev_1", "Camera", to: world)
        try await add("dev_2", "Camera", to: world, site: other.site)
        try await add("dev_3", "Camera", to: theirs)
        let slots = try await entries(ledger).map(\.slot)

        try await ledger.write { try $0.deleteFixture("dev_1", of: world.site.id) }
        try await ledger.write { try $0.deleteSite(other.site.id) }
        try await ledger.write { try $0.deleteDealer(theirs.dealer.id) }
        let told = try await ledger.read { try $0.deletedDevices(after: 0, limit: 10) }
        try expectEqual(told.map(\.slot), slots)
        try expectEqual(try await entries(ledger), [])
        let later = try await ledger.read { try $0.deletedDevices(after: told[0].number, limit: 1) }
        try expectEqual(later.map(\.slot), [slots[1]])

        try await ledger.write { try $0.forgetDeletedDevices(upTo: told[1].number) }
        try expectEqual(try await ledger.read { try $0.deletedDevices(after: 0, limit: 10) }.map(\.slot), [slots[2]])
    }

    private static func changes(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let id = DeviceID(stored: "dev_1")
        try await add(id.text, "Camera", to: world)
        try await commit([.wentOffline(id), .toldFirmware(id, version: "1.2")], world)
        var device = try require(try await ledger.read { try $0.device(id, within: .platform) })
        try expectEqual(device.firmwareVersion, "1.2")
        try expect(device.isOffline, "the device is not offline")
        try expectEqual(device.fixture.settings["type"]?.string, "camera")
        let entry = try require(try await entries(ledger).first)
        try expect(entry.isOffline && entry.firmwareVersion == "1.2" && entry.slot == device.slot, "\(entry)")

        try await commit([.cameBack(id)], world)
        try await ledger.write { try $0.setFirmwareVersion(nil, of: id) }
        device = try require(try await ledger.read { try $0.devices(of: world.site.id, within: .platform) }.first)
        try expect(!device.isOffline && device.firmwareVersion == nil, "\(device)")
    }

    private static func refusedChanges(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let id = DeviceID(stored: "dev_1")
        try await add(id.text, "Camera", to: world)
        var decision = world.decision(version: 99)
        decision.deviceChanges = [.wentOffline(id)]
        let outcomes = try await ledger.commit([decision])
        try expect(try require(outcomes.first).isConflict, "a decision on another version was taken")
        try expectEqual(try await ledger.read { try $0.device(id, within: .platform)?.isOffline }, false)
    }

    private static func commit(_ changes: [DeviceChange], _ world: LedgerWorld) async throws {
        let record = try require(try await world.ledger.load([world.site.id])[world.site.id])
        var decision = world.decision(version: record.version)
        decision.deviceChanges = changes
        guard case .committed? = try await world.ledger.commit([decision]).first else {
            throw ConformanceFailure(description: "the decision was not committed")
        }
    }

    private static func deviceReach(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Rival")
        let id = DeviceID(stored: "dev_1")
        try await add(id.text, "Camera", to: world)
        for reach in [Reach.platform, .dealer(world.dealer.id), .partner(world.partner.id)] {
            try expect(try await ledger.read { try $0.device(id, within: reach) } != nil, "hidden from \(reach)")
            try expectEqual(try await ledger.read { try $0.devices(of: world.site.id, within: reach).count }, 1)
        }
        for reach in [Reach.dealer(other.dealer.id), .partner(other.partner.id)] {
            try expect(try await ledger.read { try $0.device(id, within: reach) } == nil, "shown to \(reach)")
            try expectEqual(try await ledger.read { try $0.devices(of: world.site.id, within: reach).count }, 0)
        }
    }

    private static func storedSightings(_ ledger: any Ledger) async throws {
        let full = (0..<DeviceTable.slotsPerBlock).map { start.millisecondsSinceEpoch + Int64($0) }
        let blocks = [SightingBlock(number: 0, seen: full), SightingBlock(number: 7, seen: [0, 5, .max])]
        try await ledger.write { try $0.store(blocks.reversed()) }
        try expectEqual(try await ledger.read { try $0.sightings(after: nil, limit: 10) }, blocks)
        try expectEqual(try await ledger.read { try $0.sightings(after: 0, limit: 10) }, [blocks[1]])

        let later = SightingBlock(number: 7, seen: [9])
        try await ledger.write { try $0.store([later]) }
        try expectEqual(try await ledger.read { try $0.sightings(after: 0, limit: 1) }, [later])
    }
}
