import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let noticeCases = [
        LedgerCase(
            "a notice is stored for each of the site's people with an address, in the decision's commit",
            people
        ),
        LedgerCase("a decision that is refused leaves no notice", refusedLeavesNone),
        LedgerCase("a notice goes to two hundred people at most", boundedPeople),
        LedgerCase("a notice waits until it is sent or given up", outcomes),
        LedgerCase("a notice goes to where its person is now, and is gone with them", personChanges),
        LedgerCase("settled notices are forgotten after thirty days, waiting ones never", purgeSettled),
    ]

    private static let start = LedgerWorld.start

    private static func person(
        _ id: String,
        _ email: String?,
        kind: FixtureKind = .user,
        at site: Site
    ) -> Fixture {
        Fixture(
            id: id,
            siteID: site.id,
            kind: kind,
            number: nil,
            name: "Person \(id)",
            settings: email.map { ["email": .string($0)] } ?? [:]
        )
    }

    private static func insert(_ people: [Fixture], into ledger: any Ledger) async throws {
        try await ledger.write { transaction in
            for person in people { try transaction.insert(person) }
        }
    }

    /// Commits a decision with one notice on the site as it is.
    private static func tell(_ world: LedgerWorld, at instant: Instant = start) async throws -> IssuedNotice {
        var decision = world.decision(
            version: try require(try await world.ledger.load([world.site.id])[world.site.id]).version,
            at: instant
        )
        let notice = IssuedNotice(
            id: world.random.id(at: instant),
            draft: NoticeDraft(
                kind: .armingFailed,
                partitionID: world.partition.id,
                subject: "Main Street 1: Cannot arm - Back Door is open",
                text: "Close Back Door (zone 5)\nor bypass it"
            )
        )
        decision.notices = [notice]
        guard case .committed? = try await world.ledger.commit([decision]).first else {
            throw ConformanceFailure(description: "the decision was not committed")
        }
        return notice
    }

    private static func due(_ ledger: any Ledger, by instant: Instant = start) async throws -> [Notice] {
        try await ledger.read { try $0.dueNotices(by: instant, limit: 1_000) }
    }

    private static func people(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await world.addSite("Main Street 2").site
        try await insert(
            [
                person("usr_1", "ann@example.test", at: world.site), person("usr_2", nil, at: world.site),
                person("con_3", "bo@example.test", kind: .contact, at: world.site),
                person("con_4", "Ann@Example.test", kind: .contact, at: world.site),
                person("dev_5", "camera@example.test", kind: .device, at: world.site),
                person("usr_6", "cy@example.test", at: other),
            ],
            into: ledger
        )

        let issued = try await tell(world)

        let found = try await due(ledger)
        // Ann stands there twice, with one address.
        try expectEqual(found.map(\.personID).sorted(), ["con_3", "con_4"])
        let notice = try require(found.first { $0.personID == "con_3" })
        try expectEqual(
            notice,
            Notice(
                id: issued.id,
                personID: "con_3",
                address: "bo@example.test",
                dealerID: world.dealer.id,
                siteID: world.site.id,
                kind: .armingFailed,
                subject: issued.draft.subject,
                text: issued.draft.text,
                createdAt: start,
                nextAttemptAt: start
            )
        )
        try expectEqual(try await due(ledger, by: start - .milliseconds(1)), [])
        try expectEqual(try await ledger.read { try $0.nextNoticeDue() }, start)
    }

    private static func refusedLeavesNone(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await insert([person("usr_1", "ann@example.test", at: world.site)], into: ledger)
        var decision = world.decision(version: 99)
        let draft = NoticeDraft(kind: .armingWarning, partitionID: nil, subject: "s", text: "t")
        decision.notices = [IssuedNotice(id: world.random.id(at: start), draft: draft)]

        try expect(try await ledger.commit([decision]).first?.isConflict == true, "no conflict")

        try expectEqual(try await due(ledger), [])
        try expectEqual(try await ledger.read { try $0.nextNoticeDue() } == nil, true)
    }

    private static func boundedPeople(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let crowd = (100..<(101 + Notice.recipientsMaximum))
            .map { person("usr_\($0)", "p\($0)@example.test", at: world.site) }
        try await insert(crowd, into: ledger)

        _ = try await tell(world)

        let told = try await due(ledger).map(\.personID)
        try expectEqual(Set(told), Set(crowd.map(\.id).dropLast()))
    }

    private static func outcomes(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await insert(
            [
                person("usr_1", "ann@example.test", at: world.site), person("usr_2", "bo@example.test", at: world.site),
                person("usr_3", "cy@example.test", at: world.site),
            ],
            into: ledger
        )
        _ = try await tell(world)
        let waiting = try await due(ledger).sorted { $0.personID < $1.personID }
        try expectEqual(waiting.count, 3)

        try await ledger.write { transaction in
            try transaction.record(waiting[0].sent)
            try transaction.record(waiting[1].failed("no route", isPermanent: false, at: start))
            try transaction.record(waiting[2].failed("no such mailbox", isPermanent: true, at: start))
        }

        try expectEqual(try await due(ledger), [])
        let later = start + .seconds(60)
        try expectEqual(try await ledger.read { try $0.nextNoticeDue() }, later)
        var retried = waiting[1]
        (retried.attempts, retried.nextAttemptAt, retried.lastError) = (1, later, "no route")
        try expectEqual(try await due(ledger, by: later), [retried])
        let all = try await ledger.read {
            try $0.notices(of: world.site.id, within: .dealer(world.dealer.id), limit: 9)
        }
        try expectEqual(all.map(\.state), [.sent, .waiting, .failed])
        try expectEqual(all.map(\.attempts), [1, 1, 1])
        try expectEqual(all.map(\.lastError), [nil, "no route", "no such mailbox"])
        let stranger = try await LedgerWorld.make(in: ledger, name: "Bolt").dealer.id
        try expectEqual(
            try await ledger.read { try $0.notices(of: world.site.id, within: .dealer(stranger), limit: 9) },
            []
        )
    }

    private static func personChanges(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await insert(
            [
                person("usr_1", "ann@example.test", at: world.site), person("usr_2", "bo@example.test", at: world.site),
                person("usr_3", "cy@example.test", at: world.site),
            ],
            into: ledger
        )
        _ = try await tell(world)
        try await ledger.write { transaction in
            try transaction.update(person("usr_1", "ann@new.test", at: world.site))
            try transaction.update(person("usr_2", nil, at: world.site))
            try transaction.deleteFixture("usr_3", of: world.site.id)
        }

        let found = try await due(ledger).sorted { $0.personID < $1.personID }
        try expectEqual(found.map(\.personID), ["usr_1", "usr_2"])
        try expectEqual(found.map(\.address), ["ann@new.test", nil])
        try await ledger.write { try $0.deleteSite(world.site.id) }
        try expectEqual(try await ledger.read { try $0.counts()["notice"] }, 0)
    }

    private static func purgeSettled(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await insert(
            [person("usr_1", "ann@example.test", at: world.site), person("usr_2", "bo@example.test", at: world.site)],
            into: ledger
        )
        _ = try await tell(world)
        let first = try require(try await due(ledger).first)
        try await ledger.write { try $0.record(first.sent) }
        func purge(days: Int) async throws -> Int? {
            try await ledger.write { try $0.purge(now: start + .seconds(days * 86_400), limit: 9)["notice"] }
        }

        try expectEqual(try await purge(days: 29), 0)
        try expectEqual(try await purge(days: 30), 1)
        try expectEqual(try await purge(days: 300), 0)
        try expectEqual(try await due(ledger).count, 1)
    }
}
