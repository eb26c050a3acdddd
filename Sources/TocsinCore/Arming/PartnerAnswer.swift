import TocsinJSON

/// What a partner said to a command that it was asked about (decisions §5).
package enum PartnerAnswer: Hashable, Sendable {
    case accepted
    /// With what the partner says stands against it; never empty.
    case rejected([ArmFailureReason])
    /// No usable answer in time; tells why, in words for an operator.
    case unreachable(String)

    /// More reasons than a panel has zones in its way, and longer words than a person reads, are cut.
    static let reasonsMaximum = 20
    static let wordsMaximum = 200

    /// Reads the body of a 2xx reply: `{"result":"accepted"}` or `{"result":"rejected","reasons":[…]}`.
    ///
    /// A reason may be a text, or an object with `message`, and `code`, `zone_number`, `zone_name` and `remedy` if it likes.
    package init(reply bytes: [UInt8]) {
        let object = (try? JSONParser.parse(bytes))?.object
        switch object?["result"]?.string {
        case "accepted": self = .accepted
        case "rejected":
            let reasons = object?["reasons"]?.array?.prefix(Self.reasonsMaximum).compactMap(Self.reason) ?? []
            self = .rejected(reasons.isEmpty ? [.refusedByPartner("the partner refused")] : reasons)
        case .some, .none:
            self = .unreachable("its reply has no \"result\" that is \"accepted\" or \"rejected\"")
        }
    }

    private static func reason(_ json: JSON) -> ArmFailureReason? {
        func words(_ json: JSON?) -> String? {
            json?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(wordsMaximum)) }
        }
        if let text = words(json) { return .refusedByPartner(text) }
        guard let text = words(json["message"]) ?? words(json["code"]) else { return nil }
        return .refusedByPartner(
            text,
            zoneNumber: json["zone_number"]?.integer.flatMap(Int.init(exactly:)),
            zoneName: words(json["zone_name"]),
            remedy: words(json["remedy"])
        )
    }
}

extension ArmFailureReason {
    static func refusedByPartner(
        _ words: String,
        zoneNumber: Int? = nil,
        zoneName: String? = nil,
        remedy: String? = nil
    ) -> Self {
        Self(
            code: "partner_rejected",
            zoneNumber: zoneNumber,
            zoneName: zoneName,
            message: "Cannot arm - \(words)",
            remedy: remedy ?? "Look at what the partner's platform says, then arm again"
        )
    }

    static let partnerSilent = Self(
        code: "partner_unreachable",
        zoneNumber: nil,
        zoneName: nil,
        message: "Cannot arm - the partner did not answer",
        remedy: "Arm again in a moment"
    )

    /// A disarm came while the partner was asked about the arming.
    static func overtaken(by words: String) -> Self {
        Self(
            code: "version_conflict",
            zoneNumber: nil,
            zoneName: nil,
            message: "Cannot arm - \(words) disarmed in the meantime",
            remedy: "Look at the state, then arm again"
        )
    }
}

/// A command that waits for the partner's word (decisions §5): kept in the site's state until it is settled.
///
/// Whoever asked is known by then: neither a code nor its hash is kept.
package struct PendingCommand: Hashable, Sendable {
    /// How long an answer is awaited.
    package static let patience: Duration = .seconds(5)
    /// One that is as old as this when it could be sent again is not: as with a schedule's run, whoever wanted it has
    /// done something else by then.
    package static let resendLimit: Duration = .seconds(15 * 60)
    /// Commands that wait at once for one site: bounds its state.
    ///
    /// A further one is decided as if nobody had answered.
    package static let maximumPerSite = 8

    /// What is put to a partner; everything else is carried out without asking.
    package enum Action: Hashable, Sendable {
        case arm(ArmingCommand.ArmRequest)
        case disarm

        /// As events and the partner's request name it: `arm_away`, …, `disarm`.
        package var wireName: String {
            switch self {
            case .arm(let request): "arm_\(ModeName(request.mode).rawValue)"
            case .disarm: "disarm"
            }
        }
    }

    /// Also the id of the signed POST.
    package var id: EventID
    package var action: Action
    /// Those that the command was about when it came.
    package var partitions: [PartitionID]
    package var by: Attribution
    /// The person whose code it was: their rights are looked at again when the partner has answered.
    package var holder: UserID?
    package var isDuress: Bool
    /// The run of a rule that this is.
    package var run: ScheduledRun?
    package var receivedAt: Instant
    /// When no answer counts as none.
    package var expiresAt: Instant

    /// Which run of which rule: one that was skipped or changed in the meantime is not carried out.
    package struct ScheduledRun: Hashable, Sendable {
        package var schedule: ScheduleID
        package var occurrence: Instant
    }
}

/// A command that waited and waits no longer.
package struct SettledCommand: Sendable {
    package var id: EventID
    package var outcome: CommandOutcome
}

/// What a partner's answer came to.
package struct AnswerOutcome: Sendable {
    /// What had fallen due before the answer arrived.
    package var deadlineEffects: [ArmingEffect]
    package var effects: [ArmingEffect]
}
