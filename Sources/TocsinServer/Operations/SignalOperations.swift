import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What zones and devices report (decisions §6).
enum SignalOperations {
    static let all = [post]

    /// As many as a panel that was offline for hours sends at once.
    static let signalsMax = 1000

    private static let schema = Schema.object([
        .optional(
            "zone",
            Schema.anyOf([.string(1...64), .integer(1...9999)]).nullable.described("A zone's id, or its number.")
        ),
        .optional(
            "device_id",
            Schema.id(DeviceNoun.prefix).nullable.described("Instead of `zone`: all zones of this device.")
        ),
        .required("kind", .oneOf(Signal.Kind.self)),
        .required("timestamp", Schema.time.described("When it happened, in UTC (`Z` or `+00:00`).")),
        .optional(
            "snapshot_id",
            Schema.id(SnapshotNoun.prefix).nullable
                .described(
                    "What was uploaded of it before, to be shown with the alarm; one that is not known is passed over."
                )
        ),
        .optional(
            "signal_id",
            Schema.string(1...255).nullable
                .described("The sender's own id: seen again on the site within seven days, it is a duplicate.")
        ),
    ]).named("Signal").example(["zone": 5, "kind": "open", "timestamp": "2026-05-26T10:21:34Z"])

    private static let post = Operation(
        .post,
        "/v1/sites/{site_id}/signals",
        id: "postSignals",
        tag: .arming,
        summary: "Report what zones and devices see",
        notes: """
            One signal, or an array of up to \(signalsMax), in any order: they are judged in the order in which they \
            happened. Durable before the reply. One that is more than 5 s old is judged by what was armed at its time. A \
            faulty element refuses all of them.
            """,
        callers: .holding(.devicesWrite),
        body: .json(.anyOf([schema, .array(of: schema, count: 1...signalsMax)])),
        replies: [
            Operation.ReplyShape(
                status: .accepted,
                description: "What became of each, in the order of the request.",
                content: Schema.object([
                    .required(
                        "data",
                        .array(
                            of: .object([
                                .optional("signal_id", .string(1...255)),
                                .required("outcome", .oneOf(SignalAnswer.Outcome.self)),
                                .optional("reason", .string(1...64)),
                            ]),
                            count: 1...signalsMax
                        )
                    )
                ]).named("SignalsReply")
            )
        ],
        errors: [.siteNotFound, .timestampNotUTC, .timestampInFuture],
        flags: [.siteBucket],
        handle: { call in
            let signals = try signals(in: call.json, receivedAt: call.receivedAt)
            let batch = SignalBatch(
                signals,
                snapshots: try await call.unusedSnapshots(signals.compactMap(\.snapshotID), at: try call.siteID),
                request: try call.request,
                render: reply
            )
            switch try await call.services.sites.signals(batch) {
            case .accepted(let reply): return Reply(.accepted, body: .bytes(reply, contentType: Reply.jsonType))
            case .unknownSite: throw APIError.missing(.siteNotFound)
            case .knownKey(let record):
                guard let claim = call.idempotency else { throw APIError.internalFailure }
                return try claim.replay(record)
            }
        }
    )

    private static func signals(in body: JSON, receivedAt: Instant) throws -> [Signal] {
        guard let elements = body.array else {
            return [try signal(Fields(body.object ?? [:]), receivedAt: receivedAt)]
        }
        return try elements.enumerated().map { index, element in
            try signal(Fields(element.object ?? [:], at: "[\(index)]"), receivedAt: receivedAt)
        }
    }

    private static func signal(_ fields: Fields, receivedAt: Instant) throws -> Signal {
        Signal(
            origin: try origin(fields),
            kind: try fields.value("kind"),
            timestamp: try ReportedTime.instant(
                try fields.string("timestamp"),
                field: fields.path("timestamp"),
                receivedAt: receivedAt
            ),
            signalID: fields.optionalString("signal_id"),
            snapshotID: fields.optionalString("snapshot_id").flatMap(SnapshotID.init)
        )
    }

    private static func origin(_ fields: Fields) throws -> Signal.Origin {
        let device = fields.optionalString("device_id")
        let zone = fields.object["zone"]
        switch (zone?.string, zone?.integer, device) {
        case (let text?, _, nil):
            if let number = Int(text), number > 0, String(number) == text { return .number(number) }
            // An id that could not be ours is as unknown as one that does not exist.
            return .zone(ZoneID(text) ?? ZoneID(stored: text))
        case (_, let number?, nil): return .number(Int(number))
        case (nil, nil, let device?): return .device(DeviceID(device) ?? DeviceID(stored: device))
        case (nil, nil, nil):
            throw APIError.invalid(fields.path("zone"), "is required, unless \"device_id\" is given")
        case (_, _, _?): throw APIError.invalid(fields.path("device_id"), "cannot stand beside \"zone\"")
        }
    }

    private static func reply(_ answers: [SignalAnswer]) -> [UInt8] {
        var writer = JSONWriter(reserving: 64 * answers.count)
        writer.object { writer in
            writer.name("data")
            writer.array { writer in
                for answer in answers {
                    writer.object { writer in
                        writer.member("signal_id", ifPresent: answer.signalID)
                        writer.member("outcome", answer.outcome.rawValue)
                        writer.member("reason", ifPresent: answer.reason)
                    }
                }
            }
        }
        return writer.bytes
    }
}
