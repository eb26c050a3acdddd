import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// What packages of others say about the server.
    @Suite(.enabled(if: Python.mustRun, Python.comment))
    struct PublicPackages {
        @Test(.timeLimit(.minutes(5)))
        func `standardwebhooks, svix and PyNaCl verify real deliveries and refuse forged ones`() async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.one(hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let path = "/v1/endpoints/\(try installation.endpointID(of: receiver.url()))"
                    let admin = server.api(installation.adminToken)
                    let endpoint = try await admin.expect(200, .PATCH, path, ["signature": "v1a"])
                    let partner = server.api(try await installation.partnerToken(server))
                    let site = try installation.siteID(Fleet.site)
                    let door: JSONObject = ["zones": [["number": 5, "name": "Tür – \"hinten\" 🚪"]]]
                    let reports = [
                        Report(state: "arm_failure", timestamp: Time.ago(seconds: 9), more: door),
                        Report(state: "armed_away", timestamp: Time.ago(seconds: 8)),
                        Report(state: "disarmed", timestamp: Time.ago(seconds: 7)),
                    ]
                    for report in reports { try await partner.report(site, report) }
                    let arrivals = try await receiver.arrivals.wait(for: "5 deliveries") { $0.count >= 5 ? $0 : nil }

                    let file = installation.directory.appendingPathComponent("deliveries.json")
                    let recorded: JSON = [
                        "secret": .string(try installation.secret(of: receiver.url())),
                        "public_key": try #require(endpoint["public_keys"]?.array?.first?.object?["public_key"]),
                        "deliveries": .array(arrivals.map(\.recorded)),
                    ]
                    try Data(recorded.bytes).write(to: file)
                    let outcome = try await Python.run("verify_deliveries.py", [file.path])
                    #expect(outcome.status == 0, "\(outcome)")
                    #expect(outcome.output == "verified \(arrivals.count)\n", "\(outcome)")
                }
            }
        }

        @Test(.timeLimit(.minutes(8)), arguments: ["admin", "partner"])
        func `schemathesis finds no 5xx and nothing undocumented`(caller: String) async throws {
            var random = SeededGenerator(for: "schemathesis as \(caller)")
            let seed = UInt32.random(in: 1...UInt32.max, using: &random)
            // Several sites, because some are deleted on the way.
            let sites = (1...6).map { Fleet.site(named: "Site \($0)", partitions: 2) }
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.of(sites: sites, hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let partner = try await installation.partnerToken(server)
                    let ids = try await populate(installation, server.api(partner), receiver)
                    let token = caller == "admin" ? installation.adminToken : partner
                    let arguments = [server.url, token, "\(seed)", ids.path]
                    let outcome = try await Python.run("fuzz_api.py", arguments, within: .seconds(420))
                    #expect(outcome.status == 0, "\(outcome.output.suffix(12_000))\n\(outcome.errors.suffix(2000))")
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        /// Has something happen at every site; gives the file that names all that exists.
        private func populate(_ installation: Installation, _ partner: API, _ receiver: Receiver) async throws -> URL {
            var happened: [JSON] = []
            for site in installation.made["sites"]?.array ?? [] {
                let report = Report(state: "armed_away", partition: 1, timestamp: Time.ago(seconds: 2))
                let reply = try await partner.report(site["site_id"]?.string ?? "", report)
                happened += (reply["event_ids"]?.array ?? []).map { ["event_id": $0] }
            }
            let count = happened.count
            let arrivals = try await receiver.arrivals.wait(for: "\(count) deliveries") { $0.count >= count ? $0 : nil }
            happened += arrivals.map { ["delivery_id": JSON($0.header("X-CHeKT-Delivery-Id"))] }
            let file = installation.directory.appendingPathComponent("ids.json")
            try Data(JSON.array([installation.made] + happened).bytes).write(to: file)
            return file
        }
    }
}

extension Arrival {
    /// The delivery as the Python script reads it.
    var recorded: JSON {
        var all = JSONObject()
        for header in headers { all[header.name] = .string(header.value) }
        return ["headers": .object(all), "body": .string(text)]
    }
}

/// The interpreter that has the packages of `Tests/requirements.txt`.
enum Python {
    static let comment: Comment = "needs .venv: `./tocsin test` makes it from Tests/requirements.txt"

    private static let interpreter: URL = {
        let chosen = ProcessInfo.processInfo.environment["TOCSIN_PYTHON"]
        return chosen.map { URL(fileURLWithPath: $0) } ?? Program.repository.appendingPathComponent(".venv/bin/python")
    }()

    /// In CI a missing interpreter is a failure, not a reason to skip.
    static let mustRun: Bool = {
        let isCI = ProcessInfo.processInfo.environment["CI"].map { !["", "false", "0"].contains($0) } ?? false
        return isCI || FileManager.default.isExecutableFile(atPath: interpreter.path)
    }()

    static func run(
        _ script: String,
        _ arguments: [String],
        within limit: Duration = .seconds(60)
    ) async throws -> Outcome {
        try await start(script, arguments).outcome(within: limit)
    }

    static func start(_ script: String, _ arguments: [String] = []) throws -> Command {
        try start(path: Program.repository.appendingPathComponent("Tests/python/\(script)").path, arguments)
    }

    /// The interpreter's own path.
    static var path: String { interpreter.path }

    static func start(
        path: String,
        _ arguments: [String],
        environment: [String: String] = [:]
    ) throws -> Command {
        try Command(interpreter, [path] + arguments, environment: environment)
    }
}
