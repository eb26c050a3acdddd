/// What a ledger holds that cannot be read: damage, or a newer program's form.
package struct PackingError: Error, CustomStringConvertible {
    package let description: String
}

/// Builds the bytes of a row that is kept as a whole: numbers in groups of seven bits, texts behind their lengths.
struct PackedWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Changes bytes in their places.
    mutating func patch(_ body: (inout [UInt8]) -> Bool) -> Bool { body(&bytes) }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    mutating func append(count: Int) {
        var rest = UInt64(count)
        while rest > 127 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            append(count: utf8.count)
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func append(_ blob: [UInt8]) {
        append(count: blob.count)
        bytes.append(contentsOf: blob)
    }
}

/// Reads what ``PackedWriter`` has built; whatever does not fit is damage, and never read beyond.
struct PackedReader {
    private let bytes: [UInt8]
    private var index: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        index = 0
    }

    var isAtEnd: Bool { index >= bytes.count }

    mutating func byte() throws(PackingError) -> UInt8 {
        guard index < bytes.count else { throw Self.tooShort }
        defer { index += 1 }
        return bytes[index]
    }

    mutating func count() throws(PackingError) -> Int {
        var (value, shift) = (UInt64(0), UInt64(0))
        while true {
            let byte = try byte()
            value |= UInt64(byte & 127) << shift
            if byte < 128 { break }
            shift += 7
            guard shift < 35 else { throw PackingError(description: "a length in the ledger is absurd") }
        }
        return Int(value)
    }

    /// Where the next text or blob stands.
    mutating func range() throws(PackingError) -> Range<Int> {
        let count = try count()
        guard count <= bytes.count - index else { throw Self.tooShort }
        defer { index += count }
        return index..<index + count
    }

    mutating func text() throws(PackingError) -> String {
        let range = try range()
        return bytes.withUnsafeBufferPointer { String(decoding: $0[range], as: UTF8.self) }
    }

    mutating func blob() throws(PackingError) -> [UInt8] { Array(bytes[try range()]) }

    private static let tooShort = PackingError(description: "a row of the ledger ends too early")
}
