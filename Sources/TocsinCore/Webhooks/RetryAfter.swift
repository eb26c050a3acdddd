/// Reads the value of `Retry-After` (RFC 9110 §10.2.3): seconds, or a date in any of HTTP's three forms.
package enum RetryAfter {
    /// How long the receiver asks to be left alone from `now` on; nil for what is neither seconds nor a date.
    package static func pause(_ value: String, now: Instant) -> Duration? {
        let text = value.drop { $0 == " " || $0 == "\t" }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let rest = text[digits.endIndex...]
        if !digits.isEmpty, rest.allSatisfy({ $0 == " " || $0 == "\t" }) {
            // More digits than any pause has mean "very long", which the schedule cuts down.
            return .seconds(digits.utf8.count > 9 ? 999_999_999 : Int64(digits) ?? 0)
        }
        guard let date = date(text, now: now) else { return nil }
        return max(.zero, date - now)
    }

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
    private static func date(_ text: Substring, now: Instant) -> Instant? {
        let words = text.split { $0 == " " || $0 == "," || $0 == "-" || $0 == "\t" }
        if words.count == 6, words[5] == "GMT" {
            return instant(day: words[1], month: words[2], year: words[3], time: words[4], now: now)
        }
        if words.count == 5 {
            return instant(day: words[2], month: words[1], year: words[4], time: words[3], now: now)
        }
        return nil
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func instant(
        day: Substring,
        month: Substring,
        year: Substring,
        time: Substring,
        now: Instant
    ) -> Instant? {
        let clock = time.split(separator: ":", omittingEmptySubsequences: false).map(number)
        guard let monthIndex = months.firstIndex(of: String(month)), let day = number(day), var fullYear = number(year),
            clock.count == 3, let hour = clock[0], let minute = clock[1], let second = clock[2],
            hour < 24, minute < 60, second <= 60
        else { return nil }
        if year.utf8.count == 2 { fullYear = century(of: fullYear, now: now) }
        guard fullYear >= 1970, (1...Civil.days(inMonth: monthIndex + 1, of: fullYear)).contains(day) else {
            return nil
        }
        let days = Civil.daysSinceEpoch(year: fullYear, month: monthIndex + 1, day: day)
        return Instant(secondsSinceEpoch: days * 86_400 + Int64(hour * 3600 + minute * 60 + second))
    }

    /// Takes a year of two digits for the latest that is not more than 50 years ahead (RFC 9110 §5.6.7).
    private static func century(of year: Int, now: Instant) -> Int {
        let thisYear = Civil.date(daysSinceEpoch: now.secondsSinceEpoch / 86_400).year
        let candidate = thisYear / 100 * 100 + year
        return candidate > thisYear + 50 ? candidate - 100 : candidate
    }

    private static func number(_ text: Substring) -> Int? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }
}
