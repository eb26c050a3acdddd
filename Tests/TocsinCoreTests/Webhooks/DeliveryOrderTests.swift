import Testing
import TocsinCore

struct `Order of a site` {
    let now = Sample.start

    private func poisoned() -> (
        consumer: EndpointConsumer, saves: [ExceptionalDelivery], sends: [EndpointConsumer.Attempt]
    ) {
        var consumer = Sample.consumer(ordering: .site)
        let log = [Sample.event(1, site: 1), Sample.event(2, site: 1), Sample.event(3, site: 1)]
        var actions = consumer.append(log[...], at: now)
        var saves: [ExceptionalDelivery] = []
        for _ in 1...4 {
            actions = consumer.finished(actions.sends[0].flight, .broken, at: now, jitter: 0.5)
            saves += actions.saves
            actions = consumer.wake(at: now + .seconds(86_000))
        }
        actions = consumer.finished(actions.sends[0].flight, .broken, at: now, jitter: 0.5)
        return (consumer, saves + actions.saves, actions.sends)
    }

    @Test func `what is answered five times without 2xx is parked, and the next of its site says so`() {
        var (consumer, saves, sends) = poisoned()
        #expect(saves.filter { $0.state == .parked }.map(\.position.sequence) == [1])
        #expect(saves.last { $0.position.sequence == 1 }?.answers == 5)
        #expect(sends.map(\.event.sequence) == [2])
        #expect(sends.first?.parked == Sample.event(1).id)
        let next = consumer.finished(sends[0].flight, .ok, at: now, jitter: 0.5).sends
        #expect(next.map(\.event.sequence) == [3])
        #expect(next.first?.parked == nil, "once is enough")
    }

    @Test func `a parked one is tried by its own schedule, but never beside another of its site`() {
        var (consumer, _, sends) = poisoned()
        let later = now + .seconds(900)
        #expect(consumer.wake(at: later).sends.isEmpty, "the next of its site is in flight")
        let parked = consumer.finished(sends[0].flight, .ok, at: later, jitter: 0.5).sends
        #expect(parked.count == 1)
        let other = consumer.finished(parked[0].flight, .ok, at: later, jitter: 0.5).sends
        #expect(Set((parked + other).map(\.event.sequence)) == [1, 3])
    }

    @Test func `an endpoint that is down parks nothing`() {
        for result in [AttemptResult.down, AttemptResult(status: 503)] {
            var consumer = Sample.consumer(ordering: .site)
            var actions = consumer.append([Sample.event(1, site: 1), Sample.event(2, site: 1)][...], at: now)
            var saves: [ExceptionalDelivery] = []
            for attempt in 1...20 {
                let instant = now + .seconds(Int64(attempt) * 3000)
                if actions.sends.isEmpty { actions = consumer.wake(at: instant) }
                guard let send = actions.sends.first else { continue }
                actions = consumer.finished(send.flight, result, at: instant, jitter: 0.5)
                saves += actions.saves
            }
            #expect(saves.contains { $0.attempts > 5 })
            #expect(!saves.contains { $0.state == .parked })
        }
    }

    @Test func `after a restart a parked one does not lead its site`() {
        var consumer = Sample.consumer(cursor: 1, tail: 1, ordering: .site, nextDue: now + .seconds(60))
        let load = consumer.wake(at: now)
        #expect(load.loads.count == 1)
        let row = parkedRow(1, due: now + .seconds(60))
        _ = consumer.loaded([(row: row, event: Sample.event(1, site: 1))], isComplete: true, at: now)
        let sends = consumer.append([Sample.event(2, site: 1)][...], at: now).sends
        #expect(sends.map(\.event.sequence) == [2])
        #expect(sends.first?.parked == row.eventID)
    }

    @Test func `a parked one that is taken at last does not hide another that was parked before it`() {
        var consumer = Sample.consumer(cursor: 2, tail: 2, ordering: .site, nextDue: now + .seconds(1))
        _ = consumer.wake(at: now + .seconds(1))
        let rows = [parkedRow(2, due: now + .seconds(1)), parkedRow(1, due: now + .seconds(60))]
        let loaded = rows.map { (row: $0, event: Sample.event($0.position.sequence, site: 1)) }
        let first = consumer.loaded(loaded, isComplete: true, at: now + .seconds(1)).sends
        #expect(first.map(\.event.sequence) == [2])
        _ = consumer.finished(first[0].flight, .ok, at: now + .seconds(2), jitter: 0.5)
        let next = consumer.append([Sample.event(3, site: 1)][...], at: now + .seconds(2)).sends
        #expect(next.map(\.event.sequence) == [3])
        #expect(next.first?.parked == rows[1].eventID)
    }

    @Test func `a row from before order was asked for waits until what lies before it at its site was taken`() {
        // Without order the alarm had passed the backlog, and failed.
        var consumer = Sample.consumer(cursor: 0, tail: 4, ordering: .site, nextDue: now)
        _ = consumer.wake(at: now)
        var row = parkedRow(4, due: now)
        row.state = .retrying
        let loaded = consumer.loaded([(row: row, event: Sample.event(4, site: 1))], isComplete: true, at: now)
        #expect(loaded.sends.isEmpty)
        let read = loaded.reads.first
        #expect(read?.after == 0)
        guard let read else { return }
        let events = [1, 2, 3].map { Sample.event($0, site: $0 == 2 ? 2 : 1) } + [Sample.event(4, site: 1)]
        var actions = consumer.read(read, events: events, rows: [4], at: now)
        var sent = actions.sends
        var order: [Int64] = []
        while !sent.isEmpty {
            let next = sent.removeFirst()
            order.append(next.event.sequence)
            actions = consumer.finished(next.flight, .ok, at: now, jitter: 0.5)
            sent += actions.sends
        }
        #expect(order.filter { $0 != 2 } == [1, 3, 4])
        #expect(consumer.takeCursors().map(\.position.sequence) == [4])
        #expect(consumer.isIdle && consumer.heldCount == 0)
    }

    private func parkedRow(_ sequence: Int64, due: Instant) -> ExceptionalDelivery {
        ExceptionalDelivery(
            endpointID: Sample.endpoint,
            position: Sample.event(sequence).position,
            eventID: Sample.event(sequence).id,
            state: .parked,
            attempts: 5,
            answers: 5,
            nextAttemptAt: due,
            eventCreatedAt: now,
            updatedAt: now
        )
    }
}

struct `Alarms first` {
    let now = Sample.start
    let types: Set<EventType> = [.partitionArmed, .alarmCreated]

    private func consumer(_ limits: EndpointConsumer.Limits = EndpointConsumer.Limits()) -> EndpointConsumer {
        EndpointConsumer(
            settings: EndpointConsumer.Settings(
                subscription: Sample.subscription(types: types, scopes: [.sitesRead, .eventsRead]),
                concurrency: 1
            ),
            lanes: [(cursor: EventPosition(dealerID: Sample.dealer, sequence: 0), tail: 0)],
            limits: limits
        )
    }

    @Test func `an alarm goes before what waits, and a busy endpoint keeps attempts for it`() {
        var consumer = consumer()
        var settings = consumer.settings
        settings.concurrency = 16
        _ = consumer.reconfigure(settings, at: now)
        let begun = consumer.append((1...40).map { Sample.event($0) }[...], at: now).sends
        #expect(begun.count == 14)
        let alarm = consumer.append([Sample.event(41, type: .alarmCreated)][...], at: now).sends
        #expect(alarm.map(\.event.sequence) == [41])
    }

    @Test func `an alarm does not wait behind a backlog in the log, and is sent once`() {
        let limits = EndpointConsumer.Limits(buffer: 4, window: 16, rows: 4, orderedRows: 8)
        var consumer = consumer(limits)
        let log = (1...30).map { Sample.event($0, type: $0 == 30 ? .alarmCreated : .partitionArmed) }
        var actions = consumer.append(log[...], at: now)
        var sent: [Int64] = []
        var saves: [ExceptionalDelivery] = []
        while !actions.isEmpty {
            saves += actions.saves
            let (sends, reads) = (actions.sends, actions.reads)
            sent += sends.map(\.event.sequence)
            actions = sends.flatMap { consumer.finished($0.flight, .ok, at: now, jitter: 0.5) }
            for read in reads {
                let found = Array(log.dropFirst(Int(read.after)).prefix(read.limit))
                actions += consumer.read(read, events: found, rows: [], at: now)
            }
        }
        #expect(sent == [30] + Array(1...29))
        // Only a row can tell after a crash that it is done.
        #expect(saves.map(\.position.sequence) == [30])
        #expect(consumer.takeCursors().last?.position.sequence == 30)
    }
}
