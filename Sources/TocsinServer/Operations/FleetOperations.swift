import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON

/// Applies and exports fleet files; what does it is wired in by the program, so that the server need not read YAML.
package protocol FleetControl: Sendable {
    /// Makes the ledger match the file; throws ``APIError`` for a file that cannot be applied.
    func apply(_ text: [UInt8], _ request: FleetRequest) async throws -> FleetReply

    /// The fleet in the form of a file.
    func export() async throws -> JSON
}

/// What an application of a file is asked to do, and by whom.
package struct FleetRequest: Sendable {
    package var isDryRun: Bool
    package var prunes: Bool
    package var forces: Bool
    package var actor: AuditEntry.Actor
    package var requestID: String
    package var traceID: String?
    package var address: String?
}

/// What it did, and who has to hear of it.
package struct FleetReply: Sendable {
    package var json: JSON
    package var dealers: Set<DealerID>
    package var apps: Set<AppID>
    package var partners: Set<PartnerID>
    package var endpoints: Set<EndpointID>

    package init(
        json: JSON,
        dealers: Set<DealerID>,
        apps: Set<AppID>,
        partners: Set<PartnerID>,
        endpoints: Set<EndpointID>
    ) {
        self.json = json
        self.dealers = dealers
        self.apps = apps
        self.partners = partners
        self.endpoints = endpoints
    }
}

/// The fleet file over HTTP: what `tocsin apply --url` and `tocsin export --url` call (decisions §12).
enum FleetOperations {
    static let all = [apply, export]

    /// As large as a fleet file may be, and as much again for its escapes as JSON text.
    private static let fileBytesMax = 64 << 20

    private static let change = Schema.object([
        .required("action", .oneOf(["create", "update", "delete"])),
        .required("kind", .string(1...32)),
        .required("name", .string(1...1024)),
        .optional("members", .array(of: .string(1...64), count: 0...64)),
    ])

    private static let apply = Operation(
        .post,
        "/v1/fleet/apply",
        id: "applyFleet",
        tag: .operations,
        summary: "Make dealers, apps, partners and sites match a fleet file",
        notes: """
            Matches by name, number and external id, and may be repeated: what exists already is not made again. What the \
            file does not name stays, unless `prune` is true. Secrets of what was made are in this reply and nowhere else.
            """,
        callers: .platformAdmins,
        query: [
            .optional("dry_run", .boolean),
            .optional("prune", .boolean),
            .optional("force", .boolean),
        ],
        body: .json(
            .object([
                .required("file", Schema.string(0...fileBytesMax).writeOnly.described("The file's text, YAML or JSON."))
            ])
        ),
        replies: [
            .ok(
                "What was done, or would be.",
                Schema.object([
                    .required("dry_run", .boolean),
                    .required("result", .any),
                    .required("changes", .array(of: change, count: 0...Int(Int32.max))),
                    .required("warnings", .array(of: .any, count: 0...Int(Int32.max))),
                ]).named("FleetOutcome")
            )
        ],
        errors: [.malformedRequest, .validationFailed, .deletionRefused, .serviceUnavailable],
        flags: [.noIdempotencyKey],
        bodyLimit: 2 * fileBytesMax,
        handle: { call in
            guard let fleet = call.services.fleet else { throw APIError.unavailable }
            let request = FleetRequest(
                isDryRun: call.query.optionalBool("dry_run") ?? false,
                prunes: call.query.optionalBool("prune") ?? false,
                forces: call.query.optionalBool("force") ?? false,
                actor: call.caller.actor,
                requestID: call.requestID,
                traceID: call.traceID,
                address: call.address
            )
            let reply = try await fleet.apply(Array(call.body.string("file").utf8), request)
            await call.services.sites.reconfigured()
            await call.services.devices.refresh()
            for dealer in reply.dealers { call.services.directory.forget(dealer) }
            for app in reply.apps {
                call.services.directory.forget(app)
                await call.services.deliveries.appChanged(app)
            }
            for partner in reply.partners { call.services.directory.forget(partner) }
            for endpoint in reply.endpoints { await call.services.deliveries.endpointChanged(endpoint) }
            return .ok(reply.json)
        }
    )

    private static let export = Operation(
        .get,
        "/v1/fleet",
        id: "exportFleet",
        tag: .operations,
        summary: "Get the fleet in the form of a fleet file",
        notes: "Without codes and secrets; applying it changes nothing.",
        callers: .platformAdmins,
        replies: [.ok("The file as JSON.", .any)],
        errors: [.serviceUnavailable],
        handle: { call in
            guard let fleet = call.services.fleet else { throw APIError.unavailable }
            return .ok(try await fleet.export())
        }
    )
}
