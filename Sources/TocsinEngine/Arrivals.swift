import Synchronization
import TocsinCore

/// Requests that were read to their last byte, and are still on their way to their site.
///
/// Between the two lie the check of who asks, the hash of a code, and the waits of a busy machine. Whatever was received
/// later waits on the site meanwhile, deadlines too: so a disarm that was received in time wins even if the server was
/// busy (design, time (b)). Whoever sends what is refused holds nothing up for longer than the refusal takes.
package final class Arrivals: Sendable {
    /// The longest that a site waits for a request: an alarm must be told within five seconds.
    package static let patience: Duration = .seconds(3)
    /// A site has no use for more at once; beyond it requests are not waited for, and cost nobody anything.
    package static let perSiteMaximum = 64
    /// Times are whole milliseconds: what ends at one is over at the next.
    private static let resolution: Duration = .milliseconds(1)

    /// One such request.
    package final class Arrival: Sendable {
        package let site: SiteID
        package let receivedAt: Instant

        fileprivate init(_ site: SiteID, _ receivedAt: Instant) {
            self.site = site
            self.receivedAt = receivedAt
        }
    }

    /// The requests that one site waits for.
    private struct Expected {
        var arrivals: [Arrival] = []
        /// Until then something on the site waits for them; nobody has told the engine to look at it again before.
        var awaitedUntil: Instant?

        /// When the first of them was received, but for those that nobody waits for any more.
        func first(since oldest: Instant) -> Instant? {
            arrivals.lazy.map(\.receivedAt).filter { $0 >= oldest }.min()
        }
    }

    private struct State {
        var sites: [SiteID: Expected] = [:]
        /// Those that have reached the inbox since the engine last looked into it: it may not have seen them yet.
        var reached: [Arrival] = []
    }

    private let state = Mutex(State())
    /// How many there are, for whoever has no time to ask.
    private let count = Atomic(0)
    private let clock: any WallClock
    /// Has the engine look at a site again, from when on it is told.
    private let look: @Sendable (SiteID, Instant) -> Void

    package init(clock: any WallClock, look: @escaping @Sendable (SiteID, Instant) -> Void) {
        self.clock = clock
        self.look = look
    }

    // MARK: Told by the server

    /// Notes a request whose last byte was read just now.
    package func read(for site: SiteID) -> Arrival {
        state.withLock { state in
            // The time is taken under the lock: of two, the one that is received first is noted first.
            let arrival = Arrival(site, clock.now)
            if state.sites[site]?.arrivals.count == Self.perSiteMaximum {
                forgetOld(of: site, before: arrival.receivedAt - Self.patience, in: &state)
            }
            if state.sites[site]?.arrivals.count == Self.perSiteMaximum { return arrival }
            state.sites[site, default: Expected()].arrivals.append(arrival)
            count.wrappingAdd(1, ordering: .relaxed)
            return arrival
        }
    }

    /// Nobody waits for anything.
    package var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// Nothing more comes of the request; nothing happens if it has reached its site.
    package func dismiss(_ arrival: Arrival) {
        let isAwaited = state.withLock { state in
            state.reached.removeAll { $0 === arrival }
            return remove(arrival, from: &state)
        }
        if isAwaited { look(arrival.site, clock.now) }
    }

    // MARK: Asked by the engine

    /// The command of this request is in the inbox.
    func reached(_ arrival: Arrival) {
        let isAwaited = state.withLock { state in
            guard let expected = state.sites[arrival.site], expected.arrivals.contains(where: { $0 === arrival })
            else { return false }
            state.reached.append(arrival)
            state.sites[arrival.site]?.awaitedUntil = nil
            return expected.awaitedUntil != nil
        }
        // The engine may have looked into its inbox just before.
        if isAwaited { look(arrival.site, clock.now) }
    }

    /// To be called before the engine looks into its inbox: what had reached that until now will be found there.
    func beginTurn() {
        if isEmpty { return }
        let awaited = state.withLock { state in
            defer { state.reached = [] }
            return state.reached.filter { remove($0, from: &state) }
        }
        for arrival in awaited { look(arrival.site, clock.now) }
    }

    /// Takes those commands out that have to wait for what was received before them; when that has come, or is given up,
    /// the engine is made to look at their sites again.
    ///
    /// - Returns: The commands that wait.
    func holdBack(_ commands: inout [SiteCommand]) -> [SiteCommand] {
        if isEmpty { return [] }
        let oldest = clock.now - Self.patience
        var ends: [SiteID: Instant] = [:]
        var held: [SiteCommand] = []
        state.withLock { state in
            commands.removeAll { command in
                guard let first = state.sites[command.siteID]?.first(since: oldest), first < command.receivedAt
                else { return false }
                held.append(command)
                let end = first + Self.patience + Self.resolution
                if state.sites[command.siteID]?.awaitedUntil != end {
                    state.sites[command.siteID]?.awaitedUntil = end
                    ends[command.siteID] = end
                }
                return true
            }
        }
        for (site, end) in ends { look(site, end) }
        return held
    }

    /// Who is not waited for any more makes room for others.
    private func forgetOld(of site: SiteID, before oldest: Instant, in state: inout State) {
        guard var expected = state.sites[site] else { return }
        let before = expected.arrivals.count
        expected.arrivals.removeAll { $0.receivedAt < oldest }
        count.wrappingSubtract(before - expected.arrivals.count, ordering: .relaxed)
        state.sites[site] = expected
    }

    /// True if something on its site waits for it: the engine is to look at that.
    private func remove(_ arrival: Arrival, from state: inout State) -> Bool {
        guard var expected = state.sites[arrival.site],
            let place = expected.arrivals.firstIndex(where: { $0 === arrival })
        else { return false }
        count.wrappingSubtract(1, ordering: .relaxed)
        expected.arrivals.remove(at: place)
        let isAwaited = expected.awaitedUntil != nil
        expected.awaitedUntil = nil
        state.sites[arrival.site] = expected.arrivals.isEmpty ? nil : expected
        return isAwaited
    }
}
