import TocsinJSON

/// One reason why a partition could not be armed, in words that a person can act on (design, arm failure reasons).
package struct ArmFailureReason: Hashable, Sendable {
    package var code: String
    package var zoneNumber: Int?
    package var zoneName: String?
    package var message: String
    package var remedy: String
}

extension ArmFailureReason: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("code", "What stands against it, for programs.") { $0.code },
        .optional("zone_number", "The zone's number, where it is a zone.", form: .whole(0...9999)) { $0.zoneNumber },
        .optional("zone_name", "The zone's name.") { $0.zoneName },
        .required("message", "What stands against it, for a person.") { $0.message },
        .required("remedy", "What to do.") { $0.remedy },
    ]
}

package struct ArmingFailed: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var mode: String?
    package var message: String
    package var reasons: [ArmFailureReason]
    package var by: Attribution
}

extension ArmingFailed: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .partition { $0.partitionID },
        .optional("mode", "What was to be armed, where that is known.", example: "away") { $0.mode },
        .message("Cannot arm - Back Door is open") { $0.message },
        .reasons { $0.reasons },
        .required("by", "Who wanted it.", example: .person) { $0.by },
    ]
}

/// An arming by schedule is near (T38).
package struct ArmingWarning: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var scheduleID: ScheduleID
    package var mode: String
    package var at: Instant
    package var postponableUntil: Instant?
    package var message: String

    package init(
        siteID: SiteID,
        partitionID: PartitionID,
        scheduleID: ScheduleID,
        mode: String,
        at: Instant,
        postponableUntil: Instant?,
        message: String
    ) {
        self.siteID = siteID
        self.partitionID = partitionID
        self.scheduleID = scheduleID
        self.mode = mode
        self.at = at
        self.postponableUntil = postponableUntil
        self.message = message
    }
}

extension ArmingWarning: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .partition { $0.partitionID },
        .schedule { $0.scheduleID },
        .mode { $0.mode },
        .required("at", "When it will be armed.", example: "2026-05-26T10:31:00Z") { $0.at },
        .optional("postponable_until", "The latest time to which it may be put off.", example: "2026-05-26T13:00:00Z") {
            $0.postponableUntil
        },
        .message("House will be armed (away) at 12:31 by the schedule “Closing”") { $0.message },
    ]
}

/// The premises were opened or closed outside their hours, or not at all (T41).
package struct ArmingException: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case earlyOpen = "early_open"
        case lateClose = "late_close"
        case failToOpen = "fail_to_open"
        case failToClose = "fail_to_close"
    }

    package var siteID: SiteID
    package var partitionID: PartitionID
    package var kind: Kind
    package var message: String
    package var by: Attribution?
}

extension ArmingException: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .partition { $0.partitionID },
        .required("kind", "What was out of order.", example: "late_close") { $0.kind },
        .message("House was closed 25 minutes late") { $0.message },
        .optional("by", "Who did it, where somebody did.", example: .person) { $0.by },
    ]
}

/// A schedule rule could not be carried out (T39, T40).
package struct ScheduleFailed: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var scheduleID: ScheduleID
    /// `arm_away`, …, `disarm`.
    package var action: String
    package var dueAt: Instant
    package var message: String
    package var reasons: [ArmFailureReason]
}

extension ScheduleFailed: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .partition { $0.partitionID },
        .schedule { $0.scheduleID },
        .required("action", "What it was to do.", form: .armingAction, example: "arm_away") { $0.action },
        .required("due_at", "When it was due.", example: "2026-05-26T10:11:00Z") { $0.dueAt },
        .message("The schedule “Closing” of House: Back Door is open; tried for 10 minutes") { $0.message },
        .reasons { $0.reasons },
    ]
}

/// `by`: who did something, as far as is known (decisions §5).
extension Attribution: EventPayload {
    package static let members: [EventMember<Self>] = [
        .optional("user_id", "The person; on a partner's site in the partner's terms.") { $0.userID },
        .optional("name", "The person's name, where it is known.") { $0.name },
        .required("method", "Where it was done.") { $0.source },
    ]
}

extension EventMember {
    fileprivate static func reasons(_ value: @escaping @Sendable (Body) -> [ArmFailureReason]) -> EventMember {
        let example: JSON = [
            [
                "code": "zone_open", "zone_number": 5, "zone_name": "Back Door", "message": "Back Door is open",
                "remedy": "Close Back Door (zone 5) or bypass it",
            ]
        ]
        return .required("reasons", "Everything that stood against it.", example: example, value: value)
    }
}

extension JSON {
    fileprivate static let person: JSON = ["user_id": "usr_4x7p", "name": "Ann", "method": "keypad"]
}
