import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Devices and a server that dies.
    @Suite
    struct Devices {
        private static let count = 300

        @Test(.timeLimit(.minutes(2)))
        func `kill -9 forgets ten seconds of sightings at most`() async throws {
            try await Installation.with(Self.fleet) { installation in
                let server = try await installation.start()
                let app = server.api(try installation.apiKey(ShopFleet.keypad))
                let devices = try Self.devices(installation)
                let early = try await beat(app, devices)
                #expect(early == Self.count)
                let beaten = ContinuousClock.now
                // What is kept within ten seconds is told by the server itself, so that nobody waits longer than it takes.
                try await eventually("everything kept", within: .seconds(10)) {
                    try await server.api().get("/metrics").text.contains("tocsin_device_sightings_unwritten 0")
                }
                #expect(ContinuousClock.now - beaten < .seconds(10))
                let before = try await seen(app, devices)
                #expect(before.count == Self.count)
                try await server.crash()

                let second = try await installation.start()
                let again = second.api(try installation.apiKey(ShopFleet.keypad))
                try await eventually("the devices were read") {
                    try await again.get("/v1/devices?limit=1").status == 200
                }
                #expect(try await seen(again, devices) == before)
                #expect(try await again.get("/v1/devices?status=offline").json["data"]?.array == [])
                #expect(try await beat(again, devices) == Self.count)
                #expect(try await second.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a server that stops keeps what was seen at its last moment`() async throws {
            try await Installation.with(Self.fleet) { installation in
                let server = try await installation.start()
                let app = server.api(try installation.apiKey(ShopFleet.keypad))
                let devices = try Self.devices(installation)
                #expect(try await beat(app, devices) == Self.count)
                let before = try await seen(app, devices)
                #expect(try await server.stop() == 0)

                let second = try await installation.start()
                let again = second.api(try installation.apiKey(ShopFleet.keypad))
                try await eventually("the devices were read") {
                    try await again.get("/v1/devices?limit=1").status == 200
                }
                #expect(try await seen(again, devices) == before)
                #expect(try await second.stop() == 0)
            }
        }

        private static var fleet: JSON {
            var shop = ShopFleet.shop().object ?? [:]
            shop["devices"] = .array((0..<count).map { ["name": .string("Camera \($0)"), "type": "camera"] })
            var fleet = ShopFleet.of([.object(shop)]).object ?? [:]
            fleet["dealers"] = [
                [
                    "name": .string(Fleet.dealer),
                    "apps": [["name": .string(ShopFleet.keypad), "scopes": ["devices:write", "devices:read"]]],
                ]
            ]
            return .object(fleet)
        }

        private static func devices(_ installation: Installation) throws -> [String] {
            let devices = try installation.site(Fleet.site)["devices"]?.array ?? []
            return devices.compactMap { $0["device_id"]?.string }
        }

        /// Tells that all of them live; returns how many count.
        private func beat(_ api: API, _ devices: [String]) async throws -> Int {
            let body: JSON = ["device_ids": .array(devices.map(JSON.string))]
            return try await api.expect(202, .POST, "/v1/devices/heartbeats", body)["accepted"]?.integer.map(Int.init)
                ?? 0
        }

        /// When each device was last seen; those never seen are left out.
        private func seen(_ api: API, _ devices: [String]) async throws -> [String: String] {
            var seen: [String: String] = [:]
            for start in stride(from: 0, to: devices.count, by: 100) {
                let ids = devices[start..<min(start + 100, devices.count)].joined(separator: ",")
                let page = try await api.expect(200, .GET, "/v1/devices?limit=100&ids=\(ids)")
                for device in page["data"]?.array ?? [] {
                    guard let id = device["device_id"]?.string else { continue }
                    seen[id] = device["last_seen_at"]?.string
                }
            }
            return seen
        }
    }
}
