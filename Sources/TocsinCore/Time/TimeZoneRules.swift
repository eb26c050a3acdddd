/// The history and the known future of a time zone: what its clocks showed and will show.
///
/// The rules of daylight saving (design, arming: schedules) live in ``instant(of:at:)``; where the data comes from is
/// the affair of whoever makes a value.
package struct TimeZoneRules: Sendable {
    /// From an instant on, local time is UTC plus the offset.
    package struct Transition: Hashable, Sendable {
        package var secondsSinceEpoch: Int64
        package var offsetSeconds: Int

        package init(secondsSinceEpoch: Int64, offsetSeconds: Int) {
            self.secondsSinceEpoch = secondsSinceEpoch
            self.offsetSeconds = offsetSeconds
        }
    }

    /// The years whose transitions a value holds: no schedule is older than the product, or plans further.
    package static let years = 1990..<2100

    /// The zone's IANA name.
    package let name: String
    /// What holds before the first transition.
    package let initialOffsetSeconds: Int
    /// In order of time, each with another offset than the one before it.
    package let transitions: [Transition]

    /// Takes transitions in any order; those that change no offset are left out, because nobody's clock shows them.
    package init(name: String, initialOffsetSeconds: Int, transitions: [Transition]) {
        self.name = name
        self.initialOffsetSeconds = initialOffsetSeconds
        var offset = initialOffsetSeconds
        self.transitions = transitions.sorted { $0.secondsSinceEpoch < $1.secondsSinceEpoch }
            .filter { transition in
                defer { offset = transition.offsetSeconds }
                return transition.offsetSeconds != offset
            }
    }

    package static let utc = TimeZoneRules(name: "UTC", initialOffsetSeconds: 0, transitions: [])

    /// How many seconds local time is ahead of UTC at that instant.
    package func offset(at instant: Instant) -> Int { offset(ofSegment: segment(at: instant.secondsSinceEpoch)) }

    /// What calendar and clock show at that instant.
    package func local(of instant: Instant) -> (date: CivilDate, secondOfDay: Int) {
        let seconds = instant.secondsSinceEpoch + Int64(offset(at: instant))
        let days = Instant(secondsSinceEpoch: seconds).daysSinceEpoch
        return (CivilDate(daysSinceEpoch: days), Int(seconds - days * secondsPerDay))
    }

    /// The one instant that a local date and time stand for, by the written rule (design, arming: schedules).
    ///
    /// A time that the clocks leave out is the first instant after the gap; one that they show twice is the first time.
    /// Both say: the first instant at which the clocks have reached it. A later local time never gives an earlier instant.
    package func instant(of date: CivilDate, at time: TimeOfDay) -> Instant {
        let local = date.daysSinceEpoch * secondsPerDay + Int64(time.minutes * 60)
        // Local time is never as much as two days away from UTC, so no earlier segment can have reached it.
        var segment = segment(at: local - 2 * secondsPerDay)
        while true {
            // In a segment that begins with a later local time than the one wanted, that one was left out before it.
            let start = start(ofSegment: segment)
            let reached = max(local - Int64(offset(ofSegment: segment)), start)
            guard segment < transitions.count, reached >= transitions[segment].secondsSinceEpoch else {
                return Instant(secondsSinceEpoch: reached)
            }
            segment += 1
        }
    }

    /// The instant as local time with its offset, `2026-05-26T05:21:34-05:00` (RFC 3339).
    package func localText(_ instant: Instant) -> String {
        // RFC 3339 knows no seconds in an offset; what a zone has of them is left out of both parts.
        let minutes = offset(at: instant) / 60
        let shifted = Instant(secondsSinceEpoch: instant.secondsSinceEpoch + Int64(minutes * 60))
        let size = TimeOfDay(minutes: abs(minutes)).text
        return shifted.rfc3339Seconds.dropLast() + (minutes < 0 ? "-" : "+") + size
    }

    // MARK: - Segments: the times between transitions; segment n ends with transition n

    private func segment(at seconds: Int64) -> Int {
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].secondsSinceEpoch <= seconds { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func start(ofSegment index: Int) -> Int64 { index == 0 ? .min : transitions[index - 1].secondsSinceEpoch }

    private func offset(ofSegment index: Int) -> Int {
        index == 0 ? initialOffsetSeconds : transitions[index - 1].offsetSeconds
    }
}

extension TimeZoneRules: Hashable {
    /// A name stands for one set of rules within a running program, so that comparing states stays cheap.
    package static func == (a: TimeZoneRules, b: TimeZoneRules) -> Bool { a.name == b.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

private let secondsPerDay: Int64 = 86_400

extension Instant {
    fileprivate var daysSinceEpoch: Int64 {
        let (days, rest) = secondsSinceEpoch.quotientAndRemainder(dividingBy: secondsPerDay)
        return rest < 0 ? days - 1 : days
    }
}
