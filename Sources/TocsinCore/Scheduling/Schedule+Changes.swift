import TocsinJSON

extension Schedule {
    /// The members of a rule, by the names of the wire.
    package static let members = [
        "partition", "arm", "disarm", "activate", "duration_seconds", "at", "days", "on", "exceptions",
        "observe_holidays", "force_arm",
        "warning_minutes", "latest", "enabled",
    ]

    /// A rule's settings with those members changed that are named, and no others; `null` takes one away.
    ///
    /// What a changed member rules out goes with it: a rule that is made to disarm has no mode to arm in any more.
    package static func merge(_ changes: JSONObject, into settings: JSONObject) -> JSONObject {
        var merged = settings
        for (name, rival) in [
            ("arm", ["disarm", "activate", "duration_seconds"]), ("disarm", ["arm", "activate", "duration_seconds"]),
            ("activate", ["arm", "disarm", "force_arm", "warning_minutes"]), ("on", ["days", "exceptions"]),
            ("days", ["on"]),
        ]
        where changes[name] != nil && changes[name] != .null && changes[name] != false {
            for member in rival where changes[member] == nil { merged[member] = nil }
        }
        for name in members {
            guard let value = changes[name] else { continue }
            merged[name] = value == .null ? JSON?.none : value
        }
        return merged
    }

    /// What of the changes themselves does not go together; a rule that keeps what it had is no such case.
    package static func contradiction(in changes: JSONObject) -> ScheduleProblem? {
        func isGiven(_ name: String) -> Bool { changes[name] != nil && changes[name] != .null }
        guard isGiven("days"), isGiven("on") else { return nil }
        return ScheduleProblem("days", "cannot stand beside \"on\", which is a single date: leave out one of them")
    }

    /// What a rule is called that was given no name.
    package static func derivedName(of settings: JSONObject) -> String {
        let action = settings["arm"]?.string.map { "arm \($0)" } ?? "disarm"
        let when = settings["on"]?.string ?? settings["days"]?.array?.compactMap(\.string).joined(separator: " ") ?? ""
        if let relay = settings["activate"]?.string {
            return "activate \(relay) at \(settings["at"]?.string ?? "") on \(when)"
        }
        return
            "partition \(settings["partition"]?.integer ?? 0): \(action) at \(settings["at"]?.string ?? "") on \(when)"
    }
}

extension Partition {
    /// Why it cannot become a common area while a schedule of that name arms or disarms it (I18).
    package static func commonAreaObstacle(schedule name: String) -> String {
        "cannot be set while the schedule “\(name)” names the partition, because a common area arms and disarms with the "
            + "others: change or delete the schedule first"
    }

    /// Why no schedule may name it, with what to name instead; none where one may (I18).
    package var scheduleObstacle: String? {
        guard !policy.commonAreaOf.isEmpty else { return nil }
        let others = policy.commonAreaOf.sorted().map(String.init)
        let named = others.count == 1 ? "partition \(others[0])" : "the partitions \(others.joined(separator: ", "))"
        return "is \(number), a common area, which arms and disarms with \(named): name one of those instead"
    }
}
