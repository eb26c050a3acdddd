import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// A partner's report of the arming state, and the state itself (decisions §4, §5).
enum ArmingOperations {
    static let all = [report, get, history]

    // MARK: Operations

    private static let report = Operation(
        .post,
        "/v1/sites/{site_id}/arming-state",
        id: "reportArmingState",
        tag: .arming,
        summary: "Report what a partner-triggered site's panel did",
        notes: """
            The partner is the authority: `disarmed` and `armed_*` are accepted from any state. Reports are ordered by \
            `timestamp` per partition; an older one than the last is answered with `applied: false`. The reply is sent \
            when the change is durable.
            """,
        callers: Callers(platformAdmin: true, dealerAdmin: true, app: .any, partner: true),
        body: .json(ArmingReportForm.schema),
        replies: [.ok("What the report did to each partition.", replySchema)],
        errors: [
            .siteNotFound, .partitionNotFound, .armingAuthorityConflict, .invalidTransition, .timestampNotUTC,
            .timestampInFuture,
        ],
        flags: [.siteBucket],
        direct: report,
        handle: report
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/arming",
        id: "getArming",
        tag: .arming,
        summary: "Get the arming state of a site",
        callers: .holding(.sitesRead),
        replies: [.ok("The state; `ETag` is the site's version.", ArmingView.siteSchema)],
        errors: [.siteNotFound],
        handle: { call in
            let id = try call.siteID, reach = try call.reach
            let (record, zones) = try await call.read { reader in
                let record = try SiteOperations.found(reader.siteRecord(id, within: reach))
                return (record, try reader.fixtures(of: id, kind: .zone, within: reach))
            }
            return Reply.ok(ArmingView.site(record, zones: zones)).tagged(version: record.shownVersion)
        }
    )

    // MARK: Reporting

    private static func report(_ call: Call) async throws -> Reply {
        guard let command = try command(call) else { throw try await refusalOfOthers(call) }
        let result = try await call.services.sites.report(command)
        return try reply(to: command.report.state, result, call.idempotency)
    }

    private static func report(_ call: Call, _ tell: @escaping Operation.Telling) throws {
        guard let command = try command(call) else { throw NeedsWaiting() }
        // Not the whole call, which would be copied with all that it holds.
        let (state, claim) = (command.report.state, call.idempotency)
        call.services.sites.report(command) { result in tell { try reply(to: state, try result.get(), claim) } }
    }

    /// What the call asks of the engine; none for a caller who is nobody's partner.
    private static func command(_ call: Call) throws -> ReportCommand? {
        guard case .partner(let partner) = call.caller else { return nil }
        return ReportCommand(
            siteID: try call.siteID,
            partnerID: partner.id,
            report: try ArmingReportForm.report(call.body, receivedAt: call.receivedAt),
            receivedAt: call.receivedAt,
            requestID: call.requestID,
            traceID: call.traceID,
            address: call.address,
            idempotency: call.idempotency?.ticket,
            arrival: call.arrival
        )
    }

    private static func reply(
        to state: ReportedState,
        _ result: ReportResult,
        _ claim: IdempotencyClaim?
    ) throws -> Reply {
        switch result {
        case .accepted(let reply): return .ok(bytes: reply.json)
        case .refused(.unknownPartition): throw APIError.missing(.partitionNotFound, field: "partition").decided
        case .refused(.invalidTransition(let partition, let name, let current, let allowed)):
            throw APIError(
                .invalidTransition,
                "\(name) is \(current): \(state.rawValue) cannot follow. Report a state from "
                    + "`details.allowed`; disarmed and armed_* are always accepted.",
                field: "state",
                details: [
                    "partition_id": .string(partition.text),
                    "current_state": .string(current),
                    "allowed": JSON(allowed.map(\.rawValue)),
                ]
            ).decided
        case .unknownSite: throw APIError.missing(.siteNotFound)
        case .wrongAuthority: throw platformHoldsTheState
        case .knownKey(let record):
            guard let claim else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }

    private static let platformHoldsTheState = APIError(
        .armingAuthorityConflict,
        "This site is platform_triggered: its arming state is decided here and cannot be reported. Use the arming actions."
    )

    /// Only the site's partner reports; others learn why not, as far as they may know of the site (decisions §3).
    private static func refusalOfOthers(_ call: Call) async throws -> APIError {
        let id = try call.siteID, reach = try call.reach
        guard let site = try await call.read({ try $0.site(id, within: reach) }) else { return .missing(.siteNotFound) }
        switch site.armingModel {
        case .platformTriggered: return platformHoldsTheState
        case .partnerTriggered:
            return APIError(.permissionDenied, "Only the site's partner reports its arming state.")
        }
    }

    private static let replySchema = Schema.object([
        .required("site_id", .id(SiteNoun.prefix)),
        .required("received_at", .time),
        .required(
            "partitions",
            .array(
                of: .object([
                    .required("partition_id", .id(PartitionNoun.prefix)),
                    .required("state", .string(1...64)),
                    .required("previous_state", .string(1...64)),
                    .required("applied", .boolean),
                    .optional("reason", .oneOf(["superseded", "duplicate", "unchanged"])),
                    .required("version", .count),
                ]),
                count: 0...Partition.maximumPerSite
            )
        ),
        .required("event_ids", .array(of: .id(EventNoun.prefix))),
    ]).named("ArmingReportReply")
}
