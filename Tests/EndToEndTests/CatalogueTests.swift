import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Every type of event, fired by the real thing and judged by others.
    @Suite(.enabled(if: Python.mustRun, Python.comment))
    struct Catalogue {
        private static let panelSite = "Panel site"
        private static let cloudSite = "Cloud site"
        private static let shop = "Shop"
        private static let camera = "Hall camera"
        private static let sidePartner = "Cloud"

        @Test(.timeLimit(.minutes(4)))
        func `every type of event is fired, delivered, and valid for a validator of others`() async throws {
            let script: @Sendable (Arrival, Int) -> Answer = { arrival, _ in
                switch arrival.path {
                case "/gone": Answer(status: 410)
                case "/broken": Answer(status: 500)
                case "/silent": Answer(status: 200, isSilent: true)
                default: .accepted
                }
            }
            try await Receiver.with(answering: script) { receiver in
                try await Installation.with(Self.fleet(receiver)) { installation in
                    let server = try await installation.start()
                    let story = Story(installation: installation, api: server.api(installation.adminToken))
                    try await story.heartbeats()
                    try await story.partners(server)
                    try await story.arming()
                    try await story.alarms()
                    try await story.relayAndTest(receiver)
                    let slow = ["device.offline", "arming.warning", "schedule.failed", "sync.overdue", "sync.failed"]
                    for type in slow + ["endpoint.disabled"] { _ = try await receiver.arrival(of: type) }
                    try await story.comesBack()
                    _ = try await receiver.arrival(of: "device.online")
                    #expect(try await server.stop() == 0)

                    // An hour later the broken endpoint has failed for an hour.
                    let shim = try await ShiftedClock.library(in: installation.directory)
                    let later = try await installation.start(
                        environment: ShiftedClock.environment(shim, seconds: 3_700)
                    )
                    _ = try await receiver.arrival(of: "endpoint.failing")
                    try await judge(receiver, installation, later)
                    #expect(try await later.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        /// Has Python hold whatever arrived to the published schemas, and expects every type among it.
        private func judge(_ receiver: Receiver, _ installation: Installation, _ server: Server) async throws {
            let api = server.api(installation.adminToken)
            let types = try #require(try await api.expect(200, .GET, "/v1/event-types")["data"]?.array)
            let bodies = receiver.arrivals.current.filter { !$0.type.isEmpty }
                .map { arrival -> JSON in
                    ["type": .string(arrival.type), "body": (try? JSONParser.parse(arrival.body)) ?? .null]
                }
            let file = installation.directory.appendingPathComponent("events.json")
            let published: JSON = [
                "document": try await api.expect(200, .GET, "/openapi.json"), "types": .array(types),
                "bodies": .array(bodies),
            ]
            try Data(published.bytes).write(to: file)
            let samples = Program.repository.appendingPathComponent(
                "Tests/TocsinCoreTests/Tables/catalogue-payloads.json"
            )
            let outcome = try await Python.run("event_schemas.py", [file.path, samples.path])
            #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
            let missing = Set(types.compactMap { $0["type"]?.string })
                .subtracting(bodies.compactMap { $0["type"]?.string })
            #expect(missing == [], "these were never delivered")
        }

        // MARK: The fleet

        private static func fleet(_ receiver: Receiver) -> JSON {
            let types = EventNames.subscribable.map(JSON.string)
            let endpoint = { (path: String, types: [JSON]) -> JSON in
                ["url": .string(receiver.url(path)), "events": .array(types)]
            }
            let app: JSON = [
                "name": .string(Fleet.app),
                "scopes": ["devices:read", "events:read", "snapshots:read", "sites:read"],
                "endpoints": [
                    endpoint("/hook", types), endpoint("/gone", ["partition.armed"]),
                    endpoint("/broken", ["partition.armed"]),
                ],
            ]
            return [
                "dealers": [["name": .string(Fleet.dealer), "apps": [app]]],
                "partners": [
                    Fleet.partner(named: Fleet.partner),
                    [
                        "name": .string(sidePartner), "arming_model": "platform_triggered",
                        "endpoints": [endpoint("/silent", ["arming.command"])],
                    ],
                ],
                "sites": [
                    Fleet.site(named: panelSite), Fleet.site(named: cloudSite, partner: sidePartner), shopSite,
                ],
            ]
        }

        /// Where it is about noon, so that no time of the test is on another day.
        private static let (timezone, now): (String, Date) = {
            let date = Date()
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = .gmt
            let offset = 12 - calendar.component(.hour, from: date)
            let name = offset == 0 ? "Etc/GMT" : "Etc/GMT\(offset > 0 ? "-" : "+")\(abs(offset))"
            return (name, date.addingTimeInterval(Double(offset) * 3600))
        }()

        private static func minutesFromNow(_ minutes: Double) -> JSON {
            var style = Date.VerbatimFormatStyle.hourAndMinute
            style.timeZone = .gmt
            return .string(now.addingTimeInterval(minutes * 60).formatted(style))
        }

        private static var shopSite: JSON {
            let partitions = (1...3).map { number -> JSON in
                [
                    "number": JSON(number), "name": .string("Area \(number)"),
                    "exit_delay_seconds": ["away": 1, "stay": 0, "night": 0], "entry_delay_seconds": 30,
                    "opening_hours": [
                        ["open_from": "20:00", "open_to": "21:00", "close_from": "22:00", "close_to": "23:00"]
                    ],
                ]
            }
            return [
                "name": .string(shop), "external_site_id": .string(shop), "dealer": .string(Fleet.dealer),
                "timezone": .string(timezone), "partitions": .array(partitions),
                "devices": [["name": .string(camera), "type": "camera"]],
                "zones": [
                    [
                        "number": 5, "name": "Back Door", "type": "perimeter", "kind": "contact", "partitions": [1],
                        "device": .string(camera),
                    ],
                    ["number": 6, "name": "Window", "type": "perimeter", "kind": "contact", "partitions": [1]],
                ],
                "users": [["name": "Ann", "code": .string(ShopFleet.code)]],
                "schedules": [
                    ["name": "Closing", "partition": 2, "arm": "away", "at": minutesFromNow(2), "warning_minutes": 1],
                    ["name": "Step down", "partition": 3, "arm": "night", "at": minutesFromNow(2)],
                ],
                "relays": [["name": "Siren", "device": .string(camera)]],
            ]
        }
    }
}

/// What the types are called that an endpoint may name.
private enum EventNames {
    static let subscribable = [
        "alarm.created", "alarm.acknowledged", "alarm.dispatched", "alarm.resolved", "alarm.escalated",
        "alarm.annotated", "alarm.activity", "device.online", "device.offline", "device.firmware_updated",
        "snapshot.created", "verification.requested", "partition.armed", "partition.disarmed", "relay.activated",
        "arming.state_changed", "arming.failed", "arming.warning", "arming.exception", "endpoint.disabled",
        "endpoint.failing", "sync.overdue", "sync.late", "sync.failed", "schedule.failed",
    ]
}

extension Date.VerbatimFormatStyle {
    fileprivate static let hourAndMinute = Self(
        format: "\(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits)",
        timeZone: .gmt,
        calendar: Calendar(identifier: .gregorian)
    )
}

extension Receiver {
    /// Waits as long as the slowest of them takes: a warning a minute ahead, a device's 60 s of silence.
    fileprivate func arrival(of type: String) async throws -> Arrival {
        try await arrivals.wait(for: type, within: .seconds(150)) { all in
            all.first { $0.type == type && $0.path == "/hook" }
        }
    }
}

/// What happens at the sites, in the order in which it is told.
private struct Story {
    var installation: Installation
    var api: API

    private var shop: String { get throws { try installation.siteID("Shop") } }

    private func id(_ list: String, _ member: String) throws -> String {
        let items = try installation.site("Shop")[list]?.array
        return try #require(items?.first?[member]?.string)
    }

    private var device: String { get throws { try id("devices", "device_id") } }

    func heartbeats() async throws {
        for version in ["1.0", "1.1"] {
            let beat: JSON = ["firmware_version": .string(version)]
            try await api.expect(202, .POST, "/v1/devices/\(try device)/heartbeat", beat)
        }
    }

    func comesBack() async throws {
        try await api.expect(202, .POST, "/v1/devices/\(try device)/heartbeat", [:])
    }

    func partners(_ server: Server) async throws {
        let partner = server.api(try await installation.partnerToken(server))
        let site = try installation.siteID("Panel site")
        try await partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 20)))
        try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 10)))
        let begun = Report(state: "arming_in_progress", more: ["delay_seconds": 1])
        try await partner.report(site, begun)
        let cloud = try installation.siteID("Cloud site")
        let unanswered = try await api.post("/v1/sites/\(cloud)/arming/actions/arm", ["mode": "stay"])
        #expect(unanswered.status == 504, "\(unanswered.text)")
    }

    private func signal(_ zone: Int, _ kind: String) async throws {
        let signal = ShopKeypad.signal(zone, kind, at: Date())
        try await api.expect(202, .POST, "/v1/sites/\(try shop)/signals", signal)
    }

    private func command(_ action: String, _ body: JSONObject) async throws -> Reply {
        var body = body
        body["user_code"] = .string(ShopFleet.code)
        return try await api.post("/v1/sites/\(try shop)/arming/actions/\(action)", .object(body))
    }

    func arming() async throws {
        try await signal(5, "open")
        let refused = try await command("arm", ["mode": "away", "partition": 1])
        #expect(refused.errorCode == "arm_failed", "\(refused.text)")
        try await signal(5, "closed")
        for partition in [1, 3] {
            let armed = try await command(
                "arm",
                ["mode": "away", "partition": JSON(partition), "instant_arm": true]
            )
            #expect(armed.status == 200, "\(armed.text)")
        }
    }

    func alarms() async throws {
        try await signal(5, "open")
        try await signal(6, "open")
        let alarms = try await api.expect(200, .GET, "/v1/alarms?site_id=\(try shop)")
        let number = try #require(alarms["data"]?.array?.first?["alarm_id"]?.string)
        let path = "/v1/alarms/\(number)"
        let dealer = "?dealer_id=\(try installation.dealerID())"
        let uploaded = try await api.send(
            .POST,
            "/v1/devices/\(try device)/snapshots",
            headers: [("Content-Type", "image/png")],
            body: .bytes(ByteBuffer(bytes: Picture.png))
        )
        #expect(uploaded.status == 201, "\(uploaded.text)")
        let steps: [(String, JSON)] = [
            ("verification", ["deadline_seconds": 90]),
            ("verification/answer", ["verdict": "confirmed"]),
            ("annotate", ["source": "ai", "verdict": "person", "confidence": .decimal("0.92")]),
            ("acknowledge", ["reason": "AI verified, confidence=0.92"]),
            ("escalate", ["reason": "two people"]),
            (
                "dispatch",
                [
                    "responder_id": "rsp_8x2k", "responder_type": "guard", "eta_seconds": 240,
                    "tracking_url": "https://dispatch.example/d/1",
                ]
            ),
            ("resolve", ["resolution": "false-positive", "notes": "Cleaning crew"]),
        ]
        for (action, body) in steps {
            try await api.expect(200, .POST, "\(path)/\(action)\(dealer)", body)
        }
        let whole = try await api.expect(200, .GET, path + dealer)
        #expect(whole["state"] == "resolved")
        #expect((whole["timeline"]?.array?.count ?? 0) >= steps.count, "\(whole.text)")
        #expect(try await command("disarm", ["partition": 1]).status == 200)
    }

    func relayAndTest(_ receiver: Receiver) async throws {
        let relay = try id("relays", "relay_id")
        try await api.expect(200, .POST, "/v1/relays/\(relay)/activate", ["duration_seconds": 2])
        let endpoints = try #require(try installation.item("apps", Fleet.app)["endpoints"]?.array)
        let hook = endpoints.first { $0["url"]?.string == receiver.url() }?["endpoint_id"]?.string ?? ""
        let tested = try await api.send(.POST, "/v1/endpoints/\(hook)/actions/test")
        #expect((200...202).contains(tested.status), "\(tested.text)")
    }
}

enum Picture {
    /// One pixel.
    static let png =
        Data(
            base64Encoded: """
                iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
                """
        ).map(Array.init) ?? []
}
