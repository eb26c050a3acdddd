/// How a partition is armed.
package enum ArmingMode: Hashable, Sendable {
    case away
    case stay
    case night
    /// `armed_custom`; the name (vacation, closed-season, …) stands in `mode` on the wire, where there is one.
    case custom(name: String?)

    /// The `armed_*` state that the documents use.
    package var armedState: ReportedState {
        switch self {
        case .away: .armedAway
        case .stay: .armedStay
        case .night: .armedNight
        case .custom: .armedCustom
        }
    }

    /// The value of `mode` on the wire.
    package var wireName: String {
        switch self {
        case .away: "away"
        case .stay: "stay"
        case .night: "night"
        case .custom(let name): name ?? "custom"
        }
    }

    /// Reads a `mode`: one of the three fixed words, else the name of a custom mode.
    package init(wireName: String) {
        switch wireName {
        case "away": self = .away
        case "stay": self = .stay
        case "night": self = .night
        case "custom": self = .custom(name: nil)
        default: self = .custom(name: wireName)
        }
    }
}

/// The `state` of a partner's report (decisions §4).
package enum ReportedState: String, CaseIterable, Sendable {
    case disarmed
    case armedAway = "armed_away"
    case armedStay = "armed_stay"
    case armedNight = "armed_night"
    case armedCustom = "armed_custom"
    case armingInProgress = "arming_in_progress"
    case entryDelay = "entry_delay"
    case armFailure = "arm_failure"

    /// Reads a state in any letter case: the documents themselves write `ARM_FAILURE`.
    package init?(wire text: String) { self.init(rawValue: text.lowercased()) }
}

/// Where a change came from: the `source` of a report and of an event (decisions §4).
package enum Source: String, CaseIterable, Sendable {
    case keypad
    case keyfob
    case panel
    case mobileApp = "mobile_app"
    case web
    case api
    case schedule
    case autoArm = "auto_arm"
    case unknown
    /// Tocsin itself, when one of its countdowns or watchdogs ran out; no report may claim it.
    case system

    /// What a partner may write.
    package static let reportable = allCases.filter { $0 != .system }

    /// Whether a report from here must name its user (decisions §4).
    package var requiresUser: Bool {
        switch self {
        case .schedule, .autoArm, .panel, .system: false
        case .keypad, .keyfob, .mobileApp, .web, .api, .unknown: true
        }
    }

    /// The catalogue's `by`: a user at the premises, a schedule, or somebody remote (decisions §8).
    package var by: String {
        switch self {
        case .keypad, .keyfob, .panel, .unknown, .system: "user"
        case .schedule, .autoArm: "schedule"
        case .mobileApp, .web, .api: "remote"
        }
    }
}

/// Who caused a change, as far as is known.
package struct Attribution: Hashable, Sendable {
    /// The person; on a partner's site the partner's own word, never resolved to a user of ours.
    package var userID: String?
    /// The person's name, where we know it.
    package var name: String?
    package var source: Source

    package init(userID: String? = nil, name: String? = nil, source: Source) {
        self.userID = userID
        self.name = name
        self.source = source
    }

    /// The `triggered_by` of the arming document: the user, and where there is none the source (decisions §8).
    package var triggeredBy: String { userID ?? source.rawValue }
}
