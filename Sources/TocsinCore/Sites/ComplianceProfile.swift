/// A set of bounds that a site's settings are held to when they are saved; "modelled on", never "certified to".
package enum ComplianceProfile: String, CaseIterable, Sendable {
    case none
    case cp01
    case enG2 = "en_g2"
    case enG3 = "en_g3"
    case ulCommercial = "ul_commercial"
}

/// A setting that the site's profile does not allow: 422 with the clause named (design, compliance profiles).
package struct ProfileViolation: Error, Hashable, Sendable {
    /// The setting, as the wire spells it.
    package var field: String
    /// The rule in the profile's own table.
    package var clause: String
    package var message: String
}

extension ComplianceProfile {
    /// What of a partition's settings the profile does not allow.
    package func violations(in partition: Partition) -> [ProfileViolation] {
        var found = Violations(profile: self)
        let policy = partition.policy
        if let exit = exitBounds {
            for (name, seconds) in [
                ("away", partition.exitDelaySeconds.away), ("stay", partition.exitDelaySeconds.stay),
                ("night", partition.exitDelaySeconds.night), ("custom", partition.exitDelaySeconds.custom),
                // An instant arming has no exit delay to be held to.
            ] where seconds > 0 {
                found.check("exit_delay_seconds.\(name)", seconds, in: exit, "exit delay")
            }
        }
        if let entry = entryBounds {
            found.check("entry_delay_seconds", partition.entryDelaySeconds, in: entry, "entry delay")
        }
        if let abort = abortBounds {
            found.check("abort_window_seconds", abortWindow(of: policy), in: abort, "abort window")
        }
        if self == .ulCommercial, partition.entryDelaySeconds + abortWindow(of: policy) > 60 {
            found.add("abort_window_seconds", "entry delay and abort window", "together at most 60 s")
        }
        if let cancel = cancelMinimum {
            found.check("cancel_window_seconds", policy.cancelWindowSeconds, in: cancel...3600, "cancel window")
        }
        if let bell = bellBounds { found.check("bell_seconds", policy.bellSeconds, in: bell, "bell") }
        return found.list
    }

    /// What of a zone's settings the profile does not allow.
    package func violations(in zone: Zone) -> [ProfileViolation] {
        var found = Violations(profile: self)
        if let entry = entryBounds, let seconds = zone.entryDelaySeconds {
            found.check("entry_delay_seconds", seconds, in: entry, "entry delay")
        }
        if let swinger = swingerBounds {
            found.check("swinger_limit", zone.swingerLimit, in: swinger, "swinger shutdown")
        }
        return found.list
    }

    /// The abort window in force: the partition's own, else 30 s where the profile asks for one, else none.
    package func abortWindow(of policy: PartitionPolicy) -> Int {
        policy.abortWindowSeconds ?? (abortBounds.map { $0.contains(0) ? 0 : 30 } ?? 0)
    }

    /// How many digits a code has.
    package var codeDigits: ClosedRange<Int> { self == .enG3 ? 6...8 : 4...8 }

    /// EN: an instant zone during the entry delay warns first (T20).
    package var warnsOffRoute: Bool { self == .enG2 || self == .enG3 }

    private var exitBounds: ClosedRange<Int>? {
        switch self {
        case .cp01: 45...255
        case .ulCommercial: 0...60
        case .enG2, .enG3, .none: nil
        }
    }

    private var entryBounds: ClosedRange<Int>? {
        switch self {
        case .cp01: 30...240
        case .enG2, .enG3: 0...45
        case .ulCommercial: 0...60
        case .none: nil
        }
    }

    private var abortBounds: ClosedRange<Int>? {
        switch self {
        case .cp01, .ulCommercial: 15...45
        case .enG2, .enG3: 0...0
        case .none: nil
        }
    }

    private var cancelMinimum: Int? {
        switch self {
        case .cp01, .ulCommercial: 300
        case .enG2, .enG3, .none: nil
        }
    }

    private var swingerBounds: ClosedRange<Int>? {
        switch self {
        case .cp01, .ulCommercial: 1...6
        case .enG2, .enG3: 3...3
        case .none: nil
        }
    }

    private var bellBounds: ClosedRange<Int>? {
        switch self {
        case .enG2, .enG3: 120...900
        case .cp01, .ulCommercial, .none: nil
        }
    }
}

/// Gathers violations with one wording.
private struct Violations {
    let profile: ComplianceProfile
    var list: [ProfileViolation] = []

    mutating func check(_ field: String, _ value: Int, in bounds: ClosedRange<Int>, _ clause: String) {
        if bounds.contains(value) { return }
        let rule = bounds.count == 1 ? "exactly \(bounds.lowerBound)" : "\(bounds.lowerBound) to \(bounds.upperBound)"
        add(field, clause, "\(rule)\(field.hasSuffix("limit") ? "" : " s"), not \(value)")
    }

    mutating func add(_ field: String, _ clause: String, _ rule: String) {
        list.append(
            ProfileViolation(
                field: field,
                clause: "\(profile.rawValue): \(clause)",
                message: "is not allowed by the profile \(profile.rawValue), clause \(clause): \(rule)"
            )
        )
    }
}
