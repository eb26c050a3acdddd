/// Writes compact JSON, member by member, in exactly the order of the calls.
///
/// The wire forms of events have a fixed order of members, which no general encoder promises.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8]
    private var needsComma = false

    package init(reserving capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Writes an object whose members `body` writes.
    package mutating func object<E: Error>(_ body: (inout JSONWriter) throws(E) -> Void) throws(E) {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        try body(&self)
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    /// Writes an array whose elements `body` writes.
    package mutating func array<E: Error>(_ body: (inout JSONWriter) throws(E) -> Void) throws(E) {
        separate()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
        try body(&self)
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    /// Starts a member: the next value written is its value.
    package mutating func name(_ name: String) {
        separate()
        quoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Starts a member whose name was prepared.
    package mutating func name(_ name: JSONName) {
        separate()
        bytes.append(contentsOf: name.bytes)
        needsComma = false
    }

    package mutating func string(_ value: String) {
        separate()
        quoted(value)
        needsComma = true
    }

    package mutating func integer(_ value: Int64) { verbatim(String(value).utf8) }
    package mutating func bool(_ value: Bool) { verbatim((value ? "true" : "false").utf8) }
    package mutating func null() { verbatim("null".utf8) }

    /// Writes bytes that are already JSON.
    package mutating func verbatim(_ json: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
        needsComma = true
    }

    package mutating func member(_ name: String, _ value: String) {
        self.name(name)
        string(value)
    }

    /// Writes a member only where its fact exists: what does not exist is left out, never null (decisions §8).
    package mutating func member(_ name: String, ifPresent value: String?) {
        if let value { member(name, value) }
    }

    package mutating func member(_ name: String, _ value: Int64) {
        self.name(name)
        integer(value)
    }

    package mutating func member(_ name: String, _ value: Int) { member(name, Int64(value)) }

    package mutating func member(_ name: String, _ value: Bool) {
        self.name(name)
        bool(value)
    }

    package mutating func member(_ name: String, _ json: JSON) {
        self.name(name)
        value(json)
    }

    package mutating func value(_ json: JSON) {
        switch json {
        case .null: null()
        case .bool(let value): bool(value)
        case .integer(let value): integer(value)
        case .decimal(let text): verbatim(text.utf8)
        case .string(let text): string(text)
        case .array(let elements): array { for element in elements { $0.value(element) } }
        case .object(let object):
            self.object { writer in
                // By index, because a loop over elements would copy each.
                for index in object.members.indices {
                    writer.name(object.members[index].name)
                    writer.value(object.members[index].value)
                }
            }
        }
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func quoted(_ value: String) {
        bytes.append(UInt8(ascii: "\""))
        // Nearly all texts are copied whole: byte by byte this was the costliest function of a report.
        let isWritten = value.utf8.withContiguousStorageIfAvailable { text in
            guard Self.isPlain(UnsafeRawBufferPointer(text)) else { return false }
            bytes.append(contentsOf: text)
            return true
        }
        if isWritten != true { escape(value) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Whether nothing of a text has to be escaped; eight bytes are looked at together.
    private static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        var start = 0
        while start + 8 <= text.count {
            let eight = text.loadUnaligned(fromByteOffset: start, as: UInt64.self)
            // A byte below 0x20 borrows from its top bit, and so does one that equals what it is compared with.
            var found = (eight &- ones &* 0x20) & ~eight
            let (quote, backslash, delete) = (eight ^ (ones &* 0x22), eight ^ (ones &* 0x5C), eight ^ (ones &* 0x7F))
            found |= (quote &- ones) & ~quote
            found |= (backslash &- ones) & ~backslash
            found |= (delete &- ones) & ~delete
            if found & tops != 0 { return false }
            start += 8
        }
        return text[start...].allSatisfy { $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C && $0 != 0x7F }
    }

    private mutating func escape(_ value: String) {
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: (byte < 0x10 ? "\\u000" : "\\u00").utf8)
                bytes.append(contentsOf: digits.utf8)
            default: bytes.append(byte)
            }
        }
    }
}

/// A member's name as it is written, quotes and colon included: prepared once for a name that is written often.
package struct JSONName: Sendable {
    fileprivate let bytes: [UInt8]

    package init(_ name: String) {
        var writer = JSONWriter(reserving: name.utf8.count + 3)
        writer.name(name)
        bytes = writer.bytes
    }
}
