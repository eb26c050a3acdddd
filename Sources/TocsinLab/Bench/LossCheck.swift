import TocsinCore
import TocsinLedger
import TocsinLedgerSQLite

/// Follows the dealers' logs and holds what was acknowledged and what arrived against them.
package struct LossCheck: Sendable {
    /// One event of the logs, as far as the check needs it.
    package struct Entry: Sendable {
        package var key: EventKey
        package var position: EventPosition
        package var type: EventType
        package var createdAt: Instant
        /// The dealer's place in the fleet.
        package var dealer: Int
    }

    /// What a run is void for, in words; and what is worth telling.
    package struct Verdict: Sendable {
        package var problems: [String] = []
        package var acknowledged = 0
        package var expected = 0
        package var arrived = 0
        package var duplicates = 0
        package var checkedSignatures = 0

        package var isVoid: Bool { !problems.isEmpty }
    }

    private let fleet: BenchFleet
    /// Whose logs are followed, by their places in the fleet.
    private let dealers: Range<Int>
    private var read: [DealerID: Int64] = [:]

    /// Events are read in pages of this many.
    private static let pageSize = 5_000
    /// So many of a run's deliveries are looked up in the attempts log.
    private static let attemptSamples = 200

    /// Follows the logs of these dealers of the fleet, or of all.
    package init(_ fleet: BenchFleet, dealers: Range<Int>? = nil) {
        self.fleet = fleet
        self.dealers = dealers ?? fleet.dealers.indices
    }

    /// What was logged since the last call; works beside the running server.
    package mutating func newEntries() async throws -> [Entry] {
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)), role: .guest, migrate: false)
        var entries: [Entry] = []
        for (index, dealer) in fleet.dealers.enumerated() where dealers.contains(index) {
            var last = read[dealer] ?? 0
            while true {
                let after = last
                let page = try await ledger.read { try $0.events(of: dealer, after: after, limit: Self.pageSize) }
                for event in page {
                    guard event.sequence == last + 1 else {
                        throw LabError("the log of \(dealer) has a gap after sequence \(last)")
                    }
                    last = event.sequence
                    entries.append(
                        Entry(
                            key: EventKey(event.id.text),
                            position: EventPosition(dealerID: dealer, sequence: last),
                            type: event.type,
                            createdAt: event.createdAt,
                            dealer: index
                        )
                    )
                }
                if page.count < Self.pageSize { break }
            }
            read[dealer] = last
        }
        try await ledger.close()
        return entries
    }

    /// How many deliveries these entries must have caused.
    package func expectedDeliveries(of entries: [Entry]) -> Int {
        entries.reduce(0) { count, entry in
            count + (fleet.shape.events.contains(entry.type) ? fleet.endpoints[entry.dealer].count : 0)
        }
    }

    /// Waits until the receiver has accepted as many webhooks as the log asks for; gives up when nothing more comes.
    package func drain(_ sink: WebhookSink?, expected: Int) async throws {
        guard let sink else { return }
        var last = -1
        var quiet = 0
        while sink.arrivals.accepted < expected, quiet < Self.drainPolls {
            let accepted = sink.arrivals.accepted
            quiet = accepted == last ? quiet + 1 : 0
            last = accepted
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits like ``drain(_:expected:)`` for the webhooks of these events alone, where others arrive all the time.
    package func drain(_ sink: WebhookSink, of events: Set<EventKey>, expected: Int) async throws {
        var last = -1
        var quiet = 0
        while quiet < Self.drainPolls / 2 {
            let accepted = sink.arrivals.arrivals.count { $0.isAccepted && events.contains($0.event) }
            if accepted >= expected { return }
            quiet = accepted == last ? quiet + 1 : 0
            last = accepted
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// 15 s without a single arrival: longer than the first two retries take.
    private static let drainPolls = 300

    /// Compares the three accounts: acknowledged by the server, kept in the log, accepted by the receiver.
    ///
    /// So many of the missing are dead letters: they did not come, and are not lost.
    package func verdict(
        _ outcome: ReportSource.Outcome,
        entries: [Entry],
        arrivals: [Arrival],
        sink: WebhookSink?,
        dead: Int = 0
    ) -> Verdict {
        var verdict = Verdict()
        verdict.acknowledged = outcome.acknowledged.count
        if outcome.refusals > 0 {
            verdict.problems.append("\(outcome.refusals) reports were refused: \(outcome.firstRefusal ?? "")")
        }
        let logged = Set(entries.map(\.key))
        let unlogged = outcome.acknowledged.count { !logged.contains($0.event) }
        if unlogged > 0 { verdict.problems.append("\(unlogged) acknowledged events are missing in the log") }

        var seen: [Delivery: Int] = Dictionary(minimumCapacity: arrivals.count)
        for arrival in arrivals where arrival.isAccepted {
            seen[Delivery(event: arrival.event, endpoint: arrival.endpoint), default: 0] += 1
        }
        verdict.arrived = seen.count
        verdict.duplicates = seen.values.reduce(0) { $0 + $1 - 1 }
        var missing = 0
        for entry in entries where fleet.shape.events.contains(entry.type) {
            for endpoint in fleet.endpoints[entry.dealer] {
                verdict.expected += 1
                if seen[Delivery(event: entry.key, endpoint: Int32(endpoint.number))] == nil { missing += 1 }
            }
        }
        let lost = missing - dead
        if lost > 0 { verdict.problems.append("\(lost) of \(verdict.expected) webhooks never arrived") }
        if let sink {
            verdict.checkedSignatures = sink.arrivals.checkedSignatures
            verdict.problems += Set(sink.arrivals.problems)
            if verdict.arrived >= 1000, verdict.checkedSignatures * 100 < verdict.arrived {
                verdict.problems.append("only \(verdict.checkedSignatures) signatures were checked")
            }
        }
        return verdict
    }

    /// Looks a sample of the deliveries up in the attempts log, for at most 10 s: attempts are recorded in batches.
    package func attemptProblems(of entries: [Entry]) async throws -> [String] {
        let due = entries.filter { fleet.shape.events.contains($0.type) && !fleet.endpoints[$0.dealer].isEmpty }
        guard !due.isEmpty else { return [] }
        let step = max(1, due.count / Self.attemptSamples)
        var open = stride(from: 0, to: due.count, by: step).map { index in
            let endpoints = fleet.endpoints[due[index].dealer]
            return (position: due[index].position, endpoint: endpoints[index % endpoints.count].id)
        }
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)), role: .guest, migrate: false)
        for _ in 0..<100 where !open.isEmpty {
            let wanted = open
            open = try await ledger.read { reader in
                try wanted.filter { delivery in
                    try !reader.attempts(of: delivery.position, to: delivery.endpoint).contains(where: \.succeeded)
                }
            }
            if !open.isEmpty { try await Task.sleep(for: .milliseconds(100)) }
        }
        try await ledger.close()
        return open.isEmpty ? [] : ["\(open.count) sampled deliveries have no successful attempt in the log"]
    }

    private struct Delivery: Hashable {
        var event: EventKey
        var endpoint: Int32
    }
}
