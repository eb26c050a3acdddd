import GRDB
import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

/// The attempts log and what is noted beside it.
@Suite struct AttemptLogTests {
    private static let start = LedgerWorld.start

    /// An event every few milliseconds, each sent to every endpoint at once.
    private func deliver(
        _ count: Int,
        every step: Duration,
        to endpoints: [EndpointID],
        of world: LedgerWorld,
        at instant: Instant = start
    ) async throws -> [LoggedEvent] {
        let drafts = (0..<count).map { world.arming(at: instant + step * $0) }
        let events = try await world.ledger.write { try $0.append(drafts, to: world.dealer.id, at: instant) }
        try await world.ledger.record(DeliveryBatch(attempts: attempts(events, to: endpoints, at: instant)))
        return events
    }

    private func attempts(_ events: [LoggedEvent], to endpoints: [EndpointID], at instant: Instant) -> [DeliveryAttempt]
    {
        events.flatMap { event in
            endpoints.map { LedgerConformance.attempt(event, to: $0, at: instant) }
        }
    }

    private func number(_ sql: String, _ ledger: SQLiteLedger) async throws -> Int64 {
        try await ledger.writer.read { try $0.number(sql) }
    }

    private func listed(_ world: LedgerWorld, to endpoint: EndpointID) async throws -> [EventID] {
        try await world.ledger.read {
            try $0.deliveries(within: .platform, filter: .init(endpointID: endpoint), page: .init(limit: 200))
                .items.map(\.eventID)
        }
    }

    @Test func `an endpoint is noted once for all that it is sent in a second`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let endpoints = [try await world.addEndpoint().id, try await world.addEndpoint().id]
        // A second is 1,024 ms here, and need not begin with the first event.
        let events = try await deliver(100, every: .milliseconds(10), to: endpoints, of: world)
        let seconds = Set(events.map { $0.id.time / 1_024 }).count
        #expect(seconds <= 2)
        #expect(try await number("SELECT count(*) FROM attempt_span", ledger) == Int64(2 * seconds))
        try await ledger.close()
    }

    @Test func `what the retention takes is noted no longer, what was sent anew since is`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let (first, second) = (try await world.addEndpoint().id, try await world.addEndpoint().id)
        let events = try await deliver(50, every: .seconds(3), to: [first, second], of: world)
        let late = Self.start + .seconds(20 * 86_400)
        try await ledger.record(DeliveryBatch(attempts: attempts(Array(events.prefix(9)), to: [second], at: late)))

        let end = Self.start + .seconds(31 * 86_400)
        var steps = 0
        while try await ledger.write({ try $0.purge(now: end, limit: 7)["delivery_attempt"] }) == 7 { steps += 1 }
        #expect(steps == 14)
        #expect(try await number("SELECT count(*) FROM delivery_attempt", ledger) == 9)
        #expect(try await number("SELECT count(*) FROM attempt_span", ledger) == 9)
        #expect(try await listed(world, to: first) == [])
        #expect(try await listed(world, to: second) == events.prefix(9).map(\.id).reversed())
        try await ledger.close()
    }

    @Test func `attempts at an endpoint are forgotten in steps, and nobody else's`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let (first, second) = (try await world.addEndpoint().id, try await world.addEndpoint().id)
        let events = try await deliver(40, every: .milliseconds(500), to: [first, second], of: world)
        var counts: [Int] = []
        repeat {
            counts.append(try await ledger.writer.write { try AttemptLog($0).delete(of: first, limit: 7) })
        } while counts.last == 7
        #expect(counts == [7, 7, 7, 7, 7, 5])
        #expect(try await listed(world, to: first) == [])
        #expect(try await listed(world, to: second) == events.map(\.id).reversed())
        let notes = "SELECT count(*) FROM attempt_span WHERE endpoint_id = '\(first)'"
        #expect(try await number(notes, ledger) == 0)
        try await ledger.close()
    }

    @Test func `what is forgotten of a quiet endpoint among others takes no long step`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let (quiet, busy) = (try await world.addEndpoint().id, try await world.addEndpoint().id)
        for second in 0..<5 {
            let instant = Self.start + .milliseconds(1_024 * second)
            let events = try await deliver(99, every: .zero, to: [busy], of: world, at: instant)
            let one = attempts(Array(events.suffix(1)), to: [quiet], at: instant)
            try await ledger.record(DeliveryBatch(attempts: one))
        }
        // A step looks at 7 × 20 attempts, and ends with the second in which it is: at 200 of them.
        var counts: [Int] = []
        repeat {
            counts.append(try await ledger.writer.write { try AttemptLog($0).delete(of: quiet, limit: 7) })
        } while counts.last == 7
        #expect(counts == [7, 7, 5])
        #expect(try await listed(world, to: quiet) == [])
        let notes = "SELECT count(*) FROM attempt_span WHERE endpoint_id = '\(quiet)'"
        #expect(try await number(notes, ledger) == 0)
        #expect(try await number("SELECT count(*) FROM delivery_attempt", ledger) == 5 * 99)
        try await ledger.close()
    }

    @Test func `what succeeded at once is asked for no further back than a page of others reaches`() async throws {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let events = try await deliver(40, every: .milliseconds(300), to: [endpoint], of: world)
        let ids = events.map(\.id)
        let known = try await ledger.writer.read { database in
            var known: [EventID] = []
            try AttemptLog(database).eachPlain(of: [endpoint], from: ids[33], through: ids[8]) { plain in
                known += plain.map(\.eventID)
                return true
            }
            return known
        }
        #expect(known == Array(ids[8...33].reversed()))

        let due = Self.start + .seconds(999)
        let exceptions = events[20...].map { LedgerConformance.exception($0, to: endpoint, .retrying, due: due) }
        try await ledger.record(DeliveryBatch(exceptions: exceptions))
        for limit in [1, 19, 20, 21, 40] {
            let page = try await ledger.read {
                try $0.deliveries(within: .platform, filter: .init(endpointID: endpoint), page: .init(limit: limit))
                    .items
            }
            #expect(page.map(\.eventID) == Array(ids.reversed().prefix(limit)))
            #expect(page.filter { $0.state == .retrying }.count == min(limit, 20))
        }
        try await ledger.close()
    }

    @Test func `a ledger of before seconds were noted keeps its deliveries`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let events = try makeOldLedger(at: path, events: 6_000)
            let ledger = try SQLiteLedger.open(.file(path))
            let endpoint = EndpointID(stored: "ep_1")
            #expect(try await ledger.read { try $0.counts()["delivery_attempt"] } == Int64(events.count))
            #expect(try await ledger.read { try $0.verify() } == [])
            let known = try await ledger.writer.read { database in
                var known: [EventID] = []
                try AttemptLog(database).eachPlain(of: [endpoint], from: nil) { plain in
                    known += plain.map(\.eventID)
                    return true
                }
                return known
            }
            #expect(known == events.reversed())
            try await ledger.close()
        }
    }

    /// A ledger with one endpoint, and ten deliveries in each span.
    private func makeOldLedger(at path: String, events: Int) throws -> [EventID] {
        let queue = try DatabaseQueue(path: path)
        try Schema.migrator.migrate(queue, upTo: "0016 event order")
        try queue.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    PRAGMA application_id = \(Schema.applicationID);
                    INSERT INTO dealer (id, name, created_at, place) VALUES ('dlr_1', 'Dealer', 0, 1);
                    INSERT INTO app (id, dealer_id, name, scopes, ip_allow_list, is_revoked, tier, created_at)
                        VALUES ('app_1', 'dlr_1', 'App', '', '', 0, 'standard', 0);
                    INSERT INTO endpoint (id, suffix, app_id, dealer_id, url, events, ordering, concurrency, is_enabled,
                        created_at) VALUES ('ep_1', 'ep_1', 'app_1', 'dlr_1', 'https://a.test', '', 'none', 16, 1, 0);
                    INSERT INTO endpoint_cursor (endpoint_id, dealer_id, sequence) VALUES ('ep_1', 'dlr_1', 0);
                    INSERT INTO delivery_attempt (endpoint_id, dealer_id, sequence, event_id, number, is_plain, at,
                        succeeded, total_us, request_headers, response_body)
                        WITH RECURSIVE numbers (n) AS (
                            SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < \(events)
                        ) SELECT 'ep_1', 'dlr_1', n + 1, printf('evt_%08d%018d', n / 10, n), 1, 1, 0, 1, 0, '', x''
                            FROM numbers
                    """
            )
        }
        let ids: [EventID] = try queue.read { database in
            try database.all("SELECT event_id FROM delivery_attempt ORDER BY id") { $0.id(0) }
        }
        try queue.close()
        return ids
    }
}
