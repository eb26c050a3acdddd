/// A 64-bit hash of an event's id: small enough to keep millions, distinct enough to count by.
package struct EventKey: Hashable, Sendable {
    package var value: UInt64

    /// FNV-1a over the bytes of the id, stirred once more so that close ids land far apart.
    package init(_ id: some Sequence<UInt8>) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in id { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash = (hash ^ hash >> 32) &* 0xD6E8_FEB8_6659_FD93
        value = hash ^ hash >> 29
    }

    package init(_ id: String) { self.init(id.utf8) }
}
