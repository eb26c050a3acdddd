import TocsinCore

/// Steady traffic through the scheduler, in virtual time: what a receiver does to others, as numbers.
///
/// Every dealer has a log of its own, into which an event comes at equal distances; all of the dealer's endpoints take all of
/// it. Nothing is drawn, so that two runs differ by their receivers only.
package struct DeliveryLoad {
    package struct Receiver: Sendable {
        package var dealer: Int
        /// How long an attempt takes, and how it ends.
        package var took: Duration
        package var isUp: Bool
        package var ordering = DeliveryOrdering.none
        /// What it does not take: events of this site.
        package var poisonedSite: Int?

        package init(dealer: Int, took: Duration, isUp: Bool) {
            self.dealer = dealer
            self.took = took
            self.isUp = isUp
        }

        package static func healthy(_ dealer: Int) -> Receiver {
            Receiver(dealer: dealer, took: .milliseconds(20), isUp: true)
        }
        /// Takes the request, and says nothing until the deadline.
        package static func loris(_ dealer: Int) -> Receiver {
            Receiver(dealer: dealer, took: .seconds(30), isUp: false)
        }
        /// Nobody answers the connection.
        package static func blackHole(_ dealer: Int) -> Receiver {
            Receiver(dealer: dealer, took: .seconds(10), isUp: false)
        }
    }

    /// What became of the events of some receivers.
    package struct Report: Sendable {
        package var delivered = 0
        package var latencies: [Int64] = []
        package var alarmLatencies: [Int64] = []

        package var p99: Int64 { Self.p99(latencies) }
        package var alarmP99: Int64 { Self.p99(alarmLatencies) }

        private static func p99(_ values: [Int64]) -> Int64 {
            values.isEmpty ? 0 : values.sorted()[min(values.count - 1, values.count * 99 / 100)]
        }
    }

    private enum Happening {
        case event(dealer: Int)
        case finished(endpoint: Int, EndpointConsumer.Attempt)
        case read(endpoint: Int, EndpointConsumer.LogRead)
        case seek(endpoint: Int)
        case load(endpoint: Int, limit: Int)
        case wake(endpoint: Int, at: Instant)
        case look(at: Instant)
    }

    private static let start = Instant(secondsSinceEpoch: 1_800_000_000)
    private static let siteCount = 50
    /// One event in so many is an alarm.
    private static let alarmEvery: Int64 = 25
    /// How many entries of a log one search for alarms looks at.
    private static let searchWindow: Int64 = 2000

    private let receivers: [Receiver]
    private let distance: Duration
    private let end: Instant
    private var scheduler: DeliveryScheduler
    private var now = Self.start
    private var lengths: [Int64]
    private let backlogs: [Int64]
    private var rows: [[EventPosition: ExceptionalDelivery]]
    private var wakes: [Instant?]
    /// When the scheduler wants to look for room.
    private var nextLook: Instant?
    private var agenda = Agenda<Happening>()
    /// By receiver.
    package private(set) var reports: [Report]
    package private(set) var mostInFlight = 0
    package private(set) var mostHeld = 0

    /// Plays it.
    ///
    /// - Parameters:
    ///   - receivers: Who receives.
    ///   - backlogs: By dealer, how many events are in the log before it begins.
    ///   - perSecond: Events a second of each dealer.
    ///   - seconds: How long it goes on.
    ///   - shares: What bounds the attempts in flight.
    package init(
        _ receivers: [Receiver],
        backlogs: [Int64],
        perSecond: Int,
        seconds: Int,
        shares: DeliveryShares.Limits = DeliveryShares.Limits()
    ) {
        self.receivers = receivers
        self.backlogs = backlogs
        lengths = backlogs
        distance = .milliseconds(1000 / perSecond)
        end = Self.start + .seconds(seconds)
        scheduler = DeliveryScheduler(limits: shares)
        rows = receivers.map { _ in [:] }
        wakes = receivers.map { _ in nil }
        reports = receivers.map { _ in Report() }
        for index in receivers.indices { begin(index) }
        for dealer in backlogs.indices { agenda.add(.event(dealer: dealer), at: now + .milliseconds(dealer)) }
        while let (instant, happening) = agenda.next(), instant <= end {
            now = instant
            handle(happening)
            mostInFlight = max(mostInFlight, scheduler.inFlight)
        }
    }

    private static func dealerID(_ dealer: Int) -> DealerID { DealerID(stored: "dlr_\(dealer)") }

    private mutating func begin(_ index: Int) {
        let receiver = receivers[index]
        let dealer = Self.dealerID(receiver.dealer)
        let owner = EndpointOwner.app(AppID(stored: "app_\(index)"), of: dealer)
        let subscription = Subscription(
            endpointID: EndpointID(stored: "ep_\(index)"),
            owner: owner,
            types: [.partitionArmed, .alarmCreated]
        )
        let settings = EndpointConsumer.Settings(subscription: subscription, ordering: receiver.ordering)
        // Whoever is healthy has no backlog: it begins at the log's end.
        let tail = lengths[receiver.dealer]
        let slot = scheduler.add(DeliveryTenant(owner))
        scheduler.set(
            slot,
            EndpointConsumer(
                settings: settings,
                lanes: [(cursor: EventPosition(dealerID: dealer, sequence: receiver.isUp ? tail : 0), tail: tail)],
                isGranted: true
            )
        )
        scheduler.tell(slot, at: now) { $0.wake(at: $1) }
        perform()
    }

    private func event(_ dealer: Int, _ sequence: Int64) -> LoggedEvent {
        let age = sequence - backlogs[dealer]
        return LoggedEvent(
            dealerID: Self.dealerID(dealer),
            sequence: sequence,
            id: EventID(stored: "evt_\(dealer)_\(sequence)"),
            type: sequence % Self.alarmEvery == 0 ? .alarmCreated : .partitionArmed,
            siteID: SiteID(stored: "site_\(sequence % Int64(Self.siteCount))"),
            partnerID: nil,
            audience: .everyone,
            createdAt: age <= 0 ? Self.start : Self.start + distance * Int(age - 1) + .milliseconds(dealer),
            body: []
        )
    }

    private mutating func handle(_ happening: Happening) {
        switch happening {
        case .event(let dealer):
            lengths[dealer] += 1
            let events = [event(dealer, lengths[dealer])]
            for index in receivers.indices where receivers[index].dealer == dealer {
                scheduler.tell(index, at: now) { $0.append(events[...], at: $1) }
                setWake(index)
            }
            agenda.add(happening, at: now + distance)
        case .finished(let index, let attempt): finish(index, attempt)
        case .read(let index, let read):
            let dealer = receivers[index].dealer
            let last = min(lengths[dealer], read.after + Int64(read.limit))
            let events = read.after < last ? (read.after + 1...last).map { event(dealer, $0) } : []
            scheduler.tell(index, at: now) { $0.read(read, events: events, rows: [], at: $1) }
            setWake(index)
        case .seek(let index): seek(index)
        case .load(let index, let limit):
            let pending = rows[index].values.filter(\.state.isPending)
                .sorted { ($0.nextAttemptAt ?? now, $0.position) < ($1.nextAttemptAt ?? now, $1.position) }
            let found = pending.prefix(limit).map {
                (row: $0, event: Optional(event(receivers[index].dealer, $0.position.sequence)))
            }
            scheduler.tell(index, at: now) { $0.loaded(found, isComplete: pending.count <= limit, at: $1) }
            setWake(index)
        case .look(let at):
            if nextLook == at { nextLook = nil }
        case .wake(let index, let at):
            guard wakes[index] == at else { return }
            wakes[index] = nil
            scheduler.tell(index, at: now) { $0.wake(at: $1) }
            setWake(index)
        }
        perform()
    }

    private mutating func seek(_ index: Int) {
        guard case let search?? = scheduler.update(index, { $0.nextSearch() }) else { return }
        let dealer = receivers[index].dealer
        let last = min(lengths[dealer], search.after + Self.searchWindow)
        let first = (search.after / Self.alarmEvery + 1) * Self.alarmEvery
        let alarms = stride(from: first, through: last, by: Int64.Stride(Self.alarmEvery)).prefix(search.limit)
            .map { event(dealer, $0) }
        let end = alarms.count < search.limit ? last : alarms.last?.sequence ?? last
        scheduler.tell(index, at: now) { $0.sought(search, events: alarms, searchedTo: end, rows: [], at: $1) }
        setWake(index)
    }

    private mutating func finish(_ index: Int, _ attempt: EndpointConsumer.Attempt) {
        let receiver = receivers[index]
        let site = Int(attempt.event.sequence) % Self.siteCount
        var result = receiver.isUp ? AttemptResult.accepted : .silence
        if receiver.poisonedSite == site { result = AttemptResult(status: 400) }
        let kind = DeliveryClass(attempt.event.type)
        scheduler.finished(index, (attempt.flight, kind), result, took: receiver.took, at: now, jitter: 0.5)
        setWake(index)
    }

    private mutating func setWake(_ index: Int) {
        let due = scheduler[index]?.nextWake(after: now)
        guard due != wakes[index] else { return }
        wakes[index] = due
        if let due { agenda.add(.wake(endpoint: index, at: due), at: due) }
    }

    private mutating func perform() {
        // What has left at once makes room for more.
        while true {
            let outputs = scheduler.takeOutputs(at: now)
            if outputs.isEmpty { break }
            perform(outputs)
        }
        guard let look = scheduler.nextLook, look != nextLook else { return }
        nextLook = look
        agenda.add(.look(at: look), at: look)
    }

    private mutating func perform(_ outputs: [DeliveryScheduler.Output]) {
        for (index, action) in outputs {
            switch action {
            case .send(let attempt):
                if DeliveryClass(attempt.event.type) == .ordinary { scheduler.left(1) }
                agenda.add(.finished(endpoint: index, attempt), at: now + receivers[index].took)
                mostHeld = max(mostHeld, scheduler[index]?.heldCount ?? 0)
                setWake(index)
            case .save(let row): rows[index][row.position] = row.state.isPending ? row : nil
            case .readLog(let read): agenda.add(.read(endpoint: index, read), at: now + .milliseconds(1))
            case .seekAlarms: agenda.add(.seek(endpoint: index), at: now + .milliseconds(1))
            case .loadRows(let limit): agenda.add(.load(endpoint: index, limit: limit), at: now + .milliseconds(1))
            case .settled(let event, .delivered, _):
                if receivers[index].poisonedSite == Int(event.sequence) % Self.siteCount { continue }
                let latency = (now - event.createdAt).milliseconds
                reports[index].delivered += 1
                reports[index].latencies.append(latency)
                if event.type.isAlarmClass { reports[index].alarmLatencies.append(latency) }
            case .saveCursors: _ = scheduler.update(index) { $0.takeCursors() }
            case .settled, .stand, .announce, .breaker: break
            }
        }
    }

    /// What became of all events of some receivers together.
    package func report(of indices: some Sequence<Int>) -> Report {
        indices.reduce(into: Report()) {
            $0.delivered += reports[$1].delivered
            $0.latencies += reports[$1].latencies
            $0.alarmLatencies += reports[$1].alarmLatencies
        }
    }
}

/// What is to happen, the earliest first; at the same time what was added first.
struct Agenda<Item> {
    private var heap: [(at: Instant, number: Int, item: Item)] = []
    private var count = 0

    mutating func add(_ item: Item, at instant: Instant) {
        count += 1
        heap.append((instant, count, item))
        var child = heap.count - 1
        while child > 0, comesFirst(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> (Instant, Item)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && comesFirst(child, least) {
                least = child
            }
            if least == parent { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return (first.at, first.item)
    }

    private func comesFirst(_ a: Int, _ b: Int) -> Bool {
        (heap[a].at, heap[a].number) < (heap[b].at, heap[b].number)
    }
}
