import ArgumentParser
import Foundation
import TocsinServer

/// The program: parses the command line, runs the command, and turns what went wrong into an exit status.
@main
enum Program {
    static func main() async {
        // A reader of our output that goes away (`tocsin export | head`) is no reason to die by a signal.
        signal(SIGPIPE, SIG_IGN)
        // Ledgers, keys and backups are nobody else's to read.
        umask(0o077)
        do {
            var command = try Tocsin.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(report(error).rawValue)
        }
    }

    /// Tells what went wrong on standard error, and help on standard output.
    private static func report(_ error: any Error) -> ExitStatus {
        if let failure = error as? ProgramError {
            if !failure.message.isEmpty { Console.note("error: \(failure.message)") }
            return failure.status
        }
        if error is CancellationError { return .failed }
        switch Tocsin.exitCode(for: error) {
        case .success:
            Console.print(Tocsin.fullMessage(for: error))
            return .done
        case .validationFailure:
            Console.note(Tocsin.fullMessage(for: error))
            return .usage
        default:
            Console.note("error: \(error)")
            return .failed
        }
    }
}

/// The commands (decisions §13).
struct Tocsin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tocsin",
        abstract: "A self-hosted arming and alarm-event platform.",
        discussion: """
            Exit status: 0 done, 1 failed, 2 usage, 3 configuration.
            Every setting may also stand in the environment (TOCSIN_…) or in a file (--config); `tocsin config` \
            prints what is in force and where it came from.
            """,
        version: OpenAPIDocument.version,
        subcommands: [
            Serve.self, Apply.self, Export.self, Migrate.self, Config.self, Admin.self, Listen.self,
            DemoCommand.self, Bench.self, Simulate.self,
        ]
    )
}

/// What the program's exit status tells (decisions §13).
enum ExitStatus: Int32 {
    case done = 0
    case failed = 1
    case usage = 2
    case configuration = 3
}

/// Why a command ended without doing what it was asked to, in a sentence that says what to do.
struct ProgramError: Error, CustomStringConvertible {
    var status: ExitStatus
    var message: String

    var description: String { message }

    static func failed(_ message: String) -> ProgramError { ProgramError(status: .failed, message: message) }
    static func usage(_ message: String) -> ProgramError { ProgramError(status: .usage, message: message) }
    static func configuration(_ message: String) -> ProgramError {
        ProgramError(status: .configuration, message: message)
    }
}
