import Foundation
import TocsinCore
import TocsinEngine

/// A place whose clocks show what the demo needs: closing time is some seconds ahead, whenever the demo is started.
///
/// The zone is a file of the time zone database like any other, beside links to the system's own zones; the server is told
/// by `TZDIR` to look there.
struct DemoTimeZone: Sendable {
    static let name = "Demo/Harbour"

    /// When it is closing time there.
    let closesAt: Instant
    /// What the server's environment must hold.
    let environment: [String: String]

    private static let secondsPerDay: Int64 = 86_400
    private static let closingSecondOfDay: Int64 = 18 * 3600

    /// Makes the zone; nothing if the system has no time zone database to put beside it.
    static func make(closingAt instant: Instant, in directory: String) throws -> DemoTimeZone? {
        guard let system = TimeZones().directory else { return nil }
        let files = FileManager.default
        try files.createDirectory(atPath: directory + "/Demo", withIntermediateDirectories: true)
        for area in ["America", "Europe"] {
            try files.createSymbolicLink(atPath: "\(directory)/\(area)", withDestinationPath: "\(system)/\(area)")
        }
        let whole = Instant(secondsSinceEpoch: instant.secondsSinceEpoch)
        let ahead = closingSecondOfDay - whole.secondsSinceEpoch % secondsPerDay
        // Zones lie within half a day of UTC.
        let offset = ahead > secondsPerDay / 2 ? ahead - secondsPerDay : ahead
        try Data(file(offsetSeconds: offset)).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        return DemoTimeZone(closesAt: whole, environment: ["TZDIR": directory])
    }

    /// A compiled zone (RFC 8536) whose clocks never change.
    private static func file(offsetSeconds: Int64) -> [UInt8] {
        let designation = Array("DEMO\0".utf8)
        func number(_ value: Int64) -> [UInt8] {
            (0..<4).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        // No indicators, leap seconds and transitions; one type and its name.
        let counts: [Int64] = [0, 0, 0, 0, 1, Int64(designation.count)]
        let header = Array("TZif2".utf8) + Array(repeating: 0, count: 15) + counts.flatMap(number)
        let data = number(offsetSeconds) + [0, 0] + designation
        // First for readers of 32-bit times, then again; an empty rule for the time after the last transition.
        return header + data + header + data + Array("\n\n".utf8)
    }
}
