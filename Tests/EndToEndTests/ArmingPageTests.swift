import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// The lines that docs/arming.md gives to be typed.
    @Suite
    struct ArmingPage {
        @Test(.timeLimit(.minutes(5)))
        func `every curl line of the page works as it stands`() async throws {
            var shop = try #require(ShopFleet.shop().object)
            shop["users"] = [["name": "Ann", "code": "4711"]]
            shop["schedules"] = [["partition": 1, "arm": "away", "at": "18:00"]]
            var fleet = try #require(ShopFleet.of([.object(shop)]).object)
            fleet["dealers"] = [
                [
                    "name": .string(Fleet.dealer),
                    "apps": [
                        [
                            "name": .string(ShopFleet.keypad),
                            "scopes": ["arming:write", "devices:write", "sites:read", "sites:write"],
                        ]
                    ],
                ]
            ]
            try await Installation.with(.object(fleet)) { installation in
                let server = try await installation.start()
                let keypad = try installation.keypad(server)
                let lines = try Self.lines()
                #expect(lines.count >= 10)
                for line in lines {
                    try await prepare(line, keypad)
                    let outcome = try await run(line, keypad, key: installation.apiKey(ShopFleet.keypad))
                    #expect(outcome.status == 0, "\(line)\n\(outcome)")
                    let reply = try? JSONParser.parse(Array(outcome.output.utf8))
                    #expect(reply?["error"] == nil && reply?.object != nil, "\(line)\n\(outcome)")
                }
            }
        }

        /// The page's curl commands, each with the lines that it goes on over.
        private static func lines() throws -> [String] {
            let page = Program.repository.appendingPathComponent("docs/arming.md")
            let text = try String(contentsOf: page, encoding: .utf8).replacing("\\\n", with: " ")
            return text.split(separator: "\n").filter { $0.hasPrefix("curl ") }.map(String.init)
        }

        /// What must be so before the line can do what it says.
        private func prepare(_ line: String, _ keypad: ShopKeypad) async throws {
            _ = try await keypad.command("disarm", code: "4711")
            let body: JSONObject? =
                if line.contains("/skip-exit") {
                    ["mode": "away"]
                } else if line.contains("/quick-exit") {
                    ["mode": "night"]
                } else {
                    nil
                }
            if let body { #expect(try await keypad.command("arm", body, code: "4711").status == 200) }
            // The page's own signal leaves it open.
            try await keypad.signal(5, "closed")
        }

        private func run(_ line: String, _ keypad: ShopKeypad, key: String) async throws -> Outcome {
            let path = "/v1/sites/\(keypad.site)"
            let rules = try await keypad.api.expect(200, .GET, "\(path)/schedules")
            let rule = try #require(rules["data"]?.array?.first?["schedule_id"]?.string)
            let command = line.replacing("sch_…", with: rule)
            let environment = [
                "URL": keypad.api.base + path, "KEY": key, "JSON": "Content-Type: application/json",
            ]
            return try await Command(
                URL(fileURLWithPath: "/bin/sh"),
                ["-c", command],
                environment: environment
            ).outcome()
        }
    }
}
