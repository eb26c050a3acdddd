import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What arms, disarms and switches at a site by its clock (design, arming: schedules).
enum ScheduleOperations {
    static let all = [list, create, get, patch, delete, postpone, skip]

    static let parts = SiteParts(kind: .schedule, idName: "schedule_id", notFound: .scheduleNotFound)

    /// A date of the site's calendar.
    private static let dates = Schema.string(10...10, format: "date").example("2026-12-24")

    /// The members of a rule but for `partition` and `at`; in a patch null takes one away.
    private static let settings: [(name: String, schema: Schema)] = [
        ("arm", Schema.string(1...40).described("The mode to arm in: `away`, `stay`, `night` or a custom one's name.")),
        ("disarm", Schema.boolean.described("`true` for a rule that disarms.")),
        ("activate", Schema.id(RelayNoun.prefix).described("The relay that the rule switches on, instead of arming.")),
        ("duration_seconds", Schema.integer(Relay.durationSeconds).described("For how long it is switched on.")),
        ("days", Schema.weekdays.described("Left out: every day.")),
        ("on", dates.described("The date of a rule that runs once, instead of `days`.")),
        (
            "exceptions",
            Schema.array(
                of: .object([
                    .required("date", dates), .optional("closed", .boolean), .optional("at", .timeOfDay),
                ]),
                count: 0...Schedule.maximumExceptions
            ).described("Dates on which the rule does not run, or runs at another time; they outrank holidays.")
        ),
        ("observe_holidays", Schema.boolean.described("Whether the rule rests on the dealer's holidays; it does.")),
        ("force_arm", Schema.boolean.described("Arms with zones open, leaving them out where they allow it.")),
        (
            "warning_minutes",
            Schema.integer(Schedule.warningMinutesRange)
                .described("How long before an arming people are warned: 10 if left out.")
        ),
        ("latest", Schema.timeOfDay.described("The latest time to which a run may be postponed.")),
        ("enabled", .boolean),
    ]
    private static let numbers = Schema.integer(1...999).described(
        "The partition's number; only a rule that activates a relay needs none."
    )

    private static let nextRuns = Schema.array(
        of: .object([
            .required("at", .time), .required("local", Schema.time.described("With the site's offset.")),
            .required("action", Schema.string(1...80).example("arm_away")),
        ])
    ).described("What the rule will do in the next 14 days.")
    private static let skippedRun = Schema.object([
        .required("at", .time), .required("local", Schema.time.described("With the site's offset.")),
    ]).described("The run that was left out, as long as it would be ahead; skipping again leaves out no other.")

    static let schema = Schema.object(
        [
            .required("schedule_id", .id(ScheduleNoun.prefix)), .required("site_id", .id(SiteNoun.prefix)),
            .required("name", .string(1...500)), .optional("partition", numbers), .required("at", .timeOfDay),
        ] + settings.map { .optional($0.name, $0.schema) }
            + [.required("next_runs", nextRuns), .optional("skipped_run", skippedRun)]
    ).named("Schedule")

    private static let newSchedule = Schema.object(
        [
            .optional("name", Schema.name.described("Left out: what the rule does.")),
            .optional("partition", numbers), .required("at", .timeOfDay),
        ] + settings.map { .optional($0.name, $0.schema) }
    ).named("NewSchedule")

    static func json(_ rule: Fixture, _ context: RunContext) -> JSON {
        var object: JSONObject = [
            "schedule_id": .string(rule.id), "site_id": .string(rule.siteID.text), "name": .string(rule.name),
        ]
        for name in ["partition", "at"] + settings.map(\.name) { object[name] = rule.settings[name] }
        let shown = context.shown(rule)
        object["next_runs"] = shown.runs
        object["skipped_run"] = shown.skipped
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/schedules",
        id: "listSiteSchedules",
        tag: .sites,
        summary: "List a site's schedules, by name",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of schedules.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let (id, reach, page) = (try call.siteID, try call.reach, try call.page)
            return try await call.read { reader in
                let record = try SiteOperations.found(reader.siteRecord(id, within: reach))
                let found = try reader.fixtures(of: id, kind: .schedule, within: reach, page: page)
                let context = try RunContext(call, record, reader)
                return .page(found.items.map { json($0, context) }, next: found.next)
            }
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/schedules",
        id: "createSchedule",
        tag: .sites,
        summary: "Add a schedule to a site",
        callers: .holding(.sitesWrite),
        body: .json(newSchedule),
        replies: [.created("The new schedule.", schema)],
        errors: [.siteNotFound, .relayNotFound, .alreadyExists, .armingAuthorityConflict, .tooMany],
        handle: { call in
            let id: ScheduleID = call.newID()
            let site = try call.siteID
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                var rule = Fixture(id: id.text, siteID: site, kind: .schedule, number: nil, name: "", settings: [:])
                try apply(call.body, to: &rule, record)
                try transaction.insert(rule)
                let context = try RunContext(call, record, transaction)
                return parts.change(.created(json(rule, context)), "create", rule, record, "was added")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/schedules/{schedule_id}",
        id: "getSchedule",
        tag: .sites,
        summary: "Get a schedule",
        callers: .holding(.sitesRead),
        replies: [.ok("The schedule.", schema)],
        errors: [.siteNotFound, .scheduleNotFound],
        handle: { call in
            try await call.read { reader in
                let (rule, record) = try parts.found(call, reader)
                return .ok(json(rule, try RunContext(call, record, reader)))
            }
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}/schedules/{schedule_id}",
        id: "patchSchedule",
        tag: .sites,
        summary: "Change a schedule",
        notes: "A member that is null gets its default again. The change takes effect at once.",
        callers: .holding(.sitesWrite),
        body: .json(
            .object(
                [.optional("name", .name), .optional("partition", numbers), .optional("at", .timeOfDay)]
                    + settings.map { .optional($0.name, $0.schema.nullable) }
            )
        ),
        replies: [.ok("The schedule as it is now.", schema)],
        errors: [
            .siteNotFound, .scheduleNotFound, .relayNotFound, .alreadyExists, .armingAuthorityConflict,
            .versionConflict,
        ],
        handle: { call in
            try await call.commit { transaction in
                var (rule, record) = try parts.found(call, transaction)
                try call.checkVersion(record.shownVersion)
                try apply(call.body, to: &rule, record)
                try transaction.update(rule)
                let context = try RunContext(call, record, transaction)
                return parts.change(.ok(json(rule, context)), "change", rule, record, "was changed")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}/schedules/{schedule_id}",
        id: "deleteSchedule",
        tag: .sites,
        summary: "Delete a schedule",
        callers: .holding(.sitesWrite),
        replies: [.noContent("The schedule is gone.")],
        errors: [.siteNotFound, .scheduleNotFound, .versionConflict],
        handle: { call in try await parts.delete(call) }
    )

    // MARK: Parts

    /// Takes over what the body names; a rule without a name is called after what it does.
    private static func apply(_ body: Fields, to rule: inout Fixture, _ record: SiteRecord) throws {
        try SiteParts.refuseIfPartners(record.configuration.site, "a schedule")
        if let problem = Schedule.contradiction(in: body.object) {
            throw APIError.invalid(problem.field, problem.message)
        }
        let wasDerived = rule.name.isEmpty || rule.name == Schedule.derivedName(of: rule.settings)
        rule.settings = Schedule.merge(body.object, into: rule.settings)
        do throws(ScheduleProblem) {
            rule.settings = try Schedule(rule).settings
        } catch {
            throw APIError.invalid(error.field, error.message)
        }
        if let relay = rule.settings["activate"]?.string.map(RelayID.init(stored:)),
            record.configuration.relay(relay) == nil
        {
            throw APIError.missing(.relayNotFound, field: "activate")
        }
        let number = rule.settings.integer("partition")
        let partition = record.configuration.partitions.first { $0.number == number }
        if number != nil, partition == nil {
            throw APIError.invalid("partition", "is not the number of a partition of the site")
        }
        if rule.settings["activate"] == nil, let obstacle = partition?.scheduleObstacle {
            throw APIError.invalid("partition", obstacle)
        }
        if let partition, let mode = rule.settings["arm"]?.string, !partition.offers(ArmingMode(wireName: mode)) {
            throw APIError.invalid("arm", "must be away, stay, night or one of the partition's \"custom_modes\"")
        }
        let name = body.optionalString("name")
        rule.name = name ?? (wasDerived ? Schedule.derivedName(of: rule.settings) : rule.name)
    }

    /// What the next runs of a site's rules follow from.
    struct RunContext: Sendable {
        private let now: Instant
        private let holidays: Set<CivilDate>
        /// None for a partner's site, whose rules do not run.
        private let machine: SiteMachine?

        init(_ call: Call, _ record: SiteRecord, _ reader: any LedgerReader) throws {
            let site = record.configuration.site
            let holidays = Set(try reader.holidays(of: site.dealerID).map(\.date))
            self.init(record, holidays, at: call.receivedAt, call.services.timeZones)
        }

        init(_ record: SiteRecord, _ holidays: Set<CivilDate>, at now: Instant, _ timeZones: TimeZones) {
            var configuration = record.configuration
            configuration.holidays = holidays
            self.now = now
            self.holidays = holidays
            machine =
                configuration.site.armingModel == .platformTriggered
                ? SiteMachine(
                    configuration: configuration,
                    state: record.state,
                    timeZone: timeZones.rulesOrUTC(for: configuration.site.timezone)
                ) : nil
        }

        /// The same rules and holidays with another state of the site.
        func after(_ record: SiteRecord, _ timeZones: TimeZones) -> RunContext {
            RunContext(record, holidays, at: now, timeZones)
        }

        /// What comes next, and what was left out: as the machine will plan it, whether or not it has seen the latest change.
        func shown(_ fixture: Fixture) -> (runs: JSON, skipped: JSON?) {
            guard let machine, let rule = try? Schedule(fixture) else { return ([], nil) }
            let zone = machine.timeZone
            let planned = machine.plan(of: rule, at: now)
            let runs = rule.nextRuns(planned: planned, at: now, holidays: holidays, zone: zone)
            let skipped = planned?.skipped.flatMap { now < $0.until ? $0 : nil }
            return (
                .array(
                    runs.map {
                        ["at": .string($0.at.rfc3339Seconds), "local": .string($0.local), "action": .string($0.action)]
                    }
                ),
                skipped.map {
                    [
                        "at": .string($0.occurrence.rfc3339Seconds),
                        "local": .string(zone.localText($0.occurrence)),
                    ]
                }
            )
        }
    }
}
