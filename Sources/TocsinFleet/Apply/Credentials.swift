import Foundation
import TocsinEngine

/// New credentials, each from 32 random bytes; shown once and kept as hashes or sealed (decisions §2, §8, §11).
package enum Credentials {
    package static func apiKey(_ randomness: any Randomness) -> String { "tcs_live_" + token(randomness) }
    package static func clientSecret(_ randomness: any Randomness) -> String { "tcs_secret_" + token(randomness) }
    package static func adminToken(_ randomness: any Randomness) -> String { "tcs_admin_" + token(randomness) }

    /// Public, so that it need only be unique.
    package static func clientID(_ randomness: any Randomness) -> String {
        "tcs_client_" + randomness.bytes(12).hexadecimal
    }

    /// 43 letters, digits, `-` and `_`: base64url without padding.
    private static func token(_ randomness: any Randomness) -> String {
        Data(randomness.bytes(32)).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
