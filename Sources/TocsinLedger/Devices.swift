import TocsinCore

/// A device as it is kept: what was configured, and what it told of itself.
package struct StoredDevice: Hashable, Sendable {
    /// Its name, type and bridge.
    package var fixture: Fixture
    package var slot: Int
    package var firmwareVersion: String?
    /// Whether its site counts it as offline.
    package var isOffline: Bool

    package init(fixture: Fixture, slot: Int, firmwareVersion: String?, isOffline: Bool) {
        self.fixture = fixture
        self.slot = slot
        self.firmwareVersion = firmwareVersion
        self.isOffline = isOffline
    }
}

package protocol DeviceReader {
    func device(_ id: DeviceID, within reach: Reach) throws -> StoredDevice?
    /// A site's devices, by name.
    func devices(of site: SiteID, within reach: Reach) throws -> [StoredDevice]
    /// All devices in the order in which they were made, in pages: what the table of devices is filled from.
    func deviceEntries(after slot: Int?, limit: Int) throws -> [DeviceEntry]
    /// The devices with these ids, of all tenants.
    func deviceEntries(of ids: [DeviceID]) throws -> [DeviceEntry]
    /// Slots of devices that were deleted, whoever did it, in the order of the deletions, which are numbered.
    func deletedDevices(after number: Int64, limit: Int) throws -> [(number: Int64, slot: Int)]
    /// When devices were last seen, in pages by the block's number.
    func sightings(after number: Int?, limit: Int) throws -> [SightingBlock]
}

package protocol DeviceWriter {
    /// Sets what a device is said to run; the device itself says it through a decision.
    func setFirmwareVersion(_ version: String?, of device: DeviceID) throws
    /// Keeps sightings, in place of those of the same blocks.
    func store(_ blocks: [SightingBlock]) throws
    /// Forgets which devices were deleted up to this number: whoever keeps a table of them has heard of it.
    func forgetDeletedDevices(upTo number: Int64) throws
}
