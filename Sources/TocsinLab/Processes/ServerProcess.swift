import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import TocsinJSON

/// The real server: this program's `serve` in a process of its own, over a data directory.
package struct ServerProcess: Sendable {
    package let port: Int
    package let child: ChildProcess
    package let logPath: String

    package var url: String { "http://127.0.0.1:\(port)" }
    package var processID: Int32 { child.processID }

    /// How long a server may take until it answers: it may have to check a large ledger first.
    private static let startSecondsMax = 120
    /// A stop finishes what is under way and records it (decisions: exit within 10 s); after twice that it hangs.
    private static let stopSecondsMax = 20

    /// Starts a server and returns when it is ready.
    package static func start(
        data: String,
        workspace: Workspace,
        port: Int? = nil,
        arguments: [String] = [],
        environment: [String: String] = [:]
    ) async throws -> ServerProcess {
        let log = try workspace.scratchFile("server.log")
        let port = if let port { port } else { try await freePort() }
        let child = try ChildProcess(
            path: try Program.path,
            arguments: ["serve", "--listen", "127.0.0.1:\(port)", "--allow-private-endpoints", "--log-level", "error"]
                + LedgerFile.arguments(data: data) + arguments,
            output: log.handle,
            errors: log.handle,
            environment: environment
        )
        let server = ServerProcess(port: port, child: child, logPath: log.path)
        do {
            try await becomeReachable(url: server.url + "/health/ready", child)
        } catch {
            child.killNow()
            throw LabError("\(error)\n\(server.logTail)")
        }
        return server
    }

    /// Returns when the URL answers 200; throws if the process behind it ends first.
    static func becomeReachable(url: String, _ child: ChildProcess) async throws {
        for _ in 0..<(startSecondsMax * 20) {
            if let status = child.exitStatus { throw LabError("the server ended with \(status) instead of starting") }
            let reply = try? await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(5))
            if let reply {
                _ = try? await reply.body.collect(upTo: 64 * 1024)
                if reply.status == .ok { return }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw LabError("the server was not ready within \(startSecondsMax) s")
    }

    private var logTail: String { String(((try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "").suffix(3000)) }

    /// Stops the server as an operator would.
    ///
    /// - Throws: When it does not end by itself, or with another status than 0.
    package func stop() async throws {
        child.terminate()
        let watchdog = Task {
            try await Task.sleep(for: .seconds(Self.stopSecondsMax))
            child.killNow()
        }
        let status = await child.wait()
        watchdog.cancel()
        guard status == 0 else {
            throw LabError("the server ended with \(status) when it was told to stop:\n\(logTail)")
        }
    }

    /// A partner's access token, got as a partner gets one.
    package func token(clientID: String, clientSecret: String) async throws -> String {
        var request = HTTPClientRequest(url: url + "/oauth/token")
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        request.headers.add(
            name: "authorization",
            value: "Basic " + Data("\(clientID):\(clientSecret)".utf8).base64EncodedString()
        )
        request.body = .bytes(ByteBuffer(string: "grant_type=client_credentials"))
        let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        let body = try await reply.body.collect(upTo: 64 * 1024)
        guard reply.status == .ok,
            let token = try JSONParser.parse(Array(body.readableBytesView))["access_token"]?.string
        else { throw LabError("no token was granted (\(reply.status.code)): \(String(buffer: body))") }
        return token
    }

    /// A port that nobody listens on just now.
    static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port
        try await channel.close().get()
        guard let port else { throw LabError("no port is free") }
        return port
    }
}

/// Where a lab's data directory keeps its ledger: named, so that the lab can open it when the server is gone.
package enum LedgerFile {
    package static func path(data: String) -> String { data + "/ledger.sqlite" }

    /// The options that make the program use it.
    package static func arguments(data: String) -> [String] {
        ["--data", data, "--database", "sqlite:" + path(data: data)]
    }
}
