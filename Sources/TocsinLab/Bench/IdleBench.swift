import AsyncHTTPClient
import NIOCore
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// P10: what a server does that has sites, endpoints and schedules, and to which nothing happens.
package enum IdleBench {
    private static let sitesPerDealer = 100
    /// Schedules run half a day away from now, so that none does while it is measured.
    private static let hoursAway = 12
    /// A start plans every schedule; it is over when this many seconds in a row took less than a twentieth of a core.
    private static let calmSeconds = 5
    private static let settleMax = 180
    private static let cpuMax = 0.5
    private static let queriesMax = 1.0

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let count = context.settings.sites(10_000, quick: 1_000)
        let seconds = context.settings.seconds(60, quick: 5)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let fleet = try await fleet(count, sink, context)
        var cpu: [Double] = []
        var queries: [Double] = []
        var notes: [String] = []
        for run in 1...context.settings.runs {
            let states = SiteStates(count: 0)
            let usage = try await BenchRig.serve(fleet, states, context) { rig in
                try await measure(rig.server, seconds: seconds)
            }
            cpu.append(usage.cpuPercent)
            queries.append(Double(usage.reads + usage.commits) / Double(seconds))
            notes.append(
                "run \(run): \(Figures.decimal(usage.cpuPercent, places: 2)) % of a core, \(usage.reads) reads and "
                    + "\(usage.commits) commits in \(seconds) s, \(usage.residentMebibytes) MiB resident, calm after "
                    + "\(usage.settledAfter) s"
            )
            context.progress(notes.last ?? "")
        }
        context.workspace.remove(fleet.data)
        if sink.arrivals.accepted > 0 {
            report.problems.append("P10: \(sink.arrivals.accepted) webhooks came to an idle fleet")
        }
        await sink.stop()
        tell(cpu, queries, notes, count, seconds, &report)
    }

    private static func tell(
        _ cpu: [Double],
        _ queries: [Double],
        _ notes: [String],
        _ count: Int,
        _ seconds: Int,
        _ report: inout BenchReport
    ) {
        let cpu = Runs(cpu, higherIsBetter: false)
        let queries = Runs(queries, higherIsBetter: false)
        report.results.append(
            BenchResult(
                id: "P10",
                title: "idle with \(Figures.grouped(count)) sites, endpoints, schedules",
                unit: "% of a core",
                runs: cpu,
                target: "≤ 0.5",
                isReached: cpu.median <= cpuMax,
                notes: ["user and system time of the whole process over \(seconds) s, in which it is asked nothing"]
                    + notes
            )
        )
        report.results.append(
            BenchResult(
                id: "P10Q",
                title: "periodic store queries",
                unit: "queries/s",
                runs: queries,
                target: "≤ 1",
                isReached: queries.median <= queriesMax,
                notes: [
                    "counted by the ledger itself (tocsin_ledger_reads_total and tocsin_ledger_commits_total of /metrics): each "
                        + "is a transaction, whatever statements it is made of"
                ]
            )
        )
    }

    private static func fleet(_ count: Int, _ sink: WebhookSink, _ context: BenchContext) async throws -> BenchFleet {
        context.progress("making \(Figures.grouped(count)) sites, each with an endpoint and a schedule")
        let randomness = SystemRandomness()
        let now = context.clock.now
        let hour = Int(now.secondsSinceEpoch / 3600 + Int64(hoursAway)) % 24
        let time = "\(hour < 10 ? "0" : "")\(hour):30"
        return try await BenchFleet.make(
            BenchFleet.Shape(
                dealers: count / sitesPerDealer,
                endpointsPerDealer: sitesPerDealer,
                sites: count,
                events: [.armingStateChanged],
                isPlatformTriggered: true,
                timeZone: "UTC"
            ),
            at: try context.workspace.directory("idle"),
            receiver: sink,
            workspace: context.workspace,
            clock: context.clock
        ) { site, _, transaction in
            try transaction.insert(
                Fixture(
                    id: randomness.id(ScheduleNoun.self, at: now).text,
                    siteID: site.id,
                    kind: .schedule,
                    number: nil,
                    name: "Closing time",
                    settings: ["partition": 1, "arm": "away", "at": .string(time), "warning_minutes": 0]
                )
            )
        }
    }

    private struct Usage: Sendable {
        var cpuPercent: Double
        var reads: Int
        var commits: Int
        var residentMebibytes: Int
        var settledAfter: Int
    }

    private static func measure(_ server: ServerProcess, seconds: Int) async throws -> Usage {
        let settledAfter = try await settle(server)
        let counted = try await counters(server)
        let before = try ProcessUsage(processID: server.processID)
        let start = Stopwatch.now
        try await Task.sleep(for: .seconds(seconds))
        let after = try ProcessUsage(processID: server.processID)
        let elapsed = Double(Stopwatch.now - start) / 1e9
        let now = try await counters(server)
        return Usage(
            cpuPercent: (after.cpuSeconds - before.cpuSeconds) / elapsed * 100,
            reads: now.reads - counted.reads,
            commits: now.commits - counted.commits,
            residentMebibytes: Int(after.residentBytes / 1_048_576),
            settledAfter: settledAfter
        )
    }

    /// Waits until what a start has to do is done; returns how many seconds that took.
    private static func settle(_ server: ServerProcess) async throws -> Int {
        var last = try ProcessUsage(processID: server.processID).cpuSeconds
        var calm = 0
        for second in 1...settleMax {
            try await Task.sleep(for: .seconds(1))
            let now = try ProcessUsage(processID: server.processID).cpuSeconds
            calm = now - last < 0.05 ? calm + 1 : 0
            last = now
            if calm == calmSeconds { return second - calmSeconds }
        }
        throw LabError("the server was not calm within \(settleMax) s of its start")
    }

    /// What the ledger counts of itself.
    private static func counters(_ server: ServerProcess) async throws -> (reads: Int, commits: Int) {
        let request = HTTPClientRequest(url: server.url + "/metrics")
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        let page = String(buffer: try await reply.body.collect(upTo: 8 << 20))
        func value(_ name: String) throws -> Int {
            guard let line = page.split(separator: "\n").first(where: { $0.hasPrefix(name + " ") }),
                let value = line.split(separator: " ").last.flatMap({ Int($0) })
            else { throw LabError("/metrics does not tell \(name)") }
            return value
        }
        return (try value("tocsin_ledger_reads_total"), try value("tocsin_ledger_commits_total"))
    }
}
