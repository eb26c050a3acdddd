import NIOCore
import TocsinCore
import TocsinEngine

/// Something that a demonstration or a benchmark cannot go on from.
package struct LabError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Reads the monotonic clock, and relates it to the wall clock that the ledger's times come from.
package struct Stopwatch: Sendable {
    /// The wall clock's nanoseconds since 1970 minus the monotonic clock's.
    private let offset: Int64

    /// Finds the offset by waiting for the wall clock's next millisecond to begin.
    package init(clock: some WallClock) {
        let first = clock.now
        var now = clock.now
        while now == first { now = clock.now }
        offset = now.millisecondsSinceEpoch * 1_000_000 - Int64(NIODeadline.now().uptimeNanoseconds)
    }

    package static var now: UInt64 { NIODeadline.now().uptimeNanoseconds }

    package static func seconds(from start: NIODeadline, to end: NIODeadline) -> Double {
        Double((end - start).nanoseconds) / 1_000_000_000
    }

    /// The monotonic time at which the wall clock showed `instant`.
    package func monotonic(_ instant: Instant) -> UInt64 {
        UInt64(max(0, instant.millisecondsSinceEpoch * 1_000_000 - offset))
    }

    /// What the wall clock showed at a monotonic time.
    package func instant(_ monotonic: UInt64) -> Instant {
        Instant(millisecondsSinceEpoch: (Int64(monotonic) + offset) / 1_000_000)
    }
}
