import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

struct Unexpected: Error { var what: String }

/// A platform-triggered shop on a stage.
struct Shop: Sendable {
    let stage: Stage
    let site: Site
    let partition: Partition

    init(_ stage: Stage, _ place: (site: Site, partition: Partition)) {
        self.stage = stage
        (site, partition) = place
    }

    /// A door, a window and a detector.
    func addZones() async throws {
        try await stage.ledger.write { [site] transaction in
            for (number, type) in [(5, "exit_entry"), (7, "perimeter"), (8, "interior_instant")] {
                try transaction.insert(
                    Fixture(
                        id: "zone_\(number)",
                        siteID: site.id,
                        kind: .zone,
                        number: number,
                        name: "Zone \(number)",
                        settings: ["type": .string(type)]
                    )
                )
            }
        }
        await stage.engine.reconfigured()
    }

    func log() async throws -> [LoggedEvent] { try await stage.log() }

    func request(_ site: SiteID? = nil, reach: Reach? = nil, arrival: Arrivals.Arrival? = nil) -> Request {
        var request = Request(
            siteID: site ?? self.site.id,
            reach: reach ?? .dealer(stage.world.dealer.id),
            actor: AuditEntry.Actor(.admin, "tok_1"),
            receivedAt: arrival?.receivedAt ?? stage.clock.now,
            requestID: "req_test"
        )
        request.arrival = arrival
        return request
    }

    func command(
        _ action: ArmingCommand.Action,
        ifMatch: [Int64]? = nil,
        site: SiteID? = nil,
        reach: Reach? = nil,
        arrival: Arrivals.Arrival? = nil
    ) async throws -> PanelResult {
        let command = ArmingCommand(
            action: action,
            target: .all,
            authority: .trusted,
            by: Attribution(userID: "op_1", name: "Ann", source: .api)
        )
        return try await stage.engine.command(
            PanelCommand(command, request: request(site, reach: reach, arrival: arrival), ifMatch: ifMatch) { _ in
                []
            }
        )
    }

    func signals(_ signals: [Signal]) async throws -> [String] {
        let batch = SignalBatch(signals, request: request()) { answers in
            Array(answers.map(\.outcome.rawValue).joined(separator: ",").utf8)
        }
        guard case .accepted(let reply) = try await stage.engine.signals(batch) else {
            throw Unexpected(what: "no reply")
        }
        return String(decoding: reply, as: UTF8.self).split(separator: ",").map(String.init)
    }

    func record() async throws -> SiteRecord {
        guard let record = try await stage.ledger.load([site.id])[site.id] else { throw Unexpected(what: "no site") }
        return record
    }

    func phase() async throws -> Phase? { try await record().state.partitions[partition.id]?.phase }

    func history() async throws -> [JSON] {
        try await stage.ledger.read { [site = site.id] reader in
            try reader.history(of: site, within: .platform, page: PageRequest()).items
                .flatMap { $0.entry.details["changes"]?.array ?? [] }
        }
    }
}

func withShop(_ body: @escaping @Sendable (Shop) async throws -> Void) async throws {
    try await withStage { stage in
        let shop = Shop(stage, try await stage.world.addSite("Shop", ofPartner: false))
        try await shop.addZones()
        try await body(shop)
    }
}
