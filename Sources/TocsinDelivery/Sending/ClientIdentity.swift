import Crypto
import NIOSSL
import TocsinCore
import TocsinEngine

/// What we show of ourselves to a receiver that asks for a certificate (mutual TLS).
package struct ClientIdentity: Sendable {
    /// Why a text is no identity.
    package struct Fault: Error, Hashable, Sendable {
        /// The member that is at fault: `certificate` or `private_key`.
        package let member: String
        /// Follows the member's name in a sentence.
        package let clause: String
    }

    /// A chain longer than this is none that a server would verify.
    package static let chainMax = 10
    /// Of the PEM text of either part.
    package static let textLengthMax = 32 * 1024

    /// SHA-256 of the certificate in DER, in hexadecimal.
    package let fingerprint: String
    package let expiresAt: Instant
    /// Tells identities apart in the pool of connections.
    let id: String
    private let chain: [NIOSSLCertificate]
    private let key: NIOSSLPrivateKey

    /// Reads a certificate with its intermediates, and the private key of the first one, both in PEM.
    package init(certificate: String, privateKey: String) throws(Fault) {
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)), let leaf = chain.first,
            chain.count <= Self.chainMax, let encoded = try? chain.map({ try $0.toDERBytes() })
        else {
            throw Fault(
                member: "certificate",
                clause: "must be 1 to \(Self.chainMax) certificates in PEM, the own one first"
            )
        }
        guard !privateKey.contains("ENCRYPTED"),
            let key = try? NIOSSLPrivateKey(bytes: Array(privateKey.utf8), format: .pem)
        else {
            throw Fault(member: "private_key", clause: "must be a private key in PEM without a passphrase")
        }
        self.chain = chain
        self.key = key
        fingerprint = Array(SHA256.hash(data: encoded[0])).hexadecimal
        id = Array(SHA256.hash(data: encoded.flatMap(\.self))).hexadecimal
        expiresAt = Instant(secondsSinceEpoch: Int64(leaf.notValidAfter))
        // Only a context looks whether the two belong together.
        var trial = TLSConfiguration.makeClientConfiguration()
        trial.trustRoots = .certificates([])
        guard (try? NIOSSLContext(configuration: shown(in: trial))) != nil else {
            throw Fault(member: "private_key", clause: "does not belong to the certificate")
        }
    }

    /// Reads what ``text`` made.
    package init(text: String) throws(Fault) { try self.init(certificate: text, privateKey: text) }

    /// Chain and key in one PEM text, for the vault.
    package static func text(certificate: String, privateKey: String) -> String { "\(certificate)\n\(privateKey)\n" }

    func shown(in configuration: TLSConfiguration) -> TLSConfiguration {
        var configuration = configuration
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(key)
        return configuration
    }
}
