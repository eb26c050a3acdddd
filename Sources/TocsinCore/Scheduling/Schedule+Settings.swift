import TocsinJSON

/// What is wrong with a schedule's settings: the member, and what it must be.
package struct ScheduleProblem: Error, Hashable, Sendable {
    package var field: String
    package var message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }
}

extension Schedule {
    /// Reads what was configured; a missing member has its default.
    package init(_ fixture: Fixture) throws(ScheduleProblem) {
        guard fixture.kind == .schedule else { throw ScheduleProblem("kind", "“\(fixture.id)” is not a schedule") }
        let settings = SettingsReader(fixture.settings)
        guard let at = try settings.time("at") else {
            throw ScheduleProblem("at", "is missing: write a time of day like \"18:00\"")
        }
        let on = try settings.date("on")
        let exceptions = try settings.exceptions()
        if on != nil, !exceptions.isEmpty {
            throw ScheduleProblem("exceptions", "a rule for one date has none: change its date or time instead")
        }
        let action = try settings.action()
        guard let partition = try settings.integer("partition") ?? action.partitionIfNone else {
            throw ScheduleProblem("partition", "is missing: name the partition's number")
        }
        let warning = try settings.integer("warning_minutes")
        if let warning, !Self.warningMinutesRange.contains(warning) {
            let range = Self.warningMinutesRange
            throw ScheduleProblem("warning_minutes", "must be \(range.lowerBound) to \(range.upperBound)")
        }
        if case .activate = action {
            for member in ["force_arm", "warning_minutes"] where fixture.settings[member] != nil {
                throw ScheduleProblem(member, "is for a rule that arms: leave it out")
            }
        } else if try settings.integer("duration_seconds") != nil {
            throw ScheduleProblem("duration_seconds", "is for a rule that activates a relay: leave it out")
        }
        self.init(
            id: ScheduleID(stored: fixture.id),
            name: fixture.name,
            partition: partition,
            action: action,
            at: at,
            days: try settings.days(),
            exceptions: exceptions,
            on: on,
            observesHolidays: try settings.boolean("observe_holidays") ?? true,
            forceArm: try settings.boolean("force_arm") ?? false,
            warningMinutes: warning,
            latest: try settings.time("latest"),
            isEnabled: try settings.boolean("enabled") ?? true
        )
    }

    /// The settings that ``init(_:)`` reads back to an equal schedule; what has its default is left out.
    package var settings: JSONObject {
        var object = JSONObject()
        if partition != Self.noPartition { object["partition"] = JSON(partition) }
        switch action {
        case .arm(let mode): object["arm"] = .string(mode.wireName)
        case .disarm: object["disarm"] = true
        case .activate(let relay, let seconds):
            object["activate"] = .string(relay.text)
            object["duration_seconds"] = JSON(seconds)
        }
        object["at"] = .string(at.text)
        object["on"] = on.map { .string($0.text) }
        if on == nil { object["days"] = JSON(Weekday.allCases.filter(days.contains).map(\.rawValue)) }
        if !exceptions.isEmpty { object["exceptions"] = .array(exceptions.sorted { $0.date < $1.date }.map(\.json)) }
        if !observesHolidays { object["observe_holidays"] = false }
        if forceArm { object["force_arm"] = true }
        if warningMinutes != Self.defaultWarningMinutes(for: action) {
            object["warning_minutes"] = JSON(warningMinutes)
        }
        object["latest"] = latest.map { .string($0.text) }
        if !isEnabled { object["enabled"] = false }
        return object
    }
}

extension Schedule.Action {
    /// What stands for the partition where the rule needs none.
    fileprivate var partitionIfNone: Int? {
        switch self {
        case .arm, .disarm: nil
        case .activate: Schedule.noPartition
        }
    }
}

extension Schedule.Exception {
    fileprivate var json: JSON {
        switch hours {
        case .closed: ["date": .string(date.text), "closed": true]
        case .at(let time): ["date": .string(date.text), "at": .string(time.text)]
        }
    }
}

/// Reads members of a schedule's settings, each with a sentence for what it must be; `null` counts as left out.
private struct SettingsReader {
    private let settings: JSONObject
    private let path: String

    init(_ settings: JSONObject, path: String = "") {
        self.settings = settings
        self.path = path
    }

    private func member<Value>(
        _ name: String,
        _ wanted: String,
        _ read: (JSON) -> Value?
    ) throws(ScheduleProblem) -> Value? {
        guard let json = settings[name], json != .null else { return nil }
        guard let value = read(json) else { throw ScheduleProblem(path + name, "must be \(wanted)") }
        return value
    }

    func integer(_ name: String) throws(ScheduleProblem) -> Int? {
        try member(name, "a whole number") { $0.integer.flatMap { Int(exactly: $0) } }
    }

    func boolean(_ name: String) throws(ScheduleProblem) -> Bool? {
        try member(name, "true or false") { $0.bool }
    }

    func time(_ name: String) throws(ScheduleProblem) -> TimeOfDay? {
        try member(name, "a time of day like \"18:00\"") { $0.string.flatMap { TimeOfDay($0) } }
    }

    func date(_ name: String) throws(ScheduleProblem) -> CivilDate? {
        try member(name, "a date that exists, like \"2026-12-24\"") { $0.string.flatMap { CivilDate(text: $0) } }
    }

    func action() throws(ScheduleProblem) -> Schedule.Action {
        let mode = try member("arm", "a mode: away, stay, night or custom") { json in
            json.string.flatMap { $0.isEmpty ? nil : ArmingMode(wireName: $0) }
        }
        let disarms = try boolean("disarm") ?? false
        let relay = try member("activate", "a relay of the site") { json in
            json.string.flatMap { $0.isEmpty ? nil : RelayID(stored: $0) }
        }
        switch (mode, disarms, relay) {
        case (let mode?, false, nil): return .arm(mode)
        case (nil, true, nil): return .disarm
        case (nil, false, let relay?):
            guard let seconds = try integer("duration_seconds"), Relay.durationSeconds.contains(seconds) else {
                let range = Relay.durationSeconds
                throw ScheduleProblem("duration_seconds", "must be \(range.lowerBound) to \(range.upperBound)")
            }
            return .activate(relay, seconds: seconds)
        case (.some, true, _), (.some, _, .some), (_, true, .some), (nil, false, nil):
            throw ScheduleProblem(
                "arm",
                "there must be one of “arm” with a mode, “disarm: true” and “activate” with a relay"
            )
        }
    }

    func days() throws(ScheduleProblem) -> Set<Weekday> {
        let days = try member("days", "an array of mon, tue, wed, thu, fri, sat, sun") { json -> Set<Weekday>? in
            guard let names = json.array else { return nil }
            let days = names.compactMap { $0.string.flatMap(Weekday.init(rawValue:)) }
            return days.count == names.count ? Set(days) : nil
        }
        if days?.isEmpty == true { throw ScheduleProblem("days", "is empty: leave it out for every day") }
        return days ?? Set(Weekday.allCases)
    }

    func exceptions() throws(ScheduleProblem) -> [Schedule.Exception] {
        let items = try member("exceptions", "an array of objects") { json -> [JSONObject]? in
            guard let items = json.array else { return nil }
            let objects = items.compactMap(\.object)
            return objects.count == items.count ? objects : nil
        }
        guard let items else { return [] }
        if items.count > Schedule.maximumExceptions {
            throw ScheduleProblem(
                "exceptions",
                "are at most \(Schedule.maximumExceptions): take away those of the past"
            )
        }
        var dates: Set<CivilDate> = []
        var exceptions: [Schedule.Exception] = []
        for (index, item) in items.enumerated() {
            let exception = try SettingsReader(item, path: "exceptions[\(index)].").exception()
            if !dates.insert(exception.date).inserted {
                throw ScheduleProblem("exceptions[\(index)].date", "\(exception.date) has another exception already")
            }
            exceptions.append(exception)
        }
        return exceptions.sorted { $0.date < $1.date }
    }

    private func exception() throws(ScheduleProblem) -> Schedule.Exception {
        guard let date = try date("date") else { throw ScheduleProblem(path + "date", "is missing") }
        switch (try boolean("closed") ?? false, try time("at")) {
        case (true, nil): return Schedule.Exception(date: date, hours: .closed)
        case (false, let time?): return Schedule.Exception(date: date, hours: .at(time))
        case (true, .some), (false, nil):
            throw ScheduleProblem(path + "closed", "there must be either “closed: true” or “at” with a time")
        }
    }
}
