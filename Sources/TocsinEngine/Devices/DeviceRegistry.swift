import Logging
import Metrics
import Synchronization
import TocsinCore
import TocsinLedger

/// What is known of a device just now.
package struct DeviceView: Hashable, Sendable {
    package var status: DeviceStatus
    package var lastSeenAt: Instant?

    package init(status: DeviceStatus, lastSeenAt: Instant?) {
        self.status = status
        self.lastSeenAt = lastSeenAt
    }
}

/// Every device in memory: takes sightings without asking the ledger, and tells who is online.
///
/// ``DeviceWatch`` fills it and has silences and returns decided; ``SightingKeeper`` keeps what was seen.
package final class DeviceRegistry: Sendable {
    private struct State {
        var table: DeviceTable
        var isLoaded = false
        /// The last slot and the last deletion that were read from the ledger.
        var lastSlot: Int?
        var lastDeletion: Int64 = 0
        /// Signals that came before their devices were read.
        var early: [Sighting] = []
    }

    fileprivate struct Sighting {
        var device: DeviceID
        var site: SiteID
        var at: Instant
    }

    /// Devices that are read at once.
    static let pageSize = 5_000
    /// Signals that are remembered while the devices are being read: more than come in those seconds.
    private static let earlyMax = 100_000

    private let ledger: any Ledger
    private let clock: any WallClock
    private let logger: Logger
    private let state: Mutex<State>
    /// There is somebody to watch, or somebody has come back.
    let watchSignal = WakeSignal()
    /// There is something to keep.
    let keepSignal = WakeSignal()
    private let sightings = Counter(label: "tocsin_device_sightings_total")
    private let unwritten = Gauge(label: "tocsin_device_sightings_unwritten")
    private let gauges = DeviceStatus.allCases.map { status in
        (status: status, gauge: Gauge(label: "tocsin_devices", dimensions: [("status", status.rawValue)]))
    }

    package init(ledger: any Ledger, clock: any WallClock, logger: Logger) {
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
        state = Mutex(State(table: DeviceTable(startedAt: clock.now)))
    }

    // MARK: Sightings

    /// Takes signs of life; each device counts that the caller may see.
    ///
    /// - Parameters:
    ///   - ids: Whose.
    ///   - reach: How far the caller sees.
    ///   - instant: When they were given.
    /// - Returns: The ids that are unknown, or not the caller's to see.
    /// - Throws: When a device that was not read yet cannot be looked up.
    package func saw(_ ids: [DeviceID], within reach: Reach, at instant: Instant) async throws -> [DeviceID] {
        var (rejected, isLoaded) = take(ids, within: reach, at: instant)
        if !isLoaded, !rejected.isEmpty {
            try await look(up: rejected)
            rejected = take(rejected, within: reach, at: instant).rejected
        }
        return rejected
    }

    private func take(
        _ ids: [DeviceID],
        within reach: Reach,
        at instant: Instant
    ) -> (rejected: [DeviceID], isLoaded: Bool) {
        let now = clock.now
        return change { state in
            var rejected: [DeviceID] = []
            for id in ids {
                if let slot = state.table.slot(of: id, within: reach) {
                    state.table.saw(slot, at: instant, now: now)
                } else {
                    rejected.append(id)
                }
            }
            sightings.increment(by: ids.count - rejected.count)
            return (rejected, state.isLoaded)
        }
    }

    /// A site's zones or devices have sent signals: their devices live.
    func saw(_ ids: [DeviceID], of site: SiteID, at instant: Instant) {
        let now = clock.now
        change { state in
            for id in ids {
                let sighting = Sighting(device: id, site: site, at: instant)
                if state.isLoaded {
                    if state.table.take(sighting, now: now) { sightings.increment() }
                } else if state.early.count < Self.earlyMax {
                    state.early.append(sighting)
                }
            }
        }
    }

    /// A site has decided silences and returns, and they are durable.
    func take(_ changes: [DeviceChange]) {
        change { state in for change in changes { state.table.take(change) } }
    }

    /// Changes the table, and wakes whoever has something to do by it.
    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, wakesWatch, wakesKeeper) = state.withLock { state in
            let (due, hasUnwritten) = (state.table.nextDue, state.table.hasUnwritten)
            let result = body(&state)
            let isEarlier = state.table.nextDue.map { next in due.map { next < $0 } ?? true } ?? false
            return (
                result, isEarlier || state.table.hasReturned, !hasUnwritten && state.table.hasUnwritten
            )
        }
        if wakesWatch { watchSignal.signal() }
        if wakesKeeper {
            unwritten.record(1)
            keepSignal.signal()
        }
        return result
    }

    // MARK: What is known

    /// What is known of these devices; one that does not exist is left out.
    package func views(of ids: [DeviceID]) async throws -> [DeviceID: DeviceView] {
        let (missing, isLoaded) = state.withLock { state in
            (ids.filter { state.table.slot(of: $0) == nil }, state.isLoaded)
        }
        if !isLoaded, !missing.isEmpty { try await look(up: missing) }
        return state.withLock { state in
            var views: [DeviceID: DeviceView] = [:]
            for id in ids {
                guard let slot = state.table.slot(of: id), let status = state.table.status(at: slot) else { continue }
                views[id] = DeviceView(status: status, lastSeenAt: state.table.lastSeen(at: slot))
            }
            return views
        }
    }

    /// A page of the devices that a caller may see, oldest first; none while the devices are still being read.
    package func page(
        within reach: Reach,
        status: DeviceStatus?,
        after: Int?,
        limit: Int
    ) -> [(slot: Int, id: DeviceID)]? {
        state.withLock { state in
            guard state.isLoaded else { return nil }
            return state.table.devices(within: reach, status: status, after: after, limit: limit)
        }
    }

    package func count(of status: DeviceStatus) -> Int { state.withLock { $0.table.count(of: status) } }

    // MARK: Firmware

    /// Takes over what a device runs, if that is news.
    ///
    /// - Parameters:
    ///   - version: What it says that it runs.
    ///   - id: Which device.
    ///   - instant: When it said so; what it said earlier than the last time changes nothing.
    /// - Returns: What it told before; none in the outer sense if it is no news, or there is no such device.
    package func learn(firmware version: String, of id: DeviceID, at instant: Instant) -> String?? {
        state.withLock { state in
            guard let slot = state.table.slot(of: id), state.table.isFirmwareNews(at: instant, from: slot),
                state.table.firmwareVersion(at: slot) != version
            else { return .none }
            return .some(state.table.setFirmware(version, at: slot))
        }
    }

    /// Sets what a device runs: as an admin says, or as it was before a change that was not stored.
    package func set(firmware version: String?, of id: DeviceID) {
        state.withLock { state in
            guard let slot = state.table.slot(of: id) else { return }
            _ = state.table.setFirmware(version, at: slot)
        }
    }

    package func site(of id: DeviceID) -> SiteID? {
        state.withLock { state in state.table.slot(of: id).map(state.table.site) }
    }

    // MARK: Silence and return

    var nextDue: Instant? { state.withLock { $0.table.nextDue } }
    var hasReturned: Bool { state.withLock { $0.table.hasReturned } }

    func overdue(at now: Instant) -> [Int] { state.withLock { $0.table.overdue(at: now) } }

    func beginSilence(of slots: some Sequence<Int>, at now: Instant) -> [DeviceTable.Turn] {
        state.withLock { $0.table.beginSilence(of: slots, at: now) }
    }

    func silentSince(_ id: DeviceID, at now: Instant) -> Instant? {
        state.withLock { $0.table.silentSince(id, at: now) }
    }

    func takeReturned(atMost limit: Int) -> [(turn: DeviceTable.Turn, seenAt: Instant)] {
        state.withLock { $0.table.takeReturned(atMost: limit) }
    }

    func settle(_ turns: [DeviceTable.Turn], _ verdict: (DeviceTable.Turn) -> DeviceTable.Verdict) {
        change { state in
            for turn in turns { state.table.settle(turn, verdict(turn)) }
        }
    }

    // MARK: Keeping

    var hasUnwritten: Bool { state.withLock { $0.table.hasUnwritten } }

    func takeUnwritten(atMost limit: Int) -> [SightingBlock] {
        state.withLock { $0.table.takeUnwritten(atMost: limit) }
    }

    func putBack(_ blocks: [SightingBlock]) { state.withLock { $0.table.putBack(blocks) } }

    /// Tells whether everything is kept, once a round of keeping is durable.
    func kept() { unwritten.record(hasUnwritten ? 1 : 0) }

    func recordGauges() {
        let counts = state.withLock { state in gauges.map { state.table.count(of: $0.status) } }
        for (gauge, count) in zip(gauges, counts) { gauge.gauge.record(count) }
    }

    // MARK: Reading the ledger

    /// Reads all devices and when they were last seen, in pages, while sightings are taken already.
    func load() async throws {
        let deletions = try await ledger.read { try $0.deletedDevices(after: 0, limit: Int(Int32.max)) }
        if let last = deletions.last?.number {
            try await ledger.write { try $0.forgetDeletedDevices(upTo: last) }
            state.withLock { $0.lastDeletion = last }
        }
        var block: Int?
        while true {
            let after = block
            let page = try await ledger.read { try $0.sightings(after: after, limit: 64) }
            change { state in for block in page { state.table.load(block) } }
            guard let last = page.last else { break }
            block = last.number
        }
        while try await readPage() {}
        change { state in
            state.isLoaded = true
            let now = clock.now
            for sighting in state.early { _ = state.table.take(sighting, now: now) }
            state.early = []
        }
        try await readDeletions()
        recordGauges()
    }

    /// Takes over which devices were made and deleted; to be called after every change of the configuration.
    package func refresh() async {
        do {
            if state.withLock({ $0.isLoaded }) { while try await readPage() {} }
            try await readDeletions()
        } catch {
            logger.error("changed devices could not be read", metadata: ["ledger.error": "\(error)"])
        }
    }

    /// Reads the devices behind the last one that was read; whether there may be more.
    private func readPage() async throws -> Bool {
        let after = state.withLock { $0.lastSlot }
        let page = try await ledger.read { try $0.deviceEntries(after: after, limit: Self.pageSize) }
        change { state in
            for entry in page { state.table.insert(entry) }
            if let last = page.last?.slot { state.lastSlot = max(last, state.lastSlot ?? 0) }
        }
        return page.count == Self.pageSize
    }

    private func readDeletions() async throws {
        let after = state.withLock { $0.lastDeletion }
        let deletions = try await ledger.read { try $0.deletedDevices(after: after, limit: Int(Int32.max)) }
        guard let last = deletions.last?.number else { return }
        change { state in
            for deletion in deletions { state.table.remove(slot: deletion.slot) }
            state.lastDeletion = max(last, state.lastDeletion)
        }
    }

    private func look(up ids: [DeviceID]) async throws {
        let entries = try await ledger.read { try $0.deviceEntries(of: ids) }
        change { state in for entry in entries { state.table.insert(entry) } }
    }
}

extension DeviceTable {
    /// Takes a sighting by a signal; false if the site has no such device.
    fileprivate mutating func take(_ sighting: DeviceRegistry.Sighting, now: Instant) -> Bool {
        guard let slot = slot(of: sighting.device), site(at: slot) == sighting.site else { return false }
        saw(slot, at: sighting.at, now: now)
        return true
    }
}
