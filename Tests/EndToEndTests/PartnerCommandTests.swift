import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// A partner that is asked before its sites are armed or disarmed, with a receiver of its own (decisions §5).
    @Suite(.timeLimit(.minutes(5)))
    struct PartnerCommands {
        private static let accepted = Answer(status: 200, body: #"{"result":"accepted"}"#)
        private static let rejected = Answer(
            status: 200,
            body: #"{"result":"rejected","reasons":["the gate is open"]}"#
        )
        private static let site = "Shop"

        private static func fleet(_ receiver: Receiver) -> JSON {
            let partner: JSON = [
                "name": "Cloud", "arming_model": "platform_triggered",
                "endpoints": [["url": .string(receiver.url()), "events": ["arming.command"]]],
            ]
            return Fleet.of(sites: [Fleet.site(named: site, partner: "Cloud")], partners: [partner])
        }

        private static func secret(_ installation: Installation) throws -> String {
            let endpoints = try installation.item("partners", "Cloud")["endpoints"]?.array
            return try #require(endpoints?.first?["secret"]?.string)
        }

        private func send(
            _ action: String,
            _ body: JSON,
            _ installation: Installation,
            _ server: Server
        ) async throws
            -> Reply
        {
            let path = "/v1/sites/\(try installation.siteID(Self.site))/arming/actions/\(action)"
            return try await server.api(installation.adminToken).post(path, body)
        }

        private func play(
            _ script: @escaping @Sendable (Arrival, Int) -> Answer,
            _ body: (Receiver, Installation, Server) async throws -> Void
        ) async throws {
            try await Receiver.with(answering: script) { receiver in
                try await Installation.with(Self.fleet(receiver)) { installation in
                    let server = try await installation.start()
                    try await body(receiver, installation, server)
                }
            }
        }

        @Test func `an arm goes to the partner first, signed, and its answer decides`() async throws {
            let script: @Sendable (Arrival, Int) -> Answer = { _, count in
                [Self.accepted, Self.rejected, Self.rejected, Answer(status: 500)][min(count, 3)]
            }
            try await play(script) { receiver, installation, server in
                let arm: JSON = ["mode": "away", "instant_arm": true]
                let armed = try await send("arm", arm, installation, server)
                #expect(armed.status == 200, "\(armed.text)")
                let arrival = try await receiver.first("arming.command")
                let secret = try Self.secret(installation)
                #expect(Signatures.isStandardValid(arrival, secret: secret))
                #expect(Signatures.isChektValid(arrival, secret: secret))
                let body = try JSONParser.parse(arrival.body)
                #expect(body["id"]?.string == arrival.eventID)
                #expect(body["data"]?["command"] == "arm_away")
                #expect(body["data"]?["partition_ids"] == [.string(try installation.partitionID(Self.site))])
                #expect(body["data"]?["external_site_id"] == .string(Self.site))
                #expect(arrival.header("X-CHeKT-Dealer-Id") == (try installation.dealerID()))
                #expect(arrival.header("X-CHeKT-Sequence") == nil)

                #expect(try await send("disarm", [:], installation, server).status == 200)
                let refused = try await send("arm", arm, installation, server)
                #expect(refused.status == 409)
                #expect(refused.errorCode == "arm_failed")
                #expect(refused.text.contains("the gate is open"))
                let failed = try await send("arm", arm, installation, server)
                #expect(failed.status == 504)
                #expect(failed.errorCode == "partner_unreachable")
                #expect(receiver.arrivals.current.count == 4)
                try await expectNoEntry(installation, server)
                #expect(try await server.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        @Test func `a partner that keeps silent fails an arm after 5 s`() async throws {
            try await play({ _, _ in Answer(status: 200, isSilent: true) }) { _, installation, server in
                let clock = ContinuousClock()
                let began = clock.now
                let failed = try await send("arm", ["mode": "stay"], installation, server)
                #expect(failed.status == 504)
                #expect((.seconds(4.5) ... .seconds(8)).contains(clock.now - began))
            }
        }

        @Test func `kill -9 while the partner is asked: the next server asks again with the same id`() async throws {
            let script: @Sendable (Arrival, Int) -> Answer = { _, count in
                count == 0 ? Answer(status: 200, isSilent: true) : Self.accepted
            }
            try await play(script) { receiver, installation, server in
                let arm: JSON = ["mode": "away", "instant_arm": true]
                let caller = Task { try await send("arm", arm, installation, server) }
                let first = try await receiver.first("arming.command")
                try await server.crash()
                _ = try? await caller.value

                let next = try await installation.start()
                let again = try await receiver.arrivals.wait(for: "the same command") { $0.count >= 2 ? $0[1] : nil }
                #expect(again.eventID == first.eventID)
                #expect(Signatures.isStandardValid(again, secret: try Self.secret(installation)))
                let earlier = try JSONParser.parse(first.body)["data"]?["expires_at"]?.string ?? ""
                let later = try JSONParser.parse(again.body)["data"]?["expires_at"]?.string ?? ""
                #expect(earlier < later)
                let site = try installation.siteID(Self.site)
                let partition = try installation.partitionID(Self.site)
                let admin = next.api(installation.adminToken)
                try await eventually("the site is armed") { try await admin.states(site) == [partition: "armed_away"] }
                #expect(receiver.arrivals.current.count == 2)
                try await expectNoEntry(installation, next)
                #expect(try await next.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        /// The command is no entry of the log, and no delivery.
        private func expectNoEntry(_ installation: Installation, _ server: Server) async throws {
            let admin = server.api(installation.adminToken)
            let log = try await admin.expect(200, .GET, "/v1/events?dealer_id=\(try installation.dealerID())")
            #expect(log["data"]?.array?.isEmpty == false)
            #expect(!log.text.contains("arming.command"))
            let endpoint = try #require(
                try installation.item("partners", "Cloud")["endpoints"]?.array?.first?["endpoint_id"]?.string
            )
            let deliveries = try await admin.expect(200, .GET, "/v1/deliveries?endpoint_id=\(endpoint)")
            #expect(deliveries["data"]?.array?.isEmpty == true, "\(deliveries.text)")
        }
    }
}
