import Synchronization
import TocsinCore
import TocsinEngine

/// A partner that wants to be asked, and answers what a test told it; without an answer it keeps silent until one is given.
package final class ScriptedCommander: PartnerCommander {
    private struct State {
        var inquiries: [PartnerInquiry] = []
        var answers: [PartnerAnswer] = []
        var held: [EventID: CheckedContinuation<PartnerAnswer, Never>] = [:]
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var isStopped = false
        var asks = true
    }

    private let state: Mutex<State>

    /// Answers the first inquiries so, in their order.
    package init(_ answers: [PartnerAnswer] = []) { state = Mutex(State(answers: answers)) }

    package var inquiries: [PartnerInquiry] { state.withLock { $0.inquiries } }

    package func start() async throws {}

    package func asks(_ partner: PartnerID) -> Bool { state.withLock { $0.asks } }

    /// Whether the partner wants to be asked from now on.
    package func set(asks: Bool) { state.withLock { $0.asks = asks } }

    package func ask(_ inquiry: PartnerInquiry) async -> PartnerAnswer {
        await withCheckedContinuation { continuation in
            let (answer, ready) = state.withLock { state -> (PartnerAnswer?, [CheckedContinuation<Void, Never>]) in
                state.inquiries.append(inquiry)
                let count = state.inquiries.count
                let ready = state.waiters.filter { $0.count <= count }.map(\.continuation)
                state.waiters.removeAll { $0.count <= count }
                if state.isStopped { return (.unreachable("stopped"), ready) }
                if !state.answers.isEmpty { return (state.answers.removeFirst(), ready) }
                state.held[inquiry.id] = continuation
                return (nil, ready)
            }
            for waiter in ready { waiter.resume() }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    package func stop() async {
        let held = state.withLock { state in
            state.isStopped = true
            defer { state.held = [:] }
            return state.held.values.map { $0 }
        }
        for continuation in held { continuation.resume(returning: .unreachable("stopped")) }
    }

    /// Breaks the silence about a command.
    package func answer(_ id: EventID, _ answer: PartnerAnswer) {
        state.withLock { $0.held.removeValue(forKey: id) }?.resume(returning: answer)
    }

    /// The inquiry at that place, once it was made.
    package func inquiry(_ index: Int) async -> PartnerInquiry {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.inquiries.count > index { return true }
                state.waiters.append((index + 1, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
        return inquiries[index]
    }
}
