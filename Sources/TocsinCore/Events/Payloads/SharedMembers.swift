import TocsinJSON

/// Members that many payloads have, worded once.
extension EventMember {
    static func alarm(_ value: @escaping @Sendable (Body) -> AlarmReference) -> EventMember {
        .required("alarm_id", "The alarm's number in its dealer.", example: "A-10293", value: value)
    }

    static func site(_ value: @escaping @Sendable (Body) -> SiteID) -> EventMember {
        .required("site_id", "The site.", example: "site_29snd", value: value)
    }

    static func partition(_ value: @escaping @Sendable (Body) -> PartitionID) -> EventMember {
        .required("partition_id", "The partition.", example: "p_abc", value: value)
    }

    static func device(_ value: @escaping @Sendable (Body) -> DeviceID) -> EventMember {
        .required("device_id", "The device.", example: "dev_8h2j3kfm", value: value)
    }

    static func schedule(_ value: @escaping @Sendable (Body) -> ScheduleID) -> EventMember {
        .required("schedule_id", "The schedule.", example: "sch_4dk2", value: value)
    }

    static func mode(_ value: @escaping @Sendable (Body) -> String) -> EventMember {
        .required("mode", "`away`, `stay`, `night`, or the name of a custom mode.", example: "away", value: value)
    }

    static func operatorID(
        _ summary: String,
        example: JSON? = "op_jsmith",
        value: @escaping @Sendable (Body) -> String?
    ) -> EventMember {
        .optional("operator_id", summary, example: example, value: value)
    }

    /// A sentence that a person can read and act on.
    static func message(_ example: String, value: @escaping @Sendable (Body) -> String) -> EventMember {
        .required("message", "What happened, in words for a person.", example: .string(example), value: value)
    }
}

extension EventForm {
    /// A zone's or a partition's number.
    static let number = EventForm.whole(1...9999)

    /// What a command or a schedule does: `arm_away`, …, `disarm`.
    static let armingAction = EventForm.words(ModeName.allCases.map { "arm_\($0.rawValue)" } + ["disarm"])
}
