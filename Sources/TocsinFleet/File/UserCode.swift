import TocsinCore
import TocsinEngine

/// What a person types at a keypad: 4 to 8 digits, kept as a keyed hash only (design, arming: people).
package enum UserCode {
    package static let length = 4...8

    /// One sentence for every reason, so that nobody learns from it which codes exist.
    package static let refusal =
        "user_code_unacceptable: choose another code of 4 to 8 digits that nobody could guess"

    /// Whether the code has the right form and is none of those that are tried first.
    package static func isAcceptable(_ code: String) -> Bool {
        let digits = code.utf8.map { Int($0) - 0x30 }
        guard length.contains(digits.count), digits.allSatisfy({ (0...9).contains($0) }) else { return false }
        // 0000, 1234, 9876, 7890: every digit is the same step from the one before it.
        let steps = Set(zip(digits, digits.dropFirst()).map { ($1 - $0 + 10) % 10 })
        return !(steps.count == 1 && [0, 1, 9].contains(steps.first))
    }

    /// The hash that the ledger keeps, tied to the site.
    package static func hash(_ code: String, site: SiteID, vault: Vault) -> String {
        vault.keyedHash(code.utf8, context: "user-code/\(site)").hexadecimal
    }
}

extension [UInt8] {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(count * 2)
        for byte in self { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
