import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let commitCases = [
        LedgerCase("a committed decision is stored whole", commitStoresAll),
        LedgerCase("sequences have no gaps across conflicts and refusals", gaplessSequences),
        LedgerCase("a conflict leaves nothing of its decision", conflictLeavesNothing),
        LedgerCase("a decision on a site or dealer that is gone is a conflict", goneIsConflict),
        LedgerCase("a decision without a new state checks the version and does not raise it", auditOnly),
        LedgerCase("a report id is known for seven days on its site", knownReports),
        LedgerCase("an idempotency key is known for a day", knownKeys),
        LedgerCase("alarm numbers count up per dealer and stand in the events", alarmNumbers),
        LedgerCase("marks are counted on the partner's scorecard", marks),
        LedgerCase("deadlines are listed earliest first and vanish with their state", deadlines),
        LedgerCase("a configuration change makes standing decisions conflict", configurationRaisesVersion),
    ]

    private static func commitStoresAll(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let decision = world.decision(version: 1)

        let outcome = try require(try await ledger.commit([decision]).first)

        guard case .committed(let events, let version) = outcome else {
            throw ConformanceFailure(description: "\(outcome)")
        }
        try expectEqual(version, 2)
        try expectEqual(events.map(\.sequence), [1, 2])
        try expectEqual(events.map(\.id), decision.events.map(\.id))
        try expectEqual(events.map(\.partnerID), [world.partner.id, world.partner.id])
        try expectEqual(
            events[1].body,
            decision.events[1].body.encoded(at: .init(id: events[1].id, sequence: 2, createdAt: decision.at))
        )
        let stored = try await ledger.read { try $0.events(of: world.dealer.id, after: 0, limit: 10) }
        try expectEqual(stored, events)
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.version, 2)
        try expectEqual(record.state, try require(decision.newState))
        try expectEqual(record.configuration.site, world.site)
        try expectEqual(record.configuration.partitions, [world.partition])
        let audit = try await ledger.read {
            try $0.audit(within: .platform, filter: .init(), page: .init()).items.map(\.entry)
        }
        try expectEqual(audit, decision.audit)
    }

    private static func gaplessSequences(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2")
        var reported = world.decision(version: 1)
        reported.reportIDs = ["r-1"]
        var repeated = world.decision(version: 2)
        repeated.reportIDs = ["r-1"]

        var outcomes = try await ledger.commit([reported, world.decision(on: other.site, other.partition, version: 7)])
        outcomes += try await ledger.commit([repeated, world.decision(on: other.site, other.partition, version: 1)])
        outcomes += try await ledger.commit([world.decision(version: 1)])
        outcomes += try await ledger.commit([world.decision(version: 2)])

        try expectEqual(outcomes.map { $0.events?.map(\.sequence) ?? [] }, [[1, 2], [], [], [3, 4], [], [5, 6]])
        try expectEqual(try await ledger.read { try $0.lastSequence(of: world.dealer.id) }, 6)
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func conflictLeavesNothing(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let before = try await ledger.read { try $0.counts() }
        var decision = world.decision(version: 9)
        decision.reportIDs = ["r-1"]
        decision.marks = [.lateReport]
        decision.alarms = [world.raised(IncidentID(1))]
        decision.idempotency = [key(at: decision.at)]

        try expect(try await ledger.commit([decision]).first?.isConflict == true, "no conflict")

        try expectEqual(try await ledger.read { try $0.counts() }, before)
        try expectEqual(try await ledger.read { try $0.scorecard(of: world.partner.id) }, [:])
        try expectEqual(try await ledger.load([world.site.id])[world.site.id]?.version, 1)
        decision.baseVersion = 1
        let events = try require(try await ledger.commit([decision]).first?.events, "the retry was refused")
        try expectEqual(events.map(\.sequence), [1, 2])
    }

    private static func goneIsConflict(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await ledger.write { try $0.deleteSite(world.site.id) }
        try expect(try await ledger.commit([world.decision(version: 1)]).first?.isConflict == true, "no conflict")
        try expectEqual(try await ledger.load([world.site.id]).count, 0)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        try expect(try await ledger.commit([world.decision(version: 1)]).first?.isConflict == true, "no conflict")
    }

    private static func auditOnly(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var decision = world.decision(version: 1)
        decision.newState = nil
        decision.events = []
        decision.marks = [.invalidTransition]

        guard case .committed(let events, let version)? = try await ledger.commit([decision]).first else {
            throw ConformanceFailure(description: "it was not committed")
        }
        try expectEqual(events, [])
        try expectEqual(version, 1)
        decision.baseVersion = 2
        try expect(try await ledger.commit([decision]).first?.isConflict == true, "no conflict")
        try expectEqual(try await ledger.read { try $0.counts()["audit"] }, 1)
        try expectEqual(try await ledger.read { try $0.scorecard(of: world.partner.id) }, [.invalidTransition: 1])
    }

    private static func knownReports(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2")
        func decision(version: Int64, at instant: Instant, _ ids: [String] = ["r-1"]) -> Decision {
            var decision = world.decision(version: version, at: instant)
            decision.reportIDs = ids
            return decision
        }
        let start = LedgerWorld.start
        _ = try await ledger.commit([decision(version: 1, at: start)])

        let within = try await ledger.commit([
            decision(version: 2, at: start + Decision.reportIDLifetime - .seconds(1), ["r-0", "r-1"])
        ])
        guard case .knownReports(ids: ["r-1"])? = within.first else {
            throw ConformanceFailure(description: "\(within)")
        }
        var elsewhere = world.decision(on: other.site, other.partition, version: 1)
        elsewhere.reportIDs = ["r-1"]
        try expect(try await ledger.commit([elsewhere]).first?.events != nil, "another site's report id counted")
        let after = try await ledger.commit([decision(version: 2, at: start + Decision.reportIDLifetime)])
        try expect(after.first?.events != nil, "the report id was known for too long")
        let again = try await ledger.commit([decision(version: 3, at: start + Decision.reportIDLifetime + .seconds(1))])
        guard case .knownReports(ids: ["r-1"])? = again.first else { throw ConformanceFailure(description: "\(again)") }
    }

    static func key(_ key: String = "k-1", status: Int = 200, at instant: Instant) -> IdempotencyRecord {
        IdempotencyRecord(
            caller: "partner:prt_1",
            method: "POST",
            path: "/v1/sites/site_1/arming-state",
            key: key,
            payloadHash: [7, 8],
            status: status,
            sealedReply: [],
            createdAt: instant
        )
    }

    private static func knownKeys(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        let first = key(at: start)
        var decision = world.decision(version: 1)
        decision.idempotency = [first]
        _ = try await ledger.commit([decision])
        try expectEqual(
            try await ledger.read {
                try $0.idempotencyRecord(caller: first.caller, method: "POST", path: first.path, key: "k-1")
            },
            first
        )

        decision = world.decision(version: 2, at: start + .seconds(60))
        decision.idempotency = [key(at: start + .seconds(60))]
        guard case .knownKey(let known)? = try await ledger.commit([decision]).first else {
            throw ConformanceFailure(description: "the key is not known")
        }
        try expectEqual(known, first)
        try await expectRefusal(.duplicate, "key") {
            try await ledger.write { try $0.insert(key(at: start + .seconds(61))) }
        }

        let later = start + IdempotencyRecord.lifetime
        decision = world.decision(version: 2, at: later)
        decision.idempotency = [key(status: 201, at: later)]
        try expect(try await ledger.commit([decision]).first?.events != nil, "the key was known for too long")
        try await ledger.write { try $0.insert(key("k-2", at: later)) }
    }

    private static func alarmNumbers(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        func alarming(_ world: LedgerWorld, version: Int64) -> Decision {
            var decision = world.decision(version: version)
            let incidents = [IncidentID(version * 2), IncidentID(version * 2 + 1)]
            decision.alarms = incidents.map { world.raised($0) }
            decision.events = incidents.map { incident in
                let body = AlarmCreated(
                    alarm: .incident(incident),
                    siteID: world.site.id,
                    priority: .high,
                    trigger: "entry-delay-expired",
                    location: "Back Door"
                )
                return EventDraft(
                    id: world.random.id(at: LedgerWorld.start),
                    siteID: world.site.id,
                    partitionID: world.partition.id,
                    body: .alarmCreated(body)
                )
            }
            return decision
        }

        var numbers: [String] = []
        for decision in [alarming(world, version: 1), alarming(world, version: 2), alarming(other, version: 1)] {
            for event in try require(try await ledger.commit([decision]).first?.events) {
                let body = String(decoding: event.body, as: UTF8.self)
                numbers.append(try require(["A-1", "A-2", "A-3", "A-4"].first { body.contains("\"\($0)\"") }))
            }
        }

        try expectEqual(numbers, ["A-1", "A-2", "A-3", "A-4", "A-1", "A-2"])
        try expectEqual(try await ledger.read { try $0.counts()["alarm"] }, 6)
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func marks(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var decision = world.decision(version: 1)
        decision.marks = [.lateReport, .delayMismatch]
        _ = try await ledger.commit([decision])
        decision = world.decision(version: 2)
        decision.marks = [.lateReport]
        _ = try await ledger.commit([decision])
        let scorecard = try await ledger.read { try $0.scorecard(of: world.partner.id) }
        try expectEqual(scorecard, [.lateReport: 2, .delayMismatch: 1])
    }

    private static func deadlines(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        var sites = [(world.site, world.partition)]
        for number in 2...5 { sites.append(try await world.addSite("Main Street \(number)")) }
        // The last two are due at the same time, so that the one that was there first comes first.
        let delays: [Int64?] = [40, nil, 10, 30, 30]
        for (index, delay) in delays.enumerated() {
            let (site, partition) = sites[index]
            var decision = world.decision(on: site, partition, version: 1)
            decision.newState?.partitions[partition.id]?.overdueAt = delay.map { start + .seconds($0) }
            _ = try await ledger.commit([decision])
        }

        let all = try await ledger.read { try $0.pendingDeadlines(after: nil, limit: 10) }
        try expectEqual(all.map { ($0.due - start).milliseconds / 1000 }, [10, 30, 30, 40])
        try expectEqual(all.map(\.site), [sites[2].0.id, sites[3].0.id, sites[4].0.id, sites[0].0.id])
        let first = try await ledger.read { try $0.pendingDeadlines(after: nil, limit: 2) }
        let last = try require(first.last)
        let rest = try await ledger.read { try $0.pendingDeadlines(after: (last.due, last.site), limit: 10) }
        try expectEqual((first + rest).map(\.site), all.map(\.site))
        _ = try await ledger.commit([world.decision(on: sites[2].0, sites[2].1, version: 2)])
        try expectEqual(try await ledger.read { try $0.pendingDeadlines(after: nil, limit: 10).count }, 3)
    }

    private static func configurationRaisesVersion(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var site = world.site
        site.name = "Main Street 1a"
        let renamed = site
        try await ledger.write { try $0.update(renamed) }
        try expect(try await ledger.commit([world.decision(version: 1)]).first?.isConflict == true, "no conflict")
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expectEqual(record.configuration.site, renamed)
        try expectEqual(record.version, 2)
        try expect(try await ledger.commit([world.decision(version: 2)]).first?.events != nil, "refused")
    }
}
