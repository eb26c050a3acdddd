import Crypto
import Foundation

/// Checks a webhook's two signatures as a receiver would who knows only the documentation (decisions §8).
///
/// It shares no code with the sender on purpose: an error of the sender's must not cancel itself out here.
package struct SignatureCheck: Sendable {
    private let key: SymmetricKey

    /// Takes a secret as it was shown, `whsec_<base64 of 32 bytes>`.
    package init(secret: String) throws {
        guard secret.hasPrefix("whsec_"), let bytes = Data(base64Encoded: String(secret.dropFirst(6))) else {
            throw LabError("\"\(secret.prefix(9))…\" is not a webhook secret (whsec_ and base64)")
        }
        key = SymmetricKey(data: bytes)
    }

    /// What is wrong with the request's signatures; nothing if both are right.
    func problem(head: UnsafeRawBufferPointer, body: some DataProtocol) -> String? {
        guard let id = RequestScanner.header("webhook-id", in: head),
            let time = RequestScanner.header("webhook-timestamp", in: head),
            let standard = RequestScanner.header("webhook-signature", in: head)
        else { return "a Standard Webhooks header is missing" }
        guard let platformTime = RequestScanner.header("x-chekt-timestamp", in: head),
            let platform = RequestScanner.header("x-chekt-signature", in: head)
        else { return "a platform signature header is missing" }
        let base64 = Data(code("\(id).\(time).", body)).base64EncodedString()
        guard standard.split(separator: " ").contains(where: { $0 == "v1,\(base64)" }) else {
            return "webhook-signature does not match"
        }
        let hexadecimal = code("\(platformTime).", body).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        let candidates = platform.split(separator: ",").map { $0.drop { $0 == " " } }
        guard candidates.contains(where: { $0 == "v1=\(hexadecimal)" }) else {
            return "X-CHeKT-Signature does not match"
        }
        return nil
    }

    private func code(_ prefix: String, _ body: some DataProtocol) -> HMAC<SHA256>.MAC {
        var hmac = HMAC<SHA256>(key: key)
        hmac.update(data: Data(prefix.utf8))
        hmac.update(data: body)
        return hmac.finalize()
    }
}
