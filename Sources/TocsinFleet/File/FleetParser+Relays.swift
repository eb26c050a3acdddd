import TocsinCore
import TocsinEngine
import TocsinJSON
import Yams

extension FleetParser {
    mutating func relay(_ node: Node, at place: Place) -> FleetFixture? {
        let optional = ["device", "rules", "actuator"]
        guard let members = reader.members(node, at: place, required: ["name"], optional: optional),
            let name = reader.text(members, "name")
        else { return nil }
        var relay = FleetFixture(place: place, kind: .relay, name: name, settings: [:])
        relay.device = reader.marked(members, "device")
        relay.settings["rules"] = each(members, "rules") { $0.rule($1, at: $2) }.map(JSON.array)
        if let count = relay.settings["rules"]?.array?.count, count > Relay.maximumRules {
            reader.problems.add(members.place(of: "rules"), "are at most \(Relay.maximumRules) for a relay")
        }
        if let node = members.node("actuator") { relay.actuator = actuator(node, at: members.place(of: "actuator")) }
        return relay
    }

    private mutating func rule(_ node: Node, at place: Place) -> JSON? {
        let optional = RelayRule.members.filter { !["on", "duration_seconds"].contains($0) }
        guard
            let members = reader.members(node, at: place, required: ["on", "duration_seconds"], optional: optional)
        else { return nil }
        var rule = JSONObject()
        if let event = reader.text(members, "on") {
            if event != EventType.alarmCreated.rawValue {
                reader.problems.add(members.place(of: "on"), "must be “alarm.created”: no other event switches a relay")
            }
            rule["on"] = .string(event)
        }
        if let words = reader.choices(members, "priorities", among: AlarmPriority.allCases) {
            rule["priorities"] = ordered(words)
            refuse(words.isEmpty, members, "priorities")
        }
        if let words = reader.choices(members, "classes", among: AlarmClass.allCases) {
            rule["classes"] = ordered(words)
            refuse(words.isEmpty, members, "classes")
        }
        for (name, range) in [("partitions", SiteLimits.partitionNumbers), ("zones", SiteLimits.zoneNumbers)] {
            guard let numbers = reader.each(members, name, { $0.integer($1, at: $2, in: range) }) else { continue }
            refuse(numbers.isEmpty || Set(numbers).count < numbers.count, members, name)
            rule[name] = .array(numbers.sorted().map { JSON($0) })
        }
        if reader.boolean(members, "silent") == true { rule["silent"] = true }
        rule["duration_seconds"] = integer(members, "duration_seconds", in: Relay.durationSeconds)
        return .object(rule)
    }

    private mutating func refuse(_ isWrong: Bool, _ members: Members, _ name: String) {
        if isWrong { reader.problems.add(members.place(of: name), "must name some, each once; leave it out for all") }
    }

    private mutating func actuator(_ node: Node, at place: Place) -> FleetActuator? {
        guard let members = reader.members(node, at: place, required: ["type"], optional: ["url", "secret"]),
            let type: Relay.ActuatorType = reader.choice(members, "type")
        else { return nil }
        let actuator = FleetActuator(
            type: type,
            url: reader.marked(members, "url"),
            secret: reader.marked(members, "secret")
        )
        switch type {
        case .log:
            for name in ["url", "secret"] where members.has(name) {
                reader.problems.add(members.place(of: name), "is for a webhook: leave it out")
            }
        case .webhook:
            if actuator.url == nil, !members.has("url") { reader.problems.add(place, "lacks “url”: where commands go") }
            if let secret = actuator.secret, WebhookSecret.key(of: secret.value) == nil {
                reader.problems.add(secret.place, "must be “whsec_” and the base64 of 32 bytes")
            }
        }
        return actuator
    }
}
