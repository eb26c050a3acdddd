import TocsinCore

/// The value of a `Date` field (RFC 9110 §5.6.7), which is put together once a second.
struct DateField {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let secondsPerDay: Int64 = 86_400

    private var second = Int64.min
    private var text = ""

    mutating func text(at instant: Instant) -> String {
        if instant.secondsSinceEpoch != second {
            second = instant.secondsSinceEpoch
            text = Self.text(secondsSinceEpoch: second)
        }
        return text
    }

    private static func text(secondsSinceEpoch seconds: Int64) -> String {
        // No server of ours runs before 1970.
        let (days, time) = max(0, seconds).quotientAndRemainder(dividingBy: secondsPerDay)
        let (year, month, day) = Civil.date(daysSinceEpoch: days)
        let clock = [time / 3600, time / 60 % 60, time % 60].map { twoDigits(Int($0)) }.joined(separator: ":")
        return "\(weekdays[Int(days % 7)]), \(twoDigits(day)) \(months[month - 1]) \(year) \(clock) GMT"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
