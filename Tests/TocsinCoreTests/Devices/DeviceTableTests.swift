import Testing

@testable import TocsinCore

/// Sightings, silence and return in the table of devices (decisions §7, §14).
struct DeviceTableTests {
    private static let start = Instant(secondsSinceEpoch: 1_790_000_000)
    private static let site = SiteID(stored: "site_1")

    /// What happens to a device, in seconds since the server's start.
    enum Happening: Sendable {
        case seen(Double)
        /// The table is asked who is silent; decisions about it follow at once.
        case look(Double)
    }

    struct Life: Sendable, CustomTestStringConvertible {
        var name: String
        /// Seconds since the start at which the device was last seen by what the ledger remembers.
        var remembered: Double?
        var happenings: [Happening]
        /// What came of them: `offline AT last SEEN` and `online AT` in seconds.
        var expected: [String]

        var testDescription: String { name }
    }

    private static let lives = [
        Life(name: "never seen", happenings: [.look(60), .look(6_000)], expected: []),
        Life(
            name: "silent for a minute",
            happenings: [.seen(1), .look(60.999), .look(61)],
            expected: ["offline 61.0 last 1.0"]
        ),
        Life(
            name: "told once, however long it is silent",
            happenings: [.seen(1), .look(61), .look(62), .look(600), .look(60_000)],
            expected: ["offline 61.0 last 1.0"]
        ),
        Life(
            name: "a return just before the minute is over",
            happenings: [.seen(1), .look(60), .seen(60.999), .look(61), .look(120.998), .look(120.999)],
            expected: ["offline 120.999 last 60.999"]
        ),
        Life(
            name: "flapping within the minute",
            happenings: (0..<200).flatMap { [.seen(Double($0) * 59), .look(Double($0) * 59 + 58.999)] },
            expected: []
        ),
        Life(
            name: "back and silent again",
            happenings: [.seen(1), .look(61), .seen(143.4), .look(144), .look(203.4)],
            expected: ["offline 61.0 last 1.0", "online 143.4", "offline 203.4 last 143.4"]
        ),
        Life(
            name: "a late word of an earlier sign changes nothing",
            happenings: [.seen(50), .seen(20), .look(109.9), .look(110)],
            expected: ["offline 110.0 last 50.0"]
        ),
        Life(
            name: "silent since before the start: a minute of grace, and the true last sign",
            remembered: -3_000,
            happenings: [.look(59.999), .look(60)],
            expected: ["offline 60.0 last -3000.0"]
        ),
        Life(
            name: "seen before the start and again in the grace",
            remembered: -3_000,
            happenings: [.seen(59.999), .look(60), .look(119.9), .look(119.999)],
            expected: ["offline 119.999 last 59.999"]
        ),
    ]

    @Test(arguments: lives) func `a device's life comes to its events`(life: Life) {
        var table = Self.table(of: 1)
        if let remembered = life.remembered {
            table.load(SightingBlock(number: 0, seen: [0, Self.at(remembered).millisecondsSinceEpoch]))
        }
        var told: [String] = []
        for happening in life.happenings {
            switch happening {
            case .seen(let second):
                table.saw(1, at: Self.at(second), now: Self.at(second))
                for returned in table.takeReturned(atMost: 10) {
                    told.append("online \(Self.seconds(returned.seenAt))")
                    table.settle(returned.turn, .online)
                }
            case .look(let second):
                let now = Self.at(second)
                for turn in table.beginSilence(of: table.overdue(at: now), at: now) {
                    guard let since = table.silentSince(turn.device, at: now) else { continue }
                    told.append("offline \(second) last \(Self.seconds(since))")
                    table.settle(turn, .offline(since: since))
                }
            }
        }
        #expect(told == life.expected)
    }

    @Test func `who is seen while its silence is being decided comes back at once`() throws {
        var table = Self.table(of: 1)
        table.saw(1, at: Self.at(0), now: Self.at(0))
        let turn = try #require(Self.silent(&table, at: 60))
        table.saw(1, at: Self.at(60.5), now: Self.at(60.5))
        #expect(!table.hasReturned)
        table.settle(turn, .offline(since: Self.at(0)))
        let returned = table.takeReturned(atMost: 1)
        #expect(returned.map(\.seenAt) == [Self.at(60.5)])
    }

    @Test func `who is seen before its silence was decided stays online`() throws {
        var table = Self.table(of: 1)
        table.saw(1, at: Self.at(0), now: Self.at(0))
        let turn = try #require(Self.silent(&table, at: 60))
        table.saw(1, at: Self.at(60), now: Self.at(60))
        #expect(table.silentSince(turn.device, at: Self.at(60)) == nil)
        table.settle(turn, .online)
        #expect(table.status(at: 1) == .online && table.nextDue == Self.at(120))
    }

    @Test func `what could not be decided is tried again`() throws {
        var table = Self.table(of: 1)
        table.saw(1, at: Self.at(0), now: Self.at(0))
        let turn = try #require(Self.silent(&table, at: 60))
        table.settle(turn, .failed(retryAt: Self.at(61)))
        #expect(table.nextDue == Self.at(61))
        table.settle(try #require(Self.silent(&table, at: 61)), .offline(since: Self.at(0)))
        table.saw(1, at: Self.at(70), now: Self.at(70))
        let returned = table.takeReturned(atMost: 1)
        let back = try #require(returned.first)
        table.settle(back.turn, .failed(retryAt: Self.at(71)))
        let again = table.takeReturned(atMost: 1)
        #expect(again.first?.turn == back.turn)
    }

    @Test func `an old sign does not bring a device back`() {
        var table = Self.table(of: 1, offline: [1])
        table.saw(1, at: Self.at(40), now: Self.at(100))
        #expect(!table.hasReturned && table.status(at: 1) == .offline)
        table.saw(1, at: Self.at(41), now: Self.at(100))
        #expect(table.hasReturned)
    }

    @Test func `the longest silence comes first, and the next look is when somebody can be due`() {
        var table = Self.table(of: 4)
        for (slot, second) in [(1, 30.0), (2, 10), (3, 20), (4, 50)] {
            table.saw(slot, at: Self.at(second), now: Self.at(second))
        }
        #expect(table.nextDue == Self.at(70))
        let overdue = table.overdue(at: Self.at(95))
        #expect(overdue == [2, 3, 1])
        #expect(table.nextDue == Self.at(110))
    }

    @Test func `a deleted device is unknown, and nobody who read of it before brings it back`() {
        var table = Self.table(of: 2)
        let id = table.id(at: 1)
        table.remove(slot: 1)
        table.insert(Self.entry(1, id))
        #expect(table.slot(of: id) == nil && table.slot(of: table.id(at: 2)) == 2)
        #expect(table.count(of: .unknown) == 1)
    }

    @Test func `a caller sees the devices of its reach only`() {
        var table = DeviceTable(startedAt: Self.start)
        let (mine, theirs) = (DealerID(stored: "dlr_mine"), DealerID(stored: "dlr_theirs"))
        let partner = PartnerID(stored: "prt_1")
        for (slot, dealer, partner) in [(1, mine, partner), (2, mine, nil), (3, theirs, partner)] {
            let id = DeviceID(stored: "dev_\(slot)")
            table.insert(
                DeviceEntry(slot: slot, id: id, siteID: Self.site, dealerID: dealer, partnerID: partner)
            )
        }
        func seen(_ reach: Reach, after: Int? = nil, limit: Int = 10) -> [Int] {
            table.devices(within: reach, status: nil, after: after, limit: limit).map(\.slot)
        }
        #expect(seen(.platform) == [1, 2, 3] && seen(.dealer(mine)) == [1, 2] && seen(.partner(partner)) == [1, 3])
        #expect(
            seen(.platform, after: 1) == [2, 3] && seen(.platform, limit: 2) == [1, 2]
                && seen(.platform, after: 99).isEmpty
        )
        #expect(table.slot(of: DeviceID(stored: "dev_3"), within: .dealer(mine)) == nil)
        #expect(table.devices(within: .platform, status: .online, after: nil, limit: 10).isEmpty)
    }

    @Test func `firmware is told with what was known before`() {
        var table = Self.table(of: 1)
        let told = ["1.0", "1.1", nil].map { table.setFirmware($0, at: 1) }
        #expect(told == [nil, "1.0", "1.1"])
        #expect(table.firmwareVersion(at: 1) == nil)
    }

    @Test func `what is taken to be kept comes back as it was, whatever was seen in between`() {
        let seed = Seed.announced(for: "sightings")
        var generator = SeededGenerator(seed: seed)
        let count = 2_500
        var table = Self.table(of: count)
        var kept: [Int: SightingBlock] = [:]
        var last: [Int: Instant] = [:]
        for second in 1...2_000 {
            let slot = Int.random(in: 1...count, using: &generator)
            let instant = Self.at(Double(second))
            table.saw(slot, at: instant, now: instant)
            last[slot] = instant
            if generator.chance(5) {
                let taken = table.takeUnwritten(atMost: 2)
                if generator.chance(30) {
                    table.putBack(taken)
                } else {
                    for block in taken { kept[block.number] = block }
                }
            }
        }
        while table.hasUnwritten { for block in table.takeUnwritten(atMost: 2) { kept[block.number] = block } }

        var restarted = Self.table(of: count)
        for block in kept.values { restarted.load(block) }
        for slot in 1...count where restarted.lastSeen(at: slot) != last[slot] {
            Issue.record("slot \(slot): \(restarted.lastSeen(at: slot) as Any) is not \(last[slot] as Any)")
        }
        #expect(restarted.count(of: .online) == last.count && restarted.count(of: .unknown) == count - last.count)
    }

    @Test func `every id comes back from its compact form as it was`() {
        var generator = SeededGenerator(seed: Seed.announced(for: "compact ids"))
        var ids = CompactIDs()
        var all = ["dev_hall", "dev_", "dev_01", "dev_ILOU", "dev_zzzzzzzzzzzzzzzzzzzzzzzzzz"].map(
            DeviceID.init(stored:)
        )
        all += (0..<500).map { _ in
            let random = (
                high: UInt16.random(in: .min ... .max, using: &generator),
                low: UInt64.random(in: .min ... .max, using: &generator)
            )
            let time = Int64.random(in: 0..<1 << 48, using: &generator)
            return DeviceID(at: Instant(millisecondsSinceEpoch: time), random: random)
        }
        let compact = all.map { ids.compact($0) }
        #expect(compact.map { ids.id($0) as DeviceID } == all)
        #expect(Set(compact).count == Set(all).count)
        #expect(ids.find(DeviceID(stored: "dev_other")) == nil)
    }

    // MARK: Parts

    private static func at(_ second: Double) -> Instant { start + .milliseconds(Int64((second * 1000).rounded())) }

    private static func seconds(_ instant: Instant) -> Double { Double((instant - start).milliseconds) / 1000 }

    private static func entry(_ slot: Int, _ id: DeviceID, isOffline: Bool = false) -> DeviceEntry {
        DeviceEntry(
            slot: slot,
            id: id,
            siteID: site,
            dealerID: DealerID(stored: "dlr_1"),
            partnerID: nil,
            isOffline: isOffline
        )
    }

    /// Begins to decide the longest silence.
    private static func silent(_ table: inout DeviceTable, at second: Double) -> DeviceTable.Turn? {
        table.beginSilence(of: table.overdue(at: at(second)), at: at(second)).first
    }

    /// Devices in slots from 1, seen by nobody.
    private static func table(of count: Int, offline: Set<Int> = []) -> DeviceTable {
        var table = DeviceTable(startedAt: start)
        for slot in 1...count {
            table.insert(entry(slot, DeviceID(at: start, random: (1, UInt64(slot))), isOffline: offline.contains(slot)))
        }
        return table
    }
}
