/// An id without its prefix in 16 bytes; a million of them as texts would take ten times as much.
///
/// What follows the prefix of an id of ours is 128 bits in base 32. Other ids (a test's, another program's) are kept as
/// texts beside the table, and are known by their number there.
struct CompactID: Hashable, Sendable {
    fileprivate var high: UInt64
    fileprivate var low: UInt64

    static let none = CompactID(high: 0, low: 0)

    /// Made in the year 10889: no id of ours is.
    fileprivate static let foreign = UInt64.max
}

/// Turns ids into their compact form and back.
struct CompactIDs: Sendable {
    private var foreignTexts: [String] = []
    private var foreignNumbers: [String: UInt64] = [:]

    /// The compact form; a foreign id gets a number when it is seen for the first time.
    mutating func compact<Noun>(_ id: ID<Noun>) -> CompactID {
        if let found = find(id) { return found }
        let number = UInt64(foreignTexts.count)
        foreignTexts.append(id.text)
        foreignNumbers[id.text] = number
        return CompactID(high: CompactID.foreign, low: number)
    }

    /// The compact form; none for a foreign id that was never seen.
    func find<Noun>(_ id: ID<Noun>) -> CompactID? {
        if let own = CompactID(bodyOf: id) { return own }
        return foreignNumbers[id.text].map { CompactID(high: CompactID.foreign, low: $0) }
    }

    func id<Noun>(_ compact: CompactID) -> ID<Noun> {
        if compact.high == CompactID.foreign { return ID(stored: foreignTexts[Int(compact.low)]) }
        return compact.id()
    }
}

extension CompactID {
    /// Time (48 bits) in 10 characters, then randomness (80 bits) in 16, as ``ID/init(at:random:)`` writes them.
    private static let timeCharacters = 10
    private static let bodyLength = 26

    fileprivate init?<Noun>(bodyOf id: ID<Noun>) {
        let bytes = id.text.utf8
        let prefix = Noun.prefix.utf8.count
        guard bytes.count == prefix + Self.bodyLength else { return nil }
        var time: UInt64 = 0
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.dropFirst(prefix).enumerated() {
            guard let digit = Base32.value(of: byte) else { return nil }
            switch index {
            case 0..<Self.timeCharacters: time = time << 5 | digit
            case Self.timeCharacters..<18: high = high << 5 | digit
            default: low = low << 5 | digit
            }
        }
        // The first of the ten characters carries three bits only.
        guard time >> 48 == 0 else { return nil }
        self.init(high: time << 16 | high >> 24, low: high << 40 | low)
        if self.high == Self.foreign { return nil }
    }

    fileprivate func id<Noun>() -> ID<Noun> {
        let time = Instant(millisecondsSinceEpoch: Int64(high >> 16))
        return ID(at: time, random: (high: UInt16(truncatingIfNeeded: high), low: low))
    }
}

/// Crockford's base 32, in small letters.
private enum Base32 {
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: .max, count: 256)
        for (value, character) in "0123456789abcdefghjkmnpqrstvwxyz".utf8.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        return values
    }()

    static func value(of character: UInt8) -> UInt64? {
        let value = values[Int(character)]
        return value == .max ? nil : UInt64(value)
    }
}
