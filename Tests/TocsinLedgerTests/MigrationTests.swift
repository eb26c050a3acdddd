import Foundation
import GRDB
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

@Suite struct MigrationTests {
    /// A ledger with the tables of before states had one of their own, with a site that has a history and a deadline.
    private func makeOldLedger(at path: String) throws -> (site: SiteID, partition: PartitionID, event: EventID) {
        let (site, partition) = (SiteID(stored: "site_1"), PartitionID(stored: "p_1"))
        let event = EventID(stored: "evt_01ja3gq5p6v8m4k2t9x7y0z1ab")
        var state = SiteState(partitions: [partition: PartitionState(since: Instant(secondsSinceEpoch: 100))])
        state.partitions[partition]?.overdueAt = Instant(secondsSinceEpoch: 900)
        let queue = try DatabaseQueue(path: path)
        try Schema.migrator.migrate(queue, upTo: "0009 alarms of devices")
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
            try database.execute(
                sql: "INSERT INTO dealer (id, name, created_at, last_sequence) VALUES ('dlr_1', 'Dealer', 0, 1)"
            )
            try database.execute(
                sql: """
                    INSERT INTO site (id, dealer_id, name, timezone, test_mode, arming_model, created_at, version,
                        next_due, last_history, state) VALUES (?, 'dlr_1', 'Shop', 'UTC', 0, ?, 100000, 7, ?, 1, ?)
                    """,
                arguments: [
                    site.text, ArmingModel.partnerTriggered.rawValue, 900_000, Data(state.snapshot),
                ]
            )
            try database.execute(
                sql: """
                    INSERT INTO partition (site_id, id, number, name, exit_delay_away, exit_delay_stay, exit_delay_night,
                        exit_delay_custom, entry_delay) VALUES (?, ?, 1, 'Shop', 60, 30, 0, 60, 30)
                    """,
                arguments: [site.text, partition.text]
            )
            try database.execute(
                sql: """
                    INSERT INTO event (dealer_id, sequence, id, type, site_id, audience, created_at, body)
                        VALUES ('dlr_1', 1, ?, ?, ?, ?, 100000, ?)
                    """,
                arguments: [
                    event.text, EventType.partitionArmed.rawValue, site.text, EventAudience.everyone.stored,
                    Data("{}".utf8),
                ]
            )
            try database.execute(
                sql: """
                    INSERT INTO audit (id, at, dealer_id, site_id, actor_kind, actor_id, action, result, explanation, cause,
                        previous) VALUES (1, 100000, 'dlr_1', ?, 'system', 'tocsin', 'site.created', 'ok', '', '', 0)
                    """,
                arguments: [site.text]
            )
        }
        try queue.close()
        return (site, partition, event)
    }

    @Test func `a ledger of before states had a table keeps versions, deadlines, histories and events`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let (site, partition, event) = try makeOldLedger(at: path)
            #expect(try SQLiteLedger.needsMigration(path: path))

            let ledger = try SQLiteLedger.open(.file(path))
            let record = try #require(try await ledger.load([site])[site])
            #expect(record.version == 7)
            #expect(record.state.partitions[partition]?.overdueAt == Instant(secondsSinceEpoch: 900))
            try await ledger.read { reader in
                #expect(try reader.schemaVersion() == SQLiteLedger.currentSchemaVersion)
                let due = try reader.pendingDeadlines(after: nil, limit: 10)
                #expect(due.map(\.site) == [site])
                #expect(due.map(\.due) == [Instant(secondsSinceEpoch: 900)])
                let history = try reader.history(of: site, within: .platform, page: PageRequest(limit: 10))
                #expect(history.items.map(\.id) == [1])
                let audit = try reader.audit(within: .dealer(DealerID(stored: "dlr_1")), filter: .init(), page: .init())
                #expect(audit.items.map(\.id) == [1])
                #expect(try reader.event(event, within: .platform)?.sequence == 1)
                #expect(try reader.verify() == [])
            }
            try await ledger.close()
            #expect(try !SQLiteLedger.needsMigration(path: path))
        }
    }

    @Test func `deliveries of before deletions left anything stay, but those of dealers who are gone`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let queue = try DatabaseQueue(path: path)
            try Schema.migrator.migrate(queue, upTo: "0016 event order")
            try await queue.writeWithoutTransaction { database in
                try database.execute(
                    sql: """
                        PRAGMA application_id = \(Schema.applicationID);
                        INSERT INTO dealer (id, name, created_at, last_sequence, place) VALUES ('dlr_1', 'Dealer', 0, 9, 1);
                        INSERT INTO app (id, dealer_id, name, scopes, ip_allow_list, is_revoked, tier, created_at)
                            VALUES ('app_1', 'dlr_1', 'App', '', '', 0, 'free', 0);
                        INSERT INTO endpoint (id, suffix, app_id, dealer_id, url, events, ordering, concurrency, is_enabled,
                            created_at) VALUES ('ep_1', '1', 'app_1', 'dlr_1', 'https://a.test', '', 'none', 1, 1, 0);
                        INSERT INTO exceptional_delivery (endpoint_id, dealer_id, sequence, event_id, state, attempts,
                            next_attempt_at, event_created_at, updated_at, task_id, task_prior, answers) VALUES
                            ('ep_1', 'dlr_1', 7, 'evt_1', 'retrying', 3, 500, 100, 200, 'task_1', 'dead', 4),
                            ('ep_1', 'dlr_0', 8, 'evt_2', 'retrying', 3, 400, 100, 200, NULL, NULL, 0);
                        """
                )
            }
            try queue.close()

            let ledger = try SQLiteLedger.open(.file(path))
            let stored = ExceptionalDelivery(
                endpointID: EndpointID(stored: "ep_1"),
                position: EventPosition(dealerID: DealerID(stored: "dlr_1"), sequence: 7),
                eventID: EventID(stored: "evt_1"),
                state: .retrying,
                attempts: 3,
                answers: 4,
                nextAttemptAt: Instant(millisecondsSinceEpoch: 500),
                eventCreatedAt: Instant(millisecondsSinceEpoch: 100),
                updatedAt: Instant(millisecondsSinceEpoch: 200),
                task: TaskMark(id: DeliveryTaskID(stored: "task_1"), prior: .dead)
            )
            try await ledger.read { reader in
                let due = try reader.dueDeliveries(of: stored.endpointID, by: Instant(secondsSinceEpoch: 1), limit: 9)
                #expect(due == [stored])
                #expect(try reader.counts()["exceptional_delivery"] == 1)
            }
            try await ledger.close()
        }
    }
}
