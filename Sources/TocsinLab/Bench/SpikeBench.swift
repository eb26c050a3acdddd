import TocsinCore

/// P1: the largest number of sites that can all change state at once with the last webhook inside 5 s.
///
/// All reports are offered at once, over keep-alive connections; the clock runs from before the first byte of the
/// first report until the receiver has answered the last webhook. Found by doubling, then halving the gap.
package enum SpikeBench {
    /// The arming document: state changes are reflected within 5 seconds.
    private static let limitSeconds = 5.0
    private static let dealers = 20

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let shape = BenchFleet.Shape(
            dealers: dealers,
            endpointsPerDealer: 1,
            sites: context.settings.sites(120_000, quick: 4_000),
            events: [.armingStateChanged]
        )
        let (found, search) = try await BenchRig.with(shape, context, receiver: sink) { rig in
            var search = SpikeSearch(rig: rig, sink: sink)
            _ = try await search.probe(500)
            var found = [Double(try await search.largest(from: context.settings.isQuick ? 500 : 2_000))]
            for _ in 1..<context.settings.runs {
                found.append(Double(try await search.refine(around: Int(found[0]))))
            }
            return (found, search)
        }
        await sink.stop()
        report.problems += search.problems.map { "P1: \($0)" }
        let runs = Runs(found, higherIsBetter: true)
        report.results.append(
            BenchResult(
                id: "P1",
                title: "sites changing at once, all delivered in 5 s",
                unit: "sites",
                runs: runs,
                reference: nil,
                referenceTitle: nil,
                target: "≥ 25,000",
                isReached: runs.median >= 25_000,
                notes: [
                    "each change durable, logged (2 events), sent to its dealer's endpoint (1 of \(dealers)), signed, "
                        + "answered 2xx; probes: " + search.history.joined(separator: ", ")
                ]
            )
        )
    }

    /// Tries numbers of sites on one running server.
    struct SpikeSearch: Sendable {
        let rig: BenchRig
        let sink: WebhookSink
        var check: LossCheck
        var problems: [String] = []
        var history: [String] = []

        init(rig: BenchRig, sink: WebhookSink) {
            self.rig = rig
            self.sink = sink
            check = LossCheck(rig.fleet)
        }

        var limit: Int { rig.fleet.sites.count }

        /// Doubles until it fails, then halves the gap down to a twentieth.
        mutating func largest(from start: Int) async throws -> Int {
            var good = 0
            var next = min(start, limit)
            while try await probe(next) {
                good = next
                if next == limit { return good }
                next = min(next * 2, limit)
            }
            return try await bisect(good: good, bad: next)
        }

        /// Searches again near what was found before.
        mutating func refine(around found: Int) async throws -> Int {
            var good = found * 8 / 10
            while good > 0, !(try await probe(good)) { good = good * 8 / 10 }
            let bad = min(max(good, found) * 12 / 10, limit)
            if bad == good { return good }
            if try await probe(bad) { return bad }
            return try await bisect(good: good, bad: bad)
        }

        private mutating func bisect(good: Int, bad: Int) async throws -> Int {
            var (good, bad) = (good, bad)
            while bad - good > max(100, good / 20) {
                let middle = (good + bad) / 2
                if try await probe(middle) { good = middle } else { bad = middle }
            }
            return good
        }

        /// Whether so many sites can change at once; every event is accounted for before it returns.
        mutating func probe(_ count: Int) async throws -> Bool {
            sink.arrivals.reset()
            let start = Stopwatch.now
            let outcome = try await rig.load(rig.fleet.sites[..<count], .oncePerSite)
            let acknowledged = Stopwatch.now
            try await check.drain(sink, expected: count)
            let end = sink.arrivals.lastAcceptedAt
            let entries = try await check.newEntries()
            let verdict = check.verdict(outcome, entries: entries, arrivals: sink.arrivals.arrivals, sink: sink)
            problems += verdict.problems
            if verdict.expected != count { problems.append("\(count) reports made \(verdict.expected) changes") }
            let seconds = Double(max(end, start) - start) / 1e9
            let text = "\(Figures.grouped(count)) in \(Figures.decimal(seconds, places: 2)) s"
            history.append(text)
            let lastReply = Figures.decimal(Double(acknowledged - start) / 1e9, places: 2)
            rig.context.progress("\(text) (last acknowledged after \(lastReply) s)")
            return seconds <= SpikeBench.limitSeconds && verdict.problems.isEmpty
        }
    }
}
