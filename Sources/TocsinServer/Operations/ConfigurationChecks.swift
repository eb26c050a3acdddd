import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Refuses what a site cannot be configured to be: what its compliance profile forbids, and what contradicts itself.
enum ConfigurationChecks {
    /// Checks a partition as it is to be, among those of its site.
    static func check(_ partition: Partition, in record: SiteRecord) throws(APIError) {
        let others = record.configuration.partitions.filter { $0.id != partition.id }
        if let problem = PartitionPolicy.problem(in: others + [partition]) {
            let place = problem.partition == partition.number ? "" : "of partition \(problem.partition) "
            throw .invalid(problem.field, place + problem.message)
        }
        try refuse(record.configuration.site.complianceProfile.violations(in: partition))
    }

    /// Refuses a common area that a schedule names, because it never arms by itself (I18).
    static func checkSchedules(of partition: Partition, _ reader: any LedgerReader) throws {
        guard !partition.policy.commonAreaOf.isEmpty else { return }
        let rules = try reader.fixtures(of: partition.siteID, kind: .schedule, within: .platform)
        guard let rule = rules.first(where: { $0.settings.integer("partition") == partition.number }) else { return }
        throw APIError.invalid("common_area_of", Partition.commonAreaObstacle(schedule: rule.name))
    }

    /// Refuses a profile that asks for longer codes than the site's people have.
    static func checkCodes(_ profile: ComplianceProfile, of site: Site, _ reader: any LedgerReader) throws {
        guard profile.codeDigits.lowerBound > site.complianceProfile.codeDigits.lowerBound else { return }
        let users = try reader.fixtures(of: site.id, kind: .user, within: .platform)
        let names = UserCode.holders(among: users, tooShortFor: profile)
        guard !names.isEmpty else { return }
        throw APIError.invalid(
            "compliance_profile",
            "cannot be \(profile.rawValue): \(UserCode.tooShort(names, for: profile))"
        )
    }

    /// Checks the partitions that a site is made with; errors name them by their place in the body.
    static func check(_ partitions: [Partition], under profile: ComplianceProfile) throws(APIError) {
        func place(_ index: Int) -> String { "partitions[\(index)]." }
        if let problem = PartitionPolicy.problem(in: partitions) {
            let index = partitions.firstIndex { $0.number == problem.partition } ?? 0
            throw .invalid(place(index) + problem.field, problem.message)
        }
        for (index, partition) in partitions.enumerated() {
            try refuse(profile.violations(in: partition), at: place(index))
        }
    }

    /// Checks a zone as it is to be.
    static func check(_ zone: Fixture, under profile: ComplianceProfile) throws(APIError) {
        guard let zone = Zone(zone) else { return }
        try refuse(profile.violations(in: zone))
    }

    /// Checks whether a site can take a profile, with the partitions and zones that it has.
    static func check(_ profile: ComplianceProfile, on configuration: SiteConfiguration) throws(APIError) {
        var errors: [(String, ProfileViolation)] = []
        for partition in configuration.partitions {
            errors += profile.violations(in: partition).map { ("partition \(partition.number)", $0) }
        }
        for zone in configuration.zones {
            errors += profile.violations(in: zone).map { ("zone \(zone.number)", $0) }
        }
        guard let (place, first) = errors.first else { return }
        throw APIError(
            .validationFailed,
            "\"compliance_profile\" cannot be \(profile.rawValue): \(first.field) of \(place) \(first.message).",
            field: "compliance_profile",
            details: [
                "errors": .array(
                    errors.prefix(Schema.errorCountMax).map { place, violation in
                        [
                            "field": "compliance_profile", "clause": .string(violation.clause),
                            "message": .string("\(violation.field) of \(place) \(violation.message)"),
                        ]
                    }
                )
            ]
        )
    }

    /// Refuses to add a partition, disarmed as it is, by which zones would fall out of guard.
    static func checkGuard(ofZonesBeside added: Partition, in record: SiteRecord) throws(APIError) {
        var changed = record.configuration
        changed.partitions.append(added)
        try refuse(changed, of: record)
    }

    /// Refuses to change a partition so that zones would fall out of guard: what a common area belongs to, for example.
    static func checkGuard(ofZonesIn changed: Partition, in record: SiteRecord) throws(APIError) {
        var configuration = record.configuration
        configuration.partitions = configuration.partitions.map { $0.id == changed.id ? changed : $0 }
        try refuse(configuration, of: record)
    }

    /// Refuses to change a zone that guards now so that it would guard no longer, as if it were deleted (T46).
    static func checkGuard(of zone: Fixture, in record: SiteRecord) throws(APIError) {
        guard let index = record.configuration.zones.firstIndex(where: { $0.id.text == zone.id }), let zone = Zone(zone)
        else { return }
        var changed = record.configuration
        changed.zones[index] = zone
        try refuse(changed, of: record)
    }

    private static func refuse(_ changed: SiteConfiguration, of record: SiteRecord) throws(APIError) {
        guard let lost = record.configuration.guardLost(by: changed, in: record.state).first else { return }
        throw .guardGiven(up: lost.zone, in: lost.partition)
    }

    private static func refuse(_ violations: [ProfileViolation], at prefix: String = "") throws(APIError) {
        guard let first = violations.first else { return }
        throw APIError(
            .validationFailed,
            "\"\(prefix)\(first.field)\" \(first.message).",
            field: prefix + first.field,
            details: [
                "errors": .array(
                    violations.map {
                        [
                            "field": .string(prefix + $0.field), "clause": .string($0.clause),
                            "message": .string($0.message),
                        ]
                    }
                )
            ]
        )
    }
}

extension APIError {
    fileprivate static func guardGiven(up zone: Zone, in partition: Partition) -> APIError {
        APIError(
            .siteArmed,
            "\(zone.place) guards \(partition.name), which is armed, and would guard it no longer. Disarm it first.",
            details: ["partition_id": .string(partition.id.text)]
        )
    }
}

extension Fields {
    /// A time in UTC that may lie ahead, such as the end of somebody's rights.
    ///
    /// - Throws: 422 that names the field.
    func optionalInstant(_ name: String) throws(APIError) -> Instant? {
        guard let text = optionalString(name) else { return nil }
        do throws(TimestampError) {
            return try Instant(rfc3339: text)
        } catch {
            switch error {
            case .malformed:
                throw .invalid(path(name), "must be an RFC 3339 time such as \"2026-05-26T10:21:34Z\"")
            case .notUTC:
                throw APIError(
                    .timestampNotUTC,
                    "\"\(path(name))\" must be in UTC: end it with Z or +00:00.",
                    field: path(name)
                )
            }
        }
    }

    /// Checks that these members, where they are given, are times of day.
    func checkTimes(_ names: [String]) throws(APIError) {
        for name in names {
            guard let text = optionalString(name), TimeOfDay(text) == nil else { continue }
            throw .invalid(path(name), "must be a time of day such as \"18:00\"")
        }
    }
}

extension Schema {
    /// A time of the site's day.
    static let timeOfDay = Schema.string(5...5).described("Local time of the site, `HH:MM`.").example("18:00")

    /// Days of the week.
    static let weekdays = Schema.array(of: .oneOf(Weekday.self), count: 1...Weekday.allCases.count)

    static func integer(_ range: ClosedRange<Int>) -> Schema {
        .integer(Int64(range.lowerBound)...Int64(range.upperBound))
    }
}
