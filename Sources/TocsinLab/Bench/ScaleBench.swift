import TocsinCore

/// P6: what one change costs with a million sites stored, held against a thousand.
///
/// The cost is the server's CPU time per report under the same load; the sites that report are spread over all that
/// are stored, so that the larger fleet finds nothing in a cache.
package enum ScaleBench {
    private static let smallFleet = 1_000
    private static let dealers = 10

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let seconds = context.settings.seconds(10, quick: 2)
        let large = context.settings.sites(1_000_000, quick: 20_000)
        let small = try await measure(context, sites: smallFleet, seconds: seconds, &report)
        let big = try await measure(context, sites: large, seconds: seconds, &report)
        let runs = Runs(big.costs, higherIsBetter: false)
        let reference = Runs(small.costs, higherIsBetter: false).median
        report.results.append(
            BenchResult(
                id: "P6",
                title: "server CPU of a change, \(Figures.grouped(large)) sites",
                unit: "µs",
                runs: runs,
                reference: reference,
                referenceTitle: "\(Figures.grouped(smallFleet)) sites",
                target: "≤ 1.3",
                isReached: runs.median <= 1.3 * reference,
                notes: [
                    "reference: \(Figures.grouped(smallFleet)) sites; every site reports in turn, in a scattered order",
                    "small: \(small.note)", "large: \(big.note)",
                ]
            )
        )
    }

    private struct Measured: Sendable {
        var costs: [Double] = []
        var note = ""
    }

    private static func measure(
        _ context: BenchContext,
        sites: Int,
        seconds: Int,
        _ report: inout BenchReport
    ) async throws -> Measured {
        let shape = BenchFleet.Shape(dealers: dealers, endpointsPerDealer: 0, sites: sites, events: [])
        let (measured, problems) = try await BenchRig.with(shape, context, receiver: nil) { rig in
            var measured = Measured()
            var problems: [String] = []
            var check = LossCheck(rig.fleet)
            _ = try await rig.load(rig.fleet.sites.prefix(smallFleet), .oncePerSite)
            _ = try await check.newEntries()
            for run in 1...context.settings.runs {
                let before = try ProcessUsage(processID: rig.server.processID)
                let outcome = try await rig.load(rig.fleet.sites[...], .until(BenchRig.end(in: seconds)))
                let after = try ProcessUsage(processID: rig.server.processID)
                let reports = max(1, outcome.latencies.count)
                measured.costs.append(after.cost(since: before, per: reports))
                let latencies = Percentiles(outcome.latencies)
                measured.note =
                    "\(Figures.grouped(reports / seconds)) reports/s, p50 \(Figures.milliseconds(latencies.at(50))), "
                    + "p99 \(Figures.milliseconds(latencies.at(99))), \(after.residentBytes / 1_048_576) MiB resident"
                context.progress("\(Figures.grouped(sites)) sites, run \(run): \(measured.note)")
                let entries = try await check.newEntries()
                problems += check.verdict(outcome, entries: entries, arrivals: [], sink: nil).problems
            }
            return (measured, problems)
        }
        report.problems += problems.map { "P6: \($0)" }
        return measured
    }
}
