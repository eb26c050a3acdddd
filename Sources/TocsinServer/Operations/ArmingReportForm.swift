import TocsinCore
import TocsinJSON

/// The body of `POST /v1/sites/{site_id}/arming-state` (decisions §4).
enum ArmingReportForm {
    /// A sane upper bound: no panel counts down for longer than an hour.
    static let delaySecondsMax: Int64 = 3600
    /// More than any panel has zones.
    static let zonesMax = 256

    static let schema = Schema.object([
        .required("state", Schema.oneOf(ReportedState.allCases.map(\.rawValue), ignoringCase: true)),
        .required(
            "partition",
            PartitionTarget.schema
        ),
        .required("timestamp", Schema.time.described("When it happened, in UTC (`Z` or `+00:00`).")),
        .optional(
            "user_id",
            Schema.string(1...255).nullable
                .described("Required unless `source` is `schedule`, `auto_arm` or `panel`.")
        ),
        .required("source", .oneOf(Source.reportable.map(\.rawValue))),
        .optional("delay_seconds", Schema.integer(0...delaySecondsMax).nullable),
        .optional("mode", Schema.string(1...64).nullable.described("What is being armed.")),
        .optional(
            "zones",
            Schema.array(
                of: .object([
                    .optional("number", Schema.integer(1...9999).nullable), .optional("name", Schema.name.nullable),
                ]),
                count: 0...zonesMax
            ).nullable.described("The zones that a failure or an entry is about.")
        ),
        .optional("reason", Schema.string(0...500).nullable),
        .optional("report_id", Schema.string(1...255).nullable.described("The partner's own id of the report.")),
    ]).named("ArmingReport").example([
        "state": "armed_away", "partition": "all", "timestamp": "2024-01-15T10:30:00Z", "user_id": "user_123",
        "source": "keypad",
    ])

    /// The report that a checked body makes.
    ///
    /// - Throws: 422 that names the field, for what no schema can say.
    static func report(_ body: Fields, receivedAt: Instant) throws -> ArmingReport {
        guard let state = ReportedState(wire: try body.string("state")) else {
            throw UncheckedFieldError(field: "state")
        }
        let source: Source = try body.value("source")
        let userID = body.optionalString("user_id")
        if userID == nil, source.requiresUser {
            throw APIError.invalid("user_id", "is required when \"source\" is \"\(source.rawValue)\"")
        }
        return ArmingReport(
            state: state,
            target: try PartitionTarget(body.object["partition"]),
            timestamp: try ReportedTime.instant(
                try body.string("timestamp"),
                field: "timestamp",
                receivedAt: receivedAt
            ),
            userID: userID,
            source: source,
            delaySeconds: body.optionalInteger("delay_seconds"),
            mode: body.optionalString("mode").map(ArmingMode.init(wireName:)),
            zones: body.list("zones")?.map { zone in
                ArmingReport.Zone(number: zone.optionalInteger("number"), name: zone.optionalString("name"))
            } ?? [],
            reason: body.optionalString("reason"),
            reportID: body.optionalString("report_id")
        )
    }
}
