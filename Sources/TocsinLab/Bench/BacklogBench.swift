import Synchronization
import TocsinCore

/// P9: a long backlog of undelivered events: from restart to the first delivery, and what healthy endpoints notice of it.
package enum BacklogBench {
    private static let dealers = 10
    private static let sites = 1_000
    /// Half of the tenants have the backlog, one endpoint each.
    private static let backlogged = 0..<5
    private static let healthy = 5..<10
    private static let reportsPerSecond = 500.0
    /// Ledgers up to this size are verified too; larger ones would take longer than the benchmark.
    private static let verifiedMax = 200_000
    private static let firstDeliveryMax: Duration = .seconds(120)
    private static let targetSeconds = 3.0
    /// The breakers of what is down open in it, and connections are made.
    private static let settleSeconds = 3

    /// Receives for everybody; the backlogged endpoints answer 503 while they are down.
    private final class Receiver: Sendable {
        private let isDown = Atomic<Bool>(true)

        func set(down: Bool) { isDown.store(down, ordering: .relaxed) }

        func react(_ webhook: WebhookSink.Webhook) -> WebhookSink.Reaction {
            let isRefused = isDown.load(ordering: .relaxed) && backlogged.contains(webhook.endpoint)
            return .answer(isRefused ? 503 : 200)
        }
    }

    private struct Measured: Sendable {
        var firsts: [Double] = []
        var with: [Double] = []
        var without: [Double] = []
        var draining: [Double] = []
        var notes: [String] = []
        var problems: [String] = []
    }

    /// The two fleets that are measured in turns.
    private struct Fleets: Sendable {
        var empty: BenchFleet
        var full: BenchFleet
        var emptyStates: SiteStates
        var fullStates: SiteStates
    }

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let receiver = Receiver()
        let sink = try await WebhookSink.start(on: context.sinkGroup) { receiver.react($0) }
        let count = context.settings.backlog ?? (context.settings.isQuick ? 20_000 : 10_000_000)
        let fleets = Fleets(
            empty: try await fleet("empty", sink, context),
            full: try await fleet("full", sink, context),
            emptyStates: SiteStates(count: sites),
            fullStates: SiteStates(count: sites)
        )
        var measured = Measured()
        try await Backlog.seed(count, fleets.full, dealers: backlogged, context)
        if count <= verifiedMax { measured.problems += try await Backlog.problems(of: fleets.full, context) }
        for run in 1...context.settings.runs {
            receiver.set(down: false)
            measured.firsts.append(try await firstDelivery(fleets.full, sink, context))
            context.progress(
                "run \(run): first delivery after \(Figures.decimal(measured.firsts[run - 1], places: 2)) s"
            )
            receiver.set(down: true)
            let without = try await paced(
                fleets.empty,
                fleets.emptyStates,
                sink,
                "run \(run), without",
                context,
                &measured
            )
            let with = try await paced(fleets.full, fleets.fullStates, sink, "run \(run), with", context, &measured)
            receiver.set(down: false)
            let draining = try await paced(
                fleets.full,
                fleets.fullStates,
                sink,
                "run \(run), draining",
                context,
                &measured
            )
            measured.without.append(without)
            measured.with.append(with)
            measured.draining.append(draining)
        }
        for fleet in [fleets.empty, fleets.full] { context.workspace.remove(fleet.data) }
        await sink.stop()
        report.problems += measured.problems.map { "P9: \($0)" }
        tell(measured, count, &report)
    }

    private static func fleet(_ name: String, _ sink: WebhookSink, _ context: BenchContext) async throws -> BenchFleet {
        try await BenchFleet.make(
            BenchFleet.Shape(dealers: dealers, endpointsPerDealer: 1, sites: sites, events: [.armingStateChanged]),
            at: try context.workspace.directory(name),
            receiver: sink,
            workspace: context.workspace,
            clock: context.clock
        )
    }

    /// Seconds from the start of the process to the first webhook of the backlog that the receiver took.
    private static func firstDelivery(
        _ fleet: BenchFleet,
        _ sink: WebhookSink,
        _ context: BenchContext
    ) async throws -> Double {
        try sink.verify(secrets: fleet.secrets)
        sink.arrivals.reset()
        let start = Stopwatch.now
        let server = try await ServerProcess.start(data: fleet.data, workspace: context.workspace)
        do {
            while sink.arrivals.accepted == 0 {
                guard Stopwatch.now - start < UInt64(firstDeliveryMax.milliseconds) * 1_000_000 else {
                    throw LabError(
                        "nothing was delivered within \(firstDeliveryMax.milliseconds / 1000) s of the restart"
                    )
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            let first = sink.arrivals.arrivals.first(where: \.isAccepted)?.at ?? Stopwatch.now
            // As after a crash: what was under way is sent again by the next server.
            await server.child.stop(grace: .zero)
            return Double(first - start) / 1e9
        } catch {
            await server.child.stop(grace: .zero)
            throw error
        }
    }

    /// The p99 of the healthy tenants' webhooks, in milliseconds, under a server of its own.
    private static func paced(
        _ fleet: BenchFleet,
        _ states: SiteStates,
        _ sink: WebhookSink,
        _ name: String,
        _ context: BenchContext,
        _ measured: inout Measured
    ) async throws -> Double {
        try sink.verify(secrets: fleet.secrets)
        let seconds = context.settings.seconds(20, quick: 3)
        let (outcome, rate) = try await BenchRig.serve(fleet, states, context) { rig in
            var check = LossCheck(fleet, dealers: healthy)
            _ = try await check.newEntries()
            let run = PacedRun(rig: rig, sink: sink, dealers: healthy, reportsPerSecond: reportsPerSecond)
            let warm = try await run.play(seconds: settleSeconds, &check)
            let outcome = try await run.play(seconds: seconds, &check)
            let rest = sink.arrivals.arrivals.count { $0.isAccepted && backlogged.contains(Int($0.endpoint)) }
            return (
                PacedRun.Outcome(latencies: outcome.latencies, problems: warm.problems + outcome.problems),
                rest / seconds
            )
        }
        measured.problems += outcome.problems
        measured.notes.append("\(name): \(outcome.words); \(Figures.grouped(rate)) deliveries/s of the backlog beside")
        context.progress(measured.notes.last ?? "")
        return outcome.p99
    }

    private static func tell(_ measured: Measured, _ count: Int, _ report: inout BenchReport) {
        let firsts = Runs(measured.firsts, higherIsBetter: false)
        report.results.append(
            BenchResult(
                id: "P9",
                title: "restart to first delivery, \(Figures.grouped(count)) undelivered",
                unit: "s",
                runs: firsts,
                target: "≤ \(Int(targetSeconds)) s",
                isReached: firsts.median <= targetSeconds,
                notes: [
                    "from the start of the process to the first webhook that the receiver took; \(backlogged.count) tenants, "
                        + "one endpoint each, have the backlog; the file is in the system's cache"
                ]
            )
        )
        let reference = Runs(measured.without, higherIsBetter: false).median
        let with = Runs(measured.with, higherIsBetter: false)
        report.results.append(
            BenchResult(
                id: "P9L",
                title: "healthy endpoints' p99 beside the backlog",
                unit: "ms",
                runs: with,
                reference: reference,
                referenceTitle: "without a backlog",
                target: "≤ 1.5",
                isReached: with.median <= 1.5 * reference,
                notes: ["\(Int(reportsPerSecond)) events/s; who has the backlog answers 503 all the while"]
                    + measured.notes
            )
        )
        report.results.append(
            BenchResult(
                id: "P9D",
                title: "the same while the backlog drains as fast as it can",
                unit: "ms",
                runs: Runs(measured.draining, higherIsBetter: false),
                reference: reference,
                referenceTitle: "without a backlog",
                isReached: true,
                notes: ["its receivers answer 200: everything has to share the machine with it"]
            )
        )
    }
}
