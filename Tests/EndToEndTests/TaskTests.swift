import Foundation
import NIOHTTP1
import Synchronization
import Testing
import TocsinJSON

extension EndToEnd {
    /// Sending again: replay, what failed, a cursor that is kept, and a laptop behind NAT.
    @Suite
    struct Tasks {
        private static let sites = 10
        private static let reportsPerSite = 100
        /// Each report is told by two events.
        private static let events = 2 * sites * reportsPerSite

        @Test(.timeLimit(.minutes(3)))
        func `a replay of 2,000 events into a new endpoint with order outlives two kills`() async throws {
            try await Receiver.with { receiver in
                let sites = (1...Self.sites).map { Fleet.site(named: "Site \($0)") }
                try await Installation.with(Fleet.of(sites: sites, hooks: [])) { installation in
                    var server = try await installation.start()
                    try await Self.report(server.api(try await installation.partnerToken(server)), installation)
                    let endpoint = try await Self.endpoint(server, installation, receiver.url(), ordering: "site")
                    let replay = try await server.api(installation.adminToken).expect(
                        202,
                        .POST,
                        "/v1/endpoints/\(endpoint.id)/actions/replay",
                        ["since": "2026-01-01T00:00:00Z", "rate_per_second": 400]
                    )
                    let operation = "/v1/operations/\(try #require(replay["operation_id"]?.string))"
                    for count in [300, 1100] {
                        _ = try await receiver.arrivals.wait(for: "\(count) deliveries", within: .seconds(60)) {
                            $0.count >= count ? true : nil
                        }
                        try await server.crash()
                        server = try await installation.start()
                        // Live events come in meanwhile; they are sent behind the replay.
                        let partner = server.api(try await installation.partnerToken(server))
                        try await partner.report(try installation.siteID("Site 1"), Report(state: "armed_away"))
                        try await partner.report(try installation.siteID("Site 1"), Report(state: "disarmed"))
                    }
                    let admin = server.api(installation.adminToken)
                    try await eventually("the replay is done", within: .seconds(60)) {
                        try await admin.expect(200, .GET, operation)["state"] == "done"
                    }
                    let progress = try await admin.expect(200, .GET, operation)["progress"]
                    #expect(progress?["matched"]?.integer == Int64(Self.events))
                    #expect(progress?["delivered"]?.integer == Int64(Self.events))
                    // The log also tells of late reports, which nobody has subscribed to.
                    let log = try await admin.log(dealer: try installation.dealerID())
                        .filter { Fleet.armingEvents.contains($0.type) }
                    try await receiver.all(Set(log.map(\.id)))
                    #expect(log.count == Self.events + 8)
                    Self.expectOrder(log, receiver.arrivals.current, endpoint.secret)
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `what failed since an instant is sent again, long before its own time`() async throws {
            let isBroken = Mutex(true)
            try await Receiver.with(answering: { _, _ in
                Answer(status: isBroken.withLock { $0 } ? 500 : 204)
            }) { receiver in
                // The next attempt would be made in an hour.
                let fleet = Fleet.one(hooks: [receiver.url()], retrySteps: [3600])
                try await Installation.with(fleet) { installation in
                    let server = try await installation.start()
                    let noon = Time.ago(seconds: 1)
                    let partner = server.api(try await installation.partnerToken(server))
                    let site = try installation.siteID(Fleet.site)
                    try await partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 2)))
                    try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 1)))
                    let admin = server.api(installation.adminToken)
                    try await eventually("four deliveries wait for a retry") {
                        let page = try await admin.expect(200, .GET, "/v1/deliveries?state=retrying")
                        return page["data"]?.array?.count == 4
                    }
                    isBroken.withLock { $0 = false }
                    let page = try await admin.expect(200, .GET, "/v1/deliveries?state=retrying")
                    let endpoint = try #require(page["data"]?.array?.first?["endpoint_id"]?.string)
                    let begun = try await admin.expect(
                        202,
                        .POST,
                        "/v1/endpoints/\(endpoint)/actions/resend-failed",
                        ["since": .string(noon)]
                    )
                    let operation = "/v1/operations/\(try #require(begun["operation_id"]?.string))"
                    try await eventually("all is sent again") {
                        try await admin.expect(200, .GET, operation)["state"] == "done"
                    }
                    #expect(try await admin.expect(200, .GET, operation)["progress"]?["delivered"]?.integer == 4)
                    let bodies = Dictionary(grouping: receiver.arrivals.current, by: \.eventID).mapValues {
                        ($0.count, Set($0.map(\.body)).count)
                    }
                    #expect(bodies.count == 4 && bodies.values.allSatisfy { $0 == (2, 1) })
                    // Every attempt shows where its time went.
                    let delivery = try #require(page["data"]?.array?.first?["delivery_id"]?.string)
                    let attempts = try await admin.expect(200, .GET, "/v1/deliveries/\(delivery)")["attempt_log"]?.array
                    #expect(attempts?.map { $0["status"]?.integer } == [500, 204])
                    for attempt in attempts ?? [] {
                        let timing = attempt["timing_ms"]?.object
                        #expect(timing?["total"]?.number ?? 0 > 0, "\(attempt.text)")
                        #expect(timing?["connect"] != nil || timing?["first_byte"] != nil, "\(attempt.text)")
                    }
                    #expect(try await server.stop() == 0)
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a named cursor is where it was after a kill`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                var server = try await installation.start()
                let partner = server.api(try await installation.partnerToken(server))
                let site = try installation.siteID(Fleet.site)
                try await partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 2)))
                try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 1)))
                let key = try installation.apiKey()
                let consumer = "/v1/events/consumers/nightly"
                _ = try await server.api(key).expect(200, .PUT, consumer, ["sequence": 3])
                try await server.crash()
                server = try await installation.start()
                let page = try await server.api(key).expect(200, .GET, "/v1/events?consumer=nightly")
                #expect(page["data"]?.array?.first?["sequence"]?.integer == 4)
                #expect(try await server.stop() == 0)
            }
        }

        @Test(.enabled(if: Python.mustRun, Python.comment), .timeLimit(.minutes(5)))
        func `listen posts the log's bytes to a laptop, signed so that any verifier takes them`() async throws {
            try await Receiver.with { laptop in
                try await Installation.with(Fleet.one()) { installation in
                    let server = try await installation.start()
                    let secret = "whsec_" + Data((1...32).map { UInt8($0) }).base64EncodedString()
                    let listener = try Command(
                        Program.executable,
                        [
                            "listen", "--url", server.url, "--forward", laptop.url(), "--secret", secret, "--after",
                            "0",
                            "--count", "4",
                        ],
                        environment: ["TOCSIN_API_KEY": try installation.apiKey()]
                    )
                    let partner = server.api(try await installation.partnerToken(server))
                    let site = try installation.siteID(Fleet.site)
                    try await partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 2)))
                    try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 1)))
                    #expect(try await listener.exitStatus(within: .seconds(30)) == 0)
                    let arrived = laptop.arrivals.current
                    let admin = server.api(installation.adminToken)
                    let log = try await admin.log(dealer: try installation.dealerID()).prefix(4)
                    #expect(arrived.map(\.eventID) == log.map(\.id))
                    #expect(arrived.allSatisfy { Signatures.isChektValid($0, secret: secret) })
                    // The public packages, and not only our own idea of them.
                    let file = installation.directory.appendingPathComponent("deliveries.json")
                    let recorded: JSON = ["secret": .string(secret), "deliveries": .array(arrived.map(\.recorded))]
                    try Data(recorded.bytes).write(to: file)
                    let outcome = try await Python.run("verify_deliveries.py", [file.path])
                    #expect(outcome.output == "verified 4\n", "\(outcome)")
                    #expect(try await server.stop() == 0)
                }
            }
        }

        // MARK: - Parts

        /// Arms and disarms every site, all sites at once.
        private static func report(_ partner: API, _ installation: Installation) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...sites {
                    let site = try installation.siteID("Site \(number)")
                    group.addTask {
                        for time in 0..<reportsPerSite {
                            let age = 10 + 2 * (reportsPerSite - time)
                            let state = time % 2 == 0 ? "armed_away" : "disarmed"
                            let timestamp = Time.fixed(secondsBeforeStart: age)
                            try await partner.report(site, Report(state: state, timestamp: timestamp))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }

        private static func endpoint(
            _ server: Server,
            _ installation: Installation,
            _ url: String,
            ordering: String
        ) async throws -> (id: String, secret: String) {
            let admin = server.api(installation.adminToken)
            let apps = try await admin.expect(200, .GET, "/v1/apps")
            let app = try #require(apps["data"]?.array?.first?["app_id"]?.string)
            let made = try await admin.expect(
                201,
                .POST,
                "/v1/apps/\(app)/endpoints",
                ["url": .string(url), "events": JSON(Fleet.armingEvents), "ordering": .string(ordering)]
            )
            return (try #require(made["endpoint_id"]?.string), try #require(made["secret"]?.string))
        }

        /// Each site's events arrive for the first time in the log's order; what is sent twice has the same bytes.
        private static func expectOrder(_ log: [LogEntry], _ arrivals: [Arrival], _ secret: String) {
            let entries = Dictionary(log.map { ($0.id, $0) }) { first, _ in first }
            var last: [String: Int64] = [:]
            var bodies: [String: [UInt8]] = [:]
            var inversions = 0
            for arrival in arrivals {
                guard let entry = entries[arrival.eventID], let site = entry.siteID else { continue }
                if let known = bodies[entry.id] {
                    #expect(known == arrival.body)
                    continue
                }
                bodies[entry.id] = arrival.body
                if entry.sequence < last[site] ?? 0 { inversions += 1 }
                last[site] = entry.sequence
            }
            #expect(inversions == 0)
            #expect(arrivals.allSatisfy { Signatures.isStandardValid($0, secret: secret) })
            // What was in flight, or not recorded yet, when the program was killed; a task is at most so far ahead.
            #expect(arrivals.count - bodies.count <= 2 * 400)
        }
    }
}
