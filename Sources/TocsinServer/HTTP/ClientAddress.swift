import NIOCore
import TocsinDelivery

/// Where a request comes from; an IPv4 address in IPv6 form is the IPv4 one.
package struct ClientAddress: Hashable, Sendable, CustomStringConvertible {
    let ip: IPAddress
    package let description: String

    package init?(_ text: String) {
        guard let ip = IPAddress(text) else { return nil }
        if ip.family == .v6, ip.bits >> 32 == 0xFFFF {
            self.ip = IPAddress(v4: UInt32(truncatingIfNeeded: ip.bits))
            description = self.ip.description
        } else {
            self.ip = ip
            description = text
        }
    }

    init?(_ peer: SocketAddress?) {
        guard let text = peer?.ipAddress else { return nil }
        self.init(text)
    }

    /// What failed authentications are counted by: an IPv6 customer has a whole /64 to try from.
    var limitKey: String {
        switch ip.family {
        case .v4: description
        case .v6: String(ip.bits >> 64, radix: 16)
        }
    }
}

/// A CIDR block, or one address.
package struct AddressBlock: Hashable, Sendable {
    private let family: IPAddress.Family
    /// The bits that an address of the block shares with it.
    private let prefix: UInt128
    private let hostBits: Int

    /// Reads `203.0.113.0/24`, `2001:db8::/32`, or an address alone.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = ClientAddress(String(parts[0])) else { return nil }
        family = address.ip.family
        let width = family == .v4 ? 32 : 128
        var length = width
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...width).contains(number), String(number) == parts[1] else {
                return nil
            }
            length = number
        }
        hostBits = width - length
        prefix = address.ip.bits >> UInt128(hostBits)
    }

    package func contains(_ address: ClientAddress) -> Bool {
        address.ip.family == family && address.ip.bits >> UInt128(hostBits) == prefix
    }
}

extension [AddressBlock] {
    func contains(_ address: ClientAddress) -> Bool { contains { $0.contains(address) } }

    /// The caller's address: the peer's, or, through proxies that are trusted, the one that the last of them saw.
    func client(peer: ClientAddress?, forwardedFor: String?) -> ClientAddress? {
        guard let address = peer else { return nil }
        guard let forwardedFor, contains(address) else { return address }
        // Read from the right: what stands left of the first address that is no proxy of ours may be made up.
        for entry in forwardedFor.split(separator: ",").reversed() {
            let text = entry.trimmed
            guard let hop = ClientAddress(String(text)) else { return address }
            if !contains(hop) { return hop }
        }
        return address
    }
}

extension Substring {
    /// Without the blanks at both ends.
    var trimmed: Substring {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return rest
    }
}
