import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TocsinJSON

/// The flags of commands that may speak to a running server.
struct RemoteOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A running server, instead of the data directory.", valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("An admin token for that server (or TOCSIN_TOKEN).", valueName: "token"))
    var token: String?

    /// A client for the server that was named; none if the data directory is meant.
    func client(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> APIClient? {
        guard let url else { return nil }
        guard let token = token ?? environment["TOCSIN_TOKEN"] else {
            throw ProgramError.usage("--url needs an admin token: --token or TOCSIN_TOKEN")
        }
        return try APIClient(url: url, credential: token)
    }
}

/// The program's own HTTP client: it follows no redirect, which could carry a credential or an event elsewhere.
enum Web {
    static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}

/// Calls a running server.
struct APIClient: Sendable {
    /// Larger than the export of 100,000 sites.
    private static let replyBytesMaximum = 1 << 30

    private let base: String
    private let credential: String

    init(url: String, credential: String) throws {
        guard let parsed = URL(string: url), parsed.scheme == "http" || parsed.scheme == "https", parsed.host != nil
        else {
            throw ProgramError.usage("--url: “\(url)” is not a URL such as http://127.0.0.1:8080")
        }
        base = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.credential = credential
    }

    /// A request with the credential, to be completed.
    func request(_ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: base + path)
        request.headers.add(name: "Authorization", value: "Bearer \(credential)")
        return request
    }

    /// Sends a request and returns the reply of a success.
    func send(_ path: String, post body: [UInt8]? = nil) async throws -> [UInt8] {
        var request = request(path)
        if let body {
            request.method = .POST
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(body)
        }
        let status: UInt
        let reply: [UInt8]
        do {
            // A large file takes the server a while.
            let response = try await Web.client.execute(request, timeout: .minutes(30))
            status = response.status.code
            reply = Array(buffer: try await response.body.collect(upTo: Self.replyBytesMaximum))
        } catch {
            throw ProgramError.failed("\(base) cannot be reached: \(error)")
        }
        guard (200..<300).contains(status) else { throw Self.refusal(status, reply) }
        return reply
    }

    /// Tells a refusal in the server's words.
    static func refusal(_ status: UInt, _ reply: [UInt8]) -> ProgramError {
        guard let error = (try? JSONParser.parse(reply))?["error"], let message = error["message"]?.string else {
            return .failed("the server answered with status \(status)")
        }
        // What was stored before it broke off has its secrets here and nowhere else.
        if let partial = error["details"]?["result"] { Console.print(partial) }
        let problems = error["details"]?["problems"]?.array ?? []
        let lines = problems.map { problem in
            let path = problem["path"]?.string ?? ""
            let line = "line \(problem["line"]?.integer ?? 1): "
            return line + (path.isEmpty ? "" : "\(path): ") + (problem["message"]?.string ?? "")
        }
        return .failed(([message] + lines).joined(separator: "\n"))
    }
}
