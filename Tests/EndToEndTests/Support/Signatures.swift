import Crypto
import Foundation

/// What a receiver checks before it believes a delivery.
enum Signatures {
    /// The document's scheme: `v1=<hex HMAC-SHA256 of "{timestamp}.{body}">`, several separated by commas.
    static func isChektValid(_ arrival: Arrival, secret: String) -> Bool {
        guard let timestamp = arrival.header("X-CHeKT-Timestamp"),
            let header = arrival.header("X-CHeKT-Signature"), let key = key(secret)
        else { return false }
        let code = HMAC<SHA256>.authenticationCode(for: Array("\(timestamp).".utf8) + arrival.body, using: key)
        let hex = code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return header.split(separator: ",").contains { $0.trimmingCharacters(in: .whitespaces) == "v1=\(hex)" }
    }

    /// The Standard Webhooks scheme: `v1,<base64 HMAC-SHA256 of "{id}.{timestamp}.{body}">`, separated by spaces.
    static func isStandardValid(_ arrival: Arrival, secret: String) -> Bool {
        guard let id = arrival.header("webhook-id"),
            let timestamp = arrival.header("webhook-timestamp"),
            let header = arrival.header("webhook-signature"), let key = key(secret)
        else { return false }
        let code = HMAC<SHA256>.authenticationCode(for: Array("\(id).\(timestamp).".utf8) + arrival.body, using: key)
        return header.split(separator: " ").contains { $0 == "v1,\(Data(code).base64EncodedString())" }
    }

    private static func key(_ secret: String) -> SymmetricKey? {
        guard secret.hasPrefix("whsec_"), let bytes = Data(base64Encoded: String(secret.dropFirst(6))),
            bytes.count == 32
        else { return nil }
        return SymmetricKey(data: bytes)
    }
}
