import Testing
import TocsinJSON

extension EndToEnd {
    /// Many callers at once.
    @Suite
    struct Concurrency {
        @Test(.timeLimit(.minutes(2)))
        func `200 concurrent reports for one site end in one order, and none is lost`() async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.one(hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let partner = server.api(try await installation.partnerToken(server))
                    let admin = server.api(installation.adminToken)
                    let site = try installation.siteID(Fleet.site)
                    let dealer = try installation.dealerID()

                    let replies = try await reports(200, partner, site)

                    let outcomes = replies.compactMap { $0["partitions"]?.array?.first }
                    #expect(outcomes.count == 200)
                    // Every change has a version of its own, and together they count without a gap.
                    let changed = outcomes.filter { $0["applied"] == true && $0["reason"] == nil }
                    let versions = changed.compactMap { $0["version"]?.integer }.sorted()
                    let first = try #require(versions.first)
                    #expect(versions == (0..<changed.count).map { first + Int64($0) })
                    // Each change saw the state that the one before it left.
                    let log = try await admin.log(dealer: dealer)
                    #expect(log.isGapless)
                    #expect(try log.folded() == (try await admin.states(site)))
                    let acknowledged = Set(replies.flatMap { $0["event_ids"]?.array ?? [] }.compactMap(\.string))
                    // That they came late is told to admins alone.
                    #expect(acknowledged == Set(log.filter { $0.type != "sync.late" }.map(\.id)))
                    let inOrder = log.filter { $0.type == "arming.state_changed" }.compactMap {
                        $0.event["timestamp"]?.string
                    }
                    #expect(inOrder == inOrder.sorted())
                    // The last word is that of the latest timestamp.
                    #expect(try await admin.states(site).values.map(\.self) == ["armed_night"])
                    let superseded = outcomes.count { $0["reason"] == "superseded" }
                    let audited = try await admin.auditTexts().count { $0.contains(#""superseded""#) }
                    #expect(audited >= superseded)
                    // The log tells more (that reports are late) than the endpoint has asked for.
                    try await receiver.all(Set(log.filter { Fleet.armingEvents.contains($0.type) }.map(\.id)))
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        /// Sends reports with distinct timestamps all at once; the states go round.
        private func reports(_ count: Int, _ partner: API, _ site: String) async throws -> [JSON] {
            let states = ["armed_away", "disarmed", "armed_stay", "armed_night"]
            return try await withThrowingTaskGroup(of: JSON.self) { group in
                for index in 0..<count {
                    group.addTask {
                        let time = Time.ago(seconds: 1 + count - index)
                        let report = Report(state: states[index % states.count], timestamp: time)
                        return try await partner.report(site, report)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }
}
