import NIOCore

/// How many attempts an event loop leaves at their deadline in one go.
///
/// All attempts at a receiver that says nothing end in one moment, and each end costs as much as a delivery. So a few are left at
/// a time, and what others send goes on in between; but none stays much longer than it may.
enum LeavingPace {
    static let pause = TimeAmount.milliseconds(4)
    /// By then all are left; the event loop's own delay is added to it.
    static let longest = TimeAmount.milliseconds(150)
    static let fewest = 4

    /// So many now, where so many attempts of this event loop are in flight and the oldest is so late.
    static func count(inFlight: Int, late: TimeAmount) -> Int {
        let turns = Int(max(1, (longest - late).nanoseconds / pause.nanoseconds))
        return max(fewest, (inFlight + turns - 1) / turns)
    }
}
