import Foundation
import TocsinCore

/// The secret that an endpoint's requests are signed with: `whsec_` and the base64 of 32 bytes.
package enum WebhookSecret {
    package static let prefix = "whsec_"
    package static let keyLength = 32
    /// More live ones at once than any rotation needs; each costs two signatures an attempt (design, delivery: secrets).
    package static let liveMaximum = 10

    /// Draws a new secret.
    package static func make(_ randomness: some Randomness) -> String {
        prefix + Data(randomness.bytes(keyLength)).base64EncodedString()
    }

    /// The bytes that sign; nil if the text is not a secret.
    package static func key(of secret: some StringProtocol) -> [UInt8]? {
        guard secret.hasPrefix(prefix), let key = Data(base64Encoded: String(secret.dropFirst(prefix.count))),
            key.count == keyLength
        else { return nil }
        return Array(key)
    }

    /// What an endpoint's secret is sealed for; a sealed value moved to another place does not open.
    package static func vaultContext(of endpoint: EndpointID) -> String { "endpoint-secret/\(endpoint)" }

    /// What an endpoint's client certificate and its key are sealed for.
    package static func vaultContext(ofCertificateOf endpoint: EndpointID) -> String {
        "endpoint-certificate/\(endpoint)"
    }

    /// What the value of an endpoint's own header is sealed for.
    package static func vaultContext(ofHeader name: String, of endpoint: EndpointID) -> String {
        "endpoint-header/\(endpoint)/\(name)"
    }
}
