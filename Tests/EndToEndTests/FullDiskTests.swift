import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// A disk without space.
    @Suite
    struct FullDisk {
        @Test(.enabled(if: SmallDisk.isPermitted, SmallDisk.comment), .timeLimit(.minutes(2)))
        func `a full disk refuses reports with 503, loses nothing, and recovers by itself`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let server = try await SmallDisk.serve(installation)
                installation.adopt(server)
                let partner = server.api(try await installation.partnerToken(server))
                let admin = server.api(installation.adminToken)
                let site = try installation.siteID(Fleet.site)
                let path = "/v1/sites/\(site)/arming-state"
                var events: Set<String> = []
                var clock = 2000
                func report() async throws -> Reply {
                    clock -= 1
                    let state = clock.isMultiple(of: 2) ? "armed_away" : "disarmed"
                    let reply = try await partner.post(
                        path,
                        Report(state: state, timestamp: Time.fixed(secondsBeforeStart: clock)).json
                    )
                    events.formUnion((reply.json["event_ids"]?.array ?? []).compactMap(\.string))
                    return reply
                }
                #expect(try await report().status == 200)

                // The disk is filled to its last block; what the ledger has in reserve is used up by reports.
                let filler = SmallDisk.inside(server, installation.data.appendingPathComponent("filler"))
                SmallDisk.fill(filler)
                var refusal: Reply?
                for _ in 0..<1000 where refusal == nil {
                    let reply = try await report()
                    if reply.status == 200 { SmallDisk.fill(filler) } else { refusal = reply }
                }
                let refused = try #require(refusal, "1,000 reports fitted on a full disk")
                #expect(refused.status == 503, "\(refused.text)")
                #expect(refused.errorCode == "service_unavailable", "\(refused.text)")
                #expect(refused.headers.first(name: "Retry-After") != nil)
                #expect(try await report().status == 503)
                // Reading goes on, and shows exactly what was acknowledged.
                let shown = try await admin.log(dealer: installation.dealerID())
                #expect(Set(shown.filter { $0.type != "sync.late" }.map(\.id)) == events)

                try FileManager.default.removeItem(at: filler)
                try await eventually("a report that is taken again") { try await report().status == 200 }
                let log = try await admin.log(dealer: installation.dealerID())
                #expect(log.isGapless)
                #expect(Set(log.filter { $0.type != "sync.late" }.map(\.id)) == events)
                #expect(try log.folded() == (try await admin.states(site)))
                let verified = try await SmallDisk.run(
                    beside: server,
                    ["admin", "verify", "--data", installation.data.path]
                )
                #expect(verified.status == 0, "\(verified)")
                #expect(try await server.stop() == 0)
            }
        }
    }
}
