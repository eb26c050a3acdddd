import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Requests that are sent twice.
    @Suite
    struct Idempotency {
        @Test(.timeLimit(.minutes(5)))
        func `a key gives the stored reply again, even after a crash, and refuses another payload`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let site = try installation.siteID(Fleet.site)
                let path = "/v1/sites/\(site)/arming-state"
                let key = [("Idempotency-Key", "report-1")]
                let report = Report(state: "armed_away", timestamp: Time.ago(seconds: 5)).json
                let server = try await installation.start()
                let first = try await server.api(try await installation.partnerToken(server))
                    .post(path, report, headers: key)
                #expect(first.status == 200, "\(first.text)")
                #expect(first.headers.first(name: "Idempotency-Replayed") == nil)
                try await server.crash()

                let second = try await installation.start()
                // Another token of the same partner: the caller counts, not the credential.
                let partner = second.api(try await installation.partnerToken(second))
                let replayed = try await partner.post(path, report, headers: key)
                #expect(replayed.status == 200)
                #expect(replayed.bytes == first.bytes)
                #expect(replayed.headers.first(name: "Idempotency-Replayed") == "true")
                let other = Report(state: "disarmed", timestamp: Time.ago(seconds: 4)).json
                let refused = try await partner.post(path, other, headers: key)
                #expect(refused.status == 409)
                #expect(refused.errorCode == "idempotency_conflict")
                let log = try await second.api(installation.adminToken).log(dealer: installation.dealerID())
                #expect(log.count { Fleet.armingEvents.contains($0.type) } == 2)
            }
        }
    }
}
