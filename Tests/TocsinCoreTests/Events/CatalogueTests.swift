import Foundation
import Testing
import TocsinJSON

@testable import TocsinCore

/// The catalogue document's 11 payloads, `Tables/catalogue-payloads.json`, against our encoding of the same facts.
struct CatalogueTests {
    private static let documented = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Tables/catalogue-payloads.json")

    private static let alarm = AlarmReference.existing(AlarmNumber(10293))
    private static let site = SiteID(stored: "site_29snd")
    private static let device = DeviceID(stored: "dev_8h2j3kfm")
    private static let partition = PartitionID(stored: "p_abc")

    /// The facts of the document's examples, in its order.
    private static func facts() throws -> [EventBody] {
        try alarmFacts() + [
            .deviceOnline(DeviceOnline(deviceID: device, siteID: site, downtimeSeconds: 142)),
            .deviceOffline(
                DeviceOffline(
                    deviceID: device,
                    siteID: site,
                    lastSeenAt: Instant(rfc3339: "2026-05-26T07:58:48.999Z")
                )
            ),
            .snapshotCreated(
                SnapshotCreated(
                    snapshotID: SnapshotID(stored: "snap_91kxl2"),
                    deviceID: device,
                    alarm: alarm,
                    url: "https://media.chekt.com/snap/snap_91kxl2",
                    expiresAt: Instant(rfc3339: "2026-05-27T10:21:34Z")
                )
            ),
            .verificationRequested(
                VerificationRequested(alarm: alarm, requestedBy: "operator", deadlineSeconds: 90)
            ),
            .partitionArmed(
                PartitionArmed(partitionID: partition, siteID: site, mode: "away", by: Source.schedule.by)
            ),
            .partitionDisarmed(
                PartitionDisarmed(
                    partitionID: partition,
                    siteID: site,
                    by: Source.keypad.by,
                    operatorID: "op_jsmith"
                )
            ),
            .relayActivated(
                RelayActivated(
                    relayID: RelayID(stored: "rel_4kj"),
                    deviceID: device,
                    durationSeconds: 30,
                    trigger: .alarm(alarm)
                )
            ),
        ]
    }

    private static func alarmFacts() -> [EventBody] {
        [
            .alarmCreated(
                AlarmCreated(
                    alarm: alarm,
                    siteID: site,
                    deviceID: device,
                    priority: .high,
                    trigger: "motion",
                    location: "Main Entrance",
                    snapshotURL: "https://media.chekt.com/snap/snap_91kxl2"
                )
            ),
            .alarmAcknowledged(
                AlarmAcknowledged(alarm: alarm, operatorID: "op_jsmith", reason: "AI verified, confidence=0.92")
            ),
            .alarmDispatched(
                AlarmDispatched(
                    alarm: alarm,
                    responderID: "rsp_8x2k",
                    responderType: "guard",
                    etaSeconds: 240,
                    trackingURL: "https://dispatch.chekt.com/d/dxxx"
                )
            ),
            .alarmResolved(AlarmResolved(alarm: alarm, resolution: .falsePositive, notes: "Cleaning crew")),
        ]
    }

    @Test func `our encoding of the catalogue's facts is the catalogue's, member by member and in its order`() throws {
        let payloads = try #require(try JSONParser.parse(Array(Data(contentsOf: Self.documented))).array)
        let facts = try Self.facts()
        #expect(payloads.count == 11)
        #expect(facts.map(\.type.rawValue) == payloads.compactMap { $0["type"]?.string })
        for (payload, body) in zip(payloads, facts) {
            let place = EventPlace(
                id: EventID(stored: try #require(payload["id"]?.string)),
                sequence: 17,
                createdAt: try Instant(rfc3339: try #require(payload["created_at"]?.string))
            )
            #expect(String(decoding: body.encoded(at: place), as: UTF8.self) == payload.text)
        }
    }

    @Test func `the catalogue's payloads have the members that our tables tell, no other and in their order`() throws {
        for payload in try #require(try JSONParser.parse(Array(Data(contentsOf: Self.documented))).array) {
            let entry = EventCatalog.Entry(try #require(EventType(rawValue: payload["type"]?.string ?? "")))
            #expect(payload.object?.names == entry.body.map(\.name))
            let names = try #require(payload["data"]?.object?.names)
            // Ours of alarm.created tell of lateness, which the catalogue does not know.
            let late = entry.payload.suffix(entry.type == .alarmCreated ? 2 : 0).map(\.name)
            #expect(names + late == entry.payload.map(\.name), "\(entry.type)")
        }
    }

    @Test(arguments: [
        (RelayTrigger.alarm(.existing(AlarmNumber(7))), "alarm.created:A-7"),
        (.alarm(.incident(IncidentID(3))), "alarm.created:A-12"),
        (.schedule(ScheduleID(stored: "sch_1")), "schedule:sch_1"), (.manual("op_1"), "manual:op_1"),
    ])
    func `a relay says what switched it`(trigger: RelayTrigger, text: String) throws {
        let relay = RelayID(stored: "rel_1")
        let body = EventBody.relayActivated(
            RelayActivated(relayID: relay, deviceID: nil, durationSeconds: 1, trigger: trigger)
        )
        let place = EventPlace(
            id: EventID(stored: "evt_1"),
            sequence: 1,
            createdAt: Instant(secondsSinceEpoch: 0),
            incidentAlarms: [IncidentID(3): AlarmNumber(12)]
        )
        #expect(try JSONParser.parse(body.encoded(at: place))["data"]?["trigger"]?.string == text)
    }

    @Test func `every event that names an alarm by its incident gives the incident to the commit`() {
        let alarm = AlarmReference.incident(IncidentID(3))
        let named: [EventBody] = [
            .alarmAcknowledged(AlarmAcknowledged(alarm: alarm, operatorID: nil, reason: nil)),
            .alarmResolved(AlarmResolved(alarm: alarm, resolution: .handled, notes: nil)),
            .alarmEscalated(AlarmEscalated(alarm: alarm, siteID: Self.site, priority: .low, reason: "r")),
            .alarmAnnotated(AlarmAnnotated(alarm: alarm, siteID: Self.site, source: "panel")),
            .verificationRequested(VerificationRequested(alarm: alarm, requestedBy: "site", deadlineSeconds: 90)),
            .snapshotCreated(
                SnapshotCreated(
                    snapshotID: SnapshotID(stored: "snap_1"),
                    deviceID: Self.device,
                    alarm: alarm,
                    url: "https://tocsin.example/media/1",
                    expiresAt: Instant(secondsSinceEpoch: 0)
                )
            ),
            .relayActivated(
                RelayActivated(
                    relayID: RelayID(stored: "rel_1"),
                    deviceID: nil,
                    durationSeconds: 1,
                    trigger: .alarm(alarm)
                )
            ),
        ]
        for body in named { #expect(body.incident == IncidentID(3), "\(body.type)") }
        #expect(
            EventBody.deviceOnline(DeviceOnline(deviceID: Self.device, siteID: Self.site, downtimeSeconds: 1)).incident
                == nil
        )
    }

    @Test func `what can be said of by is what its sources say`() {
        let by = PartitionArmed.fields.first { $0.name == "by" }
        #expect(by?.form == .words(["user", "schedule", "remote"]))
        #expect(Set(Source.allCases.map(\.by)) == ["user", "schedule", "remote"])
    }
}
