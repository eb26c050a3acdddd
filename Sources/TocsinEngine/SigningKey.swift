import Crypto
import Foundation
import TocsinCore
import TocsinLedger

/// The key pair that an endpoint's `v1a` signatures are made with (Standard Webhooks: ed25519).
package enum SigningKey {
    /// The private key as text: the seed and the public key, 64 bytes in base64.
    package static let privatePrefix = "whsk_"
    /// The public key as text: 32 bytes in base64.
    package static let publicPrefix = "whpk_"
    private static let seedLength = 32

    /// Draws a new pair; the private half never leaves the vault.
    package static func make(_ randomness: some Randomness) throws -> (secret: String, publicKey: String) {
        let key = try Curve25519.Signing.PrivateKey(rawRepresentation: randomness.bytes(seedLength))
        let both = key.rawRepresentation + key.publicKey.rawRepresentation
        return (
            privatePrefix + both.base64EncodedString(),
            publicPrefix + key.publicKey.rawRepresentation.base64EncodedString()
        )
    }

    /// Gives an endpoint that asks for `v1a` a key pair, unless it has one that stays.
    package static func complete(
        _ endpoint: Endpoint,
        in transaction: any LedgerTransaction,
        vault: Vault,
        randomness: some Randomness,
        at now: Instant
    ) throws {
        guard endpoint.signature == .v1a else { return }
        let secrets = try transaction.secrets(of: endpoint.id)
        if secrets.contains(where: { $0.publicKey != nil && $0.expiresAt == nil }) { return }
        let pair = try make(randomness)
        let sealed = try vault.seal(Array(pair.secret.utf8), context: WebhookSecret.vaultContext(of: endpoint.id))
        try transaction.insert(
            EndpointSecret(endpointID: endpoint.id, sealed: sealed, createdAt: now, publicKey: pair.publicKey)
        )
    }

    /// The key that signs; nil if the text is not a private key, or its halves do not belong together.
    package static func privateKey(of text: some StringProtocol) -> Curve25519.Signing.PrivateKey? {
        guard text.hasPrefix(privatePrefix),
            let both = Data(base64Encoded: String(text.dropFirst(privatePrefix.count))),
            both.count == 2 * seedLength,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: both.prefix(seedLength)),
            key.publicKey.rawRepresentation == both.suffix(seedLength)
        else { return nil }
        return key
    }
}
