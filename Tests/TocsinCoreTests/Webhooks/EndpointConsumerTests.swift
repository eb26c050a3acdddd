import Testing
import TocsinCore

struct `Endpoint consumer` {
    let now = Sample.start

    private func cursor(_ consumer: inout EndpointConsumer) -> Int64? { consumer.takeCursors().last?.position.sequence }

    @Test func `events are sent in order up to the concurrency`() {
        var consumer = Sample.consumer(concurrency: 2)
        let begun = consumer.append([Sample.event(1), Sample.event(2), Sample.event(3)], at: now)
        #expect(begun.sends.map(\.event.sequence) == [1, 2])
        let after = consumer.finished(begun.sends[1].flight, .ok, at: now, jitter: 0.5)
        #expect(after.sends.map(\.event.sequence) == [3])
    }

    @Test func `the cursor passes only what is done without a gap`() {
        var consumer = Sample.consumer()
        let sends = consumer.append([Sample.event(1), Sample.event(2), Sample.event(3)], at: now).sends
        _ = consumer.finished(sends[1].flight, .ok, at: now, jitter: 0.5)
        #expect(cursor(&consumer) == nil)
        _ = consumer.finished(sends[0].flight, .ok, at: now, jitter: 0.5)
        #expect(cursor(&consumer) == 2)
    }

    @Test func `the cursor passes what is not for the endpoint and asks to be saved after a thousand`() {
        var consumer = Sample.consumer()
        let others = (1...1000).map { Sample.event($0, type: .deviceOnline) }
        #expect(consumer.append(others[..<999], at: now).isEmpty)
        let actions = consumer.append(others[999...], at: now)
        guard case .saveCursors = actions.first else { return #expect(Bool(false), "\(actions)") }
        #expect(cursor(&consumer) == 1000)
    }

    @Test func `a failed attempt becomes a row and the cursor passes on`() {
        var consumer = Sample.consumer()
        let attempt = consumer.append([Sample.event(1)], at: now).sends[0]
        let actions = consumer.finished(attempt.flight, .broken, at: now, jitter: 0.5)
        #expect(actions.saves.map(\.state) == [.retrying])
        #expect(actions.saves.first?.nextAttemptAt == now + .seconds(5))
        #expect(cursor(&consumer) == 1)
        #expect(consumer.nextWake(after: now) == now + .seconds(5))
        #expect(consumer.wake(at: now + .seconds(4)).sends.isEmpty)
        let again = consumer.wake(at: now + .seconds(5)).sends
        #expect(again.map(\.number) == [2])
        let done = consumer.finished(again[0].flight, .ok, at: now + .seconds(5), jitter: 0.5)
        #expect(done.saves.map(\.state) == [.delivered])
        #expect(done.saves.first?.attempts == 2)
    }

    @Test func `410 disables at once and the delivery is dead`() {
        var consumer = Sample.consumer(concurrency: 1)
        let attempt = consumer.append([Sample.event(1), Sample.event(2)], at: now).sends[0]
        let actions = consumer.finished(attempt.flight, .gone, at: now, jitter: 0.5)
        #expect(actions.saves.map(\.state) == [.dead])
        #expect(actions.announcements.map(\.code) == ["gone"])
        #expect(actions.announcements.first?.disables == true)
        #expect(actions.sends.isEmpty)
        #expect(cursor(&consumer) == 1)
    }

    @Test func `what a tightened subscription no longer allows is withdrawn`() {
        var consumer = Sample.consumer(concurrency: 1)
        let attempt = consumer.append([Sample.event(1), Sample.event(2)], at: now).sends[0]
        var settings = consumer.settings
        settings.subscription.scopes = []
        #expect(consumer.reconfigure(settings, at: now).isEmpty)
        let actions = consumer.finished(attempt.flight, .down, at: now, jitter: 0.5)
        #expect(actions.saves.map(\.state) == [.retrying, .withdrawn])
        let later = consumer.wake(at: now + .seconds(5))
        #expect(later.saves.map(\.state) == [.withdrawn])
        #expect(later.sends.isEmpty)
    }

    @Test func `what comes out of order is read from the log`() {
        var consumer = Sample.consumer()
        let early = consumer.append([Sample.event(2)], at: now)
        #expect(early.sends.isEmpty)
        #expect(early.reads.map(\.after) == [0])
        #expect(consumer.append([Sample.event(1)], at: now).sends.map(\.event.sequence) == [1])
        let answer = consumer.read(early.reads[0], events: [Sample.event(1), Sample.event(2)], rows: [], at: now)
        #expect(answer.sends.map(\.event.sequence) == [2])
    }

    @Test func `a full buffer is left to the log`() {
        let limits = EndpointConsumer.Limits(buffer: 4, window: 16, rows: 4, orderedRows: 8)
        var consumer = Sample.consumer(concurrency: 1, limits: limits)
        let events = (1...20).map { Sample.event($0) }
        var sends = consumer.append(events[...], at: now).sends
        #expect(consumer.heldCount <= 4)
        var sent: [Int64] = []
        while let attempt = sends.popLast() {
            sent.append(attempt.event.sequence)
            var actions = consumer.finished(attempt.flight, .ok, at: now, jitter: 0.5)
            sends += actions.sends
            while let read = actions.reads.first {
                let found = events.filter { $0.sequence > read.after }.prefix(read.limit)
                actions = consumer.read(read, events: Array(found), rows: [], at: now)
                sends += actions.sends
            }
            #expect(consumer.heldCount <= 4)
        }
        #expect(sent == Array(1...20))
        #expect(cursor(&consumer) == 20)
    }

    @Test func `with order a site's events wait behind a failed one as rows`() {
        var consumer = Sample.consumer(ordering: .site)
        let first = consumer.append(
            [Sample.event(1, site: 1), Sample.event(2, site: 1), Sample.event(3, site: 2)],
            at: now
        )
        #expect(first.sends.map(\.event.sequence) == [1, 3])
        _ = consumer.finished(first.sends[1].flight, .ok, at: now, jitter: 0.5)
        let failed = consumer.finished(first.sends[0].flight, .broken, at: now, jitter: 0.5)
        #expect(failed.saves.map(\.state) == [.retrying, .waiting])
        #expect(cursor(&consumer) == 3)
        #expect(consumer.append([Sample.event(4, site: 1)], at: now).saves.map(\.state) == [.waiting])
        var sent: [Int64] = []
        var sends = consumer.wake(at: now + .seconds(5)).sends
        while let attempt = sends.popLast() {
            sent.append(attempt.event.sequence)
            sends += consumer.finished(attempt.flight, .ok, at: now + .seconds(5), jitter: 0.5).sends
        }
        #expect(sent == [1, 2, 4])
    }

    @Test func `resending sends once more whatever became of it`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9)
        let actions = consumer.resend(Sample.event(7), attempts: 3, at: now)
        #expect(actions.sends.map(\.number) == [4])
        #expect(actions.saves.map(\.state) == [.retrying])
        #expect(consumer.resend(Sample.event(7), attempts: 3, at: now).isEmpty)
        let done = consumer.finished(actions.sends[0].flight, .ok, at: now, jitter: 0.5)
        #expect(done.saves.map(\.state) == [.delivered])
    }

    @Test func `failing is told after an hour and at the stages of five days, and then disables`() {
        var consumer = Sample.consumer()
        var actions = consumer.append([Sample.event(1)], at: now)
        actions = consumer.finished(actions.sends[0].flight, .down, at: now, jitter: 0.5)
        #expect(actions.standings == [now])
        let again = consumer.wake(at: now + .seconds(3599))
        #expect(again.announcements.isEmpty)
        for attempt in again.sends {
            _ = consumer.finished(attempt.flight, .down, at: now + .seconds(3599), jitter: 0.5)
        }
        #expect(consumer.wake(at: now + .seconds(3600)).announcements.count == 1)
        var stages: [EndpointAnnouncement.Reason] = []
        var log = [Sample.event(1)]
        for hour in 2...130 {
            let instant = now + .seconds(Int64(hour) * 3600)
            log.append(Sample.event(Int64(hour), at: instant))
            var pending = consumer.append(log.suffix(1), at: instant)
            while !pending.isEmpty {
                stages += pending.announcements.map(\.reason)
                let (sends, reads) = (pending.sends, pending.reads)
                pending = sends.flatMap { consumer.finished($0.flight, .down, at: instant, jitter: 0.5) }
                for read in reads {
                    let found = log.dropFirst(Int(read.after)).prefix(read.limit)
                    pending += consumer.read(read, events: Array(found), rows: [], at: instant)
                }
            }
        }
        #expect(
            stages == [
                .failing(.half, since: now), .failing(.seventyPercent, since: now),
                .failing(.ninetyPercent, since: now), .failing(.disabled, since: now),
            ]
        )
        #expect(!consumer.settings.isEnabled)
    }

    @Test func `failing that began before a restart is told under the same id`() {
        var before = Sample.consumer(failingSince: now)
        var after = Sample.consumer(failingSince: now)
        let told = before.wake(at: now + .seconds(3600)).announcements
        #expect(told.map(\.eventID) == after.wake(at: now + .seconds(9000)).announcements.map(\.eventID))
        #expect(told.count == 1)
    }

    @Test func `a success ends the time of failures`() {
        var consumer = Sample.consumer(failingSince: now)
        let attempt = consumer.append([Sample.event(1)], at: now).sends[0]
        #expect(consumer.finished(attempt.flight, .ok, at: now, jitter: 0.5).standings == [nil])
        #expect(consumer.wake(at: now + .seconds(4000)).announcements.isEmpty)
    }
}
