import TocsinCore

/// A made-up life of the delivery scheduler, in virtual time, over a made-up network: the same seed makes the same one.
///
/// Endpoints, dealers, receivers, edits and restarts are drawn; a restart rebuilds everything from what was recorded. What
/// is wrong is found by laws (``check(_:_:)`` and its like) that know nothing of the scheduler's own state.
package struct DeliveryLife {
    struct Flight {
        var endpoint: Int
        var attempt: EndpointConsumer.Attempt
        var result: AttemptResult
        var took: Duration
        var endsAt: Instant
    }

    static let shares = DeliveryShares.Limits(total: 8, alarmReserve: 2, slow: 3, endpointPart: 2)
    static let limits = {
        var limits = EndpointConsumer.Limits(buffer: 4, window: 8, rows: 4, orderedRows: 8)
        (limits.whileOpen, limits.express, limits.ahead) = (2, 6, 200)
        return limits
    }()
    /// Fewer than in earnest, so that short lives come to it.
    static let answersToPark = 3
    /// How long a machine leaves a ledger alone that has not answered.
    static let pauseAfterTrouble: Duration = .seconds(1)
    /// How many entries of a log one search for alarms looks at.
    static let searchWindow = 10
    static let start = Instant(secondsSinceEpoch: 1_800_000_000)
    static let dealerIDs = [DealerID(stored: "dlr_a"), DealerID(stored: "dlr_b")]
    /// By dealer; few, so that events of a site meet.
    static let sites = ["a", "b"].map { dealer in (0..<3).map { SiteID(stored: "site_\(dealer)\($0)") } }

    package let seed: UInt64
    let fault: DeliveryFault
    var random: SimulationRandom
    var now = Self.start
    var scheduler = DeliveryScheduler()
    var endpoints: [SimulatedEndpoint] = []
    var logs: [[LoggedEvent]] = [[], []]
    var flights: [Flight] = []
    /// When everything is to come to rest, receivers are up.
    var isHealed = false

    /// What is wrong, first to last; empty for a life that keeps the laws.
    package internal(set) var complaints: [String] = []
    package private(set) var restarts = 0
    package internal(set) var attempts = 0
    package internal(set) var parked = 0
    package internal(set) var openings = 0

    /// Makes a life and lives it.
    package init(seed: UInt64, steps: Int = 24, fault: DeliveryFault? = nil) {
        self.seed = seed
        self.fault = fault ?? .none
        random = SimulationRandom(seed: seed)
        for index in 0..<random.pick([1, 2, 2, 3]) {
            endpoints.append(SimulatedEndpoint(index, &random, dealerIDs: Self.dealerIDs))
        }
        restart()
        restarts = 0
        for _ in 0..<steps where complaints.isEmpty { step() }
        if complaints.isEmpty { end() }
    }

    private mutating func step() {
        switch random.number(0...99) {
        case 0..<22: append()
        case 22..<30: record(random.number(0...endpoints.count - 1))
        case 30..<33: restart()
        case 33..<36: edit(random.number(0...endpoints.count - 1))
        default: advance()
        }
    }

    // MARK: - What happens

    /// Forgets everything that is not recorded.
    private mutating func restart() {
        restarts += 1
        flights = []
        var shares = Self.shares
        fault.shares(&shares)
        scheduler = DeliveryScheduler(limits: shares)
        if random.chance(30) { grow(random.number(0...1), by: random.number(10...40)) }
        for index in endpoints.indices {
            endpoints[index].forget()
            noteBacklog(index)
            let slot = scheduler.add(endpoints[index].tenant)
            scheduler.set(slot, machine(index))
            scheduler.tell(slot, at: now) { $0.wake(at: $1) }
        }
        perform()
    }

    /// A machine made of what the ledger holds.
    private func machine(_ index: Int) -> EndpointConsumer {
        let endpoint = endpoints[index]
        var (settings, limits, rules) = (endpoint.settings, Self.limits, EndpointConsumer.Rules())
        rules.failuresToOpen = BreakerLaw.failuresToOpen
        rules.answersToPark = Self.answersToPark
        fault.settings(&settings)
        fault.limits(&limits)
        fault.rules(&rules)
        let pending = endpoint.rows.values.filter(\.state.isPending)
        return EndpointConsumer(
            settings: settings,
            failingSince: endpoint.failingSince,
            lanes: endpoint.dealers.map { dealer in
                let cursor = EventPosition(dealerID: Self.dealerIDs[dealer], sequence: endpoint.cursors[dealer] ?? 0)
                return (cursor: cursor, tail: Int64(logs[dealer].count))
            },
            nextDue: fault.forgetsRows ? nil : pending.compactMap(\.nextAttemptAt).min(),
            limits: limits,
            rules: rules,
            isGranted: true
        )
    }

    private mutating func append() {
        let dealer = random.number(0...1)
        let first = logs[dealer].count
        grow(dealer, by: random.number(1...4))
        // Most batches arrive; of some only the log tells.
        let isPublished = random.chance(85)
        guard let last = logs[dealer].last else { return }
        let batch = logs[dealer][first...]
        for index in endpoints.indices where endpoints[index].dealers.contains(dealer) {
            if isPublished {
                noteAlarms(batch, index)
                let told = batch.map(fault.event)
                scheduler.tell(index, at: now) { $0.append(told[...], at: $1) }
            } else {
                scheduler.tell(index, at: now) { $0.logReaches(last.position, at: $1) }
            }
        }
        perform()
    }

    private mutating func grow(_ dealer: Int, by count: Int) {
        let first = logs[dealer].count
        for number in first..<(first + count) {
            logs[dealer].append(
                LoggedEvent(
                    dealerID: Self.dealerIDs[dealer],
                    sequence: Int64(number + 1),
                    id: EventID(stored: "evt_\(dealer)_\(number)"),
                    type: random.pick([.partitionArmed, .partitionArmed, .alarmCreated, .deviceOnline]),
                    siteID: random.chance(90) ? random.pick(Self.sites[dealer]) : nil,
                    partnerID: random.chance(80) ? PartnerID(stored: "prt_a") : nil,
                    audience: .everyone,
                    createdAt: now,
                    body: []
                )
            )
            for index in endpoints.indices { endpoints[index].fates[dealer].append(SimulatedEndpoint.Fate()) }
        }
    }

    /// Changes an endpoint; what it no longer subscribes to must not be sent any more.
    private mutating func edit(_ index: Int) {
        switch random.number(0...3) {
        case 0: endpoints[index].settings.subscription.types.remove(.alarmCreated)
        case 1: endpoints[index].settings.concurrency = random.pick([1, 2, 4, 8])
        case 2:
            endpoints[index].settings.ratePerSecond = random.chance(50) ? random.pick([1, 3, 20]) : nil
            endpoints[index].begun = []
        default: break  // a secret, which the machine does not know of
        }
        endpoints[index].breaker.wasEdited(at: now)
        if fault.isDeaf { return }
        var settings = endpoints[index].settings
        fault.settings(&settings)
        scheduler.tell(index, at: now) { [settings] in $0.reconfigure(settings, at: $1) }
        perform()
    }

    /// One durable write of an endpoint: rows as they were put out, and cursors.
    mutating func record(_ index: Int) {
        for row in endpoints[index].unrecorded { endpoints[index].rows[row.position] = row }
        endpoints[index].unrecorded = []
        if let standing = endpoints[index].unrecordedStanding {
            endpoints[index].failingSince = standing
            endpoints[index].unrecordedStanding = nil
        }
        for cursor in scheduler.update(index, { $0.takeCursors() }) ?? [] {
            let dealer = cursor.position.dealerID == Self.dealerIDs[0] ? 0 : 1
            let sequence = min(Int64(logs[dealer].count), cursor.position.sequence + fault.cursorIsAheadBy)
            endpoints[index].cursors[dealer] = max(endpoints[index].cursors[dealer] ?? 0, sequence)
        }
    }

    // MARK: - Time

    /// Goes to what happens next: the end of an attempt, an answer of the ledger, a time that a machine waits for.
    @discardableResult
    private mutating func advance() -> Bool {
        for index in endpoints.indices where endpoints[index].awaitsAnswer {
            answer(index)
            return true
        }
        let flight = flights.indices.min { flights[$0].endsAt < flights[$1].endsAt }
        let wake = endpoints.indices.compactMap { scheduler[$0]?.nextWake(after: now) }.min()
        guard let next = [flight.map { flights[$0].endsAt }, wake].compactMap({ $0 }).min() else { return false }
        let before = now
        now = max(now, next)
        for index in endpoints.indices {
            guard let due = scheduler[index]?.nextWake(after: before), due <= now else { continue }
            scheduler.tell(index, at: now) { $0.wake(at: $1) }
        }
        if let flight, flights[flight].endsAt <= now { finish(flights.remove(at: flight)) } else { perform() }
        return true
    }

    private mutating func finish(_ flight: Flight) {
        noteEnd(flight)
        let told = fault.result(flight.result)
        let kind = DeliveryClass(fault.event(flight.attempt.event).type)
        let jitter = Double(random.number(0...999)) / 1000
        scheduler.finished(
            flight.endpoint,
            (flight.attempt.flight, kind),
            told,
            took: flight.took,
            at: now,
            jitter: jitter
        )
        perform()
    }

    /// The ledger's answer to the oldest question of an endpoint.
    private mutating func answer(_ index: Int) {
        if let found = endpoints[index].search {
            takeFound(found, index)
        } else if endpoints[index].asksToSeek {
            endpoints[index].asksToSeek = false
            endpoints[index].search = seek(index)
            return
        } else if let read = endpoints[index].reads.popLast() {
            if random.chance(3), !isHealed {
                noteTrouble(index)
                scheduler.tell(index, at: now) { $0.readFailed(read, at: $1) }
            } else {
                let dealer = read.dealerID == Self.dealerIDs[0] ? 0 : 1
                let found = logs[dealer].dropFirst(Int(read.after)).prefix(read.limit)
                let rows = endpoints[index].rows
                let known = read.asksForRows ? Set(found.filter { rows[$0.position] != nil }.map(\.sequence)) : []
                let told = found.map(fault.event)
                scheduler.tell(index, at: now) { $0.read(read, events: told, rows: known, at: $1) }
            }
        } else if let limit = endpoints[index].load {
            record(index)
            endpoints[index].load = nil
            let pending = endpoints[index].rows.values.filter(\.state.isPending)
                .sorted { ($0.nextAttemptAt ?? now, $0.position) < ($1.nextAttemptAt ?? now, $1.position) }
            let found = pending.prefix(limit).map { row in
                (row: row, event: event(row.position).map(fault.event))
            }
            scheduler.tell(index, at: now) { $0.loaded(found, isComplete: pending.count <= limit, at: $1) }
        }
        perform()
    }

    /// Looks for alarms; what it finds comes later than what is recorded meanwhile.
    private mutating func seek(_ index: Int) -> SimulatedEndpoint.FoundAlarms? {
        guard case let search?? = scheduler.update(index, { $0.nextSearch() }) else { return nil }
        let log = logs[search.dealerID == Self.dealerIDs[0] ? 0 : 1]
        let window = log.dropFirst(Int(search.after)).prefix(Self.searchWindow)
        let alarms = window.filter { search.types.contains($0.type) }.prefix(search.limit)
        let end = alarms.count < search.limit ? window.last?.sequence : alarms.last?.sequence
        let rows = endpoints[index].rows
        let known = search.asksForRows && !fault.seeksWithoutRows ? alarms.filter { rows[$0.position] != nil } : []
        return SimulatedEndpoint.FoundAlarms(
            search: search,
            events: Array(alarms),
            searchedTo: end ?? search.after,
            rows: Set(known.map(\.sequence))
        )
    }

    private mutating func takeFound(_ found: SimulatedEndpoint.FoundAlarms, _ index: Int) {
        endpoints[index].search = nil
        if random.chance(3), !isHealed {
            noteTrouble(index)
            scheduler.tell(index, at: now) { $0.seekFailed(found.search, at: $1) }
        } else {
            let told = fault.found(found.events).map(fault.event)
            scheduler.tell(index, at: now) {
                $0.sought(found.search, events: told, searchedTo: found.searchedTo, rows: found.rows, at: $1)
            }
        }
    }

    func event(_ position: EventPosition) -> LoggedEvent? {
        logs[position.dealerID == Self.dealerIDs[0] ? 0 : 1][Int(position.sequence) - 1]
    }

    /// Does what the scheduler says.
    mutating func perform() {
        for (index, action) in scheduler.takeOutputs(at: now) {
            switch action {
            case .send(var attempt):
                fault.attempt(&attempt)
                send(index, attempt)
            case .save(let row):
                noteRow(row, index)
                if let kept = fault.row(row) { endpoints[index].unrecorded.append(kept) }
            case .readLog(let read): endpoints[index].reads.append(read)
            case .seekAlarms: endpoints[index].asksToSeek = true
            case .loadRows(let limit): endpoints[index].load = limit
            case .settled(let event, _, _): noteSettled(event.position, index)
            case .stand(let since): endpoints[index].unrecordedStanding = .some(since)
            case .saveCursors: record(index)
            case .breaker(let breaker): if !breaker.isClosed { openings += 1 }
            case .announce: break
            }
        }
        checkRest()
    }

    private mutating func send(_ index: Int, _ attempt: EndpointConsumer.Attempt) {
        attempts += 1
        if DeliveryClass(attempt.event.type) == .ordinary { scheduler.left(1) }
        checkSend(index, attempt)
        guard let event = event(attempt.event.position) else { return }
        noteBegin(index, event)
        var answer = endpoints[index].receiver.answer(event, at: now, &random)
        if isHealed { answer = (.accepted, .milliseconds(5)) }
        flights.append(
            Flight(endpoint: index, attempt: attempt, result: answer.0, took: answer.1, endsAt: now + answer.1)
        )
    }

    /// Lets everything come to its end with receivers that are up, and looks at what is left.
    private mutating func end() {
        isHealed = true
        for index in flights.indices where !flights[index].result.isAccepted { flights[index].result = .accepted }
        var isQuiet = false
        for _ in 0..<6000 where !isQuiet && complaints.isEmpty { isQuiet = !advance() }
        guard complaints.isEmpty else { return }
        for index in endpoints.indices { record(index) }
        if !isQuiet {
            let states = endpoints.indices.map { index in
                let consumer = scheduler[index]
                return "\(consumer?.heldCount ?? 0) held, \(consumer?.inFlight ?? 0) in flight, "
                    + "\(endpoints[index].reads), \(consumer?.nextWake(after: now).map { ($0 - now).milliseconds } ?? -1) ms"
            }
            complaints.append("it does not come to rest at \((now - Self.start).milliseconds) ms: \(states)")
        }
        checkEnd()
    }
}

extension AttemptResult {
    fileprivate var isAccepted: Bool { verdict == .delivered }
}

extension SimulatedEndpoint {
    var awaitsAnswer: Bool { asksToSeek || search != nil || !reads.isEmpty || load != nil }

    /// A restart: what was in memory is gone.
    mutating func forget() {
        unrecorded = []
        unrecordedStanding = nil
        reads = []
        load = nil
        asksToSeek = false
        search = nil
        inFlight = PerKind()
        breaker = BreakerLaw()
        begun = []
        pausesUntil = nil
        (alarmsToSend, alarmsWaiting) = (0, 0)
        for dealer in fates.indices {
            for number in fates[dealer].indices {
                fates[dealer][number].isInFlight = false
                fates[dealer][number].isAlarmToSend = false
                fates[dealer][number].waits = false
                fates[dealer][number].hasEnded = false
                // Parked is what is recorded as parked: the others stand in their line again.
                let position = EventPosition(dealerID: DeliveryLife.dealerIDs[dealer], sequence: Int64(number + 1))
                fates[dealer][number].isParked = rows[position]?.state == .parked
            }
        }
    }
}
