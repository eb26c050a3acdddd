/// How attempts begin and end.
extension EndpointConsumer {
    /// The class of the attempt that the endpoint would begin now; none if it has nothing to send, or must not.
    package func demand(at now: Instant) -> DeliveryClass? {
        let concurrency = max(1, settings.concurrency)
        let limit = breaker.limit(concurrency, at: now)
        guard isActive, inFlight < limit, bucket?.allows(at: now) ?? true else { return nil }
        if isReady(.alarm, at: now) { return .alarm }
        let unreserved = concurrency - concurrency / max(1, rules.concurrencyPerReserved)
        return inFlight < breaker.ordinaryLimit(unreserved) && isReady(.ordinary, at: now) ? .ordinary : nil
    }

    private func isReady(_ deliveryClass: DeliveryClass, at now: Instant) -> Bool {
        !fresh[deliveryClass].isEmpty || retries[deliveryClass].isDue(at: now)
    }

    func isAnythingReady(at now: Instant) -> Bool {
        DeliveryClass.allCases.contains { isReady($0, at: now) }
    }

    /// Begins an attempt of the class that ``demand(at:)`` told.
    ///
    /// - Returns: What to do: one attempt at most, and none where what came up may not be sent any more.
    package mutating func begin(_ deliveryClass: DeliveryClass, at now: Instant) -> [Action] {
        start(deliveryClass, now)
        // What was sent made room.
        return goOn(now)
    }

    mutating func start(_ deliveryClass: DeliveryClass, _ now: Instant) {
        guard let held = next(deliveryClass, now) else { return }
        // Checked again at every attempt: tightening takes effect at once.
        guard settings.subscription.takes(held.event) else { return settle(held, .withdrawn, now) }
        if let end = cancelledEnd(of: held) { return settle(held, end, now) }
        if let site = key(of: held.event) {
            guard lines[site]?.isFlying != true else { return stall(held, at: site) }
            lines[site, default: Line()].isFlying = true
        }
        let flight = freeFlights.popLast() ?? flights.count
        if flight == flights.count { flights.append(held) } else { flights[flight] = held }
        note { $0.began() }
        bucket?.take(at: now)
        actions.append(
            .send(
                Attempt(
                    flight: flight,
                    event: held.event,
                    number: held.attempts + 1,
                    parked: held.isParked ? nil : parkedBefore(held.event)
                )
            )
        )
    }

    private mutating func next(_ deliveryClass: DeliveryClass, _ now: Instant) -> Held? {
        let retryIsDue = retries[deliveryClass].isDue(at: now)
        // Probes take turns: one poison event must not be all that a receiver is judged by.
        let patience = breaker.isClosed ? rules.startsPerRetry : 1
        if retryIsDue, fresh[deliveryClass].isEmpty || startsSinceRetry[deliveryClass] >= patience {
            startsSinceRetry[deliveryClass] = 0
            return retries[deliveryClass].popEarliest()
        }
        guard let held = fresh[deliveryClass].popFirst() else { return nil }
        startsSinceRetry[deliveryClass] += 1
        if held.isExpress { unattemptedAhead -= 1 } else { unattempted -= 1 }
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
        if result.isAboutEvent, breaker.isClosed { held.answers += 1 }
        judge(result, now, jitter)
        if let site = key(of: held.event) { land(at: site) }
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
        if let site = key(of: held.event), lines[site]?.isOver == true { lines[site] = nil }
        return goOn(now)
    }

    /// Tells the breaker whether anybody was there.
    private mutating func judge(_ result: AttemptResult, _ now: Instant, _ jitter: Double) {
        guard result.isDown else {
            let concurrency = max(1, settings.concurrency)
            return note { $0.answered(concurrency: concurrency) }
        }
        var hasOpened = false
        note { hasOpened = $0.failed(at: now, asked: result.pause(now: now), jitter: jitter) }
        if hasOpened { giveBack() }
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
        let wasAhead = !held.hasRow && leaveAhead(held)
        if held.hasRow || state != .delivered || wasAhead {
            save(held, state: state, due: nil, now)
        }
        if !held.hasRow { close(held.event) }
        actions.append(.settled(held.event, state, attempts: held.attempts))
        if let site = key(of: held.event) { leave(held, site, state, now) }
    }

    func laneIndex(of event: LoggedEvent) -> Int? { laneOfDealer[event.dealerID] }

    /// Moves the cursor over a taken event where nothing before it is open.
    mutating func close(_ event: LoggedEvent) {
        guard let lane = laneIndex(of: event) else { return }
        lanes[lane].close(event.sequence)
        markMoved(lane)
    }
}

extension EndpointConsumer.Held {
    var deliveryClass: DeliveryClass { DeliveryClass(event.type) }
}
