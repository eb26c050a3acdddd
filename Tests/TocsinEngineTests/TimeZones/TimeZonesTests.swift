import Testing
import TocsinCore
import TocsinEngine

@Suite struct TimeZonesTests {
    private let zones = TimeZones()

    @Test func `a zone is built in less than ten milliseconds and known from then on`() throws {
        let clock = ContinuousClock()
        for name in ["Europe/Berlin", "America/Chicago", "Africa/Casablanca", "Australia/Lord_Howe"] {
            // The best of several, because other programs run beside the tests.
            let built = (0..<5).map { _ in clock.measure { _ = TimeZones().rules(for: name) } }.min()
            #expect(try #require(built) < .milliseconds(10), "\(name)")
            let known = (0..<5).map { _ in clock.measure { _ = zones.rules(for: name) } }.min()
            #expect(try #require(known) < .milliseconds(1), "\(name)")
        }
    }

    @Test(arguments: [
        "", "Nowhere/Land", "../../etc/passwd", "/etc/localtime", "Europe/../Europe/Berlin", "localtime", "Europe",
        "right/Europe/Berlin", "zone.tab", "tzdata.zi", "leapseconds", "GMT+5 ", "Europe/Berl\u{0}in",
    ])
    func `what names no zone has no rules`(name: String) { #expect(zones.rules(for: name) == nil) }

    @Test func `the rules go on after the last change that the file lists`() throws {
        let chicago = try #require(zones.rules(for: "America/Chicago"))

        #expect(chicago.localText(try Instant(rfc3339: "2099-07-06T12:00:00Z")) == "2099-07-06T07:00:00-05:00")
        #expect(chicago.localText(try Instant(rfc3339: "2099-12-15T12:00:00Z")) == "2099-12-15T06:00:00-06:00")
    }

    @Test func `Foundation's own copy stands in where the system has no database`() throws {
        let bare = TimeZones(directories: ["/nonexistent"])

        #expect(bare.directory == nil)
        let rules = try #require(bare.rules(for: "Europe/Berlin"))
        #expect(rules.offset(at: try Instant(rfc3339: "2026-07-01T00:00:00Z")) == 7200)
        #expect(bare.rules(for: "Nowhere/Land") == nil)
    }
}
