import Testing
import TocsinCore

/// The form of ids (decisions §1).
struct IDTests {
    private let now = Instant(millisecondsSinceEpoch: 1_779_790_894_123)

    @Test func `an id is its prefix and 26 URL-safe characters`() {
        let id = SiteID(at: now, random: (high: 0xFFFF, low: .max))

        #expect(id.text.hasPrefix("site_"))
        #expect(id.body.count == 26)
        #expect(id.body.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber) && !"ilou".contains($0) })
        #expect(SiteID(id.text) == id)
    }

    @Test func `every noun has the prefix of the contract`() {
        let prefixes = [
            SiteNoun.prefix, PartitionNoun.prefix, ZoneNoun.prefix, DeviceNoun.prefix, RelayNoun.prefix,
            UserNoun.prefix,
            AppNoun.prefix, EndpointNoun.prefix, EventNoun.prefix, DeliveryNoun.prefix, ScheduleNoun.prefix,
            DealerNoun.prefix, PartnerNoun.prefix,
        ]
        #expect(
            prefixes == [
                "site_", "p_", "zone_", "dev_", "rel_", "usr_", "app_", "ep_", "evt_", "dlv_", "sch_", "dlr_", "prt_",
            ]
        )
    }

    @Test func `ids sort by the time they were made, whatever their random bits`() {
        let seed = Seed.announced(for: "order of ids")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let first = Int64.random(in: 0..<(1 << 47), using: &generator)
            let later = first + Int64.random(in: 1...100_000, using: &generator)
            let a = EventID(at: Instant(millisecondsSinceEpoch: first), random: (.max, .max))
            let b = EventID(at: Instant(millisecondsSinceEpoch: later), random: (0, 0))
            if !(a < b) {
                Issue.record("seed \(seed): \(a) of \(first) does not sort before \(b) of \(later)")
                return
            }
        }
    }

    @Test func `every random bit is in the id`() {
        var ids: Set = [SiteID(at: now, random: (0, 0)).text]
        for bit in 0..<16 { ids.insert(SiteID(at: now, random: (1 << bit, 0)).text) }
        for bit in 0..<64 { ids.insert(SiteID(at: now, random: (0, 1 << bit)).text) }

        #expect(ids.count == 81)
    }

    @Test(arguments: ["site_29snd", "site_123", "site_a", "site_A-b_9", "site_" + String(repeating: "x", count: 59)])
    func `takes a text that could be an id`(text: String) {
        #expect(SiteID(text)?.text == text)
    }

    @Test(arguments: [
        "", "site_", "site", "29snd", "p_29snd", "SITE_1", "Site_1", " site_1", "site_1 ", "site_a/b", "site_a.b",
        "site_a%20",
        "site_'--", "site_é", "site_1\n", "site_\u{0}", "site_" + String(repeating: "x", count: 60), "xsite_1",
    ])
    func `refuses a text that is no id of its kind`(text: String) {
        #expect(SiteID(text) == nil)
    }

    @Test func `a delivery's id is made of its event and its endpoint, and names them`() throws {
        let event = EventID(at: now, random: (1, 2))
        let other = EventID(at: now, random: (1, 3))
        let endpoint = EndpointID(at: now, random: (4, 5))
        let elsewhere = EndpointID(at: now, random: (4, 6))

        let id = DeliveryID(of: event, to: endpoint)

        #expect(id == DeliveryID(of: event, to: endpoint))
        #expect(Set([id, DeliveryID(of: other, to: endpoint), DeliveryID(of: event, to: elsewhere)]).count == 3)
        #expect(DeliveryID(id.text) == id)
        #expect(id.event == event)
        #expect(endpoint.text.hasSuffix(id.endpointSuffix))
        #expect(DeliveryID(stored: "dlv_short").event == nil)
    }

    @Test(arguments: [("A-1", 1), ("A-10293", 10293), ("A-9223372036854775807", Int64.max)])
    func `an alarm's number is read and written as A-1`(text: String, value: Int64) {
        #expect(AlarmNumber(text: text) == AlarmNumber(value))
        #expect(AlarmNumber(value).description == text)
    }

    @Test(arguments: [
        "", "1", "A-", "A-0", "A--1", "A-+1", "A-01", "a-1", "A-1 ", "A-1.0", "A-9223372036854775808", "B-1",
    ])
    func `refuses what is no alarm's number`(text: String) {
        #expect(AlarmNumber(text: text) == nil)
    }
}
