import ArgumentParser
import Foundation
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinFleet
import TocsinJSON

/// `tocsin apply`: makes the ledger match a fleet file (decisions §12).
struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make dealers, apps, partners and sites match a fleet file.",
        discussion: """
            Prints what the file names with its ids as JSON, and the secrets of what was made: they are shown only \
            this once. What the file does not name stays, unless --prune, which deletes what a list of the file \
            leaves out (a list that is not there says nothing).
            """
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var remote: RemoteOptions
    @Option(name: .shortAndLong, help: ArgumentHelp("YAML or JSON; - reads standard input.", valueName: "file"))
    var file: String
    @Flag(help: "Print the difference and change nothing.") var dryRun = false
    @Flag(help: "Delete what the file's lists leave out.") var prune = false
    @Flag(help: "With --prune: delete also what is armed, in alarm or has undelivered events.") var force = false
    @Flag(help: "With --dry-run: print the difference as JSON.") var json = false

    func validate() throws {
        if force, !prune { throw ValidationError("--force goes with --prune") }
        if remote.url != nil, global.data != nil { throw ValidationError("give either --data or --url") }
    }

    func run() async throws {
        let text = try read()
        let outcome: JSON
        if let client = try remote.client() {
            let query = "dry_run=\(dryRun)&prune=\(prune)&force=\(force)"
            let body: JSON = ["file": .string(String(decoding: text, as: UTF8.self))]
            let reply = try await client.send("/v1/fleet/apply?\(query)", post: body.bytes)
            guard let parsed = try? JSONParser.parse(reply) else {
                throw ProgramError.failed("the server's reply is not JSON")
            }
            outcome = parsed
        } else {
            outcome = try await applyHere(text).json
        }
        show(outcome)
    }

    private func read() throws -> [UInt8] {
        // Not by URL: pipes such as /dev/fd/63 are files too.
        let handle = file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file)
        guard let handle else { throw ProgramError.failed("\(file) cannot be read: is it there, and readable?") }
        do {
            return Array(try handle.readToEnd() ?? Data())
        } catch {
            throw ProgramError.failed("\(file) cannot be read: \(error.localizedDescription)")
        }
    }

    private func applyHere(_ text: [UInt8]) async throws -> FleetOutcome {
        let settings = try await Settings.load(global)
        let store = try await Store.open(settings, role: .owner)
        let service = Wiring.fleet(store, policy: EgressPolicy(allowPrivate: settings.allowsPrivateEndpoints))
        let options = FleetOptions(isDryRun: dryRun, prunes: prune, forces: force)
        do {
            let origin = FleetOrigin(actor: .init(.system, "tocsin apply"))
            let outcome = try await service.apply(text, options: options, origin: origin)
            await store.close()
            return outcome
        } catch {
            await store.close()
            if let partial = (error as? FleetError)?.partial, !partial.isEmpty { Console.print(partial.json) }
            throw ProgramError.failed("\(error)")
        }
    }

    private func show(_ outcome: JSON) {
        for warning in outcome["warnings"]?.array ?? [] {
            let path = warning["path"]?.string ?? ""
            Console.note("warning: line \(warning["line"]?.integer ?? 1): \(path): \(warning["message"]?.string ?? "")")
        }
        let changes = outcome["changes"]?.array ?? []
        guard dryRun else {
            if let result = outcome["result"] { Console.print(result) }
            return Console.note(changes.isEmpty ? "nothing to change" : "\(changes.count) changes made")
        }
        if json { return Console.print(["changes": .array(changes)]) }
        for change in changes.compactMap(FleetChange.init) { Console.print(change.description) }
        Console.note(changes.isEmpty ? "nothing to change" : "\(changes.count) changes to make; none made")
    }
}

/// `tocsin export`: writes the ledger's fleet as a file.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the fleet as a file that `apply` takes, without codes and secrets."
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var remote: RemoteOptions
    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write; standard output if left out.", valueName: "file"))
    var output: String?
    @Flag(help: "Write JSON instead of YAML.") var json = false

    func run() async throws {
        let fleet: JSON
        if let client = try remote.client() {
            let reply = try await client.send("/v1/fleet")
            guard let parsed = try? JSONParser.parse(reply) else {
                throw ProgramError.failed("the server's reply is not JSON")
            }
            fleet = parsed
        } else {
            let settings = try await Settings.load(global)
            let store = try await Store.open(settings, role: .guest, mayCreate: false)
            fleet = try await Wiring.fleet(store, policy: EgressPolicy()).export()
            await store.close()
        }
        let text = json ? fleet.text + "\n" : FleetYAML.text(fleet)
        guard let output else { return Console.print(text) }
        do {
            try Data(text.utf8).write(to: URL(filePath: output), options: .atomic)
        } catch {
            throw ProgramError.failed("\(output) cannot be written: \(error.localizedDescription)")
        }
    }
}
