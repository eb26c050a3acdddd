import TocsinJSON

/// Name and value pairs as a query or a form writes them, with the escapes undone.
package struct FormFields: Sendable {
    package let pairs: [(name: String, value: String)]

    /// Reads `name=value&…`; a plus is a space in a form, but stays one in a query, because times contain it.
    ///
    /// Throws 400 for escapes that are not UTF-8, and for a name that occurs twice.
    package init(_ text: some StringProtocol, plusIsSpace: Bool) throws(APIError) {
        var pairs: [(name: String, value: String)] = []
        for part in text.split(separator: "&") {
            let split = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try Self.decoded(split[0], plusIsSpace)
            guard !pairs.contains(where: { $0.name == name }) else {
                throw APIError(.malformedRequest, "The parameter \"\(name)\" occurs twice. Send it once.", field: name)
            }
            pairs.append((name, split.count > 1 ? try Self.decoded(split[1], plusIsSpace) : ""))
        }
        self.pairs = pairs
    }

    package subscript(_ name: String) -> String? { pairs.first { $0.name == name }?.value }

    private static func decoded(_ text: some StringProtocol, _ plusIsSpace: Bool) throws(APIError) -> String {
        guard let text = percentDecoded(text, plusIsSpace: plusIsSpace) else {
            throw APIError(
                .malformedRequest,
                "The parameters contain escapes that are not UTF-8 text. Encode them anew."
            )
        }
        return text
    }
}

/// The text with `%XX` undone; none if that is not UTF-8 or holds U+0000.
package func percentDecoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
    guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") || $0 == 0 }) else {
        return String(text)
    }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            guard rest.count >= 2, let high = hexadecimal(rest.removeFirst()), let low = hexadecimal(rest.removeFirst())
            else { return nil }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
        default: bytes.append(byte)
        }
    }
    return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
}

private func hexadecimal(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
}
