import TocsinJSON

extension Schedule {
    /// The members of a rule, by the names of the wire.
    package static let members = [
        "partition", "arm", "disarm", "at", "days", "on", "exceptions", "observe_holidays", "force_arm",
        "warning_minutes", "latest", "enabled",
    ]

    /// A rule's settings with those members changed that are named, and no others; `null` takes one away.
    ///
    /// What a changed member rules out goes with it: a rule that is made to disarm has no mode to arm in any more.
    package static func merge(_ changes: JSONObject, into settings: JSONObject) -> JSONObject {
        var merged = settings
        for (name, rival) in [
            ("arm", ["disarm"]), ("disarm", ["arm"]), ("on", ["days", "exceptions"]), ("days", ["on"]),
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

    /// What a rule is called that was given no name.
    package static func derivedName(of settings: JSONObject) -> String {
        let action = settings["arm"]?.string.map { "arm \($0)" } ?? "disarm"
        let when = settings["on"]?.string ?? settings["days"]?.array?.compactMap(\.string).joined(separator: " ") ?? ""
        return
            "partition \(settings["partition"]?.integer ?? 0): \(action) at \(settings["at"]?.string ?? "") on \(when)"
    }
}
