/// Every setting of the program, by the name that it has in a configuration file.
///
/// The same name in capitals after `TOCSIN_` is its variable, and with hyphens its flag.
enum SettingKey: String, CaseIterable, Sendable {
    case data
    case database
    case listen
    case publicURL = "public_url"
    case allowPrivateEndpoints = "allow_private_endpoints"
    case logLevel = "log_level"
    case encryptionKey = "encryption_key"
    case encryptionKeyFile = "encryption_key_file"
    case trustedProxies = "trusted_proxies"
    case caFile = "ca_file"
    case egressDNS = "egress_dns"
    case smtpURL = "smtp_url"
    case mailFrom = "mail_from"
    case snapshotRetentionDays = "snapshot_retention_days"

    var variable: String { "TOCSIN_" + rawValue.uppercased() }

    /// What `tocsin config` says about it.
    var explanation: String {
        switch self {
        case .data: "directory of the ledger and its key"
        case .database: "where the ledger is: sqlite:PATH"
        case .listen: "address and port of the server; port 0 takes any free one"
        case .publicURL: "where the server is reached from outside; none: http:// and the listening address"
        case .allowPrivateEndpoints: "lets webhooks go to loopback and private addresses, any port, and http"
        case .logLevel: "trace, debug, info, notice, warning, error or critical"
        case .encryptionKey: "32 bytes in base64 that seal secrets at rest"
        case .encryptionKeyFile: "file with that key; none: ledger.key in the data directory"
        case .trustedProxies: "addresses or CIDR blocks whose X-Forwarded-For is believed"
        case .caFile: "PEM file of further authorities that endpoints' and the mail server's certificates may come from"
        case .egressDNS:
            "DNS server, ADDRESS or ADDRESS:PORT, that endpoints' hosts are asked of; none: the system's way"
        case .smtpURL: "mail server for people's notices: smtp://user:password@host:port or smtps://; none: the log"
        case .snapshotRetentionDays: "days for which images and videos are kept, 1 to 3650"
        case .mailFrom: "whom that mail comes from: alarms@example.com or Name <alarms@example.com>"
        }
    }

    /// Whether its value is never shown.
    var isSecret: Bool { self == .encryptionKey || self == .smtpURL }

    static let secrets = allCases.filter(\.isSecret)
}
