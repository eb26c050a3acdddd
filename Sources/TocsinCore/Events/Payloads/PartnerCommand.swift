import TocsinJSON

/// An arm or disarm as it is put to the partner in a signed POST; never an entry of the log (decisions §5).
package struct PartnerCommand: Hashable, Sendable {
    package var command: PendingCommand
    package var site: Site
    /// The numbers of the command's partitions.
    package var partitionNumbers: [Int]

    package init(_ command: PendingCommand, site: Site, partitionNumbers: [Int]) {
        self.command = command
        self.site = site
        self.partitionNumbers = partitionNumbers
    }

    /// What is armed and how, where it is an arming.
    private var arming: ArmingCommand.ArmRequest? {
        if case .arm(let request) = command.action { request } else { nil }
    }

    /// The bytes that are signed and sent.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 512)
        // It has no number in a log, and none is written.
        let place = EventPlace(id: command.id, sequence: 0, createdAt: command.receivedAt)
        writer.envelope(.armingCommand, place, self)
        return writer.bytes
    }
}

extension PartnerCommand: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("command", "What to do.", form: .armingAction, example: "arm_away") { $0.command.action.wireName },
        .site { $0.site.id },
        .optional("external_site_id", "The site in the partner's terms.", example: "ms-1") { $0.site.externalID },
        .required("partition_ids", "The partitions that it is about.", example: ["p_abc"]) { $0.command.partitions },
        .required("partitions", "Their numbers.", form: .list(of: .number), example: [1]) { $0.partitionNumbers },
        .optional("mode", "What is armed; the name of a custom mode.", example: "away") { $0.arming?.mode.wireName },
        .optional("bypass_zones", "Zones that are left out.", form: .list(of: .number)) { body in
            body.arming.flatMap { $0.bypassZones.isEmpty ? nil : $0.bypassZones }
        },
        .optional("force_arm", "Open zones are left out too.") { $0.arming?.force == true ? true : nil },
        .optional("instant_arm", "Without an exit delay.") { $0.arming?.instant == true ? true : nil },
        .optional("no_entry_delay", "Every zone alarms at once.") { $0.arming?.noEntryDelay == true ? true : nil },
        .required("by", "Who wants it.", example: ["user_id": "usr_4x7p", "name": "Ann", "method": "mobile_app"]) {
            $0.command.by
        },
        .required(
            "expires_at",
            "An answer that comes later counts as none.",
            form: .time,
            example: "2026-05-26T10:21:39.120Z"
        ) { $0.command.expiresAt.rfc3339Milliseconds },
    ]
}
