import Testing
import TocsinCore

/// A repeatable generator (SplitMix64).
private struct Dice {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

/// A shell without I/O: a log, what is recorded of it, attempts in flight, and a fate that the dice decide.
private struct World {
    static let limits = {
        var limits = EndpointConsumer.Limits(buffer: 8, window: 12, rows: 6, orderedRows: 10)
        (limits.whileOpen, limits.express, limits.ahead) = (2, 4, 12)
        return limits
    }()

    var dice: Dice
    var now = Sample.start
    var settings: EndpointConsumer.Settings
    var consumer: EndpointConsumer
    let dealers: [DealerID]
    var logs: [DealerID: [LoggedEvent]] = [:]

    // What the ledger holds.
    var rows: [EventPosition: ExceptionalDelivery] = [:]
    var cursors: [DealerID: Int64] = [:]

    // What the shell has not done yet.
    var unrecorded: [ExceptionalDelivery] = []
    var flights: [EndpointConsumer.Attempt] = []
    var reads: [EndpointConsumer.LogRead] = []
    var asksToSeek = false
    var search: (asked: EndpointConsumer.AlarmSearch, found: [LoggedEvent], rows: Set<Int64>)?
    var load: (limit: Int, answer: [ExceptionalDelivery]?, isComplete: Bool)?
    var unpublished: [ArraySlice<LoggedEvent>] = []

    // What really happened.
    var settled: Set<EventPosition> = []
    var parked: Set<EventPosition> = []
    var sentCount: [EventPosition: Int] = [:]
    /// Sent since the last restart: what a crash interrupts and a tightened subscription then forbids has no end.
    var sentInThisLife: Set<EventPosition> = []
    var settledInThisLife: Set<EventPosition> = []
    var restarts = 0
    var faults: [String] = []

    init(seed: UInt64) {
        dice = Dice(state: seed)
        let isOrdered = dice.chance(50)
        let isPartner = dice.chance(30)
        dealers = isPartner ? [Sample.dealer, DealerID(stored: "dlr_b"), DealerID(stored: "dlr_c")] : [Sample.dealer]
        settings = EndpointConsumer.Settings(
            subscription: Sample.subscription(
                owner: isPartner ? .partner(Sample.partner) : .app(Sample.app, of: Sample.dealer),
                types: [.partitionArmed, .alarmCreated],
                scopes: [.sitesRead, .eventsRead]
            ),
            ordering: isOrdered ? .site : .none,
            concurrency: 1 + dice.below(6),
            schedule: RetrySchedule(ownSteps: dice.chance(50) ? [.seconds(5)] : nil)
        )
        consumer = EndpointConsumer(settings: settings, lanes: [], limits: Self.limits)
        for dealer in dealers { logs[dealer] = [] }
        restart()
        restarts = 0
    }

    /// Forgets everything that is not recorded.
    mutating func restart() {
        restarts += 1
        sentInThisLife = []
        settledInThisLife = []
        unrecorded = []
        flights = []
        reads = []
        load = nil
        asksToSeek = false
        search = nil
        unpublished = []
        let open = rows.values.filter(\.state.isPending)
        consumer = EndpointConsumer(
            settings: settings,
            lanes: dealers.map { dealer in
                (
                    cursor: EventPosition(dealerID: dealer, sequence: cursors[dealer] ?? 0),
                    tail: Int64(logs[dealer]?.count ?? 0)
                )
            },
            nextDue: open.compactMap(\.nextAttemptAt).min(),
            limits: Self.limits
        )
        perform(consumer.wake(at: now))
    }

    func event(_ position: EventPosition) -> LoggedEvent? { logs[position.dealerID]?[Int(position.sequence) - 1] }

    mutating func perform(_ actions: [EndpointConsumer.Action]) {
        for action in actions {
            switch action {
            case .send(let attempt): send(attempt)
            case .save(let row):
                unrecorded.append(row)
                if row.state == .parked { parked.insert(row.position) }
            case .readLog(let read): reads.append(read)
            case .seekAlarms: asksToSeek = true
            case .loadRows(let limit): load = (limit, nil, false)
            case .settled(let event, _, _):
                settled.insert(event.position)
                settledInThisLife.insert(event.position)
            case .saveCursors: record()
            case .stand, .announce, .breaker: break
            }
        }
        if consumer.inFlight > settings.concurrency { faults.append("\(consumer.inFlight) in flight") }
        let bound =
            Self.limits.buffer * 2 + Self.limits.express
            + (settings.ordering == .site ? Self.limits.orderedRows * 3 : Self.limits.rows)
        if consumer.heldCount > bound { faults.append("\(consumer.heldCount) held") }
    }

    mutating func send(_ attempt: EndpointConsumer.Attempt) {
        let event = attempt.event
        if !settings.subscription.takes(event) { faults.append("\(event.id) was sent though not subscribed") }
        if settledInThisLife.contains(event.position) { faults.append("\(event.id) was sent after its end") }
        if flights.contains(where: { $0.event.position == event.position }) {
            faults.append("\(event.id) is sent twice at once")
        }
        if settings.ordering == .site, let site = event.siteID {
            if flights.contains(where: { $0.event.siteID == site }) { faults.append("two of \(site) in flight") }
            for earlier in logs[event.dealerID]?.prefix(Int(event.sequence) - 1) ?? []
            where earlier.siteID == site && settings.subscription.takes(earlier) && !settled.contains(earlier.position)
                && !parked.contains(earlier.position)
            {
                faults.append("\(event.id) overtook \(earlier.id)")
            }
        }
        sentCount[event.position, default: 0] += 1
        sentInThisLife.insert(event.position)
        flights.append(attempt)
    }

    /// One durable write: rows first put out, and cursors.
    mutating func record() {
        for row in unrecorded { rows[row.position] = row }
        unrecorded = []
        for cursor in consumer.takeCursors() {
            let position = cursor.position
            cursors[position.dealerID] = max(cursors[position.dealerID] ?? 0, position.sequence)
            for event in logs[position.dealerID]?.prefix(Int(position.sequence)) ?? []
            where settings.subscription.takes(event) && !settled.contains(event.position) && rows[event.position] == nil
            {
                faults.append("the cursor passed \(event.id)")
            }
        }
    }

    mutating func appendEvents() {
        let dealer = dealers[dice.below(dealers.count)]
        let first = Int64(logs[dealer]?.count ?? 0) + 1
        for sequence in first..<(first + 1 + Int64(dice.below(6))) {
            let type: EventType = [.partitionArmed, .partitionArmed, .alarmCreated, .deviceOnline][dice.below(4)]
            logs[dealer]?.append(
                Sample.event(
                    sequence,
                    of: dealer,
                    type: type,
                    site: dice.chance(90) ? dice.below(4) : nil,
                    partner: dice.chance(90) ? Sample.partner : nil,
                    at: now
                )
            )
        }
        guard let batch = logs[dealer]?[(Int(first) - 1)...] else { return }
        // Most batches arrive at once; some late, some never.
        if dice.chance(80) {
            perform(consumer.append(batch, at: now))
        } else if dice.chance(70) {
            unpublished.append(batch)
        } else if let last = batch.last {
            perform(consumer.logReaches(last.position, at: now))
        }
    }

    mutating func finishOne(_ result: AttemptResult?) {
        guard !flights.isEmpty else { return }
        let attempt = flights.remove(at: dice.below(flights.count))
        let roll = dice.below(100)
        let fate = result ?? (roll < 60 ? .ok : roll < 95 ? .down : .broken)
        perform(consumer.finished(attempt.flight, fate, at: now, jitter: dice.fraction()))
    }

    mutating func answerRead() {
        guard let read = reads.popLast() else { return }
        if dice.chance(5) { return perform(consumer.readFailed(read, at: now)) }
        let found = logs[read.dealerID]?.dropFirst(Int(read.after)).prefix(read.limit) ?? []
        let known = read.asksForRows ? Set(found.map(\.sequence).filter { hasRow(read.dealerID, $0) }) : []
        perform(consumer.read(read, events: Array(found), rows: known, at: now))
    }

    /// Looks now and answers later, as with rows.
    mutating func answerSearch() {
        if let (asked, found, rows) = search {
            search = nil
            if dice.chance(5) { return perform(consumer.seekFailed(asked, at: now)) }
            let end = found.last?.sequence ?? asked.after
            let alarms = Array(found.filter { asked.types.contains($0.type) })
            return perform(consumer.sought(asked, events: alarms, searchedTo: end, rows: rows, at: now))
        }
        guard asksToSeek else { return }
        asksToSeek = false
        guard let asked = consumer.nextSearch() else { return }
        var found: [LoggedEvent] = []
        for event in (logs[asked.dealerID] ?? []).dropFirst(Int(asked.after)).prefix(7) {
            found.append(event)
            if found.filter({ asked.types.contains($0.type) }).count == asked.limit { break }
        }
        let known = asked.asksForRows ? found.map(\.sequence).filter { hasRow(asked.dealerID, $0) } : []
        search = (asked, found, Set(known))
    }

    func hasRow(_ dealer: DealerID, _ sequence: Int64) -> Bool {
        rows[EventPosition(dealerID: dealer, sequence: sequence)] != nil
    }

    /// Reads now and answers later, so that rows change in between.
    mutating func answerLoad() {
        guard var asked = load else { return }
        if let answer = asked.answer {
            load = nil
            if dice.chance(5) { return perform(consumer.loadFailed(at: now)) }
            let found = answer.map { (row: $0, event: event($0.position)) }
            return perform(consumer.loaded(found, isComplete: asked.isComplete, at: now))
        }
        record()
        let open = rows.values.filter(\.state.isPending)
            .sorted { ($0.nextAttemptAt ?? now, $0.position) < ($1.nextAttemptAt ?? now, $1.position) }
        asked.answer = Array(open.prefix(asked.limit))
        asked.isComplete = open.count <= asked.limit
        load = asked
    }

    mutating func step() {
        switch dice.below(100) {
        case 0..<20: appendEvents()
        case 20..<50: finishOne(nil)
        case 50..<56: answerRead()
        case 56..<60: answerSearch()
        case 60..<70: answerLoad()
        case 70..<82: record()
        case 82..<86:
            if !unpublished.isEmpty {
                let batch = unpublished.remove(at: dice.below(unpublished.count))
                perform(consumer.append(batch, at: now))
            }
        case 86:
            if dice.chance(10) { tighten() }
        case 87..<98:
            if let due = consumer.nextWake(after: now), dice.chance(70) {
                now = due
            } else {
                now = now + .seconds(Int64(dice.below(600)))
            }
            perform(consumer.wake(at: now))
        default: restart()
        }
    }

    /// Takes something away from the endpoint while deliveries are on their way.
    mutating func tighten() {
        if dice.chance(50) {
            settings.subscription.types.remove(.alarmCreated)
        } else {
            settings.subscription.scopes.remove(.eventsRead)
        }
        perform(consumer.reconfigure(settings, at: now))
    }

    /// Lets everything come to its end with a receiver that is up.
    mutating func quiesce() -> Bool {
        for _ in 0..<20_000 {
            if !flights.isEmpty {
                finishOne(.ok)
            } else if !reads.isEmpty {
                answerRead()
            } else if asksToSeek || search != nil {
                answerSearch()
            } else if load != nil {
                answerLoad()
            } else if let due = consumer.nextWake(after: now) {
                now = due
                perform(consumer.wake(at: now))
            } else {
                record()
                return true
            }
        }
        return false
    }

    mutating func check() {
        for (dealer, log) in logs {
            // A batch that nobody published is found at the next restart or the next event.
            if let last = log.last { perform(consumer.logReaches(last.position, at: now)) }
            if !quiesce() { faults.append("it does not come to rest") }
            if cursors[dealer] ?? 0 != Int64(log.count) {
                faults.append("the cursor of \(dealer) stands at \(cursors[dealer] ?? 0) of \(log.count)")
            }
            for event in log where settings.subscription.takes(event) {
                if sentCount[event.position] == nil { faults.append("\(event.id) was never sent") }
                if !settled.contains(event.position) { faults.append("\(event.id) is lost") }
            }
            for event in log {
                let isOpen = sentInThisLife.contains(event.position) && !settled.contains(event.position)
                if isOpen { faults.append("\(event.id) has no end") }
                if sentCount[event.position] != nil, event.type == .deviceOnline {
                    faults.append("\(event.id) was sent")
                }
                if let state = rows[event.position]?.state, state.isPending {
                    faults.append("\(event.id) is left \(state.rawValue)")
                }
            }
        }
    }
}

struct `Endpoint consumer simulation` {
    /// Each takes well under a millisecond; the seeds are fixed, so that a failure can be looked into.
    static let runs = 3000

    @Test func `whatever happens nothing is lost or overtaken and memory is bounded`() {
        var attempts = 0
        var restarts = 0
        var states: [DeliveryState: Int] = [:]
        for seed in 0..<UInt64(Self.runs) {
            var world = World(seed: seed)
            for _ in 0..<150 where world.faults.isEmpty { world.step() }
            if world.faults.isEmpty { world.check() }
            #expect(world.faults.isEmpty, "seed \(seed): \(world.faults.prefix(3))")
            if !world.faults.isEmpty { return }
            attempts += world.sentCount.values.reduce(0, +)
            restarts += world.restarts
            for row in world.rows.values { states[row.state, default: 0] += 1 }
        }
        // The dice must reach every part of the machine.
        #expect(attempts > Self.runs * 20 && restarts > Self.runs, "\(attempts) attempts, \(restarts) restarts")
        for state in [DeliveryState.delivered, .dead, .withdrawn] {
            #expect(states[state, default: 0] > Self.runs / 6, "\(states)")
        }
    }
}
