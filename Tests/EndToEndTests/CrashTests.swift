import Testing
import TocsinJSON

extension EndToEnd {
    /// Power cuts and stops under load.
    @Suite
    struct Crashes {
        static let reports = 2000
        static let kills = 20
        static let siteCount = 10
        static let partitionsPerSite = 4

        @Test(.timeLimit(.minutes(3)))
        func `kill -9 at 20 random moments in 2,000 reports loses nothing that was acknowledged`() async throws {
            var random = SeededGenerator(for: "kill -9")
            // A kill comes when so many reports have been acknowledged, with others in flight.
            let moments = Set((1..<Self.reports).shuffled(using: &random).prefix(Self.kills))
            try await Receiver.with { receiver in
                try await Installation.with(Self.fleet(receiver)) { installation in
                    let load = try await Load(installation)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for moment in moments.sorted() {
                                _ = try await load.acknowledged.wait(for: "\(moment) reports", within: .seconds(60)) {
                                    $0.count >= moment ? true : nil
                                }
                                try await load.crashAndRestart()
                            }
                        }
                        group.addTask { try await load.run(Self.reports) }
                        try await group.waitForAll()
                    }
                    #expect(load.acknowledged.current.count == Self.reports)
                    try await load.expectNothingLost(receiver)
                    #expect(try await load.server().stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `SIGTERM under load ends with exit 0 within 10 s, and nothing acknowledged is lost`() async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Self.fleet(receiver)) { installation in
                    let load = try await Load(installation)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            _ = try await load.acknowledged.wait(for: "300 reports") { $0.count >= 300 ? true : nil }
                            #expect(try await load.stopAndRestart() == 0)
                        }
                        group.addTask { try await load.run(600) }
                        try await group.waitForAll()
                    }
                    try await load.expectNothingLost(receiver)
                    #expect(try await load.server().stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        private static func fleet(_ receiver: Receiver) -> JSON {
            let sites = (1...siteCount).map { Fleet.site(named: "Site \($0)", partitions: partitionsPerSite) }
            return Fleet.of(sites: sites, hooks: [receiver.url()])
        }
    }
}

/// One acknowledged report and what was said about it.
private struct Acknowledgement: Sendable {
    var reportID: String
    var partition: String
    var outcome: JSON
    var eventIDs: [String]
}

/// A partner's platform: one reporter per partition that sends each report until it is acknowledged.
private final class Load: Sendable {
    let acknowledged = Watched<[Acknowledgement]>([])
    private let installation: Installation
    /// The running server with the partner's token; none while it is down.
    private let current: Watched<(server: Server, partner: API)?>

    init(_ installation: Installation) async throws {
        self.installation = installation
        let server = try await installation.start()
        current = Watched((server, server.api(try await installation.partnerToken(server))))
    }

    func server() async throws -> Server {
        try await current.wait(for: "a running server") { $0?.server }
    }

    func crashAndRestart() async throws {
        let server = try await server()
        try await server.crash()
        current.update { $0 = nil }
        try await restart()
    }

    func stopAndRestart() async throws -> Int32 {
        let server = try await server()
        let status = try await server.stop()
        current.update { $0 = nil }
        try await restart()
        return status
    }

    private func restart() async throws {
        let server = try await installation.start()
        let partner = server.api(try await installation.partnerToken(server))
        current.update { $0 = (server, partner) }
    }

    /// Sends so many reports, shared among the reporters.
    func run(_ count: Int) async throws {
        var reporters: [(site: String, partition: String)] = []
        for site in installation.made["sites"]?.array ?? [] {
            for partition in site["partitions"]?.array ?? [] {
                reporters.append((site["site_id"]?.string ?? "", partition["partition_id"]?.string ?? ""))
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, reporter) in reporters.enumerated() {
                let share = (count + index) / reporters.count
                group.addTask {
                    for number in 0..<share {
                        try await self.send(number, of: share, reporter.site, reporter.partition)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// One report, again and again until it is acknowledged; every eighth is older than the one before it.
    private func send(_ number: Int, of count: Int, _ site: String, _ partition: String) async throws {
        let isLate = number % 8 == 7
        let age = 10 + 2 * (count - number) + (isLate ? 5 : 0)
        let states = ["armed_away", "disarmed", "armed_stay"]
        let id = "\(partition)-\(number)"
        let report = Report(
            state: states[number % 3],
            partition: .string(partition),
            timestamp: Time.fixed(secondsBeforeStart: age),
            more: ["report_id": .string(id)]
        )
        while true {
            let (_, partner) = try await current.wait(for: "a running server") { $0 }
            guard let reply = try? await partner.post("/v1/sites/\(site)/arming-state", report.json) else {
                // The connection broke: what came of it is unknown, so it is sent again once the server is another.
                try await replacement(of: partner)
                continue
            }
            if reply.status == 503 { continue }
            guard reply.status == 200, let outcome = reply.json["partitions"]?.array?.first else {
                throw UnexpectedReply(request: "report \(id)", reply: reply)
            }
            let events = (reply.json["event_ids"]?.array ?? []).compactMap(\.string)
            let done = Acknowledgement(reportID: id, partition: partition, outcome: outcome, eventIDs: events)
            acknowledged.update { $0.append(done) }
            return
        }
    }

    private func replacement(of partner: API) async throws {
        _ = try await current.wait(for: "a restart") { $0.map { $0.partner.base != partner.base } == true ? true : nil }
    }

    /// Holds what was acknowledged against the log, the audit log, the states, and what the receiver got.
    func expectNothingLost(_ receiver: Receiver) async throws {
        let admin = try await server().api(installation.adminToken)
        let log = try await admin.log(dealer: installation.dealerID())
        #expect(log.isGapless)
        let logged = Set(log.map(\.id))
        let audits = try await admin.auditTexts()
        let exported = try await admin.auditExport()
        #expect(exported == audits)
        let audited = Set(audits.flatMap { text in text.matches(of: /"report_id":"([^"]+)"/).map { String($0.1) } })
        for report in acknowledged.current {
            let isKnown = audited.contains(report.reportID)
            #expect(isKnown, "\(report.reportID) (\(report.outcome.text)) is not in the audit log")
            let missing = report.eventIDs.filter { !logged.contains($0) }
            #expect(missing.isEmpty, "events of \(report.reportID) are not in the log")
        }
        let reasons = acknowledged.current.compactMap { $0.outcome["reason"]?.string }
        #expect(reasons.contains("superseded"))
        let states = try log.folded()
        for site in installation.made["sites"]?.array ?? [] {
            let stored = try await admin.states(site["site_id"]?.string ?? "")
            #expect(stored.allSatisfy { (states[$0.key] ?? "disarmed") == $0.value })
        }
        // The log tells more (that reports are late) than the endpoint has asked for.
        try await receiver.all(Set(log.filter { Fleet.armingEvents.contains($0.type) }.map(\.id)))
        let arrived = receiver.arrivals.current
        // Nothing was sent before it was durable: a crash would have taken it back.
        #expect(arrived.map(\.eventID).filter { !logged.contains($0) }.isEmpty)
        // At least once, and every time the same bytes.
        let bodies = Dictionary(grouping: arrived, by: \.eventID).mapValues { Set($0.map(\.body)).count }
        #expect(bodies.allSatisfy { $0.value == 1 })
    }
}
