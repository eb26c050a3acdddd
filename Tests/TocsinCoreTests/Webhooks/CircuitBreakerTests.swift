import Testing
import TocsinCore

struct `Circuit breaker` {
    let now = Sample.start

    /// Answers everything in flight, and what follows from that, until nothing is sent any more.
    private func settle(
        _ consumer: inout EndpointConsumer,
        _ actions: [EndpointConsumer.Action],
        _ result: AttemptResult,
        at instant: Instant
    ) -> [EndpointConsumer.Action] {
        var all: [EndpointConsumer.Action] = []
        var pending = actions
        while !pending.isEmpty {
            all += pending
            pending = pending.sends.flatMap { consumer.finished($0.flight, result, at: instant, jitter: 0.5) }
        }
        return all
    }

    private func events(_ range: ClosedRange<Int64>) -> [LoggedEvent] { range.map { Sample.event($0) } }

    /// A machine that is open, with many events behind it in the log.
    private func opened() -> EndpointConsumer {
        var consumer = Sample.consumer()
        _ = settle(&consumer, consumer.append(events(1...100)[...], at: now), .down, at: now)
        return consumer
    }

    @Test func `ten failures in a row open it, and what waits stays in the log`() {
        var consumer = Sample.consumer()
        let begun = consumer.append(events(1...100)[...], at: now).sends
        #expect(begun.count == 14, "two of sixteen are kept for alarms")
        for (index, attempt) in begun.enumerated() {
            #expect(consumer.breaker.isClosed == (index < 10))
            let more = consumer.finished(attempt.flight, .down, at: now, jitter: 0.5).sends
            #expect(more.isEmpty, "those in flight are enough to tell that nobody is there")
        }
        #expect(consumer.breaker.state(at: now) == .open)
        // Those that were tried became rows; of the others a few are held to probe with.
        let rows = begun.count
        #expect(consumer.heldCount <= rows + EndpointConsumer.Limits().whileOpen)
        #expect(consumer.takeCursors().last?.position.sequence == Int64(rows))
    }

    @Test func `failures in a row leave room for fewer, an answer makes room for all again`() {
        var consumer = Sample.consumer()
        var begun = consumer.append(events(1...100)[...], at: now).sends
        for _ in 0..<5 {
            begun += consumer.finished(begun.removeFirst().flight, .down, at: now, jitter: 0.5).sends
        }
        #expect(consumer.inFlight == 9 && consumer.breaker.isClosed, "none for those that ended")
        begun += consumer.finished(begun.removeFirst().flight, .ok, at: now, jitter: 0.5).sends
        #expect(consumer.inFlight == 14)
    }

    @Test func `an alarm finds the room that is kept for it, however many have failed`() {
        var consumer = Sample.consumer()
        var settings = consumer.settings
        settings.subscription.types.insert(.armingFailed)
        _ = consumer.reconfigure(settings, at: now)
        let begun = consumer.append(events(1...100)[...], at: now).sends
        for attempt in begun.prefix(3) { _ = consumer.finished(attempt.flight, .down, at: now, jitter: 0.5) }
        let alarm = Sample.event(101, type: .armingFailed)
        #expect(consumer.append([alarm], at: now).sends.map(\.event.sequence) == [101])
    }

    @Test func `with room for one attempt they follow one another until it opens`() {
        var consumer = Sample.consumer(concurrency: 1)
        var sends = consumer.append(events(1...20)[...], at: now).sends
        for _ in 0..<9 {
            #expect(sends.count == 1)
            sends = consumer.finished(sends[0].flight, .down, at: now, jitter: 0.5).sends
        }
        #expect(sends.count == 1 && consumer.breaker.isClosed)
    }

    @Test func `answers that refuse an event do not open it, 429 does`() {
        for (status, isOpen) in [(404, false), (301, false), (429, true), (500, true), (503, true)] {
            var consumer = Sample.consumer()
            let begun = consumer.append(events(1...100)[...], at: now)
            for attempt in begun.sends {
                _ = consumer.finished(attempt.flight, AttemptResult(status: status), at: now, jitter: 0.5)
            }
            #expect(!consumer.breaker.isClosed == isOpen, "\(status)")
        }
    }

    @Test func `a pause ends with one probe, and pauses double up to five minutes`() throws {
        var consumer = opened()
        var instant = now
        var pauses: [Int64] = []
        for _ in 0..<8 {
            let until = try #require(consumer.breaker.pausesUntil)
            pauses.append((until - instant).milliseconds / 1000)
            #expect(consumer.wake(at: until - .milliseconds(1)).sends.isEmpty)
            instant = until
            let probe = consumer.wake(at: instant).sends
            #expect(probe.count == 1)
            #expect(consumer.breaker.state(at: instant) == .halfOpen)
            let ended = consumer.finished(probe[0].flight, .down, at: instant, jitter: 0.5)
            #expect(ended.breakers.last?.pausesUntil == consumer.breaker.pausesUntil, "each pause is told")
        }
        #expect(pauses == [5, 10, 20, 40, 80, 160, 300, 300])
    }

    @Test func `after an answered probe concurrency doubles with every answer`() throws {
        var consumer = opened()
        let until = try #require(consumer.breaker.pausesUntil)
        let probe = consumer.wake(at: until).sends
        let two = consumer.finished(probe[0].flight, .ok, at: until, jitter: 0.5).sends
        #expect(two.count == 2)
        #expect(consumer.breaker.state(at: until) == .recovering)
        let four = consumer.finished(two[0].flight, .ok, at: until, jitter: 0.5).sends
        #expect(four.count == 3 && consumer.inFlight == 4)
        _ = consumer.finished(two[1].flight, .ok, at: until, jitter: 0.5)
        #expect(consumer.inFlight == 8)
        _ = consumer.finished(four[0].flight, .ok, at: until, jitter: 0.5)
        #expect(consumer.breaker.state(at: until) == .closed)
    }

    @Test func `a failure while it recovers opens it again, for longer`() throws {
        var consumer = opened()
        let until = try #require(consumer.breaker.pausesUntil)
        let probe = consumer.wake(at: until).sends
        let two = consumer.finished(probe[0].flight, .ok, at: until, jitter: 0.5).sends
        _ = consumer.finished(two[0].flight, .broken, at: until, jitter: 0.5)
        #expect(consumer.breaker.pausesUntil == until + .seconds(10))
    }

    @Test func `a receiver that names a time is left alone until then`() {
        var consumer = Sample.consumer()
        let busy = AttemptResult(status: 503, retryAfter: "120")
        for attempt in consumer.append(events(1...20)[...], at: now).sends {
            _ = consumer.finished(attempt.flight, busy, at: now, jitter: 0.5)
        }
        #expect(consumer.breaker.pausesUntil == now + .seconds(120))
    }

    @Test func `changing the endpoint probes at once`() {
        var consumer = opened()
        #expect(consumer.reconfigure(consumer.settings, at: now).sends.count == 1)
    }

    @Test func `an endpoint that failed before a restart starts slowly`() {
        var consumer = Sample.consumer(failingSince: now)
        #expect(consumer.append(events(1...20)[...], at: now).sends.count == 1)
    }

    @Test func `what is older than a day when its turn comes gets one attempt`() throws {
        var consumer = opened()
        let late = now + .seconds(2 * 86_400)
        let actions = settle(&consumer, consumer.wake(at: late), .broken, at: late)
        #expect(actions.sends.count == 1)
        #expect(actions.saves.map(\.state) == [.dead])
    }
}

struct `Rate of an endpoint` {
    let now = Sample.start

    private func consumer(_ rate: Int) -> EndpointConsumer {
        var consumer = Sample.consumer(concurrency: 64)
        var settings = consumer.settings
        settings.ratePerSecond = rate
        _ = consumer.reconfigure(settings, at: now)
        return consumer
    }

    @Test(arguments: [1, 3, 10, 50, 1000])
    func `no more begin than the rate allows, and the machine knows when the next may`(rate: Int) throws {
        var consumer = consumer(rate)
        var instant = now
        var begun: [Instant] = []
        var actions = consumer.append((1...Int64(200)).map { Sample.event($0) }[...], at: now)
        while begun.count < 200 {
            begun += actions.sends.map { _ in instant }
            var more: [EndpointConsumer.Action] = []
            for attempt in actions.sends { more += consumer.finished(attempt.flight, .ok, at: instant, jitter: 0.5) }
            if more.sends.isEmpty, begun.count < 200 {
                instant = try #require(consumer.nextWake(after: instant))
                more = consumer.wake(at: instant)
                #expect(!more.sends.isEmpty, "it was woken for nothing")
            }
            actions = more
        }
        let burst = max(1, rate / 10)
        for (index, first) in begun.enumerated() {
            let inSecond = begun[index...].prefix { $0 < first + .seconds(1) }.count
            #expect(inSecond <= rate + burst)
        }
        let took = Double((instant - now).milliseconds) / 1000
        #expect(took <= Double(200 - burst) / Double(rate) * 1.01 + 0.2, "the rate is not used")
    }

    @Test func `an alarm goes before what came earlier`() {
        var consumer = consumer(1)
        _ = consumer.append((1...3).map { Sample.event($0) }[...], at: now)
        _ = consumer.append(
            [Sample.event(4, type: .endpointFailing), Sample.event(5, type: .armingFailed)][...],
            at: now
        )
        var settings = consumer.settings
        settings.subscription.types.insert(.armingFailed)
        _ = consumer.reconfigure(settings, at: now)
        let next = consumer.append([Sample.event(6, type: .armingFailed)][...], at: now + .seconds(1))
        #expect(next.sends.map(\.event.sequence) == [6])
    }
}
