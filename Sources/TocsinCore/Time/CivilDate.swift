/// A date of the Gregorian calendar as a wall calendar shows it, in no particular time zone.
package struct CivilDate: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let year: Int
    package let month: Int
    package let day: Int

    /// Takes a date that exists; `nil` for one that does not, such as 30 February, or a year before 1 or after 9999.
    package init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month),
            (1...Civil.days(inMonth: month, of: year)).contains(day)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    /// The date that lies that many days after 1970-01-01.
    package init(daysSinceEpoch: Int64) { (year, month, day) = Civil.date(daysSinceEpoch: daysSinceEpoch) }

    /// Reads `YYYY-MM-DD`; `nil` for another form and for a date that does not exist.
    package init?(text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let year = number(parts[0], digits: 4), let month = number(parts[1], digits: 2),
            let day = number(parts[2], digits: 2)
        else { return nil }
        self.init(year: year, month: month, day: day)
    }

    package var daysSinceEpoch: Int64 { Civil.daysSinceEpoch(year: year, month: month, day: day) }

    package var weekday: Weekday {
        // 1970-01-01 was a Thursday.
        let sinceMonday = (daysSinceEpoch + 3) % 7
        return Weekday.allCases[Int(sinceMonday < 0 ? sinceMonday + 7 : sinceMonday)]
    }

    package func adding(days: Int) -> CivilDate { CivilDate(daysSinceEpoch: daysSinceEpoch + Int64(days)) }

    /// The date as it stands on the wire, `YYYY-MM-DD`.
    package var text: String { "\(padded(year, to: 4))-\(padded(month, to: 2))-\(padded(day, to: 2))" }

    package var description: String { text }

    package static func < (a: CivilDate, b: CivilDate) -> Bool {
        (a.year, a.month, a.day) < (b.year, b.month, b.day)
    }
}

/// Reads exactly that many ASCII digits; `Int.init` alone would take a sign too.
private func number(_ text: Substring, digits: Int) -> Int? {
    guard text.utf8.count == digits, text.utf8.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
    return Int(text)
}

private func padded(_ value: Int, to width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
