import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Receivers that fail.
    @Suite
    struct Retries {
        @Test(.timeLimit(.minutes(5)))
        func `a receiver that fails 5 times gets the same id and the same bytes until it accepts`() async throws {
            let script: @Sendable (Arrival, Int) -> Answer = { _, before in
                before < 5 ? Answer(status: [500, 503, 404, 301, 429][before]) : .accepted
            }
            try await Receiver.with(answering: script) { receiver in
                let fleet = Fleet.one(hooks: [receiver.url()], retrySteps: [1, 1, 1, 1, 1, 1, 1])
                try await Installation.with(fleet) { installation in
                    let server = try await installation.start()
                    let partner = server.api(try await installation.partnerToken(server))
                    let failure = Report(state: "arm_failure", more: ["zones": [["number": 5, "name": "Back Door"]]])
                    try await partner.report(try installation.siteID(Fleet.site), failure)

                    let attempts = try await receiver.arrivals.wait(for: "6 attempts", within: .seconds(45)) {
                        $0.count >= 6 ? $0 : nil
                    }

                    #expect(attempts.count == 6)
                    #expect(Set(attempts.map(\.eventID)).count == 1)
                    #expect(Set(attempts.map(\.body)).count == 1)
                    #expect(Set(attempts.map { $0.header("X-CHeKT-Delivery-Id") }).count == 1)
                    let secret = try installation.secret(of: receiver.url())
                    #expect(attempts.allSatisfy { Signatures.isStandardValid($0, secret: secret) })
                    // The stop records what was in flight; then nothing is left to send.
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a failing receiver delays no other, and a restart forgets no retry`() async throws {
            let broken: @Sendable (Arrival, Int) -> Answer = { arrival, before in
                arrival.path == "/bad" && before < 4 ? Answer(status: 500) : .accepted
            }
            try await Receiver.with(answering: broken) { receiver in
                let hooks = [receiver.url("/bad"), receiver.url("/good")]
                try await Installation.with(Fleet.one(hooks: hooks, retrySteps: [2, 2, 2, 2, 2])) { installation in
                    let server = try await installation.start()
                    let partner = server.api(try await installation.partnerToken(server))
                    let reply = try await partner.report(
                        try installation.siteID(Fleet.site),
                        Report(state: "armed_away")
                    )
                    let events = Set((reply["event_ids"]?.array ?? []).compactMap(\.string))
                    #expect(events.count == 2)
                    try await receiver.all(events, at: "/good")
                    // Once the failures are recorded, what is tried after the crash is what the ledger remembers.
                    let admin = server.api(installation.adminToken)
                    try await retrying(2, admin)
                    try await server.crash()
                    let seen = receiver.arrivals.current.count
                    _ = try await installation.start()
                    // Both events are tried again after the restart, and accepted in the end.
                    _ = try await receiver.arrivals.wait(for: "retries after the restart", within: .seconds(40)) {
                        all in
                        let again = all.dropFirst(max(seen, 4)).filter { $0.path == "/bad" }
                        return events.isSubset(of: again.map(\.eventID)) ? true : nil
                    }
                }
            }
        }

        /// Asks until the ledger lists so many deliveries that will be tried again.
        private func retrying(_ count: Int, _ admin: API) async throws {
            try await eventually("\(count) deliveries that are being retried") {
                let page = try await admin.expect(200, .GET, "/v1/deliveries?state=retrying")
                return page["data"]?.array?.count == count
            }
        }
    }
}
