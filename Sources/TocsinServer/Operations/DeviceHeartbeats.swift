import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Signs of life of devices, taken in memory (decisions §7): a crash may forget the last ten seconds of them.
enum DeviceHeartbeats {
    static let all = [one, many]

    /// A bridge's cameras (decisions §7).
    private static let devicesMax = 1_000

    private static let timestamp = Schema.time.nullable.described(
        "When it gave the sign of life, in UTC; left out, or more than a day ago: now. One that is older than the last changes nothing."
    )

    private static let one = Operation(
        .post,
        "/v1/devices/{device_id}/heartbeat",
        id: "postHeartbeat",
        tag: .devices,
        summary: "Tell that a device lives",
        notes: """
            Without one for \(Device.silence.milliseconds / 1000) s the device is offline: send one every 20 to 30 s. \
            Kept within ten seconds, not before the reply; a repetition is harmless, so there is no `Idempotency-Key`. A \
            new `firmware_version` is durable before the reply.
            """,
        callers: .holding(.devicesWrite),
        body: .optionalJSON(
            Schema.object([
                .optional("firmware_version", DeviceOperations.firmwareVersion.nullable),
                .optional("timestamp", timestamp),
            ]).named("Heartbeat")
        ),
        replies: [
            Operation.ReplyShape(
                status: .accepted,
                description: "It counts.",
                content: Schema.object([.required("device_id", .id(DeviceNoun.prefix)), .required("seen_at", .time)])
                    .named("HeartbeatReply")
            )
        ],
        errors: [.deviceNotFound, .timestampNotUTC, .timestampInFuture],
        flags: [.noIdempotencyKey],
        handle: { call in
            let id: DeviceID = try call.id("device_id", orThrow: .deviceNotFound)
            let seenAt = try seenAt(call)
            let rejected = try await call.services.devices.saw([id], within: try call.reach, at: seenAt)
            if !rejected.isEmpty { throw APIError.missing(.deviceNotFound) }
            if let version = call.body.optionalString("firmware_version") {
                try await tell(version, of: id, at: seenAt, call)
            }
            return accepted(["device_id": .string(id.text), "seen_at": .string(seenAt.rfc3339Milliseconds)])
        }
    )

    private static let many = Operation(
        .post,
        "/v1/devices/heartbeats",
        id: "postHeartbeats",
        tag: .devices,
        summary: "Tell that many devices live",
        notes:
            "As a bridge does for its cameras. A device that is unknown, or not yours, is rejected; the others count.",
        callers: .holding(.devicesWrite),
        body: .json(
            Schema.object([
                .required("device_ids", .array(of: .string(1...64), count: 1...devicesMax)),
                .optional("timestamp", timestamp),
            ]).named("Heartbeats")
        ),
        replies: [
            Operation.ReplyShape(
                status: .accepted,
                description: "How many count, and those that do not.",
                content: Schema.object([
                    .required("accepted", .integer(0...Int64(devicesMax))),
                    .required(
                        "data",
                        .array(
                            of: .object([
                                .required("device_id", .string(1...64)), .required("outcome", .oneOf(["rejected"])),
                                .required("reason", .oneOf([ErrorCode.deviceNotFound.rawValue])),
                            ]),
                            count: 0...devicesMax
                        )
                    ),
                ]).named("HeartbeatsReply")
            )
        ],
        errors: [.timestampNotUTC, .timestampInFuture],
        flags: [.noIdempotencyKey],
        handle: { call in
            // What could not be an id of ours is as unknown as one that does not exist.
            let ids = (call.body.strings("device_ids") ?? []).map(DeviceID.init(stored:))
            let rejected = try await call.services.devices.saw(ids, within: try call.reach, at: try seenAt(call))
            let items = rejected.map { id -> JSON in
                ["device_id": .string(id.text), "outcome": "rejected", "reason": "device_not_found"]
            }
            return accepted(["accepted": JSON(ids.count - rejected.count), "data": .array(items)])
        }
    )

    private static func accepted(_ json: JSON) -> Reply {
        Reply(.accepted, body: .bytes(json.bytes, contentType: Reply.jsonType))
    }

    /// A clock that is further behind is dead, as after a flat battery; whoever sends the heartbeat lives all the same.
    private static let oldestTimestamp: Duration = .seconds(86_400)

    /// When the sign of life was given: never later than now, by our clock, and now where the device's own clock is dead.
    private static func seenAt(_ call: Call) throws -> Instant {
        guard let text = call.body.optionalString("timestamp") else { return call.receivedAt }
        let told = try ReportedTime.instant(text, field: "timestamp", receivedAt: call.receivedAt)
        return told < call.receivedAt - oldestTimestamp ? call.receivedAt : min(told, call.receivedAt)
    }

    /// Stores what the device runs, if that is news; what was known before stands again if that fails.
    private static func tell(_ version: String, of id: DeviceID, at told: Instant, _ call: Call) async throws {
        let devices = call.services.devices
        guard let site = devices.site(of: id), let previous = devices.learn(firmware: version, of: id, at: told)
        else { return }
        let task = DeviceFirmware(version, after: previous, of: id, request: try call.request(at: site))
        do {
            if case .answered = try await call.services.sites.ask(task) { return }
        } catch {
            devices.set(firmware: previous, of: id)
            throw error
        }
        throw APIError.missing(.deviceNotFound)
    }
}
