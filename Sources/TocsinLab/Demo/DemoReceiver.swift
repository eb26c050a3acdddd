import NIOCore
import Synchronization

/// The demo's endpoint: remembers every webhook by its event, and wakes who waits for one.
final class DemoReceiver: Sendable {
    /// A webhook that was accepted.
    struct Received: Sendable {
        var type: String
        var at: UInt64
        /// How often it was refused before.
        var refusals: Int
    }

    private struct State {
        var received: [EventKey: Received] = [:]
        var refused: [EventKey: Int] = [:]
        var duplicates = 0
        var refusalsLeft = 0
        var waiters: [EventKey: [CheckedContinuation<Received?, Never>]] = [:]
        var watcher: (@Sendable (WebhookSink.Webhook) -> Void)?
    }

    private let state = Mutex(State())

    /// Takes a webhook in and says what it is answered.
    func answer(_ webhook: WebhookSink.Webhook) -> Int {
        let (status, woken, watcher) = state.withLock { state in
            if state.refusalsLeft > 0, state.received[webhook.event] == nil {
                state.refusalsLeft -= 1
                state.refused[webhook.event, default: 0] += 1
                return (503, nil as (Received, [CheckedContinuation<Received?, Never>])?, state.watcher)
            }
            if let first = state.received[webhook.event] {
                state.duplicates += 1
                return (200, (first, []), nil)
            }
            let received = Received(type: webhook.type, at: webhook.at, refusals: state.refused[webhook.event] ?? 0)
            state.received[webhook.event] = received
            return (200, (received, state.waiters.removeValue(forKey: webhook.event) ?? []), state.watcher)
        }
        if let (received, waiters) = woken {
            for waiter in waiters { waiter.resume(returning: received) }
        }
        if status == 200 { watcher?(webhook) }
        return status
    }

    /// The webhook of that event, as soon as it is here; nothing if it is not within `seconds`.
    func webhook(of event: EventKey, within seconds: Int) async -> Received? {
        let watchdog = Task {
            try await Task.sleep(for: .seconds(seconds))
            let waiters = state.withLock { $0.waiters.removeValue(forKey: event) ?? [] }
            for waiter in waiters { waiter.resume(returning: nil) }
        }
        defer { watchdog.cancel() }
        return await withCheckedContinuation { continuation in
            let here = state.withLock { state -> Received? in
                if let here = state.received[event] { return here }
                state.waiters[event, default: []].append(continuation)
                return nil
            }
            if let here { continuation.resume(returning: here) }
        }
    }

    /// Answers the next webhooks 503: a receiver in trouble.
    func refuse(next count: Int) { state.withLock { $0.refusalsLeft = count } }

    /// Tells every webhook that is accepted from now on, or none any more.
    func watch(_ watcher: (@Sendable (WebhookSink.Webhook) -> Void)?) {
        state.withLock { $0.watcher = watcher }
    }

    var received: [EventKey: Received] { state.withLock { $0.received } }
    var count: Int { state.withLock { $0.received.count } }
    var refused: Int { state.withLock { $0.refused.values.reduce(0, +) } }
    var duplicates: Int { state.withLock { $0.duplicates } }
}
