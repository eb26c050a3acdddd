import TocsinCore
import TocsinJSON
import TocsinLedger

extension DeletionGuard {
    /// What stands against deleting a device: its zones guard something just now, or a relay that is on, or was not told
    /// yet to switch off, is a part of it or of what hangs on it (decisions §11).
    package func obstacles(to device: DeviceID, in record: SiteRecord) throws -> [DeletionObstacle] {
        let zones = record.configuration.zones.filter { $0.deviceID == device }
        let guarding = record.configuration.partitions.filter { partition in
            zones.contains { $0.belongs(to: partition) }
        }
        return try Self.obstacles(to: guarding, in: record) + relays(of: device, in: record)
    }

    private func relays(of device: DeviceID, in record: SiteRecord) throws -> [DeletionObstacle] {
        let holding = try relays(of: record) { $0.deviceID != nil }
        if holding.isEmpty { return [] }
        let bridges = Bridges(try reader.fixtures(of: record.configuration.site.id, kind: .device, within: .platform))
        return holding.filter { relay in
            relay.deviceID.map { $0 == device || bridges.above($0.text).contains(device.text) } ?? false
        }.map(\.obstacle)
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

/// Which device hangs on which, of one site.
package struct Bridges {
    private var bridge: [String: String] = [:]

    /// Takes devices as they are stored.
    package init(_ devices: [Fixture]) {
        for device in devices { bridge[device.id] = device.settings["bridge_id"]?.string }
    }

    /// Takes names, or whatever else tells devices apart, each with what it hangs on.
    package init(_ bridge: [String: String]) { self.bridge = bridge }

    /// What a device hangs on, the nearest first; ends where it would begin anew.
    package func above(_ device: String) -> [String] {
        var above: [String] = []
        var next = bridge[device]
        while let found = next, !above.contains(found) {
            above.append(found)
            next = bridge[found]
        }
        return above
    }

    /// Whether a device would hang on itself, by way of whatever.
    package func isCycle(at device: String) -> Bool { above(device).contains(device) }

    package mutating func hang(_ device: String, on bridge: String?) { self.bridge[device] = bridge }
}
