import TocsinCore

/// How a receiver behaves, by the time and the event.
struct SimulatedReceiver {
    enum Kind: CaseIterable {
        case fast
        /// Accepts, after half a minute.
        case slow
        /// Refuses the connection, or takes it and says nothing.
        case dead
        case loris
        /// Up and down, in turns.
        case flapping
        /// Does not take every fourth event.
        case poison
        /// 429, with and without a pause that it asks for.
        case busy
    }

    let kind: Kind
    /// How long a flapping one stays as it is, in milliseconds.
    let period: Int64

    init(_ random: inout SimulationRandom) {
        kind = random.pick([.fast, .fast, .slow, .dead, .loris, .flapping, .flapping, .poison, .poison, .busy])
        period = Int64(random.number(1...60)) * 1000
    }

    /// The end of an attempt that begins now, and how long it takes.
    func answer(_ event: LoggedEvent, at now: Instant, _ random: inout SimulationRandom) -> (AttemptResult, Duration) {
        let quick = Duration.milliseconds(random.number(1...200))
        switch kind {
        case .fast: return (random.chance(95) ? .accepted : AttemptResult(status: 404), quick)
        case .slow: return (.accepted, .seconds(29))
        case .dead: return (.silence, random.chance(50) ? quick : .seconds(10))
        case .loris: return (.silence, .seconds(30))
        case .flapping:
            let isUp = now.millisecondsSinceEpoch / period % 2 == 0
            return (isUp ? .accepted : random.chance(50) ? .silence : AttemptResult(status: 500), quick)
        case .poison:
            return (event.sequence % 4 == 1 ? AttemptResult(status: random.chance(50) ? 400 : 500) : .accepted, quick)
        case .busy:
            let asked = random.chance(50) ? "20" : nil
            return (random.chance(30) ? .accepted : AttemptResult(status: 429, retryAfter: asked), quick)
        }
    }
}

extension AttemptResult {
    static let accepted = AttemptResult(status: 200)
    static let silence = AttemptResult(status: nil, isBroken: true)
}
