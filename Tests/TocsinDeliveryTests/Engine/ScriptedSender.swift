import NIOCore
import Synchronization
import TocsinCore
import TocsinDelivery

/// A sender without a network: keeps every request, and answers as it is told.
final class ScriptedSender: AttemptSender {
    struct Sent: Sendable {
        var url: String
        var headers: [String: String]
        var body: String

        var id: String { headers["webhook-id"] ?? "" }
    }

    enum Answer: Sendable {
        case status(Int, retryAfter: String? = nil)
        case noAnswer
        /// No answer until ``ScriptedSender/release()``.
        case hold
    }

    private struct State {
        var sent: [Sent] = []
        /// So many of them have come to where they are answered, or held.
        var settled = 0
        var answer: @Sendable (Sent, Int) -> Answer = { _, _ in .status(200) }
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var held: [CheckedContinuation<Void, Never>] = []
        var isStopped = false
        /// What is not urgent stays on this machine.
        var isStuck = false
        var stuck: [(errands: [Errand], listener: any ErrandListener)] = []
        var stuckWaiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        var stuckCount: Int { stuck.reduce(0) { $0 + $1.errands.count } }
    }

    private let state = Mutex(State())

    var sent: [Sent] { state.withLock { $0.sent } }

    /// Sets what requests get from now on, by the request and how many came before it.
    func answer(_ answer: @escaping @Sendable (Sent, Int) -> Answer) { state.withLock { $0.answer = answer } }

    func send(_ request: WebhookRequest) async -> WebhookOutcome {
        let sent = Sent(
            url: request.url.description,
            headers: Dictionary(uniqueKeysWithValues: request.headers),
            body: String(buffer: request.body)
        )
        let answer = state.withLock { state in
            defer { state.sent.append(sent) }
            return state.answer(sent, state.sent.count)
        }
        if case .hold = answer { await hold() } else { settle() }
        var outcome = WebhookOutcome()
        outcome.address = "192.0.2.1:443"
        switch answer {
        case .status(let status, let retryAfter):
            outcome.status = status
            outcome.retryAfter = retryAfter
        case .noAnswer: outcome.failure = WebhookFailure(.connect, "The connection was refused.")
        case .hold: outcome.status = 200
        }
        return outcome
    }

    private func settle() {
        let ready = state.withLock { state in
            state.settled += 1
            let count = state.settled
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    func begin(_ errands: [Errand], _ listener: any ErrandListener) {
        let (now, ready) = state.withLock { state -> ([Errand], [CheckedContinuation<Void, Never>]) in
            guard state.isStuck else { return (errands, []) }
            state.stuck.append((errands.filter { !$0.isUrgent }, listener))
            let count = state.stuckCount
            defer { state.stuckWaiters.removeAll { $0.count <= count } }
            return (errands.filter(\.isUrgent), state.stuckWaiters.filter { $0.count <= count }.map(\.continuation))
        }
        for continuation in ready { continuation.resume() }
        takeEach(now, listener)
    }

    /// Keeps attempts that are not urgent from being sent, until ``letGo()``.
    func stick() { state.withLock { $0.isStuck = true } }

    func letGo() {
        let stuck = state.withLock { state in
            defer { (state.stuck, state.isStuck) = ([], false) }
            return state.stuck
        }
        for (errands, listener) in stuck { takeEach(errands, listener) }
    }

    /// How many attempts are stuck.
    var stuckCount: Int { state.withLock { $0.stuckCount } }

    /// Returns when so many attempts are stuck.
    func waitForStuck(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.stuckCount >= count { return true }
                state.stuckWaiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    private func hold() async {
        await withCheckedContinuation { continuation in
            let isStopped = state.withLock { state in
                if !state.isStopped { state.held.append(continuation) }
                return state.isStopped
            }
            // Whoever has waited for it may release it now.
            settle()
            if isStopped { continuation.resume() }
        }
    }

    func release() {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    func stop() async {
        state.withLock { $0.isStopped = true }
        release()
    }

    /// Returns when so many requests have been sent in all.
    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.settled >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

extension AttemptSender {
    /// Makes each attempt in a task; it has left as soon as it is worded.
    func takeEach(_ errands: [Errand], _ listener: any ErrandListener) {
        for errand in errands {
            let (request, end) = errand.word()
            if !errand.isUrgent { listener.left(1) }
            listener.wake()
            Task {
                switch request {
                case .success(let request): end(await send(request))
                case .failure(let failure):
                    var outcome = WebhookOutcome()
                    outcome.failure = failure
                    end(outcome)
                }
                listener.wake()
            }
        }
    }
}
