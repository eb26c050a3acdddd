/// A point on the UTC time line, in whole milliseconds since 1970-01-01T00:00:00Z.
package struct Instant: Hashable, Comparable, Sendable {
    package var millisecondsSinceEpoch: Int64

    package init(millisecondsSinceEpoch: Int64) { self.millisecondsSinceEpoch = millisecondsSinceEpoch }

    package init(secondsSinceEpoch: Int64) { self.init(millisecondsSinceEpoch: secondsSinceEpoch * 1000) }

    /// Whole Unix seconds, rounded down.
    package var secondsSinceEpoch: Int64 { millisecondsSinceEpoch.flooringDivision(by: 1000) }

    package static func < (a: Instant, b: Instant) -> Bool { a.millisecondsSinceEpoch < b.millisecondsSinceEpoch }

    package static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(millisecondsSinceEpoch: instant.millisecondsSinceEpoch + duration.milliseconds)
    }

    package static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(millisecondsSinceEpoch: instant.millisecondsSinceEpoch - duration.milliseconds)
    }

    /// The time that lies between two instants.
    package static func - (later: Instant, earlier: Instant) -> Duration {
        .milliseconds(later.millisecondsSinceEpoch - earlier.millisecondsSinceEpoch)
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}

extension Int64 {
    fileprivate func flooringDivision(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

// MARK: - RFC 3339

/// Why a text is not a time that we accept (decisions §1).
package enum TimestampError: Error, Equatable, Sendable {
    /// Not an RFC 3339 date and time.
    case malformed
    /// A real RFC 3339 time, but with another offset than UTC.
    case notUTC
}

extension Instant {
    /// The wire form with whole seconds, `2026-05-26T10:21:34Z`: what catalogue bodies carry (decisions §1).
    package var rfc3339Seconds: String { rfc3339(milliseconds: false) }

    /// The wire form with milliseconds, for where the order within a second matters.
    package var rfc3339Milliseconds: String { rfc3339(milliseconds: true) }

    private func rfc3339(milliseconds showsMilliseconds: Bool) -> String {
        let seconds = secondsSinceEpoch
        let days = seconds.flooringDivision(by: 86_400)
        let (year, month, day) = Civil.date(daysSinceEpoch: days)
        let secondOfDay = Int(seconds - days * 86_400)
        return String(unsafeUninitializedCapacity: 24) { bytes in
            var text = DigitWriter(bytes)
            text.append(year, width: 4)
            text.append("-")
            text.append(month, width: 2)
            text.append("-")
            text.append(day, width: 2)
            text.append("T")
            text.append(secondOfDay / 3600, width: 2)
            text.append(":")
            text.append(secondOfDay / 60 % 60, width: 2)
            text.append(":")
            text.append(secondOfDay % 60, width: 2)
            if showsMilliseconds {
                text.append(".")
                text.append(Int(millisecondsSinceEpoch - seconds * 1000), width: 3)
            }
            text.append("Z")
            return text.count
        }
    }

    /// Reads an RFC 3339 time whose offset is UTC (`Z`, `+00:00` or `-00:00`); fractions beyond milliseconds are cut off.
    package init(rfc3339 text: String) throws(TimestampError) {
        var scanner = DigitScanner(Array(text.utf8))
        guard let year = scanner.number(4), scanner.take("-"), let month = scanner.number(2), scanner.take("-"),
            let day = scanner.number(2), scanner.take("T") || scanner.take("t") || scanner.take(" "),
            let hour = scanner.number(2), scanner.take(":"), let minute = scanner.number(2), scanner.take(":"),
            let second = scanner.number(2), year >= 1, (1...12).contains(month),
            (1...Civil.days(inMonth: month, of: year)).contains(day), hour < 24, minute < 60, second <= 60
        else { throw .malformed }
        let fraction = scanner.take(".") ? scanner.milliseconds() : 0
        guard let fraction, let offset = scanner.offsetMinutes(), scanner.isAtEnd else { throw .malformed }
        if offset != 0 { throw .notUTC }
        let days = Civil.daysSinceEpoch(year: year, month: month, day: day)
        // A leap second is told as the last millisecond-addressable second before it, so that order is kept.
        let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + min(second, 59))
        self.init(millisecondsSinceEpoch: seconds * 1000 + Int64(fraction))
    }
}

/// Arithmetic of the proleptic Gregorian calendar.
package enum Civil {
    /// Days since 1970-01-01 of a date; exact for every year that four digits can name.
    package static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    package static func date(daysSinceEpoch: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(daysSinceEpoch) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    package static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}

/// Writes digits into a text that is being made.
private struct DigitWriter {
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(_ bytes: UnsafeMutableBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func append(_ character: Unicode.Scalar) {
        bytes.initializeElement(at: count, to: UInt8(ascii: character))
        count += 1
    }

    mutating func append(_ value: Int, width: Int) {
        var rest = value
        for place in stride(from: count + width - 1, through: count, by: -1) {
            bytes.initializeElement(at: place, to: UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        }
        count += width
    }
}

private struct DigitScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
        position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard position < bytes.count, bytes[position] &- 0x30 < 10 else { return nil }
        defer { position += 1 }
        return Int(bytes[position] &- 0x30)
    }

    mutating func number(_ width: Int) -> Int? {
        var value = 0
        for _ in 0..<width {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    mutating func milliseconds() -> Int? {
        guard var value = digit() else { return nil }
        var width = 1
        while let next = digit() {
            if width < 3 { value = value * 10 + next }
            width += 1
        }
        while width < 3 {
            value *= 10
            width += 1
        }
        return value
    }

    mutating func offsetMinutes() -> Int? {
        if take("Z") || take("z") { return 0 }
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else {
            return nil
        }
        return sign * (hours * 60 + minutes)
    }
}
