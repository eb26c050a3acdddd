import Foundation
import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// Which picture belongs to which alarm (decisions §6, §7).
@Suite struct SnapshotAlarmTests {
    /// A camera whose zone guards day and night, and what its app does.
    struct Hall: Sendable {
        let world: ServerWorld
        let camera: ServerWorld.Camera
        let key: String

        static func run(_ body: @Sendable @escaping (Hall) async throws -> Void) async throws {
            try await ServerWorld.run { world in
                let camera = try await world.camera()
                let (_, key) = try await world.app(of: camera.dealer, Set(Scope.allCases))
                let zone: JSON = [
                    "number": 7, "name": "Hall", "type": "h24_panic_audible", "kind": "panic",
                    "device_id": .string(camera.device), "partitions": [1],
                ]
                let made = try await world.send(.post, "/v1/sites/\(camera.site)/zones", as: world.admin, zone)
                #expect(made.status == 201, "\(made.text)")
                try await world.settled()
                try await body(Hall(world: world, camera: camera, key: key))
            }
        }

        /// Uploads a picture; each is another one.
        func upload(query: String = "") async throws -> ServerWorld.Answer {
            let made = try await world.upload(try Sample.bytes("door.jpg"), to: camera, query: query, token: key)
            #expect(made.status == 201, "\(made.text)")
            return made
        }

        func raise(_ more: JSONObject = [:], class alarmClass: String = "intrusion") async throws -> String {
            var body: JSONObject = [
                "site_id": .string(camera.site), "device_id": .string(camera.device), "trigger": "motion",
                "class": .string(alarmClass),
            ]
            for member in more.members { body[member.name] = member.value }
            let made = try await world.send(.post, "/v1/alarms", as: key, .object(body))
            #expect(made.status == 201, "\(made.text)")
            return try made.string("alarm_id")
        }

        func signal(_ kind: String, zone: Int = 7, snapshot: String? = nil) async throws {
            var body: JSONObject = [
                "zone": JSON(zone), "kind": .string(kind), "timestamp": .string(world.clock.now.rfc3339Milliseconds),
            ]
            body["snapshot_id"] = snapshot.map(JSON.string)
            let answer = try await world.send(.post, "/v1/sites/\(camera.site)/signals", as: key, .object(body))
            #expect(answer.status == 202, "\(answer.text)")
            #expect(answer["data"]?.array?.first?["outcome"] == "accepted")
        }

        /// The data of the newest event of that type.
        func newest(_ type: EventType) async throws -> JSON {
            let dealer = DealerID(stored: camera.dealer)
            let events = try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 100) }
            let event = try #require(events.last { $0.type == type })
            let body = try JSONParser.parse(event.body)
            #expect(type.bodySchema.validate(body, strict: true).isEmpty)
            return try #require(body["data"])
        }

        func alarm(of snapshot: ServerWorld.Answer) async throws -> JSON? {
            let id = try snapshot.string("snapshot_id")
            return try await world.send(.get, "/v1/snapshots/\(id)", as: key)["alarm_id"]
        }

        func timeline(_ alarm: String) async throws -> [JSON] {
            try await world.send(.get, "/v1/alarms/\(alarm)", as: key)["timeline"]?.array ?? []
        }
    }

    @Test func `an alarm is shown with its pictures, to whoever may see pictures`() async throws {
        try await Hall.run { hall in
            let alarm = try await hall.raise()
            var pictures: [String] = []
            for _ in 0..<3 {
                pictures.append(try await hall.upload(query: "?alarm_id=\(alarm)").string("snapshot_id"))
                hall.world.clock.advance(.seconds(1))
            }
            let other = try await hall.raise(class: "fire")
            let shown = try await hall.world.send(.get, "/v1/alarms/\(alarm)", as: hall.key)
            let snapshots = try #require(shown["snapshots"]?.array)
            #expect(snapshots.compactMap { $0["snapshot_id"]?.string } == pictures.reversed())
            for snapshot in snapshots {
                let id = try #require(snapshot["snapshot_id"]?.string)
                #expect(try await hall.world.send(.get, "/v1/snapshots/\(id)", as: hall.key).json == snapshot)
                #expect(snapshot["alarm_id"]?.string == alarm && snapshot["content_type"] == "image/jpeg")
                let path = try hall.world.path(of: try #require(snapshot["url"]?.string))
                #expect(try await hall.world.fetch(path).status == 200)
            }
            #expect(try await hall.world.send(.get, "/v1/alarms/\(other)", as: hall.key)["snapshots"] == [])
            let (_, blind) = try await hall.world.app(of: hall.camera.dealer, [.eventsRead])
            let unseen = try await hall.world.send(.get, "/v1/alarms/\(alarm)", as: blind)
            #expect(unseen.status == 200 && unseen["snapshots"] == nil)
            let list = try await hall.world.send(.get, "/v1/alarms", as: hall.key)
            #expect(list["data"]?.array?.allSatisfy { $0["snapshots"] == nil } == true)
        }
    }

    @Test func `an alarm shows the newest picture of its device, which then belongs to it alone`() async throws {
        try await Hall.run { hall in
            _ = try await hall.upload()
            hall.world.clock.advance(.seconds(1))
            let newest = try await hall.upload()
            hall.world.clock.advance(.seconds(30))
            let first = try await hall.raise()
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == newest["url"])
            #expect(try await hall.alarm(of: newest)?.string == first)
            #expect(try await hall.timeline(first).first?["details"]?["snapshot_id"] == newest["snapshot_id"])
            let listed = try await hall.world.send(.get, "/v1/snapshots?alarm_id=\(first)", as: hall.key)
            #expect(listed["data"]?.array?.map { $0["snapshot_id"] } == [newest["snapshot_id"]])
            // The older one is too old by now, and the newer one is taken.
            _ = try await hall.raise(class: "fire")
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == nil)
        }
    }

    @Test func `a picture that comes later belongs to the unresolved alarm of its device`() async throws {
        try await Hall.run { hall in
            let alarm = try await hall.raise()
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == nil)
            hall.world.clock.advance(.seconds(600))
            let late = try await hall.upload()
            #expect(late["alarm_id"]?.string == alarm)
            let told = try await hall.newest(.snapshotCreated)
            #expect(told["alarm_id"]?.string == alarm && told["snapshot_id"] == late["snapshot_id"])
            let entry = try #require(try await hall.timeline(alarm).last)
            #expect(entry["kind"] == "snapshot_added")
            #expect(entry["details"]?["snapshot_id"] == late["snapshot_id"])
            #expect(entry["event_id"] != nil)

            hall.world.clock.advance(.seconds(1))
            #expect(try await hall.upload()["alarm_id"] == nil)
            #expect(try await hall.newest(.snapshotCreated)["alarm_id"] == nil)
        }
    }

    @Test func `a picture tells nobody of a silent alarm who may not see alarms`() async throws {
        try await Hall.run { hall in
            let alarm = try await hall.raise(class: "duress")
            let (_, blind) = try await hall.world.app(of: hall.camera.dealer, [.snapshotsRead, .snapshotsWrite])

            let bytes = try Sample.bytes("door.jpg")
            let made = try await hall.world.upload(bytes, to: hall.camera, token: blind)
            #expect(made.status == 201 && made["alarm_id"] == nil, "\(made.text)")
            let path = try "/v1/snapshots/\(made.string("snapshot_id"))"
            for read in [path, "/v1/snapshots"] {
                let answer = try await hall.world.send(.get, read, as: blind)
                #expect(answer.status == 200 && !answer.text.contains("alarm_id"), "\(answer.text)")
            }
            let asked = try await hall.world.send(.get, "/v1/snapshots?alarm_id=\(alarm)", as: blind)
            #expect(asked.status == 403 && asked.code == "permission_denied")
            #expect(try await hall.newest(.snapshotCreated)["alarm_id"] == nil)

            // It belongs to the alarm all the same, for whoever may know.
            #expect(try await hall.alarm(of: made)?.string == alarm)
            #expect(try await hall.timeline(alarm).last?["kind"] == "snapshot_added")
        }
    }

    @Test func `a resolved alarm gets no more pictures unless it is named within the hour`() async throws {
        try await Hall.run { hall in
            let alarm = try await hall.raise()
            let resolved = try await hall.world.send(
                .post,
                "/v1/alarms/\(alarm)/resolve",
                as: hall.key,
                ["resolution": "handled"]
            )
            #expect(resolved.status == 200, "\(resolved.text)")
            #expect(try await hall.upload()["alarm_id"] == nil)
            hall.world.clock.advance(.seconds(3600))
            #expect(try await hall.upload(query: "?alarm_id=\(alarm)")["alarm_id"]?.string == alarm)
            #expect(try await hall.timeline(alarm).last?["kind"] == "snapshot_added")
            hall.world.clock.advance(.milliseconds(1))
            let over = try await hall.world.upload(
                try Sample.bytes("door.png"),
                as: "image/png",
                to: hall.camera,
                query: "?alarm_id=\(alarm)"
            )
            #expect((over.status, over.field) == (422, "alarm_id"), "\(over.text)")
        }
    }

    @Test func `an alarm that is unknown, foreign or elsewhere refuses the picture, and nothing is left`() async throws
    {
        try await Hall.run { hall in
            let world = hall.world
            let theirs = try await world.camera("Bolt")
            let second = try await world.site("Acme store", dealer: hall.camera.dealer).string("site_id")
            let raised = try await world.send(
                .post,
                "/v1/alarms",
                as: hall.key,
                ["site_id": .string(second), "trigger": "motion"]
            )
            let elsewhere = try raised.string("alarm_id")
            for (alarm, camera, status) in [
                ("A-99", hall.camera, 404), ("A-007", hall.camera, 404), ("..", hall.camera, 422),
                (elsewhere, hall.camera, 422), (elsewhere, theirs, 404),
            ] {
                let refused = try await world.upload(
                    try Sample.bytes("door.jpg"),
                    to: camera,
                    query: "?alarm_id=\(alarm)"
                )
                #expect((refused.status, refused.field) == (status, "alarm_id"), "\(alarm): \(refused.text)")
            }
            #expect(try world.files() == [])
            #expect(try await world.counts()["snapshot"] == 0)
        }
    }

    @Test func `a picture that a signal names is shown with its alarm, however old it is`() async throws {
        try await Hall.run { hall in
            let named = try await hall.upload()
            hall.world.clock.advance(.seconds(60))
            _ = try await hall.upload()
            try await hall.signal("triggered", snapshot: named.string("snapshot_id"))
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == named["url"])
            #expect(try await hall.alarm(of: named) != nil)
        }
    }

    @Test func `a picture that another alarm has stands in no alarm's way, and one that is unknown is told`()
        async throws
    {
        try await Hall.run { hall in
            let used = try await hall.upload()
            let first = try await hall.raise(["snapshot_id": try #require(used["snapshot_id"])])
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == used["url"])
            try await hall.signal("triggered", snapshot: used.string("snapshot_id"))
            #expect(try await hall.newest(.alarmCreated)["snapshot_url"] == nil)
            #expect(try await hall.alarm(of: used)?.string == first)
            let body: JSON = [
                "site_id": .string(hall.camera.site), "trigger": "smoke", "class": "fire",
                "snapshot_id": "snap_unknown",
            ]
            let refused = try await hall.world.send(.post, "/v1/alarms", as: hall.key, body)
            #expect(refused.status == 422 && refused["error"]?["field"] == "snapshot_id", "\(refused.text)")
        }
    }

    @Test func `a picture that began an entry delay is shown with its alarm, not with the next one`() async throws {
        try await Hall.run { hall in
            let zone: JSON = ["number": 5, "name": "Door", "type": "exit_entry", "partitions": [1]]
            _ = try await hall.world.send(.post, "/v1/sites/\(hall.camera.site)/zones", as: hall.world.admin, zone)
            try await hall.world.settled()
            let picture = try await hall.upload()
            hall.world.clock.advance(.seconds(60))
            let path = "/v1/sites/\(hall.camera.site)/arming/actions"
            let armed = try await hall.world.send(
                .post,
                "\(path)/arm",
                as: hall.world.admin,
                ["mode": "away", "instant_arm": true]
            )
            #expect(armed.status == 200, "\(armed.text)")
            try await hall.signal("open", zone: 5, snapshot: picture.string("snapshot_id"))
            hall.world.clock.advance(.seconds(400))
            // Any input of the site lets the countdown end first.
            try await hall.signal("closed", zone: 5)
            let alarm = try await hall.newest(.alarmCreated)
            #expect(alarm["trigger"] == "door-forced" || alarm["trigger"] == "entry-delay-expired", "\(alarm.text)")
            #expect(alarm["snapshot_url"] == picture["url"], "\(alarm.text)")
            #expect(try await hall.alarm(of: picture) != nil)
        }
    }

    @Test func `pictures of a zone that trips in a raised alarm belong to that alarm`() async throws {
        try await Hall.run { hall in
            let body: JSON = ["site_id": .string(hall.camera.site), "trigger": "panic", "class": "panic"]
            let raised = try await hall.world.send(.post, "/v1/alarms", as: hall.key, body)
            let alarm = try raised.string("alarm_id")
            // Long after it was raised, so that only the trip can tell which alarm is meant.
            hall.world.clock.advance(.seconds(1_800))
            let named = try await hall.upload()
            hall.world.clock.advance(.seconds(60))
            try await hall.signal("triggered", snapshot: named.string("snapshot_id"))
            #expect(try await hall.alarm(of: named)?.string == alarm)
            let entry = try await hall.timeline(alarm).last { $0["kind"] == "activity" }
            #expect(entry?["details"]?["snapshot_ids"] == [try #require(named["snapshot_id"])])

            hall.world.clock.advance(.seconds(20))
            let later = try await hall.upload()
            #expect(later["alarm_id"]?.string == alarm, "\(later.text)")
            #expect(try await hall.newest(.snapshotCreated)["alarm_id"]?.string == alarm)
            let shown = try await hall.world.send(.get, "/v1/alarms/\(alarm)", as: hall.key)
            #expect(shown["snapshots"]?.array?.count == 2)
        }
    }

    @Test func `a picture that is there when its zone trips in a raised alarm belongs to that alarm`() async throws {
        try await Hall.run { hall in
            let body: JSON = ["site_id": .string(hall.camera.site), "trigger": "panic", "class": "panic"]
            let alarm = try await hall.world.send(.post, "/v1/alarms", as: hall.key, body).string("alarm_id")
            let early = try await hall.upload()
            #expect(early["alarm_id"] == nil)
            try await hall.signal("triggered")
            #expect(try await hall.alarm(of: early)?.string == alarm)
        }
    }

    @Test func `an upload is a sign of life`() async throws {
        try await Hall.run { hall in
            _ = try await hall.upload()
            let device = try await hall.world.send(.get, "/v1/devices/\(hall.camera.device)", as: hall.world.admin)
            #expect(device["status"] == "online" && device["last_seen_at"] != nil, "\(device.text)")
        }
    }
}
