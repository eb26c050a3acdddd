import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import TocsinDelivery

/// In which order an event loop takes errands.
@Suite(.timeLimit(.minutes(5))) struct ErrandTests {
    @Test func `what is urgent goes before all that waits, and between any two of them`() async throws {
        let sender = try WebhookSender(
            group: MultiThreadedEventLoopGroup.singleton,
            policy: .lab,
            resolver: ListResolver([["127.0.0.1"]]),
            limits: .patient,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let listener = CountingListener()
        let order = Mutex<[String]>([])
        @Sendable func errand(_ name: String, isUrgent: Bool, _ body: @escaping @Sendable () -> Void = {}) -> Errand {
            Errand(url: nil, isUrgent: isUrgent, hasCertificate: false) {
                order.withLock { $0.append(name) }
                body()
                return (
                    .failure(WebhookFailure(.invalidRequest, "There is nowhere to send to.")), { _ in listener.end() }
                )
            }
        }
        sender.begin(
            [
                errand("first", isUrgent: false) { sender.begin([errand("late alarm", isUrgent: true)], listener) },
                errand("second", isUrgent: false),
                errand("alarm", isUrgent: true),
            ],
            listener
        )
        await listener.wait(forEnds: 4)
        #expect(order.withLock { $0 } == ["alarm", "first", "late alarm", "second"])
        await listener.wait(forLeft: 2)
        await sender.shutdown()
    }

    @Test(arguments: [true, false]) func `whoever puts an errand after all were taken has to send for it`(
        isUrgent: Bool
    ) {
        let queue = ErrandQueue()
        func put(isUrgent: Bool) -> Bool {
            queue.put(
                [
                    Errand(url: nil, isUrgent: isUrgent, hasCertificate: false) {
                        (.failure(WebhookFailure(.invalidRequest, "There is nowhere to send to.")), { _ in })
                    }
                ]
            )
        }
        #expect(put(isUrgent: false))
        // Somebody is on the way, and finds these two as well.
        #expect(!put(isUrgent: true) && !put(isUrgent: false))
        #expect(queue.take().map(\.isUrgent) == [true, false, false])
        #expect(put(isUrgent: isUrgent))
        #expect(queue.takeUrgent().count == (isUrgent ? 1 : 0))
        #expect(queue.take().count == (isUrgent ? 0 : 1))
    }

    @Test func `attempts that reach their deadline together are left a few at a time`() async throws {
        let count = 100
        let silent = try await ScriptedReceiver(Array(repeating: [.request], count: count))
        let ends = Mutex<[(at: NIODeadline, code: WebhookFailure.Code?)]>([])
        try await withSender(limits: .short(total: .seconds(1))) { sender in
            let request = try WebhookRequest.sample("http://127.0.0.1:\(silent.port)/")
            let listener = CountingListener()
            let errand = Errand(url: request.url, isUrgent: false, hasCertificate: false) {
                (
                    .success(request),
                    { outcome in
                        ends.withLock { $0.append((.now(), outcome.failure?.code)) }
                        listener.end()
                    }
                )
            }
            sender.begin(Array(repeating: errand, count: count), listener)
            await listener.wait(forEnds: count)
        }
        let all = ends.withLock { $0 }
        #expect(all.allSatisfy { $0.code == .timeout })
        // One after another they would take a few milliseconds: here 24 pauses lie between them.
        let (first, last) = (try #require(all.first?.at), try #require(all.last?.at))
        #expect(last - first > .milliseconds(60))
        try await silent.stop()
    }

    @Test(arguments: [1, 4, 100, 560, 2048])
    func `however many reach their deadline together, all are left within 150 ms`(attempts: Int) {
        var (left, turns) = (attempts, Int64(0))
        while left > 0 {
            let late = TimeAmount.nanoseconds(LeavingPace.pause.nanoseconds * turns)
            let count = LeavingPace.count(inFlight: left, late: late)
            #expect(count <= max(LeavingPace.fewest, attempts / 37 + 1), "none has to make up for the others")
            left -= count
            turns += 1
        }
        #expect(LeavingPace.pause.nanoseconds * (turns - 1) <= LeavingPace.longest.nanoseconds)
    }

    @Test func `who waits for a new connection takes one that becomes free before`() async throws {
        let receiver = try await ScriptedReceiver(
            [[.request, .send(ok), .request, .send(ok), .request, .send(ok)]],
            backlog: 0
        )
        try await withSender { sender in
            let url = "http://127.0.0.1:\(receiver.port)/"
            #expect(await sender.send(try .sample(url)).isSuccess)
            let fillers = try await receiver.fillUp()
            let (one, other) = (try WebhookRequest.sample(url), try WebhookRequest.sample(url))
            async let first = sender.send(one)
            async let second = sender.send(other)
            let outcomes = await [first, second]
            #expect(outcomes.allSatisfy { $0.isSuccess && $0.reusedConnection && $0.timing.connect == nil })
            for filler in fillers { try? await filler.close() }
        }
        #expect(receiver.seen.requests.count == 3)
        try await receiver.stop()
    }
}

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

private final class CountingListener: ErrandListener {
    private struct State {
        var left = 0
        var ends = 0
        var waiters: [(isReady: @Sendable (Int, Int) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []

        mutating func ready() -> [CheckedContinuation<Void, Never>] {
            let (left, ends) = (left, ends)
            defer { waiters.removeAll { $0.isReady(left, ends) } }
            return waiters.filter { $0.isReady(left, ends) }.map(\.continuation)
        }
    }

    private let state = Mutex(State())

    func left(_ count: Int) { change { $0.left += count } }

    func end() { change { $0.ends += 1 } }

    func wake() {}

    func wait(forLeft count: Int) async { await wait { left, _ in left == count } }

    func wait(forEnds count: Int) async { await wait { _, ends in ends == count } }

    private func change(_ body: (inout State) -> Void) {
        let ready = state.withLock { state in
            body(&state)
            return state.ready()
        }
        for continuation in ready { continuation.resume() }
    }

    private func wait(_ isReady: @escaping @Sendable (Int, Int) -> Bool) async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                state.waiters.append((isReady, continuation))
                return state.ready()
            }
            for continuation in ready { continuation.resume() }
        }
    }
}
