import Synchronization
import TocsinCore

/// Many producers, one consumer: whatever has gathered while the consumer was busy is taken as one batch.
///
/// This is where group commit begins: the longer a durable write takes, the more commands share the next one.
package final class Inbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var isClosed = false
        var consumer: CheckedContinuation<[Element]?, Never>?

        mutating func take() -> [Element]? {
            if elements.isEmpty { return nil }
            defer { elements = [] }
            return elements
        }
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// Takes at most `capacity` waiting elements.
    package init(capacity: Int) { self.capacity = capacity }

    /// Adds an element; false if the inbox is full or closed.
    package func put(_ element: Element) -> Bool {
        let (accepted, consumer) = state.withLock { state -> (Bool, CheckedContinuation<[Element]?, Never>?) in
            if state.isClosed || state.elements.count >= capacity { return (false, nil) }
            if let consumer = state.consumer {
                state.consumer = nil
                return (true, consumer)
            }
            state.elements.append(element)
            return (true, nil)
        }
        consumer?.resume(returning: [element])
        return accepted
    }

    /// Adds the first of these for which there is room, and tells how many; none if the inbox is closed.
    package func put(contentsOf elements: [Element]) -> Int {
        let (count, consumer) = state.withLock { state -> (Int, CheckedContinuation<[Element]?, Never>?) in
            if state.isClosed { return (0, nil) }
            let count = min(elements.count, capacity - state.elements.count)
            guard count > 0 else { return (0, nil) }
            if let consumer = state.consumer {
                state.consumer = nil
                return (count, consumer)
            }
            state.elements += elements.prefix(count)
            return (count, nil)
        }
        consumer?.resume(returning: Array(elements.prefix(count)))
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

    package var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Refuses what comes from now on; what waits already is still handed out.
    package func close() {
        let consumer = state.withLock { state in
            state.isClosed = true
            defer { state.consumer = nil }
            return state.consumer
        }
        consumer?.resume(returning: nil)
    }

    package var count: Int { state.withLock { $0.elements.count } }
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
