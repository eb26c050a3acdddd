import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Tocsin is the panel: a shop is armed and disarmed through the API, with a user code.
    @Suite
    struct Panel {
        @Test(.timeLimit(.minutes(5)))
        func `a day at a shop: refused, closed, armed, left, come in, disarmed, and told in plain words`() async throws
        {
            try await Receiver.with { receiver in
                try await Installation.with(ShopFleet.of([ShopFleet.shop()], hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let keypad = try installation.keypad(server)

                    try await keypad.signal(5, "open")
                    let refused = try await keypad.command("arm")
                    #expect(refused.status == 409, "\(refused.text)")
                    #expect(refused.errorCode == "arm_failed")
                    let reason = refused.json["error"]?["details"]?["reasons"]?.array?.first
                    #expect(reason?["message"] == "Cannot arm - Back Door is open")
                    #expect(reason?["remedy"] == "Close Back Door (zone 5) or bypass it")
                    #expect(try await keypad.command("arm", code: ShopFleet.wrongCode).errorCode == "invalid_user_code")

                    try await keypad.signal(5, "closed")
                    let armed = try await keypad.command("arm")
                    #expect(armed.status == 200, "\(armed.text)")
                    #expect(armed.json["partitions"]?.array?.first?["state"] == "arming_in_progress")
                    try await keypad.signal(1, "open")
                    try await keypad.signal(1, "closed")
                    _ = try await receiver.first("partition.armed")
                    #expect(try await keypad.partition()["state"] == "armed_away")

                    try await keypad.signal(1, "open")
                    let inside = try await keypad.partition()
                    #expect(inside["state"] == "entry_delay")
                    #expect(inside["entry_delay_ends_at"] != nil)
                    let disarmed = try await keypad.command("disarm")
                    #expect(disarmed.json["partitions"]?.array?.first?["state"] == "disarmed", "\(disarmed.text)")
                    _ = try await receiver.first("partition.disarmed")

                    try await expectStory(keypad.history())
                    #expect(receiver.arrivals.current.allSatisfy { $0.type != "alarm.created" })
                    #expect(try await keypad.command("arm", code: ShopFleet.duressCode).status == 200)
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                    for code in [ShopFleet.code, ShopFleet.duressCode, ShopFleet.wrongCode] {
                        #expect(try !installation.dataHolds(code))
                        #expect(!server.command.errors.current.text.contains(code))
                    }
                    #expect(try installation.dataHolds("Back Door"), "the search finds what is there")
                }
            }
        }

        private func expectStory(_ history: [JSON]) {
            let states = ["arming_in_progress", "armed_away", "entry_delay", "disarmed"]
            #expect(history.compactMap { $0["state"]?.string } == states)
            #expect(history.compactMap { $0["previous_state"]?.string } == ["disarmed"] + states.dropLast())
            #expect(history.compactMap { $0["cause"]?.string } == ["command", "deadline", "signal", "command"])
            #expect(history.first?["by"]?["name"] == "Ann")
            #expect(history.last?["by"]?["name"] == "Ann")
            #expect(history.last?["explanation"]?.string?.contains("before the end of the entry delay") == true)
            #expect(history.allSatisfy { $0["event_id"]?.string?.hasPrefix("evt_") == true })
        }

        @Test(.timeLimit(.minutes(5)), arguments: [false, true])
        func `a power cut in the exit delay changes nothing: it ends when it should have`(late: Bool) async throws {
            try await Installation.with(ShopFleet.of([ShopFleet.shop(exitSeconds: 3)])) { installation in
                let first = try await installation.start()
                let armed = try await installation.keypad(first).command("arm")
                let deadline = try #require(armed.json["partitions"]?.array?.first?["exit_delay_ends_at"]?.string)
                try await first.crash()

                // A minute later by the clock the deadline is long past: what fell due is done at once.
                let shim = late ? try await ShiftedClock.library(in: installation.directory) : nil
                let second = try await installation.start(
                    environment: shim.map { ShiftedClock.environment($0, seconds: 60) } ?? [:]
                )
                let keypad = try installation.keypad(second)
                try await keypad.becomes("armed_away")
                let change = try #require(try await keypad.history().last)
                #expect(change["state"] == "armed_away")
                #expect(change["at"]?.string?.prefix(19) == deadline.prefix(19), "at its own time: \(change.text)")
                #expect(try await second.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a panel that was offline for hours sends a thousand signals, out of order and twice`() async throws {
            var random = SeededGenerator(for: "offline panel")
            try await Receiver.with { receiver in
                try await Installation.with(ShopFleet.of([ShopFleet.shop()], hooks: [receiver.url()])) { installation in
                    // Armed five hours ago.
                    let shim = try await ShiftedClock.library(in: installation.directory)
                    let before = try await installation.start(
                        environment: ShiftedClock.environment(shim, seconds: -5 * 3600)
                    )
                    let armed = try await installation.keypad(before).command("arm", ["instant_arm": true])
                    #expect(armed.status == 200, "\(armed.text)")
                    #expect(try await before.stop() == 0)

                    let start = Date(timeIntervalSinceNow: -4 * 3600)
                    let unique = (0..<500).map { index in
                        ShopKeypad.signal(
                            5,
                            index % 2 == 0 ? "open" : "closed",
                            at: start.addingTimeInterval(Double(index) * 20),
                            id: "signal-\(index)"
                        )
                    }
                    let batch = JSON.array((unique + unique).shuffled(using: &random))
                    let server = try await installation.start()
                    let keypad = try installation.keypad(server)
                    let path = "/v1/sites/\(keypad.site)/signals"
                    let taken = try await keypad.api.expect(202, .POST, path, batch)
                    let outcomes = taken["data"]?.array?.compactMap { $0["outcome"]?.string } ?? []
                    #expect(outcomes.count { $0 == "accepted" } == 500)
                    #expect(outcomes.count { $0 == "duplicate" } == 500)
                    // Acknowledged is durable.
                    try await server.crash()

                    let again = try await installation.start()
                    let same = try installation.keypad(again)
                    let second = try await same.api.expect(202, .POST, path, batch)
                    #expect(second["data"]?.array?.allSatisfy { $0["outcome"] == "duplicate" } == true)
                    let site = try await same.api.expect(200, .GET, "/v1/sites/\(same.site)/arming")
                    #expect(site["zones"]?.array?[1]["state"] == "closed", "the newest signal holds")
                    let alarm = try await receiver.first("alarm.created")
                    #expect(alarm.text.contains(#""location":"Back Door""#), "\(alarm.text)")
                    let log = try await again.api(installation.adminToken).log(dealer: installation.dealerID())
                    #expect(log.count { $0.type == "alarm.created" } == 1, "one incident, however many trips")
                    #expect(log.isGapless)
                    #expect(try await again.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }
    }
}
