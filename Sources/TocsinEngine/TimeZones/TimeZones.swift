import Foundation
import Synchronization
import TocsinCore

/// The time zones by their IANA names, each built once.
///
/// The data is the system's time zone database, read from its files. Foundation knows the same rules (compared in
/// November 2026: no difference in any zone from 2000 to 2037), but brings its own copy of them inside the program:
/// when a country changes its law, an update of the system's package and a restart should be enough. Foundation's copy
/// stands in where the system has no database.
package final class TimeZones: Sendable {
    /// Where systems keep their database; the same places that other programs look at.
    package static let systemDirectories = [
        "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo",
        "/var/db/timezone/zoneinfo",
    ]
    /// No name in the database is half as long.
    private static let maximumNameLength = 64

    /// The database in use; `nil` where the system has none.
    package let directory: String?
    private let known = Mutex<[String: TimeZoneRules]>([:])

    /// Looks where `TZDIR` points to first, as the system's own programs do, then where systems keep their database.
    package convenience init() {
        let named = ProcessInfo.processInfo.environment["TZDIR"].map { [$0] } ?? []
        self.init(directories: named + Self.systemDirectories)
    }

    package init(directories: [String]) {
        directory = directories.first { FileManager.default.fileExists(atPath: $0 + "/Europe/London") }
    }

    /// The rules of the zone; `nil` for a name that the database does not have.
    package func rules(for name: String) -> TimeZoneRules? {
        if name == "UTC" { return .utc }
        if let rules = known.withLock({ $0[name] }) { return rules }
        guard Self.isName(name), let rules = read(name) else { return nil }
        // Two callers may have read the same file; both hold the same rules.
        known.withLock { $0[name] = rules }
        return rules
    }

    /// Whether a site may have the name: a place, or UTC, that schedules can run by.
    ///
    /// The database also holds abbreviations, which no rule of daylight saving stands behind.
    package func isName(ofZone name: String) -> Bool {
        (name == "UTC" || name.contains("/")) && rules(for: name) != nil
    }

    /// The rules of the zone of a site that exists; its name was checked when it was saved, so that UTC stands in only for
    /// a zone that the system's database has lost since.
    package func rulesOrUTC(for name: String) -> TimeZoneRules { rules(for: name) ?? .utc }

    private func read(_ name: String) -> TimeZoneRules? {
        guard let directory else { return Self.foundationRules(name) }
        guard let data = FileManager.default.contents(atPath: "\(directory)/\(name)") else { return nil }
        return try? TimeZoneFile(Array(data)).rules(named: name)
    }

    /// Whether a stranger's text has the form of a zone's name, so that it cannot lead out of the database.
    private static func isName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= maximumNameLength else { return false }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        // These are copies with other conventions (leap seconds), and the machine's own zone.
        if ["posix", "right", "localtime", "posixrules"].contains(parts[0]) { return false }
        return parts.allSatisfy { part in
            !part.isEmpty
                && part.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }

    /// The rules of Foundation's own copy of the database.
    package static func foundationRules(_ name: String) -> TimeZoneRules? {
        // It also takes “GMT+5” and abbreviations, which are no names of zones.
        guard name.contains("/"), let zone = TimeZone(identifier: name) else { return nil }
        let (start, end) = (TimeZoneFile.start, TimeZoneFile.end)
        let first = Date(timeIntervalSince1970: TimeInterval(start))
        var transitions: [TimeZoneRules.Transition] = []
        var last = first
        while let next = zone.nextDaylightSavingTimeTransition(after: last), next > last {
            let seconds = Int64(next.timeIntervalSince1970)
            guard seconds < end else { break }
            transitions.append(.init(secondsSinceEpoch: seconds, offsetSeconds: zone.secondsFromGMT(for: next)))
            last = next
        }
        let initial = zone.secondsFromGMT(for: first)
        return TimeZoneRules(name: name, initialOffsetSeconds: initial, transitions: transitions)
    }
}
