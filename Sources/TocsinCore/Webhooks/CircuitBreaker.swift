/// Leaves an endpoint alone that is down, and comes back to it carefully (design, delivery: isolation).
///
/// It counts failures in a row that mean "nobody is there": no answer, 5xx, 429. At the limit it opens: nothing is sent,
/// the cursor waits, and every pause ends with one probe. A probe that is answered begins a slow start, in which every
/// answer doubles what may be in flight; a failure in it opens again, for longer.
package struct CircuitBreaker: Hashable, Sendable {
    /// What it shows to people; the raw value is the API's word.
    package enum State: String, CaseIterable, Sendable {
        /// All is well.
        case closed
        /// Nothing is sent until the pause is over.
        case open
        /// The pause is over: one attempt shows whether anybody is there.
        case halfOpen = "half_open"
        /// Answered again: what may be in flight doubles with every answer.
        case recovering
    }

    /// So many failures in a row open it: more than a busy endpoint loses by chance, fewer than its concurrency.
    package static let failuresToOpen = 10
    /// The first pause; every one after it is twice as long.
    package static let firstPause: Duration = .seconds(5)
    /// No pause is longer, so that an endpoint that came back is noticed, and one that did not is told of in time.
    package static let longestPause: Duration = .seconds(300)
    /// A receiver that names a time (`Retry-After`) is left alone for that long, but not longer than this.
    package static let askedPauseMaximum = RetrySchedule.retryAfterMaximum

    private enum Phase: Hashable {
        case closed
        case open(until: Instant)
        case probing
    }

    private var phase = Phase.closed
    private let failuresToOpen: Int
    private var failures = 0
    private var pauses = 0
    /// While it starts slowly: so many attempts in flight, and no more.
    private var ceiling: Int?

    /// Begins closed.
    ///
    /// - Parameters:
    ///   - isCautious: The endpoint is known to fail, from before a restart: it starts slowly.
    ///   - failuresToOpen: How many failures in a row open it.
    package init(isCautious: Bool = false, failuresToOpen: Int = CircuitBreaker.failuresToOpen) {
        self.failuresToOpen = failuresToOpen
        ceiling = isCautious ? 1 : nil
    }

    /// What is to be seen at this time.
    package func state(at now: Instant) -> State {
        switch phase {
        case .closed: ceiling == nil ? .closed : .recovering
        case .open(let until): until <= now ? .halfOpen : .open
        case .probing: .halfOpen
        }
    }

    package var isClosed: Bool { phase == .closed }
    package var isRecovering: Bool { phase == .closed && ceiling != nil }

    /// When the pause ends, while it is open.
    package var pausesUntil: Instant? {
        if case .open(let until) = phase { until } else { nil }
    }

    /// How many attempts may be in flight now, of `concurrency`.
    package func limit(_ concurrency: Int, at now: Instant) -> Int {
        switch phase {
        case .closed: min(concurrency, ceiling ?? concurrency)
        case .open(let until): until <= now ? 1 : 0
        case .probing: 1
        }
    }

    /// How many ordinary attempts may be in flight while it is closed, of `concurrency`: the fewer, the nearer it is to opening.
    ///
    /// So who is silent does not get a new attempt for each that ended: those in flight are enough to tell that nobody is there.
    package func ordinaryLimit(_ concurrency: Int) -> Int {
        // In a slow start the ceiling is the bound, and failures stand next to the limit all the time.
        guard phase == .closed, ceiling == nil, failures > 0 else { return concurrency }
        return max(1, concurrency - concurrency * failures / failuresToOpen)
    }

    /// Notes that an attempt begins.
    mutating func began() {
        if case .open = phase { phase = .probing }
    }

    /// Notes that somebody is there; `concurrency` ends the slow start.
    mutating func answered(concurrency: Int) {
        if phase != .closed {
            phase = .closed
            ceiling = 1
        }
        guard let ceiling else {
            failures = 0
            return
        }
        self.ceiling = ceiling * 2
        guard ceiling * 2 >= concurrency else { return }
        self.ceiling = nil
        failures = 0
        pauses = 0
    }

    /// Notes that nobody was there.
    ///
    /// - Parameters:
    ///   - now: When the attempt ended.
    ///   - asked: How long the receiver asked to be left alone.
    ///   - jitter: A random number in 0..<1; a half leaves the pause as it is.
    /// - Returns: Whether that opened it.
    mutating func failed(at now: Instant, asked: Duration?, jitter: Double) -> Bool {
        if case .open = phase { return false }
        failures = min(failures + 1, failuresToOpen)
        guard phase == .probing || failures >= failuresToOpen else { return false }
        let step = min(Self.longestPause, Self.firstPause * (1 << min(pauses, Self.doublings)))
        pauses += 1
        let share = 1 - RetrySchedule.jitterShare + 2 * RetrySchedule.jitterShare * jitter
        let pause = Duration.milliseconds(Int64(Double(step.milliseconds) * share))
        // The slow start that follows opens again with its first failure.
        failures = failuresToOpen - 1
        ceiling = nil
        phase = .open(until: now + max(pause, min(asked ?? .zero, Self.askedPauseMaximum)))
        return true
    }

    /// Ends the pause: somebody changed the endpoint, or wants an attempt now.
    mutating func probe(at now: Instant) {
        if case .open(let until) = phase, until > now { phase = .open(until: now) }
    }

    /// After so many the pause has its full length.
    private static let doublings = 6
}

extension AttemptResult {
    /// Whether it means that the endpoint is down, and not that it minds this one event.
    package var isDown: Bool {
        switch verdict {
        case .noAnswer, .serverError: true
        case .refused: status == 429
        case .delivered, .gone, .redirected: false
        }
    }

    /// Whether the receiver had a word about this event: a poison event is told by it (design, delivery: order).
    ///
    /// 429, 502, 503 and 504 say that the receiver, or what stands in front of it, takes nothing at all.
    package var isAboutEvent: Bool {
        switch verdict {
        case .noAnswer: false
        case .delivered, .gone, .redirected: true
        case .refused, .serverError: status.map { ![429, 502, 503, 504].contains($0) } ?? false
        }
    }
}
