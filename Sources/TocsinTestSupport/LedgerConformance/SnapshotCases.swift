import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let snapshotCases = [
        LedgerCase("a snapshot is stored with its decision, and with the number of its alarm", stored),
        LedgerCase("a decision that is refused leaves no snapshot", refusedLeavesNone),
        LedgerCase("snapshots are listed newest first, filtered, and within reach", listed),
        LedgerCase("a snapshot that has an alarm keeps it", linkedOnce),
        LedgerCase("purging tells which contents no snapshot has any more", purged),
        LedgerCase("contents are listed once each, with their size", contents),
        LedgerCase("a site takes its snapshots along", gone),
        LedgerCase("the newest unresolved alarm of a device is found", ofDevice),
    ]

    private static let start = LedgerWorld.start

    /// A hash that begins so.
    private static func hash(_ start: String) throws -> ContentHash {
        try require(ContentHash(start + String(repeating: "0", count: 64 - start.utf8.count)))
    }

    private static func snapshot(
        _ world: LedgerWorld,
        _ device: String = "dev_1",
        content: String = "aa",
        site: Site? = nil,
        at instant: Instant = start
    ) throws -> Snapshot {
        Snapshot(
            id: world.random.id(at: instant),
            dealerID: world.dealer.id,
            siteID: (site ?? world.site).id,
            deviceID: DeviceID(stored: device),
            mediaType: .png,
            size: 123,
            content: try hash(content),
            takenAt: device == "dev_1" ? instant - .milliseconds(1500) : nil,
            createdAt: instant
        )
    }

    /// Commits a decision with these snapshots on their site as it is.
    private static func store(
        _ world: LedgerWorld,
        _ snapshots: [Snapshot],
        alarm: AlarmReference? = nil,
        change: (inout Decision) -> Void = { _ in }
    ) async throws {
        let site = try require(snapshots.first).siteID
        let record = try require(try await world.ledger.load([site])[site])
        var decision = Decision(
            siteID: site,
            dealerID: world.dealer.id,
            partnerID: nil,
            baseVersion: record.version,
            newState: nil,
            at: start,
            audit: [world.auditEntry("snapshot.create")]
        )
        decision.snapshots = snapshots.map { SnapshotDraft(snapshot: $0, alarm: alarm, url: "") }
        change(&decision)
        let outcome = try await world.ledger.commit([decision]).first
        try expect(outcome?.events != nil, "the decision was not committed")
    }

    private static func find(
        _ world: LedgerWorld,
        _ id: SnapshotID,
        _ reach: Reach = .platform
    ) async throws -> Snapshot? {
        try await world.ledger.read { try $0.snapshot(id, within: reach) }
    }

    /// Has a decision raise an alarm of the device.
    private static func raise(_ incident: Int64, of device: String = "dev_1", in decision: inout Decision) {
        let draft = AlarmDraft(
            incident: IncidentID(incident),
            partitionID: nil,
            deviceID: DeviceID(stored: device),
            alarmClass: .intrusion,
            priority: .high,
            trigger: "motion",
            location: nil
        )
        var alarm = Alarm(draft, dealerID: decision.dealerID, siteID: decision.siteID, createdAt: decision.at)
        let entry = alarm.begin(by: .system, "Raised: motion", at: decision.at)
        decision.alarms.append(AlarmChange(alarm: alarm, baseVersion: 0, entries: [entry]))
    }

    private static func stored(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let alone = try snapshot(world)
        var alarmed = try snapshot(world, "dev_2")
        try await store(world, [alone])
        try await store(world, [alarmed], alarm: .incident(IncidentID(1))) { raise(1, in: &$0) }

        try expectEqual(try await find(world, alone.id), alone)
        alarmed.alarm = AlarmNumber(1)
        try expectEqual(try await find(world, alarmed.id), alarmed)
        try expectEqual(try await ledger.read { try $0.counts()["snapshot"] }, 2)
    }

    private static func refusedLeavesNone(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var decision = world.decision(version: 99)
        decision.snapshots = [SnapshotDraft(snapshot: try snapshot(world), alarm: nil, url: "")]

        try expect(try await ledger.commit([decision]).first?.isConflict == true, "no conflict")

        try expectEqual(try await ledger.read { try $0.counts()["snapshot"] }, 0)
    }

    private static func listed(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let own = try await world.addSite("Main Street 2", ofPartner: false).site
        var made: [Snapshot] = []
        for number in 0..<5 {
            let instant = start + .seconds(number)
            let device = number % 2 == 0 ? "dev_1" : "dev_2"
            made.append(try snapshot(world, device, site: number == 4 ? own : nil, at: instant))
            try await store(world, [made[number]], alarm: number == 1 ? .existing(AlarmNumber(7)) : nil)
        }
        func ids(_ filter: SnapshotFilter, _ reach: Reach = .platform) async throws -> [SnapshotID] {
            var ids: [SnapshotID] = []
            var after: String?
            repeat {
                let page = try await ledger.read { [after] in
                    try $0.snapshots(within: reach, filter: filter, page: PageRequest(limit: 2, after: after))
                }
                ids += page.items.map(\.id)
                after = page.next
            } while after != nil
            return ids
        }
        func expected(_ numbers: [Int]) -> [SnapshotID] { numbers.map { made[$0].id } }
        let stranger = try await LedgerWorld.make(in: ledger, name: "Bolt")

        try expectEqual(try await ids(SnapshotFilter()), expected([4, 3, 2, 1, 0]))
        try expectEqual(try await ids(SnapshotFilter(siteID: own.id)), expected([4]))
        try expectEqual(try await ids(SnapshotFilter(deviceID: DeviceID(stored: "dev_2"))), expected([3, 1]))
        try expectEqual(
            try await ids(SnapshotFilter(dealerID: world.dealer.id, alarm: AlarmNumber(7))),
            expected([1])
        )
        try expectEqual(try await ids(SnapshotFilter(), .dealer(world.dealer.id)), expected([4, 3, 2, 1, 0]))
        try expectEqual(try await ids(SnapshotFilter(), .partner(world.partner.id)), expected([3, 2, 1, 0]))
        try expectEqual(try await ids(SnapshotFilter(), .dealer(stranger.dealer.id)), [])
        try expectEqual(try await ids(SnapshotFilter(), .partner(stranger.partner.id)), [])
        try expectEqual(try await find(world, made[0].id, .dealer(stranger.dealer.id)), nil)
        try expectEqual(try await find(world, made[4].id, .partner(world.partner.id)), nil)
        try expectEqual(try await find(world, made[3].id, .partner(world.partner.id))?.id, made[3].id)
    }

    private static func linkedOnce(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (first, second) = (try snapshot(world), try snapshot(world, at: start + .seconds(1)))
        try await store(world, [first])
        for number: Int64 in 1...2 {
            try await store(world, [try snapshot(world, at: start + .seconds(2))]) { decision in
                raise(number, in: &decision)
                let alarm = AlarmReference.incident(IncidentID(number))
                decision.snapshotLinks = [first.id, second.id].map { SnapshotLink(snapshotID: $0, alarm: alarm) }
            }
        }

        try expectEqual(try await find(world, first.id)?.alarm, AlarmNumber(1))
        try expectEqual(try await find(world, second.id) == nil, true)
    }

    private static func purged(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let contents = ["aa", "bb", "aa", "cc"]
        for (number, content) in contents.enumerated() {
            try await store(world, [try snapshot(world, content: content, at: start + .seconds(number))])
        }
        func purge(_ seconds: Int, limit: Int = 9) async throws -> (count: Int, unused: [StoredContent]) {
            try await ledger.write {
                try $0.purgeSnapshots(madeBefore: start + .seconds(seconds), limit: limit)
            }
        }
        func content(_ name: String) throws -> StoredContent {
            StoredContent(dealerID: world.dealer.id, hash: try hash(name))
        }

        try expectEqual(try await purge(0).count, 0)
        // The first content is in use still by the third snapshot.
        let some = try await purge(2)
        try expectEqual(some.count, 2)
        try expectEqual(some.unused, [try content("bb")])
        try expectEqual(
            try await ledger.read { try $0.isInUse(StoredContent(dealerID: world.dealer.id, hash: hash("aa"))) },
            true
        )
        try expectEqual(try await purge(9, limit: 1).unused, [try content("aa")])
        try expectEqual(try await purge(9).unused, [try content("cc")])
        try expectEqual(try await purge(9).count, 0)
    }

    private static func contents(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        for (number, content) in ["cc", "aa", "cc", "bb"].enumerated() {
            try await store(world, [try snapshot(world, content: content, at: start + .seconds(number))])
        }
        var found: [String] = []
        var after: StoredContent?
        repeat {
            let page = try await ledger.read { [after] in try $0.contents(after: after, limit: 2) }
            found += page.map { "\($0.content.hash.text.prefix(2)) \($0.size)" }
            after = page.last?.content
        } while after != nil
        try expectEqual(found, ["aa 123", "bb 123", "cc 123"])
    }

    private static func gone(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2").site
        let (one, two) = (try snapshot(world), try snapshot(world, site: other))
        try await store(world, [one])
        try await store(world, [two])
        try await ledger.write { try $0.deleteSite(world.site.id) }
        try expectEqual(try await find(world, one.id) == nil, true)
        try expectEqual(try await find(world, two.id)?.id, two.id)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        try expectEqual(try await ledger.read { try $0.counts()["snapshot"] }, 0)
    }

    private static func ofDevice(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await store(world, [try snapshot(world)]) { decision in
            raise(1, in: &decision)
            raise(2, in: &decision)
            raise(3, of: "dev_2", in: &decision)
        }
        let site = world.site.id
        func found(_ devices: [String], _ incidents: Set<IncidentID> = []) async throws -> [Int64] {
            let needs = AlarmNeeds(incidents: incidents, devices: Set(devices.map(DeviceID.init(stored:))))
            return try await ledger.read { try $0.alarms(of: site, needs) }.map(\.incident.value).sorted()
        }

        try expectEqual(try await found(["dev_1"]), [2])
        try expectEqual(try await found(["dev_1", "dev_2", "dev_3"]), [2, 3])
        try expectEqual(try await found(["dev_1"], [IncidentID(2)]), [2])
    }
}
