import Foundation
import GRDB
import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

/// What deletions left, in the tables themselves.
@Suite struct RemainsTests {
    private static let limit = 10

    /// Two dealers whose rows stand between one another's; everything of both is delivered to one partner's endpoint.
    private func fill(_ ledger: SQLiteLedger, rounds: Int64 = 40) async throws -> (LedgerWorld, LedgerWorld) {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let shared = try await world.addEndpoint(.partner(world.partner.id))
        let own = try await world.addEndpoint()
        try await ledger.write { try $0.link(other.dealer.id, to: world.partner.id) }
        var batch = DeliveryBatch()
        for version in 1...rounds {
            let decisions = [world, other].map { each in
                var decision = each.decision(version: version)
                decision.reportIDs = ["r-\(version)"]
                decision.alarms = [each.raised(IncidentID(version))]
                return decision
            }
            for event in try await ledger.commit(decisions).flatMap({ try #require($0.events) }) {
                let endpoints = event.dealerID == world.dealer.id ? [shared, own] : [shared]
                batch.attempts += endpoints.map { LedgerConformance.attempt(event, to: $0.id, succeeded: false) }
                batch.exceptions += endpoints.map {
                    LedgerConformance.exception(event, to: $0.id, .waiting, due: LedgerWorld.start)
                }
            }
        }
        try await ledger.record(batch)
        return (world, other)
    }

    /// The tables in which deletions leave something.
    private static let tables = [
        "event_batch", "event_mark", "audit", "alarm", "alarm_entry", "known_report", "exceptional_delivery",
        "delivery_attempt",
    ]

    private func rows(_ ledger: SQLiteLedger) async throws -> [String: Int64] {
        try await ledger.writer.read { database in
            var rows: [String: Int64] = [:]
            for table in Self.tables + ["remains"] {
                rows[table] = try database.number("SELECT count(*) FROM \(table)")
            }
            return rows
        }
    }

    @Test func `no step removes more rows than it may, whatever they are of`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, other) = try await fill(ledger)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        var before = try await rows(ledger)
        var cleared = 0
        repeat {
            cleared = try await ledger.write { try $0.clearRemains(limit: Self.limit) }
            let after = try await rows(ledger)
            // Marks are one for 64 events.
            let removed = before.reduce(0) { $0 + $1.value - (after[$1.key] ?? 0) }
            #expect(removed <= Self.limit + 1)
            before = after
            #expect(try await ledger.read { try $0.verify() } == [])
        } while cleared >= Self.limit
        // As many as the other dealer's alone.
        let alone = [
            "event_batch": 40, "event_mark": 1, "audit": 40, "alarm": 40, "alarm_entry": 40, "known_report": 40,
            "exceptional_delivery": 80, "delivery_attempt": 80, "remains": 0,
        ]
        #expect(before.mapValues { Int($0) } == alone)

        try await ledger.write { try $0.deleteDealer(other.dealer.id) }
        try await ledger.clearRemains(limit: Self.limit)
        #expect(try await rows(ledger).values.allSatisfy { $0 == 0 })
        try await ledger.close()
    }

    @Test func `a removal looks through no table`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, _) = try await fill(ledger, rounds: 5)
        let own = try await ledger.read { try $0.endpoints(of: .app(world.app.id, of: world.dealer.id)) }
        let endpoint = try #require(own.first?.id)
        try await ledger.write { transaction in
            try transaction.deleteEndpoint(endpoint)
            try transaction.deleteDealer(world.dealer.id)
        }
        let plans = try await ledger.queryPlans { _ = try $0.clearRemains(limit: 1_000) }
        #expect(plans.count > 15)
        for plan in plans where !plan.sql.contains("FROM remains ORDER BY id LIMIT") {
            #expect(!plan.steps.contains { $0.hasPrefix("SCAN") }, "\(plan)")
        }
        try await ledger.close()
    }

    @Test func `a removal that was broken off goes on where it was`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            var ledger = try SQLiteLedger.open(.file(path))
            let (world, other) = try await fill(ledger, rounds: 20)
            let events = try await ledger.read { try $0.events(of: other.dealer.id, after: 0, limit: 1_000) }
            try await ledger.write { try $0.deleteDealer(world.dealer.id) }
            var opened = 1
            while try await ledger.write({ try $0.clearRemains(limit: 30) }) >= 30 {
                try await ledger.close()
                ledger = try SQLiteLedger.open(.file(path))
                opened += 1
                #expect(try await ledger.read { try $0.verify() } == [])
            }
            #expect(opened > 5)
            #expect(try await ledger.read { try $0.events(of: other.dealer.id, after: 0, limit: 1_000) } == events)
            #expect(try await rows(ledger)["event_batch"] == 20)
            #expect(try await rows(ledger)["remains"] == 0)
            try await ledger.close()
        }
    }

    @Test func `the newest dealer's number is given again only when nothing is left of it`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (_, newest) = try await fill(ledger)
        func number(of dealer: DealerID) async throws -> Int64 {
            try await ledger.writer.read { try $0.number("SELECT place FROM dealer WHERE id = ?", [dealer]) }
        }
        let gone = try await number(of: newest.dealer.id)
        try await ledger.write { try $0.deleteDealer(newest.dealer.id) }
        let next = try await LedgerWorld.make(in: ledger, name: "Cole")
        #expect(try await number(of: next.dealer.id) == gone + 1)
        try await ledger.write { try $0.deleteDealer(next.dealer.id) }
        try await ledger.clearRemains(limit: Self.limit)
        let last = try await LedgerWorld.make(in: ledger, name: "Dunn")
        #expect(try await number(of: last.dealer.id) == gone)
        #expect(try await ledger.read { try $0.events(of: last.dealer.id, after: 0, limit: 9) }.isEmpty)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.close()
    }

    @Test func `rows that take the numbers of removed ones stay`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, other) = try await fill(ledger, rounds: 3)
        // The newest rows of all are the dealer's, so that their numbers are free when they are gone.
        for version: Int64 in 4...40 { _ = try await ledger.commit([world.decision(version: version)]) }
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        var cleared = Self.limit
        var version: Int64 = 4
        while cleared >= Self.limit {
            cleared = try await ledger.write { try $0.clearRemains(limit: Self.limit) }
            _ = try await ledger.commit([other.decision(version: version)])
            version += 1
        }
        let events = try await ledger.read { try $0.events(of: other.dealer.id, after: 0, limit: 1_000) }
        #expect(events.map(\.sequence) == Array(1...(version - 1) * 2))
        let audit = try await ledger.read {
            try $0.audit(within: .dealer(other.dealer.id), filter: .init(), page: .init(limit: 1_000)).items
        }
        #expect(audit.count == Int(version - 1))
        #expect(try await rows(ledger)["event_batch"] == version - 1)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.close()
    }

    @Test func `a purge beside a removal breaks nothing`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, other) = try await fill(ledger)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        let late = LedgerWorld.start + .seconds(400 * 86_400)
        var cleared = Self.limit
        while cleared >= Self.limit {
            cleared = try await ledger.write { transaction in
                _ = try transaction.purge(now: late, limit: 3)
                return try transaction.clearRemains(limit: Self.limit)
            }
            #expect(try await ledger.read { try $0.verify() } == [])
        }
        #expect(try await rows(ledger)["remains"] == 0)
        let sequences = try await ledger.read { reader in
            try reader.events(of: other.dealer.id, after: 0, limit: 1_000).map(\.sequence)
        }
        #expect(sequences == Array((sequences.first ?? 81)..<81))
        let strangers = try await ledger.writer.read {
            try $0.number("SELECT count(*) FROM audit WHERE dealer NOT IN (SELECT place FROM dealer)")
        }
        #expect(strangers == 0)
        try await ledger.close()
    }

    private static let isKept = "dealer_id IN (SELECT id FROM dealer)"

    @Test(arguments: [
        ("UPDATE event_batch SET place = place + (7 << 40) WHERE id = 50", "of the dealer number"),
        (
            "UPDATE exceptional_delivery SET endpoint_id = 'ep_none' WHERE sequence = 5 AND \(isKept)",
            "one of which does"
        ),
        ("UPDATE alarm SET dealer_id = 'dlr_none' WHERE number = 5 AND \(isKept)", "alarms of dlr_none"),
        ("DELETE FROM remains", "which does not exist"),
    ])
    func `verify tells strangers from what is left`(damage: String, finding: String) async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, _) = try await fill(ledger)
        try await ledger.write { try $0.deleteDealer(world.dealer.id) }
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.writer.writeWithoutTransaction { try $0.execute(sql: damage) }
        let findings = try await ledger.read { try $0.verify() }
        #expect(findings.contains { $0.contains(finding) }, "\(findings)")
        try await ledger.close()
    }

    @Test func `an endpoint's attempts go in steps, if they do not go with it`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let (world, _) = try await fill(ledger)
        let own = try await ledger.read { try $0.endpoints(of: .app(world.app.id, of: world.dealer.id)) }
        let endpoint = try #require(own.first?.id)
        try await ledger.writer.writeWithoutTransaction { try $0.execute(sql: "PRAGMA foreign_keys = OFF") }
        try await ledger.write { try $0.deleteEndpoint(endpoint) }
        try await ledger.writer.writeWithoutTransaction { try $0.execute(sql: "PRAGMA foreign_keys = ON") }
        #expect(try await rows(ledger)["delivery_attempt"] == 240)
        var steps = 0
        while try await ledger.write({ try $0.clearRemains(limit: Self.limit) }) >= Self.limit { steps += 1 }
        #expect(steps >= 16)
        let left = try await rows(ledger)
        #expect([left["delivery_attempt"], left["exceptional_delivery"], left["remains"]] == [160, 160, 0])
        try await ledger.close()
    }
}
