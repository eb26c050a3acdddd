import Foundation
import Testing
import TocsinJSON

extension EndToEnd {
    /// The lines that docs/alarms.md gives to be typed, one after the other.
    @Suite
    struct AlarmPage {
        private static let desk = "desk"

        @Test(.timeLimit(.minutes(5)))
        func `every curl line of the page works as it stands`() async throws {
            var fleet = try #require(ShopFleet.of([ShopFleet.shop()]).object)
            fleet["dealers"] = [
                [
                    "name": .string(Fleet.dealer),
                    "apps": [
                        ["name": .string(Self.desk), "scopes": ["events:read", "events:write", "alarms:write"]]
                    ],
                ]
            ]
            try await Installation.with(.object(fleet)) { installation in
                let server = try await installation.start()
                let key = try installation.apiKey(Self.desk)
                let environment = [
                    "URL": server.api(key).base + "/v1", "SITE": try installation.siteID(Fleet.site), "KEY": key,
                    "JSON": "Content-Type: application/json",
                ]
                let page = Program.repository.appendingPathComponent("docs/alarms.md")
                let text = try String(contentsOf: page, encoding: .utf8).replacing("\\\n", with: " ")
                let lines = text.split(separator: "\n").filter { $0.hasPrefix("curl ") }.map(String.init)
                #expect(lines.count >= 10)
                var last = JSON.null
                for line in lines {
                    let outcome = try await Command(
                        URL(fileURLWithPath: "/bin/sh"),
                        ["-c", line],
                        environment: environment
                    ).outcome()
                    #expect(outcome.status == 0, "\(line)\n\(outcome)")
                    last = (try? JSONParser.parse(Array(outcome.output.utf8))) ?? .null
                    #expect(last["error"] == nil && last.object != nil, "\(line)\n\(outcome)")
                }
                #expect(last["alarm_id"] == "A-1" && last["state"] == "resolved")
            }
        }
    }
}
