import TocsinCore
import TocsinJSON
import Yams

extension FleetParser {
    mutating func fixture(_ kind: FixtureKind, _ node: Node, at place: Place) -> FleetFixture? {
        switch kind {
        case .zone: zone(node, at: place)
        case .device: device(node, at: place)
        case .relay: relay(node, at: place)
        case .user: user(node, at: place)
        case .schedule: schedule(node, at: place)
        case .contact: contact(node, at: place)
        }
    }

    private mutating func zone(_ node: Node, at place: Place) -> FleetFixture? {
        let optional =
            [
                "kind", "partitions", "device", "modes", "entry_delay_seconds", "delay_on_seconds", "silent",
                "swinger_limit", "cross_group",
            ] + Self.zoneFlags
        guard let members = reader.members(node, at: place, required: ["number", "name", "type"], optional: optional)
        else { return nil }
        let number = reader.integer(members, "number", in: SiteLimits.zoneNumbers)
        var zone = named(.zone, members)
        let type: ZoneType? = reader.choice(members, "type")
        zone?.number = number
        zone?.settings["type"] = type.map { .string($0.rawValue) }
        zone?.settings["kind"] = reader.text(members, "kind", upTo: 40).map(JSON.string)
        zone?.partitions = partitionNumbers(members)
        zone?.device = reader.marked(members, "device")
        if let modes = reader.choices(members, "modes", among: ModeName.allCases) {
            zone?.settings["modes"] = ordered(modes)
        }
        zone?.settings["entry_delay_seconds"] = integer(members, "entry_delay_seconds", in: Partition.delaySeconds)
        zone?.settings["delay_on_seconds"] = integer(members, "delay_on_seconds", in: Partition.delaySeconds)
        zone?.settings["silent"] = reader.boolean(members, "silent").map(JSON.bool)
        zone?.settings["swinger_limit"] = integer(members, "swinger_limit", in: 1...6)
        zone?.settings["cross_group"] = reader.text(members, "cross_group", upTo: 40).map(JSON.string)
        for name in Self.zoneFlags { zone?.settings[name] = reader.boolean(members, name).map(JSON.bool) }
        return number == nil || type == nil ? nil : zone
    }

    /// What of a zone is either so or not.
    static let zoneFlags = [
        "swinger_exempt", "bypassable", "force_armable", "entry_override", "abort_window", "exterior",
    ]
    /// More uses than a code has in a lifetime.
    private static let usesOfCode = 1...1_000_000

    private mutating func device(_ node: Node, at place: Place) -> FleetFixture? {
        guard let members = reader.members(node, at: place, required: ["name", "type"], optional: ["bridge"])
        else { return nil }
        var device = named(.device, members)
        device?.bridge = reader.marked(members, "bridge")
        let type: DeviceType? = reader.choice(members, "type")
        device?.settings["type"] = type.map { .string($0.rawValue) }
        return type == nil ? nil : device
    }

    private mutating func user(_ node: Node, at place: Place) -> FleetFixture? {
        let optional = [
            "code", "duress_code", "email", "rights", "valid_from", "valid_until", "windows", "one_time",
            "maximum_uses",
        ]
        guard let members = reader.members(node, at: place, required: ["name"], optional: optional) else { return nil }
        var user = named(.user, members)
        user?.code = reader.marked(members, "code")
        user?.duressCode = reader.marked(members, "duress_code")
        user?.settings["email"] = email(members)
        user?.settings["rights"] = rights(members)
        let from = instant(members, "valid_from")
        let until = instant(members, "valid_until")
        if let from, let until, until <= from {
            reader.problems.add(members.place(of: "valid_until"), "must be later than valid_from")
        }
        user?.settings["valid_from"] = from.map { .string($0.rfc3339Seconds) }
        user?.settings["valid_until"] = until.map { .string($0.rfc3339Seconds) }
        user?.settings["windows"] = windows(members)
        let isOneTime = reader.boolean(members, "one_time")
        user?.settings["one_time"] = isOneTime.map(JSON.bool)
        user?.settings["maximum_uses"] = integer(members, "maximum_uses", in: Self.usesOfCode)
        if isOneTime == true, members.has("maximum_uses") {
            reader.problems.add(members.place(of: "maximum_uses"), "says what “one_time” says: leave one of them out")
        }
        return user
    }

    private mutating func rights(_ members: Members) -> JSON? {
        guard let node = members.node("rights"),
            let rights = reader.members(
                node,
                at: members.place(of: "rights"),
                required: [],
                optional: ["partitions", "modes", "actions"]
            )
        else { return nil }
        var object = JSONObject()
        object["partitions"] = partitionNumbers(rights).map { .array($0.value.map { JSON($0) }) }
        object["modes"] = reader.choices(rights, "modes", among: ModeName.allCases).map(ordered)
        object["actions"] = reader.choices(rights, "actions", among: UserAction.allCases).map(ordered)
        return .object(object)
    }

    private mutating func contact(_ node: Node, at place: Place) -> FleetFixture? {
        guard let members = reader.members(node, at: place, required: ["name"], optional: ["email", "phone", "role"])
        else { return nil }
        var contact = named(.contact, members)
        contact?.settings["email"] = email(members)
        contact?.settings["phone"] = reader.text(members, "phone", upTo: 40).map(JSON.string)
        contact?.settings["role"] = reader.text(members, "role", upTo: 40).map(JSON.string)
        return contact
    }

    // MARK: - Members that several kinds have

    private mutating func named(_ kind: FixtureKind, _ members: Members) -> FleetFixture? {
        reader.text(members, "name").map { FleetFixture(place: members.place, kind: kind, name: $0, settings: [:]) }
    }

    mutating func integer(_ members: Members, _ name: String, in range: ClosedRange<Int>) -> JSON? {
        reader.integer(members, name, in: range).map { JSON($0) }
    }

    private mutating func partitionNumbers(_ members: Members) -> Marked<[Int]>? {
        let numbers = reader.each(members, "partitions") { $0.integer($1, at: $2, in: SiteLimits.partitionNumbers) }
        let place = members.place(of: "partitions")
        if let numbers, numbers.isEmpty || Set(numbers).count < numbers.count {
            reader.problems.add(place, "must name at least one partition, each once")
        }
        return numbers.map { Marked(value: $0.sorted(), place: place) }
    }

    private mutating func email(_ members: Members) -> JSON? {
        guard let text = reader.text(members, "email", upTo: 254) else { return nil }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        if parts.count != 2 || parts.contains(where: \.isEmpty) || text.contains(" ") {
            reader.problems.add(members.place(of: "email"), "“\(text)” is not an e-mail address")
        }
        return .string(text)
    }

    private mutating func instant(_ members: Members, _ name: String) -> Instant? {
        guard let text = reader.text(members, name) else { return nil }
        do throws(TimestampError) {
            return try Instant(rfc3339: text)
        } catch {
            let message =
                switch error {
                case .malformed: "“\(text)” is not a time: write it like 2026-05-26T10:21:34Z"
                case .notUTC: "“\(text)” is not in UTC: write it with Z, like 2026-05-26T10:21:34Z"
                }
            reader.problems.add(members.place(of: name), message)
            return nil
        }
    }

    func ordered<T: RawRepresentable<String> & CaseIterable & Hashable>(_ values: Set<T>) -> JSON {
        JSON(T.allCases.filter(values.contains).map(\.rawValue))
    }
}
