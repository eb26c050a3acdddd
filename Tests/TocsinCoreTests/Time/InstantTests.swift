import Testing
import TocsinCore

/// Times on the wire (decisions §1).
struct InstantTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59Z", -1000), ("1969-12-31T23:59:59.999Z", -1),
        ("2001-09-09T01:46:40Z", 1_000_000_000_000), ("2038-01-19T03:14:08Z", 2_147_483_648_000),
        ("2024-02-29T12:00:00Z", 1_709_208_000_000), ("2000-02-29T00:00:00Z", 951_782_400_000),
        ("2026-05-26T10:21:34Z", 1_779_790_894_000), ("2026-05-26T10:21:34+00:00", 1_779_790_894_000),
        ("2026-05-26t10:21:34z", 1_779_790_894_000), ("2026-05-26 10:21:34Z", 1_779_790_894_000),
        ("2026-05-26T10:21:34.5Z", 1_779_790_894_500), ("2026-05-26T10:21:34.05Z", 1_779_790_894_050),
        ("2026-05-26T10:21:34.005Z", 1_779_790_894_005), ("2026-05-26T10:21:34.0059999999999Z", 1_779_790_894_005),
        ("2026-05-26T10:21:34.123456789+00:00", 1_779_790_894_123), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ])
    func `reads an RFC 3339 time in UTC`(text: String, milliseconds: Int64) throws {
        #expect(try Instant(rfc3339: text).millisecondsSinceEpoch == milliseconds)
    }

    @Test func `a leap second is told as the second before it`() throws {
        #expect(try Instant(rfc3339: "2016-12-31T23:59:60Z") == Instant(rfc3339: "2016-12-31T23:59:59Z"))
    }

    @Test(arguments: [
        "2026-05-26T10:21:34+02:00", "2026-05-26T10:21:34-05:00", "2026-05-26T10:21:34.250+05:30",
        "2026-05-26T10:21:34+00:01",
        "2026-05-26T10:21:34-23:59",
    ])
    func `refuses another offset as not UTC`(text: String) {
        #expect(throws: TimestampError.notUTC) { try Instant(rfc3339: text) }
    }

    @Test(arguments: [
        "", "now", "2026-05-26", "10:21:34Z", "2026-05-26T10:21:34", "2026-05-26T10:21Z", "2026-05-26T10:21:34 Z",
        " 2026-05-26T10:21:34Z", "2026-05-26T10:21:34Z ", "2026-05-26T10:21:34ZZ", "2026-5-26T10:21:34Z",
        "26-05-26T10:21:34Z", "12026-05-26T10:21:34Z", "+2026-05-26T10:21:34Z", "2026/05/26T10:21:34Z",
        "20260526T102134Z", "2026-00-26T10:21:34Z", "2026-13-26T10:21:34Z", "2026-05-00T10:21:34Z",
        "2026-05-32T10:21:34Z",
        "2026-04-31T10:21:34Z", "2025-02-29T10:21:34Z", "1900-02-29T10:21:34Z", "2100-02-29T10:21:34Z",
        "2026-05-26T24:00:00Z", "2026-05-26T10:60:34Z", "2026-05-26T10:21:61Z", "2026-05-26T10:21:34.Z",
        "2026-05-26T10:21:34,5Z", "2026-05-26T10:21:34.5", "2026-05-26T10:21:34+0000", "2026-05-26T10:21:34+00",
        "2026-05-26T10:21:34+24:00", "2026-05-26T10:21:34+00:60", "2026-05-26T10:21:34+02:00x",
        "2026-05-26T10:21:34UTC",
        "1779790894", "２０26-05-26T10:21:34Z", "2026-05-26T10:21:34.٥Z", "0000-01-01T00:00:00Z", "-001-01-01T00:00:00Z",
    ])
    func `refuses what is no RFC 3339 time`(text: String) {
        #expect(throws: TimestampError.malformed) { try Instant(rfc3339: text) }
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            (1_779_790_894_999, "2026-05-26T10:21:34Z", "2026-05-26T10:21:34.999Z"),
            (-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.007Z"),
        ] as [(Int64, String, String)]
    )
    func `writes whole seconds rounded down, or milliseconds`(milliseconds: Int64, seconds: String, exact: String) {
        let instant = Instant(millisecondsSinceEpoch: milliseconds)

        #expect(instant.rfc3339Seconds == seconds)
        #expect(instant.rfc3339Milliseconds == exact)
    }

    @Test func `agrees with a calendar that counts day by day from 1970 to 2100`() throws {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var days: Int64 = 0
        for year in 1970...2100 {
            // In these years only 2100 breaks the rule of four.
            let isLeap = year % 4 == 0 && year != 2100
            for (index, length) in lengths.enumerated() {
                for day in 1...(index == 1 && isLeap ? length + 1 : length) {
                    let date = Civil.date(daysSinceEpoch: days)
                    let text = Instant(secondsSinceEpoch: days * 86_400 + 3661).rfc3339Seconds
                    if date != (year, index + 1, day)
                        || Civil.daysSinceEpoch(year: year, month: index + 1, day: day) != days
                        || text != "\(year)-\(index < 9 ? "0" : "")\(index + 1)-\(day < 10 ? "0" : "")\(day)T01:01:01Z"
                    {
                        Issue.record("day \(days) is \(year)-\(index + 1)-\(day), not \(date), written \(text)")
                        return
                    }
                    days += 1
                }
            }
        }
        #expect(days == 47_847)
    }

    @Test func `reads back what it writes`() throws {
        let seed = Seed.announced(for: "RFC 3339 round trip")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            // Within the years that four digits can name.
            let instant = Instant(
                millisecondsSinceEpoch: .random(in: -62_135_596_800_000...253_402_300_799_999, using: &generator)
            )
            let again = try Instant(rfc3339: instant.rfc3339Milliseconds)
            if again != instant {
                Issue.record(
                    "seed \(seed): \(instant.rfc3339Milliseconds) is read back as \(again.rfc3339Milliseconds)"
                )
                return
            }
        }
    }

    @Test func `the order of texts is the order of times`() throws {
        let texts = ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-02-01T00:00:00Z"]
        let instants = try texts.map { try Instant(rfc3339: $0) }

        #expect(instants == instants.sorted())
    }

    @Test func `adds, subtracts and measures in milliseconds`() {
        let instant = Instant(secondsSinceEpoch: 100)

        #expect(instant + .milliseconds(1500) == Instant(millisecondsSinceEpoch: 101_500))
        #expect(instant - .seconds(101) == Instant(secondsSinceEpoch: -1))
        #expect(Instant(secondsSinceEpoch: 105) - instant == .seconds(5))
        #expect(Instant(millisecondsSinceEpoch: -1).secondsSinceEpoch == -1)
    }
}
