import HTTPTypes
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Whom to call about a site.
enum ContactOperations {
    static let all = [list, create, get, patch, delete]

    private static let parts = SiteParts(kind: .contact, idName: "contact_id", notFound: .contactNotFound)

    /// What may be left out; in a patch null takes it away.
    private static let settings: [(name: String, schema: Schema)] = [
        ("email", .string(1...254)), ("phone", .string(1...40)), ("role", .string(1...40)),
    ]

    private static let schema = Schema.object(
        [
            .required("contact_id", .id(ContactNoun.prefix)), .required("site_id", .id(SiteNoun.prefix)),
            .required("name", .string(1...500)),
        ] + settings.map { .optional($0.name, $0.schema) }
    ).named("Contact")

    private static func json(_ contact: Fixture) -> JSON {
        var object: JSONObject = [
            "contact_id": .string(contact.id), "site_id": .string(contact.siteID.text), "name": .string(contact.name),
        ]
        for setting in settings { object[setting.name] = contact.settings[setting.name] }
        return .object(object)
    }

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/contacts",
        id: "listSiteContacts",
        tag: .sites,
        summary: "List a site's contacts, by name",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of contacts.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let found = try await SiteParts.page(call, of: .contact)
            return .page(found.items.map(json), next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/contacts",
        id: "createContact",
        tag: .sites,
        summary: "Add a contact to a site",
        callers: .holding(.sitesWrite),
        body: .json(.object([.required("name", .name)] + settings.map { .optional($0.name, $0.schema) })),
        replies: [.created("The new contact.", schema)],
        errors: [.siteNotFound, .alreadyExists, .tooMany],
        handle: { call in
            let id: ID<ContactNoun> = call.newID()
            let (site, name) = (try call.siteID, try call.body.string("name"))
            try SiteParts.checkEmail(call.body)
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                var contact = Fixture(
                    id: id.text,
                    siteID: site,
                    kind: .contact,
                    number: nil,
                    name: name,
                    settings: [:]
                )
                SiteParts.take(settings.map(\.name), of: call.body, to: &contact)
                try transaction.insert(contact)
                return parts.change(.created(json(contact)), "create", contact, record, "was added")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/contacts/{contact_id}",
        id: "getContact",
        tag: .sites,
        summary: "Get a contact",
        callers: .holding(.sitesRead),
        replies: [.ok("The contact.", schema)],
        errors: [.siteNotFound, .contactNotFound],
        handle: { call in .ok(json(try await call.read { try parts.found(call, $0).fixture })) }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}/contacts/{contact_id}",
        id: "patchContact",
        tag: .sites,
        summary: "Change a contact",
        notes: "A member that is null is taken away.",
        callers: .holding(.sitesWrite),
        body: .json(.object([.optional("name", .name)] + settings.map { .optional($0.name, $0.schema.nullable) })),
        replies: [.ok("The contact as it is now.", schema)],
        errors: [.siteNotFound, .contactNotFound, .alreadyExists, .versionConflict],
        handle: { call in
            try SiteParts.checkEmail(call.body)
            return try await call.commit { transaction in
                var (contact, record) = try parts.found(call, transaction)
                try call.checkVersion(record.shownVersion)
                contact.name = call.body.optionalString("name") ?? contact.name
                SiteParts.take(settings.map(\.name), of: call.body, to: &contact)
                try transaction.update(contact)
                return parts.change(.ok(json(contact)), "change", contact, record, "was changed")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}/contacts/{contact_id}",
        id: "deleteContact",
        tag: .sites,
        summary: "Delete a contact",
        callers: .holding(.sitesWrite),
        replies: [.noContent("The contact is gone.")],
        errors: [.siteNotFound, .contactNotFound, .versionConflict],
        handle: { call in try await parts.delete(call) }
    )
}
