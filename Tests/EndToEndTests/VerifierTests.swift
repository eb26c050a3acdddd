import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// The example of the documents, a verifier that knows the public catalogue only, at work.
    @Suite(.enabled(if: Python.mustRun, Python.comment), .timeLimit(.minutes(5)))
    struct Verifiers {
        private static let app = "verifier"

        @Test func `a video verifier hears of an alarm, fetches its snapshot, annotates and acknowledges`() async throws
        {
            // A port that was free just now.
            let hook = try await Receiver.with { $0.url() }
            try await Installation.with(Self.fleet(hook)) { installation in
                let server = try await installation.start()
                let verifier = try Self.start(hook, installation, server)
                defer { verifier.signal(SIGKILL) }
                _ = try await verifier.line(after: "listening on ")
                let admin = server.api(installation.adminToken)
                let site = try installation.siteID(Fleet.site)
                let camera = try #require(
                    try installation.site(Fleet.site)["devices"]?.array?.first?["device_id"]?.string
                )
                let arm: JSON = ["mode": "away", "instant_arm": true, "user_code": .string(ShopFleet.code)]
                try await admin.expect(200, .POST, "/v1/sites/\(site)/arming/actions/arm", arm)
                let uploaded = try await admin.send(
                    .POST,
                    "/v1/devices/\(camera)/snapshots",
                    headers: [("Content-Type", "image/png")],
                    body: .bytes(ByteBuffer(bytes: Picture.png))
                )
                #expect(uploaded.status == 201, "\(uploaded.text)")
                try await admin.expect(
                    202,
                    .POST,
                    "/v1/sites/\(site)/signals",
                    ShopKeypad.signal(5, "open", at: Date())
                )
                #expect(try await verifier.line(after: "A-1: ") == "person (0.92)")
                let alarm = "/v1/alarms/A-1?dealer_id=\(try installation.dealerID())"
                try await eventually("the alarm is acknowledged") {
                    try await admin.expect(200, .GET, alarm)["state"] == "acknowledged"
                }
                let story = try await admin.expect(200, .GET, alarm)
                #expect(story["acknowledged"]?["operator_id"]?.string?.hasPrefix("app_") == true, "\(story.text)")
                #expect(story.text.contains("AI verified, confidence=0.92"), "\(story.text)")
                #expect(try await server.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        private static func start(
            _ hook: String,
            _ installation: Installation,
            _ server: Server
        ) throws -> Command {
            // Looks at the bytes as a model would, and is sure of what it sees where they are the picture's.
            let judge = """
                import json, sys
                seen = sys.stdin.buffer.read().startswith(b'\\x89PNG')
                print(json.dumps({'verdict': 'person' if seen else 'nothing', 'confidence': 0.92}))
                """
            let file = installation.directory.appendingPathComponent("judge.py")
            try Data(judge.utf8).write(to: file)
            let port = URL(string: hook)?.port ?? 0
            let script = Program.repository.appendingPathComponent("docs/examples/ai_verifier.py").path
            return try Python.start(
                path: script,
                ["--port", "\(port)", "--judge", "\(Python.path) \(file.path)"],
                environment: [
                    "TOCSIN_URL": server.url, "TOCSIN_API_KEY": try installation.apiKey(app),
                    "TOCSIN_SECRET": try installation.secret(of: hook, app: app),
                ]
            )
        }

        private static func fleet(_ hook: String) -> JSON {
            let verifier: JSON = [
                "name": .string(app), "scopes": ["events:read", "events:write", "snapshots:read"],
                "endpoints": [["url": .string(hook), "events": ["alarm.created", "snapshot.created"]]],
            ]
            var site = ShopFleet.shop().object ?? [:]
            site["devices"] = [["name": "Hall camera", "type": "camera"]]
            site["zones"] = [
                [
                    "number": 5, "name": "Back Door", "type": "perimeter", "kind": "contact", "partitions": [1],
                    "device": "Hall camera",
                ]
            ]
            return [
                "dealers": [["name": .string(Fleet.dealer), "apps": [verifier]]], "sites": [.object(site)],
            ]
        }
    }
}
