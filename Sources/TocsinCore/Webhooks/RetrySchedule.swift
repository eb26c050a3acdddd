/// When a delivery is tried again (design, delivery: retries).
package struct RetrySchedule: Hashable, Sendable {
    /// What follows the n-th attempt, for everybody who did not ask for something else.
    package static let defaultSteps: [Duration] = [
        .seconds(5), .seconds(30), .seconds(120), .seconds(300), .seconds(900), .seconds(1800), .seconds(3600),
        .seconds(7200), .seconds(14_400), .seconds(21_600),
    ]
    /// What follows when the default steps are used up.
    package static let repeatedStep: Duration = .seconds(14_400)
    /// After this long an event is no longer news; it becomes a dead letter.
    package static let horizon: Duration = .seconds(86_400)
    /// The part of a step by which it may be shorter or longer, so that failures do not come back as one wave.
    package static let jitterShare = 0.2
    /// A receiver may ask for a longer pause than the step, but not for more than this.
    package static let retryAfterMaximum: Duration = .seconds(3600)

    /// The endpoint's own steps; none takes the default ones.
    package var ownSteps: [Duration]?

    package init(ownSteps: [Duration]? = nil) { self.ownSteps = ownSteps }

    /// What follows a failed attempt.
    package enum Next: Hashable, Sendable {
        case retry(at: Instant)
        case exhausted
    }

    /// Says what follows the attempt with this number.
    ///
    /// The default schedule ends 24 h after the event; an endpoint's own one with its last step. An event that is older
    /// than 24 h when its turn first comes gets one attempt.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt that failed, from 1.
    ///   - eventCreatedAt: When the event was committed.
    ///   - now: When the attempt ended.
    ///   - retryAfter: How long the receiver asked us to wait, where that is to be honoured.
    ///   - jitter: A random number in 0..<1; a half leaves the step as it is.
    /// - Returns: When to try again, or that this was the last attempt.
    package func next(
        afterAttempt attempt: Int,
        eventCreatedAt: Instant,
        now: Instant,
        retryAfter: Duration?,
        jitter: Double
    ) -> Next {
        let end = eventCreatedAt + Self.horizon
        if attempt <= 1, now >= end { return .exhausted }
        guard let step = step(after: attempt) else { return .exhausted }
        let milliseconds = Double(step.milliseconds) * (1 - Self.jitterShare + 2 * Self.jitterShare * jitter)
        let pause = Duration.milliseconds(Int64(milliseconds))
        if ownSteps == nil, now + pause > end { return .exhausted }
        guard let retryAfter else { return .retry(at: now + pause) }
        let asked = now + max(pause, min(retryAfter, max(pause, Self.retryAfterMaximum)))
        // Asking for patience must not turn the last attempt into none.
        return .retry(at: ownSteps == nil ? max(now + pause, min(asked, end)) : asked)
    }

    private func step(after attempt: Int) -> Duration? {
        let steps = ownSteps ?? Self.defaultSteps
        let index = max(attempt, 1) - 1
        if index < steps.count { return steps[index] }
        return ownSteps == nil ? Self.repeatedStep : nil
    }
}
