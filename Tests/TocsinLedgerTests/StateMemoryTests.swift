import Testing
import TocsinCore
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

/// The ledger remembers what it stored of a site; what others write meanwhile must not be lost for that.
@Suite struct StateMemoryTests {
    private func change(_ world: LedgerWorld, version: Int64) -> Decision {
        var decision = world.decision(version: version)
        decision.audit[0].changesState = true
        return decision
    }

    private func history(_ world: LedgerWorld, _ ledger: SQLiteLedger) async throws -> [Int64] {
        try await ledger.read { [site = world.site.id] in
            try $0.history(of: site, within: .platform, page: PageRequest(limit: 50)).items.map(\.id)
        }
    }

    @Test func `a history entry written between two decisions stays in the chain`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await ledger.commit([change(world, version: 1)])
        var entry = world.auditEntry()
        entry.changesState = true
        try await ledger.write { [entry] in try $0.append(entry) }
        let outcome = try await ledger.commit([change(world, version: 2)]).first
        #expect(outcome?.events?.count == 2)
        #expect(try await history(world, ledger).count == 3)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.close()
    }

    @Test func `a change by another process conflicts with the decision that did not see it`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let ledger = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: ledger)
            _ = try await ledger.commit([change(world, version: 1)])
            let guest = try SQLiteLedger.open(.file(path), role: .guest, migrate: false)
            try await guest.write { [site = world.site] in try $0.update(site) }
            try await guest.close()

            #expect(try await ledger.commit([change(world, version: 2)]).first?.isConflict == true)
            #expect(try await ledger.commit([change(world, version: 3)]).first?.events?.count == 2)
            #expect(try await history(world, ledger).count == 2)
            #expect(try await ledger.read { try $0.verify() } == [])
            try await ledger.close()
        }
    }

    @Test func `a site that was made in the place of a deleted one is not taken for it`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let gone = try await world.addSite("Main Street 2")
        let decision = world.decision(on: gone.site, gone.partition, version: 1)
        _ = try await ledger.commit([decision])
        try await ledger.write { try $0.deleteSite(gone.site.id) }
        _ = try await world.addSite("Main Street 3")
        let late = world.decision(on: gone.site, gone.partition, version: 2)
        #expect(try await ledger.commit([late]).first?.isConflict == true)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.close()
    }
}
