/// Why a text is not JSON that we accept.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case malformed
        case invalidUTF8
        case duplicateMember
        case tooDeep
        case nulCharacter
    }

    package var code: Code
    /// The byte at which it was noticed, counted from 0.
    package var offset: Int
    /// What was wrong there, as half a sentence.
    package var reason: String

    package var description: String { "\(reason) at byte \(offset)" }
}

/// A strict RFC 8259 parser for bodies that strangers send.
///
/// Stricter than the RFC asks: a member name that occurs twice, U+0000, and nesting beyond ``maximumDepth`` are refused,
/// because two readers of such a text may understand it differently or fail on it later.
package struct JSONParser {
    /// Deeper than any document of ours, and shallow enough that no stack is at risk.
    package static let maximumDepth = 32

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Parses one complete text; anything but white space after it is an error.
    package static func parse(_ text: [UInt8]) throws(JSONError) -> JSON {
        let result = text.withUnsafeBufferPointer { parse(buffer: $0) }
        return try result.get()
    }

    /// Parses one complete text; anything but white space after it is an error.
    package static func parse(_ text: String) throws(JSONError) -> JSON { try parse(Array(text.utf8)) }

    private static func parse(buffer: UnsafeBufferPointer<UInt8>) -> Result<JSON, JSONError> {
        var parser = JSONParser(buffer)
        do throws(JSONError) {
            let value = try parser.value(depth: 0)
            parser.skipWhiteSpace()
            if parser.position < buffer.count { throw parser.failure(.malformed, "unexpected text after the value") }
            return .success(value)
        } catch {
            return .failure(error)
        }
    }

    private func failure(_ code: JSONError.Code, _ reason: String) -> JSONError {
        JSONError(code: code, offset: position, reason: reason)
    }

    private mutating func skipWhiteSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSON {
        skipWhiteSpace()
        guard position < bytes.count else { throw failure(.malformed, "the text ends where a value should be") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure(.malformed, "unexpected character")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let length = word.utf8CodeUnitCount
        guard position + length <= bytes.count else { throw failure(.malformed, "unexpected character") }
        for index in 0..<length where bytes[position + index] != word.utf8Start[index] {
            throw failure(.malformed, "unexpected character")
        }
        position += length
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        try enter(depth: depth)
        var members: [(name: String, value: JSON)] = []
        var seen: Set<String> = []
        skipWhiteSpace()
        if take(UInt8(ascii: "}")) { return .object(JSONObject()) }
        while true {
            skipWhiteSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure(.malformed, "a member name in quotes is missing")
            }
            let name = try string()
            // A handful of members is compared one by one; only a large object pays for a set.
            let isDuplicate: Bool
            if members.count < 16 {
                isDuplicate = members.contains { $0.name == name }
            } else {
                if seen.isEmpty { seen = Set(members.map(\.name)) }
                isDuplicate = !seen.insert(name).inserted
            }
            if isDuplicate { throw failure(.duplicateMember, "the member \"\(name)\" occurs twice") }
            skipWhiteSpace()
            guard take(UInt8(ascii: ":")) else { throw failure(.malformed, "a colon is missing") }
            members.append((name, try value(depth: depth + 1)))
            skipWhiteSpace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "}")) { return .object(JSONObject(distinct: members)) }
            throw failure(.malformed, "a comma or a closing brace is missing")
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        try enter(depth: depth)
        var elements: [JSON] = []
        skipWhiteSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipWhiteSpace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "]")) { return .array(elements) }
            throw failure(.malformed, "a comma or a closing bracket is missing")
        }
    }

    /// Takes the opening brace or bracket of a container that `depth` others enclose.
    private mutating func enter(depth: Int) throws(JSONError) {
        if depth >= Self.maximumDepth { throw failure(.tooDeep, "nested deeper than \(Self.maximumDepth) levels") }
        position += 1
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func number() throws(JSONError) -> JSON {
        let start = position
        var isInteger = true
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        return .decimal(text)
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] &- 0x30 < 10 { position += 1 }
        if position == start { throw failure(.malformed, "a digit is missing") }
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                let slice = bytes[start..<position]
                // ASCII is UTF-8 as it stands, and the general check costs several times as much as the rest.
                if slice.allSatisfy({ $0 < 0x80 }) {
                    return String(decoding: UnsafeBufferPointer(rebasing: slice), as: UTF8.self)
                }
                return try decoded(slice)
            }
            if byte == UInt8(ascii: "\\") { return try stringWithEscapes(from: start) }
            if byte < 0x20 { throw failure(.malformed, "a control character stands in a string unescaped") }
            position += 1
        }
        throw failure(.malformed, "a string does not end")
    }

    private mutating func stringWithEscapes(from start: Int) throws(JSONError) -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return try decoded(text[...])
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure(.malformed, "a control character stands in a string unescaped")
            default: text.append(byte)
            }
        }
        throw failure(.malformed, "a string does not end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard position < bytes.count else { throw failure(.malformed, "a string does not end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try escapedScalar())).utf8)
        default: throw failure(.malformed, "an unknown escape")
        }
    }

    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
        let first = try hexadecimal()
        if first == 0 { throw failure(.nulCharacter, "the character U+0000 is not allowed") }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw failure(.invalidUTF8, "half a surrogate pair")
        }
        let second = try hexadecimal()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw failure(.invalidUTF8, "half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue,
                bytes[position] < 0x80
            else { throw failure(.malformed, "four hexadecimal digits are missing") }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    private func decoded(_ slice: some Collection<UInt8>) throws(JSONError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw failure(.invalidUTF8, "bytes that are not UTF-8")
        }
        return text
    }
}
