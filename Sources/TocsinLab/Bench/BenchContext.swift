import Foundation
import NIOCore
import NIOPosix
import TocsinCore
import TocsinEngine

/// How benchmarks are to be run.
package struct BenchSettings: Sendable {
    /// Seconds instead of minutes, one run: shows that a benchmark works, not how fast anything is.
    package var isQuick: Bool
    /// How long one measurement lasts; each benchmark has its own default.
    package var seconds: Int?
    /// How many sites the largest fleet has; each benchmark has its own default.
    package var sites: Int?
    /// How many devices send heartbeats; the benchmark of devices has its own default.
    package var devices: Int?
    /// How many events wait undelivered where a benchmark has a backlog; each benchmark has its own default.
    package var backlog: Int?
    /// Connections of the load, as the pools of a few partners would hold them; the same for the reference.
    package var connections: Int
    /// Where ledgers are put; on the disk that is to be measured.
    package var directory: String?

    package init(
        isQuick: Bool,
        seconds: Int?,
        sites: Int?,
        devices: Int? = nil,
        backlog: Int? = nil,
        connections: Int,
        directory: String?
    ) {
        self.isQuick = isQuick
        self.seconds = seconds
        self.sites = sites
        self.devices = devices
        self.backlog = backlog
        self.connections = connections
        self.directory = directory
    }

    /// Three runs, so that there is a median.
    var runs: Int { isQuick ? 1 : 3 }

    func seconds(_ usual: Int, quick: Int) -> Int { seconds ?? (isQuick ? quick : usual) }
    func sites(_ usual: Int, quick: Int) -> Int { sites ?? (isQuick ? quick : usual) }
}

/// What all benchmarks of one call share.
package struct BenchContext: Sendable {
    package let settings: BenchSettings
    package let workspace: Workspace
    package let clock: SystemClock
    package let stopwatch: Stopwatch
    /// One event loop each: on few cores the server needs the rest.
    let loadGroup: MultiThreadedEventLoopGroup
    let sinkGroup: MultiThreadedEventLoopGroup
    let progress: @Sendable (String) -> Void

    var connections: Int { settings.connections }

    package init(settings: BenchSettings, progress: @escaping @Sendable (String) -> Void) throws {
        self.settings = settings
        self.progress = progress
        workspace = try Workspace(at: settings.directory, name: "bench")
        clock = SystemClock()
        stopwatch = Stopwatch(clock: clock)
        loadGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        sinkGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    package func close() async {
        workspace.removeIfTemporary()
        try? await loadGroup.shutdownGracefully()
        try? await sinkGroup.shutdownGracefully()
    }

    /// The machine, with the raw fsync rate of the disk just now.
    package func machine() throws -> Machine {
        var machine = Machine()
        machine.fsyncsPerSecond = try FsyncProbe.callsPerSecond(in: workspace.path)
        return machine
    }
}

/// A fleet, its server and the partner's token: what every benchmark measures.
struct BenchRig: Sendable {
    let fleet: BenchFleet
    let server: ServerProcess
    let token: String
    let context: BenchContext
    let states: SiteStates

    /// Runs `body` over a new fleet with a running server, and takes everything away afterwards.
    static func with<T: Sendable>(
        _ shape: BenchFleet.Shape,
        _ context: BenchContext,
        receiver: WebhookSink?,
        _ body: (BenchRig) async throws -> T
    ) async throws -> T {
        let data = try context.workspace.directory("data-\(shape.sites)")
        defer { context.workspace.remove(data) }
        context.progress("making \(Figures.grouped(shape.sites)) sites of \(shape.dealers) dealers")
        let fleet = try await BenchFleet.make(
            shape,
            at: data,
            receiver: receiver,
            workspace: context.workspace,
            clock: context.clock
        )
        return try await serve(fleet, SiteStates(count: fleet.sites.count), context, body)
    }

    /// Runs `body` over a fleet that was made before, with a running server.
    ///
    /// Sites that changed their states under another server of the same fleet need the same `states` again.
    static func serve<T: Sendable>(
        _ fleet: BenchFleet,
        _ states: SiteStates,
        _ context: BenchContext,
        _ body: (BenchRig) async throws -> T
    ) async throws -> T {
        let server = try await ServerProcess.start(data: fleet.data, workspace: context.workspace)
        do {
            let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
            let rig = BenchRig(fleet: fleet, server: server, token: token, context: context, states: states)
            let result = try await body(rig)
            try await server.stop()
            return result
        } catch {
            await server.child.stop(grace: .zero)
            throw error
        }
    }

    /// Sends reports of these sites to the server until the extent is reached.
    func load(
        _ sites: ArraySlice<SiteID>,
        _ extent: ReportSource.Extent,
        ratePerSecond: Double? = nil,
        gate: ReportSource.Gate? = nil
    ) async throws -> ReportSource.Outcome {
        let source = ReportSource(
            sites: sites,
            connections: context.connections,
            extent: extent,
            states: states,
            ratePerSecond: ratePerSecond,
            gate: gate,
            token: token,
            stopwatch: context.stopwatch
        )
        try await LoadClient.run(
            source,
            port: server.port,
            connections: context.connections,
            on: context.loadGroup
        )
        return source.outcome
    }

    /// A monotonic time so many seconds ahead.
    static func end(in seconds: Int) -> UInt64 { Stopwatch.now + UInt64(seconds) * 1_000_000_000 }
}
