/// Writes the questions and reads the answers of DNS (RFC 1035), as far as host names and addresses go.
///
/// An answer is written by whoever owns the name, so it is read as a hostile text: every length is checked, pointers may
/// only lead backwards, and nothing is read twice.
enum DNSMessage {
    enum RecordType: UInt16, CaseIterable, Sendable {
        case a = 1
        case aaaa = 28

        var addressLength: Int {
            switch self {
            case .a: 4
            case .aaaa: 16
            }
        }
    }

    /// What an answer says about one question.
    enum Answer: Hashable, Sendable {
        /// In the answer's order; a name that exists without such an address has none.
        case addresses([IPAddress])
        case noSuchName
        /// The answer did not fit a datagram: ask again over a connection.
        case truncated
        /// The server could not or would not answer; its response code.
        case refused(UInt8)
    }

    /// The header and one question; every message starts with so many bytes at least.
    static let headerLength = 12
    /// What fits a datagram without fragments on nearly every path (the DNS flag day's figure), told in EDNS.
    static let datagramMax = 1232
    /// Aliases that are followed; honest zones have one to four.
    static let aliasesMax = 16

    private static let classIN: UInt16 = 1
    private static let typeCNAME: UInt16 = 5
    private static let typeOPT: UInt16 = 41

    /// A recursive question with EDNS; nil if the name cannot be asked for.
    static func query(id: UInt16, name: String, type: RecordType) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.append(number: id)
        bytes.append(number: 0x0100)
        for count: UInt16 in [1, 0, 0, 1] { bytes.append(number: count) }
        for label in name.split(separator: ".", omittingEmptySubsequences: false) {
            guard (1...63).contains(label.utf8.count) else { return nil }
            bytes.append(UInt8(label.utf8.count))
            bytes += label.utf8
        }
        guard bytes.count - headerLength <= 254 else { return nil }
        bytes.append(0)
        bytes.append(number: type.rawValue)
        bytes.append(number: classIN)
        bytes.append(0)
        bytes.append(number: typeOPT)
        bytes.append(number: UInt16(datagramMax))
        bytes += [0, 0, 0, 0, 0, 0]
        return bytes
    }

    /// Reads an answer; nil if it is none to this question, or is broken.
    static func answer(_ bytes: [UInt8], to id: UInt16, name: String, type: RecordType) -> Answer? {
        var reader = Reader(bytes)
        guard reader.number() == id, let flags = reader.number(), flags & 0x8000 != 0, let questions = reader.number(),
            let answers = reader.number(), reader.number() != nil, reader.number() != nil
        else { return nil }
        guard questions == 1, reader.name() == name.lowercased(), reader.number() == type.rawValue,
            reader.number() == classIN
        else { return nil }
        if flags & 0x0200 != 0 { return .truncated }
        switch UInt8(flags & 0xF) {
        case 0: break
        case 3: return .noSuchName
        case let code: return .refused(code)
        }
        var aliases: [String: String] = [:]
        var addresses: [String: [IPAddress]] = [:]
        for _ in 0..<answers {
            guard let owner = reader.name(), let recordType = reader.number(), let recordClass = reader.number(),
                reader.skip(4), let length = reader.number().map(Int.init)
            else { return nil }
            let next = reader.position + length
            if recordClass == classIN, recordType == typeCNAME {
                guard let target = reader.name(), reader.position == next else { return nil }
                aliases[owner] = target
            } else if recordClass == classIN, recordType == type.rawValue {
                guard length == type.addressLength, let packed = reader.bytes(length),
                    let address = IPAddress(packed: packed)
                else { return nil }
                addresses[owner, default: []].append(address)
            } else {
                guard reader.skip(length) else { return nil }
            }
        }
        return .addresses(found(from: name.lowercased(), aliases, addresses))
    }

    /// Follows aliases from the name that was asked for, so that no other record of the answer counts.
    private static func found(
        from name: String,
        _ aliases: [String: String],
        _ addresses: [String: [IPAddress]]
    ) -> [IPAddress] {
        var name = name
        for _ in 0...aliasesMax {
            if let found = addresses[name] { return found }
            guard let next = aliases[name] else { return [] }
            name = next
        }
        return []
    }

    private struct Reader {
        private let all: [UInt8]
        private(set) var position = 0

        init(_ bytes: [UInt8]) { all = bytes }

        mutating func number() -> UInt16? {
            guard position + 2 <= all.count else { return nil }
            defer { position += 2 }
            return UInt16(all[position]) << 8 | UInt16(all[position + 1])
        }

        mutating func skip(_ count: Int) -> Bool {
            guard position + count <= all.count else { return false }
            position += count
            return true
        }

        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard position + count <= all.count else { return nil }
            defer { position += count }
            return all[position..<position + count]
        }

        /// A name in lower case without its last dot; a pointer must lead to before where it was met (RFC 1035 §4.1.4).
        mutating func name() -> String? {
            var labels: [String] = []
            var length = 0
            var at = position
            var end: Int?
            var bound = position
            while at < all.count {
                let byte = Int(all[at])
                if byte == 0 {
                    position = end ?? at + 1
                    return labels.joined(separator: ".")
                }
                if byte & 0xC0 == 0xC0 {
                    guard at + 1 < all.count else { return nil }
                    let target = (byte & 0x3F) << 8 | Int(all[at + 1])
                    guard target < bound else { return nil }
                    end = end ?? at + 2
                    bound = target
                    at = target
                    continue
                }
                guard byte < 0x40, at + 1 + byte <= all.count else { return nil }
                length += byte + 1
                guard length <= 254 else { return nil }
                labels.append(String(decoding: all[at + 1..<at + 1 + byte], as: UTF8.self).lowercased())
                at += 1 + byte
            }
            return nil
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(number: UInt16) {
        append(UInt8(number >> 8))
        append(UInt8(truncatingIfNeeded: number))
    }
}
