import TocsinCore

/// Reports of some of a fleet's sites at an even pace, and how long their webhooks took.
struct PacedRun: Sendable {
    let rig: BenchRig
    let sink: WebhookSink
    /// Whose sites report.
    let dealers: Range<Int>
    let reportsPerSecond: Double

    struct Outcome: Sendable {
        /// From commit to first byte, in nanoseconds.
        var latencies: Percentiles
        var problems: [String]

        /// Milliseconds.
        var p99: Double { Double(latencies.at(99)) / 1e6 }

        var words: String {
            "p50 \(Figures.milliseconds(latencies.at(50))), p99 \(Figures.milliseconds(latencies.at(99))), "
                + "max \(Figures.milliseconds(latencies.maximum)) over \(Figures.grouped(latencies.count)) deliveries"
        }
    }

    /// The sites of these dealers, in the fleet's order.
    static func sites(of dealers: Range<Int>, _ fleet: BenchFleet) -> ArraySlice<SiteID> {
        fleet.sites.indices.filter { dealers.contains($0 % fleet.dealers.count) }.map { fleet.sites[$0] }[...]
    }

    /// Sends for so long, waits for the webhooks, and accounts for them; `check` must be at the log's end.
    func play(seconds: Int, _ check: inout LossCheck) async throws -> Outcome {
        sink.arrivals.reset()
        let outcome = try await rig.load(
            Self.sites(of: dealers, rig.fleet),
            .until(BenchRig.end(in: seconds)),
            ratePerSecond: reportsPerSecond
        )
        let entries = try await check.newEntries()
        let keys = Set(entries.map(\.key))
        try await check.drain(sink, of: keys, expected: check.expectedDeliveries(of: entries))
        let arrivals = sink.arrivals.arrivals.filter { keys.contains($0.event) }
        let verdict = check.verdict(outcome, entries: entries, arrivals: arrivals, sink: sink)
        let latencies = DeliverBench.latencies(entries, arrivals.filter(\.isAccepted), rig.context.stopwatch)
        return Outcome(latencies: latencies, problems: verdict.problems)
    }
}
