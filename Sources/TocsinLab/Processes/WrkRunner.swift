import Foundation

/// Runs `wrk`, the load generator that references are measured with.
package enum WrkRunner {
    package static let isMissing = """
        wrk is not installed (Debian: apt-get install wrk); the reference is measured with the built-in client instead
        """

    /// Requests a second that `wrk` gets from a URL; nothing if it is not installed.
    ///
    /// - Parameters:
    ///   - url: What is requested.
    ///   - connections: Kept alive, all from one thread.
    ///   - seconds: How long.
    ///   - script: A Lua script for other requests than a plain GET.
    ///   - workspace: Where the script is put.
    /// - Returns: Requests a second, all answered 2xx.
    /// - Throws: When `wrk` fails or got other replies.
    package static func requestsPerSecond(
        _ url: String,
        connections: Int,
        seconds: Int,
        script: String? = nil,
        in workspace: Workspace
    ) async throws -> Double? {
        guard let wrk = Program.find("wrk") else { return nil }
        var arguments = ["-t1", "-c\(connections)", "-d\(seconds)s"]
        if let script {
            let path = workspace.path + "/wrk.lua"
            try script.write(toFile: path, atomically: true, encoding: .utf8)
            arguments += ["-s", path]
        }
        let output = String(decoding: try await Program.run(wrk, arguments + [url], in: workspace), as: UTF8.self)
        let line = output.split(separator: "\n").first { $0.hasPrefix("Requests/sec:") }
        guard let figure = line?.split(separator: " ").last, let rate = Double(figure) else {
            throw LabError("wrk said nothing of requests per second: \(output)")
        }
        guard !output.contains("Non-2xx") else { throw LabError("wrk got other replies than 2xx: \(output)") }
        return rate
    }

    /// A script that posts a body of the size of a usual webhook's, with as many headers.
    package static func postScript(body: String, headers: [(name: String, value: String)]) -> String {
        let lines = headers.map { "wrk.headers[\"\($0.name)\"] = \"\($0.value)\"" }.joined(separator: "\n")
        return "wrk.method = \"POST\"\nwrk.body = [[\(body)]]\n\(lines)\n"
    }
}
