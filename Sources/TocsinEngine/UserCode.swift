import TocsinCore
import TocsinJSON

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

    /// What is kept of a user's code: its hash, and its length for profiles that ask for longer ones.
    package struct Members: Sendable {
        package var hash: String
        package var digits: String

        package static let normal = Members(hash: "code_hash", digits: "code_digits")
        package static let duress = Members(hash: "duress_code_hash", digits: "duress_code_digits")
        package static let all = [normal, duress]
    }

    /// The names of users with a code that is too short for the profile, or that was saved before lengths were kept.
    package static func holders(among users: [Fixture], tooShortFor profile: ComplianceProfile) -> [String] {
        users.filter { user in
            Members.all.contains { members in
                guard user.settings[members.hash] != nil else { return false }
                return (user.settings.integer(members.digits) ?? 0) < profile.codeDigits.lowerBound
            }
        }.map(\.name)
    }

    /// Says whose codes are too short, and what to do.
    package static func tooShort(_ names: [String], for profile: ComplianceProfile) -> String {
        let shown = names.prefix(namesShown).joined(separator: ", ")
        let more = names.count > namesShown ? " and \(names.count - namesShown) more" : ""
        return "a code of \(shown)\(more) has fewer than \(profile.codeDigits.lowerBound) digits, or its length is not "
            + "known any more. Give them new codes first"
    }

    /// More names than this make no message clearer.
    private static let namesShown = 10

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
