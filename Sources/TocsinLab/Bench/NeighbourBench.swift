import TocsinCore

/// What tenants notice of noisy neighbours (N1, N2), and alarms of everything else (P5).
///
/// One tenant's endpoints are black holes behind which a long backlog waits, and 30 % of all endpoints are slow lorises with
/// backlogs of their own. The same reports of the healthy tenants' sites are sent without and with them.
package enum NeighbourBench {
    static let dealers = 10
    static let endpointsPerDealer = 20
    static let sites = 1_000
    /// A tenth of the endpoints take connections and say nothing.
    static let blackHoles = 0..<1
    /// Three tenths answer a byte a second.
    static let lorises = 1..<4
    static let healthy = 4..<10
    /// 2,000 deliveries a second: far below what saturates, so that what is measured is no queue of its own.
    private static let reportsPerSecond = 100.0

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        try await isolation(context, &report)
        try await AlarmBench.run(context, &report)
    }

    /// What one server gave its healthy tenants.
    private struct Measured: Sendable {
        var rates: [Double] = []
        var p99s: [Double] = []
        var notes: [String] = []
        var problems: [String] = []
    }

    private static func isolation(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let hole = try await HostileReceiver.start(.blackHole, on: context.sinkGroup)
        let loris = try await HostileReceiver.start(.slowLoris, on: context.sinkGroup)
        let place = { (number: Int) -> String in
            let dealer = number / endpointsPerDealer
            if blackHoles.contains(dealer) { return hole.url(endpoint: number) }
            return lorises.contains(dealer) ? loris.url(endpoint: number) : sink.url(endpoint: number)
        }
        let backlog = context.settings.backlog ?? (context.settings.isQuick ? 10_000 : 1_000_000)
        let quiet = try await fleet("quiet", sink, place, context)
        let noisy = try await fleet("noisy", sink, place, context)
        try await Backlog.seed(backlog, noisy, dealers: blackHoles, context)
        try await Backlog.seed(backlog / 10, noisy, dealers: lorises, context)
        var (without, with) = (Measured(), Measured())
        let states = (SiteStates(count: sites), SiteStates(count: sites))
        // In turns, so that what else the machine does meets both.
        for run in 1...context.settings.runs {
            try await measure(quiet, states.0, sink, "run \(run), without", context, &without)
            let before = (hole.requests, loris.requests)
            try await measure(noisy, states.1, sink, "run \(run), with", context, &with)
            let tried = (hole.requests - before.0, loris.requests - before.1)
            with.notes.append("run \(run): \(tried.0) attempts at black holes, \(tried.1) at slow lorises")
            if tried.0 == 0 || tried.1 == 0 { with.problems.append("the noisy endpoints were never tried") }
        }
        for data in [quiet.data, noisy.data] { context.workspace.remove(data) }
        await sink.stop()
        await hole.stop()
        await loris.stop()
        report.problems += (without.problems + with.problems).map { "N1: \($0)" }
        tell(without, with, backlog: backlog, &report)
    }

    private static func tell(_ without: Measured, _ with: Measured, backlog: Int, _ report: inout BenchReport) {
        let rates = (Runs(with.rates, higherIsBetter: true), Runs(without.rates, higherIsBetter: true))
        let p99s = (Runs(with.p99s, higherIsBetter: false), Runs(without.p99s, higherIsBetter: false))
        report.results.append(
            BenchResult(
                id: "N1",
                title: "healthy tenants' deliveries beside noisy neighbours",
                unit: "deliveries/s",
                runs: rates.0,
                reference: rates.1.median,
                referenceTitle: "without them",
                target: "≥ 0.9",
                isReached: rates.0.median >= 0.9 * rates.1.median,
                notes: [
                    "\(blackHoles.count * endpointsPerDealer) endpoints are black holes with "
                        + "\(Figures.grouped(backlog)) events waiting for each, \(lorises.count * endpointsPerDealer) are "
                        + "slow lorises; \(healthy.count * endpointsPerDealer) are healthy; reference: the same load without"
                ] + without.notes + with.notes
            )
        )
        report.results.append(
            BenchResult(
                id: "N2",
                title: "healthy tenants' p99, commit to first byte, beside them",
                unit: "ms",
                runs: p99s.0,
                reference: p99s.1.median,
                referenceTitle: "without them",
                target: "≤ 1.5",
                isReached: p99s.0.median <= 1.5 * p99s.1.median,
                notes: ["\(Int(reportsPerSecond)) reports/s, each to \(endpointsPerDealer) endpoints"]
            )
        )
    }

    private static func fleet(
        _ name: String,
        _ sink: WebhookSink,
        _ url: @escaping (Int) -> String,
        _ context: BenchContext
    ) async throws -> BenchFleet {
        try await BenchFleet.make(
            BenchFleet.Shape(
                dealers: dealers,
                endpointsPerDealer: endpointsPerDealer,
                sites: sites,
                events: [.armingStateChanged]
            ),
            at: try context.workspace.directory(name),
            receiver: sink,
            url: url,
            workspace: context.workspace,
            clock: context.clock
        )
    }

    /// Starts a server over the fleet, so that its backlog is met anew, and measures throughput, then latency.
    private static func measure(
        _ fleet: BenchFleet,
        _ states: SiteStates,
        _ sink: WebhookSink,
        _ name: String,
        _ context: BenchContext,
        _ measured: inout Measured
    ) async throws {
        try sink.verify(secrets: fleet.secrets)
        let seconds = context.settings.seconds(20, quick: 3)
        let (rate, words, paced, problems) = try await BenchRig.serve(fleet, states, context) { rig in
            let (rate, words, problems) = try await DeliverBench.sustain(rig, sink, seconds: seconds, dealers: healthy)
            var check = LossCheck(fleet, dealers: healthy)
            _ = try await check.newEntries()
            let run = PacedRun(rig: rig, sink: sink, dealers: healthy, reportsPerSecond: reportsPerSecond)
            let paced = try await run.play(seconds: seconds, &check)
            return (rate, words, paced, problems + paced.problems)
        }
        measured.rates.append(rate)
        measured.p99s.append(paced.p99)
        measured.notes.append("\(name): \(words); paced: \(paced.words)")
        measured.problems += problems
        context.progress("\(name): \(Figures.grouped(Int(rate))) deliveries/s; \(paced.words)")
    }
}
