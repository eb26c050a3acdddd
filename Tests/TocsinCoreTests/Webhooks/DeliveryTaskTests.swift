import Testing
import TocsinCore

struct `Rows of tasks` {
    let now = Sample.start
    let task = DeliveryTaskID(stored: "task_1")

    private func row(
        _ sequence: Int64,
        _ state: DeliveryState = .waiting,
        due: Instant? = nil,
        prior: DeliveryState? = nil
    ) -> (row: ExceptionalDelivery, event: LoggedEvent?) {
        let event = Sample.event(sequence, site: 1)
        let row = ExceptionalDelivery(
            endpointID: Sample.endpoint,
            position: event.position,
            eventID: event.id,
            state: state,
            attempts: 0,
            nextAttemptAt: due ?? now,
            eventCreatedAt: event.createdAt,
            updatedAt: now,
            task: TaskMark(id: task, prior: prior)
        )
        return (row, event)
    }

    @Test func `rows that were added are loaded and sent`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9)
        #expect(consumer.rowsWereAdded(hastened: [], at: now).loads.count == 1)
        let sends = consumer.loaded([row(1), row(2)], isComplete: true, at: now).sends
        #expect(sends.map(\.event.sequence) == [1, 2])
        #expect(sends.map(\.number) == [1, 1])
        let ended = consumer.finished(sends[0].flight, .ok, at: now, jitter: 0.5)
        #expect(ended.saves.map(\.state) == [.delivered])
    }

    @Test func `rows that are added while others are loaded are loaded next`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9)
        _ = consumer.rowsWereAdded(hastened: [], at: now)
        #expect(consumer.rowsWereAdded(hastened: [], at: now).loads.isEmpty)
        #expect(consumer.loaded([row(1)], isComplete: true, at: now).loads.count == 1)
    }

    @Test func `a retry that is held is made at once where a task wants it`() {
        var consumer = Sample.consumer()
        let attempt = consumer.append([Sample.event(1)], at: now).sends[0]
        _ = consumer.finished(attempt.flight, .down, at: now, jitter: 0.5)
        let sends = consumer.rowsWereAdded(hastened: [attempt.event.position], at: now).sends
        #expect(sends.map(\.number) == [2])
    }

    @Test func `a retry that a task hastens while rows are loaded is made at once`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9)
        #expect(consumer.rowsWereAdded(hastened: [], at: now).loads.count == 1)
        let old = row(1, .retrying, due: now + .seconds(3_600))
        #expect(consumer.rowsWereAdded(hastened: [old.row.position], at: now).loads.isEmpty)
        // What was read before the task is not what the ledger says since.
        let again = consumer.loaded([old], isComplete: true, at: now)
        #expect(again.sends.isEmpty && again.loads.count == 1)
        #expect(consumer.loaded([row(1)], isComplete: true, at: now).sends.map(\.event.sequence) == [1])
    }

    @Test func `live events go first`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9, concurrency: 1)
        _ = consumer.rowsWereAdded(hastened: [], at: now)
        let first = consumer.loaded([row(1), row(2)], isComplete: true, at: now).sends[0]
        #expect(consumer.append([Sample.event(10)], at: now).sends.isEmpty)
        let next = consumer.finished(first.flight, .ok, at: now, jitter: 0.5).sends
        #expect(next.map(\.event.sequence) == [10])
    }

    @Test(arguments: [(nil, DeliveryState.withdrawn), (DeliveryState.dead, .dead), (.delivered, .delivered)])
    func `a cancelled task takes its rows along`(prior: DeliveryState?, end: DeliveryState) {
        var consumer = Sample.consumer(cursor: 9, tail: 9, concurrency: 1)
        _ = consumer.rowsWereAdded(hastened: [], at: now)
        let rows = [row(1, prior: prior), row(2, prior: prior), row(3, prior: prior)]
        let flight = consumer.loaded(rows, isComplete: true, at: now).sends[0].flight
        let actions = consumer.taskWasCancelled(task, at: now)
        #expect(actions.saves.map(\.state) == [end, end])
        // What is in flight ends, and is not tried again.
        let last = consumer.finished(flight, .broken, at: now, jitter: 0.5)
        #expect(last.saves.map(\.state) == [end])
        #expect(consumer.heldCount == 0 && (consumer.nextWake(after: now) ?? now) > now + .seconds(60))
    }

    @Test func `a cancelled task leaves what was on its way without it`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9, concurrency: 1)
        _ = consumer.rowsWereAdded(hastened: [], at: now)
        let rows = [row(1, .retrying, due: now + .seconds(9), prior: .retrying)]
        _ = consumer.loaded(rows, isComplete: true, at: now)
        #expect(consumer.taskWasCancelled(task, at: now).saves.isEmpty)
        #expect(consumer.wake(at: now + .seconds(9)).sends.map(\.event.sequence) == [1])
    }

    @Test func `with order a cancelled task's rows give way to what waits behind them`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9, ordering: .site, concurrency: 4)
        _ = consumer.rowsWereAdded(hastened: [], at: now)
        let first = consumer.loaded([row(1), row(2), row(3)], isComplete: true, at: now).sends
        #expect(first.map(\.event.sequence) == [1])
        _ = consumer.append([Sample.event(10, site: 1)], at: now)
        _ = consumer.taskWasCancelled(task, at: now)
        let next = consumer.finished(first[0].flight, .broken, at: now, jitter: 0.5)
        #expect(next.saves.filter { $0.state == .withdrawn }.map(\.position.sequence) == [1, 2, 3])
        #expect(next.sends.map(\.event.sequence) == [10])
    }

    @Test func `while fresh events are held the log keeps them`() {
        var consumer = Sample.consumer(cursor: 9, tail: 9, ordering: .site)
        var settings = consumer.settings
        settings.holdsFresh = true
        _ = consumer.reconfigure(settings, at: now)
        let held = consumer.append([Sample.event(10, site: 1)], at: now)
        #expect(held.sends.isEmpty && held.reads.isEmpty)
        #expect(consumer.takeCursors().isEmpty)
        settings.holdsFresh = false
        #expect(consumer.reconfigure(settings, at: now).reads.map(\.after) == [9])
    }
}

struct `Task pace` {
    let now = Sample.start

    @Test func `a task keeps its rate`() {
        var pace = TaskPace(rate: 50)
        #expect(pace.step(waiting: 0, at: now) == .place(atMost: 10))
        pace.placed(10, at: now)
        #expect(pace.step(waiting: 0, at: now) == .pause(until: now + .milliseconds(200)))
        #expect(pace.step(waiting: 0, at: now + .milliseconds(200)) == .place(atMost: 10))
    }

    @Test func `a slow task places one row at a time`() {
        var pace = TaskPace(rate: 2)
        #expect(pace.step(waiting: 0, at: now) == .place(atMost: 1))
        pace.placed(1, at: now)
        #expect(pace.step(waiting: 0, at: now) == .pause(until: now + .milliseconds(500)))
    }

    @Test func `a task is never far ahead of what is sent`() {
        let pace = TaskPace(rate: 1000)
        #expect(pace.step(waiting: TaskPace.waitingMaximum - 200, at: now) == .place(atMost: 200))
        #expect(pace.step(waiting: TaskPace.waitingMaximum - 199, at: now) == .awaitAttempts)
    }

    @Test func `what matched nothing costs no time`() {
        var pace = TaskPace(rate: 1)
        pace.placed(0, at: now)
        #expect(pace.step(waiting: 0, at: now) == .place(atMost: 1))
    }
}
