import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The log as server-sent events (decisions §8): `id` is the sequence, `event` the type, `data` the body.
package enum EventStream {
    /// How often a quiet stream shows that it lives; proxies close what says nothing for longer.
    static let heartbeat: Duration = .seconds(15)
    /// The type of what is no event, but tells of events that the retention has taken before the reader came to them.
    package static let missedType = "tocsin.missed"
    /// Events written between two looks at the connection.
    static let batch = 100

    static let follow = Operation(
        .get,
        "/v1/events/stream",
        id: "streamEvents",
        tag: .events,
        summary: "Follow the log",
        notes: """
            Server-sent events. Starts behind `Last-Event-ID` or `after`, without either at the end of the log. The \
            stream ends when the server stops or the credential is revoked: reconnect with `Last-Event-ID`. Where the \
            retention was faster than the reader, an event `tocsin.missed` without `id` tells it first: how many entries \
            of the log are `missed`, and the `first_sequence` that there still is.
            """,
        callers: .admins.withApps.withPartners,
        query: EventOperations.filters + [.optional("after", .count)],
        replies: [
            Operation.ReplyShape(
                status: .ok,
                description: "The stream.",
                content: .string(0...Int.max),
                contentType: "text/event-stream"
            )
        ],
        errors: [.dealerNotFound, .dealerRequired, .siteNotFound],
        handle: { call in
            // Judged once before the head is sent, so that a refusal is a refusal and not a broken stream.
            let (view, end) = try await call.read { reader in
                let view = try LogView(call, reader)
                return (view, try reader.lastSequence(of: view.dealerID))
            }
            let resumed = try lastEventID(call)
            let start = resumed ?? call.query.optionalInteger("after").map(Int64.init) ?? end
            try view.refuse(start, beyond: end, field: resumed == nil ? "after" : "Last-Event-ID")
            return Reply(
                .ok,
                body: .stream(contentType: "text/event-stream") { writer in
                    try await run(call, dealer: view.dealerID, after: start, &writer)
                },
                headers: [.cacheControl: "no-store"]
            )
        }
    )

    /// The place that a reconnecting reader names; what is no place is refused, for it would skip events.
    private static func lastEventID(_ call: Call) throws -> Int64? {
        guard let text = call.lastEventID, !text.isEmpty else { return nil }
        guard let sequence = Int64(text), sequence >= 0 else {
            throw APIError.invalid("Last-Event-ID", "must be the id of an event of this stream")
        }
        return sequence
    }

    /// Has no id, so that whoever breaks off here comes back to the place that was.
    private static func missed(_ count: Int64, before first: Int64) -> ByteBuffer {
        let data: JSON = ["missed": .integer(count), "first_sequence": .integer(first)]
        var buffer = ByteBuffer(string: "event: \(missedType)\ndata: ")
        buffer.writeBytes(data.bytes)
        buffer.writeString("\n\n")
        return buffer
    }

    private static func run(
        _ call: Call,
        dealer: DealerID,
        after start: Int64,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        let subscription = call.services.broadcaster.subscribe(to: dealer)
        defer { call.services.broadcaster.end(subscription) }
        var position = start
        try await writer.write(ByteBuffer(string: ": following from \(position)\n\n"))
        while !call.services.isStopping, !Task.isCancelled {
            let from = position
            guard await call.isStillAdmitted,
                let found = try? await call.read({ reader in
                    let view = try LogView(call, reader)
                    let found = try reader.events(of: dealer, after: from, filter: view.filter, limit: batch)
                    // Whoever gets the very next event has missed none.
                    let isNext = found.searchedTo == from || found.events.first?.sequence == from + 1
                    let first = isNext ? from + 1 : try reader.firstSequence(of: dealer)
                    return (found.events, found.searchedTo, first, try reader.lastSequence(of: dealer))
                })
            else { return }
            let (events, searchedTo, first, last) = found
            if first > from + 1 { try await writer.write(missed(first - 1 - from, before: first)) }
            for event in events { try await writer.write(event.sse) }
            position = max(position, searchedTo)
            if position >= last {
                let clock = call.services.clock
                let next = clock.now + heartbeat
                await subscription.signal.wait(until: next, clock: clock)
                if clock.now >= next { try await writer.write(ByteBuffer(string: ": alive\n\n")) }
            }
        }
    }
}

extension LoggedEvent {
    /// The body holds no line break: its writer escapes them.
    fileprivate var sse: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(body.count + 96)
        buffer.writeString("id: \(sequence)\nevent: \(type.rawValue)\ndata: ")
        buffer.writeBytes(body)
        buffer.writeString("\n\n")
        return buffer
    }
}

/// Wakes those who follow a dealer's log when something was added; what was added they read from the log itself.
package final class EventBroadcaster: EventSink {
    struct Subscription: Sendable {
        var dealer: DealerID
        var number: Int
        var signal: WakeSignal
    }

    private struct State {
        var next = 0
        var followers: [DealerID: [Int: WakeSignal]] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    func subscribe(to dealer: DealerID) -> Subscription {
        state.withLock { state in
            state.next += 1
            let signal = WakeSignal()
            state.followers[dealer, default: [:]][state.next] = signal
            return Subscription(dealer: dealer, number: state.next, signal: signal)
        }
    }

    func end(_ subscription: Subscription) {
        state.withLock { state in
            state.followers[subscription.dealer]?[subscription.number] = nil
            if state.followers[subscription.dealer]?.isEmpty == true { state.followers[subscription.dealer] = nil }
        }
    }

    package func published(_ events: [LoggedEvent]) {
        let signals = state.withLock { state -> [WakeSignal] in
            if state.followers.isEmpty { return [] }
            return Set(events.map(\.dealerID)).flatMap { state.followers[$0].map { Array($0.values) } ?? [] }
        }
        for signal in signals { signal.signal() }
    }

    /// Wakes everybody, so that streams notice that the server stops.
    package func wakeAll() {
        let signals = state.withLock { state in state.followers.values.flatMap(\.values) }
        for signal in signals { signal.signal() }
    }
}
