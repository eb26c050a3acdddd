import Foundation

/// A running `tocsin serve`.
struct Server: Sendable {
    let command: Command
    let url: String

    static let readyPrefix = "listening on "

    /// Starts it on a free port and waits until it says that it listens.
    static func start(data: URL, _ more: [String] = [], environment: [String: String] = [:]) async throws -> Server {
        try await start(
            Command(Program.executable, arguments(data: data) + more, environment: environment)
        )
    }

    /// Waits for the ready line of a command that runs the server.
    static func start(_ command: Command) async throws -> Server {
        do {
            return Server(command: command, url: try await command.line(after: readyPrefix))
        } catch {
            command.signal(SIGKILL)
            throw error
        }
    }

    static func arguments(data: URL) -> [String] {
        ["serve", "--data", data.path, "--listen", "127.0.0.1:0", "--allow-private-endpoints"]
    }

    func api(_ token: String? = nil) -> API { API(base: url, token: token) }

    /// Pulls the plug, and returns when the process is gone.
    func crash() async throws {
        command.signal(SIGKILL)
        _ = try await command.exitStatus(within: .seconds(10))
    }

    /// Asks it to stop, and gives its exit status; more than the promised 10 s is an error.
    func stop() async throws -> Int32 {
        command.signal(SIGTERM)
        return try await command.exitStatus(within: .seconds(10))
    }
}
