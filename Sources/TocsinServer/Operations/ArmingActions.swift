import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Commands to a platform-triggered site: what a keypad would do (decisions §5).
enum ArmingActions {
    static let all = [arm, disarm, skipExit, quickExit, silence]

    // MARK: Operations

    private static let arm = action(
        "arm",
        id: "armSite",
        summary: "Arm a site, or some of its partitions",
        notes: """
            All partitions or none: what stands against arming is told all at once, with a remedy each. Arming in the mode \
            that is in force, or under way, is no error and changes nothing.
            """,
        members: armMembers,
        errors: [.armFailed]
    ) { body in
        .arm(try armRequest(body))
    }

    private static let disarm = action(
        "disarm",
        id: "disarmSite",
        summary: "Disarm a site, or some of its partitions",
        notes: """
            Also ends an exit or entry delay, cancels or aborts what alarm there is, and ends the bell. A disarm that was \
            received before the end of an entry delay wins. Disarming what is disarmed is no error.
            """
    ) { _ in
        .disarm
    }

    private static let skipExit = action(
        "skip-exit",
        id: "skipExitDelay",
        summary: "End the exit delay now",
        errors: [.armFailed, .invalidTransition]
    ) { _ in
        .skipExit
    }

    private static let quickExit = action(
        "quick-exit",
        id: "quickExit",
        summary: "Let somebody out of a site that is armed in stay, without disarming it",
        errors: [.armFailed, .invalidTransition]
    ) { _ in
        .quickExit
    }

    private static let silence = action(
        "silence",
        id: "silenceSite",
        summary: "End the bell; the alarm stays",
        errors: [.invalidTransition]
    ) { _ in
        .silence
    }

    private static func action(
        _ name: String,
        id: String,
        summary: String,
        notes: String? = nil,
        members: [Schema.Property] = [],
        errors: [ErrorCode] = [],
        _ read: @escaping @Sendable (Fields) throws -> ArmingCommand.Action
    ) -> Operation {
        let always: [ErrorCode] = [
            .siteNotFound, .partitionNotFound, .armingAuthorityConflict, .versionConflict, .invalidUserCode,
            .userCodeLocked, .partnerUnreachable,
        ]
        return Operation(
            .post,
            "/v1/sites/{site_id}/arming/actions/\(name)",
            id: id,
            tag: .arming,
            summary: summary,
            notes: notes,
            callers: .holding(.armingWrite),
            body: .json(.object(members + commonMembers)),
            replies: [.ok("The partitions as they are now; `ETag` is the site's version.", ArmingView.replySchema)],
            errors: always + errors,
            flags: [.siteBucket],
            hear: hear,
            handle: { call in try await carryOut(call, try read(call.body)) }
        )
    }

    // MARK: Forms

    /// Longer than any code; what is no code at all is answered as a wrong one, not as a wrong form.
    private static let codeLengthMax = 64
    /// More than any site has zones.
    private static let bypassedZonesMax = 1000

    private static let commonMembers: [Schema.Property] = [
        .optional("partition", PartitionTarget.schema.nullable),
        .optional(
            "user_code",
            Schema.string(1...codeLengthMax).nullable.writeOnly
                .described("A user's code. Apps and partners must send one, admins need none.")
        ),
    ]

    private static let armMembers: [Schema.Property] = [
        .required("mode", .oneOf(ModeName.self)),
        .optional(
            "custom_mode",
            Schema.string(1...64).nullable.described("The name of the mode, where `mode` is `custom`.")
        ),
        .optional(
            "bypass_zones",
            Schema.array(of: .integer(1...9999), count: 0...bypassedZonesMax).nullable
                .described("Numbers of zones to leave out.")
        ),
        .optional("force_arm", Schema.boolean.nullable.described("Leave out whatever is open and may be.")),
        .optional("instant_arm", Schema.boolean.nullable.described("No exit delay.")),
        .optional("no_entry_delay", Schema.boolean.nullable.described("Whoever comes in sets off the alarm at once.")),
    ]

    private static func armRequest(_ body: Fields) throws -> ArmingCommand.ArmRequest {
        let mode: ArmingMode
        let custom = body.optionalString("custom_mode")
        switch try body.value("mode", ModeName.self) {
        case .away: mode = .away
        case .stay: mode = .stay
        case .night: mode = .night
        case .custom: mode = .custom(name: custom)
        }
        if let custom {
            guard case .custom = mode else {
                throw APIError.invalid("custom_mode", "is only for \"mode\" \"custom\"; leave it out")
            }
            // It would read back as the fixed mode.
            if ModeName(rawValue: custom) != nil {
                throw APIError.invalid("custom_mode", "must be the name of a custom mode, not \"\(custom)\"")
            }
        }
        return ArmingCommand.ArmRequest(
            mode: mode,
            bypassZones: body.object["bypass_zones"]?.array?.compactMap { $0.integer.map(Int.init) } ?? [],
            force: body.optionalBool("force_arm") ?? false,
            instant: body.optionalBool("instant_arm") ?? false,
            noEntryDelay: body.optionalBool("no_entry_delay") ?? false
        )
    }

    // MARK: Carrying out

    private static func carryOut(_ call: Call, _ action: ArmingCommand.Action) async throws -> Reply {
        let code = call.body.optionalString("user_code")
        guard code != nil || !call.caller.isAdmin else { return try await decided(call, action, .trusted) }
        return try await call.pacing.paced {
            let site = try call.siteID
            let hash = code.map { UserCode.hash($0, site: site, vault: call.services.vault) }
            return try await decided(call, action, .code(hash: hash, source: call.caller.key))
        }
    }

    private static func decided(
        _ call: Call,
        _ action: ArmingCommand.Action,
        _ authority: ArmingCommand.Authority
    ) async throws -> Reply {
        let named = call.body.object["partition"]
        let target = named == nil || named == .null ? PartitionTarget.all : try PartitionTarget(named)
        let command = PanelCommand(
            ArmingCommand(action: action, target: target, authority: authority, by: Attribution(source: .api)),
            request: try call.request,
            ifMatch: call.matchedVersions,
            render: { ArmingView.reply($0, about: target) }
        )
        switch try await call.services.sites.command(command) {
        case .done(let reply, let version): return Reply.ok(bytes: reply).tagged(version: version)
        case .refused(let refusal): throw APIError(refusal, at: call.receivedAt).decided
        case .versionConflict(let current): throw APIError.versionConflict(current: current).decided
        case .unknownSite: throw APIError.missing(.siteNotFound)
        case .wrongAuthority: throw partnerHoldsTheState
        case .knownKey(let record):
            guard let claim = call.idempotency else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }

    /// Has the site hear the code of a command that was refused for its form or its key, as far as one can be read.
    private static func hear(_ call: Call) async throws {
        guard let site = try? call.siteID, let sent = try? JSONParser.parse(call.bytes) else { return }
        let body = first(of: sent)
        guard let code = body["user_code"].flatMap(codeText), code.utf8.count <= codeLengthMax else { return }
        let hash = UserCode.hash(code, site: site, vault: call.services.vault)
        let target = try? PartitionTarget(body["partition"])
        let hearing = CodeHearing(hash, for: target ?? .all, request: try call.request(at: site))
        _ = try await call.services.sites.ask(hearing)
    }

    /// A code as whoever is in need may have sent it: without quotation marks, with a fraction of nothing, in brackets.
    private static func codeText(_ given: JSON) -> String? {
        switch first(of: given) {
        case .string(let text): text
        case .integer(let number): String(number)
        case .decimal(let text): text.firstMatch(of: /^(\d+)\.0+$/).map { String($0.output.1) }
        case .null, .bool, .array, .object: nil
        }
    }

    /// What is in brackets that do not belong there: the first of it, as one request is one attempt.
    private static func first(of json: JSON) -> JSON { json.array?.first ?? json }

    static let partnerHoldsTheState = APIError(
        .armingAuthorityConflict,
        "This site is partner_triggered: its arming state is its partner's, who arms and disarms it and reports that here."
    )
}

extension APIError {
    /// What a refused command is on the wire (decisions §5).
    init(_ refusal: CommandRefusal, at now: Instant) {
        switch refusal {
        case .unknownPartition: self = .missing(.partitionNotFound, field: "partition")
        // Only who decided on the site knows its version: that is told by a result of its own.
        case .versionConflict: self = .internalFailure
        case .invalidCode:
            self.init(
                .invalidUserCode,
                "The user code is missing or not good here and now. Send \"user_code\" with one that is.",
                field: "user_code"
            )
        case .codeLocked(let until):
            let seconds = max(1, ((until - now).milliseconds + 999) / 1000)
            self.init(
                .userCodeLocked,
                "Too many wrong codes: none is looked at for \(seconds) s. Panic and fire still work.",
                field: "user_code",
                headers: [.retryAfter: String(seconds)]
            )
        case .armFailed(let reasons): self.init(.armFailed, reasons: reasons)
        case .notPermitted(let reasons): self.init(.permissionDenied, reasons: reasons)
        case .impossible(let message): self.init(.invalidTransition, message)
        case .partnerUnreachable:
            self.init(
                .partnerUnreachable,
                "The site's partner did not answer within 5 s, so that nothing was armed. Send the command again."
            )
        }
    }

    private init(_ code: ErrorCode, reasons: [ArmFailureReason]) {
        let first = reasons.first.map { "\($0.message). \($0.remedy)." } ?? "This cannot be done now."
        let more = reasons.count > 1 ? " And \(reasons.count - 1) more: see `details.reasons`." : ""
        self.init(
            code,
            first + more,
            details: ["reasons": .array(reasons.map { .object(ArmingView.json($0)) })]
        )
    }
}
