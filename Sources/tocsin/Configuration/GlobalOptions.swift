import ArgumentParser
import Configuration

/// The flags that every command takes (decisions §13).
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Directory of the ledger and its key (default: ./tocsin-data).", valueName: "dir"))
    var data: String?

    @Option(help: ArgumentHelp("Where the ledger is: sqlite:PATH (default: ledger.db in --data).", valueName: "url"))
    var database: String?

    @Option(help: ArgumentHelp("A YAML or JSON file of settings.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "trace, debug, info, notice, warning, error or critical (default: info).",
            valueName: "level"
        )
    )
    var logLevel: String?

    @Option(help: ArgumentHelp("File with the encryption key (default: ledger.key in --data).", valueName: "file"))
    var encryptionKeyFile: String?

    @Flag(help: "Let webhooks go to loopback and private addresses, any port, and http. For labs only.")
    var allowPrivateEndpoints = false

    /// The flags that were given, as the topmost provider of settings.
    func values(_ server: ServerOptions? = nil) -> [SettingKey: ConfigValue] {
        var values: [SettingKey: ConfigValue] = [:]
        func set(_ key: SettingKey, _ text: String?) {
            if let text { values[key] = ConfigValue(.string(text), isSecret: key.isSecret) }
        }
        set(.data, data)
        set(.database, database)
        set(.logLevel, logLevel)
        set(.encryptionKeyFile, encryptionKeyFile)
        set(.listen, server?.listen)
        set(.publicURL, server?.publicURL)
        set(.caFile, server?.caFile)
        set(.egressDNS, server?.egressDNS)
        if let days = server?.snapshotRetentionDays {
            values[.snapshotRetentionDays] = ConfigValue(.int(days), isSecret: false)
        }
        if allowPrivateEndpoints { values[.allowPrivateEndpoints] = ConfigValue(.bool(true), isSecret: false) }
        if let proxies = server?.trustedProxy, !proxies.isEmpty {
            values[.trustedProxies] = ConfigValue(.stringArray(proxies), isSecret: false)
        }
        return values
    }
}

/// The flags of commands that run a server.
struct ServerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Address and port to listen on (default: 127.0.0.1:8080).", valueName: "host:port"))
    var listen: String?

    @Option(
        name: .customLong("public-url"),
        help: ArgumentHelp("Where the server is reached from outside.", valueName: "url")
    )
    var publicURL: String?

    @Option(help: ArgumentHelp("A proxy whose X-Forwarded-For is believed; may be given again.", valueName: "cidr"))
    var trustedProxy: [String] = []

    @Option(help: ArgumentHelp("PEM file of further authorities for endpoints' certificates.", valueName: "file"))
    var caFile: String?

    @Option(
        name: .customLong("egress-dns"),
        help: ArgumentHelp("DNS server that endpoints' hosts are asked of.", valueName: "address[:port]")
    )
    var egressDNS: String?

    @Option(help: ArgumentHelp("Days for which images and videos are kept (default: 30).", valueName: "n"))
    var snapshotRetentionDays: Int?
}
