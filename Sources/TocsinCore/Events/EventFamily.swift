/// What a type of event is about, as the catalogue groups it.
package enum EventFamily: String, CaseIterable, Sendable {
    case partitions = "Sites and partitions"
    case alarms = "Alarms"
    case verification = "Verification"
    case devices = "Devices"
    case snapshots = "Snapshots"
    case relays = "Relays"
    case operations = "Operations"

    /// What its events are good for.
    package var summary: String {
        switch self {
        case .partitions:
            "Arming and disarming: for schedules, attendance, access control, and whoever shows the state."
        case .alarms: "The life of an alarm, from the first trip to its end. Most apps want at least one of these."
        case .verification: "Somebody, or something, looks whether an alarm is real."
        case .devices: "Hardware that falls silent, comes back, or runs other firmware: for the health of a fleet."
        case .snapshots: "Images and videos of what happened: for verification by people or programs."
        case .relays: "Sirens, strobes and gates that were switched."
        case .operations: "What an administrator should hear of: partners and endpoints that do not do their part."
        }
    }
}
