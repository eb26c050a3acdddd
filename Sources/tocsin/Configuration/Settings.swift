import Configuration
import Foundation
import Logging
import SystemPackage
import TocsinDelivery
import TocsinFleet

/// What is in force: flags over environment over the `--config` file over defaults.
struct Settings: Sendable {
    var dataDirectory: String
    var ledgerPath: String
    var host: String
    var port: Int
    /// None: made of the address that the server listens on.
    var publicURL: String?
    var allowsPrivateEndpoints: Bool
    var logLevel: Logger.Level
    var encryptionKey: String?
    var encryptionKeyFile: String?
    var trustedProxies: [String]
    var caFile: String?
    /// None: the system resolves endpoints' hosts.
    var egressDNS: DNSServer?
    /// None: people's notices go to the log.
    var mail: Mail?
    var snapshotRetentionDays: Int
    /// Each setting with where it came from, as `tocsin config` prints it.
    var provenance: [Provenance]

    /// The DNS server that endpoints' hosts are asked of.
    struct DNSServer: Sendable {
        var address: IPAddress
        var port: Int
    }

    /// Where people's notices are handed in, and whom they come from.
    struct Mail: Sendable {
        var server: MailServer
        var sender: MailSender
    }

    /// One setting's value and origin.
    struct Provenance: Sendable {
        var key: SettingKey
        /// Redacted where it is a secret.
        var value: String
        var source: String
    }

    /// Reads all settings, and refuses what cannot be.
    static func load(
        _ options: GlobalOptions,
        server: ServerOptions? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) async throws -> Settings {
        do {
            let reader = try await SettingsReader(options, server: server, environment: environment)
            return try Settings(reader)
        } catch let error as ProgramError {
            throw error
        } catch {
            throw ProgramError.configuration("\(error)")
        }
    }

    private init(_ reader: SettingsReader) throws {
        dataDirectory = try reader.text(.data)
        ledgerPath = try Self.ledgerPath(reader.text(.database))
        (host, port) = try Self.address(reader.text(.listen))
        publicURL = try reader.optionalText(.publicURL).map(Self.publicURL)
        allowsPrivateEndpoints = try reader.boolean(.allowPrivateEndpoints)
        let level = try reader.text(.logLevel)
        guard let known = Logger.Level(rawValue: level) else {
            throw ProgramError.configuration(
                "log_level: “\(level)” is not a level: use one of \(SettingKey.logLevel.explanation)"
            )
        }
        logLevel = known
        encryptionKey = try reader.optionalText(.encryptionKey)
        encryptionKeyFile = try reader.optionalText(.encryptionKeyFile)
        if encryptionKey != nil, encryptionKeyFile != nil {
            throw ProgramError.configuration("both encryption_key and encryption_key_file are given: give one of them")
        }
        trustedProxies = try reader.texts(.trustedProxies)
        caFile = try reader.optionalText(.caFile)
        egressDNS = try reader.optionalText(.egressDNS).map(Self.dnsServer)
        mail = try Self.mail(url: reader.optionalText(.smtpURL), from: reader.optionalText(.mailFrom))
        snapshotRetentionDays = try Self.days(reader.number(.snapshotRetentionDays), of: .snapshotRetentionDays)
        provenance = SettingKey.allCases.compactMap { reader.provenance(of: $0) }
    }

    private static func days(_ days: Int, of key: SettingKey) throws -> Int {
        guard (1...3650).contains(days) else {
            throw ProgramError.configuration("\(key.rawValue): \(days) is not a number of days from 1 to 3650")
        }
        return days
    }

    private static func ledgerPath(_ url: String) throws -> String {
        if url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") {
            throw ProgramError.configuration(
                "database: this build has no PostgreSQL yet; use sqlite:PATH, or leave it out for ledger.db in --data"
            )
        }
        guard url.hasPrefix("sqlite:"), url.count > "sqlite:".count else {
            throw ProgramError.configuration("database: “\(url)” is not known: write sqlite:PATH")
        }
        return String(url.dropFirst("sqlite:".count))
    }

    private static func address(_ text: String) throws -> (String, Int) {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex,
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else {
            throw ProgramError.configuration("listen: “\(text)” is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
        }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { return (String(host.dropFirst().dropLast()), port) }
        if host.contains(":") {
            throw ProgramError.configuration("listen: put the IPv6 address in brackets: [\(host)]:\(port)")
        }
        return (String(host), port)
    }

    private static func dnsServer(_ text: String) throws -> DNSServer {
        if let address = IPAddress(text) { return DNSServer(address: address, port: 53) }
        if let (host, port) = try? address(text), port > 0, let address = IPAddress(host) {
            return DNSServer(address: address, port: port)
        }
        throw ProgramError.configuration(
            "egress_dns: “\(text)” is not the address of a DNS server, such as 9.9.9.9, 127.0.0.1:5353 or [2620:fe::fe]:53"
        )
    }

    private static func mail(url: String?, from: String?) throws -> Mail? {
        let sender = try from.map { text in
            guard let sender = MailSender(text) else {
                throw ProgramError.configuration(
                    "mail_from: “\(text)” is not an address such as alarms@example.com or Name <alarms@example.com>"
                )
            }
            return sender
        }
        guard let url else { return nil }
        guard let sender else {
            throw ProgramError.configuration("smtp_url is given and mail_from is not: say whom the mail comes from")
        }
        do throws(MailServerError) {
            return Mail(server: try MailServer(url), sender: sender)
        } catch {
            throw ProgramError.configuration("smtp_url: \(error.sentence)")
        }
    }

    private static func publicURL(_ text: String) throws -> String {
        guard let url = URL(string: text), url.scheme == "https" || url.scheme == "http", url.host != nil,
            url.query == nil, url.fragment == nil
        else {
            throw ProgramError.configuration("public_url: “\(text)” is not a URL such as https://tocsin.example.com")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}
