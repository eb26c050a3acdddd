import TocsinCore

/// The rule for all years after a zone's last transition, as POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct PosixTimeZone {
    /// A day of every year.
    private enum Day {
        /// The n-th weekday (0 is Sunday) of a month; 5 means the last.
        case weekday(month: Int, week: Int, day: Int)
        /// 1 to 365, never counting 29 February.
        case withoutLeapDay(Int)
        /// 0 to 365, counting it.
        case zeroBased(Int)
    }

    /// When the clocks change, on the clock that showed until then.
    private struct Change {
        var day: Day
        var seconds: Int
    }

    let standardOffset: Int
    private var summer: (offset: Int, start: Change, end: Change)?

    /// Reads the text; `nil` if it is not of that form.
    init?(_ text: String) {
        var scanner = Scanner(text)
        guard scanner.name(), let west = scanner.time() else { return nil }
        // POSIX counts offsets westwards.
        standardOffset = -west
        if scanner.isAtEnd { return }
        guard scanner.name() else { return nil }
        // Without an offset of its own, summer is one hour ahead.
        let offset = scanner.isAt(",") ? standardOffset + 3600 : scanner.time().map { -$0 }
        guard let offset, scanner.take(","), let start = scanner.change(), scanner.take(","),
            let end = scanner.change(), scanner.isAtEnd
        else { return nil }
        summer = (offset, start, end)
    }

    /// The changes of those years, in no particular order.
    func transitions(in years: Range<Int>) -> [TimeZoneRules.Transition] {
        guard let summer else { return [] }
        return years.flatMap { year in
            [
                TimeZoneRules.Transition(
                    secondsSinceEpoch: Self.localSeconds(summer.start, in: year) - Int64(standardOffset),
                    offsetSeconds: summer.offset
                ),
                TimeZoneRules.Transition(
                    secondsSinceEpoch: Self.localSeconds(summer.end, in: year) - Int64(summer.offset),
                    offsetSeconds: standardOffset
                ),
            ]
        }
    }

    private static func localSeconds(_ change: Change, in year: Int) -> Int64 {
        let newYear = Civil.daysSinceEpoch(year: year, month: 1, day: 1)
        let day: Int64
        switch change.day {
        case .weekday(let month, let week, let weekday):
            let first = Civil.daysSinceEpoch(year: year, month: month, day: 1)
            // 1970-01-01 was a Thursday, day 4 from Sunday on.
            let firstWeekday = Int(((first + 4) % 7 + 7) % 7)
            let index = (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
            day = first + Int64(index < Civil.days(inMonth: month, of: year) ? index : index - 7)
        case .withoutLeapDay(let number):
            let isLeap = Civil.days(inMonth: 2, of: year) == 29
            day = newYear + Int64(number - 1 + (isLeap && number > 59 ? 1 : 0))
        case .zeroBased(let number):
            day = newYear + Int64(number)
        }
        return day * 86_400 + Int64(change.seconds)
    }

    private struct Scanner {
        private var rest: Substring.UTF8View

        init(_ text: String) { rest = Substring(text).utf8 }

        var isAtEnd: Bool { rest.isEmpty }

        func isAt(_ character: Unicode.Scalar) -> Bool { rest.first.map { UInt32($0) == character.value } ?? false }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard isAt(character) else { return false }
            rest = rest.dropFirst()
            return true
        }

        /// An abbreviation: letters, or anything between angle brackets.
        mutating func name() -> Bool {
            if take("<") {
                rest = rest.drop { $0 != UInt8(ascii: ">") }
                return take(">")
            }
            let after = rest.drop { $0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z") }
            defer { rest = after }
            return after.count < rest.count
        }

        /// No number of the format has more than three digits.
        mutating func number() -> Int? {
            let digits = rest.prefix { $0 &- 0x30 < 10 }
            rest = rest.dropFirst(digits.count)
            return digits.count <= 3 ? Int(Substring(digits)) : nil
        }

        /// `[+-]hh[:mm[:ss]]` in seconds; hours may exceed a day (RFC 8536, version 3).
        mutating func time() -> Int? {
            let sign = take("-") ? -1 : take("+") ? 1 : 1
            guard let hours = number() else { return nil }
            var seconds = hours * 3600
            for unit in [60, 1] where take(":") {
                guard let value = number() else { return nil }
                seconds += value * unit
            }
            return sign * seconds
        }

        mutating func change() -> Change? {
            guard let day = day() else { return nil }
            // Clocks change at two in the morning where nothing else is said.
            guard take("/") else { return Change(day: day, seconds: 2 * 3600) }
            return time().map { Change(day: day, seconds: $0) }
        }

        private mutating func day() -> Day? {
            if take("M") {
                guard let month = number(), take("."), let week = number(), take("."), let day = number(),
                    (1...12).contains(month), (1...5).contains(week), (0...6).contains(day)
                else { return nil }
                return .weekday(month: month, week: week, day: day)
            }
            if take("J") { return number().flatMap { (1...365).contains($0) ? .withoutLeapDay($0) : nil } }
            return number().flatMap { (0...365).contains($0) ? .zeroBased($0) : nil }
        }
    }
}
