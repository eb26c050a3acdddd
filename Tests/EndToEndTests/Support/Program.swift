import Foundation
import Synchronization

/// The built program, found beside the running tests.
enum Program {
    /// Where the program is: `TOCSIN_BINARY`, or the build directory of the running test bundle.
    static var executable: URL {
        let environment = ProcessInfo.processInfo.environment
        if let chosen = environment["TOCSIN_BINARY"] { return URL(fileURLWithPath: chosen) }
        let running = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let here = running.deletingLastPathComponent().appendingPathComponent("tocsin")
        if FileManager.default.isExecutableFile(atPath: here.path) { return here }
        return URL(fileURLWithPath: CommandLine.arguments[0])
            .deletingLastPathComponent().appendingPathComponent("tocsin")
    }

    /// The root of the repository, from where this file was compiled.
    static var repository: URL {
        URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// Runs the program to its end.
    @discardableResult
    static func run(_ arguments: String..., environment: [String: String] = [:]) async throws -> Outcome {
        try await run(arguments, environment: environment)
    }

    static func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> Outcome {
        try await Command(executable, arguments, environment: environment).outcome()
    }
}

/// What a command left behind.
struct Outcome: Sendable, CustomStringConvertible {
    var status: Int32
    var output: String
    var errors: String
    var description: String { "exit \(status)\nstdout: \(output)\nstderr: \(errors)" }
}

/// A command did not end as the test needs it to.
struct CommandFailed: Error, CustomStringConvertible {
    var command: String
    var outcome: Outcome
    var description: String { "\(command): \(outcome)" }
}

/// A started process whose output is collected as it comes.
final class Command: Sendable {
    /// What the process has written to one stream so far.
    struct Output: Sendable {
        var bytes: [UInt8] = []
        var isOver = false
        var text: String { String(decoding: bytes, as: UTF8.self) }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
    }

    let output = Watched(Output())
    let errors = Watched(Output())
    private let status = Watched<Int32?>(nil)
    let pid: Int32
    private let title: String
    /// Kept so that Foundation goes on watching it.
    private let process: Process

    init(
        _ executable: URL,
        _ arguments: [String],
        environment: [String: String] = [:],
        directory: URL? = nil
    ) throws {
        title = ([executable.lastPathComponent] + arguments).joined(separator: " ")
        process = Process()
        process.executableURL = executable
        process.arguments = arguments
        if let directory { process.currentDirectoryURL = directory }
        // Settings of whoever runs the tests must not reach the program under test.
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("TOCSIN_") }
            .merging(environment) { _, new in new }
        let pipes = (Pipe(), Pipe())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipes.0
        process.standardError = pipes.1
        Self.collect(pipes.0, into: output)
        Self.collect(pipes.1, into: errors)
        process.terminationHandler = { [status] ended in
            let code = ended.terminationStatus
            let isSignal = ended.terminationReason == .uncaughtSignal
            status.update { $0 = isSignal ? 128 + code : code }
        }
        try process.run()
        pid = process.processIdentifier
    }

    /// Reads to the end on a thread of its own, so that a waiting read holds up nothing else.
    private static func collect(_ pipe: Pipe, into output: Watched<Output>) {
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread {
            while !output.current.isOver {
                let data = handle.availableData
                output.update {
                    $0.bytes.append(contentsOf: data)
                    $0.isOver = data.isEmpty
                }
            }
        }
    }

    /// Waits for the end of the process and of its output; a signal counts as 128 + its number, as in a shell.
    func outcome(within limit: Duration = .seconds(120)) async throws -> Outcome {
        let status = try await exitStatus(within: limit)
        let output = try await self.output.wait(for: "the output of \(title)") { $0.isOver ? $0.text : nil }
        let errors = try await self.errors.wait(for: "the errors of \(title)") { $0.isOver ? $0.text : nil }
        return Outcome(status: status, output: output, errors: errors)
    }

    func exitStatus(within limit: Duration) async throws -> Int32 {
        do {
            return try await status.wait(for: "the end of \(title)", within: limit) { $0 }
        } catch {
            signal(SIGKILL)
            throw error
        }
    }

    /// Waits for the first line of standard output that begins so, and gives the rest of it; fails if the process ends first.
    func line(after prefix: String, within limit: Duration = .seconds(30)) async throws -> String {
        let line = try await output.wait(
            for: "“\(prefix)…” from \(title); stderr: \(errors.current.text)",
            within: limit
        ) {
            output -> String?? in
            if let line = output.lines.first(where: { $0.hasPrefix(prefix) }) {
                return .some(String(line.dropFirst(prefix.count)))
            }
            return output.isOver ? .some(nil) : nil
        }
        if let line { return line }
        throw CommandFailed(command: title, outcome: try await outcome())
    }

    func signal(_ number: Int32) {
        if status.current == nil { kill(pid, number) }
    }
}
