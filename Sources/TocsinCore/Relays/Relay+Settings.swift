import TocsinJSON

/// What is wrong with a relay's settings: the member, and what it must be.
package struct RelayProblem: Error, Hashable, Sendable {
    package var field: String
    package var message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }
}

extension Relay {
    /// Reads what was configured; a missing member has its default.
    package init(_ fixture: Fixture) throws(RelayProblem) {
        guard fixture.kind == .relay else { throw RelayProblem("kind", "“\(fixture.id)” is not a relay") }
        self.init(
            id: RelayID(stored: fixture.id),
            name: fixture.name,
            deviceID: fixture.settings["device_id"]?.string.map(DeviceID.init(stored:)),
            rules: try Self.rules(fixture.settings["rules"]),
            actuator: try Actuator(fixture.settings["actuator"])
        )
    }

    /// The settings that ``init(_:)`` reads back to an equal relay.
    package var settings: JSONObject {
        var settings = JSONObject()
        settings["device_id"] = deviceID.map { .string($0.text) }
        if !rules.isEmpty { settings["rules"] = .array(rules.map { .object($0.settings) }) }
        if case .webhook(let url, let secret) = actuator {
            settings["actuator"] = [
                "type": .string(ActuatorType.webhook.rawValue), "url": .string(url), "sealed_secret": .string(secret),
            ]
        }
        return settings
    }

    /// Reads rules; the errors' fields begin with `rules[…]`.
    package static func rules(_ json: JSON?) throws(RelayProblem) -> [RelayRule] {
        guard let json, json != .null else { return [] }
        guard let items = json.array else { throw RelayProblem("rules", "must be an array of rules") }
        if items.count > maximumRules { throw RelayProblem("rules", "are at most \(maximumRules) for a relay") }
        var rules: [RelayRule] = []
        for (index, item) in items.enumerated() {
            guard let object = item.object else { throw RelayProblem("rules[\(index)]", "must be an object") }
            rules.append(try RelayRule(object, at: "rules[\(index)]."))
        }
        return rules
    }

    /// The word for who switches a relay.
    package enum ActuatorType: String, CaseIterable, Sendable {
        case log
        case webhook
    }
}

extension Relay.Actuator {
    package var type: Relay.ActuatorType {
        switch self {
        case .log: .log
        case .webhook: .webhook
        }
    }

    fileprivate init(_ json: JSON?) throws(RelayProblem) {
        guard let object = json?.object else {
            self = .log
            return
        }
        guard let type = object["type"]?.string.flatMap(Relay.ActuatorType.init) else {
            throw RelayProblem("actuator.type", "must be one of log, webhook")
        }
        switch type {
        case .log: self = .log
        case .webhook:
            guard let url = object["url"]?.string else { throw RelayProblem("actuator.url", "is missing") }
            guard let secret = object["sealed_secret"]?.string else {
                throw RelayProblem("actuator.secret", "is missing: set the secret of the bridge anew")
            }
            self = .webhook(url: url, sealedSecret: secret)
        }
    }
}

extension RelayRule {
    /// The members of a rule, by the names of the wire.
    package static let members = [
        "on", "priorities", "classes", "partitions", "zones", "silent", "duration_seconds",
    ]

    fileprivate init(_ object: JSONObject, at path: String) throws(RelayProblem) {
        guard object["on"]?.string == EventType.alarmCreated.rawValue else {
            throw RelayProblem(path + "on", "must be “alarm.created”: no other event switches a relay")
        }
        guard let seconds = object.integer("duration_seconds"), Relay.durationSeconds.contains(seconds) else {
            let range = Relay.durationSeconds
            throw RelayProblem(path + "duration_seconds", "must be \(range.lowerBound) to \(range.upperBound)")
        }
        if let silent = object["silent"], silent.bool == nil, silent != .null {
            throw RelayProblem(path + "silent", "must be true or false")
        }
        self.init(
            priorities: try Self.words(object, "priorities", path),
            classes: try Self.words(object, "classes", path),
            partitions: try Self.set(object, "partitions", path, "numbers of partitions") { $0.integer.map(Int.init) },
            zones: try Self.set(object, "zones", path, "numbers of zones") { $0.integer.map(Int.init) },
            includesSilent: object["silent"]?.bool ?? false,
            durationSeconds: seconds
        )
    }

    fileprivate var settings: JSONObject {
        var object: JSONObject = ["on": .string(EventType.alarmCreated.rawValue)]
        object["priorities"] = priorities.map { set in
            JSON(AlarmPriority.allCases.filter(set.contains).map(\.rawValue))
        }
        object["classes"] = classes.map { set in JSON(AlarmClass.allCases.filter(set.contains).map(\.rawValue)) }
        object["partitions"] = partitions.map { .array($0.sorted().map { JSON($0) }) }
        object["zones"] = zones.map { .array($0.sorted().map { JSON($0) }) }
        if includesSilent { object["silent"] = true }
        object["duration_seconds"] = JSON(durationSeconds)
        return object
    }

    private static func words<Word: RawRepresentable<String> & CaseIterable & Hashable>(
        _ object: JSONObject,
        _ name: String,
        _ path: String
    ) throws(RelayProblem) -> Set<Word>? {
        let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
        return try set(object, name, path, "some of \(known)") { $0.string.flatMap(Word.init(rawValue:)) }
    }

    private static func set<Element: Hashable>(
        _ object: JSONObject,
        _ name: String,
        _ path: String,
        _ wanted: String,
        _ read: (JSON) -> Element?
    ) throws(RelayProblem) -> Set<Element>? {
        guard let json = object[name], json != .null else { return nil }
        let items = json.array ?? []
        let elements = Set(items.compactMap(read))
        if items.isEmpty || elements.count < items.count {
            throw RelayProblem(path + name, "must be an array of \(wanted), each once; leave it out for all")
        }
        return elements
    }
}
