import ArgumentParser
import TocsinJSON

/// `tocsin migrate`: brings the ledger's tables up to date without starting a server.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the ledger's tables to this program's version.",
        discussion: "`serve` does the same at its start. Versions only go forward: make a backup first."
    )

    @OptionGroup var global: GlobalOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let settings = try await Settings.load(global)
        let path = settings.ledgerPath
        let (version, isNeeded) = try Store.migration(settings)
        let store = try await Store.open(settings, role: .owner)
        await store.close()
        if json {
            return Console.print(["ledger": .string(path), "version": JSON(version), "migrated": .bool(isNeeded)])
        }
        Console.print("\(path): version \(version), \(isNeeded ? "migrated" : "nothing to do")")
    }
}
