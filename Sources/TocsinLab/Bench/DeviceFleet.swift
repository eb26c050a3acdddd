import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

/// A device and two zones of it at every site of a fleet.
struct DeviceFleet: Sendable {
    let devices: [DeviceID]

    private static let zonesPerSite = 2
    /// How many sites get theirs in one transaction.
    private static let sitesPerWrite = 5_000

    /// Fills the sites straight through the ledger's port.
    static func fill(_ fleet: BenchFleet, clock: some WallClock) async throws -> DeviceFleet {
        let ledger = try SQLiteLedger.open(.file(LedgerFile.path(data: fleet.data)))
        let randomness = SystemRandomness()
        let now = clock.now
        let devices = fleet.sites.map { _ in randomness.id(DeviceNoun.self, at: now) }
        for start in stride(from: 0, to: devices.count, by: sitesPerWrite) {
            try await ledger.write { transaction in
                for index in start..<min(start + sitesPerWrite, devices.count) {
                    try insert(devices[index], at: fleet.sites[index], randomness, now, transaction)
                }
            }
        }
        try await ledger.close()
        return DeviceFleet(devices: devices)
    }

    private static func insert(
        _ device: DeviceID,
        at site: SiteID,
        _ randomness: SystemRandomness,
        _ now: Instant,
        _ transaction: any LedgerTransaction
    ) throws {
        try transaction.insert(
            Fixture(
                id: device.text,
                siteID: site,
                kind: .device,
                number: nil,
                name: "Camera",
                settings: ["type": .string(DeviceType.camera.rawValue)]
            )
        )
        for number in 1...zonesPerSite {
            try transaction.insert(
                Fixture(
                    id: randomness.id(ZoneNoun.self, at: now).text,
                    siteID: site,
                    kind: .zone,
                    number: number,
                    name: "Zone \(number)",
                    settings: [
                        "type": .string(ZoneType.interiorInstant.rawValue), "kind": "motion",
                        "device_id": .string(device.text),
                    ]
                )
            )
        }
    }
}
