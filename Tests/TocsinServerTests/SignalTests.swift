import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// What zones and devices report over HTTP (decisions §6, §14).
@Suite struct SignalTests {
    private func signal(_ zone: JSON, _ kind: String, _ at: Instant, id: String? = nil) -> JSON {
        var object: JSONObject = ["zone": zone, "kind": .string(kind), "timestamp": .string(at.rfc3339Milliseconds)]
        object["signal_id"] = id.map(JSON.string)
        return .object(object)
    }

    private func outcomes(_ answer: ServerWorld.Answer) -> [String] {
        answer["data"]?.array?.compactMap { $0["outcome"]?.string } ?? []
    }

    @Test func `each element of a batch is answered in its place`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let now = world.clock.now
            let batch: JSON = .array([
                signal(5, "open", now, id: "s1"), signal("5", "closed", now - .seconds(2), id: "s2"),
                signal(5, "open", now, id: "s1"), signal(77, "open", now, id: "s4"),
                signal("zone_unknown", "open", now, id: "s5"),
            ])
            let answer = try await world.send(.post, "\(shop.path)/signals", as: shop.key, batch)

            #expect(answer.status == 202, "\(answer.text)")
            // The earlier one is judged first, so that neither is superseded.
            #expect(outcomes(answer) == ["accepted", "accepted", "duplicate", "rejected", "rejected"])
            #expect(
                answer["data"]?.array?.compactMap { $0["signal_id"]?.string } == ["s1", "s2", "s1", "s4", "s5"]
            )
            #expect(answer["data"]?.array?.last?["reason"] == "unknown_zone")
            let older = signal(5, "closed", now - .seconds(1))
            let late = try await world.send(.post, "\(shop.path)/signals", as: shop.key, older)
            #expect(outcomes(late) == ["superseded"])
            let again = try await world.send(
                .post,
                "\(shop.path)/signals",
                as: shop.key,
                signal(5, "open", now, id: "s1")
            )
            #expect(outcomes(again) == ["duplicate"], "known from an earlier request")
            #expect(try await world.arming(shop)["zones"]?.array?[1]["state"] == "open")
        }
    }

    @Test func `a device speaks for its zones, and a partner for its sites`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("Cloud", model: "platform_triggered")
            let shop = try await world.shop(partner: partner.id)
            let elsewhere = try await world.shop("Other")
            for (id, site) in [("dev_hall", shop.site), ("dev_elsewhere", elsewhere.site)] {
                let device = Fixture(
                    id: id,
                    siteID: SiteID(stored: site),
                    kind: .device,
                    number: nil,
                    name: "Hall camera",
                    settings: ["type": "camera"]
                )
                try await world.ledger.write { try $0.insert(device) }
            }
            let now = world.clock.now.rfc3339Seconds
            let body = ["dev_hall", "dev_elsewhere", "dev_unknown"].map { device -> JSON in
                ["device_id": .string(device), "kind": "open", "timestamp": .string(now)]
            }
            let answer = try await world.send(.post, "\(shop.path)/signals", as: partner.token, .array(body))
            #expect(answer.status == 202)
            #expect(outcomes(answer) == ["accepted", "rejected", "rejected"])
            let reasons = answer["data"]?.array?.map { $0["reason"]?.string }
            #expect(reasons == ["no_zone", "unknown_device", "unknown_device"])
            let audit = try await world.send(.get, "/v1/audit?limit=200", as: world.admin)
            #expect(audit.text.contains("\"outcome\":\"rejected\",\"reason\":\"unknown_device\""))
        }
    }

    @Test func `a thousand at once are taken, one more is not`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let now = world.clock.now
            let thousand = (0..<1000).map { index in
                signal(5, index % 2 == 0 ? "open" : "closed", now - .seconds(1000 - Int64(index)), id: "s\(index)")
            }
            let answer = try await world.send(.post, "\(shop.path)/signals", as: shop.key, .array(thousand.reversed()))
            #expect(answer.status == 202)
            #expect(outcomes(answer).count == 1000)
            #expect(Set(outcomes(answer)) == ["accepted"])
            #expect(try await world.arming(shop)["zones"]?.array?[1]["state"] == "closed", "the newest one holds")
            let more = JSON.array(thousand + [signal(5, "open", now)])
            let refused = try await world.send(.post, "\(shop.path)/signals", as: shop.key, more)
            #expect(refused.status == 422)
            #expect(refused.code == "validation_failed")
        }
    }

    @Test(
        arguments: [
            (#"{"zone":5,"kind":"open"}"#, "timestamp", "validation_failed"),
            (#"{"kind":"open","timestamp":"2026-05-26T10:00:00Z"}"#, "zone", "validation_failed"),
            (#"{"zone":5,"kind":"ajar","timestamp":"2026-05-26T10:00:00Z"}"#, "kind", "validation_failed"),
            (
                #"{"zone":5,"device_id":"dev_1","kind":"open","timestamp":"2026-05-26T10:00:00Z"}"#, "device_id",
                "validation_failed"
            ),
            (#"{"zone":5,"kind":"open","timestamp":"yesterday"}"#, "timestamp", "validation_failed"),
            (#"{"zone":5,"kind":"open","timestamp":"2026-05-26T10:00:00+02:00"}"#, "timestamp", "timestamp_not_utc"),
            (#"{"zone":5,"kind":"open","timestamp":"2026-05-26T10:00:31Z"}"#, "timestamp", "timestamp_in_future"),
            (
                #"[{"zone":5,"kind":"open","timestamp":"2026-05-26T10:00:00Z"},{"zone":5,"kind":1}]"#, "[1].kind",
                "validation_failed"
            ),
            (
                #"[{"zone":5,"kind":"open","timestamp":"2026-05-26T10:00:00Z"},"#
                    + #"{"zone":5,"kind":"open","timestamp":"2026-05-26T11:00:00Z"}]"#, "[1].timestamp",
                "timestamp_in_future"
            ),
            (#"[]"#, "", "validation_failed"), (#"5"#, "", "validation_failed"),
        ]
    )
    func `bad input names its field, and nothing of the request is taken`(
        body: String,
        field: String,
        code: String
    ) async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let answer = try await world.send(.post, "\(shop.path)/signals", as: shop.key, bytes: Array(body.utf8))
            #expect(answer.status == 422, "\(answer.text)")
            #expect(answer.code == code)
            #expect(answer.field ?? "" == field)
            #expect(try await world.arming(shop)["zones"]?.array?[1]["state"] == "closed")
        }
    }

    @Test func `an open door of an armed shop starts the entry delay, and a window an alarm`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            _ = try await world.command("arm", shop, ["instant_arm": true])
            world.clock.advance(.seconds(10))
            _ = try await world.signal(shop, 1, "open")
            let inside = try await world.arming(shop)
            #expect(inside.partition(0, "state") == "entry_delay")
            #expect(inside.partition(0, "entry_delay_ends_at") == "2026-05-26T10:00:40.000Z")
            _ = try await world.signal(shop, 9, "open")
            let alarm = try await world.arming(shop)
            #expect(alarm.partition(1, "in_alarm") == true)
            #expect(alarm.partition(0, "in_alarm") == false)
            let disarmed = try await world.command("disarm", shop)
            #expect(disarmed.partition(0, "state") == "disarmed")
            #expect(disarmed.partition(1, "alarm_memory") == true)
            #expect(disarmed.partition(1, "in_alarm") == false)
        }
    }

    @Test func `a repeated upload is answered from the store`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let body = signal(5, "open", world.clock.now)
            let headers = ["Idempotency-Key": "up-1"]
            let first = try await world.send(.post, "\(shop.path)/signals", as: shop.key, body, headers: headers)
            let again = try await world.send(.post, "\(shop.path)/signals", as: shop.key, body, headers: headers)
            #expect(first.status == 202)
            #expect(again.status == 202)
            #expect(again.text == first.text)
            #expect(again.headers[.idempotencyReplayed] == "true")
        }
    }
}
