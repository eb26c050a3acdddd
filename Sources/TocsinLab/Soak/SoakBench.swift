import Synchronization
import TocsinCore
import TocsinEngine

/// Mixed traffic for a long time, with receivers that fail and a server that is killed again and again.
///
/// At the end nothing acknowledged may be missing at any endpoint that asked for it, nothing may have come twice but what
/// was in flight at a kill, and memory must not have grown.
package struct SoakBench: Sendable {
    private let seconds: Int
    private let kills: Int
    private let seed: UInt64

    /// Twenty in half an hour, spread over its middle.
    private static let killsPerMinute = 2.0 / 3
    /// Neither the first nor the last sixth has a kill: the processes that are weighed have lived equally long.
    private static let quietShare = 6
    /// Memory is the largest of so many readings, a second apart.
    private static let readings = 10
    private static let growthMax = 1.2
    /// A server that has just begun still fills its caches: in a shorter soak memory is told, and judged by nobody.
    private static let judgedSeconds = 600
    /// Longer than the longest pause of a breaker, which is 300 s and a fifth, and an attempt that is not answered.
    private static let quietSecondsMax = 400
    private static let settleSecondsMax = 900

    package init(minutes: Int, seconds: Int? = nil, kills: Int? = nil, seed: UInt64) {
        self.seconds = seconds ?? minutes * 60
        self.kills = kills ?? max(1, Int((Double(self.seconds) / 60 * Self.killsPerMinute).rounded()))
        self.seed = seed
    }

    package func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        context.progress("seed \(seed): \(seconds) s, \(kills) times kill -9")
        let faults = SoakFaults(seed: seed)
        let react: WebhookSink.React = { faults.react($0) }
        let sink = try await WebhookSink.start(on: context.sinkGroup, react: react)
        let data = try context.workspace.directory("soak")
        let fleet = try await SoakFleet.make(at: data, receiver: sink, context.workspace)
        let stage = try await SoakStage.start(fleet.fleet, context)
        do {
            let outcome = try await play(fleet, stage, faults, sink, context)
            try await stage.server.stop()
            let problems = outcome.problems + (try await Backlog.problems(of: fleet.fleet, context))
            if problems.isEmpty, outcome.lost == 0 {
                context.workspace.remove(data)
            } else {
                let kept = try context.workspace.keep(data, as: "soak-\(seed)")
                context.progress("what is wrong can be looked for in \(kept)")
            }
            await sink.stop()
            tell(outcome, problems, &report)
        } catch {
            await stage.server.child.stop(grace: .zero)
            await sink.stop()
            throw error
        }
    }

    /// The largest of some readings, in bytes.
    private struct Memory: Sendable {
        var own: UInt64 = 0
        var resident: UInt64 = 0

        mutating func take(_ usage: ProcessUsage) {
            own = max(own, usage.ownBytes)
            resident = max(resident, usage.residentBytes)
        }
    }

    private struct Outcome: Sendable {
        var duplicates = 0
        var inFlight = 0
        var early = Memory()
        var late = Memory()
        var lost = 0
        var notes: [String] = []
        var problems: [String] = []
    }

    private func play(
        _ fleet: SoakFleet,
        _ stage: SoakStage,
        _ faults: SoakFaults,
        _ sink: WebhookSink,
        _ context: BenchContext
    ) async throws -> Outcome {
        let client = SoakClient(server: stage.server.url)
        let end = BenchRig.end(in: seconds)
        faults.set(on: true)
        var (outcome, account) = try await withThrowingTaskGroup(of: (Outcome, SoakAccount)?.self) { tasks in
            for (number, place) in fleet.places.enumerated() {
                let traffic = SoakTraffic(
                    place: place,
                    client: client,
                    apiKey: fleet.fleet.apiKeys[place.dealer],
                    token: { stage.token },
                    randomness: SeededRandomness(seed: seed &+ UInt64(number) &+ 1),
                    clock: context.clock,
                    name: "soak-\(number)"
                )
                tasks.addTask {
                    try await traffic.run(until: end)
                    return nil
                }
            }
            tasks.addTask { try await conduct(stage, SoakAccount(fleet.fleet), sink, until: end, context) }
            var result = (Outcome(), SoakAccount(fleet.fleet))
            for try await part in tasks { result = part ?? result }
            return result
        }
        faults.set(on: false)
        try await settle(&account, sink, context)
        let acknowledged = client.acknowledged
        let fates = try await account.fates()
        let dead = fates[SoakAccount.dead] ?? 0
        outcome.problems += try await account.verdict(acknowledged, sink, dead: dead)
        outcome.lost = account.openCount - dead
        outcome.inFlight = account.inFlightCount
        outcome.duplicates = account.duplicates(sink).all
        let requests = acknowledged.requests.sorted { $0.key < $1.key }.map { "\(Figures.grouped($0.value)) \($0.key)" }
        let missing = fates.sorted { $0.key < $1.key }.map { "\(Figures.grouped($0.value)) \($0.key)" }
        if !missing.isEmpty { context.progress("not arrived: \(missing.joined(separator: ", "))") }
        outcome.notes += [
            "\(Figures.grouped(dead)) dead letters, which the ledger tells of",
            "seed \(seed); \(seconds) s of traffic, \(kills) times kill -9",
            "acknowledged: \(requests.joined(separator: ", ")); \(Figures.grouped(acknowledged.refused)) refused by the "
                + "state of things, \(Figures.grouped(acknowledged.repeats)) sent again",
            "\(Figures.grouped(account.entries.count)) events in the log, "
                + "\(Figures.grouped(sink.arrivals.accepted)) webhooks taken, "
                + "\(Figures.grouped(sink.arrivals.checkedSignatures)) signatures checked; faults: \(faults.words)",
        ]
        return outcome
    }

    /// Kills and restarts the server at random moments, and weighs it.
    private func conduct(
        _ stage: SoakStage,
        _ account: SoakAccount,
        _ sink: WebhookSink,
        until end: UInt64,
        _ context: BenchContext
    ) async throws -> (Outcome, SoakAccount) {
        var (outcome, account) = (Outcome(), account)
        let start = end - UInt64(seconds) * 1_000_000_000
        let quiet = UInt64(seconds) * 1_000_000_000 / UInt64(Self.quietShare)
        let randomness = SeededRandomness(seed: ~seed)
        var moments = (0..<kills).map { _ in
            start + quiet + UInt64(randomness.fraction() * Double(end - start - 2 * quiet))
        }.sorted()
        let window = min(UInt64(Self.readings) * 1_000_000_000, quiet)
        while Stopwatch.now < end {
            let now = Stopwatch.now
            if let moment = moments.first, moment <= now {
                moments.removeFirst()
                try await stage.kill()
                try await account.noteKill(at: Stopwatch.now, sink)
                try await stage.restart()
                context.progress(
                    "kill \(kills - moments.count) of \(kills) after \((now - start) / 1_000_000_000) s: "
                        + "\(account.inFlightCount) in flight so far"
                )
                continue
            }
            let usage = try ProcessUsage(processID: stage.server.processID)
            if now >= start + quiet - window, now < start + quiet { outcome.early.take(usage) }
            if now + window >= end { outcome.late.take(usage) }
            try await stage.keepToken()
            let next = min(moments.first ?? end, end, now + 1_000_000_000)
            try await Task.sleep(for: .nanoseconds(Int64(next > now ? next - now : 1)))
        }
        return (outcome, account)
    }

    /// Waits until the receiver has everything that the log asks for, or nothing more comes.
    private func settle(_ account: inout SoakAccount, _ sink: WebhookSink, _ context: BenchContext) async throws {
        var (last, quiet) = (Int.max, 0)
        for _ in 0..<Self.settleSecondsMax where quiet < Self.quietSecondsMax {
            let new = try await account.update(sink)
            if new == 0, account.openCount == 0, last == 0 { return }
            quiet = account.openCount == last ? quiet + 1 : 0
            last = account.openCount
            try await Task.sleep(for: .seconds(1))
        }
        context.progress("\(account.openCount) webhooks are missing")
    }

    private func tell(_ outcome: Outcome, _ problems: [String], _ report: inout BenchReport) {
        var problems = problems
        let mebibyte = 1_048_576.0
        let (early, late) = (Double(outcome.early.own) / mebibyte, Double(outcome.late.own) / mebibyte)
        let hasGrown = seconds >= Self.judgedSeconds && late > Self.growthMax * early
        if hasGrown { problems.append("memory grew from \(Int(early)) to \(Int(late)) MiB") }
        report.problems += problems.map { "soak: \($0)" }
        func result(_ id: String, _ title: String, _ unit: String, _ value: Double) -> BenchResult {
            let runs = Runs([value], higherIsBetter: false)
            return BenchResult(id: id, title: title, unit: unit, runs: runs, isReached: true, notes: [])
        }
        var lost = result("S1", "webhooks of acknowledged events that never came", "webhooks", Double(outcome.lost))
        (lost.target, lost.isReached, lost.notes) = ("0", outcome.lost == 0, outcome.notes)
        var twice = result("S2", "webhooks that came again", "webhooks", Double(outcome.duplicates))
        (twice.reference, twice.referenceTitle) = (Double(outcome.inFlight), "in flight at the kills")
        (twice.target, twice.isReached) = ("≤ 1", outcome.duplicates <= outcome.inFlight)
        twice.notes = ["reference: taken by the receiver and not yet in the attempts log when the server was killed"]
        var memory = result("S3", "memory of the server at the end", "MiB", late)
        (memory.reference, memory.referenceTitle) = (early, "after the first sixth")
        if seconds >= Self.judgedSeconds { (memory.target, memory.isReached) = ("≤ 1.2", !hasGrown) }
        memory.notes = ["reference: after the first sixth of the time (5 of 30 minutes), before the first kill"]
        var resident = result(
            "S3R",
            "the same with the ledger's mapped pages",
            "MiB",
            Double(outcome.late.resident) / mebibyte
        )
        (resident.reference, resident.referenceTitle) = (
            Double(outcome.early.resident) / mebibyte, memory.referenceTitle
        )
        resident.notes = ["grows with the ledger's file, of which the system takes back what it needs elsewhere"]
        report.results += [lost, twice, memory, resident]
    }
}

/// The server of a soak, which is another process after each kill, at the same address.
final class SoakStage: Sendable {
    private struct State {
        var server: ServerProcess
        var token: String
        var tokenAt: UInt64
    }

    private let fleet: BenchFleet
    private let context: BenchContext
    private let state: Mutex<State>

    /// A token lasts an hour.
    private static let tokenNanoseconds: UInt64 = 1_200_000_000_000
    private static let deathMax: Duration = .seconds(10)

    private init(_ fleet: BenchFleet, _ context: BenchContext, _ server: ServerProcess, _ token: String) {
        self.fleet = fleet
        self.context = context
        state = Mutex(State(server: server, token: token, tokenAt: Stopwatch.now))
    }

    static func start(_ fleet: BenchFleet, _ context: BenchContext) async throws -> SoakStage {
        let server = try await ServerProcess.start(data: fleet.data, workspace: context.workspace)
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        return SoakStage(fleet, context, server, token)
    }

    var server: ServerProcess { state.withLock { $0.server } }
    var token: String { state.withLock { $0.token } }

    /// `kill -9`; returns when the process is gone.
    func kill() async throws {
        let server = server
        if let status = server.child.exitStatus { throw LabError("the server ended by itself with \(status)") }
        server.child.killNow()
        guard try await server.child.end(within: Self.deathMax) != nil else {
            throw LabError("the server did not end within \(Self.deathMax.milliseconds / 1000) s of kill -9")
        }
    }

    /// Starts the next server in the place of the one that was killed: tokens name the address.
    func restart() async throws {
        let server = try await ServerProcess.start(
            data: fleet.data,
            workspace: context.workspace,
            port: server.port
        )
        state.withLock { $0.server = server }
    }

    /// Gets a new token before the old one expires.
    func keepToken() async throws {
        guard Stopwatch.now - state.withLock(\.tokenAt) > Self.tokenNanoseconds else { return }
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        state.withLock { ($0.token, $0.tokenAt) = (token, Stopwatch.now) }
    }
}
