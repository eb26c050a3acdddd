import TocsinCore

/// P3: signed deliveries a second, sustained; and P4: from commit to the receiver's first byte.
package enum DeliverBench {
    static let dealers = 10
    static let endpointsPerDealer = 20
    static let sites = 1_000
    /// How far the receiver may be behind, in deliveries, before the load waits: enough to keep every endpoint busy.
    private static let deliveriesAhead = 20_000
    private static let pacedReportsPerSecond = 500.0

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        try await sustained(context, &report)
        try await paced(context, &report)
    }

    // MARK: P3

    private static func sustained(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let seconds = context.settings.seconds(60, quick: 3)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let shape = BenchFleet.Shape(
            dealers: dealers,
            endpointsPerDealer: endpointsPerDealer,
            sites: sites,
            events: [.armingStateChanged]
        )
        var references: [Double] = []
        var rates: [Double] = []
        var notes: [String] = []
        var problems: [String] = []
        for run in 1...context.settings.runs {
            references.append(try await sinkReference(sink, context, seconds: min(seconds, 5)))
            let (rate, note, found) = try await BenchRig.with(shape, context, receiver: sink) { rig in
                try await sustain(rig, sink, seconds: seconds)
            }
            rates.append(rate)
            notes.append("run \(run): \(note)")
            problems += found
        }
        await sink.stop()
        let runs = Runs(rates, higherIsBetter: true)
        let reference = Runs(references, higherIsBetter: true).median
        report.problems += problems.map { "P3: \($0)" }
        let tool = Program.find("wrk") == nil ? WrkRunner.isMissing : "wrk posting the same size to the same receiver"
        report.results.append(
            BenchResult(
                id: "P3",
                title: "signed deliveries, \(dealers * endpointsPerDealer) endpoints, \(seconds) s",
                unit: "deliveries/s",
                runs: runs,
                reference: reference,
                referenceTitle: "wrk",
                target: "≥ 0.15",
                isReached: runs.median >= 0.15 * reference,
                notes: ["every event goes to the \(endpointsPerDealer) endpoints of its dealer; reference: \(tool)"]
                    + notes
            )
        )
    }

    /// Loads the server with reports of these dealers' sites for so long, and returns deliveries a second, a note and what was wrong.
    static func sustain(
        _ rig: BenchRig,
        _ sink: WebhookSink,
        seconds: Int,
        dealers: Range<Int>? = nil
    ) async throws -> (Double, String, [String]) {
        var check = LossCheck(rig.fleet, dealers: dealers)
        _ = try await check.newEntries()
        sink.arrivals.reset()
        let before = try ProcessUsage(processID: rig.server.processID)
        let start = Stopwatch.now
        let outcome = try await rig.load(
            PacedRun.sites(of: dealers ?? rig.fleet.dealers.indices, rig.fleet),
            .until(BenchRig.end(in: seconds)),
            gate: { sent in sent * endpointsPerDealer - sink.arrivals.accepted < deliveriesAhead }
        )
        let end = Stopwatch.now
        let delivered = sink.arrivals.accepted
        let after = try ProcessUsage(processID: rig.server.processID)
        let rate = Double(delivered) * 1e9 / Double(end - start)
        rig.context.progress("\(Figures.grouped(Int(rate))) deliveries/s; checking that none is missing")
        let entries = try await check.newEntries()
        try await check.drain(sink, expected: check.expectedDeliveries(of: entries))
        let verdict = check.verdict(outcome, entries: entries, arrivals: sink.arrivals.arrivals, sink: sink)
        let attempts = try await check.attemptProblems(of: entries)
        let cost = after.cost(since: before, per: delivered)
        let note =
            "\(Figures.grouped(verdict.arrived)) of \(Figures.grouped(verdict.expected)) delivered, "
            + "\(verdict.duplicates) twice, \(Figures.grouped(verdict.checkedSignatures)) signatures checked, "
            + "\(Figures.decimal(cost, places: 0)) µs of the server's CPU each, "
            + "\(after.residentBytes / 1_048_576) MiB resident"
        return (rate, note, verdict.problems + attempts)
    }

    /// What the receiver can take: `wrk` with a request of the same size, or the built-in client where there is none.
    private static func sinkReference(_ sink: WebhookSink, _ context: BenchContext, seconds: Int) async throws -> Double
    {
        let rate = try await WrkRunner.requestsPerSecond(
            sink.url(endpoint: 0),
            connections: context.connections,
            seconds: seconds,
            script: WrkRunner.postScript(body: sampleBody, headers: sampleHeaders),
            in: context.workspace
        )
        if let rate {
            context.progress("wrk to the receiver: \(Figures.grouped(Int(rate)))/s")
            return rate
        }
        let start = Stopwatch.now
        let source = GetSource(path: "/hook/0", until: BenchRig.end(in: seconds))
        try await LoadClient.run(source, port: sink.port, connections: context.connections, on: context.loadGroup)
        return Double(source.replies) * 1e9 / Double(Stopwatch.now - start)
    }

    private static let sampleBody =
        #"{"event_type":"arming.state_changed","site_id":"site_01kaj3v9w8f6t2r5m7n1q4x0yz","new_state":"armed_away","#
        + #""previous_state":"disarmed","timestamp":"2026-01-15T10:30:00Z","triggered_by":"user_123","#
        + #""source":"keypad","id":"evt_01kaj3v9w8f6t2r5m7n1q4x0yz","partition_id":"p_01kaj3v9w8f6t2r5m7n1q4x0yz","#
        + #""sequence":123456}"#

    private static let sampleHeaders: [(name: String, value: String)] = [
        ("content-type", "application/json"), ("user-agent", "Tocsin/1"),
        ("X-CHeKT-Signature", "v1=" + String(repeating: "a", count: 64)), ("X-CHeKT-Timestamp", "1768473000"),
        ("X-CHeKT-Event-Type", "arming.state_changed"), ("X-CHeKT-Sequence", "123456"),
        ("X-CHeKT-Delivery-Id", "dlv_01kaj3v9w8f6t2r5m7n1q4x0yz7n1q4x0yz7n1q4x0"),
        ("webhook-id", "evt_01kaj3v9w8f6t2r5m7n1q4x0yz"), ("webhook-timestamp", "1768473000"),
        ("webhook-signature", "v1," + String(repeating: "b", count: 44)),
    ]

    // MARK: P4

    private static func paced(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let seconds = min(context.settings.seconds(20, quick: 3), 30)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let shape = BenchFleet.Shape(
            dealers: dealers,
            endpointsPerDealer: 1,
            sites: sites,
            events: [.armingStateChanged]
        )
        let (p99s, notes, problems) = try await BenchRig.with(shape, context, receiver: sink) { rig in
            var p99s: [Double] = []
            var notes: [String] = []
            var problems: [String] = []
            var check = LossCheck(rig.fleet)
            for run in 0...context.settings.runs {
                sink.arrivals.reset()
                // Run 0 only warms up: connections to the receiver are opened in it.
                let outcome = try await rig.load(
                    rig.fleet.sites[...],
                    .until(BenchRig.end(in: run == 0 ? 2 : seconds)),
                    ratePerSecond: pacedReportsPerSecond
                )
                let entries = try await check.newEntries()
                try await check.drain(sink, expected: check.expectedDeliveries(of: entries))
                let arrivals = sink.arrivals.arrivals
                if run == 0 { continue }
                let verdict = check.verdict(outcome, entries: entries, arrivals: arrivals, sink: sink)
                problems += verdict.problems
                let latencies = latencies(entries, arrivals, rig.context.stopwatch)
                p99s.append(Double(latencies.at(99)) / 1e6)
                notes.append(
                    "run \(run): p50 \(Figures.milliseconds(latencies.at(50))), "
                        + "p99 \(Figures.milliseconds(latencies.at(99))), max \(Figures.milliseconds(latencies.maximum)) "
                        + "over \(Figures.grouped(latencies.count)) deliveries"
                )
                context.progress(notes.last ?? "")
            }
            return (p99s, notes, problems)
        }
        await sink.stop()
        report.problems += problems.map { "P4: \($0)" }
        let runs = Runs(p99s, higherIsBetter: false)
        report.results.append(
            BenchResult(
                id: "P4",
                title: "commit to the receiver's first byte, p99 at 500/s",
                unit: "ms",
                runs: runs,
                reference: nil,
                referenceTitle: nil,
                target: "≤ 30 ms",
                isReached: runs.median <= 30,
                notes: [
                    "counted from the event's created_at, which is taken before the durable write and rounded down "
                        + "to a millisecond: the true time is shorter"
                ] + notes
            )
        )
    }

    /// From the moment the ledger gives an event to the first byte of its webhook at the receiver.
    static func latencies(
        _ entries: [LossCheck.Entry],
        _ arrivals: [Arrival],
        _ stopwatch: Stopwatch
    ) -> Percentiles {
        let created = Dictionary(entries.map { ($0.key, stopwatch.monotonic($0.createdAt)) }) { first, _ in first }
        return Percentiles(
            arrivals.compactMap { arrival in
                created[arrival.event].map { arrival.at > $0 ? arrival.at - $0 : 0 }
            }
        )
    }
}
