import Testing

@testable import TocsinCore

/// What a site makes of a device's silence and return (T44; decisions §7, §14).
struct DeviceMachineTests {
    private static let camera = DeviceID(stored: "dev_1")
    private static let start = Instant(secondsSinceEpoch: 1_790_000_000)

    @Test func `silence is told once, and makes the device's zones unknown`() {
        var machine = Self.machine()
        let outcome = machine.deviceFellSilent(Self.camera, lastSeenAt: Self.start, at: Self.at(60_000))
        let event = DeviceOffline(deviceID: Self.camera, siteID: Site.sample().id, lastSeenAt: Self.start)
        #expect(outcome?.event == .deviceOffline(event))
        #expect(machine.state.zones[ZoneID(stored: "zone_1")]?.condition == .unknown)
        #expect(machine.state.zones[ZoneID(stored: "zone_2")] == nil)

        let again = machine.deviceFellSilent(Self.camera, lastSeenAt: Self.at(1), at: Self.at(90_000))
        #expect(again == nil)
        #expect(machine.state.offline == [Self.camera: Self.start])
    }

    @Test(arguments: [
        (60_000, 60), (60_999, 60), (61_000, 61), (142_001, 142), (142_999, 142), (86_400_000, 86_400),
    ])
    func `downtime is whole seconds, rounded down`(milliseconds: Int64, seconds: Int) {
        var machine = Self.machine()
        _ = machine.deviceFellSilent(Self.camera, lastSeenAt: Self.start, at: Self.at(60_000))
        let seenAt = Self.at(milliseconds)
        let outcome = machine.deviceReturned(Self.camera, seenAt: seenAt, at: seenAt)
        let event = DeviceOnline(deviceID: Self.camera, siteID: Site.sample().id, downtimeSeconds: seconds)
        #expect(outcome?.event == .deviceOnline(event))
        #expect(machine.state.offline.isEmpty)
        #expect(machine.state.zones[ZoneID(stored: "zone_1")]?.condition == .closed)
        let again = machine.deviceReturned(Self.camera, seenAt: seenAt, at: seenAt)
        #expect(again == nil)
    }

    @Test func `what was offline survives a restart, and a removed device is forgotten`() throws {
        var machine = Self.machine()
        _ = machine.deviceFellSilent(Self.camera, lastSeenAt: Self.start, at: Self.at(60_000))
        let restored = try SiteState(snapshot: machine.state.snapshot)
        #expect(restored == machine.state)
        _ = machine.deviceRemoved(Self.camera, at: Self.at(70_000))
        #expect(machine.state.offline.isEmpty)
        #expect(machine.state.zones[ZoneID(stored: "zone_1")]?.condition == .closed)
    }

    @Test func `a zone that is given another device is offline while that one is`() {
        var offline = Self.machine()
        _ = offline.deviceFellSilent(Self.camera, lastSeenAt: Self.start, at: Self.at(60_000))
        var configuration = offline.configuration
        configuration.devices = [Self.camera]
        configuration.zones[0].deviceID = nil
        configuration.zones[1].deviceID = Self.camera
        var machine = SiteMachine(configuration: configuration, state: offline.state)
        machine.reconfigured(at: Self.at(70_000))
        let zones = machine.state.zones
        #expect(
            zones[ZoneID(stored: "zone_1")]?.isOffline == false && zones[ZoneID(stored: "zone_2")]?.isOffline == true
        )

        configuration.devices = []
        machine = SiteMachine(configuration: configuration, state: machine.state)
        machine.reconfigured(at: Self.at(80_000))
        #expect(machine.state.offline.isEmpty && machine.state.zones[ZoneID(stored: "zone_2")]?.isOffline == false)
    }

    private static func at(_ milliseconds: Int64) -> Instant { start + .milliseconds(milliseconds) }

    private static func machine() -> SiteMachine {
        var door = Zone.sample(number: 1, name: "Door")
        door.deviceID = camera
        let configuration = SiteConfiguration(
            site: Site.sample(),
            partitions: [.sample(number: 1)],
            zones: [door, .sample(number: 2, name: "Window")]
        )
        return SiteMachine(configuration: configuration, state: SiteState())
    }
}
