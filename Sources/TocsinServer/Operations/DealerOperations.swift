import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Dealers, and the partners that a dealer's admin lets make sites for it (decisions §3, §11).
enum DealerOperations {
    static let all = [list, create, get, patch, delete, listPartners, link, unlink]

    static let schema = Schema.object([
        .required("dealer_id", .id(DealerNoun.prefix)),
        .required("name", .name),
        autoResolve,
        .required("created_at", .time),
    ]).named("Dealer")

    private static let autoResolve = Schema.Property.optional(
        "auto_resolve_cancelled",
        Schema.boolean.described("Whether an alarm that a disarm cancelled, and nobody took on, resolves itself.")
    )

    static func json(_ dealer: Dealer) -> JSON {
        [
            "dealer_id": .string(dealer.id.text),
            "name": .string(dealer.name),
            "auto_resolve_cancelled": .bool(dealer.autoResolvesCancelled),
            "created_at": .string(dealer.createdAt.rfc3339Seconds),
        ]
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/dealers",
        id: "listDealers",
        tag: .dealers,
        summary: "List the dealers that the caller reaches",
        callers: .admins.withPartners,
        query: Operation.pageParameters,
        replies: [.ok("A page of dealers.", .page(of: schema))],
        errors: [.invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let found = try await call.read { try $0.dealers(within: reach, page: page) }
            return .page(found.items.map(json), next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/dealers",
        id: "createDealer",
        tag: .dealers,
        summary: "Create a dealer",
        callers: .platformAdmins,
        body: .json(.object([.required("name", .name), autoResolve])),
        replies: [.created("The new dealer.", schema)],
        errors: [.alreadyExists],
        handle: { call in
            let dealer = Dealer(
                id: call.newID(),
                name: try call.body.string("name"),
                createdAt: call.receivedAt,
                autoResolvesCancelled: call.body.optionalBool("auto_resolve_cancelled") ?? false
            )
            return try await call.commit { transaction in
                try transaction.insert(dealer)
                return change(.created(json(dealer)), "dealer.create", dealer, "The dealer \(dealer.name) was created.")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/dealers/{dealer_id}",
        id: "getDealer",
        tag: .dealers,
        summary: "Get a dealer",
        callers: .admins.withPartners,
        replies: [.ok("The dealer.", schema)],
        errors: [.dealerNotFound],
        handle: { call in
            let id = try dealerID(call), reach = try call.reach
            return .ok(json(try await call.read { try found($0.dealer(id, within: reach)) }))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/dealers/{dealer_id}",
        id: "patchDealer",
        tag: .dealers,
        summary: "Change a dealer",
        callers: .admins,
        body: .json(.object([.optional("name", .name), autoResolve])),
        replies: [.ok("The dealer as it is now.", schema)],
        errors: [.dealerNotFound, .alreadyExists],
        handle: { call in
            let id = try dealerID(call), reach = try call.reach
            return try await call.commit { transaction in
                var dealer = try found(transaction.dealer(id, within: reach))
                dealer.name = call.body.optionalString("name") ?? dealer.name
                let resolves = call.body.optionalBool("auto_resolve_cancelled")
                dealer.autoResolvesCancelled = resolves ?? dealer.autoResolvesCancelled
                try transaction.update(dealer)
                return change(.ok(json(dealer)), "dealer.change", dealer, "The dealer \(dealer.name) was changed.")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/dealers/{dealer_id}",
        id: "deleteDealer",
        tag: .dealers,
        summary: "Delete a dealer with everything that is its own",
        callers: .platformAdmins,
        query: [.force],
        replies: [.noContent("The dealer is gone.")],
        errors: [.dealerNotFound, .siteArmed, .siteInAlarm, .deletionRefused, .undeliveredEvents],
        handle: { call in
            let id = try dealerID(call)
            let orphans = try await call.read { try endpoints(of: id, $0).map(\.id) }
            let reply = try await call.commit { transaction in
                let dealer = try found(transaction.dealer(id, within: .platform))
                if !call.isForced {
                    try APIError.refuse(DeletionGuard(transaction).obstacles(to: dealer).map(\.obstacle))
                }
                try transaction.deleteDealer(id)
                return change(.noContent, "dealer.delete", dealer, "The dealer \(dealer.name) was deleted.")
            }
            call.services.directory.forget(id)
            call.services.broadcaster.wakeAll()
            await call.services.snapshotFiles.removeAll(of: id)
            for endpoint in orphans { await call.services.deliveries.endpointDeleted(endpoint) }
            return reply
        }
    )

    private static let listPartners = Operation(
        .get,
        "/v1/dealers/{dealer_id}/partners",
        id: "listDealerPartners",
        tag: .dealers,
        summary: "List the partners that may make sites for the dealer",
        callers: .admins,
        replies: [.ok("All of them.", .page(of: PartnerOperations.schema))],
        errors: [.dealerNotFound],
        handle: { call in
            let id = try dealerID(call), reach = try call.reach
            let partners = try await call.read { reader in
                _ = try found(reader.dealer(id, within: reach))
                return try reader.linkedPartners(of: id).compactMap { try reader.partner($0, within: .platform) }
            }
            return .page(partners.map(PartnerOperations.json), next: nil)
        }
    )

    private static let link = Operation(
        .put,
        "/v1/dealers/{dealer_id}/partners/{partner_id}",
        id: "linkPartner",
        tag: .dealers,
        summary: "Let a partner make sites for the dealer",
        callers: .admins,
        replies: [.noContent("The partner is linked.")],
        errors: [.dealerNotFound, .partnerNotFound],
        handle: { call in
            try await changeLink(call, "dealer.link_partner", "may now make sites for") {
                transaction,
                dealer,
                partner in
                try transaction.link(dealer, to: partner)
            }
        }
    )

    private static let unlink = Operation(
        .delete,
        "/v1/dealers/{dealer_id}/partners/{partner_id}",
        id: "unlinkPartner",
        tag: .dealers,
        summary: "Let a partner make no more sites for the dealer",
        notes: "Its sites stay.",
        callers: .admins,
        replies: [.noContent("The partner is not linked.")],
        errors: [.dealerNotFound, .partnerNotFound],
        handle: { call in
            try await changeLink(call, "dealer.unlink_partner", "may make no more sites for") {
                transaction,
                dealer,
                partner in
                try transaction.unlink(dealer, from: partner)
            }
        }
    )

    // MARK: Parts

    private static func changeLink(
        _ call: Call,
        _ action: String,
        _ verb: String,
        _ body: @escaping @Sendable (any LedgerTransaction, DealerID, PartnerID) throws -> Void
    ) async throws -> Reply {
        let id = try dealerID(call), reach = try call.reach
        let partnerID: PartnerID = try call.id("partner_id", orThrow: .partnerNotFound)
        let reply = try await call.commit { transaction in
            let dealer = try found(transaction.dealer(id, within: reach))
            guard let partner = try transaction.partner(partnerID, within: .platform) else {
                throw APIError.missing(.partnerNotFound)
            }
            try body(transaction, id, partnerID)
            return Change(
                .noContent,
                action: action,
                dealerID: id,
                target: partnerID.text,
                explanation: "The partner \(partner.name) \(verb) the dealer \(dealer.name)."
            )
        }
        // A dealer that is new to the partner's endpoints has a log that they now follow.
        await call.services.partnerChanged(partnerID)
        return reply
    }

    private static func dealerID(_ call: Call) throws -> DealerID { try call.id("dealer_id", orThrow: .dealerNotFound) }

    private static func found(_ dealer: Dealer?) throws -> Dealer {
        guard let dealer else { throw APIError.missing(.dealerNotFound) }
        return dealer
    }

    private static func change(_ reply: Reply, _ action: String, _ dealer: Dealer, _ explanation: String) -> Change {
        Change(reply, action: action, dealerID: dealer.id, target: dealer.id.text, explanation: explanation)
    }

    /// The endpoints of all of the dealer's apps.
    private static func endpoints(of dealer: DealerID, _ reader: any LedgerReader) throws -> [Endpoint] {
        var endpoints: [Endpoint] = []
        var page = PageRequest(limit: PageRequest.maximumLimit)
        repeat {
            let apps = try reader.apps(within: .dealer(dealer), page: page)
            for app in apps.items { endpoints += try reader.endpoints(of: .app(app.id, of: dealer)) }
            page.after = apps.next
        } while page.after != nil
        return endpoints
    }
}

extension Operation.Parameter {
    /// Overrides the refusals of decisions §11.
    package static let force = Operation.Parameter.optional(
        "force",
        Schema.boolean.described("Delete even what is armed, in alarm, or has undelivered events.")
    )
}
