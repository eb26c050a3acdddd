import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Apps and their keys (decisions §2, §11).
enum AppOperations {
    static let all = [list, create, get, patch, delete, rotateKey, revoke]

    /// How long the old key works after a rotation (decisions §2).
    static let keyOverlap: Duration = .seconds(86_400)
    /// More entries than a firewall of a dealer has; checked on every request of the app.
    static let allowListMaximum = 100

    static let schema = Schema.object(members).named("App")

    private static let members: [Schema.Property] = [
        .required("app_id", .id(AppNoun.prefix)),
        .required("dealer_id", .id(DealerNoun.prefix)),
        .required("name", .name),
        .required("scopes", scopes),
        .required("ip_allow_list", allowList),
        .required("tier", .oneOf(RateTier.self)),
        .required("revoked", .boolean),
        .required("created_at", .time),
    ]

    private static let withKey = Schema.object(
        members + [.required("api_key", Schema.string(1...200).described("Shown once."))]
    ).named("AppWithKey")

    private static let scopes = Schema.array(of: .oneOf(Scope.self), count: 0...Scope.allCases.count)
    private static let allowList = Schema.array(
        of: Schema.string(2...64).described("An IPv4 or IPv6 address or CIDR block."),
        count: 0...allowListMaximum
    ).described("From where the app may call; empty allows every address.")

    private static let keyMode = Schema.oneOf(["live", "test"]).described(
        "The kind of key: `tcs_live_…` or `tcs_test_…`."
    )

    static func json(_ app: App) -> JSON { .object(object(app)) }

    private static func object(_ app: App) -> JSONObject {
        [
            "app_id": .string(app.id.text),
            "dealer_id": .string(app.dealerID.text),
            "name": .string(app.name),
            "scopes": JSON(app.scopes.map(\.rawValue).sorted()),
            "ip_allow_list": JSON(app.ipAllowList),
            "tier": .string(app.tier.rawValue),
            "revoked": .bool(app.isRevoked),
            "created_at": .string(app.createdAt.rfc3339Seconds),
        ]
    }

    private static func json(_ app: App, key: String) -> JSON {
        var object = object(app)
        object["api_key"] = .string(key)
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/apps",
        id: "listApps",
        tag: .apps,
        summary: "List the apps that the caller reaches",
        callers: .admins,
        query: Operation.pageParameters,
        replies: [.ok("A page of apps.", .page(of: schema))],
        errors: [.invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let found = try await call.read { try $0.apps(within: reach, page: page) }
            return .page(found.items.map(json), next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/apps",
        id: "createApp",
        tag: .apps,
        summary: "Create an app",
        notes: "The API key is shown in this reply only.",
        callers: .admins,
        body: .json(
            .object([
                .optional("dealer_id", .id(DealerNoun.prefix)),
                .required("name", .name),
                .required("scopes", scopes),
                .optional("ip_allow_list", allowList),
                .optional("tier", .oneOf(RateTier.self)),
                .optional("key_mode", keyMode),
            ])
        ),
        replies: [.created("The new app with its key.", withKey)],
        errors: [.dealerNotFound, .dealerRequired, .alreadyExists],
        handle: { call in
            let dealerID = try call.dealerOfBody, reach = try call.reach
            let key = call.newSecret("tcs_\(call.body.optionalString("key_mode") ?? "live")_")
            let app = App(
                id: call.newID(),
                dealerID: dealerID,
                name: try call.body.string("name"),
                scopes: try scopes(of: call.body) ?? [],
                ipAllowList: try allowList(of: call.body) ?? [],
                tier: try tier(call) ?? .unlimited,
                createdAt: call.receivedAt
            )
            return try await call.commit { transaction in
                if try transaction.dealer(dealerID, within: reach) == nil {
                    throw APIError.missing(.dealerNotFound, field: "dealer_id")
                }
                try transaction.insert(app)
                try transaction.insert(AppKey(appID: app.id, hash: credentialHash(key)))
                let reply = Reply.created(json(app, key: key)).uncached
                return change(reply, "app.create", app, "The app \(app.name) was created.")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/apps/{app_id}",
        id: "getApp",
        tag: .apps,
        summary: "Get an app",
        notes: "An app may read itself.",
        callers: .admins.withApps,
        replies: [.ok("The app.", schema)],
        errors: [.appNotFound],
        handle: { call in
            let id = try appID(call), reach = try call.reach
            try call.refuseForeign(app: id)
            return .ok(json(try await call.read { try found($0.app(id, within: reach)) }))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/apps/{app_id}",
        id: "patchApp",
        tag: .apps,
        summary: "Change an app",
        notes: "A scope that is taken away is gone at once, for requests and for events that wait to be delivered.",
        callers: .admins,
        body: .json(
            .object([
                .optional("name", .name),
                .optional("scopes", scopes),
                .optional("ip_allow_list", allowList),
                .optional("tier", .oneOf(RateTier.self)),
            ])
        ),
        replies: [.ok("The app as it is now.", schema)],
        errors: [.appNotFound, .alreadyExists],
        handle: { call in
            let id = try appID(call), reach = try call.reach
            let (newScopes, newList, newTier) = (
                try scopes(of: call.body), try allowList(of: call.body), try tier(call)
            )
            let reply = try await call.commit { transaction in
                var app = try found(transaction.app(id, within: reach))
                let before = app.scopes
                app.name = call.body.optionalString("name") ?? app.name
                app.scopes = newScopes ?? app.scopes
                app.ipAllowList = newList ?? app.ipAllowList
                app.tier = newTier ?? app.tier
                try transaction.update(app)
                var change = change(.ok(json(app)), "app.change", app, "The app \(app.name) was changed.")
                if before != app.scopes {
                    change.details["scopes_added"] = JSON(app.scopes.subtracting(before).map(\.rawValue).sorted())
                    change.details["scopes_removed"] = JSON(before.subtracting(app.scopes).map(\.rawValue).sorted())
                }
                return change
            }
            await call.services.appChanged(id)
            return reply
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/apps/{app_id}",
        id: "deleteApp",
        tag: .apps,
        summary: "Delete an app with its keys and endpoints",
        callers: .admins,
        query: [.force],
        replies: [.noContent("The app is gone.")],
        errors: [.appNotFound, .undeliveredEvents],
        handle: { call in
            let id = try appID(call), reach = try call.reach
            let endpoints = try await call.read { reader in
                try reader.endpoints(of: .app(id, of: found(reader.app(id, within: reach)).dealerID))
            }
            let reply = try await call.commit { transaction in
                let app = try found(transaction.app(id, within: reach))
                if !call.isForced { try APIError.refuse(DeletionGuard(transaction).obstacles(to: app)) }
                try transaction.deleteApp(id)
                return change(.noContent, "app.delete", app, "The app \(app.name) was deleted.")
            }
            await call.services.appChanged(id)
            for endpoint in endpoints { await call.services.deliveries.endpointDeleted(endpoint.id) }
            return reply
        }
    )

    private static let rotateKey = Operation(
        .post,
        "/v1/apps/{app_id}/actions/rotate-key",
        id: "rotateAppKey",
        tag: .apps,
        summary: "Give an app a new key",
        notes: "The old key works for 24 hours more.",
        callers: .admins,
        body: .none,
        replies: [.ok("The app with its new key.", withKey)],
        errors: [.appNotFound],
        handle: { call in
            let id = try appID(call), reach = try call.reach
            let key = call.newSecret("tcs_live_")
            let reply = try await call.commit { transaction in
                let app = try found(transaction.app(id, within: reach))
                let hash = credentialHash(key)
                try transaction.insert(AppKey(appID: id, hash: hash))
                try transaction.expireKeys(of: id, except: hash, at: call.receivedAt + keyOverlap)
                let reply = Reply.ok(json(app, key: key)).uncached
                return change(reply, "app.rotate_key", app, "The app \(app.name) got a new key.")
            }
            await call.services.appChanged(id)
            return reply
        }
    )

    private static let revoke = Operation(
        .post,
        "/v1/apps/{app_id}/actions/revoke",
        id: "revokeApp",
        tag: .apps,
        summary: "Revoke an app",
        notes: "Its keys stop working and its endpoints get nothing more, at once.",
        callers: .admins,
        replies: [.ok("The revoked app.", schema)],
        errors: [.appNotFound],
        handle: { call in
            let id = try appID(call), reach = try call.reach
            let reply = try await call.commit { transaction in
                var app = try found(transaction.app(id, within: reach))
                app.isRevoked = true
                try transaction.update(app)
                return change(.ok(json(app)), "app.revoke", app, "The app \(app.name) was revoked.")
            }
            await call.services.appChanged(id)
            return reply
        }
    )

    // MARK: Parts

    private static func appID(_ call: Call) throws -> AppID { try call.id("app_id", orThrow: .appNotFound) }

    static func found(_ app: App?) throws -> App {
        guard let app else { throw APIError.missing(.appNotFound) }
        return app
    }

    private static func change(_ reply: Reply, _ action: String, _ app: App, _ explanation: String) -> Change {
        Change(reply, action: action, dealerID: app.dealerID, target: app.id.text, explanation: explanation)
    }

    private static func scopes(of body: Fields) throws -> Set<Scope>? {
        body.strings("scopes").map { Set($0.compactMap(Scope.init(rawValue:))) }
    }

    private static func allowList(of body: Fields) throws -> [String]? {
        guard let list = body.strings("ip_allow_list") else { return nil }
        for (index, entry) in list.enumerated() where AddressBlock(entry) == nil {
            throw APIError.invalid("ip_allow_list[\(index)]", "is not an IP address or a CIDR block")
        }
        return list
    }

    /// A tier is the platform's to give: a dealer's admin must not raise its own (decisions §1).
    private static func tier(_ call: Call) throws -> RateTier? {
        guard let tier: RateTier = call.body.optionalValue("tier") else { return nil }
        guard case .platformAdmin = call.caller else {
            throw APIError(.permissionDenied, "Only a platform admin sets a tier. Leave it out.", field: "tier")
        }
        return tier
    }
}

extension Callers {
    /// The same with any app of the dealer, which then sees what is its own.
    var withApps: Callers {
        var copy = self
        copy.app = .any
        return copy
    }
}

extension Call {
    /// The dealer that a create is for: the caller's own, or the one the body names.
    var dealerOfBody: DealerID {
        get throws {
            let named: DealerID? = try bodyID("dealer_id", orThrow: .dealerNotFound)
            switch caller.reach {
            case .dealer(let own)?:
                if let named, named != own { throw APIError.missing(.dealerNotFound, field: "dealer_id") }
                return own
            case .platform?, .partner?, nil:
                guard let named else {
                    throw APIError(.dealerRequired, "Say which dealer: name it in \"dealer_id\".", field: "dealer_id")
                }
                return named
            }
        }
    }

    /// An app sees of apps only itself.
    func refuseForeign(app id: AppID) throws {
        if case .app(let own) = caller, own.id != id { throw APIError.missing(.appNotFound) }
    }
}
