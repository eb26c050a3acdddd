import TocsinCore
import TocsinJSON
import Yams

// What platform-triggered sites have beside a partner's: policies, windows, schedules, holidays.
extension FleetParser {
    /// The members of a partition's policy that the file names.
    mutating func policy(_ members: Members) -> JSONObject {
        var policy = JSONObject()
        policy["exit_violation"] = word(members, "exit_violation", PartitionPolicy.ExitViolation.self)
        policy["exit_error"] = word(members, "exit_error", PartitionPolicy.ExitError.self)
        policy["exit_restart"] = reader.boolean(members, "exit_restart").map(JSON.bool)
        policy["stay_if_unvacated"] = reader.boolean(members, "stay_if_unvacated").map(JSON.bool)
        policy["offline_zone"] = word(members, "offline_zone", PartitionPolicy.OfflineZone.self)
        for (name, range) in [
            ("bell_seconds", PartitionPolicy.bellRange),
            ("abort_window_seconds", PartitionPolicy.abortWindowRange),
            ("cancel_window_seconds", PartitionPolicy.cancelWindowRange),
            ("cross_zone_seconds", PartitionPolicy.crossZoneRange),
            ("verification_seconds", PartitionPolicy.verificationRange),
            ("bypass_limit", PartitionPolicy.bypassLimitRange),
        ] { policy[name] = integer(members, name, in: range) }
        let longest = PartitionPolicy.customModeLength.upperBound
        let modes = reader.each(members, "custom_modes") { $0.text($1, at: $2, upTo: longest) }
        if let modes, modes.count > PartitionPolicy.maximumCustomModes {
            reader.problems.add(
                members.place(of: "custom_modes"),
                "has \(modes.count) modes, and \(PartitionPolicy.maximumCustomModes) are the limit"
            )
        }
        policy["custom_modes"] = modes.map { JSON($0) }
        let dependents = reader.each(members, "common_area_of") {
            $0.integer($1, at: $2, in: SiteLimits.partitionNumbers)
        }
        policy["common_area_of"] = dependents.map { .array($0.map { JSON($0) }) }
        let hours = each(members, "opening_hours") { $0.openingHours($1, at: $2) }
        if let hours, hours.count > PartitionPolicy.maximumHours {
            reader.problems.add(
                members.place(of: "opening_hours"),
                "has \(hours.count) entries, and \(PartitionPolicy.maximumHours) are the limit"
            )
        }
        policy["opening_hours"] = hours.map { .array($0.map { .object($0.json) }) }
        return policy
    }

    private mutating func openingHours(_ node: Node, at place: Place) -> OpeningHours? {
        let required = ["open_from", "open_to", "close_from", "close_to"]
        guard let members = reader.members(node, at: place, required: required, optional: ["days"]) else { return nil }
        let times = required.map { timeOfDay(members, $0) }
        let days = reader.choices(members, "days", among: Weekday.allCases) ?? []
        guard let openFrom = times[0], let openTo = times[1], let closeFrom = times[2], let closeTo = times[3] else {
            return nil
        }
        return OpeningHours(days: days, openFrom: openFrom, openTo: openTo, closeFrom: closeFrom, closeTo: closeTo)
    }

    /// When in the week a user's code is good.
    mutating func windows(_ members: Members) -> JSON? {
        let windows = each(members, "windows") { parser, node, place -> JSON? in
            guard let window = parser.reader.members(node, at: place, required: ["from", "to"], optional: ["days"])
            else { return nil }
            let (from, to) = (parser.timeOfDay(window, "from"), parser.timeOfDay(window, "to"))
            let days = parser.reader.choices(window, "days", among: Weekday.allCases)
            guard let from, let to else { return nil }
            var object = JSONObject()
            object["days"] = days.map(parser.ordered)
            object["from"] = .string(from.text)
            object["to"] = .string(to.text)
            return .object(object)
        }
        if reader.elements(members, "windows")?.isEmpty == true {
            reader.problems.add(members.place(of: "windows"), "is empty: leave it out for a code that is always good")
        }
        return windows.map(JSON.array)
    }

    // MARK: - Schedules

    mutating func schedule(_ node: Node, at place: Place) -> FleetFixture? {
        let optional = ["name"] + Schedule.members.filter { $0 != "at" }
        guard let members = reader.members(node, at: place, required: ["at"], optional: optional) else { return nil }
        let problemsBefore = reader.problems.all.count
        let partition = reader.integer(members, "partition", in: SiteLimits.partitionNumbers)
        var settings = JSONObject()
        settings["partition"] = partition.map { JSON($0) }
        settings["arm"] = reader.text(members, "arm", upTo: PartitionPolicy.customModeLength.upperBound)
            .map(JSON.string)
        let disarms = reader.boolean(members, "disarm")
        if ["arm", "disarm", "activate"].count(where: { members.has($0) }) != 1 || disarms == false {
            reader.problems.add(
                place,
                "must have one of “arm” with a mode, “disarm: true” and “activate” with a relay"
            )
        }
        settings["disarm"] = disarms.map(JSON.bool)
        let relay = reader.marked(members, "activate")
        settings["activate"] = relay.map { .string($0.value) }
        settings["duration_seconds"] = integer(members, "duration_seconds", in: Relay.durationSeconds)
        settings["at"] = timeOfDay(members, "at").map { .string($0.text) }
        settings["on"] = date(members, "on").map { .string($0.text) }
        let days = reader.choices(members, "days", among: Weekday.allCases)
        if days?.isEmpty == true {
            reader.problems.add(members.place(of: "days"), "is empty: leave it out for every day")
        }
        if members.has("days"), members.has("on") {
            reader.problems.add(members.place(of: "on"), "is a single date: leave out “days”")
        }
        if !members.has("on") { settings["days"] = ordered(days ?? Set(Weekday.allCases)) }
        settings["exceptions"] = each(members, "exceptions") { $0.exception($1, at: $2) }.map(JSON.array)
        for name in ["observe_holidays", "force_arm", "enabled"] {
            settings[name] = reader.boolean(members, name).map(JSON.bool)
        }
        settings["warning_minutes"] = integer(members, "warning_minutes", in: Schedule.warningMinutesRange)
        settings["latest"] = timeOfDay(members, "latest").map { .string($0.text) }
        let givenName = reader.text(members, "name")
        if partition == nil, relay == nil, !members.has("partition") {
            reader.problems.add(place, "lacks “partition”: name the partition’s number")
        }
        guard reader.problems.all.count == problemsBefore else { return nil }
        // A rule without a name is told apart by what it does.
        let rule = FleetFixture(
            place: place,
            kind: .schedule,
            name: givenName ?? Schedule.derivedName(of: settings),
            settings: settings,
            relay: relay,
            partitions: partition.map { Marked(value: [$0], place: members.place(of: "partition")) }
        )
        return check(rule, members) ? rule : nil
    }

    /// Whether the rule's members go together.
    private mutating func check(_ rule: FleetFixture, _ members: Members) -> Bool {
        let fixture = Fixture(
            id: "",
            siteID: SiteID(stored: ""),
            kind: .schedule,
            number: nil,
            name: rule.name,
            settings: rule.settings
        )
        do throws(ScheduleProblem) {
            _ = try Schedule(fixture)
            return true
        } catch {
            let member = error.field.split { $0 == "[" || $0 == "." }.first.map(String.init) ?? error.field
            let place = Place(line: members.place(of: member).line, path: "\(rule.place.path).\(error.field)")
            reader.problems.add(place, error.message)
            return false
        }
    }

    private mutating func exception(_ node: Node, at place: Place) -> JSON? {
        guard let members = reader.members(node, at: place, required: ["date"], optional: ["closed", "at"]) else {
            return nil
        }
        var object = JSONObject()
        object["date"] = date(members, "date").map { .string($0.text) }
        object["closed"] = reader.boolean(members, "closed").map(JSON.bool)
        object["at"] = timeOfDay(members, "at").map { .string($0.text) }
        return object["date"] == nil ? nil : .object(object)
    }

    // MARK: - Holidays

    mutating func holidays(_ members: Members) -> [Holiday]? {
        let holidays = each(members, "holidays") { parser, node, place -> Marked<Holiday>? in
            guard let members = parser.reader.members(node, at: place, required: ["date", "name"]) else { return nil }
            let date = parser.date(members, "date")
            let name = parser.reader.text(members, "name")
            guard let date, let name else { return nil }
            return Marked(value: Holiday(date: date, name: name), place: place)
        }
        reader.distinct(holidays, "the holiday’s date", by: \.value.date, at: \.place)
        if let holidays, holidays.count > Holiday.maximumPerDealer {
            reader.problems.add(
                members.place(of: "holidays"),
                "has \(holidays.count) entries, and \(Holiday.maximumPerDealer) are the limit of a dealer"
            )
        }
        return holidays?.map(\.value).sorted { $0.date < $1.date }
    }

    // MARK: - Forms

    /// `HH:MM`, the site's local time.
    mutating func timeOfDay(_ members: Members, _ name: String) -> TimeOfDay? {
        guard let text = reader.text(members, name) else { return nil }
        if let time = TimeOfDay(text) { return time }
        reader.problems.add(members.place(of: name), "“\(text)” is not a time of day: write it like \"18:00\"")
        return nil
    }

    /// `YYYY-MM-DD`.
    private mutating func date(_ members: Members, _ name: String) -> CivilDate? {
        guard let text = reader.text(members, name) else { return nil }
        if let date = CivilDate(text: text) { return date }
        reader.problems.add(
            members.place(of: name),
            "“\(text)” is not a date that exists: write it like \"2026-12-24\""
        )
        return nil
    }

    private mutating func word<Word: RawRepresentable<String> & CaseIterable>(
        _ members: Members,
        _ name: String,
        _: Word.Type
    ) -> JSON? {
        let word: Word? = reader.choice(members, name)
        return word.map { .string($0.rawValue) }
    }
}
