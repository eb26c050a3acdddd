import Foundation
import Testing
import TocsinSimulation

/// The delivery scheduler in virtual time, over a virtual network: `TOCSIN_SEED=n` plays one life again.
struct `Delivery simulation` {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
    private static let asked = setting("TOCSIN_SEED")
    /// How many lives are played; `TOCSIN_SCHEDULES` asks for another number.
    ///
    /// `./tocsin test` plays a hundred thousand when all others are through: beside these no other test has a processor.
    private static let count = asked == nil ? setting("TOCSIN_SCHEDULES") ?? 5_000 : 1

    private struct Totals: Sendable {
        var lives: UInt64 = 0
        var attempts = 0
        var restarts = 0
        var parked = 0
        var openings = 0
        var stories: [String] = []

        mutating func add(_ life: DeliveryLife) {
            lives += 1
            attempts += life.attempts
            restarts += life.restarts
            parked += life.parked
            openings += life.openings
            if !life.complaints.isEmpty { stories.append(life.story) }
        }

        mutating func add(_ other: Totals) {
            lives += other.lives
            attempts += other.attempts
            restarts += other.restarts
            parked += other.parked
            openings += other.openings
            stories += other.stories
        }
    }

    /// Every so many-th life, until three of them have broken a law.
    @Sendable private static func play(from first: UInt64, to end: UInt64, by stride: Int) -> Totals {
        var totals = Totals()
        for seed in Swift.stride(from: first, to: end, by: stride) where totals.stories.count < 3 {
            totals.add(DeliveryLife(seed: seed))
        }
        return totals
    }

    @Test func `no life of the scheduler breaks a law`() async {
        let first = Self.asked ?? .random(in: 0...UInt64(UInt32.max))
        let end = first + Self.count
        print("delivery: \(Self.count) schedules from TOCSIN_SEED=\(first)")
        let workers = max(1, ProcessInfo.processInfo.activeProcessorCount)
        let all = await withTaskGroup(of: Totals.self) { group in
            for worker in 0..<workers {
                group.addTask { Self.play(from: first + UInt64(worker), to: end, by: workers) }
            }
            var all = Totals()
            for await totals in group { all.add(totals) }
            return all
        }
        print(
            "\(all.lives) lives: \(all.attempts) attempts, \(all.restarts) restarts, \(all.openings) outages, \(all.parked) parked"
        )
        for story in all.stories { Issue.record(Comment(rawValue: story)) }
        guard Self.count >= 1000 else { return }
        // The dice must reach every part.
        #expect(all.attempts > 3 * Self.count && all.restarts > Self.count / 10)
        #expect(all.parked > Self.count / 1000 && all.openings > Self.count / 10)
    }

    @Test(arguments: DeliveryFault.all)
    func `the simulation finds a mistake of one rule`(fault: DeliveryFault) throws {
        let bound: UInt64 = 20_000
        let found = (0..<bound).lazy.map { DeliveryLife(seed: $0, fault: fault) }.first { !$0.complaints.isEmpty }
        let life = try #require(found, "\(fault) was not found in \(bound) lives")
        print("\(fault): found in life \(life.seed): \(life.complaints[0])")
    }
}
