import NIOCore
import Synchronization
import TocsinCore

/// Sends heartbeats of many devices in batches, each device once in a period, evenly spread.
final class HeartbeatSource: LoadSource {
    /// As many as one request takes (decisions §7).
    static let devicesPerBatch = 1_000

    private struct State {
        var load = Load()
        /// How many requests each connection has sent in this load.
        var sent: [Int]
        /// Which batch each connection has under way.
        var underWay: [Int]
        /// When the last acknowledged requests of each batch were sent: the newest first, two at most.
        var acknowledged: [[UInt64]]
        var latencies: [UInt64] = []
        var problems: [String] = []
    }

    /// Requests at even distances, each connection with its own share of them, so that none falls idle.
    private struct Load {
        var startsAt: UInt64 = 0
        var count = 0
        /// Nanoseconds from one request to the next.
        var slot: UInt64 = 1
        /// The batch that comes first: where the load before ended.
        var firstBatch = 0
    }

    private let devices: [DeviceID]
    private let token: String
    private let state: Mutex<State>
    let batches: Int
    let connections: Int

    init(devices: [DeviceID], token: String, connections: Int) {
        self.devices = devices
        self.token = token
        let batches = (devices.count + Self.devicesPerBatch - 1) / Self.devicesPerBatch
        self.batches = batches
        let connections = min(connections, batches)
        self.connections = connections
        state = Mutex(
            State(
                sent: Array(repeating: 0, count: connections),
                underWay: Array(repeating: 0, count: connections),
                acknowledged: Array(repeating: [], count: batches)
            )
        )
    }

    /// Prepares the next load: it goes on with the batch after the last one, so that no device is left out.
    ///
    /// - Parameters:
    ///   - seconds: How long it lasts.
    ///   - period: How often each device beats, in seconds.
    func begin(seconds: Int, period: Int) {
        state.withLock { state in
            let slot = UInt64(period) * 1_000_000_000 / UInt64(batches)
            state.load = Load(
                startsAt: Stopwatch.now,
                count: Int(UInt64(seconds) * 1_000_000_000 / slot),
                slot: slot,
                firstBatch: (state.load.firstBatch + state.load.count) % batches
            )
            state.sent = state.sent.map { _ in 0 }
            state.latencies = []
        }
    }

    var latencies: [UInt64] { state.withLock { $0.latencies } }
    var problems: [String] { state.withLock { $0.problems } }
    /// By batch: when its last acknowledged requests were sent.
    var acknowledged: [[UInt64]] { state.withLock { $0.acknowledged } }

    /// The devices of a batch, which are scattered over the ledger: the worst case for whoever keeps neighbours together.
    func devices(of batch: Int) -> [DeviceID] {
        stride(from: batch, to: devices.count, by: batches).map { devices[$0] }
    }

    func next(connection: Int, into buffer: inout ByteBuffer) -> LoadStep {
        let now = Stopwatch.now
        let step: (batch: Int, due: UInt64)? = state.withLock { state in
            let number = connection + state.sent[connection] * connections
            guard number < state.load.count else { return nil }
            let due = state.load.startsAt + UInt64(number) * state.load.slot
            let batch = (state.load.firstBatch + number) % batches
            if due <= now {
                state.sent[connection] += 1
                state.underWay[connection] = batch
            }
            return (batch, due)
        }
        guard let step else { return .done }
        if step.due > now { return .wait(.nanoseconds(Int64(step.due - now))) }
        write(step.batch, into: &buffer)
        return .send
    }

    private func write(_ batch: Int, into buffer: inout ByteBuffer) {
        let names = devices(of: batch).map { "\"\($0.text)\"" }.joined(separator: ",")
        let body = "{\"device_ids\":[\(names)]}"
        buffer.writeString(
            """
            POST /v1/devices/heartbeats HTTP/1.1\r
            host: 127.0.0.1\r
            content-type: application/json\r
            authorization: Bearer \(token)\r
            content-length: \(body.utf8.count)\r
            \r\n
            """
        )
        buffer.writeString(body)
    }

    func finish(connection: Int, status: Int, body: UnsafeRawBufferPointer, sentAt: UInt64) {
        let now = Stopwatch.now
        state.withLock { state in
            let batch = state.underWay[connection]
            let count = (devices.count - batch + batches - 1) / batches
            guard status == 202, body.starts(with: Array("{\"accepted\":\(count),".utf8)) else {
                state.problems.append(
                    "a batch was refused: \(status) \(String(decoding: body.prefix(300), as: UTF8.self))"
                )
                return
            }
            state.latencies.append(now - sentAt)
            state.acknowledged[batch] = Array(([sentAt] + state.acknowledged[batch]).prefix(2))
        }
    }
}
