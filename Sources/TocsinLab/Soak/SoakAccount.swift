import TocsinCore
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

/// Holds what was acknowledged, what the log has and what arrived against each other, over all kills of a soak.
struct SoakAccount: Sendable {
    struct Delivery: Hashable, Sendable {
        var event: EventKey
        var endpoint: Int32
    }

    private let fleet: BenchFleet
    private var check: LossCheck
    private(set) var entries: [LossCheck.Entry] = []
    private var positions: [EventKey: EventPosition] = [:]
    /// Deliveries that the log asks for and that have not arrived yet.
    private var open: [Delivery] = []
    private var arrived: Set<Delivery> = []
    private var countedArrivals = 0
    /// What a receiver had taken when the server was killed, and no attempts log knew of: it may be sent again, once a kill.
    private(set) var inFlight: [Delivery: Int] = [:]
    private(set) var problems: [String] = []

    /// How far back before a kill is looked for what was not recorded; recording takes milliseconds.
    private static let horizonNanoseconds: UInt64 = 20_000_000_000
    private static let pageSize = 5_000

    init(_ fleet: BenchFleet) {
        self.fleet = fleet
        check = LossCheck(fleet)
    }

    var openCount: Int { open.count }
    var inFlightCount: Int { inFlight.values.reduce(0, +) }

    /// Takes in what the log and the receiver got since the last call; returns how many events are new.
    @discardableResult
    mutating func update(_ sink: WebhookSink) async throws -> Int {
        let new = try await check.newEntries()
        entries += new
        for entry in new {
            positions[entry.key] = entry.position
            guard fleet.shape.events.contains(entry.type) else { continue }
            for endpoint in fleet.endpoints[entry.dealer] {
                open.append(Delivery(event: entry.key, endpoint: Int32(endpoint.number)))
            }
        }
        let arrivals = sink.arrivals.arrivals
        for arrival in arrivals[countedArrivals...] where arrival.isAccepted {
            arrived.insert(Delivery(event: arrival.event, endpoint: arrival.endpoint))
        }
        countedArrivals = arrivals.count
        open.removeAll { arrived.contains($0) }
        return new.count
    }

    /// Finds what was in flight; to be called when the server is dead and before the next one starts.
    mutating func noteKill(at moment: UInt64, _ sink: WebhookSink) async throws {
        try await update(sink)
        let recent = sink.arrivals.arrivals.reversed()
            .prefix { $0.at + Self.horizonNanoseconds > moment }
            .filter(\.isAccepted)
        let ids = Dictionary(uniqueKeysWithValues: fleet.endpoints.joined().map { (Int32($0.number), $0.id) })
        var candidates: [(delivery: Delivery, position: EventPosition, endpoint: EndpointID)] = []
        for delivery in Set(recent.map { Delivery(event: $0.event, endpoint: $0.endpoint) }) {
            guard let position = positions[delivery.event], let endpoint = ids[delivery.endpoint] else {
                problems.append("a webhook was sent of an event that is not in the log after the kill")
                continue
            }
            candidates.append((delivery, position, endpoint))
        }
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)), role: .guest, migrate: false)
        let unrecorded = try await ledger.read { [candidates] reader in
            try candidates.filter { candidate in
                try !reader.attempts(of: candidate.position, to: candidate.endpoint).contains(where: \.succeeded)
            }.map(\.delivery)
        }
        try await ledger.close()
        for delivery in unrecorded { inFlight[delivery, default: 0] += 1 }
    }

    /// What became of the webhooks that never arrived, by what the ledger says of them.
    ///
    /// A dead letter is no loss: it is visible, told of, and can be sent again (design, delivery: the promise).
    func fates() async throws -> [String: Int] {
        let ids = Dictionary(uniqueKeysWithValues: fleet.endpoints.joined().map { (Int32($0.number), $0.id) })
        let asked = open.compactMap { delivery in
            positions[delivery.event].flatMap { position in ids[delivery.endpoint].map { (position, $0) } }
        }
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)), role: .guest, migrate: false)
        let states = try await ledger.read { reader in
            try asked.map { try Self.fate(of: $0, at: $1, reader) }
        }
        try await ledger.close()
        return Dictionary(states.map { ($0, 1) }, uniquingKeysWith: +)
    }

    private static func fate(
        of event: EventPosition,
        at endpoint: EndpointID,
        _ reader: any LedgerReader
    ) throws -> String {
        if let row = try reader.exceptionalDelivery(of: event, to: endpoint) { return row.state.rawValue }
        let attempts = try reader.attempts(of: event, to: endpoint)
        if attempts.contains(where: \.succeeded) { return "delivered, as the ledger has it" }
        let cursor = try reader.cursors(of: endpoint).first { $0.dealerID == event.dealerID }
        if let cursor, cursor.sequence < event.sequence { return "still in the log" }
        return attempts.isEmpty ? "without a trace" : "given up without a trace"
    }

    static let dead = DeliveryState.dead.rawValue

    /// How often webhooks came once more after they had been taken, and how many of those nothing in flight explains.
    func duplicates(_ sink: WebhookSink) -> (all: Int, unexplained: Int) {
        var times: [Delivery: Int] = Dictionary(minimumCapacity: arrived.count)
        for arrival in sink.arrivals.arrivals where arrival.isAccepted {
            times[Delivery(event: arrival.event, endpoint: arrival.endpoint), default: 0] += 1
        }
        let again = times.filter { $0.value > 1 }
        return (
            again.values.reduce(0) { $0 + $1 - 1 },
            again.reduce(0) { $0 + max(0, $1.value - 1 - (inFlight[$1.key] ?? 0)) }
        )
    }

    /// What is missing, wrong or unexplained at the end.
    func verdict(_ acknowledged: SoakClient.Acknowledged, _ sink: WebhookSink, dead: Int) async throws -> [String] {
        var outcome = ReportSource.Outcome()
        outcome.acknowledged = acknowledged.events.map { ReportSource.Acknowledged(event: $0, sentAt: 0) }
        var found = problems + acknowledged.problems
        found +=
            check.verdict(outcome, entries: entries, arrivals: sink.arrivals.arrivals, sink: sink, dead: dead).problems
        let told = try await things()
        let missing = acknowledged.things.subtracting(told)
        if !missing.isEmpty {
            found.append(
                "\(missing.count) acknowledged alarms and snapshots are missing in the log: \(missing.sorted()[0])"
            )
        }
        let unexplained = duplicates(sink).unexplained
        if unexplained > 0 { found.append("\(unexplained) webhooks came again that were not in flight at a kill") }
        return found
    }

    /// The alarms and snapshots that the log tells of, named as replies name them.
    private func things() async throws -> Set<String> {
        var things: Set<String> = []
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)), role: .guest, migrate: false)
        let filter = EventFilter(types: [.alarmCreated, .snapshotCreated])
        for (index, dealer) in fleet.dealers.enumerated() {
            var after: Int64 = 0
            while true {
                let from = after
                let page = try await ledger.read {
                    try $0.events(of: dealer, after: from, filter: filter, limit: Self.pageSize)
                }
                for event in page.events {
                    let data = try JSONParser.parse(event.body)["data"]
                    if let id = data?["snapshot_id"]?.string, event.type == .snapshotCreated { things.insert(id) }
                    if let id = data?["alarm_id"]?.string, event.type == .alarmCreated {
                        things.insert("\(index)/\(id)")
                    }
                }
                if page.searchedTo == after { break }
                after = page.searchedTo
            }
        }
        try await ledger.close()
        return things
    }
}
