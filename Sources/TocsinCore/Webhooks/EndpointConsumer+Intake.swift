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
    ///   - rows: The sequences among them that have a row in the retry table.
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

    private var hasRoom: Bool {
        unattempted < limits.buffer && (!isOrdered || rowsBeyond == nil && loading == nil && rowsHeld < rowsLimit)
    }

    private mutating func enqueue(_ held: Held, _ now: Instant) {
        guard isOrdered, let site = held.event.siteID else {
            unattempted += 1
            fresh.append(held)
            return
        }
        guard let isBlocked = lines[site]?.isBlocked else {
            lines[site] = Line(isBlocked: false)
            unattempted += 1
            fresh.append(held)
            return
        }
        var held = held
        if isBlocked {
            makeRow(&held, state: .waiting, now)
            rowsInLines += 1
        } else {
            unattempted += 1
        }
        lines[site]?.waiting.append(held)
    }

    private mutating func passOver(_ sequence: Int64, in lane: Int) {
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
        if lanes[lane].isBehind, listedAsBehind.insert(lane).inserted { lanesBehind.append(lane) }
    }

    /// Asks for the log where it reaches further than what was seen: one read at a time, the dealers in turn.
    ///
    /// It waits until the buffer is half empty, so that one read brings many events.
    mutating func readIfNeeded() {
        guard !isReading, !settings.holdsFresh, troubleUntil == nil, !lanesBehind.isEmpty,
            unattempted <= limits.buffer / 2, hasRoom
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
                        limit: limits.buffer - unattempted,
                        tail: lanes[lane].tail,
                        asksForRows: lanes[lane].isRecovering
                    )
                )
            )
            return
        }
    }
}
