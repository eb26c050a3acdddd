import Configuration
import Foundation
import Synchronization
import SystemPackage
import TocsinEngine
import TocsinFleet

/// Reads settings through one chain of providers, and remembers which of them answered.
///
/// Defaults are the bottom provider, and everything is read as required: a value that cannot be converted is an error that
/// names its key, instead of silently becoming a default.
struct SettingsReader {
    private let config: ConfigReader
    private let sources: SourceRecorder
    private let names: [String]

    init(_ options: GlobalOptions, server: ServerOptions?, environment: [String: String]) async throws {
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "flags", values: Self.keyed(options.values(server))),
            EnvironmentVariablesProvider(
                environmentVariables: environment,
                secretsSpecifier: .specific(Set(SettingKey.secrets.map(\.variable)))
            ).prefixKeys(with: "tocsin"),
        ]
        var names = ["flag", "environment"]
        if let path = options.config ?? environment["TOCSIN_CONFIG"] {
            try Self.check(path)
            let secrets = SecretsSpecifier<String, Void>.specific(Set(SettingKey.secrets.map(\.rawValue)))
            providers.append(
                try await FileProvider<YAMLSnapshot>(
                    parsingOptions: .init(bytesDecoder: .base64, secretsSpecifier: secrets),
                    filePath: FilePath(path)
                )
            )
            names.append("file \(path)")
        }
        // The ledger's default place depends on the data directory, which any of the providers may name.
        let top = ConfigReader(providers: providers + [InMemoryProvider(values: Self.keyed(Self.defaults(data: nil)))])
        let data = try top.requiredString(forKey: ConfigKey(SettingKey.data.rawValue))
        providers.append(InMemoryProvider(name: "defaults", values: Self.keyed(Self.defaults(data: data))))
        self.names = names + ["default"]
        sources = SourceRecorder()
        config = ConfigReader(providers: providers, accessReporter: sources)
    }

    private static let defaultDirectory = "tocsin-data"

    private static func defaults(data: String?) -> [SettingKey: ConfigValue] {
        let values: [(SettingKey, ConfigContent)] = [
            (.data, .string(defaultDirectory)),
            (.database, .string("sqlite:\(data ?? defaultDirectory)/ledger.db")),
            (.listen, .string("127.0.0.1:8080")),
            (.publicURL, .string("")),
            (.allowPrivateEndpoints, .bool(false)),
            (.logLevel, .string("info")),
            (.encryptionKey, .string("")),
            (.encryptionKeyFile, .string("")),
            (.trustedProxies, .stringArray([])),
            (.caFile, .string("")),
            (.egressDNS, .string("")),
            (.smtpURL, .string("")),
            (.mailFrom, .string("")),
            (.snapshotRetentionDays, .int(SnapshotKeeper.retentionDays)),
        ]
        return Dictionary(uniqueKeysWithValues: values.map { ($0, ConfigValue($1, isSecret: $0.isSecret)) })
    }

    private static func keyed(_ values: [SettingKey: ConfigValue]) -> [AbsoluteConfigKey: ConfigValue] {
        Dictionary(uniqueKeysWithValues: values.map { (AbsoluteConfigKey([$0.rawValue]), $1) })
    }

    /// A member of the file that no setting has is a typo.
    private static func check(_ path: String) throws {
        let text: Data
        do {
            text = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw ProgramError.configuration("the configuration file \(path) cannot be read")
        }
        do throws(FleetError) {
            try FlatFile.check(Array(text), named: path, known: SettingKey.allCases.map(\.rawValue))
        } catch {
            throw ProgramError.configuration("\(error)")
        }
    }

    // MARK: - Values

    func text(_ key: SettingKey) throws -> String {
        try named(key) { try config.requiredString(forKey: $0, isSecret: key.isSecret) }
    }

    func optionalText(_ key: SettingKey) throws -> String? {
        let text = try text(key)
        return text.isEmpty ? nil : text
    }

    func number(_ key: SettingKey) throws -> Int {
        try named(key) { try config.requiredInt(forKey: $0) }
    }

    func boolean(_ key: SettingKey) throws -> Bool {
        try named(key) { try config.requiredBool(forKey: $0) }
    }

    func texts(_ key: SettingKey) throws -> [String] {
        try named(key) { try config.requiredStringArray(forKey: $0) }
    }

    private func named<T>(_ key: SettingKey, _ read: (ConfigKey) throws -> T) throws -> T {
        do {
            return try read(ConfigKey(key.rawValue))
        } catch {
            throw ProgramError.configuration("\(key.rawValue) (\(key.variable)): \(error); it is \(key.explanation)")
        }
    }

    /// A setting that was read, with where it came from.
    func provenance(of key: SettingKey) -> Settings.Provenance? {
        guard let found = sources.found(key.rawValue) else { return nil }
        let value = key.isSecret && !found.value.isEmpty ? "<redacted>" : found.value
        return Settings.Provenance(key: key, value: value, source: names[found.index])
    }
}

/// Notes for each key which provider had it.
private final class SourceRecorder: AccessReporter {
    private let entries = Mutex<[String: (index: Int, value: String)]>([:])

    func report(_ event: AccessEvent) {
        let index = event.providerResults.firstIndex { result in
            if case .success(let found) = result.result { found.value != nil } else { true }
        }
        guard let index, case .success(let value?) = event.result else { return }
        let text =
            switch value.content {
            case .string(let text): text
            case .bool(let value): String(value)
            case .int(let value): String(value)
            case .stringArray(let texts): texts.joined(separator: ",")
            default: "\(value.content)"
            }
        entries.withLock { $0[event.metadata.key.description] = (index, text) }
    }

    func found(_ key: String) -> (index: Int, value: String)? { entries.withLock { $0[key] } }
}
