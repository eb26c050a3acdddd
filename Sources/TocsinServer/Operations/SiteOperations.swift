import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Sites (decisions §3, §11).
enum SiteOperations {
    static let all = [list, create, get, patch, delete]

    static let schema = Schema.object([
        .required("site_id", .id(SiteNoun.prefix)),
        .required("dealer_id", .id(DealerNoun.prefix)),
        .optional("partner_id", .id(PartnerNoun.prefix)),
        .optional("external_site_id", externalID),
        .required("name", .name),
        .required("timezone", timezone),
        .optional("address", address),
        .required("test_mode", .boolean),
        .required("arming_model", .oneOf(ArmingModel.self)),
        .required("compliance_profile", profiles),
        .required("created_at", .time),
        .required("partitions", .array(of: PartitionOperations.schema, count: 0...Partition.maximumPerSite)),
        .required("version", .count),
    ]).named("Site")

    private static let externalID = Schema.string(1...255).described("The partner's own id, unique per partner.")
    private static let timezone = Schema.string(1...64)
        .described("An IANA time zone name.").example("America/Chicago")
    private static let profiles = Schema.oneOf(ComplianceProfile.self)
        .described("Bounds that its delays and windows are held to; modelled on the standard, not certified to it.")
    private static let address = Schema.string(0...500)

    static func json(_ record: SiteRecord) -> JSON {
        let site = record.configuration.site
        var object: JSONObject = ["site_id": .string(site.id.text), "dealer_id": .string(site.dealerID.text)]
        object["partner_id"] = site.partnerID.map { .string($0.text) }
        object["external_site_id"] = site.externalID.map(JSON.string)
        object["name"] = .string(site.name)
        object["timezone"] = .string(site.timezone)
        object["address"] = site.address.map(JSON.string)
        object["test_mode"] = .bool(site.testMode)
        object["arming_model"] = .string(site.armingModel.rawValue)
        object["compliance_profile"] = .string(site.complianceProfile.rawValue)
        object["created_at"] = .string(site.createdAt.rfc3339Seconds)
        object["partitions"] = .array(record.configuration.partitions.map(PartitionOperations.json))
        object["version"] = .integer(record.shownVersion)
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites",
        id: "listSites",
        tag: .sites,
        summary: "List the sites that the caller reaches",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters + [
            .optional("dealer_id", .id(DealerNoun.prefix)),
            .optional("partner_id", .id(PartnerNoun.prefix)),
            .optional("external_site_id", externalID),
        ],
        replies: [.ok("A page of sites.", .page(of: schema))],
        errors: [.invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let filter = SiteFilter(
                dealerID: call.query.optionalString("dealer_id").map(DealerID.init(stored:)),
                partnerID: call.query.optionalString("partner_id").map(PartnerID.init(stored:)),
                externalID: call.query.optionalString("external_site_id")
            )
            return try await call.read { reader in
                let sites = try reader.sites(within: reach, filter: filter, page: page)
                let records = try sites.items.compactMap { try reader.siteRecord($0.id, within: reach) }
                return .page(records.map(json), next: sites.next)
            }
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites",
        id: "createSite",
        tag: .sites,
        summary: "Create a site",
        notes: "A site that is made without partitions has partition 1. Its partner is fixed from then on.",
        callers: .holding(.sitesWrite),
        body: .json(
            .object([
                .optional("dealer_id", .id(DealerNoun.prefix)),
                .optional("partner_id", .id(PartnerNoun.prefix)),
                .optional("external_site_id", externalID),
                .required("name", .name),
                .required("timezone", timezone),
                .optional("address", address),
                .optional("test_mode", .boolean),
                .optional("compliance_profile", profiles),
                .optional(
                    "partitions",
                    .array(of: PartitionOperations.createSchema, count: 1...Partition.maximumPerSite)
                ),
            ])
        ),
        replies: [.created("The new site.", schema)],
        errors: [.dealerNotFound, .partnerNotFound, .dealerRequired, .alreadyExists, .partnerRevoked],
        handle: create
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}",
        id: "getSite",
        tag: .sites,
        summary: "Get a site with its partitions",
        callers: .holding(.sitesRead),
        replies: [.ok("The site; `ETag` is its version.", schema)],
        errors: [.siteNotFound],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            let record = try await call.read { try found($0.siteRecord(id, within: reach)) }
            return Reply.ok(json(record)).tagged(version: record.shownVersion)
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}",
        id: "patchSite",
        tag: .sites,
        summary: "Change a site",
        notes: "With `If-Match`, only if the site has that version.",
        callers: .holding(.sitesWrite),
        body: .json(
            .object([
                .optional("name", .name),
                .optional("timezone", timezone),
                .optional("address", address.nullable),
                .optional("external_site_id", externalID.nullable),
                .optional("test_mode", .boolean),
                .optional("compliance_profile", profiles),
            ])
        ),
        replies: [.ok("The site as it is now.", schema)],
        errors: [.siteNotFound, .alreadyExists, .versionConflict],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            let timezone = try call.body.optionalString("timezone").map { try checked(timezone: $0, call) }
            return try await call.commit { transaction in
                let before = try found(transaction.siteRecord(id, within: reach))
                try call.checkVersion(before.shownVersion)
                var site = before.configuration.site
                site.name = call.body.optionalString("name") ?? site.name
                site.timezone = timezone ?? site.timezone
                site.testMode = call.body.optionalBool("test_mode") ?? site.testMode
                if call.body.has("address") { site.address = call.body.optionalString("address") }
                if call.body.has("external_site_id") { site.externalID = call.body.optionalString("external_site_id") }
                if let profile: ComplianceProfile = call.body.optionalValue("compliance_profile"),
                    profile != site.complianceProfile
                {
                    try ConfigurationChecks.check(profile, on: before.configuration)
                    try ConfigurationChecks.checkCodes(profile, of: site, transaction)
                    site.complianceProfile = profile
                }
                try transaction.update(site)
                let after = try found(transaction.siteRecord(id, within: reach))
                let reply = Reply.ok(json(after)).tagged(version: after.shownVersion)
                return change(reply, "site.change", site, "The site \(site.name) was changed.")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}",
        id: "deleteSite",
        tag: .sites,
        summary: "Delete a site with everything that belongs to it",
        notes: "Its events stay in the log; what is not delivered yet is, if the deletion is forced.",
        callers: .holding(.sitesWrite),
        query: [.force],
        replies: [.noContent("The site is gone.")],
        errors: [
            .siteNotFound, .siteArmed, .siteInAlarm, .deletionRefused, .undeliveredEvents, .versionConflict,
        ],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            return try await call.commit { transaction in
                let record = try found(transaction.siteRecord(id, within: reach))
                try call.checkVersion(record.shownVersion)
                if !call.isForced {
                    let showsAlarms = call.caller.holds(.eventsRead)
                    let obstacles = try DeletionGuard(transaction).obstacles(to: record, showsAlarms: showsAlarms)
                    try APIError.refuse(obstacles)
                }
                try transaction.deleteSite(id)
                let site = record.configuration.site
                return change(.noContent, "site.delete", site, "The site \(site.name) was deleted.")
            }
        }
    )

    // MARK: Parts

    static func found(_ record: SiteRecord?) throws -> SiteRecord {
        guard let record else { throw APIError.missing(.siteNotFound) }
        return record
    }

    private static func create(_ call: Call) async throws -> Reply {
        let timezone = try checked(timezone: try call.body.string("timezone"), call)
        let id: SiteID = call.newID()
        let profile: ComplianceProfile = call.body.optionalValue("compliance_profile") ?? .none
        let partitions = try newPartitions(call, of: id, under: profile)
        let (name, isTest) = (try call.body.string("name"), call.body.optionalBool("test_mode") ?? false)
        return try await call.commit { transaction in
            let (dealer, partner) = try owners(call, transaction)
            let site = Site(
                id: id,
                dealerID: dealer.id,
                partnerID: partner?.id,
                externalID: call.body.optionalString("external_site_id"),
                name: name,
                timezone: timezone,
                address: call.body.optionalString("address"),
                testMode: isTest,
                armingModel: partner?.armingModel ?? .platformTriggered,
                complianceProfile: profile,
                createdAt: call.receivedAt
            )
            try transaction.insert(site, partitions: partitions)
            let record = try found(transaction.siteRecord(id, within: .platform))
            let reply = Reply.created(json(record)).tagged(version: record.shownVersion)
            return change(reply, "site.create", site, "The site \(name) was created for the dealer \(dealer.name).")
        }
    }

    /// The partitions that the body names, or the one that a site has without a word.
    private static func newPartitions(
        _ call: Call,
        of site: SiteID,
        under profile: ComplianceProfile
    ) throws -> [Partition] {
        let drafts = try call.body.list("partitions")?.map {
            try PartitionOperations.draft($0, of: site, under: profile, call)
        }
        let only = Partition(
            id: call.newID(),
            siteID: site,
            number: 1,
            name: "Partition 1",
            exitDelaySeconds: profile.defaultExitDelays
        )
        let partitions = drafts ?? [only]
        try PartitionOperations.refuseRepeatedNumbers(partitions)
        try ConfigurationChecks.check(partitions, under: profile)
        return partitions
    }

    /// Whose site it will be, and under which partnership (decisions §3).
    private static func owners(_ call: Call, _ transaction: any LedgerTransaction) throws -> (Dealer, Partner?) {
        let asked: (dealer: DealerID?, partner: PartnerID?) = (
            try call.bodyID("dealer_id", orThrow: .dealerNotFound),
            try call.bodyID("partner_id", orThrow: .partnerNotFound)
        )
        let reach = try call.reach
        let dealerID: DealerID
        switch (reach, asked.dealer) {
        case (.dealer(let own), let named): dealerID = named ?? own
        case (_, let named?): dealerID = named
        case (_, nil):
            throw APIError(.dealerRequired, "Name the site's dealer in \"dealer_id\".", field: "dealer_id")
        }
        // A partner's reach covers the dealers that have linked it.
        guard let dealer = try transaction.dealer(dealerID, within: reach) else {
            throw APIError.missing(.dealerNotFound, field: "dealer_id")
        }
        let partnerID: PartnerID?
        if case .partner(let own) = call.caller {
            guard asked.partner == nil || asked.partner == own.id else {
                throw APIError.missing(.partnerNotFound, field: "partner_id")
            }
            partnerID = own.id
        } else {
            partnerID = asked.partner
        }
        guard let partnerID else { return (dealer, nil) }
        guard let partner = try transaction.partner(partnerID, within: .platform),
            try call.caller.isAdmin || transaction.isLinked(dealer.id, to: partnerID)
        else { throw APIError.missing(.partnerNotFound, field: "partner_id") }
        if partner.isRevoked {
            throw APIError(.partnerRevoked, "The partner is revoked. Choose another.", field: "partner_id")
        }
        // An admin's own create that names both links them.
        if try !transaction.isLinked(dealer.id, to: partnerID) { try transaction.link(dealer.id, to: partnerID) }
        return (dealer, partner)
    }

    private static func checked(timezone: String, _ call: Call) throws -> String {
        guard call.services.timeZones.isName(ofZone: timezone) else {
            throw APIError.invalid("timezone", "must be an IANA time zone name such as \"America/Chicago\"")
        }
        return timezone
    }

    private static func change(_ reply: Reply, _ action: String, _ site: Site, _ explanation: String) -> Change {
        Change(
            reply,
            action: action,
            dealerID: site.dealerID,
            siteID: site.id,
            target: site.id.text,
            explanation: explanation
        )
    }
}
