import Foundation
import NIOHTTP1
import Synchronization
import Testing
import TocsinJSON

extension EndToEnd {
    /// A thousand times a duress code beside the ordinary one: nobody at the wire can tell which was which.
    @Suite
    struct Duress {
        static let twins = 20
        static let partitions = 50
        static let pairs = twins * partitions
        /// As many keypads as keep two cores busy without making everybody wait for a core.
        static let keypads = 7

        @Test(.timeLimit(.minutes(4)))
        func `a thousand pairs have the same members, the same sizes, and times that no test separates`() async throws {
            let sites = (1...Self.twins).flatMap { twin in
                ["normal", "duress"].map { ShopFleet.shop("\($0) \(twin)", partitions: Self.partitions) }
            }
            try await Installation.with(ShopFleet.of(sites)) { installation in
                let server = try await installation.start()
                let samples = Samples()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for keypad in 1...Self.keypads {
                        group.addTask {
                            var random = SeededGenerator(for: "duress, keypad \(keypad)")
                            for twin in stride(from: keypad, through: Self.twins, by: Self.keypads) {
                                let pair = try Twins(installation, server, twin)
                                for partition in 1...Self.partitions {
                                    try await pair.compare(partition, Bool.random(using: &random), samples)
                                }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                try await expectHidden(installation, server)
                samples.expectAlike()
            }
        }

        /// The alarm was raised for those entitled, and the ordinary log and metrics say nothing.
        private func expectHidden(_ installation: Installation, _ server: Server) async throws {
            let admin = server.api(installation.adminToken)
            let log = try await admin.log(dealer: installation.dealerID())
            let alarms = log.filter { $0.type == "alarm.created" }
            #expect(alarms.count == Self.pairs)
            #expect(alarms.allSatisfy { $0.event["data"]?["trigger"] == "duress" })
            #expect(!server.command.errors.current.text.lowercased().contains("duress"))
            let metrics = try await admin.get("/metrics").text
            #expect(metrics.contains("tocsin_"))
            #expect(!metrics.contains("duress"))
            let keypad = try server.api(installation.apiKey(ShopFleet.keypad))
            let seen = try await keypad.expect(200, .GET, "/v1/events?after=0&limit=200")
            #expect(seen.text.contains("arming.state_changed"))
            #expect(!seen.text.contains("alarm.created"))
        }

        @Test func `the test of the times separates what differs, and not what does not`() {
            var random = SeededGenerator(for: "Kolmogorov–Smirnov")
            func sample() -> [Double] { (0..<Self.pairs).map { _ in Double.random(in: 25...40, using: &random) } }
            let (one, other) = (sample(), sample())
            #expect(!KolmogorovSmirnov(one, other).isSeparated)
            #expect(KolmogorovSmirnov(one, other.map { $0 + 3 }).isSeparated)
            #expect(KolmogorovSmirnov([1, 2, 3], [4, 5, 6]).statistic == 1)
            #expect(KolmogorovSmirnov([1, 1, 2], [1, 1, 2]).statistic == 0)
            #expect(abs(KolmogorovSmirnov([1, 2, 3, 4], [3, 4, 5, 6]).statistic - 0.5) < 1e-12)
        }
    }
}

/// How long replies took, in milliseconds.
private final class Samples: Sendable {
    private struct Times {
        var normal: [Double] = []
        var duress: [Double] = []
        var wrong: [Double] = []
    }

    private let times = Mutex(Times())

    func add(normal: Double, duress: Double, wrong: Double) {
        times.withLock { times in
            times.normal.append(normal)
            times.duress.append(duress)
            times.wrong.append(wrong)
        }
    }

    func expectAlike() {
        let times = times.withLock { $0 }
        #expect(times.normal.count == EndToEnd.Duress.pairs)
        let duress = KolmogorovSmirnov(times.normal, times.duress)
        let wrong = KolmogorovSmirnov(times.normal, times.wrong)
        print("duress and normal over \(times.normal.count) pairs: \(duress)")
        print("wrong and normal over \(times.normal.count) pairs: \(wrong)")
        #expect(!duress.isSeparated, "\(duress)")
        #expect(!wrong.isSeparated, "\(wrong)")
        // Ten milliseconds more for one of them, as a slow lookup would cost without the grid, must show.
        let slow = KolmogorovSmirnov(times.normal, times.duress.map { $0 + 10 })
        print("the same with 10 ms more for duress: \(slow)")
        #expect(slow.isSeparated, "\(slow)")
    }
}

/// Two sites that were made alike: one is disarmed with the ordinary code, the other with the duress code.
private struct Twins {
    /// No site has a partition of that number.
    private static let nowhere = 99

    let normal: ShopKeypad
    let duress: ShopKeypad
    let admin: API

    init(_ installation: Installation, _ server: Server, _ number: Int) throws {
        normal = try installation.keypad(server, "normal \(number)")
        duress = try installation.keypad(server, "duress \(number)")
        admin = server.api(installation.adminToken)
    }

    func compare(_ partition: Int, _ isNormalFirst: Bool, _ samples: Samples) async throws {
        let versions = (try await arm(normal, partition), try await arm(duress, partition))
        let one: (Reply, Double)
        let other: (Reply, Double)
        if isNormalFirst {
            one = try await disarm(normal, partition, ShopFleet.code)
            other = try await disarm(duress, partition, ShopFleet.duressCode)
        } else {
            other = try await disarm(duress, partition, ShopFleet.duressCode)
            one = try await disarm(normal, partition, ShopFleet.code)
        }
        let wrong = try await disarm(normal, partition, ShopFleet.wrongCode)
        #expect(wrong.0.status == 403)
        samples.add(normal: one.1, duress: other.1, wrong: wrong.1)

        #expect(one.0.status == 200, "\(one.0.text)")
        #expect(other.0.status == 200, "\(other.0.text)")
        #expect(one.0.bytes.count == other.0.bytes.count)
        #expect(Self.masked(one.0.text) == Self.masked(other.0.text))
        #expect(one.0.headers.map(\.name) == other.0.headers.map(\.name))
        #expect(try version(of: one.0) - versions.0 == version(of: other.0) - versions.1)
        if partition.isMultiple(of: 5) {
            let shown = (try await shown(normal), try await shown(duress))
            #expect(shown.0 == shown.1)
            // A command that comes to nothing anyway: duress is heard, and nobody at the keypad can tell.
            let nowhere = (
                try await disarm(normal, Self.nowhere, ShopFleet.code).0,
                try await disarm(duress, Self.nowhere, ShopFleet.duressCode).0
            )
            #expect(nowhere.0.status == 404)
            #expect(Self.masked(nowhere.0.text) == Self.masked(nowhere.1.text))
            #expect(nowhere.0.headers.map(\.name) == nowhere.1.headers.map(\.name))
        }
        // The wrong code was tried at one of them only: make them alike again.
        _ = try await disarm(duress, partition, ShopFleet.wrongCode)
    }

    private func arm(_ keypad: ShopKeypad, _ partition: Int) async throws -> Int64 {
        let body: JSON = ["mode": "night", "partition": JSON(partition)]
        let reply = try await admin.post("/v1/sites/\(keypad.site)/arming/actions/arm", body)
        #expect(reply.status == 200, "\(reply.text)")
        return try version(of: reply)
    }

    private func disarm(_ keypad: ShopKeypad, _ partition: Int, _ code: String) async throws -> (Reply, Double) {
        let started = ContinuousClock.now
        let reply = try await keypad.command("disarm", ["partition": JSON(partition)], code: code)
        return (reply, started.duration(to: .now) / .milliseconds(1))
    }

    private func version(of reply: Reply) throws -> Int64 {
        let tag = try #require(reply.headers.first(name: "ETag"))
        return try #require(Int64(tag.filter(\.isNumber)))
    }

    /// What `GET …/arming` shows, without what every site and moment has of its own.
    private func shown(_ keypad: ShopKeypad) async throws -> String {
        Self.masked(try await keypad.api.get("/v1/sites/\(keypad.site)/arming").text)
    }

    private static func masked(_ text: String) -> String {
        text.replacing(/(site|p|usr|zone|evt|req)_[0-9a-z]{26}/) { "\($0.output.1)_…" }
            .replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, with: "…")
    }
}
