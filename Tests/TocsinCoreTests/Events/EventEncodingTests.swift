import Foundation
import Testing
import TocsinJSON

@testable import TocsinCore

/// The wire form of events is the documents', member by member and in their order (decisions §8).
struct EventEncodingTests {
    private let site = SiteID(stored: "site_29snd")
    private let partition = PartitionID(stored: "p_abc")

    private func place(
        _ id: String,
        at time: String = "2026-05-26T10:21:34Z",
        alarms: [Int64] = []
    ) throws -> EventPlace {
        EventPlace(
            id: EventID(stored: id),
            sequence: 17,
            createdAt: try Instant(rfc3339: time),
            incidentAlarms: Dictionary(
                uniqueKeysWithValues: alarms.enumerated().map { (IncidentID(Int64($0)), AlarmNumber($1)) }
            )
        )
    }

    /// The same members in the same order with the same values, whatever the white space.
    private func normalized(_ text: [UInt8]) throws -> String { try JSONParser.parse(text).text }

    private func normalized(_ text: String) throws -> String { try normalized(Array(text.utf8)) }

    @Test func `arming.state_changed is the arming document's, then id, partition_id and sequence`() throws {
        let body = ArmingStateChanged(
            siteID: SiteID(stored: "site_123"),
            partitionID: partition,
            newState: "armed_away",
            previousState: "disarmed",
            timestamp: try Instant(rfc3339: "2024-01-15T10:30:00Z"),
            triggeredBy: "user_123",
            source: .mobileApp
        )

        let encoded = EventBody.armingStateChanged(body).encoded(at: try place("evt_2hKqxE"))

        let document = """
            {
              "event_type": "arming.state_changed",
              "site_id": "site_123",
              "new_state": "armed_away",
              "previous_state": "disarmed",
              "timestamp": "2024-01-15T10:30:00Z",
              "triggered_by": "user_123",
              "source": "mobile_app"
            }
            """
        var expected = try #require(try JSONParser.parse(document).object)
        expected["id"] = "evt_2hKqxE"
        expected["partition_id"] = "p_abc"
        expected["sequence"] = 17
        #expect(try normalized(encoded) == JSON.object(expected).text)
    }

    @Test func `a fact that does not exist is left out, never null`() throws {
        let alarm = AlarmCreated(
            alarm: .existing(AlarmNumber(3)),
            siteID: site,
            priority: .high,
            trigger: "entry-delay-expired",
            location: nil
        )
        let failed = ArmingFailed(
            siteID: site,
            partitionID: partition,
            mode: nil,
            message: "Cannot arm",
            reasons: [
                ArmFailureReason(code: "partner_rejected", zoneNumber: nil, zoneName: nil, message: "m", remedy: "r")
            ],
            by: Attribution(source: .schedule)
        )
        let bodies: [(EventBody, [String])] = [
            (.alarmCreated(alarm), ["alarm_id", "site_id", "priority", "trigger"]),
            (
                .partitionDisarmed(
                    PartitionDisarmed(partitionID: partition, siteID: site, by: "user", operatorID: nil)
                ),
                ["partition_id", "site_id", "by"]
            ),
            (.armingFailed(failed), ["site_id", "partition_id", "message", "reasons", "by"]),
        ]

        for (body, names) in bodies {
            let encoded = body.encoded(at: try place("evt_1"))
            let json = try JSONParser.parse(encoded)
            #expect(json["data"]?.object?.names == names)
            #expect(!String(decoding: encoded, as: UTF8.self).contains("null"))
        }
    }

    @Test func `arming.failed tells every zone with a sentence and a remedy`() throws {
        let failed = ArmingFailed(
            siteID: site,
            partitionID: partition,
            mode: "away",
            message: "Cannot arm - Back Door is open",
            reasons: [
                ArmFailureReason(
                    code: "zone_open",
                    zoneNumber: 5,
                    zoneName: "Back Door",
                    message: "Cannot arm - Back Door is open",
                    remedy: "Close Back Door (zone 5) or bypass it"
                )
            ],
            by: Attribution(userID: "user_123", name: "Ann", source: .keypad)
        )

        let data = try JSONParser.parse(EventBody.armingFailed(failed).encoded(at: try place("evt_1")))["data"]

        let expected: JSON = [
            "site_id": "site_29snd", "partition_id": "p_abc", "mode": "away",
            "message": "Cannot arm - Back Door is open",
            "reasons": [
                [
                    "code": "zone_open", "zone_number": 5, "zone_name": "Back Door",
                    "message": "Cannot arm - Back Door is open", "remedy": "Close Back Door (zone 5) or bypass it",
                ]
            ],
            "by": ["user_id": "user_123", "name": "Ann", "method": "keypad"],
        ]
        #expect(data == expected)
    }

    @Test func `times of bodies have whole seconds, rounded down`() throws {
        let place = try place("evt_1", at: "2026-05-26T10:21:34.999Z")
        let ping = TestPing(endpointID: EndpointID(stored: "ep_1"), message: "hello")

        let json = try JSONParser.parse(EventBody.testPing(ping).encoded(at: place))

        #expect(json["created_at"] == "2026-05-26T10:21:34Z")
    }

    @Test func `the alarm's number is the one of its incident`() throws {
        let body = AlarmCreated(
            alarm: .incident(IncidentID(1)),
            siteID: site,
            priority: .high,
            trigger: "motion",
            location: nil
        )

        let encoded = EventBody.alarmCreated(body).encoded(at: try place("evt_1", alarms: [7, 8, 9]))

        #expect(try JSONParser.parse(encoded)["data"]?["alarm_id"] == "A-8")
    }

    @Test(arguments: [
        "He said \"open\"", "C:\\door\\1", "a/b", "line\nbreak\r\n\ttab", "\u{1}\u{8}\u{C}\u{1F}\u{7F}",
        "Küche – Tür №5",
        "🚪 👩‍👩‍👧 🇺🇸", "e\u{301} and é", "\u{2028}\u{2029}\u{FEFF}", "</script>", "{\"state\":\"disarmed\"}", "", " ",
    ])
    func `any text survives, scalar by scalar`(text: String) throws {
        let body = AlarmCreated(
            alarm: .incident(IncidentID(0)),
            siteID: site,
            priority: .low,
            trigger: "motion",
            location: text
        )

        let encoded = EventBody.alarmCreated(body).encoded(at: try place("evt_1", alarms: [1]))

        let ours = try JSONParser.parse(encoded)["data"]?["location"]?.string
        #expect(ours.map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
        // A reader that is not ours.
        let foreign = try JSONSerialization.jsonObject(with: Data(encoded)) as? [String: Any]
        let location = (foreign?["data"] as? [String: Any])?["location"] as? String
        #expect(location.map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
    }
}
