import NIOCore
import Synchronization
import TocsinCore

/// Sends partners' arming reports, one after the other on each connection, and remembers what was acknowledged.
///
/// Every site belongs to one connection, so that its reports keep their order; each report changes its site's state.
package final class ReportSource: LoadSource {
    /// When the load ends.
    package enum Extent: Sendable {
        /// Every site reports once.
        case oncePerSite
        /// Until a monotonic time, in nanoseconds.
        case until(UInt64)
    }

    /// Told how many reports were sent so far; false holds the next one back.
    package typealias Gate = @Sendable (_ sent: Int) -> Bool

    /// An acknowledged event and when its report was sent.
    package struct Acknowledged: Sendable {
        package var event: EventKey
        package var sentAt: UInt64
    }

    /// What a load came to.
    package struct Outcome: Sendable {
        package var acknowledged: [Acknowledged] = []
        /// From the last byte written to the reply's last byte, in nanoseconds.
        package var latencies: [UInt64] = []
        package var refusals = 0
        package var firstRefusal: String?
    }

    private struct State {
        /// How many reports each connection has sent.
        var sent: [Int]
        var total = 0
        var nextSlot: UInt64 = 0
        var stampedAt: Int64 = 0
        var stamp: [UInt8] = []
        var outcome = Outcome()
    }

    private let sites: ArraySlice<SiteID>
    private let connections: Int
    private let stride: Int
    private let extent: Extent
    private let states: SiteStates
    private let slot: UInt64?
    private let gate: Gate?
    private let stopwatch: Stopwatch
    private let request: ReportRequest
    private let state: Mutex<State>

    /// Describes a load.
    ///
    /// - Parameters:
    ///   - sites: Who reports.
    ///   - connections: Over how many connections the sites are spread.
    ///   - extent: When it ends.
    ///   - states: Which sites are armed; outlives the load, so that the next one changes states as well.
    ///   - ratePerSecond: Reports a second over all connections; as fast as they are answered if there is none.
    ///   - gate: While it answers false, told how many reports were sent so far, nothing is sent.
    ///   - token: The partner's.
    ///   - stopwatch: For the reports' timestamps.
    package init(
        sites: ArraySlice<SiteID>,
        connections: Int,
        extent: Extent,
        states: SiteStates,
        ratePerSecond: Double? = nil,
        gate: Gate? = nil,
        token: String,
        stopwatch: Stopwatch
    ) {
        self.sites = sites
        self.connections = connections
        self.extent = extent
        self.states = states
        self.slot = ratePerSecond.map { UInt64(1_000_000_000 / $0) }
        self.gate = gate
        self.stopwatch = stopwatch
        request = ReportRequest(token: token)
        stride = Self.stride(over: sites.count)
        state = Mutex(State(sent: Array(repeating: 0, count: connections)))
    }

    package var outcome: Outcome { state.withLock { $0.outcome } }

    package func next(connection: Int, into buffer: inout ByteBuffer) -> LoadStep {
        let now = Stopwatch.now
        if case .until(let end) = extent, now >= end { return .done }
        let share = (sites.count - connection + connections - 1) / connections
        guard share > 0 else { return .done }
        return state.withLock { state in
            let count = state.sent[connection]
            if case .oncePerSite = extent, count >= share { return .done }
            if let gate, !gate(state.total) { return .wait(.milliseconds(2)) }
            if let slot {
                if state.nextSlot == 0 { state.nextSlot = now }
                if state.nextSlot > now { return .wait(.nanoseconds(Int64(state.nextSlot - now))) }
                state.nextSlot += slot
            }
            state.sent[connection] = count + 1
            state.total += 1
            let index = sites.startIndex + (connection + connections * (count % share)) * stride % sites.count
            stamp(&state, now)
            request.write(sites[index], isArming: states.toggle(index), stamp: state.stamp, into: &buffer)
            return .send
        }
    }

    package func finish(connection: Int, status: Int, body: UnsafeRawBufferPointer, sentAt: UInt64) {
        let now = Stopwatch.now
        state.withLock { state in
            guard status == 200 else {
                state.outcome.refusals += 1
                if state.outcome.firstRefusal == nil {
                    state.outcome.firstRefusal = "\(status) \(String(decoding: body, as: UTF8.self))"
                }
                return
            }
            state.outcome.latencies.append(now - sentAt)
            ReplyScanner.eventIDs(in: body) { event in
                state.outcome.acknowledged.append(Acknowledged(event: event, sentAt: sentAt))
            }
        }
    }

    /// Renders the present time at most once a millisecond.
    private func stamp(_ state: inout State, _ now: UInt64) {
        let instant = stopwatch.instant(now)
        if instant.millisecondsSinceEpoch == state.stampedAt { return }
        state.stampedAt = instant.millisecondsSinceEpoch
        state.stamp = Array(instant.rfc3339Milliseconds.utf8)
    }

    /// A step that visits every site in an order in which neighbours are far apart, as in real life.
    private static func stride(over count: Int) -> Int {
        // A prime that divides no number of sites below it shares no factor with any.
        let prime = 1_000_003
        return count.isMultiple(of: prime) ? 1 : prime
    }
}

/// Which sites of a fleet are armed, by their numbers; all begin disarmed.
package final class SiteStates: Sendable {
    private let armed: Mutex<[Bool]>

    package init(count: Int) { armed = Mutex(Array(repeating: false, count: count)) }

    /// Changes the site's state and returns whether it is armed now.
    func toggle(_ site: Int) -> Bool {
        armed.withLock { armed in
            armed[site].toggle()
            return armed[site]
        }
    }
}

/// The bytes of `POST /v1/sites/{site_id}/arming-state` as the arming document shows it.
struct ReportRequest: Sendable {
    private static let opening = Array("POST /v1/sites/".utf8)
    private let arming: Rest
    private let disarming: Rest

    /// What follows the site's id, and where in it the timestamp stands.
    private struct Rest: Sendable {
        var bytes: [UInt8]
        var stampOffset: Int
    }

    init(token: String) {
        arming = Self.rest(state: "armed_away", token: token)
        disarming = Self.rest(state: "disarmed", token: token)
    }

    func write(_ site: SiteID, isArming: Bool, stamp: [UInt8], into buffer: inout ByteBuffer) {
        let rest = isArming ? arming : disarming
        buffer.writeBytes(Self.opening)
        buffer.writeString(site.text)
        let start = buffer.writerIndex
        buffer.writeBytes(rest.bytes)
        buffer.setBytes(stamp, at: start + rest.stampOffset)
    }

    private static let stampPlace = "0000-00-00T00:00:00.000Z"

    private static func rest(state: String, token: String) -> Rest {
        let before = "{\"state\":\"\(state)\",\"partition\":\"all\",\"timestamp\":\""
        let after = "\",\"user_id\":\"user_123\",\"source\":\"keypad\"}"
        let length = before.utf8.count + stampPlace.utf8.count + after.utf8.count
        let head = """
            /arming-state HTTP/1.1\r
            host: 127.0.0.1\r
            content-type: application/json\r
            authorization: Bearer \(token)\r
            content-length: \(length)\r
            \r\n
            """
        let front = Array((head + before).utf8)
        return Rest(bytes: front + Array((stampPlace + after).utf8), stampOffset: front.count)
    }
}

/// Gets one path again and again: the load of the reference.
package final class GetSource: LoadSource {
    private struct State {
        var replies = 0
        var refusals = 0
    }

    private let request: ByteBuffer
    private let end: UInt64
    private let state = Mutex(State())

    package init(path: String, until end: UInt64) {
        request = ByteBuffer(string: "GET \(path) HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        self.end = end
    }

    package var replies: Int { state.withLock { $0.replies } }
    package var refusals: Int { state.withLock { $0.refusals } }

    package func next(connection: Int, into buffer: inout ByteBuffer) -> LoadStep {
        if Stopwatch.now >= end { return .done }
        buffer = request
        return .send
    }

    package func finish(connection: Int, status: Int, body: UnsafeRawBufferPointer, sentAt: UInt64) {
        state.withLock { state in
            if status == 200 { state.replies += 1 } else { state.refusals += 1 }
        }
    }
}
