import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TocsinCore
import TocsinJSON

/// P7: what a server takes that a million devices send heartbeats to, and what a `kill -9` makes it forget.
package enum DeviceBench {
    /// A minute, and a little less: at exactly sixty seconds a device would be as silent as one that is gone (decisions §7).
    private static let periodSeconds = 55
    private static let quickPeriodSeconds = 3
    private static let dealers = 10
    private static let connections = 8
    /// Longer than the grace after a start, so that a device that is taken for silent would be told.
    private static let secondsAfterRestart = 80
    /// What a crash may forget (decisions §7).
    private static let lossMax: Duration = .seconds(10)
    private static let residentMax = 3_072

    package static func run(_ context: BenchContext, _ report: inout BenchReport) async throws {
        let settings = context.settings
        let count = settings.devices ?? (settings.isQuick ? 5_000 : 1_000_000)
        let data = try context.workspace.directory("devices")
        defer { context.workspace.remove(data) }
        context.progress("making \(Figures.grouped(count)) sites with a device and two zones each")
        let shape = BenchFleet.Shape(dealers: dealers, endpointsPerDealer: 0, sites: count, events: [])
        let fleet = try await BenchFleet.make(
            shape,
            at: data,
            receiver: nil,
            workspace: context.workspace,
            clock: context.clock
        )
        let devices = try await DeviceFleet.fill(fleet, clock: context.clock).devices
        let measured = try await DeviceRun(
            context: context,
            fleet: fleet,
            devices: devices,
            connections: connections,
            period: settings.isQuick ? quickPeriodSeconds : periodSeconds,
            seconds: settings.seconds(180, quick: 8),
            secondsAfterRestart: settings.isQuick ? 3 : secondsAfterRestart,
            lossMax: lossMax
        ).play()
        report.problems += measured.problems.map { "P7: \($0)" }
        report.results.append(
            BenchResult(
                id: "P7",
                title: "resident with \(Figures.grouped(count)) sites, devices, 2× zones",
                unit: "MiB",
                runs: Runs([Double(measured.resident)], higherIsBetter: false),
                target: "≤ \(Figures.grouped(residentMax))",
                isReached: measured.resident <= residentMax,
                notes: measured.notes
            )
        )
        report.results.append(
            BenchResult(
                id: "P7C",
                title: "CPU while every device beats once a minute",
                unit: "% of a core",
                runs: Runs([measured.cpuPercent], higherIsBetter: false),
                isReached: true,
                notes: []
            )
        )
    }
}

/// One run of P7: heartbeats, `kill -9`, restart, heartbeats.
struct DeviceRun: Sendable {
    let context: BenchContext
    let fleet: BenchFleet
    let devices: [DeviceID]
    let connections: Int
    let period: Int
    let seconds: Int
    let secondsAfterRestart: Int
    let lossMax: Duration

    struct Outcome: Sendable {
        var resident = 0
        var cpuPercent = 0.0
        var notes: [String] = []
        var problems: [String] = []
    }

    /// Devices of a batch that are looked up after the restart.
    private static let samplesPerBatch = 20
    /// After the restart everybody must be heard within the grace, of which the check has taken a part.
    private static let hastyPeriod = 30
    /// As many ids as one request takes.
    private static let idsPerRequest = 100

    func play() async throws -> Outcome {
        var outcome = Outcome()
        var server = try await start("first start", &outcome)
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        let source = HeartbeatSource(devices: devices, token: token, connections: connections)
        do {
            try await beat(source, server, seconds: period, period: period)
            let before = try ProcessUsage(processID: server.processID)
            try await beat(source, server, seconds: seconds, period: period)
            let after = try ProcessUsage(processID: server.processID)
            outcome.cpuPercent = (after.cpuSeconds - before.cpuSeconds) / Double(seconds) * 100
            outcome.resident = Int(after.residentBytes / 1_048_576)
            let latencies = Percentiles(source.latencies)
            note(
                "\(Figures.grouped(latencies.count)) batches of \(HeartbeatSource.devicesPerBatch) in \(seconds) s, each device "
                    + "every \(period) s; p50 \(Figures.milliseconds(latencies.at(50))), "
                    + "p99 \(Figures.milliseconds(latencies.at(99))); \(outcome.resident) MiB resident; "
                    + "\(Figures.decimal(outcome.cpuPercent, places: 1)) % of a core",
                &outcome
            )
            let killedAt = Stopwatch.now
            server.child.killNow()
            _ = await server.child.wait()

            server = try await start("start after kill -9", port: server.port, &outcome)
            try await check(source, killedAt: killedAt, server, token, &outcome)
            try await beat(source, server, seconds: secondsAfterRestart, period: min(period, Self.hastyPeriod))
            try await checkSilence(&outcome)
            outcome.resident = max(outcome.resident, try resident(server))
            outcome.problems += source.problems.prefix(3)
            try await server.stop()
            return outcome
        } catch {
            server.child.killNow()
            throw error
        }
    }

    private func note(_ text: String, _ outcome: inout Outcome) {
        outcome.notes.append(text)
        context.progress(text)
    }

    private func resident(_ server: ServerProcess) throws -> Int {
        Int(try ProcessUsage(processID: server.processID).residentBytes / 1_048_576)
    }

    private func beat(
        _ source: HeartbeatSource,
        _ server: ServerProcess,
        seconds: Int,
        period: Int
    ) async throws {
        source.begin(seconds: seconds, period: period)
        try await LoadClient.run(source, port: server.port, connections: source.connections, on: context.loadGroup)
    }

    /// Starts the server and waits until it has read every device; requests are taken all the while.
    ///
    /// A token names the server's address: it is good after a restart on the same port only.
    private func start(_ name: String, port: Int? = nil, _ outcome: inout Outcome) async throws -> ServerProcess {
        let began = Stopwatch.now
        let server = try await ServerProcess.start(data: fleet.data, workspace: context.workspace, port: port)
        let ready = Stopwatch.now
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        while try await get("/v1/devices?limit=1", server, token) == nil {
            try await Task.sleep(for: .milliseconds(20))
        }
        let loaded = Stopwatch.now
        note(
            "\(name): ready after \(Figures.milliseconds(ready - began)), every device read after "
                + "\(Figures.milliseconds(loaded - began)), \(try resident(server)) MiB",
            &outcome
        )
        return server
    }

    /// The reply; none while the server still reads its devices.
    private func get(_ path: String, _ server: ServerProcess, _ token: String) async throws -> JSON? {
        var request = HTTPClientRequest(url: server.url + path)
        request.headers.add(name: "authorization", value: "Bearer \(token)")
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let body = try await reply.body.collect(upTo: 1 << 20)
        if reply.status == .serviceUnavailable { return nil }
        guard reply.status == .ok else { throw LabError("\(path): \(reply.status.code) \(String(buffer: body))") }
        return try JSONParser.parse(Array(body.readableBytesView))
    }

    /// Holds what was acknowledged before the crash against what is known after it.
    private func check(
        _ source: HeartbeatSource,
        killedAt: UInt64,
        _ server: ServerProcess,
        _ token: String,
        _ outcome: inout Outcome
    ) async throws {
        let acknowledged = source.acknowledged
        var batches: [String: Int] = [:]
        for batch in 0..<source.batches {
            for device in source.devices(of: batch).shuffled().prefix(Self.samplesPerBatch) {
                batches[device.text] = batch
            }
        }
        let ids = Array(batches.keys)
        var worst: UInt64 = 0
        for start in stride(from: 0, to: ids.count, by: Self.idsPerRequest) {
            let part = ids[start..<min(start + Self.idsPerRequest, ids.count)]
            let path = "/v1/devices?limit=\(Self.idsPerRequest)&ids=\(part.joined(separator: ","))"
            let known = try await get(path, server, token)?["data"]?.array ?? []
            if known.count != part.count { outcome.problems.append("\(part.count - known.count) devices are gone") }
            for device in known {
                guard let batch = device["device_id"]?.string.flatMap({ batches[$0] }) else { continue }
                let seen = try device["last_seen_at"]?.string.map { try Instant(rfc3339: $0) }
                for sentAt in acknowledged[batch] {
                    // Replies tell whole seconds.
                    let told = context.stopwatch.instant(sentAt).secondsSinceEpoch
                    if let seen, seen.secondsSinceEpoch >= told { continue }
                    worst = max(worst, killedAt - min(sentAt, killedAt))
                }
            }
        }
        note(
            "kill -9: the oldest sighting that \(Figures.grouped(ids.count)) sampled devices lost was "
                + "\(Figures.milliseconds(worst)) old",
            &outcome
        )
        if worst > UInt64(lossMax.milliseconds) * 1_000_000 {
            outcome.problems.append("a sighting was lost that was older than \(lossMax.milliseconds / 1000) s")
        }
    }

    /// Every device went on beating: none may have been told as silent.
    private func checkSilence(_ outcome: inout Outcome) async throws {
        var log = LossCheck(fleet)
        let told = try await log.newEntries().count { $0.type == .deviceOffline || $0.type == .deviceOnline }
        note("events of devices that beat all the time: \(told)", &outcome)
        if told > 0 { outcome.problems.append("\(told) events of devices that beat all the time") }
    }
}
