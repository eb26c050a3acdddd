/// How attempts begin and end.
extension EndpointConsumer {
    mutating func startAttempts(_ now: Instant) {
        while isActive, inFlight < max(1, settings.concurrency), let held = next(now) {
            // Checked again at every attempt: tightening takes effect at once.
            guard settings.subscription.takes(held.event) else {
                settle(held, .withdrawn, now)
                continue
            }
            if let end = cancelledEnd(of: held) {
                settle(held, end, now)
                continue
            }
            let flight = freeFlights.popLast() ?? flights.count
            if flight == flights.count { flights.append(held) } else { flights[flight] = held }
            actions.append(.send(Attempt(flight: flight, event: held.event, number: held.attempts + 1)))
        }
    }

    private mutating func next(_ now: Instant) -> Held? {
        let retryIsDue = retries.last.map { $0.due <= now } ?? false
        if retryIsDue, fresh.isEmpty || startsSinceRetry >= Self.startsPerRetry {
            startsSinceRetry = 0
            return retries.popLast()
        }
        guard let held = fresh.popFirst() else { return nil }
        startsSinceRetry += 1
        unattempted -= 1
        return held
    }

    /// Takes how an attempt ended.
    ///
    /// - Parameters:
    ///   - flight: The attempt's name in flight.
    ///   - result: How it ended.
    ///   - now: The present time.
    ///   - jitter: A random number in 0..<1.
    /// - Returns: What to do.
    package mutating func finished(
        _ flight: Int,
        _ result: AttemptResult,
        at now: Instant,
        jitter: Double
    ) -> [Action] {
        guard flights.indices.contains(flight), var held = flights[flight] else { return [] }
        flights[flight] = nil
        freeFlights.append(flight)
        held.attempts += 1
        switch result.verdict {
        case .delivered:
            if watch.succeeded() { actions.append(.stand(failingSince: nil)) }
            settle(held, .delivered, now)
        case .gone:
            settle(held, .dead, now)
            if settings.isEnabled { announce(.gone(at: now)) }
        case .redirected, .refused, .serverError, .noAnswer:
            failed(held, result, now, jitter)
        }
        return goOn(now)
    }

    private mutating func failed(_ held: Held, _ result: AttemptResult, _ now: Instant, _ jitter: Double) {
        let next = settings.schedule.next(
            afterAttempt: held.attempts,
            eventCreatedAt: held.event.createdAt,
            now: now,
            retryAfter: result.pause(now: now),
            jitter: jitter
        )
        switch next {
        case .retry(let due):
            if let end = cancelledEnd(of: held) { settle(held, end, now) } else { retry(held, at: due, now) }
        case .exhausted: settle(held, .dead, now)
        }
        if watch.failed(at: now) { actions.append(.stand(failingSince: now)) }
        if settings.isEnabled, let stage = watch.dueStage(now: now, afterFailure: true) { announce(stage) }
    }

    /// Ends a delivery, and lets the next of its site have its turn.
    mutating func settle(_ held: Held, _ state: DeliveryState, _ now: Instant) {
        if held.hasRow || state != .delivered {
            save(held, state: state, due: nil, now)
        }
        if !held.hasRow { close(held.event) }
        actions.append(.settled(held.event, state, attempts: held.attempts))
        guard isOrdered, let site = held.event.siteID, var line = lines[site] else { return }
        guard var next = line.waiting.popFirst() else {
            lines[site] = nil
            return
        }
        line.isBlocked = next.hasRow
        lines[site] = line
        if next.hasRow {
            rowsInLines -= 1
            next.due = now
            insertRetry(next)
        } else {
            fresh.append(next)
        }
    }

    func laneIndex(of event: LoggedEvent) -> Int? { laneOfDealer[event.dealerID] }

    /// Moves the cursor over a taken event where nothing before it is open.
    mutating func close(_ event: LoggedEvent) {
        guard let lane = laneIndex(of: event) else { return }
        lanes[lane].close(event.sequence)
        markMoved(lane)
    }
}
