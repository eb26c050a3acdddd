import TocsinJSON

// The stored form of a command that waits for the partner's word.

extension PendingCommand {
    func write(to writer: inout JSONWriter) {
        writer.member("id", id.text)
        if case .arm(let request) = action {
            writer.member("mode", request.mode.wireName)
            if !request.bypassZones.isEmpty {
                writer.member("bypass", .array(request.bypassZones.map { JSON($0) }))
            }
            if request.force { writer.member("force", true) }
            if request.instant { writer.member("instant", true) }
            if request.noEntryDelay { writer.member("no_entry_delay", true) }
        }
        writer.member("partitions", JSON(partitions.map(\.text)))
        writer.attribution("by", by)
        writer.member("holder", ifPresent: holder?.text)
        if isDuress { writer.member("duress", true) }
        writer.member("schedule", ifPresent: run?.schedule.text)
        writer.member("occurrence", ifPresent: run?.occurrence)
        writer.member("received", receivedAt.millisecondsSinceEpoch)
        writer.member("expires", expiresAt.millisecondsSinceEpoch)
    }

    init(_ json: JSONObject) throws {
        guard let id = json["id"]?.string else {
            throw SnapshotError(description: "a command that waits for the partner has no id")
        }
        var action = Action.disarm
        if let mode = json["mode"]?.string {
            action = .arm(
                ArmingCommand.ArmRequest(
                    mode: ArmingMode(wireName: mode),
                    bypassZones: json["bypass"]?.array?.compactMap { $0.integer.map { Int(clamping: $0) } } ?? [],
                    force: json["force"]?.bool ?? false,
                    instant: json["instant"]?.bool ?? false,
                    noEntryDelay: json["no_entry_delay"]?.bool ?? false
                )
            )
        }
        var run: ScheduledRun?
        if let schedule = json["schedule"]?.string {
            run = ScheduledRun(schedule: ScheduleID(stored: schedule), occurrence: try json.instant("occurrence"))
        }
        self.init(
            id: EventID(stored: id),
            action: action,
            partitions: json.ids("partitions"),
            by: try json.attribution("by"),
            holder: json["holder"]?.string.map(UserID.init(stored:)),
            isDuress: json["duress"]?.bool ?? false,
            run: run,
            receivedAt: try json.instant("received"),
            expiresAt: try json.instant("expires")
        )
    }
}
