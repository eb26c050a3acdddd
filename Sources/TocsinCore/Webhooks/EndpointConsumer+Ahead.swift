/// How alarms pass a backlog: as they are handed over at their commit, or found in the log in front of its reading.
///
/// What was handed over is known only while the machine lives. Of what was there before – after a restart, when an endpoint
/// is enabled again, when memory was full – only the log knows: so alarms are looked for in it, a stretch at a time, beside
/// the reading and never in front of it. The cursor is not touched by that. Until the reading has come to an event that was
/// taken ahead only a row can tell that it is done; so it gets one, whatever becomes of it.
extension EndpointConsumer {
    /// A stretch of a log in which alarms are to be looked for.
    package struct AlarmSearch: Hashable, Sendable {
        package var dealerID: DealerID
        package var after: Int64
        package var types: Set<EventType>
        /// So many are enough.
        package var limit: Int
        /// A crash may have left rows and recorded successes of these events: the answer must say which of them have one.
        package var asksForRows: Bool
    }

    /// Of the room for what was taken ahead, what was found in the log may have one part in so many: the rest is for what
    /// happens now.
    private static let partForFound = 2
    /// It looks for more when no more than one part in so many of the room is taken, so that one search brings many.
    private static let partToSeekAt = 4

    /// Begins to look for alarms, after ``Action/seekAlarms``; none where that is not needed any more.
    package mutating func nextSearch() -> AlarmSearch? {
        hasAskedToSeek = false
        guard isActive, !isSeeking, troubleUntil == nil else { return nil }
        while let lane = lanesUnsought.popFirst() {
            listedAsUnsought.remove(lane)
            guard lanes[lane].isUnsought else { continue }
            let room = limits.ahead / Self.partForFound - lanes[lane].ahead.count
            let limit = min(room, limits.express / Self.partForFound - unattemptedAhead)
            guard limit > 0 else {
                listIfUnsought(lane)
                return nil
            }
            isSeeking = true
            return AlarmSearch(
                dealerID: lanes[lane].dealerID,
                after: lanes[lane].searchEnd,
                types: settings.subscription.alarmTypes,
                limit: limit,
                asksForRows: lanes[lane].searchEnd < lanes[lane].recoverTo
            )
        }
        return nil
    }

    /// Takes the log's answer to an ``AlarmSearch``.
    ///
    /// - Parameters:
    ///   - search: What was asked.
    ///   - events: The alarms found, in order.
    ///   - searchedTo: Up to where the log was searched for them.
    ///   - rows: The sequences among them that have a row in the retry table, or are known to be delivered.
    ///   - now: The present time.
    /// - Returns: What to do.
    package mutating func sought(
        _ search: AlarmSearch,
        events: [LoggedEvent],
        searchedTo: Int64,
        rows: Set<Int64>,
        at now: Instant
    ) -> [Action] {
        isSeeking = false
        guard isActive, let lane = laneOfDealer[search.dealerID] else { return goOn(now) }
        var end = searchedTo
        for event in events where event.sequence > lanes[lane].seenTo && !rows.contains(event.sequence) {
            let isTaken = takeAhead(event, in: lane, within: Self.partForFound, now)
            if !isTaken {
                end = event.sequence - 1
                break
            }
        }
        // The subscription may have been widened meanwhile: then it is looked for anew.
        if search.types == settings.subscription.alarmTypes { lanes[lane].soughtTo = max(lanes[lane].soughtTo, end) }
        listIfUnsought(lane)
        return goOn(now)
    }

    /// The log could not be searched; the machine asks again after a pause.
    package mutating func seekFailed(_ search: AlarmSearch, at now: Instant) -> [Action] {
        isSeeking = false
        troubleUntil = now + Self.pauseAfterTrouble
        if let lane = laneOfDealer[search.dealerID] { listIfUnsought(lane) }
        return goOn(now)
    }

    /// Takes an event that was just committed ahead of what the reading has not come to, if it is an alarm.
    mutating func takeCommittedAhead(_ event: LoggedEvent, in lane: Int, _ now: Instant) {
        let isNext = event.sequence == lanes[lane].searchEnd + 1
        // What was there when the machine was made may have a row.
        guard event.sequence > lanes[lane].recoverTo, takeAhead(event, in: lane, within: 1, now) else { return }
        if isNext { lanes[lane].soughtTo = event.sequence }
    }

    /// Takes an alarm that stands behind a backlog, so that it does not wait for that; false if there is no room for it.
    private mutating func takeAhead(_ event: LoggedEvent, in lane: Int, within part: Int, _ now: Instant) -> Bool {
        guard isActive, !settings.holdsFresh else { return false }
        // With order an alarm does not overtake its own site, of which events may lie before it.
        guard event.type.isAlarmClass, !isOrdered || event.siteID == nil, lanes[lane].ahead[event.sequence] == nil,
            settings.subscription.takes(event)
        else { return true }
        guard unattemptedAhead < limits.express / part, lanes[lane].ahead.count < limits.ahead / part else {
            return false
        }
        lanes[lane].ahead[event.sequence] = false
        unattemptedAhead += 1
        fresh.alarm.append(Held(event: event, attempts: 0, hasRow: false, due: now, isExpress: true))
        return true
    }

    /// Notes that an event which was taken ahead gets a row; false for any other.
    mutating func leaveAhead(_ held: Held) -> Bool {
        guard held.isExpress, let lane = laneIndex(of: held.event) else { return false }
        return lanes[lane].leaveAhead(held.event.sequence)
    }

    /// The reading has come to an event that was taken ahead; false if it was not.
    mutating func passAhead(_ sequence: Int64, in lane: Int) -> Bool {
        guard let hasRow = lanes[lane].ahead.removeValue(forKey: sequence) else { return false }
        if hasRow {
            lanes[lane].passedAhead = sequence
            passOver(sequence, in: lane)
        } else {
            lanes[lane].seenTo = sequence
            lanes[lane].open(sequence)
        }
        listIfUnsought(lane)
        return true
    }

    mutating func listIfUnsought(_ lane: Int) {
        guard !isOrdered, lanes[lane].isUnsought, lanes[lane].ahead.count <= limits.ahead / Self.partToSeekAt,
            !settings.subscription.alarmTypes.isEmpty
        else { return }
        if listedAsUnsought.insert(lane).inserted { lanesUnsought.append(lane) }
    }

    /// Everything is to be looked for again: the endpoint may take other alarms than before.
    mutating func seekAnew() {
        for lane in lanes.indices {
            lanes[lane].soughtTo = 0
            listIfUnsought(lane)
        }
    }

    /// Asks for a search where alarms may stand behind what is not read for the time being.
    ///
    /// While the log is being read that may bring them as soon. Where only alarms wait the next ones have their turn in the
    /// log's order, which costs no rows.
    mutating func seekIfNeeded() {
        guard !hasAskedToSeek, !isSeeking, !isReading, troubleUntil == nil, !lanesUnsought.isEmpty,
            unattemptedAhead <= limits.express / Self.partToSeekAt,
            !fresh.ordinary.isEmpty || !isBufferHalfFull
        else { return }
        hasAskedToSeek = true
        actions.append(.seekAlarms)
    }
}
