import Synchronization
import TocsinCore

/// Many producers, one consumer: whatever has gathered while the consumer was busy is taken as one batch.
///
/// This is where group commit begins: the longer a durable write takes, the more commands share the next one. What is put
/// ahead overtakes the rest, in its own order.
package final class Inbox<Element: Sendable>: Sendable {
    /// The consumer, and what it gets.
    private typealias Woken = (consumer: CheckedContinuation<[Element]?, Never>, elements: [Element])

    private struct State {
        var elements: [Element] = []
        var ahead: [Element] = []
        var isClosed = false
        var consumer: CheckedContinuation<[Element]?, Never>?

        var count: Int { elements.count + ahead.count }

        mutating func take() -> [Element]? {
            guard let first = takeAhead() else {
                if elements.isEmpty { return nil }
                defer { elements = [] }
                return elements
            }
            defer { elements = [] }
            return first + elements
        }

        mutating func takeAhead() -> [Element]? {
            if ahead.isEmpty { return nil }
            defer { ahead = [] }
            return ahead
        }
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// Takes at most `capacity` waiting elements.
    package init(capacity: Int) { self.capacity = capacity }

    /// Adds an element, in front of what is not `ahead` itself if it is; false if the inbox is full or closed.
    @discardableResult package func put(_ element: Element, ahead: Bool = false) -> Bool {
        let (accepted, woken) = state.withLock { state -> (Bool, Woken?) in
            if state.isClosed || state.count >= capacity { return (false, nil) }
            if ahead { state.ahead.append(element) } else { state.elements.append(element) }
            guard let consumer = state.consumer, let all = state.take() else { return (true, nil) }
            state.consumer = nil
            return (true, (consumer, all))
        }
        if let (consumer, all) = woken { consumer.resume(returning: all) }
        return accepted
    }

    /// Adds an element without waking the consumer, which takes it with the next or when it is woken; whatever the capacity.
    package func gather(_ element: Element) {
        state.withLock { state in
            if !state.isClosed { state.elements.append(element) }
        }
    }

    /// Wakes the consumer if something has gathered.
    package func wake() {
        let woken = state.withLock { state -> Woken? in
            guard let consumer = state.consumer, let elements = state.take() else { return nil }
            state.consumer = nil
            return (consumer, elements)
        }
        if let (consumer, elements) = woken { consumer.resume(returning: elements) }
    }

    /// Adds the first of these for which there is room, and tells how many; none if the inbox is closed.
    package func put(contentsOf elements: [Element]) -> Int {
        let (count, woken) = state.withLock { state -> (Int, Woken?) in
            if state.isClosed { return (0, nil) }
            let count = min(elements.count, capacity - state.count)
            guard count > 0 else { return (0, nil) }
            state.elements += elements.prefix(count)
            guard let consumer = state.consumer, let all = state.take() else { return (count, nil) }
            state.consumer = nil
            return (count, (consumer, all))
        }
        if let (consumer, all) = woken { consumer.resume(returning: all) }
        return count
    }

    /// Everything that waits, as soon as there is something; nothing more once it is closed and empty.
    package func next() async -> [Element]? {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> [Element]?? in
                if let elements = state.take() { return .some(elements) }
                if state.isClosed { return .some(nil) }
                state.consumer = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }

    /// Everything that waits now, if there is something.
    package func takeWaiting() -> [Element]? { state.withLock { $0.take() } }

    /// What was put ahead and waits now, if there is something.
    package func takeAhead() -> [Element]? { state.withLock { $0.takeAhead() } }

    package var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Refuses what comes from now on; what waits already is still handed out.
    package func close() {
        let (consumer, elements) = state.withLock { state in
            state.isClosed = true
            guard let consumer = state.consumer else {
                return (nil as CheckedContinuation<[Element]?, Never>?, nil as [Element]?)
            }
            state.consumer = nil
            return (consumer, state.take())
        }
        consumer?.resume(returning: elements)
    }

    package var count: Int { state.withLock { $0.count } }
}

/// Wakes one waiter; a signal without a waiter is remembered for the next.
package final class WakeSignal: Sendable {
    private struct State {
        var isSet = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    package func signal() {
        let waiter = state.withLock { state in
            state.isSet = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when signalled, or when the task is cancelled.
    package func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.isSet || Task.isCancelled {
                        state.isSet = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    /// Returns when signalled or at `instant`, whichever comes first.
    package func wait(until instant: Instant?, clock: some WallClock) async {
        guard let instant else { return await wait() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await clock.sleep(until: instant) }
            await group.next()
            group.cancelAll()
        }
    }
}
