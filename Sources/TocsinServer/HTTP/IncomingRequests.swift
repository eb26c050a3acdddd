import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization
import TocsinCore
import TocsinEngine

/// A request on its connection: begun with its head, received with its last byte.
///
/// Its time is told on the connection's event loop. Whoever handles it comes later, on a busy machine much later, and
/// would take a disarm that came in time for one that came too late (design, time (b)).
final class IncomingRequest: Sendable {
    private struct State {
        var receivedAt: Instant?
        var arrival: Arrivals.Arrival?
        var isOver = false
    }

    /// The site that waits for it with whatever is received later; none if it is no command of a site.
    private let site: SiteID?
    private let state = Mutex(State())
    private let arrivals: Arrivals
    private let clock: any WallClock

    init(for site: SiteID?, arrivals: Arrivals, clock: any WallClock) {
        self.site = site
        self.arrivals = arrivals
        self.clock = clock
    }

    /// What its site waits for; none if nobody waits for it.
    var arrival: Arrivals.Arrival? { state.withLock { $0.arrival } }

    /// When its last byte was read; none if more is to come, or if it was not handled at once.
    var receivedAt: Instant? { state.withLock { $0.receivedAt } }

    /// Its last byte was read, and nothing before it on its connection is unanswered: one behind a stream that does not end
    /// would hold its site up, and be of long ago when its turn comes.
    func end() {
        state.withLock { state in
            if state.isOver { return }
            guard let site else { return state.receivedAt = clock.now }
            let arrival = arrivals.read(for: site)
            (state.arrival, state.receivedAt) = (arrival, arrival.receivedAt)
        }
    }

    /// It was answered, or nobody will handle it.
    func finish() {
        let arrival = state.withLock { state in
            state.isOver = true
            defer { state.arrival = nil }
            return state.arrival
        }
        if let arrival { arrivals.dismiss(arrival) }
    }
}

/// The requests of each connection that nobody handles yet, in their order.
final class IncomingRequests: Sendable {
    private let waiting = Mutex<[ObjectIdentifier: CircularBuffer<IncomingRequest>]>([:])
    private let routes: Routes
    private let arrivals: Arrivals
    private let clock: any WallClock

    init(_ routes: Routes, arrivals: Arrivals, clock: any WallClock) {
        self.routes = routes
        self.arrivals = arrivals
        self.clock = clock
    }

    /// A head was read.
    func begin(_ head: HTTPRequestHead, on channel: any Channel) -> IncomingRequest {
        let request = IncomingRequest(for: commandedSite(head), arrivals: arrivals, clock: clock)
        waiting.withLock { $0[ObjectIdentifier(channel), default: []].append(request) }
        return request
    }

    /// The next one, for whoever handles it and is to finish it; none on a channel without a socket.
    func next(on channel: any Channel) -> IncomingRequest? {
        waiting.withLock { $0[ObjectIdentifier(channel)]?.popFirst() }
    }

    /// The connection is gone, and with it what nobody has handled.
    func forget(_ channel: any Channel) {
        let forgotten = waiting.withLock { $0.removeValue(forKey: ObjectIdentifier(channel)) } ?? []
        for request in forgotten { request.finish() }
    }

    /// The site that a request commands; none for one that commands none, or names what its site has to be looked up by.
    private func commandedSite(_ head: HTTPRequestHead) -> SiteID? {
        let path = head.uri.utf8.prefix { $0 != UInt8(ascii: "?") }
        guard head.method == .POST, case .found(let bound, let values) = routes.match(.post, Substring(path)),
            bound.operation.flags.contains(.siteBucket), bound.operation.body.isRead,
            let place = bound.parameterNames.firstIndex(of: "site_id")
        else { return nil }
        return SiteID(values[place])
    }
}
