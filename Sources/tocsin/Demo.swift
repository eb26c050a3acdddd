import ArgumentParser
import Foundation
import TocsinEngine
import TocsinLab
import UnixSignals

/// `tocsin demo`: the main job, played live.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Play the arming document's scenarios and a day of 200 shops, live, on a server of its own.",
        discussion: """
            Starts the server on an embedded ledger, applies a fleet, and plays a partner and a receiver of webhooks. \
            Exit status 1 if anything that was acknowledged is lost.
            """
    )

    @Option(
        help: ArgumentHelp(
            "An empty directory for the ledger (default: one that is removed at the end).",
            valueName: "dir"
        )
    )
    var data: String?
    @Flag(help: "Leave the server running afterwards, with a request to paste; Ctrl-C ends it.") var keep = false

    func run() async throws {
        // The terminal is the demo's result: it goes to standard output.
        let screen = DemoScreen(isTerminal: isatty(STDOUT_FILENO) == 1) { text in
            try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        }
        let demo = Demo(screen: screen, dataDirectory: data, keepsRunning: keep, clock: SystemClock())
        let holds = try await Interruptible.run { try await demo.run() }
        if holds == false { throw ProgramError.failed("the demo's accounts do not agree: see the summary") }
    }
}

/// Work that Ctrl-C ends in good order.
enum Interruptible {
    /// Runs `work`, and cancels it on SIGINT or SIGTERM; nothing is returned if it was ended so.
    static func run<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T? {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                for await _ in signals { return nil }
                throw CancellationError()
            }
            group.addTask { try await work() }
            let first = try await group.next() ?? nil
            group.cancelAll()
            // The work cleans up after itself when it is cancelled; only then may the program end.
            while let rest = await group.nextResult() { _ = rest }
            return first
        }
    }
}
