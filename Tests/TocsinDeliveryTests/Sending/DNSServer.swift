import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing
import TocsinEngine

@testable import TocsinDelivery

/// A real DNS server, in Python (`dnslib`), that answers from a script; see Tests/python/dns_server.py.
final class DNSServer: Sendable {
    static let comment: Comment = "needs .venv: `./tocsin test` makes it from Tests/requirements.txt"

    private static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().appending(path: "../../..").standardizedFileURL

    private static let interpreter: URL = {
        let chosen = ProcessInfo.processInfo.environment["TOCSIN_PYTHON"]
        return chosen.map { URL(filePath: $0) } ?? repository.appending(path: ".venv/bin/python")
    }()

    /// In CI a missing interpreter is a failure, not a reason to skip.
    static let mustRun: Bool = {
        let isCI = ProcessInfo.processInfo.environment["CI"].map { !["", "false", "0"].contains($0) } ?? false
        return isCI || FileManager.default.isExecutableFile(atPath: interpreter.path)
    }()

    private struct Output {
        var text = ""
        var port: Int?
    }

    private let process = Process()
    private let input = Pipe()
    private let output = NIOLockedValueBox(Output())
    let port: Int

    /// Takes for each name what its first question is answered with, its second, …; the last stays.
    init(_ script: [String: [[String]]]) async throws {
        let pipe = Pipe()
        process.executableURL = Self.interpreter
        process.arguments = [Self.repository.appending(path: "Tests/python/dns_server.py").path]
        process.standardInput = input
        process.standardOutput = pipe
        let listening = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Int.self)
        pipe.fileHandleForReading.readabilityHandler = { [output] handle in
            let data = handle.availableData
            if data.isEmpty {
                handle.readabilityHandler = nil
                return listening.fail(NeverListened())
            }
            let port: Int? = output.withLockedValue { output in
                output.text += String(decoding: data, as: UTF8.self)
                guard output.port == nil, let line = output.text.split(separator: "\n").first,
                    output.text.contains("\n")
                else { return nil }
                output.port = Int(line.dropFirst("listening ".count))
                return output.port
            }
            if let port { listening.succeed(port) }
        }
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(script) + Data("\n".utf8))
        port = try await listening.futureResult.get()
    }

    private struct NeverListened: Error {}

    /// The questions so far, such as `A name.test`.
    var questions: [String] {
        output.withLockedValue { $0.text.split(separator: "\n").dropFirst().map(String.init) }
    }

    func stop() { try? input.fileHandleForWriting.close() }

    /// Asks for every attempt anew, and loses patience soon.
    func resolver(timeToLive: TimeAmount = .zero) throws -> SystemResolver {
        let loopback = try #require(IPAddress("127.0.0.1"))
        let dns = try DNSLookup(
            server: loopback,
            port: port,
            randomness: SystemRandomness(),
            patience: [.milliseconds(300), .milliseconds(300)]
        )
        return SystemResolver(timeToLive: timeToLive, lookup: { dns.lookup($0) })
    }

    /// Runs a test against a server, and stops it afterwards.
    static func with(
        _ script: [String: [[String]]],
        _ body: (DNSServer) async throws -> Void
    ) async throws {
        let server = try await DNSServer(script)
        defer { server.stop() }
        try await body(server)
    }
}
