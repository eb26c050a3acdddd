import Testing
import TocsinCore
import TocsinSimulation

/// What hostile receivers cost the others, in virtual time: nothing is measured that the machine's speed could change.
struct `Delivery under load` {
    private static let shares = DeliveryShares.Limits(total: 256, alarmReserve: 32, slow: 96, endpointPart: 32)

    /// Four dealers with seven healthy endpoints each.
    private static let healthy = (0..<28).map { DeliveryLoad.Receiver.healthy($0 / 7) }

    @Test func `a million pending to black holes and 30 % slow loris leave the others their throughput and their p99`()
    {
        let alone = DeliveryLoad(
            Self.healthy,
            backlogs: [0, 0, 0, 0, 0],
            perSecond: 10,
            seconds: 90,
            shares: Self.shares
        )
        let lorises = (0..<12).map { DeliveryLoad.Receiver.loris($0 / 3) }
        let holes = (0..<20).map { _ in DeliveryLoad.Receiver.blackHole(4) }
        let beset = DeliveryLoad(
            Self.healthy + lorises + holes,
            backlogs: [0, 0, 0, 0, 1_000_000],
            perSecond: 10,
            seconds: 90,
            shares: Self.shares
        )
        let (before, after) = (alone.report(of: 0..<28), beset.report(of: 0..<28))
        print("healthy alone: \(before.delivered) delivered, p99 \(before.p99) ms, alarms \(before.alarmP99) ms")
        print("healthy beset: \(after.delivered) delivered, p99 \(after.p99) ms, alarms \(after.alarmP99) ms")
        print("most in flight \(beset.mostInFlight) of \(Self.shares.total), most held by one \(beset.mostHeld)")
        #expect(Double(after.delivered) >= 0.9 * Double(before.delivered))
        #expect(Double(after.p99) <= 1.5 * Double(before.p99))
        #expect(Double(after.alarmP99) <= 1.5 * Double(before.alarmP99))
        #expect(beset.mostInFlight <= Self.shares.total)
        #expect(beset.mostHeld <= 256 + 64 + 128)
    }

    @Test func `without shares the same receivers would starve the others`() {
        // What a bound for all alone comes to: whoever is slow holds it.
        let unshared = DeliveryShares.Limits(total: 256, alarmReserve: 0, slow: 256, endpointPart: 1)
        let lorises = (0..<12).map { DeliveryLoad.Receiver.loris($0 / 3) }
        let holes = (0..<20).map { DeliveryLoad.Receiver.blackHole($0 % 5) }
        let beset = DeliveryLoad(
            Self.healthy + lorises + holes,
            backlogs: [10_000, 10_000, 10_000, 10_000, 1_000_000],
            perSecond: 10,
            seconds: 60,
            shares: unshared
        )
        let report = beset.report(of: 0..<28)
        print("without shares: \(report.delivered) delivered, p99 \(report.p99) ms")
        #expect(report.p99 > 100)
    }

    @Test func `with order one poisoned site costs the others at most 2 percent`() {
        var receiver = DeliveryLoad.Receiver.healthy(0)
        receiver.ordering = .site
        let well = DeliveryLoad([receiver], backlogs: [0], perSecond: 200, seconds: 60)
        receiver.poisonedSite = 7
        let poisoned = DeliveryLoad([receiver], backlogs: [0], perSecond: 200, seconds: 60)
        // In both only the other 49 of 50 sites count.
        let (all, others) = (well.reports[0].delivered * 49 / 50, poisoned.reports[0].delivered)
        print(
            "other sites: \(others) of \(all) delivered, p99 \(poisoned.reports[0].p99) ms for \(well.reports[0].p99) ms"
        )
        #expect(Double(others) >= 0.98 * Double(all))
    }
}
