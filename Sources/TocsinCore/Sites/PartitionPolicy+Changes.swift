import TocsinJSON

/// Why partitions cannot be configured so: the partition, the member of its policy, and what to write instead.
package struct PolicyProblem: Error, Hashable, Sendable {
    /// The partition's number.
    package var partition: Int
    package var field: String
    package var message: String
}

extension PartitionPolicy {
    /// The members, by the names of the wire.
    package static let members = [
        "exit_violation", "exit_error", "exit_restart", "stay_if_unvacated", "offline_zone", "bell_seconds",
        "abort_window_seconds", "cancel_window_seconds", "cross_zone_seconds", "verification_seconds",
        "bypass_limit", "custom_modes", "common_area_of", "opening_hours",
    ]
    /// A name fits a keypad's display and an event's `mode`.
    package static let customModeLength = 1...40
    /// More named modes than any keypad offers.
    package static let maximumCustomModes = 20
    /// A window for every day, twice over.
    package static let maximumHours = 14
    /// As many as a site has zones.
    package static let bypassLimitRange = 0...10_000
    /// What a custom mode cannot be called, because it is something else already.
    package static let reservedModes = Set(ModeName.allCases.map(\.rawValue) + ["disarmed", "all"])

    /// Takes over the members that are named, and no others; `null` gives one its default again.
    package mutating func take(_ changes: JSONObject) {
        var merged = settings
        for name in Self.members {
            guard let value = changes[name] else { continue }
            merged[name] = value == .null ? JSON?.none : value
        }
        self = PartitionPolicy(settings: merged)
    }

    /// Every member with the value that holds, by the names of the wire; what has none is left out.
    package var described: JSONObject {
        var all: JSONObject = [
            "exit_violation": .string(exitViolation.rawValue),
            "exit_error": .string(exitError.rawValue),
            "exit_restart": .bool(exitRestart),
            "stay_if_unvacated": .bool(stayIfUnvacated),
            "offline_zone": .string(offlineZone.rawValue),
            "bell_seconds": JSON(bellSeconds),
        ]
        all["abort_window_seconds"] = abortWindowSeconds.map { JSON($0) }
        all["cancel_window_seconds"] = JSON(cancelWindowSeconds)
        all["cross_zone_seconds"] = JSON(crossZoneSeconds)
        all["verification_seconds"] = JSON(verificationSeconds)
        all["bypass_limit"] = bypassLimit.map { JSON($0) }
        all["custom_modes"] = JSON(customModes)
        all["common_area_of"] = .array(commonAreaOf.map { JSON($0) })
        all["opening_hours"] = .array(hours.map { .object($0.json) })
        return all
    }

    /// What of the settings of a site's partitions cannot be, beyond the form of each member.
    package static func problem(in partitions: [Partition]) -> PolicyProblem? {
        let byNumber = Dictionary(partitions.map { ($0.number, $0) }) { first, _ in first }
        for partition in partitions {
            func problem(_ field: String, _ message: String) -> PolicyProblem {
                PolicyProblem(partition: partition.number, field: field, message: message)
            }
            let policy = partition.policy
            if Set(policy.customModes).count < policy.customModes.count {
                return problem("custom_modes", "names a mode twice")
            }
            if let name = policy.customModes.first(where: reservedModes.contains) {
                return problem("custom_modes", "has \"\(name)\", which is no name for a mode of one's own")
            }
            if Set(policy.commonAreaOf).count < policy.commonAreaOf.count {
                return problem("common_area_of", "names a partition twice")
            }
            for number in policy.commonAreaOf {
                guard let dependent = byNumber[number], number != partition.number else {
                    return problem("common_area_of", "has \(number), which is no other partition of the site")
                }
                // One level is what premises have; the machine needs no order among common areas then.
                if !dependent.policy.commonAreaOf.isEmpty {
                    return problem("common_area_of", "has \(number), which is a common area itself")
                }
            }
        }
        return nil
    }
}

extension ComplianceProfile {
    /// What a partition that names no delays of its own gets: the usual ones, where the profile allows them.
    package var defaultExitDelays: ExitDelays {
        switch self {
        case .cp01: ExitDelays(stay: 45)
        case .none, .enG2, .enG3, .ulCommercial: ExitDelays()
        }
    }
}
