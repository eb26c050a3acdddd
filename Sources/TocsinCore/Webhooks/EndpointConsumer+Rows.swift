/// How deliveries leave the happy path, and how rows of the retry table come back.
extension EndpointConsumer {
    /// Turns a failed delivery into a row, or changes its row, and holds it until it is due.
    mutating func retry(_ held: Held, at due: Instant, _ now: Instant) {
        var held = held
        held.due = due
        let site = key(of: held.event)
        if let site, !held.isParked, park(&held, at: site, now) { return insertRetry(held) }
        makeRow(&held, state: held.isParked ? .parked : .retrying, now)
        if let site, !held.isParked { block(site, until: due, now) }
        insertRetry(held)
    }

    mutating func makeRow(_ held: inout Held, state: DeliveryState, _ now: Instant) {
        save(held, state: state, due: held.due, now)
        guard !held.hasRow else { return }
        _ = leaveAhead(held)
        held.hasRow = true
        close(held.event)
    }

    mutating func save(_ held: Held, state: DeliveryState, due: Instant?, _ now: Instant) {
        loading?.touched.insert(held.event.position)
        actions.append(
            .save(
                ExceptionalDelivery(
                    endpointID: settings.subscription.endpointID,
                    position: held.event.position,
                    eventID: held.event.id,
                    state: state,
                    attempts: held.attempts,
                    answers: held.answers,
                    nextAttemptAt: due,
                    eventCreatedAt: held.event.createdAt,
                    updatedAt: now
                )
            )
        )
    }

    /// Holds a row until it is due; where there are too many, the ones that are due last stay in the ledger only.
    mutating func insertRetry(_ held: Held) {
        retries[held.deliveryClass].insert(held)
        guard !isOrdered, rowsHeld > limits.rows, let evicted = evictLast() else { return }
        rowsBeyond = rowsBeyond.map { min($0, evicted.due) } ?? evicted.due
        if let already = loading?.evictedDue {
            loading?.evictedDue = min(already, evicted.due)
        } else if loading != nil {
            loading?.evictedDue = evicted.due
        }
    }

    /// Gives up the row that is due last.
    private mutating func evictLast() -> Held? {
        guard let alarm = retries.alarm.lastDue else { return retries.ordinary.evict() }
        guard let ordinary = retries.ordinary.lastDue, ordinary >= alarm else { return retries.alarm.evict() }
        return retries.ordinary.evict()
    }

    // MARK: - Loading

    mutating func loadIfNeeded(_ now: Instant) {
        guard loading == nil, troubleUntil == nil, let rowsBeyond else { return }
        let half = rowsLimit / 2
        if isOrdered {
            guard rowsHeld < half else { return }
        } else {
            // Worth it only while fewer than half of those held are due: else the receiver is what we wait for.
            let due = DeliveryClass.allCases.reduce(0) { $0 + retries[$1].dueCount(at: now) }
            guard rowsBeyond <= now, due < half else { return }
        }
        loading = Loading()
        // With order every row must be known, also those by which a blocked site overshot the limit.
        let all = 2 * rowsLimit + limits.buffer + inFlight + lanes.reduce(0) { $0 + $1.early.count }
        actions.append(.loadRows(limit: isOrdered ? all : rowsLimit + inFlight))
    }

    /// Takes the rows that are due next, with their events; a missing one has outlived the log.
    ///
    /// - Parameters:
    ///   - rows: Rows that are `retrying` or `waiting`, the earliest due first.
    ///   - isComplete: There are no others.
    ///   - now: The present time.
    /// - Returns: What to do.
    package mutating func loaded(
        _ rows: [(row: ExceptionalDelivery, event: LoggedEvent?)],
        isComplete: Bool,
        at now: Instant
    ) -> [Action] {
        guard let finished = loading else { return [] }
        loading = nil
        let last = rows.last?.row.nextAttemptAt ?? now
        rowsBeyond = isComplete ? finished.evictedDue : min(last, finished.evictedDue ?? last)
        guard isActive else { return goOn(now) }
        let known = heldPositions().union(finished.touched)
        // In the log's order, so that the first of a site leads its line.
        for (row, event) in rows.sorted(by: { $0.row.position < $1.row.position }) where !known.contains(row.position) {
            if let event {
                let due = row.nextAttemptAt ?? now
                var held = Held(event: event, attempts: row.attempts, answers: row.answers, hasRow: true, due: due)
                held.isParked = isOrdered && row.state == .parked
                held.task = row.task
                place(held)
            } else {
                saveOutlived(row, now)
            }
        }
        return goOn(now)
    }

    /// The rows could not be read; the machine asks again after a pause.
    package mutating func loadFailed(at now: Instant) -> [Action] {
        loading = nil
        troubleUntil = now + Self.pauseAfterTrouble
        return goOn(now)
    }

    private func heldPositions() -> Set<EventPosition> {
        var positions: Set<EventPosition> = []
        for deliveryClass in DeliveryClass.allCases {
            positions.formUnion(retries[deliveryClass].items.map(\.event.position))
        }
        for case let held? in flights { positions.insert(held.event.position) }
        for lane in lanes where !lane.early.isEmpty { positions.formUnion(lane.early.values.map(\.event.position)) }
        for line in lines.values {
            positions.formUnion(line.waiting.elements.map(\.event.position))
            positions.formUnion(line.stalled.map(\.event.position))
        }
        return positions
    }

    /// Puts a row where it waits: behind its site's line, or with those that have a time.
    private mutating func place(_ held: Held) {
        guard let site = key(of: held.event) else { return insertRetry(held) }
        if waitsForReading(held) { return }
        if held.isParked {
            // Who was told of it before a restart is told again: that is not recorded.
            noteParked(held.event, at: site)
            return insertRetry(held)
        }
        guard lines[site]?.hasHead == true else {
            lines[site, default: Line()].hasHead = true
            lines[site]?.isBlocked = true
            return insertRetry(held)
        }
        lines[site]?.isBlocked = true
        lines[site]?.waiting.insert(held) { $0.event.position > held.event.position }
        rowsInLines += 1
    }

    /// Keeps a row back whose event the log's reading has not come to: events of its site may lie before it.
    ///
    /// Such rows are there where the endpoint has not asked for order before: an alarm has passed a backlog then. A task's
    /// rows are not kept back: it puts them in the way in the log's order, while nothing newer is read.
    private mutating func waitsForReading(_ held: Held) -> Bool {
        guard !held.isParked, held.task == nil, let lane = laneIndex(of: held.event),
            held.event.sequence > lanes[lane].seenTo
        else { return false }
        lanes[lane].early[held.event.sequence] = held
        lanes[lane].tail = max(lanes[lane].tail, held.event.sequence)
        listIfBehind(lane)
        return true
    }

    /// The log's reading has come to an event of which a row was kept back; false if there is none.
    mutating func takeEarly(_ sequence: Int64, in lane: Int) -> Bool {
        guard let held = lanes[lane].early.removeValue(forKey: sequence) else { return false }
        passOver(sequence, in: lane)
        place(held)
        return true
    }

    private mutating func saveOutlived(_ row: ExceptionalDelivery, _ now: Instant) {
        var row = row
        row.state = .dead
        row.nextAttemptAt = nil
        row.updatedAt = now
        actions.append(.save(row))
    }

    // MARK: - Once more

    /// Schedules one attempt now, whatever became of the delivery before.
    ///
    /// - Parameters:
    ///   - event: What to send.
    ///   - attempts: How many attempts were made so far.
    ///   - now: The present time.
    /// - Returns: What to do; nothing if an attempt is under way or about to be.
    package mutating func resend(_ event: LoggedEvent, attempts: Int, at now: Instant) -> [Action] {
        guard isActive, let lane = laneIndex(of: event), !lanes[lane].isOpen(event.sequence),
            lanes[lane].ahead[event.sequence] != false
        else { return [] }
        note { $0.probe(at: now) }
        if var held = retries[DeliveryClass(event.type)].remove(event.position) {
            held.due = now
            makeRow(&held, state: held.isParked ? .parked : .retrying, now)
            insertRetry(held)
        } else if !heldPositions().contains(event.position) {
            let held = Held(event: event, attempts: attempts, hasRow: true, due: now)
            save(held, state: .retrying, due: now, now)
            // The reading must not take it a second time; where it is kept back, that is for the reading to end.
            if key(of: event) == nil, event.sequence > lanes[lane].seenTo { lanes[lane].ahead[event.sequence] = true }
            place(held)
        }
        return goOn(now)
    }
}
