import TocsinCore

// What must hold, told from what was sent, answered and recorded (design, delivery); and what that takes to know.

extension DeliveryLife {
    private func dealer(_ id: DealerID) -> Int { id == Self.dealerIDs[0] ? 0 : 1 }

    private mutating func complain(_ text: String) { complaints.append(text) }

    private mutating func change(
        _ position: EventPosition,
        _ index: Int,
        _ body: (inout SimulatedEndpoint.Fate) -> Void
    ) {
        body(&endpoints[index].fates[dealer(position.dealerID)][Int(position.sequence) - 1])
    }

    // MARK: - What is noted

    mutating func noteAlarms(_ batch: ArraySlice<LoggedEvent>, _ index: Int) {
        guard endpoints[index].settings.ordering == .none else { return }
        for event in batch where event.type.isAlarmClass && endpoints[index].settings.subscription.takes(event) {
            // More than the machine may take ahead wait until they are found; half of the room is for those found.
            let isTaken = endpoints[index].alarmsToSend < Self.limits.express / 2
            endpoints[index].alarmsToSend += 1
            if isTaken { endpoints[index].alarmsWaiting += 1 }
            change(event.position, index) {
                $0.isAlarmToSend = true
                $0.waits = isTaken
            }
        }
    }

    /// A life begins: alarms of which there is no row must not wait for the rest of the backlog.
    mutating func noteBacklog(_ index: Int) {
        endpoints[index].ordinaryBeforeAlarm = 0
        endpoints[index].alarmsOfBacklog = 0
        guard endpoints[index].settings.ordering == .none else { return }
        for dealer in logs.indices {
            for event in logs[dealer] {
                let isLeft =
                    endpoints[index].dealers.contains(dealer)
                    && event.sequence > endpoints[index].cursors[dealer] ?? 0
                    && event.type.isAlarmClass && endpoints[index].settings.subscription.takes(event)
                    && endpoints[index].rows[event.position] == nil
                change(event.position, index) { $0.isAlarmOfBacklog = isLeft }
                if isLeft { endpoints[index].alarmsOfBacklog += 1 }
            }
        }
    }

    /// The ledger did not answer: there is a pause, in which nobody knows more, and what is committed meanwhile is sent.
    mutating func noteTrouble(_ index: Int) { endpoints[index].pausesUntil = now + Self.pauseAfterTrouble }

    private mutating func stopsWaiting(_ position: EventPosition, _ index: Int) {
        var before = SimulatedEndpoint.Fate()
        change(position, index) {
            before = $0
            $0.isAlarmToSend = false
            $0.waits = false
            $0.isAlarmOfBacklog = false
        }
        if before.isAlarmOfBacklog {
            endpoints[index].alarmsOfBacklog -= 1
            endpoints[index].ordinaryBeforeAlarm = 0
        }
        if before.isAlarmToSend { endpoints[index].alarmsToSend -= 1 }
        if before.waits { endpoints[index].alarmsWaiting -= 1 }
    }

    mutating func noteBegin(_ index: Int, _ event: LoggedEvent) {
        change(event.position, index) {
            $0.isInFlight = true
            $0.wasSent = true
        }
        stopsWaiting(event.position, index)
        endpoints[index].breaker.began()
        endpoints[index].begun.append(now)
        if event.type.isAlarmClass {
            endpoints[index].inFlight.alarm += 1
        } else {
            endpoints[index].inFlight.ordinary += 1
        }
    }

    mutating func noteEnd(_ flight: Flight) {
        let index = flight.endpoint
        let position = flight.attempt.event.position
        let isAnswer = flight.result.status.map { ![429, 502, 503, 504].contains($0) } ?? false
        change(position, index) {
            $0.isInFlight = false
            if isAnswer { $0.answers += 1 }
        }
        let concurrency = endpoints[index].settings.concurrency
        endpoints[index].breaker
            .ended(flight.result, begunAt: flight.endsAt - flight.took, concurrency: concurrency, at: now)
        if event(position)?.type.isAlarmClass == true {
            endpoints[index].inFlight.alarm -= 1
        } else {
            endpoints[index].inFlight.ordinary -= 1
        }
    }

    mutating func noteSettled(_ position: EventPosition, _ index: Int) {
        change(position, index) {
            $0.isSettled = true
            $0.hasEnded = true
        }
        stopsWaiting(position, index)
    }

    mutating func noteRow(_ row: ExceptionalDelivery, _ index: Int) {
        guard row.state == .parked else { return }
        parked += 1
        var answers = 0
        change(row.position, index) {
            $0.isParked = true
            answers = $0.answers
        }
        if answers < Self.answersToPark { complain("\(row.eventID) is parked after \(answers) answers") }
        if endpoints[index].settings.ordering == .none {
            complain("\(row.eventID) is parked where no order is asked for")
        }
    }

    // MARK: - What is checked

    mutating func checkSend(_ index: Int, _ attempt: EndpointConsumer.Attempt) {
        let endpoint = endpoints[index]
        let position = attempt.event.position
        guard let event = event(position) else { return complain("what is not in the log is sent") }
        let fate = endpoint.fates[dealer(position.dealerID)][Int(position.sequence) - 1]
        if attempt.event.id != event.id { complain("\(event.id) is sent as \(attempt.event.id)") }
        if !endpoint.settings.subscription.takes(event) { complain("\(event.id) is sent though not subscribed to") }
        if fate.isInFlight { complain("\(event.id) is sent twice at once") }
        if fate.hasEnded { complain("\(event.id) is sent again after its end") }
        if let text = endpoint.breaker.complaint(inFlight: endpoint.inFlight.all, at: now) {
            complain("\(event.id) \(text)")
        }
        checkCounts(endpoint, event)
        checkRate(endpoint, event)
        if !event.type.isAlarmClass, endpoint.alarmsWaiting > 0,
            endpoint.settings.subscription.types.contains(.alarmCreated)
        {
            let waiting = logs.indices.flatMap { dealer in
                logs[dealer].filter { endpoint.fates[dealer][Int($0.sequence) - 1].waits }.map(\.id.text)
            }
            complain("\(event.id) is sent before \(waiting)")
        }
        if !event.type.isAlarmClass, attempt.number == 1 { checkBacklog(index, event) }
        if endpoint.settings.ordering == .site, let site = event.siteID { checkOrder(endpoint, event, site, attempt) }
    }

    /// What is no alarm passes those of a backlog only as long as they could not be found yet.
    private mutating func checkBacklog(_ index: Int, _ event: LoggedEvent) {
        let endpoint = endpoints[index]
        guard endpoint.alarmsOfBacklog > 0, endpoint.settings.subscription.types.contains(.alarmCreated) else { return }
        if let end = endpoint.pausesUntil {
            if now < end { return }
            endpoints[index].pausesUntil = nil
            endpoints[index].ordinaryBeforeAlarm = 0
        }
        endpoints[index].ordinaryBeforeAlarm += 1
        guard endpoints[index].ordinaryBeforeAlarm > endpoint.settings.concurrency + Self.limits.buffer else { return }
        let waiting = logs.joined().first { endpoint.fates[dealer($0.dealerID)][Int($0.sequence) - 1].isAlarmOfBacklog }
        complain("\(event.id) passes the alarm \(waiting?.id.text ?? "") of the backlog")
    }

    private mutating func checkCounts(_ endpoint: SimulatedEndpoint, _ event: LoggedEvent) {
        let isAlarm = event.type.isAlarmClass
        let concurrency = endpoint.settings.concurrency
        let unreserved = isAlarm ? concurrency : concurrency - concurrency / 8
        if endpoint.inFlight.all >= unreserved {
            complain("\(event.id) is one of \(endpoint.inFlight.all + 1) of \(concurrency) in flight")
        }
        let total = endpoints.reduce(0) { $0 + $1.inFlight.all }
        let free = Self.shares.total - total - (isAlarm ? 0 : Self.shares.alarmReserve)
        if free <= 0 { complain("\(event.id) is sent though all \(total) are taken") }
        let own = isAlarm ? endpoint.inFlight.alarm : endpoint.inFlight.ordinary
        if own > 0, own >= free / Self.shares.endpointPart {
            complain("\(event.id) takes more than its endpoint's part: \(own) and \(free) free")
        }
        let dealers = endpoints.reduce(0) {
            $1.tenant != endpoint.tenant ? $0 : $0 + (isAlarm ? $1.inFlight.alarm : $1.inFlight.ordinary)
        }
        // An endpoint that has none need not wait for the others of its dealer, while a quarter of what is free is one.
        if dealers > 0, dealers >= free, own > 0 || free < 4 {
            complain("\(event.id) takes more than its dealer's share")
        }
    }

    private mutating func checkRate(_ endpoint: SimulatedEndpoint, _ event: LoggedEvent) {
        guard let rate = endpoint.settings.ratePerSecond else { return }
        let burst = max(1, rate / 10)
        // Two spans tell: a second, and the one since the first attempt.
        let second = endpoint.begun.reduce(1) { $0 + ($1 > now - .seconds(1) ? 1 : 0) }
        if second > rate + burst { complain("\(event.id) is one of \(second) in a second of \(rate)") }
        guard let first = endpoint.begun.first else { return }
        let allowed = Int64(burst) * 1000 + (now - first).milliseconds * Int64(rate)
        if Int64(endpoint.begun.count + 1) * 1000 > allowed + 999 {
            complain("\(event.id) is sent faster than \(rate)/s")
        }
    }

    private mutating func checkOrder(
        _ endpoint: SimulatedEndpoint,
        _ event: LoggedEvent,
        _ site: SiteID,
        _ attempt: EndpointConsumer.Attempt
    ) {
        let log = logs[dealer(event.dealerID)]
        let fates = endpoint.fates[dealer(event.dealerID)]
        var parked: EventID?
        var isToBeTold = false
        for number in log.indices where log[number].siteID == site {
            if fates[number].isInFlight { complain("\(event.id) is in flight beside \(log[number].id) of its site") }
            guard number < Int(event.sequence) - 1 else { continue }
            if fates[number].isSettled {
                // Whoever was delivered after it has told of it.
                if fates[number].wasSent, !fates[number].isParked { isToBeTold = false }
                continue
            }
            guard endpoint.settings.subscription.takes(log[number]) else { continue }
            if !fates[number].isParked { return complain("\(event.id) overtakes \(log[number].id)") }
            // The row may be lost with a crash; then it is not parked.
            guard endpoint.row(log[number].position)?.state == .parked else { continue }
            (parked, isToBeTold) = (log[number].id, true)
        }
        let ownIsParked = fates[Int(event.sequence) - 1].isParked
        if isToBeTold, !ownIsParked, attempt.parked != parked {
            complain("\(event.id) does not tell of \(parked?.text ?? "")")
        }
    }

    /// What must hold whenever the scheduler has had its say.
    mutating func checkRest() {
        for index in endpoints.indices {
            guard let consumer = scheduler[index] else { continue }
            let ordered = Self.limits.orderedRows * 3
            let bound =
                Self.limits.buffer * 2 + Self.limits.express
                + (endpoints[index].settings.ordering == .site ? ordered : Self.limits.rows)
            if consumer.heldCount > bound { complain("\(endpoints[index].id) holds \(consumer.heldCount)") }
            // Time has passed for it of which it was not told yet.
            if consumer.nextWake(after: now - .milliseconds(1)) == now { continue }
            if consumer.inFlight == 0, scheduler.inFlight == 0, consumer.demand(at: now) != nil {
                complain("\(endpoints[index].id) stands still")
            }
            if consumer.demand(at: now) == .alarm, endpoints[index].inFlight.alarm == 0,
                scheduler.shares.free(.alarm) > 0,
                !endpoints.contains(where: { $0.tenant == endpoints[index].tenant && $0.inFlight.alarm > 0 })
            {
                complain("an alarm of \(endpoints[index].id) waits though there is room")
            }
        }
    }

    mutating func checkEnd() {
        for endpoint in endpoints {
            for dealer in endpoint.dealers {
                if endpoint.cursors[dealer] ?? 0 != Int64(logs[dealer].count) {
                    complain(
                        "\(endpoint.id)'s cursor stands at \(endpoint.cursors[dealer] ?? 0) of \(logs[dealer].count)"
                    )
                }
                for event in logs[dealer] where endpoint.settings.subscription.takes(event) {
                    let fate = endpoint.fates[dealer][Int(event.sequence) - 1]
                    if !fate.wasSent { complain("\(event.id) was never sent to \(endpoint.id)") }
                    if !fate.isSettled { complain("\(event.id) has no end at \(endpoint.id)") }
                }
            }
            for row in endpoint.rows.values where row.state.isPending {
                complain("\(row.eventID) is left \(row.state.rawValue) at \(endpoint.id)")
            }
        }
    }

    /// Who it was, for the report of a complaint.
    package var story: String {
        let cast = endpoints.map { endpoint in
            "\(endpoint.id) \(endpoint.receiver.kind) \(endpoint.settings.ordering) x\(endpoint.settings.concurrency)"
                + (endpoint.settings.ratePerSecond.map { " \($0)/s" } ?? "")
        }
        return "TOCSIN_SEED=\(seed): \(complaints.first ?? "nothing is wrong")\n  " + cast.joined(separator: "\n  ")
    }
}
