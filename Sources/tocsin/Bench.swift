import ArgumentParser
import Logging
import TocsinEngine
import TocsinLab

/// `tocsin bench`: measures the program against references, and accounts for every event on the way.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure ingestion, delivery and its isolation, the closing-time spike, timers, scale and devices.",
        discussion: """
            Starts the server, the load, the receiver and the reference itself. Use a release build. A run in which \
            anything acknowledged is missing is void: exit status 1.
            """,
        subcommands: [
            Ingest.self, Deliver.self, Spike.self, Timers.self, Scale.self, Devices.self, Neighbours.self, Alarms.self,
            Backlog.self, Idle.self, Soak.self, Peers.self, All.self, Hello.self,
        ]
    )

    struct Options: ParsableArguments {
        @Flag(help: "Print JSON.") var json = false
        @Flag(help: "Run for seconds, once: shows that it works, not how fast.") var quick = false
        @Option(help: ArgumentHelp("How long one measurement lasts.", valueName: "n")) var seconds: Int?
        @Option(help: ArgumentHelp("Sites of the largest fleet.", valueName: "n")) var sites: Int?
        @Option(help: ArgumentHelp("Devices that send heartbeats.", valueName: "n")) var devices: Int?
        @Option(help: ArgumentHelp("Undelivered events that wait in a backlog.", valueName: "n")) var backlog: Int?
        @Option(help: ArgumentHelp("Connections of the load and of the reference.", valueName: "n"))
        var connections = 256
        @Option(help: ArgumentHelp("Where ledgers are put (default: a temporary directory).", valueName: "dir"))
        var directory: String?

        func validate() throws {
            if let seconds, seconds < 1 { throw ValidationError("--seconds must be at least 1") }
            if !(1...1_000).contains(connections) { throw ValidationError("--connections must be 1 to 1000") }
            if let devices, devices < 1_000 { throw ValidationError("--devices must be at least 1000") }
            if let backlog, backlog < 1_000 { throw ValidationError("--backlog must be at least 1000") }
            if let sites, sites < 1_000 { throw ValidationError("--sites must be at least 1000") }
        }

        /// One benchmark of those that are to be run.
        typealias Benchmark = @Sendable (BenchContext, inout BenchReport) async throws -> Void

        func run(_ benchmarks: [Benchmark]) async throws {
            // Receivers that never answer keep a thousand connections open.
            FileLimit.raise(Logger(label: "bench"))
            let settings = BenchSettings(
                isQuick: quick,
                seconds: seconds,
                sites: sites,
                devices: devices,
                backlog: backlog,
                connections: connections,
                directory: directory
            )
            let report = try await Interruptible.run { try await Self.report(settings, benchmarks) }
            guard let report else { throw ProgramError.failed("interrupted") }
            if json {
                Console.print(report.json)
                report.problems.forEach { Console.note("VOID: \($0)") }
            } else {
                Console.print(report.text)
            }
            if report.isVoid { throw ProgramError.failed("the run is void") }
        }

        private static func report(_ settings: BenchSettings, _ benchmarks: [Benchmark]) async throws -> BenchReport {
            let context = try BenchContext(settings: settings) { Console.note($0) }
            do {
                var report = BenchReport(machine: try context.machine())
                for benchmark in benchmarks { try await benchmark(context, &report) }
                await context.close()
                return report
            } catch {
                await context.close()
                throw error
            }
        }
    }

    struct Ingest: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P2: durable reports a second, held against a bare Hummingbird."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([IngestBench.run]) }
    }

    struct Deliver: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P3, P4: signed deliveries a second over 200 endpoints; commit to first byte."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([DeliverBench.run]) }
    }

    struct Spike: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P1: how many sites may change at once, all delivered within 5 s."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([SpikeBench.run]) }
    }

    struct Timers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P8: how late 100,000 durable exit delays end that all end within one second."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([TimerBench.run]) }
    }

    struct Scale: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P6: what a change costs with a million sites, held against a thousand."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([ScaleBench.run]) }
    }

    struct Devices: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P7: memory and CPU with a million devices that beat once a minute; what a kill -9 forgets."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([DeviceBench.run]) }
    }

    struct Neighbours: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "What healthy tenants notice of black holes, slow lorises and a backlog; P5: alarms under full load."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([NeighbourBench.run]) }
    }

    struct Alarms: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P5 alone: alarms, commit to first byte, while everything else saturates the machine."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([AlarmBench.run]) }
    }

    struct Backlog: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "P9: ten million undelivered events: restart to first delivery, and what healthy endpoints notice."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([BacklogBench.run]) }
    }

    struct Idle: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "P10: CPU and store queries of a server to which nothing happens."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([IdleBench.run]) }
    }

    struct Peers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The same webhooks by what one would build instead: Celery on Redis, awa on PostgreSQL.",
            discussion:
                "Installs the peers' Python packages in a directory of its own; needs redis-server and postgresql."
        )
        @OptionGroup var options: Options
        func run() async throws { try await options.run([PeersBench.run]) }
    }

    struct Soak: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Mixed traffic, failing receivers and kill -9 at random: nothing lost, no memory grown.",
            discussion: "Prints its seed. Stops by itself some minutes after its time: retries have to end."
        )
        @OptionGroup var options: Options
        @Option(help: ArgumentHelp("How long the traffic lasts; --seconds for less.", valueName: "n")) var minutes = 30
        @Option(help: ArgumentHelp("How often the server is killed (default: 20 in half an hour).", valueName: "n"))
        var kills: Int?
        @Option(help: ArgumentHelp("Repeats the choices of an earlier soak.", valueName: "n")) var seed: UInt64?

        func validate() throws {
            guard (1...1_440).contains(minutes) else { throw ValidationError("--minutes must be 1 to 1440") }
            if let kills, !(0...1_000).contains(kills) { throw ValidationError("--kills must be 0 to 1000") }
        }

        func run() async throws {
            let soak = SoakBench(
                minutes: minutes,
                seconds: options.seconds ?? (options.quick ? 20 : nil),
                kills: kills ?? (options.quick ? 2 : nil),
                seed: seed ?? SystemRandomness().next()
            )
            try await options.run([{ try await soak.run($0, &$1) }])
        }
    }

    struct All: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All of them, one after the other.")
        @OptionGroup var options: Options
        func run() async throws {
            try await options.run([IngestBench.run, DeliverBench.run, SpikeBench.run, TimerBench.run, ScaleBench.run])
        }
    }

    /// The reference of `ingest`, in a process of its own.
    struct Hello: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the bare Hummingbird server that ingestion is held against.",
            shouldDisplay: false
        )
        @Option var port: Int
        func run() async throws { try await HelloServer.run(port: port) }
    }
}
