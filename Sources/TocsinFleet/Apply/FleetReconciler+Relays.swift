import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension FleetReconciler {
    /// The relay that a schedule names: one of the site's, or one that this file has just made.
    mutating func relayID(
        _ reference: Marked<String>,
        of site: Site,
        made: [(number: Int?, name: String, id: String)]
    ) throws -> String? {
        if let relay = made.first(where: { $0.name == reference.value }) { return relay.id }
        let stored = try reader.fixtures(of: site.id, kind: .relay, within: .platform)
        if let relay = stored.first(where: { $0.name == reference.value }) { return relay.id }
        problems.add(
            reference.place,
            "neither the file nor the site has the relay “\(reference.value)”: add it under relays"
        )
        return nil
    }

    /// Puts a relay's bridge into its settings, and notes a secret that was drawn for it, to be shown once.
    mutating func settle(
        _ bridge: FleetActuator?,
        of id: RelayID,
        stored: Fixture?,
        _ settings: inout JSONObject
    ) throws {
        guard let bridge else { return }
        guard bridge.type == .webhook, let url = bridge.url else {
            // Nothing stands for the log, where there was nothing else.
            if stored?.settings["actuator"] != nil { settings["actuator"] = ["type": .string(bridge.type.rawValue)] }
            return
        }
        if let reason = context.checkURL(url.value) { problems.add(url.place, reason) }
        let present = stored?.settings["actuator"]?["sealed_secret"]?.string
        let sealed: String
        if let present, try bridge.secret.map({ try opened(present, of: id) == $0.value }) ?? true {
            sealed = present
        } else {
            let secret = bridge.secret?.value ?? WebhookSecret.make(context.randomness)
            sealed = try RelaySecret.sealed(secret, of: id, vault: context.vault)
            if bridge.secret == nil { relaySecrets[id.text] = secret }
        }
        settings["actuator"] = [
            "type": .string(bridge.type.rawValue), "url": .string(url.value), "sealed_secret": .string(sealed),
        ]
    }

    private func opened(_ sealed: String, of id: RelayID) throws -> String {
        try RelaySecret.opened(sealed, of: id, vault: context.vault)
    }

    /// A rule names partitions and zones that the site has.
    mutating func checkRules(
        _ relay: FleetFixture,
        of site: Site,
        partitions: Set<Int>,
        zones made: [(number: Int?, name: String, id: String)]
    ) throws {
        guard let rules = relay.settings["rules"]?.array, !rules.isEmpty else { return }
        let stored = try reader.fixtures(of: site.id, kind: .zone, within: .platform)
        let zones = Set(stored.compactMap(\.number) + made.compactMap(\.number))
        for (index, rule) in rules.enumerated() {
            for (name, known) in [("partitions", partitions), ("zones", zones)] {
                let named = Set((rule[name]?.array ?? []).compactMap { $0.integer.map(Int.init) })
                guard let unknown = named.subtracting(known).min() else { continue }
                problems.add(
                    relay.place.member("rules[\(index)].\(name)"),
                    "the site has no \(name.dropLast()) \(unknown): add it under \(name)"
                )
            }
        }
    }
}
