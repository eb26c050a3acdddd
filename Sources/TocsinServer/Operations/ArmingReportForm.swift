import TocsinCore
import TocsinJSON

/// The body of `POST /v1/sites/{site_id}/arming-state` (decisions §4).
enum ArmingReportForm {
    /// A sane upper bound: no panel counts down for longer than an hour.
    static let delaySecondsMax: Int64 = 3600
    /// More than any panel has zones.
    static let zonesMax = 256
    /// How far a partner's clock may be ahead of ours (decisions §1).
    static let clockSkewMax: Duration = .seconds(30)

    static let schema = Schema.object([
        .required("state", Schema.oneOf(ReportedState.allCases.map(\.rawValue), ignoringCase: true)),
        .required(
            "partition",
            Schema.anyOf([.string(1...64), .integer(1...Int64(Partition.maximumPerSite))])
                .described("\"all\", a partition's id, or its number as a number or a string.").example("all")
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
            target: try target(body.object["partition"]),
            timestamp: try timestamp(try body.string("timestamp"), receivedAt: receivedAt),
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

    private static func target(_ json: JSON?) throws -> PartitionTarget {
        if let number = json?.integer { return .number(Int(number)) }
        guard let text = json?.string else { throw UncheckedFieldError(field: "partition") }
        if text == "all" { return .all }
        if let id = PartitionID(text) { return .id(id) }
        if let number = Int(text), number > 0, String(number) == text { return .number(number) }
        throw APIError.invalid("partition", "must be \"all\", a partition's id, or its number")
    }

    private static func timestamp(_ text: String, receivedAt: Instant) throws -> Instant {
        let timestamp: Instant
        do throws(TimestampError) {
            timestamp = try Instant(rfc3339: text)
        } catch {
            switch error {
            case .malformed:
                throw APIError.invalid("timestamp", "must be an RFC 3339 time such as \"2026-05-26T10:21:34Z\"")
            case .notUTC:
                throw APIError(
                    .timestampNotUTC,
                    "\"timestamp\" must be in UTC: end it with Z or +00:00.",
                    field: "timestamp"
                )
            }
        }
        guard timestamp <= receivedAt + clockSkewMax else {
            throw APIError(
                .timestampInFuture,
                "\"timestamp\" is more than 30 s ahead of our clock. Check that yours is synchronised.",
                field: "timestamp",
                details: ["server_time": .string(receivedAt.rfc3339Milliseconds)]
            )
        }
        return timestamp
    }
}
