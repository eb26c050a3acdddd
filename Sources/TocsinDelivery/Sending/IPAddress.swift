import NIOCore

/// An IPv4 or IPv6 address as a number, so that it can be compared with address blocks.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    package enum Family: Hashable, Sendable {
        case v4
        case v6
    }

    package let family: Family
    /// The address in host order; an IPv4 address fills the low 32 bits.
    package let bits: UInt128

    package init(v4 bits: UInt32) {
        self.family = .v4
        self.bits = UInt128(bits)
    }

    package init(v6 bits: UInt128) {
        self.family = .v6
        self.bits = bits
    }

    /// Takes 4 or 16 bytes in network order; anything else is nil.
    package init?(packed bytes: some Collection<UInt8>) {
        let bits = bytes.reduce(into: UInt128(0)) { $0 = $0 << 8 | UInt128($1) }
        switch bytes.count {
        case 4: self.init(v4: UInt32(truncatingIfNeeded: bits))
        case 16: self.init(v6: bits)
        default: return nil
        }
    }

    /// Reads the one canonical way to write an address: four decimal parts without leading zeros, or RFC 4291 text.
    ///
    /// Short, octal and hexadecimal IPv4 forms, brackets and zone ids are nil.
    package init?(_ text: String) {
        if text.contains(":") {
            guard let bits = Self.parseV6(text) else { return nil }
            self.init(v6: bits)
        } else {
            guard let bits = Self.parseV4(text[...]) else { return nil }
            self.init(v4: bits)
        }
    }

    private static func parseV4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            let digits = part.utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
                digits.count == 1 || digits.first != 0x30, let octet = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(octet)
        }
        return bits
    }

    private static func parseV6(_ text: String) -> UInt128? {
        var groups: [UInt16] = []
        var gap: Int?
        var rest = text[...]
        if rest.hasPrefix("::") {
            gap = 0
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            let part = rest[..<end]
            if end == rest.endIndex, part.contains(".") {
                guard let v4 = parseV4(part) else { return nil }
                groups += [UInt16(v4 >> 16), UInt16(truncatingIfNeeded: v4)]
                break
            }
            guard (1...4).contains(part.utf8.count), part.utf8.first != 0x2B, part.utf8.first != 0x2D,
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
            if end == rest.endIndex { break }
            rest = rest[rest.index(after: end)...]
            if rest.first == ":" {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        return groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// The bytes in network order.
    package var packed: [UInt8] {
        let count = family == .v4 ? 4 : 16
        return (0..<count).map { UInt8(truncatingIfNeeded: bits >> (8 * (count - 1 - $0))) }
    }

    package var description: String {
        switch family {
        case .v4: packed.map(String.init).joined(separator: ".")
        case .v6: (try? socketAddress(port: 0).ipAddress) ?? String(bits, radix: 16)
        }
    }

    package func socketAddress(port: Int) throws -> SocketAddress {
        try SocketAddress(packedIPAddress: ByteBuffer(bytes: packed), port: port)
    }

    /// `ip:port`, with brackets around an IPv6 address.
    package func text(port: Int) -> String {
        switch family {
        case .v4: "\(self):\(port)"
        case .v6: "[\(self)]:\(port)"
        }
    }
}
