import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The people of a site, with their codes and rights (design, arming: people); a code is written and never shown.
enum UserOperations {
    static let all = [list, create, get, patch, delete]

    private static let parts = SiteParts(kind: .user, idName: "user_id", notFound: .userNotFound)

    /// Longer than any code, so that a wrong length is told in the words of every other reason.
    private static let codes = Schema.string(1...64)
        .described("4 to 8 digits, as the site's profile asks for; unique in the site.").writeOnly
    /// More than any rota has.
    private static let maximumWindows = 50
    /// More uses than a code has in a lifetime.
    private static let maximumUses: ClosedRange<Int64> = 1...1_000_000

    /// What may be left out; in a patch null takes it away.
    private static let settings: [(name: String, schema: Schema)] = [
        ("email", Schema.string(1...254).described("Where notices about the site go.")),
        ("rights", rights),
        ("valid_from", .time),
        ("valid_until", .time),
        ("windows", Schema.array(of: window, count: 1...maximumWindows).described("When the code is good.")),
        ("one_time", Schema.boolean.described("The code works once.")),
        ("maximum_uses", .integer(maximumUses)),
    ]

    private static let rights = Schema.object([
        .optional("partitions", Schema.array(of: .integer(1...999), count: 0...Partition.maximumPerSite)),
        .optional("modes", .array(of: .oneOf(ModeName.self), count: 0...ModeName.allCases.count)),
        .optional("actions", .array(of: .oneOf(UserAction.self), count: 0...UserAction.allCases.count)),
    ]).described("What the code may do; a list that is left out allows all.").named("UserRights")

    private static let window = Schema.object([
        .optional("days", .weekdays), .required("from", .timeOfDay),
        .required("to", Schema.timeOfDay.described("Exclusive; if not after `from` it is on the next day.")),
    ]).named("WeeklyWindow")

    private static let schema = Schema.object(
        [
            .required("user_id", .id(UserNoun.prefix)), .required("site_id", .id(SiteNoun.prefix)),
            .required("name", .string(1...500)),
            .optional("has_code", Schema.boolean.described("Not shown to partners.")),
            .optional("has_duress_code", Schema.boolean.described("Not shown to partners.")),
        ] + settings.map { .optional($0.name, $0.schema) }
    ).named("User")

    private static func json(_ user: Fixture, for caller: Caller) -> JSON {
        var object: JSONObject = [
            "user_id": .string(user.id), "site_id": .string(user.siteID.text), "name": .string(user.name),
        ]
        for setting in settings { object[setting.name] = user.settings[setting.name] }
        // A partner reaches no codes (decisions §2).
        if case .partner = caller { return .object(object) }
        object["has_code"] = .bool(user.settings["code_hash"] != nil)
        object["has_duress_code"] = .bool(user.settings["duress_code_hash"] != nil)
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/users",
        id: "listSiteUsers",
        tag: .sites,
        summary: "List a site's users, by name",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of users.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let found = try await SiteParts.page(call, of: .user)
            return .page(found.items.map { json($0, for: call.caller) }, next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/users",
        id: "createUser",
        tag: .sites,
        summary: "Add a user to a site",
        callers: Callers.holding(.sitesWrite).withoutPartners,
        body: .json(
            .object(
                [.required("name", .name), .optional("code", codes), .optional("duress_code", codes)]
                    + settings.map { .optional($0.name, $0.schema) }
            )
        ),
        replies: [.created("The new user.", schema)],
        errors: writeErrors + [.siteNotFound, .tooMany],
        handle: { call in
            let id: UserID = call.newID()
            let (site, name) = (try call.siteID, try call.body.string("name"))
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                var user = Fixture(id: id.text, siteID: site, kind: .user, number: nil, name: name, settings: [:])
                try apply(call, to: &user, record, transaction)
                try transaction.insert(user)
                return parts.change(.created(json(user, for: call.caller)), "create", user, record, "was added")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/users/{user_id}",
        id: "getUser",
        tag: .sites,
        summary: "Get a user",
        callers: .holding(.sitesRead),
        replies: [.ok("The user.", schema)],
        errors: [.siteNotFound, .userNotFound],
        handle: { call in
            .ok(json(try await call.read { try parts.found(call, $0).fixture }, for: call.caller))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}/users/{user_id}",
        id: "patchUser",
        tag: .sites,
        summary: "Change a user",
        notes: "A member that is null is taken away, a code too.",
        callers: Callers.holding(.sitesWrite).withoutPartners,
        body: .json(
            .object(
                [.optional("name", .name), .optional("code", codes.nullable), .optional("duress_code", codes.nullable)]
                    + settings.map { .optional($0.name, $0.schema.nullable) }
            )
        ),
        replies: [.ok("The user as it is now.", schema)],
        errors: writeErrors + [.siteNotFound, .userNotFound, .versionConflict],
        handle: { call in
            try await call.commit { transaction in
                var (user, record) = try parts.found(call, transaction)
                try call.checkVersion(record.shownVersion)
                user.name = call.body.optionalString("name") ?? user.name
                try apply(call, to: &user, record, transaction)
                try transaction.update(user)
                return parts.change(.ok(json(user, for: call.caller)), "change", user, record, "was changed")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}/users/{user_id}",
        id: "deleteUser",
        tag: .sites,
        summary: "Delete a user with the codes",
        callers: Callers.holding(.sitesWrite).withoutPartners,
        replies: [.noContent("The user is gone.")],
        errors: [.siteNotFound, .userNotFound, .versionConflict],
        handle: { call in try await parts.delete(call) }
    )

    private static let writeErrors: [ErrorCode] = [
        .alreadyExists, .armingAuthorityConflict, .timestampNotUTC, .userCodeUnacceptable,
    ]

    // MARK: Parts

    /// Takes over what the body names.
    private static func apply(
        _ call: Call,
        to user: inout Fixture,
        _ record: SiteRecord,
        _ reader: any LedgerReader
    ) throws {
        let body = call.body
        try SiteParts.checkEmail(body)
        SiteParts.take(settings.map(\.name), of: body, to: &user)
        for name in ["valid_from", "valid_until"] {
            guard let instant = try body.optionalInstant(name) else { continue }
            user.settings[name] = .string(instant.rfc3339Seconds)
        }
        for window in body.list("windows") ?? [] { try window.checkTimes(["from", "to"]) }
        if let rights = body.fields("rights") {
            user.settings["rights"] = .object(try ordered(rights, record.configuration.partitions))
        }
        let result = SiteUser(user)
        if let from = result?.validFrom, let until = result?.validUntil, until <= from {
            throw APIError.invalid("valid_until", "must be later than \"valid_from\"")
        }
        if user.settings["one_time"]?.bool == true, let uses = user.settings["maximum_uses"]?.integer, uses != 1 {
            throw APIError.invalid("maximum_uses", "must be left out where \"one_time\" is true")
        }
        try setCodes(call, on: &user, record.configuration.site, reader)
    }

    /// The rights with their words in a fixed order, as the fleet file keeps them.
    private static func ordered(_ rights: Fields, _ partitions: [Partition]) throws -> JSONObject {
        var object = JSONObject()
        if let numbers = rights.object.integers("partitions") {
            let known = Set(partitions.map(\.number))
            for (index, number) in numbers.enumerated() where !known.contains(number) {
                let field = "\(rights.path("partitions"))[\(index)]"
                throw APIError.invalid(field, "is not the number of a partition of the site")
            }
            object["partitions"] = .array(Set(numbers).sorted().map { JSON($0) })
        }
        if let modes: Set<ModeName> = rights.object.words("modes") {
            object["modes"] = JSON(ModeName.allCases.filter(modes.contains).map(\.rawValue))
        }
        if let actions: Set<UserAction> = rights.object.words("actions") {
            object["actions"] = JSON(UserAction.allCases.filter(actions.contains).map(\.rawValue))
        }
        return object
    }

    private static func setCodes(
        _ call: Call,
        on user: inout Fixture,
        _ site: Site,
        _ reader: any LedgerReader
    ) throws {
        let members = [("code", UserCode.Members.normal, false), ("duress_code", .duress, true)]
            .filter { call.body.has($0.0) }
        // What the user had and gives back with this request is free again.
        let free = Set(members.compactMap { user.settings[$0.1.hash]?.string })
        let digits = site.complianceProfile.codeDigits
        var wanted: [String: Bool] = [:]
        for (name, kept, isDuress) in members {
            user.settings[kept.hash] = nil
            user.settings[kept.digits] = nil
            guard let text = call.body.optionalString(name) else { continue }
            try SiteParts.refuseIfPartners(site, "a user's code")
            let code = WantedCode(text, isDuress: isDuress, at: site.id, digits: digits, vault: call.services.vault)
            let isAcceptable = try code.isAcceptable { hash in
                let holder = try reader.codeHolder(hash, at: site.id)
                if let isDuress = wanted[hash] { return isDuress }
                return free.contains(hash) ? nil : holder?.isDuress
            }
            guard isAcceptable else { throw unacceptable(name, digits) }
            wanted[code.hash] = isDuress
            user.settings[kept.hash] = .string(code.hash)
            user.settings[kept.digits] = JSON(text.utf8.count)
        }
    }

    /// Taken, weak, short or beside a duress code: always the same words.
    private static func unacceptable(_ field: String, _ digits: ClosedRange<Int>) -> APIError {
        APIError(
            .userCodeUnacceptable,
            "This code cannot be used. Choose another of \(digits.lowerBound) to \(digits.upperBound) digits that nobody "
                + "could guess.",
            field: field
        )
    }
}
