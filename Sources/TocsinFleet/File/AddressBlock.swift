import Foundation

/// An IP address, or a CIDR block of them.
enum AddressBlock {
    static func isValid(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.map(String.init) else { return false }
        var storage = in6_addr()
        let bits =
            if inet_pton(AF_INET, address, &storage) == 1 { 32 } else if inet_pton(AF_INET6, address, &storage) == 1 {
                128
            } else { 0 }
        guard bits > 0 else { return false }
        guard parts.count == 2 else { return true }
        guard parts[1].utf8.allSatisfy({ $0 &- 0x30 < 10 }), let length = Int(parts[1]) else { return false }
        return length <= bits
    }
}
