import NIOConcurrencyHelpers
import NIOSSL

/// How TLS is spoken with a receiver, and as whom.
struct TLSSettings: Sendable {
    let context: NIOSSLContext
    /// Whose certificate is shown on demand; none for most endpoints.
    let identity: String?
}

/// Keeps a context for each identity: making one reads the trust store.
final class TLSSettingsStore: Sendable {
    /// Each holds the trust store once more, about 1 MB; beyond it, all are made anew at need.
    static let contextsMax = 64

    private let configuration: TLSConfiguration
    private let plain: TLSSettings
    private let contexts = NIOLockedValueBox<[String: NIOSSLContext]>([:])

    /// Throws when the trust store cannot be read.
    init(_ configuration: TLSConfiguration) throws {
        self.configuration = configuration
        plain = TLSSettings(context: try NIOSSLContext(configuration: configuration), identity: nil)
    }

    func settings(for identity: ClientIdentity?) throws(WebhookFailure) -> TLSSettings {
        guard let identity else { return plain }
        if let known = contexts.withLockedValue({ $0[identity.id] }) {
            return TLSSettings(context: known, identity: identity.id)
        }
        guard let made = try? NIOSSLContext(configuration: identity.shown(in: configuration)) else {
            throw WebhookFailure(.invalidRequest, "The endpoint's client certificate cannot be used; set it again.")
        }
        contexts.withLockedValue { contexts in
            if contexts.count >= Self.contextsMax { contexts = [:] }
            contexts[identity.id] = made
        }
        return TLSSettings(context: made, identity: identity.id)
    }
}
