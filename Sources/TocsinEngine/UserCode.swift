import TocsinCore

/// What a person types at a keypad: 4 to 8 digits, kept as a keyed hash only (design, arming: people).
package enum UserCode {
    /// One sentence for every reason, so that nobody learns from it which codes exist.
    package static func refusal(digits: ClosedRange<Int> = 4...8) -> String {
        "user_code_unacceptable: choose another code of \(digits.lowerBound) to \(digits.upperBound) digits that nobody "
            + "could guess"
    }

    /// Whether the code has as many digits as the site's profile asks for, and is none of those that are tried first.
    package static func isAcceptable(_ code: String, digits length: ClosedRange<Int> = 4...8) -> Bool {
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

/// A code that somebody would like to have, as far as it must be compared with those of the site.
///
/// Only hashes are known of those, so that the code's neighbours are hashed too and looked for.
package struct WantedCode: Sendable {
    package let hash: String
    /// Of the codes that lie one below and one above: what a slip of the finger makes of it.
    private let neighbours: [String]
    private let isWellFormed: Bool
    private let isDuress: Bool

    package init(_ code: String, isDuress: Bool, at site: SiteID, digits: ClosedRange<Int>, vault: Vault) {
        hash = UserCode.hash(code, site: site, vault: vault)
        neighbours = Self.neighbours(of: code).map { UserCode.hash($0, site: site, vault: vault) }
        isWellFormed = UserCode.isAcceptable(code, digits: digits)
        self.isDuress = isDuress
    }

    /// Judges the code: nobody may hold it, and no slip may make a duress code of a normal one or the reverse.
    ///
    /// Everything is looked for whatever was found before, so that the time tells no reason.
    ///
    /// - Parameter holder: Whether a code with this hash is one for duress; none if nobody holds it.
    /// - Returns: Whether the code may be had.
    package func isAcceptable(among holder: (String) throws -> Bool?) rethrows -> Bool {
        var isAcceptable = isWellFormed
        if try holder(hash) != nil { isAcceptable = false }
        for neighbour in neighbours {
            if let other = try holder(neighbour), isDuress || other { isAcceptable = false }
        }
        return isAcceptable
    }

    private static func neighbours(of code: String) -> [String] {
        guard code.utf8.count <= 18, let number = Int(code), number >= 0 else { return [] }
        return [number - 1, number + 1].filter { $0 >= 0 }.map(String.init)
            .filter { $0.utf8.count <= code.utf8.count }
            .map { String(repeating: "0", count: code.utf8.count - $0.utf8.count) + $0 }
    }
}
