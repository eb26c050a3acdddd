import NIOCore
import Synchronization
import TocsinCore

/// P5: from commit to first byte for alarms, while everything else that is sent saturates the machine.
package enum AlarmBench {
    private static let alarmsPerSecond = 20.0
    private static let connections = 4
    /// How far the receiver may be behind, in deliveries: every endpoint always has more of the rest to do.
    private static let deliveriesAhead = 20_000
    private static let targetMilliseconds = 50.0

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let seconds = context.settings.seconds(20, quick: 3)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let shape = BenchFleet.Shape(
            dealers: NeighbourBench.dealers,
            endpointsPerDealer: NeighbourBench.endpointsPerDealer,
            sites: NeighbourBench.sites,
            events: [.armingStateChanged, .alarmCreated, .alarmActivity],
            scopes: [.eventsRead, .sitesRead, .alarmsWrite]
        )
        let (p99s, notes, problems) = try await BenchRig.with(shape, context, receiver: sink) { rig in
            var p99s: [Double] = []
            var notes: [String] = []
            var problems: [String] = []
            for run in 1...context.settings.runs {
                let found = try await measure(rig, sink, seconds: seconds)
                p99s.append(Double(found.alarms.at(99)) / 1e6)
                notes.append("run \(run): \(found.words)")
                problems += found.problems
                context.progress(notes.last ?? "")
            }
            return (p99s, notes, problems)
        }
        await sink.stop()
        report.problems += problems.map { "P5: \($0)" }
        let runs = Runs(p99s, higherIsBetter: false)
        report.results.append(
            BenchResult(
                id: "P5",
                title: "alarms, commit to first byte, p99 while the rest saturates",
                unit: "ms",
                runs: runs,
                target: "≤ \(Int(targetMilliseconds)) ms",
                isReached: runs.median <= targetMilliseconds,
                notes: [
                    "\(Int(alarmsPerSecond)) alarms/s, each to \(shape.endpointsPerDealer) endpoints, while reports come as "
                        + "fast as they are answered and the same endpoints are \(Figures.grouped(deliveriesAhead)) "
                        + "deliveries behind; counted from created_at, which is taken before the durable write"
                ] + notes
            )
        )
    }

    private struct Found: Sendable {
        var alarms: Percentiles
        var words: String
        var problems: [String]
    }

    private static func measure(_ rig: BenchRig, _ sink: WebhookSink, seconds: Int) async throws -> Found {
        var check = LossCheck(rig.fleet)
        _ = try await check.newEntries()
        sink.arrivals.reset()
        let end = BenchRig.end(in: seconds)
        let source = AlarmSource(rig.fleet, until: end, ratePerSecond: alarmsPerSecond)
        let fanout = rig.fleet.shape.endpointsPerDealer
        let outcome = try await withThrowingTaskGroup(of: ReportSource.Outcome?.self) { tasks in
            tasks.addTask {
                try await rig.load(
                    rig.fleet.sites[...],
                    .until(end),
                    gate: { sent in sent * fanout - sink.arrivals.accepted < deliveriesAhead }
                )
            }
            tasks.addTask {
                try await LoadClient.run(
                    source,
                    port: rig.server.port,
                    connections: connections,
                    on: rig.context.loadGroup
                )
                return nil
            }
            var outcome = ReportSource.Outcome()
            for try await result in tasks { outcome = result ?? outcome }
            return outcome
        }
        let delivered = sink.arrivals.accepted
        let entries = try await check.newEntries()
        try await check.drain(sink, expected: check.expectedDeliveries(of: entries))
        let arrivals = sink.arrivals.arrivals
        var problems = check.verdict(outcome, entries: entries, arrivals: arrivals, sink: sink).problems
        let alarms = entries.filter { $0.type == .alarmCreated || $0.type == .alarmActivity }
        problems += source.problems(logged: alarms.count)
        let times = DeliverBench.latencies(alarms, arrivals, rig.context.stopwatch)
        let rest = DeliverBench.latencies(entries.filter { !$0.type.isAlarmClass }, arrivals, rig.context.stopwatch)
        let answers = Percentiles(source.latencies)
        let words =
            "alarms p50 \(Figures.milliseconds(times.at(50))), p99 \(Figures.milliseconds(times.at(99))), max "
            + "\(Figures.milliseconds(times.maximum)) over \(Figures.grouped(times.count)) deliveries, answered after "
            + "p50 \(Figures.milliseconds(answers.at(50))), p99 \(Figures.milliseconds(answers.at(99))); the rest p50 "
            + "\(Figures.milliseconds(rest.at(50))) at \(Figures.grouped(delivered / seconds)) deliveries/s"
        return Found(alarms: times, words: words, problems: problems)
    }
}

/// Raises alarms at an even pace, each at the next site, with the key of its dealer's app.
private final class AlarmSource: LoadSource {
    private struct State {
        var sent = 0
        var nextSlot: UInt64 = 0
        /// Of those that were answered, in nanoseconds: the commit is a part of it.
        var latencies: [UInt64] = []
        var refusal: String?
    }

    private let fleet: BenchFleet
    private let end: UInt64
    private let slot: UInt64
    private let state = Mutex(State())

    init(_ fleet: BenchFleet, until end: UInt64, ratePerSecond: Double) {
        self.fleet = fleet
        self.end = end
        slot = UInt64(1_000_000_000 / ratePerSecond)
    }

    func next(connection: Int, into buffer: inout ByteBuffer) -> LoadStep {
        let now = Stopwatch.now
        if now >= end { return .done }
        let site: Int? = state.withLock { state in
            if state.nextSlot == 0 { state.nextSlot = now }
            guard state.nextSlot <= now else { return nil }
            state.nextSlot += slot
            state.sent += 1
            return (state.sent - 1) % fleet.sites.count
        }
        guard let site else { return .wait(.milliseconds(2)) }
        let body = "{\"site_id\":\"\(fleet.sites[site].text)\",\"trigger\":\"motion\"}"
        buffer.writeString(
            """
            POST /v1/alarms HTTP/1.1\r
            host: 127.0.0.1\r
            content-type: application/json\r
            authorization: Bearer \(fleet.apiKeys[site % fleet.dealers.count])\r
            content-length: \(body.utf8.count)\r
            \r\n
            """
        )
        buffer.writeString(body)
        return .send
    }

    func finish(connection: Int, status: Int, body: UnsafeRawBufferPointer, sentAt: UInt64) {
        state.withLock { state in
            if status == 200 || status == 201 {
                state.latencies.append(Stopwatch.now - sentAt)
            } else if state.refusal == nil {
                state.refusal = "\(status) \(String(decoding: body.prefix(300), as: UTF8.self))"
            }
        }
    }

    var latencies: [UInt64] { state.withLock { $0.latencies } }

    /// Holds what was acknowledged against how many alarms and their activities the log has.
    func problems(logged: Int) -> [String] {
        let (acknowledged, refusal) = state.withLock { ($0.latencies.count, $0.refusal) }
        var problems: [String] = []
        if let refusal { problems.append("an alarm was refused: \(refusal)") }
        if acknowledged == 0 { problems.append("no alarm was raised") }
        if logged < acknowledged {
            problems.append("\(acknowledged - logged) acknowledged alarms are missing in the log")
        }
        return problems
    }
}
