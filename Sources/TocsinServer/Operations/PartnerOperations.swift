import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Partners and their credentials (decisions §3, §11).
enum PartnerOperations {
    static let all = [list, create, get, patch, delete, rotateSecret, revoke]

    static let schema = Schema.object(members).named("Partner")

    private static let members: [Schema.Property] = [
        .required("partner_id", .id(PartnerNoun.prefix)),
        .required("name", .name),
        .required("arming_model", .oneOf(ArmingModel.self)),
        .required("client_id", .string(1...64)),
        .optional("jwks", .any),
        .required("tier", .oneOf(RateTier.self)),
        .required("revoked", .boolean),
        .required("created_at", .time),
        .optional("scorecard", .map(of: .count, atMost: ScorecardMark.allCases.count)),
    ]

    private static let withSecret = Schema.object(
        members + [.required("client_secret", Schema.string(1...200).described("Shown once."))]
    ).named("PartnerWithSecret")

    private static let jwksSchema = Schema.object([
        .required(
            "keys",
            .array(of: .object([.required("kty", .oneOf(["EC", "RSA"]))]), count: 1...ClientKeys.countMax)
        )
    ]).described("Public keys (ES256, RS256) for `private_key_jwt`.").named("ClientKeys")

    static func json(_ partner: Partner) -> JSON { .object(object(partner)) }

    private static func object(_ partner: Partner) -> JSONObject {
        var object: JSONObject = [
            "partner_id": .string(partner.id.text),
            "name": .string(partner.name),
            "arming_model": .string(partner.armingModel.rawValue),
            "client_id": .string(partner.clientID),
        ]
        object["jwks"] = partner.jwks.flatMap { try? JSONParser.parse($0) }
        object["tier"] = .string(partner.tier.rawValue)
        object["revoked"] = .bool(partner.isRevoked)
        object["created_at"] = .string(partner.createdAt.rfc3339Seconds)
        return object
    }

    private static func json(_ partner: Partner, secret: String) -> JSON {
        var object = object(partner)
        object["client_secret"] = .string(secret)
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/partners",
        id: "listPartners",
        tag: .partners,
        summary: "List the partners that the caller reaches",
        callers: .admins,
        query: Operation.pageParameters,
        replies: [.ok("A page of partners.", .page(of: schema))],
        errors: [.invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let found = try await call.read { try $0.partners(within: reach, page: page) }
            return .page(found.items.map(json), next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/partners",
        id: "createPartner",
        tag: .partners,
        summary: "Create a partner",
        notes: "The client secret is shown in this reply only.",
        callers: .platformAdmins,
        body: .json(
            .object([
                .required("name", .name),
                .required("arming_model", .oneOf(ArmingModel.self)),
                .optional("jwks", jwksSchema),
                .optional("tier", .oneOf(RateTier.self)),
            ])
        ),
        replies: [.created("The new partner with its credentials.", withSecret)],
        errors: [.alreadyExists],
        handle: { call in
            let secret = call.newSecret("tcs_secret_")
            let id: PartnerID = call.newID()
            let partner = Partner(
                id: id,
                name: try call.body.string("name"),
                armingModel: try call.body.value("arming_model"),
                clientID: "tcs_client_\(id.body)",
                clientSecretHash: credentialHash(secret),
                jwks: try checkedKeys(call.body),
                tier: call.body.optionalValue("tier") ?? .unlimited,
                createdAt: call.receivedAt
            )
            return try await call.commit { transaction in
                try transaction.insert(partner)
                let reply = Reply.created(json(partner, secret: secret)).uncached
                return change(reply, "partner.create", partner, "The partner \(partner.name) was created.")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/partners/{partner_id}",
        id: "getPartner",
        tag: .partners,
        summary: "Get a partner with its scorecard",
        notes: "A partner may read itself. The scorecard counts what its reports were flagged for.",
        callers: .admins.withPartners,
        replies: [.ok("The partner.", schema)],
        errors: [.partnerNotFound],
        handle: { call in
            let id = try partnerID(call), reach = try call.reach
            return try await call.read { reader in
                var object = object(try found(reader.partner(id, within: reach)))
                let scorecard = try reader.scorecard(of: id)
                let marks = ScorecardMark.allCases.map { ($0.rawValue, JSON.integer(scorecard[$0] ?? 0)) }
                object["scorecard"] = .object(marks.reduce(into: JSONObject()) { $0[$1.0] = $1.1 })
                return .ok(.object(object))
            }
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/partners/{partner_id}",
        id: "patchPartner",
        tag: .partners,
        summary: "Change a partner",
        notes: "The arming model is fixed from the partner's first site on.",
        callers: .platformAdmins,
        body: .json(
            .object([
                .optional("name", .name),
                .optional("arming_model", .oneOf(ArmingModel.self)),
                .optional("jwks", jwksSchema.nullable),
                .optional("tier", .oneOf(RateTier.self)),
            ])
        ),
        replies: [.ok("The partner as it is now.", schema)],
        errors: [.partnerNotFound, .alreadyExists, .armingModelLocked],
        handle: { call in
            let id = try partnerID(call)
            let keys = try checkedKeys(call.body)
            let reply = try await call.commit { transaction in
                var partner = try found(transaction.partner(id, within: .platform))
                partner.name = call.body.optionalString("name") ?? partner.name
                partner.tier = call.body.optionalValue("tier") ?? partner.tier
                if call.body.has("jwks") { partner.jwks = keys }
                if let model: ArmingModel = call.body.optionalValue("arming_model"), model != partner.armingModel {
                    try refuseIfLocked(partner, transaction)
                    partner.armingModel = model
                }
                try transaction.update(partner)
                return change(.ok(json(partner)), "partner.change", partner, "The partner \(partner.name) was changed.")
            }
            await call.services.partnerChanged(id)
            return reply
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/partners/{partner_id}",
        id: "deletePartner",
        tag: .partners,
        summary: "Delete a partner that has no sites",
        callers: .platformAdmins,
        query: [.force],
        replies: [.noContent("The partner is gone.")],
        errors: [.partnerNotFound, .partnerHasSites, .undeliveredEvents],
        handle: { call in
            let id = try partnerID(call)
            let reply = try await call.commit { transaction in
                let partner = try found(transaction.partner(id, within: .platform))
                let obstacles = try DeletionGuard(transaction).obstacles(to: partner)
                // Its sites would go with it, which nobody means by forcing.
                try APIError.refuse(call.isForced ? obstacles.filter { $0 == .hasSites } : obstacles)
                try transaction.deletePartner(id)
                return change(.noContent, "partner.delete", partner, "The partner \(partner.name) was deleted.")
            }
            await call.services.partnerChanged(id)
            return reply
        }
    )

    private static let rotateSecret = Operation(
        .post,
        "/v1/partners/{partner_id}/actions/rotate-secret",
        id: "rotatePartnerSecret",
        tag: .partners,
        summary: "Give a partner a new client secret",
        notes: "The old one stops working at once; tokens that were given for it live out their hour.",
        callers: .platformAdmins,
        replies: [.ok("The partner with its new secret.", withSecret)],
        errors: [.partnerNotFound],
        handle: { call in
            let id = try partnerID(call)
            let secret = call.newSecret("tcs_secret_")
            let reply = try await call.commit { transaction in
                var partner = try found(transaction.partner(id, within: .platform))
                partner.clientSecretHash = credentialHash(secret)
                try transaction.update(partner)
                let reply = Reply.ok(json(partner, secret: secret)).uncached
                return change(reply, "partner.rotate_secret", partner, "The client secret was replaced.")
            }
            await call.services.partnerChanged(id)
            return reply
        }
    )

    private static let revoke = Operation(
        .post,
        "/v1/partners/{partner_id}/actions/revoke",
        id: "revokePartner",
        tag: .partners,
        summary: "Revoke a partner",
        notes: "Its tokens and credentials stop working at once.",
        callers: .platformAdmins,
        replies: [.ok("The revoked partner.", schema)],
        errors: [.partnerNotFound],
        handle: { call in
            let id = try partnerID(call)
            let reply = try await call.commit { transaction in
                var partner = try found(transaction.partner(id, within: .platform))
                partner.isRevoked = true
                try transaction.update(partner)
                return change(.ok(json(partner)), "partner.revoke", partner, "The partner \(partner.name) was revoked.")
            }
            await call.services.partnerChanged(id)
            return reply
        }
    )

    // MARK: Parts

    private static func partnerID(_ call: Call) throws -> PartnerID {
        try call.id("partner_id", orThrow: .partnerNotFound)
    }

    private static func found(_ partner: Partner?) throws -> Partner {
        guard let partner else { throw APIError.missing(.partnerNotFound) }
        return partner
    }

    private static func change(_ reply: Reply, _ action: String, _ partner: Partner, _ explanation: String) -> Change {
        Change(reply, action: action, target: partner.id.text, explanation: explanation)
    }

    /// The registered keys as text, once they have been found usable.
    private static func checkedKeys(_ body: Fields) throws -> String? {
        guard let keys = body.fields("jwks") else { return nil }
        _ = try ClientKeys(.object(keys.object))
        return JSON.object(keys.object).text
    }

    private static func hasSites(_ partner: Partner, _ reader: any LedgerReader) throws -> Bool {
        let page = PageRequest(limit: 1)
        return try !reader.sites(within: .platform, filter: SiteFilter(partnerID: partner.id), page: page).items.isEmpty
    }

    private static func refuseIfLocked(_ partner: Partner, _ reader: any LedgerReader) throws {
        guard try hasSites(partner, reader) else { return }
        throw APIError(
            .armingModelLocked,
            "The partner has sites, so its arming model is fixed. A change needs a new certification run.",
            field: "arming_model"
        )
    }
}
