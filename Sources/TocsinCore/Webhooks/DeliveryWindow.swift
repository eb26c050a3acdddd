/// Bounds the ordinary attempts that stand in queues, be it this machine's or a receiver's.
///
/// An attempt in flight is either on its way, which it would be however few there were, or it stands in a queue. What stands in
/// queues is delivered no sooner for it, and every alarm stands behind it. How much of an attempt is which is told by how long
/// its endpoint's deliveries take, held against the quickest of them: an endpoint far away may have hundreds on their way,
/// and all that are answered from next door together no more than keep the machine busy. Of two designs this is the one with
/// one sum over all endpoints. A window for each, as TCP has it, still adds up to a long queue: two each of hundreds.
///
/// Who does not answer, or late, holds nobody up: a dealer may have as much in queues as is still free, an endpoint a part of
/// that, and an attempt counts no longer than ``patience``.
package struct DeliveryWindow: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Attempts that stand in queues: several milliseconds' work, and none the less for it.
        package var queued = 160
        /// Those that have not left this machine yet.
        package var waiting = 128
        /// An endpoint may have one in so many of those that are free.
        package var endpointPart = 4

        package init() {}

        package init(queued: Int, waiting: Int) { (self.queued, self.waiting) = (queued, waiting) }
    }

    /// An attempt that takes longer waits for its receiver, not for others.
    package static let patience: Duration = .milliseconds(250)
    /// One whole attempt; its part that stands in a queue is told in so many parts.
    static let whole = 64
    /// When nothing but time makes room, it is looked for so often.
    private static let lookEvery: Int64 = 50

    private struct Flight: Hashable, Sendable {
        var endpoint: Int
        var number: Int
    }

    private struct Member: Sendable {
        var tenant: Int
        var pace = Pace()
        var queued = 0
    }

    private struct Counted: Sendable {
        var serial: Int
        var weight: Int
    }

    package let limits: Limits
    private var members: [Member] = []
    private var queuedOfTenant: [Int] = []
    private var counted: [Flight: Counted] = [:]
    private var inOrder = Queue<(flight: Flight, serial: Int, at: Instant)>()
    private var serial = 0
    /// In parts of ``whole``.
    private var queued = 0
    private var waiting = 0

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Whether another ordinary attempt may begin.
    package var hasRoom: Bool { waiting < limits.waiting && queued < limits.queued * Self.whole }

    /// Somebody was refused, and time alone may make room.
    private var hasRefused = false

    /// Takes up an endpoint; its index is the number of those before it.
    package mutating func join(tenant: Int) {
        members.append(Member(tenant: tenant))
        while queuedOfTenant.count <= tenant { queuedOfTenant.append(0) }
    }

    private var free: Int { limits.queued * Self.whole - queued }

    /// Whether a dealer may begin another ordinary attempt; one that has none in a queue always may, while there is room.
    package mutating func takes(tenant: Int) -> Bool {
        let takes = hasRoom && queuedOfTenant[tenant] < max(Self.whole, free)
        if !takes { hasRefused = true }
        return takes
    }

    /// Whether an endpoint may, if its dealer may.
    package mutating func takes(_ endpoint: Int) -> Bool {
        let takes = members[endpoint].queued < max(Self.whole, free / limits.endpointPart)
        if !takes { hasRefused = true }
        return takes
    }

    /// When there may be room though nothing has ended; nil while nobody waits for that.
    package var nextLook: Instant? {
        guard hasRefused || !hasRoom, let oldest = inOrder.first else { return nil }
        // Seldom another instant than the last: whoever is to be woken then need not be told anew each time.
        let due = (oldest.at + Self.patience).millisecondsSinceEpoch
        return Instant(millisecondsSinceEpoch: (due / Self.lookEvery + 1) * Self.lookEvery)
    }

    /// An ordinary attempt has begun.
    package mutating func began(_ endpoint: Int, _ number: Int, at now: Instant) {
        let flight = Flight(endpoint: endpoint, number: number)
        let weight = members[endpoint].pace.weight
        serial += 1
        if let before = counted.updateValue(Counted(serial: serial, weight: weight), forKey: flight) {
            add(-before.weight, to: endpoint)
        }
        inOrder.append((flight, serial, now))
        add(weight, to: endpoint)
        waiting += 1
    }

    private mutating func add(_ weight: Int, to endpoint: Int) {
        queued += weight
        members[endpoint].queued += weight
        queuedOfTenant[members[endpoint].tenant] += weight
    }

    /// So many ordinary attempts have left this machine.
    package mutating func left(_ count: Int) { waiting -= count }

    /// An ordinary attempt has ended; what it took tells the endpoint's pace if it delivered.
    package mutating func ended(_ endpoint: Int, _ number: Int, took duration: Duration, delivered: Bool) {
        if let ended = counted.removeValue(forKey: Flight(endpoint: endpoint, number: number)) {
            add(-ended.weight, to: endpoint)
        }
        if delivered { members[endpoint].pace.note(duration) }
    }

    /// Leaves out what has taken longer than ``patience``; returns whose it is: they may begin others.
    package mutating func pass(_ now: Instant) -> [Int] {
        var late: [Int] = []
        while let oldest = inOrder.first {
            let isOver = counted[oldest.flight]?.serial != oldest.serial
            guard isOver || oldest.at + Self.patience <= now else { return late }
            _ = inOrder.popFirst()
            guard !isOver, let flight = counted.removeValue(forKey: oldest.flight) else { continue }
            add(-flight.weight, to: oldest.flight.endpoint)
            late.append(oldest.flight.endpoint)
        }
        hasRefused = false
        return late
    }
}

extension DeliveryWindow {
    /// How long an endpoint's deliveries take: of late, and at best.
    private struct Pace: Sendable {
        /// Deliveries after which what was quickest before is forgotten: networks change.
        private static let memory = 1_024
        /// What an endpoint's own answers may vary by, as long as that is no more than its best.
        private static let variation = 50_000

        /// In microseconds; 0 as long as nothing is known.
        private var usual = 0
        private var quickest = Int.max
        private var quickestBefore = Int.max
        private var count = 0

        mutating func note(_ duration: Duration) {
            let microseconds = max(1, duration.microseconds)
            usual += usual == 0 ? microseconds : (microseconds - usual) / 8
            quickest = min(quickest, microseconds)
            count += 1
            if count == Self.memory { (quickestBefore, quickest, count) = (quickest, .max, 0) }
        }

        /// The part of an attempt that stands in a queue; at least the smallest, and half where nothing is known.
        var weight: Int {
            if usual == 0 { return DeliveryWindow.whole / 2 }
            let best = min(quickest, quickestBefore)
            let onItsWay = min(usual, best + min(best, Self.variation))
            return max(1, DeliveryWindow.whole - DeliveryWindow.whole * onItsWay / usual)
        }
    }
}

extension Duration {
    fileprivate var microseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
    }
}
