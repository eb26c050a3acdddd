import TocsinCore
import TocsinJSON
import TocsinLedger

extension DeletionGuard {
    /// What stands against deleting a device: its zones guard something just now (decisions §11).
    package static func obstacles(to device: DeviceID, in record: SiteRecord) -> [DeletionObstacle] {
        let zones = record.configuration.zones.filter { $0.deviceID == device }
        return obstacles(
            to: record.configuration.partitions.filter { partition in zones.contains { $0.belongs(to: partition) } },
            in: record
        )
    }
}

extension LedgerTransaction {
    /// Takes a device that is to be deleted away from the zones, relays and devices that name it.
    package func detachDevice(_ device: DeviceID, of site: SiteID) throws {
        for (kind, member) in [(FixtureKind.zone, "device_id"), (.relay, "device_id"), (.device, "bridge_id")] {
            for var fixture in try fixtures(of: site, kind: kind, within: .platform)
            where fixture.settings[member]?.string == device.text {
                fixture.settings[member] = nil
                try update(fixture)
            }
        }
    }
}
