import TocsinCore

/// What the rules of the circuit breaker allow, told from the ends of attempts alone.
struct BreakerLaw {
    /// Fewer than in earnest, so that short lives come to it.
    static let failuresToOpen = 3
    /// The shortest pause with the shortest jitter; longer ones are allowed too.
    private static let pause: Duration = .seconds(4)

    private enum Phase {
        case closed(failures: Int)
        case open(until: Instant, isProbed: Bool)
        /// It comes back: so many in flight.
        case recovering(Int)
    }

    private var phase = Phase.closed(failures: 0)
    private var editedAt: Instant?

    /// Why an attempt must not begin now, beside so many in flight.
    func complaint(inFlight: Int, at now: Instant) -> String? {
        switch phase {
        case .closed: nil
        case .open(let until, _) where now < until: "is sent while the breaker is open"
        case .open: inFlight > 0 ? "is sent beside a probe" : nil
        case .recovering(let ceiling):
            inFlight >= ceiling ? "is one of \(inFlight + 1) where \(ceiling) may be in flight after an outage" : nil
        }
    }

    mutating func began() {
        if case .open(let until, _) = phase { phase = .open(until: until, isProbed: true) }
    }

    mutating func ended(_ result: AttemptResult, begunAt: Instant, concurrency: Int, at now: Instant) {
        // An endpoint that failed before a restart may open sooner than is told here, and was probed at once if it was
        // edited then; what had begun before says nothing of the endpoint as it is now.
        let isOld = editedAt.map { begunAt <= $0 } ?? false
        let reopens = isOld ? now : now + Self.pause
        let isDown = result.isBroken || result.status == 429 || (result.status ?? 0) >= 500
        switch phase {
        case .closed(let failures):
            guard isDown else { return phase = .closed(failures: 0) }
            let isOpen = failures + 1 >= Self.failuresToOpen
            phase = isOpen ? .open(until: reopens, isProbed: false) : .closed(failures: failures + 1)
        case .open(_, let isProbed):
            guard isDown else { return recover(2, concurrency) }
            if isProbed { phase = .open(until: now + Self.pause, isProbed: false) }
        case .recovering(let ceiling):
            guard isDown else { return recover(ceiling * 2, concurrency) }
            phase = .open(until: reopens, isProbed: false)
        }
    }

    private mutating func recover(_ ceiling: Int, _ concurrency: Int) {
        phase = ceiling >= concurrency ? .closed(failures: 0) : .recovering(ceiling)
    }

    /// Somebody changed the endpoint: it may be probed at once.
    mutating func wasEdited(at now: Instant) {
        editedAt = now
        if case .open(let until, let isProbed) = phase { phase = .open(until: min(until, now), isProbed: isProbed) }
    }
}
