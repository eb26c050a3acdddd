import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// The log as apps and partners get it without a receiver of the default kind.
    @Suite
    struct Streams {
        @Test(.timeLimit(.minutes(5)))
        func `the stream carries the bytes of the webhooks, and goes on where a reader left it`() async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.one(hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let partner = server.api(try await installation.partnerToken(server))
                    let app = server.api(try installation.apiKey())
                    let site = try installation.siteID(Fleet.site)
                    try await partner.report(site, Report(state: "armed_away", timestamp: Time.ago(seconds: 2)))

                    // From the beginning: what is stored; then what happens while the stream is open.
                    let frames = try await app.frames("/v1/events/stream", after: 0, count: 4) { seen in
                        guard seen == 2 else { return }
                        try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 1)))
                    }
                    #expect(frames.map(\.id) == ["1", "2", "3", "4"])
                    let delivered = try await receiver.arrivals.wait(for: "4 deliveries") { $0.count >= 4 ? $0 : nil }
                    let bodies = Dictionary(delivered.map { ($0.header("X-CHeKT-Sequence") ?? "", $0) }) { first, _ in
                        first
                    }
                    for frame in frames {
                        #expect(frame.data == bodies[frame.id]?.text)
                        #expect(frame.event == bodies[frame.id]?.type)
                    }
                    let resumed = try await app.frames("/v1/events/stream", after: 2, count: 2)
                    #expect(resumed == Array(frames.suffix(2)))
                    #expect(try await server.stop() == 0)
                }
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `listen warns of what is missed, posts it to nobody, and keeps its place`() async throws {
            let missed = "event: tocsin.missed\ndata: {\"missed\":3,\"first_sequence\":5}\n\n"
            let event = "id: 5\nevent: partition.armed\ndata: {\"id\":\"evt_5\"}\n\n"
            // The first stream breaks off behind the warning.
            try await Receiver.with { arrival, count in
                if arrival.path == "/hook" { return .accepted }
                return Answer(status: 200, body: count == 0 ? missed : missed + event)
            } _: { receiver in
                let outcome = try await Command(
                    Program.executable,
                    ["listen", "--url", receiver.url(""), "--forward", receiver.url(), "--after", "1", "--count", "1"],
                    environment: ["TOCSIN_API_KEY": "tcs_live_x"]
                ).outcome(within: .seconds(30))
                #expect(outcome.status == 0, "\(outcome)")
                #expect(outcome.errors.contains("WARNING: 3 entries of the log are missed"), "\(outcome)")
                #expect(!outcome.output.contains("tocsin.missed"), "\(outcome)")
                let arrivals = receiver.arrivals.current
                #expect(arrivals.map(\.path) == ["/v1/events/stream", "/v1/events/stream", "/hook"])
                #expect(arrivals.map { $0.header("Last-Event-ID") } == ["1", "1", nil])
                #expect(arrivals.last?.type == "partition.armed")
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `open streams end when the server stops`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let server = try await installation.start()
                let partner = server.api(try await installation.partnerToken(server))
                try await partner.report(try installation.siteID(Fleet.site), Report(state: "armed_away"))
                let app = server.api(try installation.apiKey())
                await #expect(throws: StreamEnded.self) {
                    // A third event never comes: the stream ends because the server does.
                    _ = try await app.frames("/v1/events/stream", after: 0, count: 3) { seen in
                        if seen == 2 { server.command.signal(SIGTERM) }
                    }
                }
                #expect(try await server.command.exitStatus(within: .seconds(5)) == 0)
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a partner's endpoint hears of its own sites only, and which dealer they belong to`() async throws {
            try await Receiver.with { receiver in
                let endpoint: JSON = [
                    "url": .string(receiver.url("/partner")), "events": JSON(Fleet.armingEvents),
                ]
                let listening: JSON = [
                    "name": "OtherCo", "arming_model": "partner_triggered", "endpoints": [endpoint],
                ]
                let sites = [Fleet.site(named: Fleet.site), Fleet.site(named: "Other", partner: "OtherCo")]
                let fleet = Fleet.of(sites: sites, hooks: [receiver.url("/app")], partners: [listening])
                try await Installation.with(fleet) { installation in
                    let server = try await installation.start()
                    let first = server.api(try await installation.partnerToken(server))
                    let second = server.api(try await installation.partnerToken(server, "OtherCo"))
                    let other = try installation.siteID("Other")
                    try await first.report(try installation.siteID(Fleet.site), Report(state: "armed_away"))
                    try await second.report(other, Report(state: "armed_stay"))

                    // The app hears of both sites; by then the partner's endpoint had its chance to hear too much.
                    let all = try await receiver.arrivals.wait(for: "6 deliveries") { $0.count >= 6 ? $0 : nil }
                    let own = all.filter { $0.path == "/partner" }
                    #expect(own.count == 2)
                    #expect(own.allSatisfy { $0.text.contains(other) })
                    let dealer = try installation.dealerID()
                    #expect(own.allSatisfy { $0.header("X-CHeKT-Dealer-Id") == dealer })
                    let endpoints = try installation.item("partners", "OtherCo")["endpoints"]?.array
                    let secret = try #require(endpoints?.first?["secret"]?.string)
                    #expect(own.allSatisfy { Signatures.isStandardValid($0, secret: secret) })
                    // Its own log shows the same.
                    let page = try await second.expect(200, .GET, "/v1/events?dealer_id=\(dealer)")
                    let entries = page["data"]?.array ?? []
                    #expect(Set(entries.compactMap { $0["event"]?["id"]?.string }) == Set(own.map(\.eventID)))
                    #expect(try await server.stop() == 0)
                }
            }
        }
    }
}
