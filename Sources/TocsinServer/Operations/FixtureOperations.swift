import HTTPTypes
import TocsinCore
import TocsinJSON
import TocsinLedger

/// The relays of a site, to be read: the fleet file makes and changes them (decisions §11, §12).
enum FixtureOperations {
    static let all = Noun.all.map(\.list) + [getRelay]

    /// A kind of thing as the API shows it: never a code, nor what is kept of one.
    fileprivate struct Noun: Sendable {
        var kind: FixtureKind
        var idName: String
        var prefix: String
        var name: String
        var plural: String
        var scope: Scope
        var members: [Schema.Property]

        static let all = [relay]

        var schema: Schema {
            Schema.object(
                [
                    .required(idName, .id(prefix)), .required("site_id", .id(SiteNoun.prefix)),
                    .required("name", .string(1...500)),
                ] + members
            ).named(name)
        }

        func json(_ fixture: Fixture) -> JSON {
            var object: JSONObject = [
                idName: .string(fixture.id), "site_id": .string(fixture.siteID.text), "name": .string(fixture.name),
            ]
            for member in members { object[member.name] = fixture.settings[member.name] }
            return .object(object)
        }

        /// The list below a site.
        var list: Operation {
            Operation(
                .get,
                "/v1/sites/{site_id}/\(plural)",
                id: "listSite\(name)s",
                tag: .sites,
                summary: "List a site's \(plural), by name",
                callers: .holding(scope),
                query: Operation.pageParameters,
                replies: [.ok("A page of \(plural).", .page(of: schema))],
                errors: [.siteNotFound, .invalidCursor],
                handle: { call in
                    let (id, reach, page) = (try call.siteID, try call.reach, try call.page)
                    let found = try await call.read { reader in
                        if try reader.site(id, within: reach) == nil { throw APIError.missing(.siteNotFound) }
                        return try FixtureOperations.page(page, of: reader.fixtures(of: id, kind: kind, within: reach))
                    }
                    return .page(found.items.map(json), next: found.next)
                }
            )
        }
    }

    private static let getRelay = Operation(
        .get,
        "/v1/relays/{relay_id}",
        id: "getRelay",
        tag: .sites,
        summary: "Get a relay",
        callers: .holding(.devicesRead),
        replies: [.ok("The relay.", Noun.relay.schema)],
        errors: [.relayNotFound],
        handle: { call in
            let id: RelayID = try call.id("relay_id", orThrow: .relayNotFound)
            return try await one(call, id.text, .relay, orThrow: .relayNotFound)
        }
    )

    // MARK: Parts

    private static func one(_ call: Call, _ id: String, _ noun: Noun, orThrow code: ErrorCode) async throws -> Reply {
        let reach = try call.reach
        guard let fixture = try await call.read({ try $0.fixture(id, kind: noun.kind, within: reach) }) else {
            throw APIError.missing(code)
        }
        return .ok(noun.json(fixture))
    }

    /// A page of fixtures in the order of their numbers and names, which tell each apart within a site.
    static func page(_ request: PageRequest, of fixtures: [Fixture]) throws -> Page<Fixture> {
        var keyed = fixtures.map { (key: key(of: $0), fixture: $0) }.sorted { $0.key < $1.key }
        if let after = request.after { keyed.removeAll { $0.key <= after } }
        let items = keyed.prefix(request.limit)
        return Page(items: items.map(\.fixture), next: keyed.count > items.count ? items.last?.key : nil)
    }

    private static func key(of fixture: Fixture) -> String {
        // Five digits hold every number; the site sets apart what several of them call alike.
        "\(String(fixture.number ?? 0).leftPadded) \(fixture.name) \(fixture.id)"
    }
}

extension String {
    fileprivate var leftPadded: String { String(repeating: "0", count: max(0, 5 - count)) + self }
}

extension FixtureOperations.Noun {
    static let relay = Self(
        kind: .relay,
        idName: "relay_id",
        prefix: RelayNoun.prefix,
        name: "Relay",
        plural: "relays",
        scope: .devicesRead,
        members: [.optional("device_id", .id(DeviceNoun.prefix))]
    )
}
