/// A device as the ledger keeps it for the table: what it is known by, whose it is, and what it told last.
package struct DeviceEntry: Hashable, Sendable {
    /// Its number in the ledger, given once and never again: where its sightings stand.
    package var slot: Int
    package var id: DeviceID
    package var siteID: SiteID
    package var dealerID: DealerID
    package var partnerID: PartnerID?
    package var firmwareVersion: String?
    package var isOffline: Bool

    package init(
        slot: Int,
        id: DeviceID,
        siteID: SiteID,
        dealerID: DealerID,
        partnerID: PartnerID?,
        firmwareVersion: String? = nil,
        isOffline: Bool = false
    ) {
        self.slot = slot
        self.id = id
        self.siteID = siteID
        self.dealerID = dealerID
        self.partnerID = partnerID
        self.firmwareVersion = firmwareVersion
        self.isOffline = isOffline
    }
}

/// When every device was last seen, and which of them are silent: a million of them in a hundred megabytes.
///
/// Pure: it knows no clock, and asks for nothing. Each device has a slot; everything about it stands in arrays of plain
/// integers at that place. The truth about who is offline is the site's state: what the table finds overdue or come back
/// it only proposes, and is told what became of it.
package struct DeviceTable: Sendable {
    /// Where a device stands.
    enum Standing: UInt8 {
        case vacant
        /// Never seen.
        case unknown
        case online
        /// Its silence is being decided.
        case silencing
        case offline
        /// Its return is being decided.
        case returning
        /// It was deleted: who has read of it before that cannot bring it back.
        case gone
    }

    /// Sightings that are stored together, as one row of 8,000 bytes: it fits one page of the ledger.
    package static let slotsPerBlock = 1_000

    private var ids = CompactIDs()
    private var slots: [CompactID: Int32] = [:]
    private var devices: [CompactID] = []
    private var sites: [CompactID] = []
    private var owners: [Int32] = []
    private var firmware: [Int32] = []
    /// When the report was made that told the firmware, in milliseconds since 1970; 0 where none did since the start.
    private var firmwareToldAt: [Int64] = []
    private var standing: [UInt8] = []
    /// Milliseconds since 1970; 0 for never.
    private var seen: [Int64] = []
    private var ownerTable = Interner<Owner>()
    private var firmwareTable = Interner<String>()
    private var dirty: [Bool] = []
    private var dirtyBlocks: [Int] = []
    private var returned: [Int32] = []
    private var counts = Array(repeating: 0, count: Int(Standing.gone.rawValue) + 1)
    /// Silence counts from here at the earliest: nobody could be heard before the server ran (decisions §7).
    private let startedAt: Int64
    /// No device falls silent before this; nobody is watched where there is none.
    package private(set) var nextDue: Instant?

    package init(startedAt: Instant) { self.startedAt = startedAt.millisecondsSinceEpoch }

    private struct Owner: Hashable {
        var dealer: DealerID
        var partner: PartnerID?
    }

    // MARK: Who there is

    /// Adds a device; one that is there already stays as it is.
    package mutating func insert(_ entry: DeviceEntry) {
        makeRoom(for: entry.slot)
        guard standing(at: entry.slot) == .vacant else { return }
        let id = ids.compact(entry.id)
        devices[entry.slot] = id
        slots[id] = Int32(entry.slot)
        sites[entry.slot] = ids.compact(entry.siteID)
        owners[entry.slot] = ownerTable.number(of: Owner(dealer: entry.dealerID, partner: entry.partnerID))
        firmware[entry.slot] = entry.firmwareVersion.map { firmwareTable.number(of: $0) } ?? -1
        // When what is stored was told is not stored: at the last sign of life at the latest.
        firmwareToldAt[entry.slot] = entry.firmwareVersion == nil ? 0 : seen[entry.slot]
        if entry.isOffline {
            set(.offline, at: entry.slot)
        } else if seen[entry.slot] > 0 {
            set(.online, at: entry.slot)
            watch(entry.slot)
        } else {
            set(.unknown, at: entry.slot)
        }
    }

    /// Takes a device away for good: its slot stays empty.
    package mutating func remove(slot: Int) {
        makeRoom(for: slot)
        if devices[slot] != .none { slots[devices[slot]] = nil }
        devices[slot] = .none
        sites[slot] = .none
        set(.gone, at: slot)
    }

    package func slot(of id: DeviceID) -> Int? { ids.find(id).flatMap { slots[$0] }.map(Int.init) }

    /// The slot of a device that a caller may see.
    package func slot(of id: DeviceID, within reach: Reach) -> Int? {
        guard let slot = slot(of: id), covers(slot, reach) else { return nil }
        return slot
    }

    private func covers(_ slot: Int, _ reach: Reach) -> Bool {
        let owner = ownerTable[owners[slot]]
        switch reach {
        case .platform: return true
        case .dealer(let dealer): return owner.dealer == dealer
        case .partner(let partner): return owner.partner == partner
        }
    }

    package func id(at slot: Int) -> DeviceID { ids.id(devices[slot]) }
    package func site(at slot: Int) -> SiteID { ids.id(sites[slot]) }

    /// Devices that a caller may see, in the order in which they were made.
    ///
    /// - Parameters:
    ///   - reach: How far the caller sees.
    ///   - status: The only status that is asked for; none for all.
    ///   - after: The slot of the last one that was told.
    ///   - limit: How many at most.
    /// - Returns: Slots and ids.
    package func devices(
        within reach: Reach,
        status: DeviceStatus?,
        after: Int?,
        limit: Int
    ) -> [(slot: Int, id: DeviceID)] {
        var found: [(slot: Int, id: DeviceID)] = []
        for slot in min((after ?? -1) + 1, standing.count)..<standing.count {
            guard let present = self.status(at: slot), status == nil || present == status, covers(slot, reach)
            else { continue }
            found.append((slot, id(at: slot)))
            if found.count == limit { break }
        }
        return found
    }

    // MARK: What is known of a device

    /// None where there is no device.
    package func status(at slot: Int) -> DeviceStatus? {
        switch standing(at: slot) {
        case .vacant, .gone: nil
        case .unknown: .unknown
        case .online, .silencing: .online
        case .offline, .returning: .offline
        }
    }

    package func lastSeen(at slot: Int) -> Instant? {
        seen[slot] > 0 ? Instant(millisecondsSinceEpoch: seen[slot]) : nil
    }

    package func count(of status: DeviceStatus) -> Int {
        switch status {
        case .online: counts[Standing.online] + counts[Standing.silencing]
        case .offline: counts[Standing.offline] + counts[Standing.returning]
        case .unknown: counts[Standing.unknown]
        }
    }

    package func firmwareVersion(at slot: Int) -> String? { firmware[slot] < 0 ? nil : firmwareTable[firmware[slot]] }

    /// Takes over what a device told of its firmware; returns what it told before.
    package mutating func setFirmware(_ version: String?, at slot: Int) -> String? {
        let before = firmwareVersion(at: slot)
        firmware[slot] = version.map { firmwareTable.number(of: $0) } ?? -1
        return before
    }

    /// Whether a report of the firmware is as new as the newest; one that is older says what the device ran once.
    package mutating func isFirmwareNews(at instant: Instant, from slot: Int) -> Bool {
        let time = instant.millisecondsSinceEpoch
        guard time >= firmwareToldAt[slot] else { return false }
        firmwareToldAt[slot] = time
        return true
    }

    // MARK: Sightings

    /// A sign of life; an older one than the last changes nothing.
    ///
    /// - Parameters:
    ///   - slot: Whose.
    ///   - instant: When it was given.
    ///   - now: When it is told; a device comes back only by a sign that is younger than ``Device/silence``.
    package mutating func saw(_ slot: Int, at instant: Instant, now: Instant) {
        let time = instant.millisecondsSinceEpoch
        guard time > seen[slot] else { return }
        seen[slot] = time
        let block = slot / Self.slotsPerBlock
        if !dirty[block] {
            dirty[block] = true
            dirtyBlocks.append(block)
        }
        switch standing(at: slot) {
        case .vacant, .silencing, .returning, .gone: break
        case .unknown:
            set(.online, at: slot)
            watch(slot)
        case .online: watch(slot)
        case .offline: if now - instant < Device.silence { beginReturn(of: slot) }
        }
    }

    private mutating func beginReturn(of slot: Int) {
        set(.returning, at: slot)
        returned.append(Int32(slot))
    }

    /// When a device falls silent unless it is seen again.
    private func due(_ slot: Int) -> Instant {
        Instant(millisecondsSinceEpoch: max(seen[slot], startedAt)) + Device.silence
    }

    private mutating func watch(_ slot: Int) {
        let due = due(slot)
        if nextDue.map({ due < $0 }) ?? true { nextDue = due }
    }

    // MARK: Silence

    /// Devices that have been silent for too long, the longest silence first; looks at all devices.
    ///
    /// Sets ``nextDue`` to when the next one could be.
    package mutating func overdue(at now: Instant) -> [Int] {
        let limit = (now - Device.silence).millisecondsSinceEpoch
        let online = Standing.online.rawValue
        let floor = startedAt
        var earliest = Int64.max
        var overdue: [Int] = []
        standing.withUnsafeBufferPointer { standing in
            seen.withUnsafeBufferPointer { seen in
                for slot in 0..<standing.count where standing[slot] == online {
                    let since = max(seen[slot], floor)
                    if since <= limit { overdue.append(slot) } else { earliest = min(earliest, since) }
                }
            }
        }
        nextDue = earliest == .max ? nil : Instant(millisecondsSinceEpoch: earliest) + Device.silence
        overdue.sort { (seen[$0], $0) < (seen[$1], $1) }
        return overdue
    }

    /// A silence or a return that is to be decided.
    package struct Turn: Hashable, Sendable {
        package var slot: Int
        package var device: DeviceID
        package var site: SiteID
    }

    /// Begins to decide the silence of those of the slots that are still silent.
    package mutating func beginSilence(of slots: some Sequence<Int>, at now: Instant) -> [Turn] {
        var turns: [Turn] = []
        for slot in slots where standing(at: slot) == .online && due(slot) <= now {
            set(.silencing, at: slot)
            turns.append(turn(slot))
        }
        return turns
    }

    /// The last sign of life of a device that is silent at `now`; none if it is not.
    package func silentSince(_ id: DeviceID, at now: Instant) -> Instant? {
        guard let slot = slot(of: id), seen[slot] > 0, due(slot) <= now else { return nil }
        return lastSeen(at: slot)
    }

    /// What became of a silence.
    package enum Verdict: Hashable, Sendable {
        /// The site counts the device as offline; the last sign of life that this was decided on.
        case offline(since: Instant)
        case online
        /// There is no such site any more.
        case gone
        /// Nothing could be decided; it is to be tried again at that time.
        case failed(retryAt: Instant)
    }

    /// A site has decided it, and it is durable: from now on the device is told as that.
    package mutating func take(_ change: DeviceChange) {
        switch change {
        case .wentOffline(let id): if let slot = slot(of: id) { set(.offline, at: slot) }
        case .cameBack(let id):
            guard let slot = slot(of: id) else { return }
            set(.online, at: slot)
            watch(slot)
        case .toldFirmware: break
        }
    }

    package mutating func settle(_ turn: Turn, _ verdict: Verdict) {
        guard turn.slot < standing.count, devices[turn.slot] == ids.find(turn.device) else { return }
        let before = standing(at: turn.slot)
        switch verdict {
        case .gone: remove(slot: turn.slot)
        case .online:
            set(.online, at: turn.slot)
            watch(turn.slot)
        case .offline(let since):
            // It came back as soon as it was told.
            if before == .returning { return }
            set(.offline, at: turn.slot)
            // It was seen while its silence was being decided.
            if seen[turn.slot] > since.millisecondsSinceEpoch { beginReturn(of: turn.slot) }
        case .failed(let retryAt):
            if before == .returning {
                beginReturn(of: turn.slot)
            } else {
                set(.online, at: turn.slot)
                nextDue = nextDue.map { min($0, retryAt) } ?? retryAt
            }
        }
    }

    // MARK: Returns

    package var hasReturned: Bool { !returned.isEmpty }

    /// Devices that were offline and have been seen since, in the order in which they were seen.
    package mutating func takeReturned(atMost limit: Int) -> [(turn: Turn, seenAt: Instant)] {
        let taken = returned.prefix(limit).map(Int.init)
        returned.removeFirst(taken.count)
        return taken.filter { standing(at: $0) == .returning }
            .map { (turn($0), Instant(millisecondsSinceEpoch: seen[$0])) }
    }

    private func turn(_ slot: Int) -> Turn { Turn(slot: slot, device: id(at: slot), site: site(at: slot)) }

    // MARK: Keeping sightings

    package var hasUnwritten: Bool { !dirtyBlocks.isEmpty }

    /// Sightings that the ledger does not have yet; they count as written from now on.
    package mutating func takeUnwritten(atMost limit: Int) -> [SightingBlock] {
        let taken = Array(dirtyBlocks.prefix(limit))
        dirtyBlocks.removeFirst(taken.count)
        return taken.map { number in
            dirty[number] = false
            let first = number * Self.slotsPerBlock
            return SightingBlock(number: number, seen: Array(seen[first..<min(first + Self.slotsPerBlock, seen.count)]))
        }
    }

    /// The ledger did not take them.
    package mutating func putBack(_ blocks: [SightingBlock]) {
        for block in blocks where !dirty[block.number] {
            dirty[block.number] = true
            dirtyBlocks.append(block.number)
        }
    }

    /// Takes over what the ledger remembers; what was seen since stands.
    package mutating func load(_ block: SightingBlock) {
        let first = block.number * Self.slotsPerBlock
        guard let last = block.seen.indices.last else { return }
        makeRoom(for: first + last)
        for (index, time) in block.seen.enumerated() where time > seen[first + index] {
            seen[first + index] = time
            guard standing(at: first + index) == .unknown else { continue }
            set(.online, at: first + index)
            watch(first + index)
        }
    }

    // MARK: Parts

    private func standing(at slot: Int) -> Standing { Standing(rawValue: standing[slot]) ?? .vacant }

    private mutating func set(_ new: Standing, at slot: Int) {
        counts[Int(standing[slot])] -= 1
        counts[Int(new.rawValue)] += 1
        standing[slot] = new.rawValue
    }

    private mutating func makeRoom(for slot: Int) {
        let missing = slot + 1 - standing.count
        guard missing > 0 else { return }
        // Whole blocks, so that the arrays seldom grow.
        let count = (slot / Self.slotsPerBlock + 1) * Self.slotsPerBlock - standing.count
        devices.append(contentsOf: repeatElement(.none, count: count))
        sites.append(contentsOf: repeatElement(.none, count: count))
        owners.append(contentsOf: repeatElement(-1, count: count))
        firmware.append(contentsOf: repeatElement(-1, count: count))
        firmwareToldAt.append(contentsOf: repeatElement(0, count: count))
        standing.append(contentsOf: repeatElement(Standing.vacant.rawValue, count: count))
        seen.append(contentsOf: repeatElement(0, count: count))
        dirty.append(contentsOf: repeatElement(false, count: standing.count / Self.slotsPerBlock - dirty.count))
        counts[Int(Standing.vacant.rawValue)] += count
    }
}

/// The last signs of life of ``DeviceTable/slotsPerBlock`` neighbouring slots.
package struct SightingBlock: Hashable, Sendable {
    package var number: Int
    /// Milliseconds since 1970 by slot; 0 for never.
    package var seen: [Int64]

    package init(number: Int, seen: [Int64]) {
        self.number = number
        self.seen = seen
    }
}

/// Gives equal values one number.
private struct Interner<Value: Hashable & Sendable>: Sendable {
    private var values: [Value] = []
    private var numbers: [Value: Int32] = [:]

    mutating func number(of value: Value) -> Int32 {
        if let known = numbers[value] { return known }
        let number = Int32(values.count)
        values.append(value)
        numbers[value] = number
        return number
    }

    subscript(number: Int32) -> Value { values[Int(number)] }
}

extension [Int] {
    fileprivate subscript(standing: DeviceTable.Standing) -> Int { self[Int(standing.rawValue)] }
}
