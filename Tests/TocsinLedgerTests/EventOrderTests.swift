import Foundation
import GRDB
import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

/// Dealers' logs, whose rows stand between one another's.
@Suite struct EventOrderTests {
    private let late = LedgerWorld.start + .seconds(200 * 86_400)

    /// Appends rows of 1 to 20 events in turns, some by decisions, and returns the ids in each log's order.
    private func fill(
        _ worlds: [LedgerWorld],
        rows: ClosedRange<Int64>,
        _ ledger: SQLiteLedger
    ) async throws -> [DealerID: [EventID]] {
        var ids: [DealerID: [EventID]] = [:]
        for version in rows {
            for (index, world) in worlds.enumerated() {
                let dealer = world.dealer.id
                if (Int(version) + index).isMultiple(of: 3) {
                    let drafts = (0...(Int(version) * 7 + index) % 20).map { _ in world.arming() }
                    try await ledger.write { _ = try $0.append(drafts, to: dealer, at: LedgerWorld.start) }
                    ids[dealer, default: []] += drafts.map(\.id)
                } else {
                    let site = try await ledger.load([world.site.id])[world.site.id]
                    let decision = world.decision(version: try #require(site?.version))
                    let events = try await ledger.commit([decision]).first?.events
                    ids[dealer, default: []] += try #require(events).map(\.id)
                }
            }
        }
        return ids
    }

    private func worlds(_ count: Int, in ledger: SQLiteLedger) async throws -> [LedgerWorld] {
        var worlds: [LedgerWorld] = []
        for number in 0..<count { worlds.append(try await LedgerWorld.make(in: ledger, name: "Dealer \(number)")) }
        return worlds
    }

    /// Reads a log from many places, by pages, by position and by id.
    private func expect(
        _ log: [EventID],
        from first: Int = 1,
        of dealer: DealerID,
        in ledger: SQLiteLedger
    ) async throws {
        try await ledger.read { reader in
            for after in Set([0, 1, 2, 62, 63, 64, 65, 127, 128, 129, log.count - 1, log.count])
            where after >= first - 1 {
                let all = try reader.events(of: dealer, after: Int64(after), limit: .max)
                #expect(all.map(\.id) == Array(log.dropFirst(after)))
                #expect(all.map(\.sequence) == Array(Int64(after + 1)..<Int64(max(after, log.count) + 1)))
                let page = try reader.events(of: dealer, after: Int64(after), limit: 3)
                #expect(page.map(\.id) == Array(log.dropFirst(after).prefix(3)))
            }
            for index in stride(from: 0, to: log.count, by: 1 + log.count / 500) {
                let id = log[index]
                let position = EventPosition(dealerID: dealer, sequence: Int64(index) + 1)
                #expect(try reader.event(at: position)?.id == (index + 1 < first ? nil : id))
                #expect(
                    try reader.event(id, within: .dealer(dealer))?.sequence
                        == (index + 1 < first ? nil : position.sequence)
                )
            }
            #expect(try reader.event(at: EventPosition(dealerID: dealer, sequence: Int64(log.count) + 1)) == nil)
            #expect(try reader.verify() == [])
        }
    }

    @Test func `logs between one another are read from anywhere`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let worlds = try await worlds(3, in: ledger)
        let logs = try await fill(worlds, rows: 1...60, ledger)
        for world in worlds {
            let log = try #require(logs[world.dealer.id])
            #expect(log.count > 200)
            try await expect(log, of: world.dealer.id, in: ledger)
        }
        try await ledger.close()
    }

    @Test func `a purged log goes on, and others take the numbers of its rows`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let worlds = try await worlds(2, in: ledger)
        var logs = try await fill(worlds, rows: 1...40, ledger)
        let (dealer, other) = (worlds[0].dealer.id, worlds[1].dealer.id)
        // A part of one log, a bounded number at once.
        let purged = try await ledger.write { [late] in try $0.purge(now: late, limit: 150) }["event"] ?? 0
        #expect((150..<170).contains(purged))
        var missing = 0
        for id in [dealer, other] {
            let first = try await ledger.read { try $0.events(of: id, after: 0, limit: 1) }.first?.sequence
            missing += Int(try #require(first)) - 1
            try await expect(try #require(logs[id]), from: Int(try #require(first)), of: id, in: ledger)
        }
        #expect(missing == purged)

        // All of it, so that rows are numbered from 1 again.
        while try await ledger.write({ [late] in try $0.purge(now: late, limit: 1_000) })["event"] ?? 0 > 0 {}
        #expect(try await ledger.read { try $0.counts()["event"] } == 0)
        let gone = logs.mapValues(\.count)
        for (id, log) in try await fill([worlds[1], worlds[0]], rows: 1...40, ledger) { logs[id, default: []] += log }
        for id in [dealer, other] {
            try await expect(try #require(logs[id]), from: try #require(gone[id]) + 1, of: id, in: ledger)
        }
        try await ledger.close()
    }

    @Test func `a dealer's log goes with it and leaves the others`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let worlds = try await worlds(3, in: ledger)
        let logs = try await fill(worlds, rows: 1...30, ledger)
        let gone = worlds[1].dealer.id
        try await ledger.write { try $0.deleteDealer(gone) }
        for limit in [0, 100, 100_000] {
            // As it is left, when a part of it is removed, when all of it is.
            _ = try await ledger.write { try $0.clearRemains(limit: limit) }
            for world in [worlds[0], worlds[2]] {
                try await expect(try #require(logs[world.dealer.id]), of: world.dealer.id, in: ledger)
            }
        }
        let kept = (logs[worlds[0].dealer.id]?.count ?? 0) + (logs[worlds[2].dealer.id]?.count ?? 0)
        #expect(try await ledger.read { try $0.counts()["event"] } == Int64(kept))
        try await ledger.close()
    }

    @Test(arguments: [
        ("UPDATE event_batch SET previous = 1 WHERE id = 50", "does not tell the row before it"),
        ("DELETE FROM event_batch WHERE id = 50", "has a gap before event"),
        ("UPDATE event_batch SET id_time = id_time + 1 WHERE id = 50", "is not found by its id"),
        ("DELETE FROM event_mark", "has no mark"),
        ("UPDATE event_mark SET event_batch = event_batch + 1", "has no mark"),
        ("INSERT INTO event_mark (place, event_batch) VALUES (5, 5)", "where there is no event"),
        ("UPDATE dealer SET last_event_batch = 1", "is not the one that it tells"),
        ("UPDATE dealer SET last_sequence = last_sequence + 1", "its counter says"),
        ("UPDATE event_batch SET place = place + (7 << 40) WHERE id = 50", "which does not exist"),
    ])
    func `verify finds a log that is not whole`(damage: String, finding: String) async throws {
        let ledger = try SQLiteLedger.open(.memory)
        _ = try await fill(try await worlds(2, in: ledger), rows: 1...40, ledger)
        #expect(try await ledger.read { try $0.verify() } == [])
        try await ledger.writer.writeWithoutTransaction { try $0.execute(sql: damage) }
        let findings = try await ledger.read { try $0.verify() }
        #expect(findings.contains { $0.contains(finding) }, "\(findings)")
        try await ledger.close()
    }

    @Test func `logs in the order of their dealers are brought into the order of commits`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let first = try SQLiteLedger.open(.file(path))
            let worlds = try await worlds(3, in: first)
            var logs = try await fill(worlds, rows: 1...30, first)
            // More rows than are moved in one step.
            let long = worlds[1]
            let drafts = (0..<5_100).map { _ in long.arming() }
            try await first.write { transaction in
                for draft in drafts { _ = try transaction.append([draft], to: long.dealer.id, at: LedgerWorld.start) }
            }
            logs[long.dealer.id]? += drafts.map(\.id)
            try await first.close()
            try Self.takeBack(path, purged: logs[worlds[0].dealer.id]?.count ?? 0)
            #expect(try SQLiteLedger.needsMigration(path: path))

            let ledger = try SQLiteLedger.open(.file(path))
            let added = try await fill(worlds, rows: 31...60, ledger)
            for (index, world) in worlds.enumerated() {
                let dealer = world.dealer.id
                let old = try #require(logs[dealer])
                // The first log was purged whole, the last one is as it was.
                let kept = index == 0 ? old.count + 1 : 1
                try await expect(old + (added[dealer] ?? []), from: kept, of: dealer, in: ledger)
            }
            try await ledger.close()
        }
    }

    /// Gives a ledger the tables of before, and takes away so many of the first dealer's events.
    private static func takeBack(_ path: String, purged: Int) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { database in
            try database.execute(
                sql: """
                    DROP INDEX event_batch_time;
                    ALTER TABLE event_batch RENAME TO new_event_batch;
                    CREATE TABLE event_batch (place INTEGER PRIMARY KEY NOT NULL, events INTEGER NOT NULL,
                        id_time INTEGER NOT NULL, created_at INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;
                    INSERT INTO event_batch SELECT place, events, id_time, created_at, packed FROM new_event_batch
                        WHERE place > (1 << 40) + \(purged);
                    DROP TABLE new_event_batch;
                    CREATE INDEX event_batch_time ON event_batch (id_time);
                    DROP TABLE event_mark;
                    ALTER TABLE dealer DROP COLUMN last_event_batch;
                    DELETE FROM grdb_migrations WHERE identifier LIKE '0016%';
                    PRAGMA user_version = 14
                    """
            )
        }
        try queue.close()
    }
}
