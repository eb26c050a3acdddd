import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let siteCases = [
        LedgerCase("a new site is disarmed in all its partitions", newSiteIsDisarmed),
        LedgerCase("a site's names and external ids are unique where they must be", siteNamesAreUnique),
        LedgerCase("partitions come and go with their state", partitionsRoundTrip),
        LedgerCase("fixtures are stored by kind, number and name", fixturesRoundTrip),
        LedgerCase("every change of a configuration raises the version", changesRaiseVersion),
        LedgerCase("many sites are loaded at once and missing ones are missing", loadingMany),
    ]

    private static func newSiteIsDisarmed(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let record = try require(try await ledger.read { try $0.siteRecord(world.site.id, within: .platform) })
        try expectEqual(record.version, 1)
        try expectEqual(
            record.state,
            SiteState(partitions: [world.partition.id: PartitionState(since: world.site.createdAt)])
        )
        try expectEqual(record.configuration.zones, [])
        try expectEqual(try await ledger.load([world.site.id]), [world.site.id: record])
    }

    private static func siteNamesAreUnique(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        func insert(_ change: (inout Site) -> Void) async throws {
            var site = world.site
            site.id = world.random.id(at: LedgerWorld.start)
            change(&site)
            try await ledger.write { [site] in try $0.insert(site, partitions: []) }
        }
        try await expectRefusal(.duplicate, "name") { try await insert { $0.externalID = "other" } }
        try await expectRefusal(.duplicate, "external_site_id") { try await insert { $0.name = "other" } }
        // A dealer's own sites have external ids apart from those of its partner.
        try await insert {
            $0.name = "own"
            $0.partnerID = nil
        }
        try await expectRefusal(.duplicate, "external_site_id") {
            try await insert {
                $0.name = "own too"
                $0.partnerID = nil
            }
        }
        for name in ["a", "b"] {
            try await insert {
                $0.name = name
                $0.externalID = nil
            }
        }
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        try expectEqual(other.site.name, world.site.name)
    }

    private static func partitionsRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await ledger.commit([world.decision(version: 1)])
        var garage = Partition(
            id: world.random.id(at: LedgerWorld.start),
            siteID: world.site.id,
            number: 2,
            name: "Garage",
            exitDelaySeconds: ExitDelays(away: 1, stay: 2, night: 3, custom: 4),
            entryDelaySeconds: 45
        )
        let since = LedgerWorld.start + .seconds(9)
        try await ledger.write { [garage] in try $0.insert(garage, since: since) }
        var record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.configuration.partitions, [world.partition, garage])
        try expectEqual(record.state.partitions[garage.id], PartitionState(since: since))
        try expectEqual(record.state.partitions[world.partition.id]?.phase, .armed(.away))
        try expectEqual(record.version, 3)

        garage.number = 1
        try await expectRefusal(.duplicate, "number") { [garage] in try await ledger.write { try $0.update(garage) } }
        garage.number = 7
        garage.entryDelaySeconds = 50
        try await ledger.write { [garage] in try $0.update(garage) }
        try await ledger.write { try $0.deletePartition(world.partition.id, of: world.site.id) }
        record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.configuration.partitions, [garage])
        try expectEqual(Array(record.state.partitions.keys), [garage.id])
        try expectEqual(record.version, 5)
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func fixturesRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        @Sendable func fixture(_ id: String, _ kind: FixtureKind, _ number: Int?, _ name: String) -> Fixture {
            Fixture(
                id: id,
                siteID: world.site.id,
                kind: kind,
                number: number,
                name: name,
                settings: ["type": "perimeter", "n": 1]
            )
        }
        var door = fixture("zone_1", .zone, 5, "Back Door")
        let others = [
            fixture("dev_1", .device, nil, "Back Door"), fixture("usr_1", .user, nil, "Ann"),
            fixture("usr_2", .user, nil, "Bob"), fixture("zone_2", .zone, 2, "Hall"),
        ]
        try await ledger.write { [door] transaction in
            for fixture in [door] + others { try transaction.insert(fixture) }
        }
        try await expectRefusal(.duplicate, "number") {
            try await ledger.write { try $0.insert(fixture("zone_3", .zone, 5, "Attic")) }
        }
        try await expectRefusal(.duplicate, "name") {
            try await ledger.write { try $0.insert(fixture("zone_3", .zone, 6, "Back Door")) }
        }
        door.name = "Kitchen Door"
        try await ledger.write { [door] in try $0.update(door) }

        try await ledger.read { [door] reader in
            try expectEqual(try reader.fixtures(of: world.site.id, kind: .zone, within: .platform), [others[3], door])
            try expectEqual(
                try reader.fixtures(of: world.site.id, kind: .user, within: .platform),
                [others[1], others[2]]
            )
            for (kind, all) in [(FixtureKind.zone, [others[3], door]), (.user, [others[1], others[2]])] {
                let first = try reader.fixtures(of: world.site.id, kind: kind, within: .platform, page: .init(limit: 1))
                try expectEqual(first.items, [all[0]])
                try expectEqual(first.next, kind == .zone ? "2" : "Ann")
                let next = PageRequest(limit: 1, after: first.next)
                let second = try reader.fixtures(of: world.site.id, kind: kind, within: .platform, page: next)
                try expectEqual(second.items, [all[1]])
                try expectEqual(second.next, nil)
            }
            let foreign = Reach.dealer(DealerID(stored: "dlr_other"))
            try expectEqual(
                try reader.fixtures(of: world.site.id, kind: .zone, within: foreign, page: .init()).items,
                []
            )
            try expectEqual(try reader.fixture("zone_1", kind: .zone, within: .platform), door)
            try expectEqual(try reader.fixture("zone_1", kind: .device, within: .platform), nil)
        }
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.configuration.zones.map(\.name), ["Hall", "Kitchen Door"])
        try expectEqual(record.configuration.devices, [DeviceID(stored: "dev_1")])
        try await ledger.write { try $0.deleteFixture("zone_1", of: world.site.id) }
        try expectEqual(
            try await ledger.load([world.site.id])[world.site.id]?.configuration.zones.map(\.name),
            ["Hall"]
        )
    }

    private static func changesRaiseVersion(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var version: Int64 = 1
        func raises(_ change: @escaping @Sendable (any LedgerTransaction) throws -> Void) async throws {
            try await ledger.write(change)
            let now = try require(try await ledger.load([world.site.id])[world.site.id]).version
            try expect(now > version, "a change did not raise the version")
            version = now
        }
        let zone = Fixture(id: "zone_1", siteID: world.site.id, kind: .zone, number: 5, name: "Door", settings: [:])
        let garage = Partition(id: PartitionID(stored: "p_2"), siteID: world.site.id, number: 2, name: "Garage")
        try await raises { try $0.update(world.site) }
        try await raises { try $0.insert(garage, since: LedgerWorld.start) }
        try await raises { try $0.update(garage) }
        try await raises { try $0.deletePartition(garage.id, of: world.site.id) }
        try await raises { try $0.insert(zone) }
        try await raises { try $0.update(zone) }
        try await raises { try $0.deleteFixture(zone.id, of: world.site.id) }
    }

    private static func loadingMany(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var sites = [world.site]
        for number in 2...6 { sites.append(try await world.addSite("Main Street \(number)").site) }
        let records = try await ledger.load(sites.map(\.id) + [SiteID(stored: "site_none")])
        try expectEqual(Set(records.keys), Set(sites.map(\.id)))
        for site in sites { try expectEqual(records[site.id]?.configuration.site, site) }
    }
}
