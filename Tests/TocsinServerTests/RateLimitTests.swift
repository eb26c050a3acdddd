import HTTPTypes
import NIOCore
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinServer

@Suite struct RateLimitTests {
    @Test func `a tier's burst is let through, then one request a second`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let (_, key) = try await world.app(of: dealer, [.sitesRead], tier: .free)
            for left in (0..<5).reversed() {
                let answer = try await world.send(.get, "/v1/sites", as: key)
                #expect(answer.status == 200)
                #expect(answer.headers[.rateLimitLimit] == "60")
                #expect(answer.headers[.rateLimitRemaining] == "\(left)")
            }
            let refused = try await world.send(.get, "/v1/sites", as: key)
            #expect(refused.status == 429)
            #expect(refused.code == "rate_limited")
            #expect(refused.headers[.retryAfter] == "1")
            #expect(refused.headers[.rateLimitReset] == "5")
            world.clock.advance(.seconds(1))
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 429)
        }
    }

    @Test func `reports draw from a bucket per site, so that closing time is never refused`() async throws {
        try await ServerWorld.run { world in
            var scene = try await world.scene(tier: "free")
            var statuses: [Int] = []
            for number in 0..<20 {
                scene.site = try await world.site("Shop \(number)", dealer: scene.dealer, partner: scene.partner.id)
                    .string("site_id")
                statuses.append(try await world.report(scene).status)
            }
            #expect(statuses == Array(repeating: 200, count: 20))
            for _ in 0..<4 { _ = try await world.report(scene) }
            #expect(try await world.report(scene).status == 429)
        }
    }

    @Test func `actions on alarms of one site draw from its bucket, whichever alarm it is`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            let (_, key) = try await world.app(of: shop.dealer, [.eventsRead, .eventsWrite], tier: .free)
            var alarms: [String] = []
            for kind in AlarmClass.allCases.prefix(5) {
                let body: JSON = [
                    "site_id": .string(shop.site), "trigger": "motion", "class": .string(kind.rawValue),
                ]
                alarms.append(try await world.send(.post, "/v1/alarms", as: shop.key, body).string("alarm_id"))
            }
            for (number, alarm) in alarms.enumerated() {
                let taken = try await world.send(.post, "/v1/alarms/\(alarm)/acknowledge", as: key, [:])
                #expect(taken.status == 200, "\(taken.text)")
                #expect(taken.headers[.rateLimitRemaining] == "\(4 - number)")
            }
            let body: JSON = ["verdict": "person"]
            let refused = try await world.send(.post, "/v1/alarms/\(alarms[0])/annotate", as: key, body)
            #expect(refused.code == "rate_limited")
            // The caller's own bucket is whole.
            #expect(try await world.send(.get, "/v1/alarms", as: key).headers[.rateLimitRemaining] == "4")
        }
    }

    @Test func `made-up names have no buckets of their own`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let (_, key) = try await world.app(of: dealer, [.devicesWrite, .eventsWrite, .snapshotsWrite], tier: .free)
            let paths = ["sites/site_x/signals", "sites/site_y/signals", "alarms/A-1/annotate", "alarms/A-2/annotate"]
            for path in paths {
                let body: JSON = ["verdict": "x", "zone": 1, "kind": "open", "timestamp": "2026-05-26T10:00:00Z"]
                #expect(try await world.send(.post, "/v1/\(path)", as: key, body).status == 404)
            }
            let type = ["Content-Type": "image/png"]
            #expect(try await world.send(.post, "/v1/devices/dev_x/snapshots", as: key, headers: type).status == 404)
            #expect(try await world.send(.post, "/v1/alarms/A-3/annotate", as: key, ["verdict": "x"]).status == 429)
        }
    }

    @Test func `an unlimited caller's headers show a million`() async throws {
        try await ServerWorld.run { world in
            let answer = try await world.send(.get, "/v1/sites", as: world.admin)
            #expect(answer.headers[.rateLimitLimit] == "1000000")
            #expect(answer.headers[.rateLimitRemaining] == "1000000")
            let anonymous = try await world.send(.get, "/health/live")
            #expect(anonymous.headers[.rateLimitLimit] == "1000000")
        }
    }

    @Test func `a clock that is set back neither fills nor drains a bucket`() {
        var bucket = TokenBucket(capacity: 2, perSecond: 1, now: ServerWorld.start)
        let earlier = ServerWorld.start - .seconds(100)
        let taken = [ServerWorld.start, earlier, earlier, earlier + .seconds(1)].map { bucket.take(now: $0) }
        #expect(taken == [true, true, false, true])
    }
}

@Suite struct AddressTests {
    @Test(
        arguments: [
            ("203.0.113.0/24", "203.0.113.7", true), ("203.0.113.0/24", "203.0.114.7", false),
            ("203.0.113.7", "203.0.113.7", true), ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false), ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("203.0.113.128/25", "203.0.113.127", false),
        ]
    )
    func `a block holds the addresses of its prefix`(block: String, address: String, holds: Bool) throws {
        let block = try #require(AddressBlock(block))
        let address = try #require(ClientAddress(address))
        #expect(block.contains(address) == holds)
    }

    @Test(arguments: [
        "", "/24", "203.0.113.0/33", "203.0.113.0/-1", "203.0.113.0/", "203.0.113/24", "x", "1.2.3.4/024",
    ])
    func `what is no block is none`(text: String) { #expect(AddressBlock(text) == nil) }

    @Test(
        arguments: [
            ("198.51.100.1", "9.9.9.9", "198.51.100.1"),
            ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
            ("10.0.0.1", "1.1.1.1, 9.9.9.9", "9.9.9.9"),
            ("10.0.0.1", "9.9.9.9, 10.0.0.2", "9.9.9.9"),
            ("10.0.0.1", "rubbish", "10.0.0.1"),
        ]
    )
    func `only a trusted proxy's word is taken`(peer: String, forwarded: String, client: String) throws {
        let trusted = [try #require(AddressBlock("10.0.0.0/8"))]
        let found = trusted.client(
            peer: ClientAddress(try SocketAddress(ipAddress: peer, port: 1)),
            forwardedFor: forwarded
        )
        #expect(found?.description == client)
    }
}
