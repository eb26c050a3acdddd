import Crypto
import Foundation
import TocsinCore
import TocsinEngine

/// Signs webhooks with every live secret of an endpoint (decisions §8).
package struct Signer: Sendable {
    private struct Key: Sendable {
        enum Material: Sendable {
            case code(SymmetricKey)
            case signature(Curve25519.Signing.PrivateKey)
        }

        var material: Material
        var expiresAt: Instant?
    }

    /// The values of the two signature headers.
    package struct Signatures: Hashable, Sendable {
        /// `X-CHeKT-Signature`: `v1=<hex>`, comma-separated.
        package var chekt: String
        /// `webhook-signature`: `v1,<base64>` and `v1a,<base64>`, space-separated (Standard Webhooks).
        package var standard: String
    }

    private var keys: [Key] = []

    /// Takes secrets as they are shown to people; what is none is left out.
    package init(secrets: [String]) {
        keys = secrets.compactMap(WebhookSecret.key).map {
            Key(material: .code(SymmetricKey(data: $0)), expiresAt: nil)
        }
    }

    /// Opens an endpoint's sealed secrets, newest first; throws if one does not open.
    ///
    /// Private keys are left out unless the endpoint asks for `v1a`.
    package init(_ sealed: [EndpointSecret], scheme: SignatureScheme = .v1, vault: Vault) throws {
        let codes = sealed.filter { $0.publicKey == nil }.suffix(WebhookSecret.liveMaximum)
        let pairs = scheme == .v1 ? [] : sealed.filter { $0.publicKey != nil }.suffix(WebhookSecret.liveMaximum)
        for secret in codes.reversed() + pairs.reversed() {
            let opened = try vault.open(secret.sealed, context: WebhookSecret.vaultContext(of: secret.endpointID))
            let text = String(decoding: opened, as: UTF8.self)
            if let bytes = WebhookSecret.key(of: text) {
                keys.append(Key(material: .code(SymmetricKey(data: bytes)), expiresAt: secret.expiresAt))
            } else if let key = SigningKey.privateKey(of: text) {
                keys.append(Key(material: .signature(key), expiresAt: secret.expiresAt))
            } else {
                throw NotASecret()
            }
        }
    }

    /// Signs a body; nil if no secret is live.
    ///
    /// - Parameters:
    ///   - id: The event's id, `webhook-id`.
    ///   - timestamp: Unix seconds of the attempt, as in the header.
    ///   - body: The bytes as sent.
    ///   - now: Secrets that have expired by then do not sign.
    /// - Returns: The values of both headers.
    package func sign(id: String, timestamp: String, body: [UInt8], at now: Instant) -> Signatures? {
        var signatures = Signatures(chekt: "", standard: "")
        let standardHead = Array("\(id).\(timestamp).".utf8)
        for key in keys where key.expiresAt.map({ now < $0 }) ?? true {
            if !signatures.standard.isEmpty { signatures.standard += " " }
            switch key.material {
            case .code(let secret):
                if !signatures.chekt.isEmpty { signatures.chekt += "," }
                signatures.chekt += "v1=" + Self.hexadecimal(Self.code(secret, Array("\(timestamp).".utf8), body))
                signatures.standard += "v1," + Data(Self.code(secret, standardHead, body)).base64EncodedString()
            case .signature(let pair):
                guard let signature = try? pair.signature(for: standardHead + body) else { return nil }
                signatures.standard += "v1a," + signature.base64EncodedString()
            }
        }
        return signatures.chekt.isEmpty ? nil : signatures
    }

    private static func code(_ key: SymmetricKey, _ head: [UInt8], _ body: [UInt8]) -> HMAC<SHA256>.MAC {
        var hmac = HMAC<SHA256>(key: key)
        hmac.update(data: head)
        hmac.update(data: body)
        return hmac.finalize()
    }

    /// What was sealed as a secret is none.
    private struct NotASecret: Error {}

    private static let digits = Array("0123456789abcdef".utf8)

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
