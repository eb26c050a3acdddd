import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The partitions of a site (decisions §4, §11).
enum PartitionOperations {
    static let all = [list, create, get, patch, delete]

    static let schema = Schema.object(
        [
            .required("partition_id", .id(PartitionNoun.prefix)),
            .required("site_id", .id(SiteNoun.prefix)),
            .required("number", numbers),
            .required("name", .name),
            .required("exit_delay_seconds", exitDelays),
            .required("entry_delay_seconds", seconds),
        ] + policy.map { .optional($0.name, $0.schema) }
    ).named("Partition")

    static let createSchema = Schema.object([.required("number", numbers), .required("name", .name)] + delays)
        .named("NewPartition")

    private static let numbers = Schema.integer(1...Int64(Partition.maximumPerSite))
    private static let seconds = Schema.integer(
        Int64(Partition.delaySeconds.lowerBound)...Int64(Partition.delaySeconds.upperBound)
    )
    private static let exitDelays = Schema.object([
        .optional("away", seconds), .optional("stay", seconds), .optional("night", seconds),
        .optional("custom", seconds),
    ]).named("ExitDelays")
    private static let delays: [Schema.Property] =
        [.optional("exit_delay_seconds", exitDelays), .optional("entry_delay_seconds", seconds)]
        + policy.map { .optional($0.name, $0.schema.nullable) }

    /// How the partition behaves where the machine leaves a choice; in a request null gives a member its default again.
    private static let policy: [(name: String, schema: Schema)] = [
        (
            "exit_violation",
            Schema.oneOf(PartitionPolicy.ExitViolation.self)
                .described("What the opening of a zone off the exit route does to a running exit delay.")
        ),
        (
            "exit_error",
            Schema.oneOf(PartitionPolicy.ExitError.self)
                .described("What an exit door that is open at the end of the exit delay does.")
        ),
        (
            "exit_restart",
            Schema.boolean.described("Whether a second opening of the exit door restarts the delay, once.")
        ),
        ("stay_if_unvacated", Schema.boolean.described("Whether away becomes stay when nobody left.")),
        (
            "offline_zone",
            Schema.oneOf(PartitionPolicy.OfflineZone.self)
                .described("What a zone does while armed when its device is offline.")
        ),
        ("bell_seconds", .integer(PartitionPolicy.bellRange)),
        (
            "abort_window_seconds",
            Schema.integer(PartitionPolicy.abortWindowRange)
                .described("How long an alarm waits for a disarm; left out: as the site's profile says.")
        ),
        ("cancel_window_seconds", .integer(PartitionPolicy.cancelWindowRange)),
        ("cross_zone_seconds", .integer(PartitionPolicy.crossZoneRange)),
        (
            "verification_seconds",
            Schema.integer(PartitionPolicy.verificationRange)
                .described("Within what time an intrusion must be verified before it is escalated; 0 asks for nothing.")
        ),
        (
            "bypass_limit",
            Schema.integer(PartitionPolicy.bypassLimitRange)
                .described("How many zones an arming may leave out; left out: any number.")
        ),
        (
            "custom_modes",
            .array(of: .string(PartitionPolicy.customModeLength), count: 0...PartitionPolicy.maximumCustomModes)
        ),
        (
            "common_area_of",
            Schema.array(of: numbers, count: 0...Partition.maximumPerSite)
                .described("The numbers of the partitions whose common area this is: armed while all of them are.")
        ),
        ("opening_hours", .array(of: openingHours, count: 0...PartitionPolicy.maximumHours)),
    ]

    private static let openingHours = Schema.object([
        .optional("days", Schema.array(of: .oneOf(Weekday.self), count: 0...7).described("Left out: every day.")),
        .required("open_from", .timeOfDay), .required("open_to", .timeOfDay), .required("close_from", .timeOfDay),
        .required("close_to", .timeOfDay),
    ]).named("OpeningHours")

    static func json(_ partition: Partition) -> JSON {
        let exit = partition.exitDelaySeconds
        var object: JSONObject = [
            "partition_id": .string(partition.id.text),
            "site_id": .string(partition.siteID.text),
            "number": JSON(partition.number),
            "name": .string(partition.name),
            "exit_delay_seconds": [
                "away": JSON(exit.away), "stay": JSON(exit.stay), "night": JSON(exit.night),
                "custom": JSON(exit.custom),
            ],
            "entry_delay_seconds": JSON(partition.entryDelaySeconds),
        ]
        for member in partition.policy.described.members { object[member.name] = member.value }
        return .object(object)
    }

    /// The partition that a create asks for.
    static func draft(
        _ fields: Fields,
        of site: SiteID,
        under profile: ComplianceProfile,
        _ call: Call
    ) throws -> Partition {
        var partition = Partition(
            id: call.newID(),
            siteID: site,
            number: try fields.integer("number"),
            name: try fields.string("name"),
            exitDelaySeconds: profile.defaultExitDelays
        )
        try apply(fields, to: &partition)
        return partition
    }

    static func refuseRepeatedNumbers(_ partitions: [Partition]) throws {
        var seen: Set<Int> = []
        for (index, partition) in partitions.enumerated() where !seen.insert(partition.number).inserted {
            throw APIError.invalid("partitions[\(index)].number", "occurs twice")
        }
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/partitions",
        id: "listPartitions",
        tag: .sites,
        summary: "List a site's partitions",
        callers: .holding(.sitesRead),
        replies: [.ok("All of them, by number.", .page(of: schema))],
        errors: [.siteNotFound],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            let record = try await call.read { try SiteOperations.found($0.siteRecord(id, within: reach)) }
            return .page(record.configuration.partitions.map(json), next: nil)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/partitions",
        id: "createPartition",
        tag: .sites,
        summary: "Add a partition to a site",
        callers: .holding(.sitesWrite),
        body: .json(createSchema),
        replies: [.created("The new partition, disarmed.", schema)],
        errors: [.siteNotFound, .alreadyExists, .tooMany, .siteArmed],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            return try await call.commit { transaction in
                let record = try SiteOperations.found(transaction.siteRecord(id, within: reach))
                guard record.configuration.partitions.count < Partition.maximumPerSite else {
                    throw APIError(.tooMany, "A site has at most \(Partition.maximumPerSite) partitions.")
                }
                let profile = record.configuration.site.complianceProfile
                let partition = try draft(call.body, of: id, under: profile, call)
                try ConfigurationChecks.check(partition, in: record)
                try ConfigurationChecks.checkSchedules(of: partition, transaction)
                try ConfigurationChecks.checkGuard(ofZonesBeside: partition, in: record)
                try transaction.insert(partition, since: call.receivedAt)
                let explanation = "The partition \(partition.name) was added."
                return change(.created(json(partition)), "partition.create", partition, record, explanation)
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/partitions/{partition_id}",
        id: "getPartition",
        tag: .sites,
        summary: "Get a partition",
        callers: .holding(.sitesRead),
        replies: [.ok("The partition.", schema)],
        errors: [.siteNotFound, .partitionNotFound],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            let record = try await call.read { try SiteOperations.found($0.siteRecord(id, within: reach)) }
            return .ok(json(try partition(call, in: record)))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}/partitions/{partition_id}",
        id: "patchPartition",
        tag: .sites,
        summary: "Change a partition",
        callers: .holding(.sitesWrite),
        body: .json(.object([.optional("name", .name)] + delays)),
        replies: [.ok("The partition as it is now.", schema)],
        errors: [.siteNotFound, .partitionNotFound, .siteArmed, .versionConflict],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            return try await call.commit { transaction in
                let record = try SiteOperations.found(transaction.siteRecord(id, within: reach))
                try call.checkVersion(record.shownVersion)
                var partition = try partition(call, in: record)
                partition.name = call.body.optionalString("name") ?? partition.name
                try apply(call.body, to: &partition)
                try ConfigurationChecks.check(partition, in: record)
                try ConfigurationChecks.checkGuard(ofZonesIn: partition, in: record)
                try ConfigurationChecks.checkSchedules(of: partition, transaction)
                try transaction.update(partition)
                let explanation = "The partition \(partition.name) was changed."
                return change(.ok(json(partition)), "partition.change", partition, record, explanation)
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}/partitions/{partition_id}",
        id: "deletePartition",
        tag: .sites,
        summary: "Delete a partition that is not the last",
        callers: .holding(.sitesWrite),
        query: [.force],
        replies: [.noContent("The partition is gone.")],
        errors: [.siteNotFound, .partitionNotFound, .lastPartition, .siteArmed, .siteInAlarm, .versionConflict],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            return try await call.commit { transaction in
                let record = try SiteOperations.found(transaction.siteRecord(id, within: reach))
                try call.checkVersion(record.shownVersion)
                let partition = try partition(call, in: record)
                if record.configuration.partitions.count == 1 {
                    throw APIError(.lastPartition, "A site's last partition cannot be deleted. Delete the site.")
                }
                if !call.isForced { try APIError.refuse(DeletionGuard.obstacles(to: [partition], in: record)) }
                // A common area goes on with the partitions that are left.
                for var other in record.configuration.partitions
                where other.policy.commonAreaOf.contains(partition.number) {
                    other.policy.commonAreaOf.removeAll { $0 == partition.number }
                    try transaction.update(other)
                }
                try transaction.deletePartition(partition.id, of: id)
                let explanation = "The partition \(partition.name) was deleted."
                return change(.noContent, "partition.delete", partition, record, explanation)
            }
        }
    )

    // MARK: Parts

    private static func partition(_ call: Call, in record: SiteRecord) throws -> Partition {
        let id: PartitionID = try call.id("partition_id", orThrow: .partitionNotFound)
        guard let partition = record.configuration.partitions.first(where: { $0.id == id }) else {
            throw APIError.missing(.partitionNotFound)
        }
        return partition
    }

    /// Takes over what the body names.
    private static func apply(_ fields: Fields, to partition: inout Partition) throws {
        for hours in fields.list("opening_hours") ?? [] {
            try hours.checkTimes(["open_from", "open_to", "close_from", "close_to"])
        }
        partition.policy.take(fields.object)
        if let exit = fields.fields("exit_delay_seconds") {
            let before = partition.exitDelaySeconds
            partition.exitDelaySeconds = ExitDelays(
                away: exit.optionalInteger("away") ?? before.away,
                stay: exit.optionalInteger("stay") ?? before.stay,
                night: exit.optionalInteger("night") ?? before.night,
                custom: exit.optionalInteger("custom") ?? before.custom
            )
        }
        partition.entryDelaySeconds = fields.optionalInteger("entry_delay_seconds") ?? partition.entryDelaySeconds
    }

    private static func change(
        _ reply: Reply,
        _ action: String,
        _ partition: Partition,
        _ record: SiteRecord,
        _ explanation: String
    ) -> Change {
        Change(
            reply,
            action: action,
            dealerID: record.configuration.site.dealerID,
            siteID: partition.siteID,
            target: partition.id.text,
            explanation: explanation
        )
    }
}
