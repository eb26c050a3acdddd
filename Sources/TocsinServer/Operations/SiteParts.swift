import TocsinCore
import TocsinJSON
import TocsinLedger

/// What operations on a site's zones, users, schedules, contacts and relays have in common.
struct SiteParts: Sendable {
    /// More of one kind than any site of the field has; as the fleet file allows.
    static let maximumPerSite = 10_000

    let kind: FixtureKind
    /// The name of the id in paths and bodies.
    let idName: String
    let notFound: ErrorCode
    /// How many a site may have.
    var maximum = SiteParts.maximumPerSite

    /// The thing that the path names, with its site.
    func found(_ call: Call, _ reader: any LedgerReader) throws -> (fixture: Fixture, record: SiteRecord) {
        let site = try call.siteID, reach = try call.reach
        let record = try SiteOperations.found(reader.siteRecord(site, within: reach))
        let found = try reader.fixture(try call.path(idName), kind: kind, within: reach)
        guard let found, found.siteID == site else { throw APIError.missing(notFound) }
        return (found, record)
    }

    /// A page of the site's things, in the order of the ledger.
    static func page(_ call: Call, of kind: FixtureKind) async throws -> Page<Fixture> {
        let (id, reach, page) = (try call.siteID, try call.reach, try call.page)
        return try await call.read { reader in
            guard try reader.site(id, within: reach) != nil else { throw APIError.missing(.siteNotFound) }
            return try reader.fixtures(of: id, kind: kind, within: reach, page: page)
        }
    }

    /// The site of a new thing, if there is room for one.
    func siteWithRoom(_ call: Call, _ transaction: any LedgerTransaction) throws -> SiteRecord {
        let record = try SiteOperations.found(transaction.siteRecord(try call.siteID, within: try call.reach))
        if try transaction.fixtureCount(of: record.configuration.site.id, kind: kind) >= maximum {
            throw APIError(.tooMany, "A site has at most \(maximum) \(kind.rawValue)s.")
        }
        return record
    }

    /// Deletes the thing that the path names.
    func delete(_ call: Call) async throws -> Reply {
        try await call.commit { transaction in
            let (fixture, record) = try found(call, transaction)
            try call.checkVersion(record.shownVersion)
            try transaction.deleteFixture(fixture.id, of: fixture.siteID)
            return change(.noContent, "delete", fixture, record, "was deleted")
        }
    }

    /// What was done, for the audit log; `verb` ends the action's name, `words` the sentence that the name begins.
    func change(
        _ reply: Reply,
        _ verb: String,
        _ fixture: Fixture,
        _ record: SiteRecord,
        _ words: String
    ) -> Change {
        Change(
            reply,
            action: "\(kind.rawValue).\(verb)",
            dealerID: record.configuration.site.dealerID,
            siteID: fixture.siteID,
            target: fixture.id,
            explanation: "The \(kind.rawValue) \(fixture.name) \(words)."
        )
    }

    /// Takes over the members that the body names; null takes one away.
    static func take(_ names: [String], of body: Fields, to fixture: inout Fixture) {
        for name in names {
            guard let value = body.object[name] else { continue }
            fixture.settings[name] = value == .null ? JSON?.none : value
        }
    }

    /// Refuses what a site that its partner arms cannot have (decisions §3).
    static func refuseIfPartners(_ site: Site, _ thing: String) throws(APIError) {
        guard site.armingModel == .partnerTriggered else { return }
        throw APIError(
            .armingAuthorityConflict,
            "The site's partner arms it, so \(thing) would do nothing here. Set it up at the partner's panel.",
            details: ["arming_model": .string(site.armingModel.rawValue)]
        )
    }

    /// Refuses what cannot be an e-mail address.
    static func checkEmail(_ body: Fields) throws(APIError) {
        guard let email = body.optionalString("email") else { return }
        let parts = email.split(separator: "@", omittingEmptySubsequences: false)
        if parts.count != 2 || parts.contains(where: \.isEmpty) || email.contains(" ") {
            throw .invalid(body.path("email"), "must be an e-mail address")
        }
    }
}
