import Foundation
import Synchronization
import Testing
import TocsinJSON

/// A data directory with its fleet, its admin token, and every server that was started on it.
final class Installation: Sendable {
    let directory: URL
    /// What `apply` printed: ids and secrets.
    let made: JSON
    let adminToken: String
    private let servers = Mutex<[Server]>([])

    var data: URL { directory.appendingPathComponent("data") }

    private init(directory: URL, made: JSON, adminToken: String) {
        self.directory = directory
        self.made = made
        self.adminToken = adminToken
    }

    /// Makes a data directory from the fleet, runs the body, stops what it left running, and takes the directory away.
    ///
    /// What the servers wrote to standard error is shown where the body fails.
    static func with<Result>(
        _ fleet: JSON,
        _ body: (Installation) async throws -> Result
    ) async throws -> Result {
        try await withTemporaryDirectory { directory in
            let file = directory.appendingPathComponent("fleet.json")
            try Data(fleet.bytes).write(to: file)
            let data = directory.appendingPathComponent("data").path
            let applied = try await Program.run("apply", "-f", file.path, "--data", data, "--allow-private-endpoints")
            guard applied.status == 0 else { throw CommandFailed(command: "apply", outcome: applied) }
            let token = try await Program.run("admin", "token", "create", "--name", "e2e", "--data", data)
            guard token.status == 0 else { throw CommandFailed(command: "admin token create", outcome: token) }
            let installation = Installation(
                directory: directory,
                made: try JSONParser.parse(applied.output),
                adminToken: token.output.trimmingCharacters(in: .whitespacesAndNewlines)
            )
            do {
                let result = try await body(installation)
                await installation.killAll()
                return result
            } catch {
                await installation.killAll()
                installation.showErrors(because: error)
                throw error
            }
        }
    }

    /// Starts a server on the directory; it is killed at the latest when the installation goes.
    func start(_ more: [String] = [], environment: [String: String] = [:]) async throws -> Server {
        let server = try await Server.start(data: data, more, environment: environment)
        adopt(server)
        return server
    }

    /// Has a server that was started otherwise killed with the installation.
    func adopt(_ server: Server) { servers.withLock { $0.append(server) } }

    private func killAll() async {
        for server in servers.withLock({ $0 }) { try? await server.crash() }
    }

    private func showErrors(because error: any Error) {
        for server in servers.withLock({ $0 }) {
            let text = server.command.errors.current.text
            Issue.record("\(error)\nthe server's last words:\n\(text.suffix(6000))")
        }
    }

    /// Has `admin verify` find the ledger clean.
    func expectCleanLedger(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let verified = try await Program.run("admin", "verify", "--data", data.path)
        #expect(verified.status == 0, "\(verified)", sourceLocation: sourceLocation)
    }

    // MARK: what apply printed

    func site(_ name: String) throws -> JSON { try item("sites", name) }
    func siteID(_ name: String) throws -> String { try #require(try site(name)["site_id"]?.string) }
    func dealerID(_ name: String = Fleet.dealer) throws -> String {
        try #require(try item("dealers", name)["dealer_id"]?.string)
    }

    func partitionID(_ site: String, _ number: Int = 1) throws -> String {
        let partitions = try #require(try self.site(site)["partitions"]?.array)
        let partition = try #require(partitions.first { $0["number"]?.integer == Int64(number) })
        return try #require(partition["partition_id"]?.string)
    }

    /// The signing secret of the app's endpoint with that address.
    func secret(of url: String, app: String = Fleet.app) throws -> String {
        try #require(try endpoint(url, app)["secret"]?.string)
    }

    func endpointID(of url: String, app: String = Fleet.app) throws -> String {
        try #require(try endpoint(url, app)["endpoint_id"]?.string)
    }

    private func endpoint(_ url: String, _ app: String) throws -> JSON {
        let endpoints = try #require(try item("apps", app)["endpoints"]?.array)
        return try #require(endpoints.first { $0["url"]?.string == url })
    }

    func apiKey(_ app: String = Fleet.app) throws -> String {
        try #require(try item("apps", app)["api_key"]?.string)
    }

    /// A fresh access token of the partner.
    func partnerToken(_ server: Server, _ name: String = Fleet.partner) async throws -> String {
        let partner = try item("partners", name)
        return try await server.api()
            .partnerToken(
                id: try #require(partner["client_id"]?.string),
                secret: try #require(partner["client_secret"]?.string)
            )
    }

    func item(_ list: String, _ name: String) throws -> JSON {
        let items = try #require(made[list]?.array, "apply printed no \(list): \(made.text)")
        return try #require(items.first { $0["name"]?.string == name }, "no \(name) in \(list): \(made.text)")
    }
}

/// Runs the body with a directory of its own and takes it away afterwards.
func withTemporaryDirectory<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tocsin-e2e-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory)
}
