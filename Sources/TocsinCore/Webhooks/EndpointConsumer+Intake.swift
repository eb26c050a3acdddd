/// How events come in: handed over at the commit, or read from the log.
extension EndpointConsumer {
    mutating func addLane(_ cursor: EventPosition, tail: Int64) {
        laneOfDealer[cursor.dealerID] = lanes.count
        lanes.append(LogLane(dealerID: cursor.dealerID, cursor: cursor.sequence, tail: tail))
        listIfBehind(lanes.count - 1)
    }

    /// Takes the log's answer to a ``LogRead``.
    ///
    /// - Parameters:
    ///   - request: What was asked.
    ///   - events: The events found, in order, unfiltered.
    ///   - rows: The sequences among them that have a row in the retry table, or are known to be delivered.
    ///   - now: The present time.
    /// - Returns: What to do.
    package mutating func read(
        _ request: LogRead,
        events: [LoggedEvent],
        rows: Set<Int64>,
        at now: Instant
    ) -> [Action] {
        isReading = false
        guard isActive, let lane = laneOfDealer[request.dealerID] else { return goOn(now) }
        var tookAll = true
        for event in events where event.sequence > lanes[lane].seenTo {
            if takeEarly(event.sequence, in: lane) { continue }
            if rows.contains(event.sequence) {
                passOver(event.sequence, in: lane)
            } else if !look(at: event, in: lane, now) {
                tookAll = false
                break
            }
        }
        // Where the log ends before the known tail, what is missing has outlived its retention.
        if tookAll, events.count < request.limit, lanes[lane].seenTo < request.tail { passOver(request.tail, in: lane) }
        lanes[lane].tail = max(lanes[lane].tail, lanes[lane].seenTo)
        listIfBehind(lane)
        return goOn(now)
    }

    /// The log could not be read; the machine asks again after a pause.
    package mutating func readFailed(_ request: LogRead, at now: Instant) -> [Action] {
        isReading = false
        troubleUntil = now + Self.pauseAfterTrouble
        if let lane = laneOfDealer[request.dealerID] { listIfBehind(lane) }
        return goOn(now)
    }

    /// Takes the next event of a lane, or passes over it; false if there is no room for it now.
    mutating func look(at event: LoggedEvent, in lane: Int, _ now: Instant) -> Bool {
        guard isActive, !settings.holdsFresh else { return false }
        if takeEarly(event.sequence, in: lane) { return true }
        if passAhead(event.sequence, in: lane) { return true }
        guard settings.subscription.takes(event) else {
            passOver(event.sequence, in: lane)
            return true
        }
        guard hasRoom, lanes[lane].openCount < limits.window else { return false }
        lanes[lane].seenTo = event.sequence
        lanes[lane].open(event.sequence)
        enqueue(Held(event: event, attempts: 0, hasRow: false, due: now), now)
        return true
    }

    /// Events that may wait for their first attempt; while the breaker is open the cursor waits instead.
    private var room: Int { breaker.isClosed ? limits.buffer : min(limits.buffer, limits.whileOpen) }

    var isBufferHalfFull: Bool { unattempted > room / 2 }

    private var hasRoom: Bool {
        guard unattempted < room else { return false }
        guard isOrdered else { return true }
        // Behind a failed delivery of its site an event becomes a row: an outage must not make rows of all.
        if !breaker.isClosed, !fresh.alarm.isEmpty || !fresh.ordinary.isEmpty { return false }
        return rowsBeyond == nil && loading == nil && rowsHeld < rowsLimit
    }

    private mutating func enqueue(_ held: Held, _ now: Instant) {
        guard let site = key(of: held.event) else {
            unattempted += 1
            fresh[held.deliveryClass].append(held)
            return
        }
        guard var line = lines[site], line.hasHead else {
            lines[site, default: Line()].hasHead = true
            unattempted += 1
            fresh[held.deliveryClass].append(held)
            return
        }
        var held = held
        lines[site] = nil
        if line.isBlocked {
            makeRow(&held, state: .waiting, now)
            rowsInLines += 1
        } else {
            unattempted += 1
        }
        line.waiting.append(held)
        lines[site] = line
    }

    /// Gives what waits back to the log, while the breaker is open: the newest first, as far as nothing else holds it.
    mutating func giveBack() {
        guard !isOrdered else { return }
        var last: Int?
        while unattempted > limits.whileOpen, let held = fresh.ordinary.last, !held.hasRow,
            let lane = laneIndex(of: held.event), lanes[lane].giveBack(held.event.sequence)
        {
            fresh.ordinary.removeLast()
            unattempted -= 1
            // Once for each run of a dealer's events: it asks for more than the giving back itself.
            if let last, last != lane { listIfBehind(last) }
            last = lane
        }
        if let last { listIfBehind(last) }
    }

    mutating func passOver(_ sequence: Int64, in lane: Int) {
        lanes[lane].seenTo = sequence
        markMoved(lane)
        if !hasAskedToSaveCursors, lanes[lane].cursor - lanes[lane].savedCursor >= Self.cursorLagMaximum {
            hasAskedToSaveCursors = true
            actions.append(.saveCursors)
        }
    }

    mutating func markMoved(_ lane: Int) {
        guard !lanes[lane].isListedAsMoved else { return }
        lanes[lane].isListedAsMoved = true
        movedLanes.append(lane)
    }

    mutating func listIfBehind(_ lane: Int) {
        guard lanes[lane].isBehind else { return }
        if listedAsBehind.insert(lane).inserted { lanesBehind.append(lane) }
        listIfUnsought(lane)
    }

    /// Asks for the log where it reaches further than what was seen: one read at a time, the dealers in turn.
    ///
    /// It waits until the buffer is half empty, so that one read brings many events.
    mutating func readIfNeeded() {
        guard !isReading, !settings.holdsFresh, troubleUntil == nil, !lanesBehind.isEmpty, !isBufferHalfFull, hasRoom
        else {
            return
        }
        for _ in 0..<lanesBehind.count {
            guard let lane = lanesBehind.popFirst() else { return }
            guard lanes[lane].isBehind else {
                listedAsBehind.remove(lane)
                continue
            }
            guard lanes[lane].openCount <= limits.window / 2 else {
                lanesBehind.append(lane)
                continue
            }
            listedAsBehind.remove(lane)
            isReading = true
            actions.append(
                .readLog(
                    LogRead(
                        dealerID: lanes[lane].dealerID,
                        after: lanes[lane].seenTo,
                        limit: room - unattempted,
                        tail: lanes[lane].tail,
                        asksForRows: lanes[lane].isRecovering
                    )
                )
            )
            return
        }
    }
}
