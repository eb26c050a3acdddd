import TocsinCore
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let platformCases = [
        LedgerCase("a profile and a partition's policy are kept", policiesRoundTrip),
        LedgerCase("people are loaded where their codes are checked", peopleAreLoaded),
        LedgerCase("a code has one holder in a site", codesAreUnique),
        LedgerCase("holidays are set as a whole and reach the sites", holidaysReachSites),
        LedgerCase("a changed configuration makes a platform-triggered site due", changesMakeDue),
    ]

    static let historyCases = [
        LedgerCase("a site's history is its changes, newest first", historyPages),
        LedgerCase("histories of sites in one commit stay apart", historiesStayApart),
        LedgerCase("a refused decision leaves the history alone", conflictLeavesHistory),
        LedgerCase("a purge shortens a history and breaks nothing", purgeEndsHistory),
    ]

    private static func policiesRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var (site, partition) = try await world.addSite("Shop", ofPartner: false)
        site.complianceProfile = .cp01
        partition.policy.exitError = .autoBypass
        partition.policy.abortWindowSeconds = 30
        partition.policy.customModes = ["vacation"]
        partition.policy.hours = [
            OpeningHours(
                days: [.mon, .sat],
                openFrom: TimeOfDay(minutes: 420),
                openTo: TimeOfDay(minutes: 480),
                closeFrom: TimeOfDay(minutes: 1080),
                closeTo: TimeOfDay(minutes: 60)
            )
        ]
        try await ledger.write { [site, partition] in
            try $0.update(site)
            try $0.update(partition)
        }
        var record = try require(try await ledger.load([site.id])[site.id])
        try expectEqual(record.configuration.site, site)
        try expectEqual(record.configuration.partitions, [partition])

        partition.policy = PartitionPolicy()
        try await ledger.write { [partition] in try $0.update(partition) }
        record = try require(try await ledger.load([site.id])[site.id])
        try expectEqual(record.configuration.partitions, [partition])
    }

    private static func user(_ name: String, at site: Site, code: String?, duress: String? = nil) -> Fixture {
        var settings = JSONObject()
        settings["code_hash"] = code.map(JSON.string)
        settings["duress_code_hash"] = duress.map(JSON.string)
        return Fixture(
            id: "usr_\(site.name)_\(name)",
            siteID: site.id,
            kind: .user,
            number: nil,
            name: name,
            settings: settings
        )
    }

    private static func peopleAreLoaded(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (shop, _) = try await world.addSite("Shop", ofPartner: false)
        for site in [shop, world.site] {
            try await ledger.write { try $0.insert(user("Ann", at: site, code: "h1", duress: "h2")) }
        }
        let records = try await ledger.load([shop.id, world.site.id])
        let configuration = try require(records[shop.id]).configuration
        try expectEqual(configuration.users.map(\.name), ["Ann"])
        try expectEqual(configuration.codeHolders["h2"]?.user, 0)
        try expectEqual(configuration.codeHolders["h2"]?.isDuress, true)
        // Nobody but the partner checks the codes of its sites.
        try expectEqual(records[world.site.id]?.configuration.users, [])
        let record = try await ledger.read { try $0.siteRecord(shop.id, within: .platform) }
        try expectEqual(record?.configuration.users, [])
    }

    private static func codesAreUnique(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (shop, _) = try await world.addSite("Shop", ofPartner: false)
        let (bar, _) = try await world.addSite("Bar", ofPartner: false)
        var ann = user("Ann", at: shop, code: "h1", duress: "h2")
        try await ledger.write { [ann] in try $0.insert(ann) }
        try await ledger.write { try $0.insert(user("Ann", at: bar, code: "h1")) }
        for (code, duress) in [("h1", nil), ("h2", nil), ("h3", "h1"), ("h3", "h3")] {
            try await expectRefusal(.duplicate, "code") {
                try await ledger.write { try $0.insert(user("Bob", at: shop, code: code, duress: duress)) }
            }
        }
        try expectEqual(try await ledger.read { try $0.fixtureCount(of: shop.id, kind: .user) }, 1)

        ann.settings = ["code_hash": "h1", "duress_code_hash": "h4"]
        try await ledger.write { [ann] in try $0.update(ann) }
        try await ledger.write { try $0.insert(user("Bob", at: shop, code: "h2")) }
        try await ledger.read { [ann] reader in
            let holder = try require(try reader.codeHolder("h4", at: shop.id))
            try expectEqual(holder.user.text, ann.id)
            try expectEqual(holder.isDuress, true)
            try expectEqual(try reader.codeHolder("h4", at: bar.id)?.user, nil)
        }
        try await ledger.write { [ann] in try $0.deleteFixture(ann.id, of: shop.id) }
        try await ledger.write { try $0.insert(user("Cid", at: shop, code: "h4", duress: "h1")) }
        try expectEqual(try await ledger.read { try $0.verify() }, [])
        try await ledger.write { try $0.deleteSite(shop.id) }
        try expectEqual(try await ledger.read { try $0.codeHolder("h4", at: shop.id)?.user }, nil)
    }

    private static func changesMakeDue(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (shop, partition) = try await world.addSite("Shop", ofPartner: false)
        var version = try require(try await ledger.load([shop.id])[shop.id]).version
        func due() async throws -> Set<SiteID> {
            Set(try await ledger.read { try $0.pendingDeadlines(after: nil, limit: 10) }.map(\.site))
        }
        func makesDue(_ change: @escaping @Sendable (any LedgerTransaction) throws -> Void) async throws {
            // A decision sets the deadline to that of its state, which has none.
            let settled = world.decision(on: shop, partition, version: version)
            _ = try await ledger.commit([settled])
            try expectEqual(try await due(), [])
            try await ledger.write(change)
            try expectEqual(try await due(), [shop.id])
            version = try require(try await ledger.load([shop.id])[shop.id]).version
        }
        let ann = user("Ann", at: shop, code: "h1")
        let garage = Partition(id: PartitionID(stored: "p_2"), siteID: shop.id, number: 2, name: "Garage")
        try expectEqual(try await due(), [shop.id])
        try await makesDue { try $0.update(shop) }
        try await makesDue { try $0.update(partition) }
        try await makesDue { try $0.insert(ann) }
        try await makesDue { try $0.update(ann) }
        try await makesDue { try $0.deleteFixture(ann.id, of: shop.id) }
        try await makesDue { try $0.insert(garage, since: LedgerWorld.start) }
        try await makesDue { try $0.deletePartition(garage.id, of: shop.id) }
        try expectEqual(try await ledger.read { try $0.verify() }, [])

        // A partner's site has no schedules of ours.
        _ = try await ledger.commit([world.decision(on: shop, partition, version: version)])
        try await ledger.write { try $0.update(world.site) }
        try await ledger.write { try $0.update(world.partition) }
        try expectEqual(try await due(), [])
    }

    private static func holidaysReachSites(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (shop, _) = try await world.addSite("Shop", ofPartner: false)
        let rule = Fixture(
            id: "sch_1",
            siteID: shop.id,
            kind: .schedule,
            number: nil,
            name: "Evening",
            settings: ["partition": 1, "arm": "away", "at": "18:00"]
        )
        try await ledger.write { try $0.insert(rule) }
        let before = try require(try await ledger.load([shop.id])[shop.id])
        try expectEqual(before.configuration.schedules, [try Schedule(rule)])
        try expectEqual(before.configuration.holidays, [])

        let christmas = Holiday(date: try require(CivilDate(year: 2026, month: 12, day: 25)), name: "Christmas")
        let newYear = Holiday(date: try require(CivilDate(year: 2026, month: 1, day: 1)), name: "New Year")
        try await ledger.write { try $0.setHolidays([christmas, newYear], of: world.dealer.id) }
        try expectEqual(try await ledger.read { try $0.holidays(of: world.dealer.id) }, [newYear, christmas])
        let after = try require(try await ledger.load([shop.id])[shop.id])
        try expectEqual(after.configuration.holidays, [christmas.date, newYear.date])
        try expect(after.version > before.version, "holidays did not raise the version")
        try expectEqual(try await ledger.load([world.site.id])[world.site.id]?.version, 1)

        try await ledger.write { try $0.setHolidays([], of: world.dealer.id) }
        try expectEqual(try await ledger.read { try $0.holidays(of: world.dealer.id) }, [])
        try expectEqual(try await ledger.load([shop.id])[shop.id]?.configuration.holidays, [])
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    // MARK: - History

    private static func change(_ world: LedgerWorld, _ site: Site, _ partition: Partition, _ version: Int64) -> Decision
    {
        var decision = world.decision(on: site, partition, version: version)
        var entry = world.auditEntry()
        entry.siteID = site.id
        entry.target = "\(site.name) v\(version)"
        entry.changesState = true
        decision.audit.append(entry)
        return decision
    }

    private static func history(
        _ site: SiteID,
        _ ledger: any Ledger,
        within reach: Reach = .platform,
        limit: Int = 2
    ) async throws -> [String] {
        var targets: [String] = []
        var after: String?
        repeat {
            let page = try await ledger.read { [after] in
                try $0.history(of: site, within: reach, page: PageRequest(limit: limit, after: after))
            }
            targets += page.items.compactMap(\.entry.target)
            after = page.next
        } while after != nil
        return targets
    }

    private static func historyPages(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let site = world.site
        try expectEqual(try await history(site.id, ledger), [])
        for version: Int64 in 1...5 { _ = try await ledger.commit([change(world, site, world.partition, version)]) }
        var silent = change(world, site, world.partition, 6)
        silent.newState = nil
        _ = try await ledger.commit([silent])
        try await ledger.write { transaction in
            var entry = world.auditEntry()
            entry.target = "by hand"
            entry.changesState = true
            try transaction.append(entry)
        }
        let expected = ["by hand"] + (1...6).reversed().map { "\(site.name) v\($0)" }
        for limit in [1, 2, 7, 50] { try expectEqual(try await history(site.id, ledger, limit: limit), expected) }
        try expectEqual(try await history(site.id, ledger, within: .partner(world.partner.id)), expected)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        try expectEqual(try await history(site.id, ledger, within: .dealer(other.dealer.id)), [])
        let page = try await ledger.read { try $0.history(of: site.id, within: .platform, page: .init(limit: 1)) }
        try expectEqual(page.items.first?.entry.changesState, true)
        try await expectRefusal(.invalid) {
            _ = try await ledger.read { try $0.history(of: site.id, within: .platform, page: .init(after: "x")) }
        }
    }

    private static func historiesStayApart(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2")
        for version: Int64 in 1...3 {
            let outcomes = try await ledger.commit([
                change(world, world.site, world.partition, version),
                change(world, other.site, other.partition, version),
            ])
            try expect(outcomes.allSatisfy { !$0.isConflict }, "a decision was refused")
        }
        for site in [world.site, other.site] {
            try expectEqual(
                try await history(site.id, ledger),
                ["\(site.name) v3", "\(site.name) v2", "\(site.name) v1"]
            )
        }
        // Another site's entry is no place in this one's history.
        let foreign = try await ledger.read { try $0.history(of: other.site.id, within: .platform, page: .init()) }
        let id = try require(foreign.items.first).id
        let page = try await ledger.read {
            try $0.history(of: world.site.id, within: .platform, page: .init(after: String(id)))
        }
        try expectEqual(page.items.count, 0)
    }

    private static func conflictLeavesHistory(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let outcomes = try await ledger.commit([
            change(world, world.site, world.partition, 7)
        ])
        try expect(outcomes.allSatisfy(\.isConflict), "a decision on another version was committed")
        try expectEqual(try await history(world.site.id, ledger), [])
        _ = try await ledger.commit([change(world, world.site, world.partition, 1)])
        try expectEqual(try await history(world.site.id, ledger), ["\(world.site.name) v1"])
    }

    private static func purgeEndsHistory(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2")
        for version: Int64 in 1...3 {
            _ = try await ledger.commit([
                change(world, world.site, world.partition, version)
            ])
        }
        // Each decision of this world's has two entries; the first three go.
        let later = LedgerWorld.start + .seconds(400 * 86_400)
        _ = try await ledger.write { try $0.purge(now: later, limit: 3) }
        try expectEqual(
            try await history(world.site.id, ledger, limit: 1),
            ["\(world.site.name) v3", "\(world.site.name) v2"]
        )
        _ = try await ledger.write { try $0.purge(now: later, limit: 100) }
        try expectEqual(try await history(world.site.id, ledger), [])
        // The ids of entries may begin anew: what stands there is another site's.
        _ = try await ledger.commit([change(world, other.site, other.partition, 1)])
        for version: Int64 in 2...4 {
            _ = try await ledger.commit([change(world, other.site, other.partition, version)])
        }
        try expectEqual(try await history(world.site.id, ledger), [])
        _ = try await ledger.commit([change(world, world.site, world.partition, 4)])
        try expectEqual(try await history(world.site.id, ledger), ["\(world.site.name) v4"])
    }
}
