import Crypto
import Foundation
import NIOCore
import TocsinCore
import TocsinJSON

/// What a user would build instead of this program, doing the same: same events, same signatures, same receiver, fsync on.
///
/// The comparison is kind to the peers: their events are put straight into the queue, in batches where they can; nothing is
/// decided, no request is parsed, no attempts log is written.
package enum PeersBench {
    /// A peer: a Python program of ours over others' packages.
    struct Peer: Sendable {
        var id: String
        var title: String
        var script: String
        /// The programs it needs on the machine.
        var services: [String]
    }

    static let peers = [
        Peer(id: "V1", title: "Celery, Redis, requests", script: "celery_redis.py", services: ["redis-server"]),
        Peer(id: "V2", title: "awa, PostgreSQL, aiohttp", script: "awa_postgres.py", services: ["postgres"]),
    ]

    /// As many deliveries as take the slower peer about twenty seconds.
    private static let events = 300
    /// How long nothing may come before a peer is given up: its services have to start first, on a busy machine too.
    private static let patience: Duration = .seconds(120)
    /// How long all of a peer's deliveries may take.
    private static let runMax: Duration = .seconds(240)
    /// How long a peer may take to stop its services; it gives them up itself before that.
    private static let stopMax: Duration = .seconds(45)

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let kit = try await PeerKit.prepare(context)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        do {
            try await compare(kit, sink, context, &report)
            await sink.stop()
        } catch {
            await sink.stop()
            throw error
        }
    }

    private static func compare(
        _ kit: PeerKit,
        _ sink: WebhookSink,
        _ context: BenchContext,
        _ report: inout BenchReport
    ) async throws {
        var own: [Double] = []
        var rates: [[Double]] = peers.map { _ in [] }
        // In turns, so that what else the machine does meets all of them.
        for run in 1...context.settings.runs {
            own.append(try await measureOwn(context, sink, &report))
            for (index, peer) in peers.enumerated() {
                let (rate, problems) = try await measure(peer, run: run, kit, context, sink)
                context.progress("\(peer.title), run \(run): \(Figures.grouped(Int(rate))) deliveries/s")
                rates[index].append(rate)
                report.problems += problems.map { "\(peer.id): \($0)" }
            }
        }
        for (peer, rates) in zip(peers, rates) {
            report.results.append(
                BenchResult(
                    id: peer.id,
                    title: "signed deliveries, held against \(peer.title)",
                    unit: "deliveries/s",
                    runs: Runs(own, higherIsBetter: true),
                    reference: Runs(rates, higherIsBetter: true).median,
                    referenceTitle: peer.title,
                    target: nil,
                    isReached: true,
                    notes: [
                        "\(peer.title): \(rates.map { Figures.grouped(Int($0)) }.joined(separator: ", ")) deliveries/s, from "
                            + "the first arrival to the last; without ingestion and without an attempts log, which ours has"
                    ]
                )
            )
        }
    }

    private static func measureOwn(
        _ context: BenchContext,
        _ sink: WebhookSink,
        _ report: inout BenchReport
    ) async throws -> Double {
        let shape = BenchFleet.Shape(
            dealers: DeliverBench.dealers,
            endpointsPerDealer: DeliverBench.endpointsPerDealer,
            sites: DeliverBench.sites,
            events: [.armingStateChanged]
        )
        let (rate, _, problems) = try await BenchRig.with(shape, context, receiver: sink) { rig in
            try await DeliverBench.sustain(rig, sink, seconds: context.settings.seconds(10, quick: 2))
        }
        report.problems += problems.map { "Tocsin: \($0)" }
        return rate
    }

    private static func measure(
        _ peer: Peer,
        run: Int,
        _ kit: PeerKit,
        _ context: BenchContext,
        _ sink: WebhookSink
    ) async throws -> (rate: Double, problems: [String]) {
        let endpoints = DeliverBench.dealers * DeliverBench.endpointsPerDealer
        let secrets = Dictionary(
            uniqueKeysWithValues: (0..<endpoints).map { ($0, "whsec_" + SymmetricKey(size: .bits256).base64) }
        )
        try sink.verify(secrets: secrets)
        sink.arrivals.reset()
        let events = context.settings.isQuick ? events / 10 : events
        let expected = events * DeliverBench.endpointsPerDealer
        let place = try kit.place(peer, run: run)
        let child = try kit.start(
            peer,
            at: place,
            endpoints: (0..<endpoints).map { (sink.url(endpoint: $0), secrets[$0] ?? "") },
            events: events
        )
        do {
            try await wait(for: expected, at: sink, peer, child)
            await child.stop(grace: stopMax)
        } catch {
            await child.stop(grace: stopMax)
            throw LabError("\(error)\n\(PeerKit.words(of: place))")
        }
        return try outcome(of: expected, at: sink)
    }

    /// Returns when so many webhooks were accepted; throws when the peer ends, stands still or takes too long.
    private static func wait(for expected: Int, at sink: WebhookSink, _ peer: Peer, _ child: ChildProcess) async throws
    {
        let start = ContinuousClock.now
        var (last, since) = (0, start)
        while sink.arrivals.accepted < expected {
            let accepted = sink.arrivals.accepted
            if accepted != last { (last, since) = (accepted, .now) }
            let state = "\(peer.title) delivered \(accepted) of \(expected)"
            if let status = child.exitStatus { throw LabError("\(state), then it ended with \(status)") }
            guard ContinuousClock.now - since < patience else {
                throw LabError("\(state), then nothing for \(patience.milliseconds / 1000) s")
            }
            guard ContinuousClock.now - start < runMax else {
                throw LabError("\(state) within \(runMax.milliseconds / 1000) s: the machine is too busy to compare")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Deliveries a second, and what was wrong with them.
    private static func outcome(of expected: Int, at sink: WebhookSink) throws -> (rate: Double, problems: [String]) {
        let arrivals = sink.arrivals.arrivals.filter { $0.status == 200 }
        let times = arrivals.map(\.at)
        var problems = sink.arrivals.problems
        let distinct = Set(arrivals.map { [Int64(bitPattern: $0.event.value), Int64($0.endpoint)] }).count
        if distinct < expected { problems.append("\(expected - distinct) of \(expected) webhooks never arrived") }
        if sink.arrivals.checkedSignatures * 100 < expected { problems.append("too few signatures were checked") }
        guard let first = times.min(), let end = times.max(), end > first else { throw LabError("nothing arrived") }
        return (Double(distinct) * 1e9 / Double(end - first), problems)
    }
}

extension SymmetricKey {
    fileprivate var base64: String { withUnsafeBytes { Data($0).base64EncodedString() } }
}

/// The peers' programs and the Python packages that they stand on.
struct PeerKit: Sendable {
    let directory: String
    private let python: String

    /// Writes the programs and installs their packages; refuses where a service is missing.
    static func prepare(_ context: BenchContext) async throws -> PeerKit {
        for service in PeersBench.peers.flatMap(\.services) where find(service) == nil {
            throw LabError("\(service) is missing: \(remedy)")
        }
        guard let system = Program.find("python3") else { throw LabError("python3 is missing: \(remedy)") }
        let directory = try context.workspace.directory("peers")
        for (name, bytes) in files {
            try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        }
        let kit = PeerKit(directory: directory, python: "\(directory)/venv/bin/python")
        try await kit.install(with: system, context)
        return kit
    }

    private static let remedy = "as root, apt-get install redis-server postgresql python3-venv"
    private static let installMax: Duration = .seconds(240)

    /// Makes a virtual environment with the packages, unless the directory was given and holds it already.
    private func install(with system: String, _ context: BenchContext) async throws {
        let wanted = Data(PackageResources.requirements_txt)
        let installed = "\(directory)/venv/installed.txt"
        if FileManager.default.contents(atPath: installed) == wanted { return }
        context.progress("installing the peers' Python packages")
        do {
            try await Program.run(system, ["-m", "venv", "--clear", "\(directory)/venv"], in: context.workspace)
        } catch let error as LabError {
            throw LabError("python3 could not make a virtual environment: \(Self.remedy)\n\(error)")
        }
        let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]
        do {
            try await Program.run(
                python,
                arguments + ["\(directory)/requirements.txt"],
                in: context.workspace,
                within: Self.installMax
            )
        } catch let error as LabError {
            throw LabError("pip could not install the peers' packages: let it reach a package index\n\(error)")
        }
        try wanted.write(to: URL(fileURLWithPath: installed))
    }

    private static let files: [(String, [UInt8])] = [
        ("requirements.txt", PackageResources.requirements_txt),
        ("webhooks.py", PackageResources.webhooks_py),
        ("celery_redis.py", PackageResources.celery_redis_py),
        ("awa_postgres.py", PackageResources.awa_postgres_py),
    ]

    /// Debian keeps PostgreSQL's programs off the `PATH`.
    private static func find(_ service: String) -> String? {
        if let path = Program.find(service) { return path }
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.map { "\(root)/\($0)/bin/\(service)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// A new directory for one run of a peer.
    func place(_ peer: PeersBench.Peer, run: Int) throws -> String {
        let place = "\(directory)/\(peer.id)-\(run)"
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        return place
    }

    /// The last that a peer said in that directory.
    static func words(of place: String) -> String {
        String(((try? String(contentsOfFile: "\(place)/peer.log", encoding: .utf8)) ?? "").suffix(3000))
    }

    /// Starts a peer in a directory of its own.
    func start(
        _ peer: PeersBench.Peer,
        at place: String,
        endpoints: [(url: String, secret: String)],
        events: Int
    ) throws -> ChildProcess {
        let configuration: JSON = [
            "endpoints": .array(endpoints.map { ["url": .string($0.url), "secret": .string($0.secret)] }),
            "fanout": JSON(DeliverBench.endpointsPerDealer),
            "events": JSON(events),
            "directory": .string(place),
        ]
        let log = "\(place)/peer.log"
        guard FileManager.default.createFile(atPath: log, contents: nil), let words = FileHandle(forWritingAtPath: log)
        else { throw LabError("the file \(log) cannot be written") }
        return try ChildProcess(
            path: python,
            arguments: ["\(directory)/\(peer.script)"],
            errors: words,
            environment: ["TOCSIN_PEER": String(decoding: configuration.bytes, as: UTF8.self)]
        )
    }
}
