import TocsinCore
import TocsinLedgerSQLite

/// P8: how late exit delays end when 100,000 of them end within one second.
///
/// Lateness is the commit of an end minus its deadline. The delays are made by arm commands through the real engine and
/// kept in the ledger; every end is counted in the ledger afterwards, and a missing one voids the run.
package enum TimerBench {
    /// Leaves time to arm every site before the first delay ends.
    private static let exitSeconds = 40
    private static let quickExitSeconds = 5

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let path = try context.workspace.directory("timers")
        defer { context.workspace.remove(path) }
        let count = context.settings.sites(100_000, quick: 2_000)
        context.progress("making \(Figures.grouped(count)) platform-triggered sites")
        let fleet = try await TimerFleet.make(
            sites: count,
            exitSeconds: context.settings.seconds(exitSeconds, quick: quickExitSeconds),
            at: LedgerFile.path(data: path),
            clock: context.clock
        )
        let running = try await measure(context, fleet, restarts: false, &report)
        report.results.append(
            result("P8", "exit delays ending in one second: p99 lateness", running, count, isTarget: true)
        )
        let restarted = try await measure(context, fleet, restarts: true, &report)
        report.results.append(
            result("P8R", "the same, after a restart with nothing in memory", restarted, count, isTarget: false)
        )
    }

    private struct Measured: Sendable {
        var latenesses: [Double] = []
        var armings: [Double] = []
        var notes: [String] = []
    }

    private static func measure(
        _ context: BenchContext,
        _ fleet: TimerFleet,
        restarts: Bool,
        _ report: inout BenchReport
    ) async throws -> Measured {
        var measured = Measured()
        for run in 1...context.settings.runs {
            let fsyncs = try FsyncProbe.callsPerSecond(in: context.workspace.path)
            let outcome = try await TimerRun(fleet: fleet, context: context).play(restarts: restarts)
            report.problems += outcome.problems.map { "\(restarts ? "P8R" : "P8"): \($0)" }
            let latenesses = Percentiles(outcome.latenesses)
            measured.latenesses.append(Double(latenesses.at(99)) / 1e9)
            measured.armings.append(outcome.arming.seconds)
            let note =
                "p50 \(Figures.milliseconds(latenesses.at(50))), p99 \(Figures.milliseconds(latenesses.at(99))), "
                + "max \(Figures.milliseconds(latenesses.maximum)); ends: \(outcome.ending.note); "
                + "arm commands: \(outcome.arming.note); raw: \(Figures.grouped(Int(fsyncs))) fdatasync/s"
            measured.notes.append("run \(run): \(note)")
            context.progress("\(restarts ? "restarted" : "running"), run \(run): \(note)")
        }
        return measured
    }

    private static func result(
        _ id: String,
        _ title: String,
        _ measured: Measured,
        _ count: Int,
        isTarget: Bool
    ) -> BenchResult {
        let runs = Runs(measured.latenesses, higherIsBetter: false)
        return BenchResult(
            id: id,
            title: title,
            unit: "s",
            runs: runs,
            reference: Runs(measured.armings, higherIsBetter: false).median,
            referenceTitle: "arming the same sites by command",
            target: isTarget ? "≤ 1" : nil,
            isReached: runs.median <= 1,
            notes: measured.notes + [
                "\(Figures.grouped(count)) delays, deadlines spread evenly over one second; each end: state, 2 events, "
                    + "audit, in one durable transaction; lateness = commit − deadline",
                "reference: the seconds in which the same engine armed the same sites, by one command each",
            ]
        )
    }
}

/// What one phase of a run cost the ledger.
struct TimerPhase: Sendable {
    var seconds: Double
    var decisions: Int
    var commits: Int
    /// The process's CPU time of one decision, in microseconds.
    var cost: Double

    var note: String {
        let rate = Figures.grouped(Int(Double(decisions) / max(seconds, 0.001)))
        let commitRate = Figures.grouped(Int(Double(commits) / max(seconds, 0.001)))
        return "\(rate)/s in \(Figures.decimal(seconds, places: 2)) s, \(commitRate) commits/s, "
            + "\(Figures.decimal(cost, places: 1)) µs of CPU each"
    }
}
