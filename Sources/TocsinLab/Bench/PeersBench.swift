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

    /// As many deliveries as take the slower peer half a minute.
    private static let events = 500
    /// How long nothing may come before a peer is given up.
    private static let patience: Duration = .seconds(60)

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let kit = try await PeerKit.prepare(context)
        let sink = try await WebhookSink.start(on: context.sinkGroup)
        let own = try await measureOwn(context, sink, &report)
        for peer in peers {
            var rates: [Double] = []
            for run in 1...context.settings.runs {
                let (rate, problems) = try await measure(peer, run: run, kit, context, sink)
                context.progress("\(peer.title), run \(run): \(Figures.grouped(Int(rate))) deliveries/s")
                rates.append(rate)
                report.problems += problems.map { "\(peer.id): \($0)" }
            }
            report.results.append(
                BenchResult(
                    id: peer.id,
                    title: "signed deliveries, held against \(peer.title)",
                    unit: "deliveries/s",
                    runs: own,
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
        await sink.stop()
    }

    private static func measureOwn(
        _ context: BenchContext,
        _ sink: WebhookSink,
        _ report: inout BenchReport
    ) async throws -> Runs {
        let shape = BenchFleet.Shape(
            dealers: DeliverBench.dealers,
            endpointsPerDealer: DeliverBench.endpointsPerDealer,
            sites: DeliverBench.sites,
            events: [.armingStateChanged]
        )
        var rates: [Double] = []
        for _ in 1...context.settings.runs {
            let (rate, _, problems) = try await BenchRig.with(shape, context, receiver: sink) { rig in
                try await DeliverBench.sustain(rig, sink, seconds: context.settings.seconds(20, quick: 3))
            }
            rates.append(rate)
            report.problems += problems.map { "Tocsin: \($0)" }
        }
        return Runs(rates, higherIsBetter: true)
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
        let child = try kit.start(
            peer,
            run: run,
            endpoints: (0..<endpoints).map { (sink.url(endpoint: $0), secrets[$0] ?? "") },
            events: events
        )
        defer { child.terminate() }
        var (last, since) = (-1, ContinuousClock.now)
        while sink.arrivals.accepted < expected {
            let accepted = sink.arrivals.accepted
            if accepted != last { (last, since) = (accepted, .now) }
            guard ContinuousClock.now - since < patience, child.exitStatus == nil else {
                throw LabError("\(peer.title) delivered \(accepted) of \(expected), then nothing: see \(kit.directory)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        let arrivals = sink.arrivals.arrivals.filter { $0.status == 200 }
        let times = arrivals.map(\.at)
        var problems = sink.arrivals.problems
        let distinct = Set(arrivals.map { [Int64(bitPattern: $0.event.value), Int64($0.endpoint)] }).count
        if distinct < expected { problems.append("\(expected - distinct) of \(expected) webhooks never arrived") }
        if sink.arrivals.checkedSignatures * 100 < expected { problems.append("too few signatures were checked") }
        child.terminate()
        _ = await child.wait()
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
            throw LabError(
                "\(service) is missing; install, as root: apt-get install redis-server postgresql python3-venv"
            )
        }
        guard let system = Program.find("python3") else { throw LabError("python3 is missing") }
        let directory = try context.workspace.directory("peers")
        for (name, bytes) in files {
            try Data(bytes).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        }
        context.progress("installing the peers' Python packages")
        try await Program.run(system, ["-m", "venv", "\(directory)/venv"], in: context.workspace)
        let python = "\(directory)/venv/bin/python"
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        try await Program.run(python, install + ["\(directory)/requirements.txt"], in: context.workspace)
        return PeerKit(directory: directory, python: python)
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

    /// Starts a peer in a directory of its own.
    func start(
        _ peer: PeersBench.Peer,
        run: Int,
        endpoints: [(url: String, secret: String)],
        events: Int
    ) throws -> ChildProcess {
        let place = "\(directory)/\(peer.id)-\(run)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let configuration: JSON = [
            "endpoints": .array(endpoints.map { ["url": .string($0.url), "secret": .string($0.secret)] }),
            "fanout": JSON(DeliverBench.endpointsPerDealer),
            "events": JSON(events),
            "directory": .string(place),
        ]
        return try ChildProcess(
            path: python,
            arguments: ["\(directory)/\(peer.script)"],
            errors: .standardError,
            environment: ["TOCSIN_PEER": String(decoding: configuration.bytes, as: UTF8.self)]
        )
    }
}
