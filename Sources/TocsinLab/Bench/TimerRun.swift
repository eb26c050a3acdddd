import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger
import TocsinLedgerSQLite

/// One run of P8: arm every site, let the delays end, count the ends, disarm.
struct TimerRun: Sendable {
    let fleet: TimerFleet
    let context: BenchContext

    struct Outcome: Sendable {
        /// Nanoseconds from each deadline to the commit of its end.
        var latenesses: [UInt64] = []
        var arming = TimerPhase(seconds: 0, decisions: 0, commits: 0, cost: 0)
        var ending = TimerPhase(seconds: 0, decisions: 0, commits: 0, cost: 0)
        var problems: [String] = []
    }

    /// Commands under way at once, as many callers would have them.
    private static let commandsAtOnce = 4_096
    /// 15 s without an end: nothing more comes.
    private static let quietPolls = 300

    /// Arms all sites so that their delays end within one second, and waits for the ends.
    ///
    /// With `restarts` engine and ledger are closed and opened anew while the delays run. Throws what keeps the run from
    /// being one: a refused command, or arming that took longer than the delay.
    func play(restarts: Bool) async throws -> Outcome {
        var outcome = Outcome()
        // The first delay's beginning; the others follow within one second.
        let base = context.clock.now
        let first = base + .seconds(fleet.exitSeconds)
        let arm = ArmingCommand.Action.arm(ArmingCommand.ArmRequest(mode: .away))
        let ends = TimerEnds(context.stopwatch)
        if restarts {
            outcome.arming = try await TimerEngine.with(fleet.path, ends, context) { try await command(arm, base, $0) }
        }
        outcome = try await TimerEngine.with(fleet.path, ends, context) { [outcome] engine in
            var outcome = outcome
            if !restarts { outcome.arming = try await command(arm, base, engine) }
            guard context.clock.now < first else {
                throw LabError("arming took longer than the exit delay: use fewer --sites")
            }
            let (before, usage) = (engine.ledger.statistics, try ProcessUsage.ofThis)
            try await wait(for: ends)
            let after = engine.ledger.statistics
            let last = ends.arrivals.last?.at ?? first
            outcome.ending = TimerPhase(
                seconds: Double((last - first).milliseconds) / 1000,
                decisions: after.decisions - before.decisions,
                commits: after.commits - before.commits,
                cost: try ProcessUsage.ofThis.cost(since: usage, per: after.decisions - before.decisions)
            )
            try await check(ends.arrivals, base: base, &outcome)
            _ = try await command(.disarm, context.clock.now, engine)
            return outcome
        }
        return outcome
    }

    /// When the command for the site with this number arrives: evenly spread over a second from `base`.
    private func received(_ index: Int, _ base: Instant) -> Instant {
        base + .milliseconds(index * 1000 / fleet.sites.count)
    }

    private func command(
        _ action: ArmingCommand.Action,
        _ base: Instant,
        _ engine: TimerEngine
    ) async throws -> TimerPhase {
        let start = Stopwatch.now
        let (before, usage) = (engine.ledger.statistics, try ProcessUsage.ofThis)
        for first in stride(from: 0, to: fleet.sites.count, by: Self.commandsAtOnce) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in first..<min(first + Self.commandsAtOnce, fleet.sites.count) {
                    group.addTask { try await command(action, on: index, at: received(index, base), engine) }
                }
                try await group.waitForAll()
            }
        }
        let after = engine.ledger.statistics
        return TimerPhase(
            seconds: Double(Stopwatch.now - start) / 1e9,
            decisions: after.decisions - before.decisions,
            commits: after.commits - before.commits,
            cost: try ProcessUsage.ofThis.cost(since: usage, per: after.decisions - before.decisions)
        )
    }

    private func command(
        _ action: ArmingCommand.Action,
        on index: Int,
        at instant: Instant,
        _ engine: TimerEngine
    ) async throws {
        let request = Request(
            siteID: fleet.sites[index],
            reach: .platform,
            actor: AuditEntry.Actor(.app, "bench"),
            receivedAt: instant,
            requestID: "bench"
        )
        let command = ArmingCommand(
            action: action,
            target: .all,
            authority: .trusted,
            by: Attribution(name: "bench", source: .api)
        )
        let result = try await engine.engine.command(PanelCommand(command, request: request) { _ in [] })
        guard case .done = result else { throw LabError("a command was refused: \(result)") }
    }

    private func wait(for ends: TimerEnds) async throws {
        var last = 0
        var quiet = 0
        while ends.count < fleet.sites.count, quiet < Self.quietPolls + fleet.exitSeconds * 20 {
            try await Task.sleep(for: .milliseconds(50))
            let count = ends.count
            quiet = count == last ? quiet + 1 : 0
            last = count
        }
    }

    /// Holds what was heard of against the log and the states on the disk, and works out how late each end was.
    private func check(_ arrivals: [TimerEnds.Arrival], base: Instant, _ outcome: inout Outcome) async throws {
        let heard = Dictionary(arrivals.map { ($0.site, $0.at) }) { first, _ in first }
        let logged = try await loggedEnds(since: base)
        for (index, site) in fleet.sites.enumerated() {
            let deadline = received(index, base) + .seconds(fleet.exitSeconds)
            guard let events = logged.times[site], events.count == 1, let at = heard[site] else {
                outcome.problems.append("site \(index) has \(logged.times[site]?.count ?? 0) ends in the log, not 1")
                continue
            }
            if events[0] < deadline { outcome.problems.append("site \(index) was armed before its deadline") }
            outcome.latenesses.append(UInt64(max(0, (at - deadline).milliseconds)) * 1_000_000)
        }
        let unarmed = fleet.sites.count - logged.armed
        if unarmed > 0 { outcome.problems.append("\(unarmed) sites are not stored as armed") }
    }

    /// The times of `partition.armed` by site, and how many sites are stored as armed; read beside the engine.
    private func loggedEnds(since base: Instant) async throws -> (times: [SiteID: [Instant]], armed: Int) {
        let ledger = try SQLiteLedger.open(.file(fleet.path), role: .guest, migrate: false)
        var times: [SiteID: [Instant]] = [:]
        var last: Int64 = 0
        while true {
            let after = last
            let page = try await ledger.read { [dealer = fleet.dealer] in
                try $0.events(of: dealer, after: after, limit: 10_000)
            }
            for event in page where event.type == .partitionArmed && event.createdAt >= base {
                if let site = event.siteID { times[site, default: []].append(event.createdAt) }
            }
            guard let end = page.last else { break }
            last = end.sequence
        }
        var armed = 0
        for first in stride(from: 0, to: fleet.sites.count, by: 10_000) {
            let sites = fleet.sites[first..<min(first + 10_000, fleet.sites.count)]
            let records = try await ledger.load(Array(sites))
            armed += records.values.count { record in
                record.state.partitions.values.allSatisfy { $0.phase == .armed(.away) }
            }
        }
        try await ledger.close()
        return (times, armed)
    }
}

/// Hears of each end as soon as it is durable.
final class TimerEnds: EventSink {
    struct Arrival: Sendable {
        var site: SiteID
        var at: Instant
    }

    private let stopwatch: Stopwatch
    private let heard = Mutex<[Arrival]>([])

    init(_ stopwatch: Stopwatch) { self.stopwatch = stopwatch }

    var arrivals: [Arrival] { heard.withLock { $0 } }
    var count: Int { heard.withLock(\.count) }

    func published(_ events: [LoggedEvent]) {
        let now = stopwatch.instant(Stopwatch.now)
        heard.withLock { heard in
            for event in events where event.type == .partitionArmed {
                if let site = event.siteID { heard.append(Arrival(site: site, at: now)) }
            }
        }
    }
}

/// The real engine and its timer over a ledger on disk.
struct TimerEngine: Sendable {
    let ledger: SQLiteLedger
    let engine: SiteEngine

    /// Runs engine and timer around `body`, then stops them and closes the ledger as the program would.
    static func with<T: Sendable>(
        _ path: String,
        _ sink: any EventSink,
        _ context: BenchContext,
        _ body: @escaping @Sendable (TimerEngine) async throws -> T
    ) async throws -> T {
        let ledger = try SQLiteLedger.open(.file(path))
        // As the server does.
        try ledger.prepareLog()
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        let engine = SiteEngine(
            ledger: ledger,
            clock: context.clock,
            randomness: SystemRandomness(),
            vault: Vault(key: SystemRandomness().bytes(Vault.keyLength)),
            sinks: [sink],
            logger: logger
        )
        let services = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [engine, engine.deadlines], logger: logger)
        )
        let result = try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            do {
                let result = try await body(TimerEngine(ledger: ledger, engine: engine))
                await services.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return result
            } catch {
                await services.triggerGracefulShutdown()
                throw error
            }
        }
        try await ledger.close()
        return result
    }
}
