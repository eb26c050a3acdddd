/// An e-mail address that can stand in an SMTP command and in a header as it is: no character of it means anything there.
///
/// Quoted local parts, comments and international addresses are left out: hardly any mailbox has them, and each is a way
/// to smuggle something past a reader.
package struct MailAddress: Hashable, Sendable, CustomStringConvertible {
    /// RFC 5321, 4.5.3.1.
    private static let lengthMax = 254
    private static let localPartLengthMax = 64
    private static let labelLengthMax = 63

    package let text: String
    /// What follows the `@`.
    let domain: String

    /// Reads an address strictly; nil if it is not one.
    package init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= Self.lengthMax, parts[0].utf8.count <= Self.localPartLengthMax,
            Self.dotSeparated(parts[0]).allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isAtomic) }),
            Self.dotSeparated(parts[1]).allSatisfy(Self.isLabel)
        else { return nil }
        self.text = text
        domain = String(parts[1])
    }

    package var description: String { text }

    private static func dotSeparated(_ part: Substring) -> [Substring.UTF8View.SubSequence] {
        part.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    }

    private static func isLabel(_ label: Substring.UTF8View.SubSequence) -> Bool {
        (1...labelLengthMax).contains(label.count) && label.first != UInt8(ascii: "-")
            && label.last != UInt8(ascii: "-") && label.allSatisfy { $0.isAlphanumeric || $0 == UInt8(ascii: "-") }
    }

    private static let specials = Set("!#$%&'*+/=?^_`{|}~-".utf8)

    private static func isAtomic(_ byte: UInt8) -> Bool { byte.isAlphanumeric || specials.contains(byte) }
}

extension UInt8 {
    fileprivate var isAlphanumeric: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}

/// Who mail comes from: an address, and the name that is shown beside it.
package struct MailSender: Hashable, Sendable {
    package let name: String
    package let address: MailAddress

    /// Reads `alarms@example.com` or `Example Alarms <alarms@example.com>`; nil if it is neither.
    package init?(_ text: String) {
        guard text.hasSuffix(">"), let open = text.lastIndex(of: "<") else {
            guard let address = MailAddress(text) else { return nil }
            (self.name, self.address) = ("Tocsin", address)
            return
        }
        guard let address = MailAddress(String(text[text.index(after: open)...].dropLast())) else { return nil }
        let name = text[..<open].drop { $0 == " " }
        self.name = name.isEmpty ? "Tocsin" : String(name.reversed().drop { $0 == " " }.reversed())
        self.address = address
    }
}
