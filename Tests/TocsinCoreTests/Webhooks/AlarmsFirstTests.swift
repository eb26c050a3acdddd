import Testing
import TocsinCore

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

    // MARK: - After a restart

    /// What an endpoint with a backlog is sent, answered at once by a receiver that is up and by a log that holds `log`.
    private func course(
        of consumer: inout EndpointConsumer,
        over log: [LoggedEvent],
        rows: Set<Int64> = [],
        window: Int = 10
    ) -> (sent: [Int64], saves: [ExceptionalDelivery]) {
        var (sent, saves): ([Int64], [ExceptionalDelivery]) = ([], [])
        var pending = consumer.wake(at: now)
        while !pending.isEmpty {
            let actions = pending
            pending = []
            saves += actions.saves
            for action in actions {
                switch action {
                case .send(let attempt):
                    sent.append(attempt.event.sequence)
                    pending += consumer.finished(attempt.flight, .ok, at: now, jitter: 0.5)
                case .readLog(let read):
                    let found = Array(log.dropFirst(Int(read.after)).prefix(read.limit))
                    let known = read.asksForRows ? rows : []
                    pending += consumer.read(read, events: found, rows: known, at: now)
                case .seekAlarms:
                    guard let search = consumer.nextSearch() else { continue }
                    let (found, end) = Self.found(search, in: log, window: window)
                    let known = search.asksForRows ? rows : []
                    pending += consumer.sought(search, events: found, searchedTo: end, rows: known, at: now)
                case .save, .stand, .announce, .loadRows, .saveCursors, .settled, .breaker: break
                }
            }
        }
        return (sent, saves)
    }

    private static func found(
        _ search: EndpointConsumer.AlarmSearch,
        in log: [LoggedEvent],
        window: Int
    ) -> (events: [LoggedEvent], searchedTo: Int64) {
        let stretch = log.dropFirst(Int(search.after)).prefix(window)
        let alarms = Array(stretch.filter { search.types.contains($0.type) }.prefix(search.limit))
        let end = alarms.count < search.limit ? stretch.last?.sequence : alarms.last?.sequence
        return (alarms, end ?? search.after)
    }

    private func restarted(
        tail: Int64,
        ordering: DeliveryOrdering = .none,
        types: Set<EventType>? = nil
    ) -> EndpointConsumer {
        EndpointConsumer(
            settings: EndpointConsumer.Settings(
                subscription: Sample.subscription(types: types ?? self.types, scopes: [.sitesRead, .eventsRead]),
                ordering: ordering,
                concurrency: 1
            ),
            lanes: [(cursor: EventPosition(dealerID: Sample.dealer, sequence: 0), tail: tail)],
            limits: EndpointConsumer.Limits(buffer: 4, window: 16, rows: 4, orderedRows: 8)
        )
    }

    private func log(_ count: Int64, alarms: Set<Int64>, site: Int? = nil) -> [LoggedEvent] {
        (1...count).map { Sample.event($0, type: alarms.contains($0) ? .alarmCreated : .partitionArmed, site: site) }
    }

    @Test func `after a restart the alarms of a backlog are found and go first, each once`() {
        let log = log(200, alarms: [90, 150, 199])
        var consumer = restarted(tail: 200)
        let (sent, saves) = course(of: &consumer, over: log, window: 100)
        #expect(sent.prefix(10).filter { [90, 150, 199].contains($0) } == [90, 150, 199])
        #expect(sent.count == 200 && Set(sent).count == 200)
        #expect(saves.map(\.position.sequence) == [90, 150, 199] && saves.allSatisfy { $0.state == .delivered })
        #expect(consumer.takeCursors().last?.position.sequence == 200)
    }

    @Test func `an alarm that was delivered before the restart, or waits for a retry, is not found again`() {
        var consumer = restarted(tail: 60)
        let (sent, saves) = course(of: &consumer, over: log(60, alarms: [30, 40]), rows: [30])
        #expect(!sent.contains(30) && sent.count == 59)
        #expect(sent.firstIndex(of: 40) ?? 60 < 10)
        #expect(saves.map(\.position.sequence) == [40])
    }

    @Test func `what only the log told of is looked for too`() {
        var consumer = restarted(tail: 0)
        let end = EventPosition(dealerID: Sample.dealer, sequence: 80)
        let read = consumer.logReaches(end, at: now).reads[0]
        // The first answer fills the buffer; the rest has to wait.
        let log = log(80, alarms: [70])
        let actions = consumer.read(read, events: Array(log[..<4]), rows: [], at: now)
        #expect(actions.sends.map(\.event.sequence) == [1])
        #expect(actions.contains { if case .seekAlarms = $0 { true } else { false } })
        let search = consumer.nextSearch()
        #expect(search?.after == 4 && search?.asksForRows == false)
        guard let search else { return }
        _ = consumer.sought(search, events: [log[69]], searchedTo: 80, rows: [], at: now)
        let next = consumer.finished(actions.sends[0].flight, .ok, at: now, jitter: 0.5)
        #expect(next.sends.map(\.event.sequence) == [70])
    }

    @Test func `with order no alarm is looked for, because older events of its site may lie before it`() {
        var consumer = restarted(tail: 40, ordering: .site)
        #expect(course(of: &consumer, over: log(40, alarms: [40], site: 1)).sent == Array(1...40))
    }

    @Test func `whoever takes no alarms has nothing looked for`() {
        var consumer = restarted(tail: 40, types: [.partitionArmed])
        let read = consumer.wake(at: now).reads[0]
        _ = consumer.read(read, events: Array(log(40, alarms: [])[..<4]), rows: [], at: now)
        #expect(consumer.nextSearch() == nil)
    }

    @Test func `alarms that are found leave room for those that happen now`() {
        var consumer = restarted(tail: 500)
        let log = log(501, alarms: Set(5...501))
        let read = consumer.wake(at: now).reads[0]
        _ = consumer.read(read, events: Array(log[..<4]), rows: [], at: now)
        let search = consumer.nextSearch()
        #expect(search?.limit == 32)
        guard let search else { return }
        _ = consumer.sought(search, events: Array(log[4..<36]), searchedTo: 36, rows: [], at: now)
        #expect(consumer.nextSearch() == nil)
        let held = consumer.heldCount
        _ = consumer.append(log[500...], at: now)
        #expect(consumer.heldCount == held + 1)
    }

    @Test func `a subscription that takes more alarms has them looked for anew`() {
        var consumer = restarted(tail: 100, types: [.partitionArmed, .armingFailed])
        let log = log(100, alarms: [50])
        let read = consumer.wake(at: now).reads[0]
        _ = consumer.read(read, events: Array(log[..<4]), rows: [], at: now)
        guard let search = consumer.nextSearch() else { return #expect(Bool(false), "nothing is looked for") }
        var settings = consumer.settings
        settings.subscription.types.insert(.alarmCreated)
        _ = consumer.reconfigure(settings, at: now)
        _ = consumer.sought(search, events: [], searchedTo: 100, rows: [], at: now)
        let anew = consumer.nextSearch()
        #expect(anew?.after == 4 && anew?.types.contains(.alarmCreated) == true)
    }
}
