import TocsinCore

/// P2: durable reports a second, held against a bare Hummingbird "hello".
///
/// Both are driven by the same client over the same number of connections, one after the other in each run.
package enum IngestBench {
    private static let sites = 1_000
    private static let dealers = 10
    /// Of what a bare Hummingbird answers.
    private static let targetRatio = 0.4

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let seconds = context.settings.seconds(10, quick: 2)
        let plain = try await measure(context, seconds: seconds, receiver: nil, &report)
        report.results.append(
            result(
                "P2",
                "durable reports, one a request",
                plain,
                target: "≥ \(targetRatio)",
                notes: [
                    "each report changes its site's state: 2 events, state, audit, in one durable transaction",
                    costs(plain, context),
                    "reference: bare Hummingbird \"hello\" under the same client"
                        + (plain.wrk.map { "; wrk gets \(Figures.grouped(Int($0)))/s from it" } ?? ""),
                ]
            )
        )
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let delivering = try await measure(context, seconds: seconds, receiver: sink, &report)
        await sink.stop()
        report.results.append(
            result(
                "P2W",
                "the same, each report's webhook sent as well",
                delivering,
                target: nil,
                notes: [
                    "the deliveries run on the same cores; not asked for, but what a dealer sees",
                    costs(delivering, context),
                ]
            )
        )
    }

    private struct Measured: Sendable {
        var rates: [Double] = []
        var references: [Double] = []
        var wrk: Double?
        /// The server's and the reference's CPU time of one request in the last run, in microseconds.
        var cost = 0.0
        var helloCost = 0.0
        var p50: UInt64 = 0
        var p99: UInt64 = 0
    }

    private static func costs(_ measured: Measured, _ context: BenchContext) -> String {
        "\(context.connections) connections; p50 \(Figures.milliseconds(measured.p50)), "
            + "p99 \(Figures.milliseconds(measured.p99)); the server's CPU of a report "
            + "\(Figures.decimal(measured.cost, places: 0)) µs, of a hello "
            + "\(Figures.decimal(measured.helloCost, places: 0)) µs"
    }

    private static func result(
        _ id: String,
        _ title: String,
        _ measured: Measured,
        target: String?,
        notes: [String]
    ) -> BenchResult {
        let runs = Runs(measured.rates, higherIsBetter: true)
        let reference = Runs(measured.references, higherIsBetter: true).median
        return BenchResult(
            id: id,
            title: title,
            unit: "requests/s",
            runs: runs,
            reference: reference,
            referenceTitle: "Hummingbird hello",
            target: target,
            isReached: runs.median >= targetRatio * reference,
            notes: notes
        )
    }

    private static func measure(
        _ context: BenchContext,
        seconds: Int,
        receiver: WebhookSink?,
        _ report: inout BenchReport
    ) async throws -> Measured {
        let shape = BenchFleet.Shape(
            dealers: dealers,
            endpointsPerDealer: receiver == nil ? 0 : 1,
            sites: sites,
            events: [.armingStateChanged]
        )
        let (measured, problems) = try await BenchRig.with(shape, context, receiver: receiver) { rig in
            var measured = Measured()
            var problems: [String] = []
            var check = LossCheck(rig.fleet)
            // Caches, connections and the allocator settle before anything counts.
            _ = try await rig.load(rig.fleet.sites[...], .oncePerSite)
            try await check.drain(receiver, expected: check.expectedDeliveries(of: try await check.newEntries()))
            for run in 1...context.settings.runs {
                let hello = try await HelloReference.measure(context, seconds: seconds, wrk: run == 1)
                measured.references.append(hello.rate)
                measured.wrk = measured.wrk ?? hello.wrk
                measured.helloCost = hello.cost
                receiver?.arrivals.reset()
                let before = try ProcessUsage(processID: rig.server.processID)
                let start = Stopwatch.now
                let outcome = try await rig.load(rig.fleet.sites[...], .until(BenchRig.end(in: seconds)))
                let rate = Double(outcome.latencies.count) * 1e9 / Double(Stopwatch.now - start)
                measured.rates.append(rate)
                let after = try ProcessUsage(processID: rig.server.processID)
                measured.cost = after.cost(since: before, per: outcome.latencies.count)
                let latencies = Percentiles(outcome.latencies)
                (measured.p50, measured.p99) = (latencies.at(50), latencies.at(99))
                context.progress("run \(run): \(Figures.grouped(Int(rate))) reports/s")
                let entries = try await check.newEntries()
                try await check.drain(receiver, expected: check.expectedDeliveries(of: entries))
                problems +=
                    check.verdict(
                        outcome,
                        entries: entries,
                        arrivals: receiver?.arrivals.arrivals ?? [],
                        sink: receiver
                    ).problems
            }
            return (measured, problems)
        }
        report.problems += problems.map { "P2: \($0)" }
        return measured
    }
}

/// The rate that a bare Hummingbird gives, in a process of its own as the server is.
enum HelloReference {
    static func measure(
        _ context: BenchContext,
        seconds: Int,
        wrk measuresWrk: Bool
    ) async throws -> (rate: Double, cost: Double, wrk: Double?) {
        let port = try await ServerProcess.freePort()
        let child = try ChildProcess(path: try Program.path, arguments: ["bench", "hello", "--port", "\(port)"])
        defer { child.killNow() }
        try await ServerProcess.becomeReachable(url: "http://127.0.0.1:\(port)/hello", child)
        let warmUp = GetSource(path: "/hello", until: BenchRig.end(in: 1))
        try await LoadClient.run(warmUp, port: port, connections: context.connections, on: context.loadGroup)
        let before = try ProcessUsage(processID: child.processID)
        let start = Stopwatch.now
        let source = GetSource(path: "/hello", until: BenchRig.end(in: seconds))
        try await LoadClient.run(source, port: port, connections: context.connections, on: context.loadGroup)
        let rate = Double(source.replies) * 1e9 / Double(Stopwatch.now - start)
        let cost = try ProcessUsage(processID: child.processID).cost(since: before, per: source.replies)
        guard source.refusals == 0 else { throw LabError("the reference refused \(source.refusals) requests") }
        context.progress("Hummingbird hello: \(Figures.grouped(Int(rate)))/s")
        let wrk =
            measuresWrk
            ? try await WrkRunner.requestsPerSecond(
                "http://127.0.0.1:\(port)/hello",
                connections: context.connections,
                seconds: min(seconds, 5),
                in: context.workspace
            ) : nil
        return (rate, cost, wrk)
    }
}
