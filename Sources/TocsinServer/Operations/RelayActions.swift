import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Switching a relay by hand (decisions §7).
enum RelayActions {
    private static let outcome = Schema.object([
        .required("relay_id", .id(RelayNoun.prefix)), .required("site_id", .id(SiteNoun.prefix)),
        .required(
            "outcome",
            Schema.oneOf(RelayOutcome.Answer.self)
                .described("`extended`: it was on, and stays on until the later end; `unchanged`: it is on for longer.")
        ),
        .required("is_active", .boolean), .optional("active_until", .time),
    ]).named("RelayOutcome")

    static let activate = Operation(
        .post,
        "/v1/relays/{relay_id}/activate",
        id: "activateRelay",
        tag: .sites,
        summary: "Switch a relay on for a while",
        notes: "One that is on already stays on until the later end.",
        callers: .holding(.relaysWrite),
        body: .json(.object([.required("duration_seconds", RelayOperations.duration)])),
        replies: [.ok("What it came to.", outcome)],
        errors: [.relayNotFound],
        handle: { call in
            try await carryOut(call, .activate(seconds: try call.body.integer("duration_seconds")))
        }
    )

    static let deactivate = Operation(
        .post,
        "/v1/relays/{relay_id}/deactivate",
        id: "deactivateRelay",
        tag: .sites,
        summary: "Switch a relay off",
        notes: "The order goes out also where the relay is off by what is known here.",
        callers: .holding(.relaysWrite),
        replies: [.ok("What it came to.", outcome)],
        errors: [.relayNotFound],
        handle: { call in try await carryOut(call, .deactivate) }
    )

    static let rotateSecret = Operation(
        .post,
        "/v1/relays/{relay_id}/actions/rotate-secret",
        id: "rotateRelaySecret",
        tag: .sites,
        summary: "Give a relay's bridge a new signing secret",
        notes: "The old one signs nothing more from now on.",
        callers: .holding(.sitesWrite),
        replies: [.ok("The relay with its new secret.", RelayOperations.withSecret)],
        errors: [.relayNotFound, .invalidTransition],
        handle: { call in
            let secret = call.newSigningSecret()
            return try await call.commit { transaction in
                var (relay, record) = try RelayOperations.found(call, transaction)
                guard var actuator = relay.settings["actuator"]?.object else {
                    throw APIError(.invalidTransition, "The relay has no bridge. Give it an \"actuator\" first.")
                }
                let sealed = try RelayOperations.seal(secret, of: RelayID(stored: relay.id), call)
                actuator["sealed_secret"] = .string(sealed)
                relay.settings["actuator"] = .object(actuator)
                try transaction.update(relay)
                let reply = try RelayOperations.reply(.ok, relay, record, call, transaction, secret: secret)
                return RelayOperations.parts.change(reply, "rotate_secret", relay, record, "got a new secret")
            }
        }
    )

    private static func carryOut(_ call: Call, _ action: RelayTask.Action) async throws -> Reply {
        let (relay, _) = try await call.read { try RelayOperations.found(call, $0) }
        let id = RelayID(stored: relay.id)
        let task = RelayTask(action, of: id, request: try call.request(at: relay.siteID)) { answer, record in
            let state = record.state.relays[id]
            var object: JSONObject = [
                "relay_id": .string(id.text), "site_id": .string(relay.siteID.text),
                "outcome": .string(answer.rawValue), "is_active": .bool(state != nil),
            ]
            object["active_until"] = state.map { .string($0.until.rfc3339Seconds) }
            return JSON.object(object).bytes
        }
        switch try await call.services.sites.ask(task) {
        case .answered(.done(let reply)): return .ok(bytes: reply)
        case .answered(.unknownRelay): throw APIError.missing(.relayNotFound).decided
        case .unknownSite: throw APIError.missing(.relayNotFound)
        case .knownKey(let record):
            guard let claim = call.idempotency else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }
}
