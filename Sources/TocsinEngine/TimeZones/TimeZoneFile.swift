import TocsinCore

/// A compiled file of the time zone database (RFC 8536, version 2 and later).
struct TimeZoneFile {
    enum Problem: Error {
        /// Not a file of that format, or one that ends too early.
        case malformed
        /// Version 1 knows no times after 2037; no database of this century is written in it alone.
        case tooOld
        /// The rule for the time after the last transition cannot be read.
        case unknownFooter(String)
    }

    /// The seconds that the rules cover, ``TimeZoneRules/years``.
    static let start = Civil.daysSinceEpoch(year: TimeZoneRules.years.lowerBound, month: 1, day: 1) * 86_400
    static let end = Civil.daysSinceEpoch(year: TimeZoneRules.years.upperBound, month: 1, day: 1) * 86_400

    private let initialOffset: Int
    private let transitions: [TimeZoneRules.Transition]
    private let footer: PosixTimeZone?

    init(_ bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        let old = try Header(&reader)
        guard old.version >= UInt8(ascii: "2") else { throw Problem.tooOld }
        // The same data with 32-bit times comes first, for old readers.
        try reader.skip(old.size(ofTime: 4))
        let header = try Header(&reader)

        let times = try (0..<header.timeCount).map { _ in try reader.signed(8) }
        let types = try (0..<header.timeCount).map { _ in Int(try reader.byte()) }
        let offsets = try (0..<header.typeCount).map { _ in
            let offset = Int(try reader.signed(4))
            try reader.skip(2)
            return offset
        }
        try reader.skip(header.size(ofTime: 8) - header.timeCount * 9 - header.typeCount * 6)
        guard let first = offsets.first, types.allSatisfy(offsets.indices.contains) else { throw Problem.malformed }
        initialOffset = first
        transitions = zip(times, types).map { .init(secondsSinceEpoch: $0, offsetSeconds: offsets[$1]) }

        let text = String(decoding: try reader.line(), as: UTF8.self)
        footer = text.isEmpty ? nil : PosixTimeZone(text)
        if !text.isEmpty, footer == nil { throw Problem.unknownFooter(text) }
    }

    /// What the file says about the years that matter.
    func rules(named name: String) -> TimeZoneRules {
        var all = transitions
        if let footer {
            let last = transitions.last?.secondsSinceEpoch ?? .min
            all += footer.transitions(in: TimeZoneRules.years).filter { $0.secondsSinceEpoch > last }
        }
        // A zone whose clocks never changed has no transition, only the rule for ever.
        let untouched = transitions.isEmpty ? footer?.standardOffset ?? initialOffset : initialOffset
        let before = all.filter { $0.secondsSinceEpoch <= Self.start }
        let initial = before.max { $0.secondsSinceEpoch < $1.secondsSinceEpoch }?.offsetSeconds ?? untouched
        return TimeZoneRules(
            name: name,
            initialOffsetSeconds: initial,
            transitions: all.filter { (Self.start + 1..<Self.end).contains($0.secondsSinceEpoch) }
        )
    }

    private struct Header {
        let version: UInt8
        let timeCount: Int
        let typeCount: Int
        private let others: (utc: Int, standard: Int, leap: Int, characters: Int)

        init(_ reader: inout ByteReader) throws {
            guard try reader.take(4) == Array("TZif".utf8) else { throw Problem.malformed }
            version = try reader.byte()
            try reader.skip(15)
            let utc = Int(try reader.signed(4))
            let standard = Int(try reader.signed(4))
            let leap = Int(try reader.signed(4))
            timeCount = Int(try reader.signed(4))
            typeCount = Int(try reader.signed(4))
            others = (utc, standard, leap, Int(try reader.signed(4)))
            guard [utc, standard, leap, timeCount, typeCount, others.characters].allSatisfy({ $0 >= 0 }) else {
                throw Problem.malformed
            }
        }

        /// How many bytes follow the header, if a time takes that many.
        func size(ofTime width: Int) -> Int {
            timeCount * (width + 1) + typeCount * 6 + others.characters + others.leap * (width + 4) + others.standard
                + others.utc
        }
    }
}

/// Reads big-endian numbers off the front of bytes, and throws rather than read past the end.
private struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func take(_ count: Int) throws -> [UInt8] {
        guard count >= 0, count <= rest.count else { throw TimeZoneFile.Problem.malformed }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func skip(_ count: Int) throws { _ = try take(count) }

    mutating func byte() throws -> UInt8 { try take(1)[0] }

    mutating func signed(_ width: Int) throws -> Int64 {
        let bytes = try take(width)
        let sign: Int64 = bytes[0] & 0x80 == 0 ? 0 : -1
        return bytes.reduce(sign) { $0 << 8 | Int64($1) }
    }

    /// What stands between two line feeds.
    mutating func line() throws -> [UInt8] {
        guard try byte() == 0x0A, let end = rest.firstIndex(of: 0x0A) else { throw TimeZoneFile.Problem.malformed }
        return Array(rest[..<end])
    }
}
