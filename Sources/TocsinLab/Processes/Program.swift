import Foundation
import Synchronization
import TocsinCore

/// Another process of this same program, or one of the machine's tools.
package final class ChildProcess: Sendable {
    private let process: Process
    private let ended: EndSignal

    /// Remembers that the process ended, and wakes who waits for it.
    private final class EndSignal: Sendable {
        private struct State {
            var status: Int32?
            var waiters: [CheckedContinuation<Int32, Never>] = []
        }
        private let state = Mutex(State())

        func end(_ status: Int32) {
            let waiters = state.withLock { state in
                state.status = status
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume(returning: status) }
        }

        var status: Int32? { state.withLock { $0.status } }

        func wait() async -> Int32 {
            await withCheckedContinuation { continuation in
                let status = state.withLock { state in
                    if state.status == nil { state.waiters.append(continuation) }
                    return state.status
                }
                if let status { continuation.resume(returning: status) }
            }
        }
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - path: The executable.
    ///   - arguments: Its arguments, without its name.
    ///   - output: Where its standard output goes; nowhere if there is none.
    ///   - errors: Where its standard error goes; nowhere if there is none.
    ///   - environment: What is added to this process's own environment.
    /// - Throws: When it cannot be started.
    package init(
        path: String,
        arguments: [String],
        output: FileHandle = .nullDevice,
        errors: FileHandle = .nullDevice,
        environment: [String: String] = [:]
    ) throws {
        process = Process()
        ended = EndSignal()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        process.terminationHandler = { [ended] process in ended.end(process.terminationStatus) }
        try Self.withoutBlockedSignals { try process.run() }
    }

    /// Runs `body` with no signal blocked in this thread.
    ///
    /// A child inherits what the thread that starts it has blocked, and a worker thread has blocked nearly all: the child would
    /// never hear that it is to stop.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    package var processID: Int32 { process.processIdentifier }
    /// The exit status, once it has ended.
    package var exitStatus: Int32? { ended.status }

    /// Returns the exit status when the process has ended.
    package func wait() async -> Int32 { await ended.wait() }

    /// Returns the exit status, or nothing if the process still runs after that time; unlike ``wait()`` it can be cancelled.
    package func end(within limit: Duration) async throws -> Int32? {
        let deadline = ContinuousClock.now + limit
        while exitStatus == nil, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        return exitStatus
    }

    /// Asks the process to stop, and ends it if it has not stopped within `grace`; for use on the way out of an error too.
    package func stop(grace: Duration) async {
        terminate()
        // The caller may be cancelled already; what it started must end all the same.
        let status = await Task { try? await end(within: grace) }.value
        guard status == nil else { return }
        killNow()
        _ = await Task { try? await end(within: Self.deathMax) }.value
    }

    /// How long the kernel may take to end a process that was killed: a write may be under way.
    private static let deathMax: Duration = .seconds(10)

    /// Asks the process to stop.
    package func terminate() {
        if exitStatus == nil { kill(processID, SIGTERM) }
    }

    /// Ends the process at once.
    package func killNow() {
        if exitStatus == nil { kill(processID, SIGKILL) }
    }
}

/// This program's own executable, run as a person would run it.
package enum Program {
    /// Where the executable that is running now lies.
    package static var path: String {
        get throws { try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") }
    }

    /// How long a tool may take that nobody knows better about: `tocsin apply` of a large fleet on a busy machine.
    package static let limit: Duration = .seconds(300)

    /// Runs a tool to its end and returns what it wrote to standard output; one at a time in a workspace.
    ///
    /// - Throws: When it ends with another status than 0, the message holds what it wrote to standard error; or when it
    ///   has not ended within `limit` or the caller is cancelled, then it is ended.
    @discardableResult
    package static func run(
        _ path: String,
        _ arguments: [String],
        in workspace: Workspace,
        environment: [String: String] = [:],
        within limit: Duration = Program.limit
    ) async throws -> [UInt8] {
        let output = try workspace.scratchFile("output")
        let errors = try workspace.scratchFile("errors")
        defer {
            try? FileManager.default.removeItem(atPath: output.path)
            try? FileManager.default.removeItem(atPath: errors.path)
        }
        let child = try ChildProcess(
            path: path,
            arguments: arguments,
            output: output.handle,
            errors: errors.handle,
            environment: environment
        )
        let command = ([URL(fileURLWithPath: path).lastPathComponent] + arguments).joined(separator: " ")
        do {
            guard let status = try await child.end(within: limit) else {
                throw LabError("`\(command)` did not end within \(limit.milliseconds / 1000) s")
            }
            guard status == 0 else {
                let text = (try? String(contentsOfFile: errors.path, encoding: .utf8)) ?? ""
                throw LabError("`\(command)` ended with \(status): \(text.suffix(2000))")
            }
        } catch {
            child.killNow()
            throw error
        }
        return Array(try Data(contentsOf: URL(fileURLWithPath: output.path)))
    }

    /// Where a tool lies on the `PATH`.
    package static func find(_ tool: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return folders.map { "\($0)/\(tool)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}

/// A directory for one run; what is in it is removed at the end if it was made for the run.
package struct Workspace: Sendable {
    package let path: String
    private let isTemporary: Bool

    /// Takes the directory, or makes one in the system's place for such things.
    package init(at directory: String? = nil, name: String) throws {
        isTemporary = directory == nil
        path =
            directory
            ?? FileManager.default.temporaryDirectory
            .appending(path: "tocsin-\(name)-\(ProcessInfo.processInfo.processIdentifier)").path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw LabError("\(path) is no directory and cannot be made one: name another with --directory")
        }
    }

    /// A new directory below this one.
    package func directory(_ name: String) throws -> String {
        let directory = path + "/" + name
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        return directory
    }

    /// Moves what is below this one to where it stays when the run is over; returns where that is.
    package func keep(_ directory: String, as name: String) throws -> String {
        let parent = isTemporary ? FileManager.default.temporaryDirectory.path : path
        let kept = "\(parent)/tocsin-\(name)"
        try FileManager.default.moveItem(atPath: directory, toPath: kept)
        return kept
    }

    package func remove(_ directory: String) { try? FileManager.default.removeItem(atPath: directory) }

    package func removeIfTemporary() {
        if isTemporary { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A new file that can be written.
    package func scratchFile(_ name: String) throws -> (path: String, handle: FileHandle) {
        let file = path + "/" + name
        guard FileManager.default.createFile(atPath: file, contents: nil),
            let handle = FileHandle(forWritingAtPath: file)
        else { throw LabError("the file \(file) cannot be written") }
        return (file, handle)
    }
}
