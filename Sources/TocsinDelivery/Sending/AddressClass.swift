/// What an address is for, as far as it matters to somebody who may send to the public internet only.
///
/// The blocks are those of IANA's special-purpose registries. IPv6 is judged the safe way round: what lies outside the
/// global unicast block 2000::/3 and is not named below is `reserved`.
package enum AddressClass: Hashable, Sendable {
    case publicInternet
    case loopback
    case privateNetwork
    /// Includes the metadata services of cloud providers at 169.254.169.254.
    case linkLocal
    /// Metadata and host services of cloud providers that sit outside the link-local block.
    case metadata
    case carrierNAT
    case multicast
    case unspecified
    case documentation
    case benchmark
    case reserved
    case siteLocal
    case discard
    case teredo
    /// An IPv6 form that stands for an IPv4 address: mapped, compatible, translated, NAT64, 6to4 or ISATAP.
    case embedded(UInt32)

    package init(of address: IPAddress) {
        switch address.family {
        case .v4: self = Block.find(address.bits, in: Block.v4) ?? .publicInternet
        case .v6: self = Self.classOfV6(address.bits)
        }
    }

    private static func classOfV6(_ bits: UInt128) -> AddressClass {
        if let named = Block.find(bits, in: Block.v6) { return named }
        if Block.embedding.contains(where: { $0.contains(bits) }) { return .embedded(UInt32(truncatingIfNeeded: bits)) }
        if Block.sixToFour.contains(bits) { return .embedded(UInt32(truncatingIfNeeded: bits >> 80)) }
        if Block.isISATAP(bits) { return .embedded(UInt32(truncatingIfNeeded: bits)) }
        return Block.globalUnicast.contains(bits) ? .publicInternet : .reserved
    }

    /// How a sentence names it: "the host resolves to …".
    package var noun: String {
        switch self {
        case .publicInternet: "a public address"
        case .loopback: "a loopback address"
        case .privateNetwork: "a private address"
        case .linkLocal: "a link-local address"
        case .metadata: "a cloud metadata address"
        case .carrierNAT: "a carrier-grade NAT address"
        case .multicast: "a multicast address"
        case .unspecified: "an unspecified address"
        case .documentation: "an address reserved for documentation"
        case .benchmark: "an address reserved for benchmarks"
        case .reserved: "a reserved address"
        case .siteLocal: "a site-local address"
        case .discard: "a discard-only address"
        case .teredo: "a Teredo address"
        case .embedded: "an IPv6 form of an IPv4 address"
        }
    }
}

/// A run of addresses that share their first bits.
private struct Block: Sendable {
    let first: UInt128
    let shift: Int
    let means: AddressClass

    init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, prefix: Int, _ means: AddressClass) {
        self.first = UInt128(a) << 24 | UInt128(b) << 16 | UInt128(c) << 8 | UInt128(d)
        self.shift = 32 - prefix
        self.means = means
    }

    /// Takes the leading 16-bit groups; the rest are zero.
    init(_ groups: [UInt16], prefix: Int, _ means: AddressClass) {
        let lead = groups.reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
        self.first = lead << (16 * (8 - groups.count))
        self.shift = 128 - prefix
        self.means = means
    }

    func contains(_ bits: UInt128) -> Bool {
        bits >> shift == first >> shift
    }

    /// The first match counts: put the narrower block first.
    static func find(_ bits: UInt128, in blocks: [Block]) -> AddressClass? {
        blocks.first { $0.contains(bits) }?.means
    }

    static let v4: [Block] = [
        Block(0, 0, 0, 0, prefix: 8, .unspecified),
        Block(10, 0, 0, 0, prefix: 8, .privateNetwork),
        Block(100, 64, 0, 0, prefix: 10, .carrierNAT),
        Block(127, 0, 0, 0, prefix: 8, .loopback),
        // The host service of one large cloud, reachable from every machine in it.
        Block(168, 63, 129, 16, prefix: 32, .metadata),
        Block(169, 254, 0, 0, prefix: 16, .linkLocal),
        Block(172, 16, 0, 0, prefix: 12, .privateNetwork),
        Block(192, 0, 0, 0, prefix: 24, .reserved),
        Block(192, 0, 2, 0, prefix: 24, .documentation),
        Block(192, 88, 99, 0, prefix: 24, .reserved),
        Block(192, 168, 0, 0, prefix: 16, .privateNetwork),
        Block(198, 18, 0, 0, prefix: 15, .benchmark),
        Block(198, 51, 100, 0, prefix: 24, .documentation),
        Block(203, 0, 113, 0, prefix: 24, .documentation),
        Block(224, 0, 0, 0, prefix: 4, .multicast),
        Block(240, 0, 0, 0, prefix: 4, .reserved),
    ]

    static let v6: [Block] = [
        Block([0, 0, 0, 0, 0, 0, 0, 0], prefix: 128, .unspecified),
        Block([0, 0, 0, 0, 0, 0, 0, 1], prefix: 128, .loopback),
        // NAT64 with a local prefix: where the IPv4 address sits depends on the network, so nothing can be judged.
        Block([0x64, 0xFF9B, 1], prefix: 48, .reserved),
        Block([0x100], prefix: 64, .discard),
        Block([0x100, 0, 0, 1], prefix: 64, .discard),
        Block([0x2001, 0], prefix: 32, .teredo),
        Block([0x2001, 2, 0], prefix: 48, .benchmark),
        Block([0x2001, 0], prefix: 23, .reserved),
        Block([0x2001, 0xDB8], prefix: 32, .documentation),
        Block([0x3FFF], prefix: 20, .documentation),
        Block([0x5F00], prefix: 16, .reserved),
        // Metadata services that two large clouds put into the unique local block.
        Block([0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254], prefix: 128, .metadata),
        Block([0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254], prefix: 128, .metadata),
        Block([0xFC00], prefix: 7, .privateNetwork),
        Block([0xFE80], prefix: 10, .linkLocal),
        Block([0xFEC0], prefix: 10, .siteLocal),
        Block([0xFF00], prefix: 8, .multicast),
    ]

    /// Forms whose last 32 bits are an IPv4 address.
    static let embedding: [Block] = [
        Block([0, 0, 0, 0, 0, 0xFFFF], prefix: 96, .embedded(0)),
        Block([0, 0, 0, 0, 0xFFFF, 0], prefix: 96, .embedded(0)),
        Block([0, 0, 0, 0, 0, 0], prefix: 96, .embedded(0)),
        Block([0x64, 0xFF9B, 0, 0, 0, 0], prefix: 96, .embedded(0)),
    ]

    /// Whether the interface is named by an IPv4 address behind `0000:5efe` or `0200:5efe` (RFC 5214 §6.1), whatever the net.
    static func isISATAP(_ bits: UInt128) -> Bool {
        UInt32(truncatingIfNeeded: bits >> 32) & ~0x0300_0000 == 0x0000_5EFE
    }

    static let sixToFour = Block([0x2002], prefix: 16, .embedded(0))
    static let globalUnicast = Block([0x2000], prefix: 3, .publicInternet)
}
