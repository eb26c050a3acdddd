import Testing

@testable import TocsinCore

struct EncodedBodyTests {
    private let site = SiteID(stored: "site_29snd")
    private let partition = PartitionID(stored: "p_abc")
    private let id = EventID(stored: "evt_1")
    private let now = Instant(secondsSinceEpoch: 1_800_000_000)

    private var change: EventBody {
        .armingStateChanged(
            ArmingStateChanged(
                siteID: site,
                partitionID: partition,
                newState: "armed_away",
                previousState: "disarmed",
                timestamp: now,
                // Looks like the end of an event.
                triggeredBy: "\"sequence\":0}",
                source: .keypad
            )
        )
    }

    @Test(arguments: [1, 17, 9_000_000_000_000])
    func `what is encoded before its commit is what the commit would have encoded`(sequence: Int64) throws {
        let armed = EventBody.partitionArmed(
            PartitionArmed(partitionID: partition, siteID: site, mode: "away", by: "user")
        )
        let disarmed = EventBody.partitionDisarmed(
            PartitionDisarmed(partitionID: partition, siteID: site, by: "user", operatorID: "17")
        )
        for body in [change, armed, disarmed] {
            let encoded = try #require(EncodedBody(body, id: id, createdAt: now))
            let place = EventPlace(id: id, sequence: sequence, createdAt: now)
            #expect(encoded.bytes(sequence: sequence) == body.encoded(at: place))
        }
    }

    @Test(arguments: [0, 1, 86_399]) func `a body that is moved to another moment is what would have been encoded then`(
        seconds: Int
    ) throws {
        let later = now + .seconds(seconds)
        let armed = EventBody.partitionArmed(
            PartitionArmed(partitionID: partition, siteID: site, mode: "\"created_at\":\"x", by: "user")
        )
        for body in [change, armed] {
            let encoded = try #require(EncodedBody(body, id: id, createdAt: now))
            #expect(encoded.moved(to: WrittenInstant(later)) == EncodedBody(body, id: id, createdAt: later))
        }
    }

    @Test func `an id is put in wherever another stood`() {
        var bytes = Array("evt_1 and evt_1, not evt_2".utf8)
        let (strange, known) = (
            bytes.replace(EventID(stored: "evt_3"), by: id), bytes.replace(id, by: EventID(stored: "evt_7"))
        )
        #expect(!strange && known)
        #expect(String(decoding: bytes, as: UTF8.self) == "evt_7 and evt_7, not evt_2")
    }

    @Test func `what names an alarm waits for the commit, which numbers it`() {
        let body = EventBody.alarmCreated(
            AlarmCreated(
                alarm: .incident(IncidentID(1)),
                siteID: site,
                deviceID: nil,
                priority: .high,
                trigger: "motion",
                location: nil,
                snapshotURL: nil
            )
        )
        #expect(EncodedBody(body, id: id, createdAt: now) == nil)
    }
}
