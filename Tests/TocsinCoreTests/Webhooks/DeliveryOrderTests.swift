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
