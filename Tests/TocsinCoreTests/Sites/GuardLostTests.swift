import Testing
import TocsinCore

/// Which changes of a configuration take armed zones out of guard (T46, I18).
struct GuardLostTests {
    private static func site(
        hallOf dependents: [Int],
        model: ArmingModel = .platformTriggered
    ) -> SiteConfiguration {
        var site = Site.sample()
        site.armingModel = model
        var configuration = SiteConfiguration(site: site, partitions: (1...3).map { .sample(number: $0) })
        configuration.partitions[2].policy.commonAreaOf = dependents
        configuration.zones = [
            Zone(id: ZoneID(stored: "zone_1"), number: 1, name: "Stairs", type: .perimeter, partitions: [3])
        ]
        return configuration
    }

    private static func state(armed numbers: Set<Int>, of configuration: SiteConfiguration) -> SiteState {
        var state = SiteMachine(configuration: configuration, state: SiteState()).state
        for partition in configuration.partitions where numbers.contains(partition.number) {
            state.partitions[partition.id]?.phase = .armed(.away)
        }
        return state
    }

    @Test func `a common area that is to belong to a disarmed partition too would be disarmed with it`() {
        let before = Self.site(hallOf: [1])
        let state = Self.state(armed: [1, 3], of: before)
        #expect(before.guardLost(by: Self.site(hallOf: [1, 2]), in: state).map(\.partition.number) == [3])
        #expect(before.guardLost(by: Self.site(hallOf: []), in: state).isEmpty, "on its own it stays armed")
        let both = Self.state(armed: [1, 2, 3], of: before)
        #expect(before.guardLost(by: Self.site(hallOf: [1, 2]), in: both).isEmpty)
    }

    @Test func `a partition that is armed cannot become the common area of one that is not`() {
        let before = Self.site(hallOf: [])
        let state = Self.state(armed: [3], of: before)
        #expect(before.guardLost(by: Self.site(hallOf: [1]), in: state).map(\.zone.number) == [1])
    }

    @Test func `a partner's common area stays what its panel says`() {
        let before = Self.site(hallOf: [], model: .partnerTriggered)
        let state = Self.state(armed: [3], of: before)
        #expect(before.guardLost(by: Self.site(hallOf: [1], model: .partnerTriggered), in: state).isEmpty)
    }
}
