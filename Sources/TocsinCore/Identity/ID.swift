/// What an id names; gives ids of different things different types, and each its prefix on the wire (decisions §1).
package protocol Identified: SendableMetatype {
    static var prefix: String { get }
}

/// An opaque, URL-safe id that sorts by the time it was made: a prefix and 26 characters of Crockford's base 32.
package struct ID<Noun: Identified>: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The id as it stands on the wire and in the ledger.
    package let text: String

    /// Longer than any id of ours; guards lookups against absurd input.
    package static var maximumLength: Int { 64 }

    /// Takes a text that the ledger or the program itself wrote.
    package init(stored text: String) { self.text = text }

    /// Takes a stranger's text if it could be an id of this kind: its prefix, then letters, digits, `_` or `-`.
    package init?(_ text: String) {
        let bytes = text.utf8
        guard bytes.count > Noun.prefix.utf8.count, bytes.count <= Self.maximumLength,
            bytes.starts(with: Noun.prefix.utf8),
            bytes.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            })
        else { return nil }
        self.text = text
    }

    /// Makes an id of a moment and 80 random bits; both come from the caller, so that the core stays deterministic.
    package init(at instant: Instant, random: (high: UInt16, low: UInt64)) {
        let time = UInt64(bitPattern: instant.millisecondsSinceEpoch) & 0xFFFF_FFFF_FFFF
        let prefix = Noun.prefix.utf8
        text = String(unsafeUninitializedCapacity: prefix.count + 26) { bytes in
            var count = 0
            func append(_ byte: UInt8) {
                bytes.initializeElement(at: count, to: byte)
                count += 1
            }
            func append(_ value: UInt64, characters: Int) {
                for index in stride(from: characters - 1, through: 0, by: -1) {
                    append(base32.utf8Start[Int(value >> (5 * UInt64(index)) & 31)])
                }
            }
            prefix.forEach(append)
            append(time, characters: 10)
            append(UInt64(random.high) << 24 | random.low >> 40, characters: 8)
            append(random.low & 0xFF_FFFF_FFFF, characters: 8)
            return count
        }
    }

    /// The milliseconds that the id begins with; a number without meaning for a text that was not made of a moment.
    package var time: Int64 {
        var time: UInt64 = 0
        for byte in text.utf8.dropFirst(Noun.prefix.utf8.count).prefix(10) { time = time << 5 | digit(byte) }
        return Int64(time & 0xFFFF_FFFF_FFFF)
    }

    /// What follows the prefix.
    package var body: Substring { text.dropFirst(Noun.prefix.count) }

    package var description: String { text }
    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
}

private let base32: StaticString = "0123456789abcdefghjkmnpqrstvwxyz"

/// The value of a digit of Crockford's base 32; 0 for whatever is none.
private func digit(_ byte: UInt8) -> UInt64 {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "h"): UInt64(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "j")...UInt8(ascii: "k"): UInt64(byte - UInt8(ascii: "j")) + 18
    case UInt8(ascii: "m")...UInt8(ascii: "n"): UInt64(byte - UInt8(ascii: "m")) + 20
    case UInt8(ascii: "p")...UInt8(ascii: "t"): UInt64(byte - UInt8(ascii: "p")) + 22
    case UInt8(ascii: "v")...UInt8(ascii: "z"): UInt64(byte - UInt8(ascii: "v")) + 27
    default: 0
    }
}

package enum DealerNoun: Identified { package static let prefix = "dlr_" }
package enum PartnerNoun: Identified { package static let prefix = "prt_" }
package enum SiteNoun: Identified { package static let prefix = "site_" }
package enum PartitionNoun: Identified { package static let prefix = "p_" }
package enum ZoneNoun: Identified { package static let prefix = "zone_" }
package enum DeviceNoun: Identified { package static let prefix = "dev_" }
package enum RelayNoun: Identified { package static let prefix = "rel_" }
package enum RelayCommandNoun: Identified { package static let prefix = "cmd_" }
package enum UserNoun: Identified { package static let prefix = "usr_" }
package enum ScheduleNoun: Identified { package static let prefix = "sch_" }
package enum ContactNoun: Identified { package static let prefix = "con_" }
package enum AppNoun: Identified { package static let prefix = "app_" }
package enum EndpointNoun: Identified { package static let prefix = "ep_" }
package enum EventNoun: Identified { package static let prefix = "evt_" }
package enum DeliveryNoun: Identified { package static let prefix = "dlv_" }
package enum TokenNoun: Identified { package static let prefix = "tok_" }
package enum RequestNoun: Identified { package static let prefix = "req_" }
package enum NoticeNoun: Identified { package static let prefix = "ntc_" }
package enum OperatorNoun: Identified { package static let prefix = "op_" }
package enum SnapshotNoun: Identified { package static let prefix = "snap_" }
package enum DeliveryTaskNoun: Identified { package static let prefix = "task_" }

package typealias DealerID = ID<DealerNoun>
package typealias PartnerID = ID<PartnerNoun>
package typealias SiteID = ID<SiteNoun>
package typealias PartitionID = ID<PartitionNoun>
package typealias ZoneID = ID<ZoneNoun>
package typealias DeviceID = ID<DeviceNoun>
package typealias RelayID = ID<RelayNoun>
package typealias RelayCommandID = ID<RelayCommandNoun>
package typealias UserID = ID<UserNoun>
package typealias ScheduleID = ID<ScheduleNoun>
package typealias AppID = ID<AppNoun>
package typealias EndpointID = ID<EndpointNoun>
package typealias EventID = ID<EventNoun>
package typealias DeliveryID = ID<DeliveryNoun>
package typealias TokenID = ID<TokenNoun>
package typealias RequestID = ID<RequestNoun>
package typealias NoticeID = ID<NoticeNoun>
package typealias OperatorID = ID<OperatorNoun>
package typealias SnapshotID = ID<SnapshotNoun>
package typealias DeliveryTaskID = ID<DeliveryTaskNoun>

/// An alarm's number within its dealer, `A-10293` on the wire (decisions §1).
package struct AlarmNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: Int64

    package init(_ value: Int64) { self.value = value }

    package init?(text: String) {
        guard text.hasPrefix("A-"), let value = Int64(text.dropFirst(2)), value > 0 else { return nil }
        self.value = value
        // An alarm has one name: neither `A-+7` nor `A-007`.
        if description != text { return nil }
    }

    package var description: String { "A-\(value)" }
    package static func < (a: AlarmNumber, b: AlarmNumber) -> Bool { a.value < b.value }
}

extension DeliveryID {
    /// The id of the delivery of one event to one endpoint.
    ///
    /// It is made of the two, so that it is the same on every attempt, before and after a crash, without a row that
    /// remembers it: the event's time and randomness, then the endpoint's randomness.
    package init(of event: EventID, to endpoint: EndpointID) {
        self.init(stored: DeliveryNoun.prefix + event.body + endpoint.body.suffix(16))
    }

    /// The event that this delivery carries, if the id has the form that ``init(of:to:)`` gives.
    package var event: EventID? {
        guard body.count > 16 else { return nil }
        return EventID(EventNoun.prefix + body.dropLast(16))
    }

    /// The last 16 characters of the endpoint's id.
    package var endpointSuffix: String { String(body.suffix(16)) }
}
