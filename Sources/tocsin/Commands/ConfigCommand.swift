import ArgumentParser
import TocsinJSON

/// `tocsin config`: what is in force and where it came from.
struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the settings in force and where each came from."
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var server: ServerOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let settings = try await Settings.load(global, server: server)
        if json {
            let entries = settings.provenance.map { setting -> JSON in
                [
                    "key": .string(setting.key.rawValue), "value": .string(setting.value),
                    "source": .string(setting.source), "variable": .string(setting.key.variable),
                ]
            }
            return Console.print(["settings": .array(entries)])
        }
        var table = TextTable(["setting", "value", "from", "meaning"])
        for setting in settings.provenance {
            let value = setting.value.isEmpty ? "–" : setting.value
            table.add([setting.key.rawValue, value, setting.source, setting.key.explanation])
        }
        Console.print(table.text)
    }
}
