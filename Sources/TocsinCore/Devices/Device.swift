/// What a device is (decisions, vocabulary).
package enum DeviceType: String, CaseIterable, Sendable {
    case camera, bridge, sensor, panel
}

/// Whether a device gives signs of life (decisions §7).
package enum DeviceStatus: String, CaseIterable, Sendable {
    case online
    /// Nothing was heard of it for ``Device/silence``.
    case offline
    /// It was never seen.
    case unknown
}

/// What holds for every device.
package enum Device {
    /// After so long without a sign of life a device is offline; a return before fires nothing (decisions §7).
    package static let silence: Duration = .seconds(60)
}

/// A change of what a device told of itself, for the ledger's list of devices.
package enum DeviceChange: Hashable, Sendable {
    case wentOffline(DeviceID)
    case cameBack(DeviceID)
    case toldFirmware(DeviceID, version: String)
}
