import NIOCore
import Synchronization
import TocsinCore

/// Sends heartbeats of many devices in batches, each device once in a period, evenly spread.
final class HeartbeatSource: LoadSource {
    /// As many as one request takes (decisions §7).
    static let devicesPerBatch = 1_000

    private struct State {
        var nextBatch = 0
        var nextSlot: UInt64 = 0
        /// Which batch each connection has under way.
        var underWay: [Int]
        /// When the last acknowledged requests of each batch were sent: the newest first, two at most.
        var acknowledged: [[UInt64]]
        var latencies: [UInt64] = []
        var problems: [String] = []
    }

    private let devices: [DeviceID]
    private let token: String
    private let slot: UInt64
    private let end: Mutex<UInt64>
    private let state: Mutex<State>
    let batches: Int

    init(devices: [DeviceID], token: String, connections: Int, period: Int) {
        self.devices = devices
        self.token = token
        let batches = (devices.count + Self.devicesPerBatch - 1) / Self.devicesPerBatch
        self.batches = batches
        slot = UInt64(period) * 1_000_000_000 / UInt64(batches)
        end = Mutex(0)
        state = Mutex(
            State(
                underWay: Array(repeating: 0, count: connections),
                acknowledged: Array(repeating: [], count: batches)
            )
        )
    }

    /// Sets when the next load ends (monotonic), and forgets the pace of the one before.
    func run(until instant: UInt64) {
        end.withLock { $0 = instant }
        state.withLock { state in
            state.nextSlot = 0
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
        if now >= end.withLock({ $0 }) { return .done }
        let step: (batch: Int, wait: UInt64) = state.withLock { state in
            if state.nextSlot == 0 { state.nextSlot = now }
            if state.nextSlot > now { return (0, state.nextSlot - now) }
            state.nextSlot += slot
            let batch = state.nextBatch
            state.nextBatch = (batch + 1) % batches
            state.underWay[connection] = batch
            return (batch, 0)
        }
        if step.wait > 0 { return .wait(.nanoseconds(Int64(min(step.wait, 100_000_000)))) }
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
