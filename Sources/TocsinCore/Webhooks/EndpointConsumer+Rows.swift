/// How deliveries leave the happy path, and how rows of the retry table come back.
extension EndpointConsumer {
    /// Turns a failed delivery into a row, or changes its row, and holds it until it is due.
    mutating func retry(_ held: Held, at due: Instant, _ now: Instant) {
        var held = held
        held.due = due
        makeRow(&held, state: .retrying, now)
        if isOrdered, let site = held.event.siteID { block(site, until: due, now) }
        insertRetry(held)
    }

    /// Turns what waits behind a failed delivery into rows, so that the cursor can pass.
    private mutating func block(_ site: SiteID, until due: Instant, _ now: Instant) {
        guard var line = lines.removeValue(forKey: site) else { return }
        line.isBlocked = true
        line.waiting.update { held in
            guard !held.hasRow else { return }
            held.due = due
            makeRow(&held, state: .waiting, now)
            unattempted -= 1
            rowsInLines += 1
        }
        lines[site] = line
    }

    mutating func makeRow(_ held: inout Held, state: DeliveryState, _ now: Instant) {
        save(held, state: state, due: held.due, now)
        guard !held.hasRow else { return }
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
                    nextAttemptAt: due,
                    eventCreatedAt: held.event.createdAt,
                    updatedAt: now
                )
            )
        )
    }

    /// Holds a row until it is due; where there are too many, the ones that are due last stay in the ledger only.
    mutating func insertRetry(_ held: Held) {
        var low = 0
        var high = retries.count
        while low < high {
            let middle = (low + high) / 2
            // Among equals the first in comes last in the array, and so goes out first.
            if retries[middle].due >= held.due, retries[middle].due != held.due {
                low = middle + 1
            } else {
                high = middle
            }
        }
        retries.insert(held, at: low)
        guard !isOrdered, retries.count > limits.rows else { return }
        let evicted = retries.removeFirst()
        rowsBeyond = rowsBeyond.map { min($0, evicted.due) } ?? evicted.due
        if let already = loading?.evictedDue {
            loading?.evictedDue = min(already, evicted.due)
        } else if loading != nil {
            loading?.evictedDue = evicted.due
        }
    }

    // MARK: - Loading

    mutating func loadIfNeeded(_ now: Instant) {
        guard loading == nil, troubleUntil == nil, let rowsBeyond else { return }
        let half = rowsLimit / 2
        if isOrdered {
            guard rowsHeld < half else { return }
        } else {
            // Worth it only while fewer than half of those held are due: else the receiver is what we wait for.
            guard rowsBeyond <= now, retries.count < half || retries[retries.count - half].due > now else { return }
        }
        loading = Loading()
        // With order every row must be known, also those by which a blocked site overshot the limit.
        actions.append(.loadRows(limit: isOrdered ? 2 * rowsLimit + limits.buffer + inFlight : rowsLimit + inFlight))
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
                place(Held(event: event, attempts: row.attempts, hasRow: true, due: due, task: row.task))
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
        var positions = Set(retries.map(\.event.position))
        for case let held? in flights { positions.insert(held.event.position) }
        for line in lines.values { positions.formUnion(line.waiting.elements.map(\.event.position)) }
        return positions
    }

    /// Puts a row where it waits: behind its site's line, or with those that have a time.
    private mutating func place(_ held: Held) {
        guard isOrdered, let site = held.event.siteID else { return insertRetry(held) }
        guard lines[site] != nil else {
            lines[site] = Line(isBlocked: true)
            return insertRetry(held)
        }
        lines[site]?.isBlocked = true
        lines[site]?.waiting.insert(held) { $0.event.position > held.event.position }
        rowsInLines += 1
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
        guard isActive, let lane = laneIndex(of: event), !lanes[lane].isOpen(event.sequence) else { return [] }
        if let index = retries.firstIndex(where: { $0.event.position == event.position }) {
            var held = retries.remove(at: index)
            held.due = now
            makeRow(&held, state: .retrying, now)
            insertRetry(held)
        } else if !heldPositions().contains(event.position) {
            let held = Held(event: event, attempts: attempts, hasRow: true, due: now)
            save(held, state: .retrying, due: now, now)
            place(held)
        }
        return goOn(now)
    }
}
