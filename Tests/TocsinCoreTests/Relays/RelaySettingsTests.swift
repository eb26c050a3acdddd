import Testing
import TocsinCore
import TocsinJSON

@Suite struct RelaySettingsTests {
    private static func fixture(_ settings: JSONObject) -> Fixture {
        Fixture(
            id: "rel_1",
            siteID: SiteID(stored: "site_123"),
            kind: .relay,
            number: nil,
            name: "Siren",
            settings: settings
        )
    }

    @Test func `a relay's settings read back equal`() throws {
        let relays = [
            Relay(id: RelayID(stored: "rel_1"), name: "Siren"),
            Relay(
                id: RelayID(stored: "rel_1"),
                name: "Siren",
                deviceID: DeviceID(stored: "dev_1"),
                rules: [
                    RelayRule(durationSeconds: 1),
                    RelayRule(
                        priorities: [.high, .critical],
                        classes: [.fire],
                        partitions: [2, 1],
                        zones: [7],
                        includesSilent: true,
                        durationSeconds: 3600
                    ),
                ],
                actuator: .webhook(url: "https://bridge.test/relay", sealedSecret: "c2VjcmV0")
            ),
        ]
        for relay in relays { #expect(try Relay(Self.fixture(relay.settings)) == relay) }
    }

    @Test(
        arguments: [
            (["rules": "all"], "rules"),
            (["rules": [7]], "rules[0]"),
            (["rules": [["duration_seconds": 5]]], "rules[0].on"),
            (["rules": [["on": "alarm.resolved", "duration_seconds": 5]]], "rules[0].on"),
            (["rules": [["on": "alarm.created"]]], "rules[0].duration_seconds"),
            (["rules": [["on": "alarm.created", "duration_seconds": 3601]]], "rules[0].duration_seconds"),
            (["rules": [["on": "alarm.created", "duration_seconds": 5, "silent": 1]]], "rules[0].silent"),
            (["rules": [["on": "alarm.created", "duration_seconds": 5, "classes": []]]], "rules[0].classes"),
            (["rules": [["on": "alarm.created", "duration_seconds": 5, "classes": ["flood"]]]], "rules[0].classes"),
            (["rules": [["on": "alarm.created", "duration_seconds": 5, "zones": [1, 1]]]], "rules[0].zones"),
            (["actuator": ["type": "telnet"]], "actuator.type"),
            (["actuator": ["type": "webhook"]], "actuator.url"),
            (["actuator": ["type": "webhook", "url": "https://b.test"]], "actuator.secret"),
        ] as [(JSONObject, String)]
    )
    func `what cannot be is refused by its member`(settings: JSONObject, field: String) {
        do throws(RelayProblem) {
            _ = try Relay(Self.fixture(settings))
            Issue.record("nothing was refused")
        } catch {
            #expect(error.field == field)
        }
    }

    @Test func `more rules than a relay may have are refused`() {
        let rule: JSON = ["on": "alarm.created", "duration_seconds": 5]
        let settings: JSONObject = ["rules": .array(Array(repeating: rule, count: Relay.maximumRules + 1))]
        #expect(throws: RelayProblem.self) { try Relay(Self.fixture(settings)) }
    }

    // MARK: Commands

    private static func command(_ order: RelayEffect.Order) -> RelayCommand {
        RelayCommand(
            id: RelayCommandID(stored: "cmd_1"),
            relayID: RelayID(stored: "rel_1"),
            deviceID: DeviceID(stored: "dev_1"),
            siteID: SiteID(stored: "site_123"),
            dealerID: DealerID(stored: "dlr_1"),
            order: order,
            createdAt: .midnight("2026-05-26")
        )
    }

    @Test func `a command's body is the same at every attempt`() {
        let until = Instant.midnight("2026-05-26") + .seconds(30)
        #expect(
            String(decoding: Self.command(.on(until: until, seconds: 30)).body, as: UTF8.self)
                == """
                {"id":"cmd_1","type":"relay.command","created_at":"2026-05-26T00:00:00.000Z","data":{"relay_id":"rel_1",\
                "device_id":"dev_1","command":"on","until":"2026-05-26T00:00:30.000Z","duration_seconds":30}}
                """
        )
        #expect(
            String(decoding: Self.command(.off).body, as: UTF8.self).hasSuffix(
                #""data":{"relay_id":"rel_1","device_id":"dev_1","command":"off"}}"#
            )
        )
    }

    @Test func `a command is tried with growing pauses for as long as it is of use`() {
        let start = Instant.midnight("2026-05-26")
        for (order, life) in [(RelayEffect.Order.on(until: start + .seconds(40), seconds: 40), 40), (.off, 86_400)] {
            var command = Self.command(order)
            var now = start
            var pauses: [Int64] = []
            while true {
                let outcome = command.failed("no answer", at: now)
                guard let next = outcome.nextAttemptAt else {
                    #expect(outcome.state == .failed)
                    break
                }
                #expect(outcome.state == .waiting)
                pauses.append((next - now).milliseconds / 1000)
                (command.attempts, now) = (outcome.attempts, next)
            }
            #expect(Array(pauses.prefix(4)) == [1, 2, 5, 10])
            #expect(now - start < .seconds(life))
            #expect(now - start > .seconds(life - 120) || life < 120)
        }
    }
}
