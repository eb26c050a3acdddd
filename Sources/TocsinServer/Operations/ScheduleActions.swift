import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Tonight it is later, or not at all: what people do with a schedule's next run (design, arming: T38).
extension ScheduleOperations {
    static let postpone = action(
        "postpone",
        id: "postponeSchedule",
        summary: "Move a schedule's next run to a later time",
        notes: "May be repeated, up to the rule's `latest`. The runs after it are not moved.",
        body: .json(
            .object([
                .required("minutes", .integer(Int64(minutes.lowerBound)...Int64(minutes.upperBound)))
            ])
        )
    ) { body in
        .postpone(minutes: try body.integer("minutes"))
    }

    static let skip = action(
        "skip",
        id: "skipSchedule",
        summary: "Leave out a schedule's next run, once",
        notes: "Asked again while that run would be ahead it changes nothing; `skipped_run` tells which one it is."
    ) { _ in
        .skip
    }

    private static let minutes = Schedule.postponeMinutes

    private static func action(
        _ name: String,
        id: String,
        summary: String,
        notes: String? = nil,
        body: Operation.Body = .none,
        _ read: @escaping @Sendable (Fields) throws -> ScheduleCommand.Action
    ) -> Operation {
        Operation(
            .post,
            "/v1/sites/{site_id}/schedules/{schedule_id}/actions/\(name)",
            id: id,
            tag: .sites,
            summary: summary,
            notes: notes,
            callers: .holding(.sitesWrite),
            body: body,
            replies: [.ok("The schedule, with what it will do next.", schema)],
            errors: [.siteNotFound, .scheduleNotFound, .armingAuthorityConflict, .invalidTransition],
            flags: [.siteBucket],
            handle: { call in try await carryOut(call, try read(call.body)) }
        )
    }

    private static func carryOut(_ call: Call, _ action: ScheduleCommand.Action) async throws -> Reply {
        let (rule, context) = try await call.read { reader in
            let (rule, record) = try parts.found(call, reader)
            return (rule, try RunContext(call, record, reader))
        }
        let command = ScheduleCommand(
            action,
            of: ScheduleID(stored: rule.id),
            by: Attribution(source: .api),
            request: try call.request,
            render: { [timeZones = call.services.timeZones] record in
                json(rule, context.after(record, timeZones)).bytes
            }
        )
        switch try await call.services.sites.schedule(command) {
        case .done(let reply): return .ok(bytes: reply)
        case .refused(let refusal): throw APIError(refusal)
        case .unknownSite: throw APIError.missing(.siteNotFound)
        case .wrongAuthority: throw ArmingActions.partnerHoldsTheState
        case .knownKey(let record):
            guard let claim = call.idempotency else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }
}

extension APIError {
    fileprivate init(_ refusal: ScheduleRefusal) {
        switch refusal {
        case .unknownSchedule: self = .missing(.scheduleNotFound)
        case .nothingPlanned: self.init(.invalidTransition, refusal.message)
        case .minutesOutOfRange: self.init(.validationFailed, refusal.message, field: "minutes")
        case .tooLate(let latest):
            self.init(
                .invalidTransition,
                refusal.message,
                field: "minutes",
                details: ["latest": .string(latest.rfc3339Seconds)]
            )
        }
    }
}
