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
        _ relay: FleetFixture,
        as id: RelayID,
        stored: Fixture?,
        _ settings: inout JSONObject
    ) throws {
        if let bridge = relay.actuator { try choose(bridge, of: id, stored: stored, &settings) }
        guard let stored, stored.kind == .relay, let record = try reader.siteRecord(stored.siteID, within: .platform)
        else { return }
        var changed = stored
        changed.settings["actuator"] = settings["actuator"] ?? stored.settings["actuator"]
        changed.settings["device_id"] = settings["device_id"] ?? stored.settings["device_id"]
        guard try RelayGuard.strands(stored, changedTo: changed, in: record, reader) else { return }
        refusals.addFirm(
            relay.place.member(relay.actuator == nil ? "device" : "actuator"),
            "cannot be changed while the relay “\(relay.name)” is on, because who switches it now would not be told to "
                + "switch off: deactivate it first, then apply the file again"
        )
    }

    private mutating func choose(
        _ bridge: FleetActuator,
        of id: RelayID,
        stored: Fixture?,
        _ settings: inout JSONObject
    ) throws {
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

    /// A site has no more relays than the API lets it have.
    mutating func checkNumber(ofRelays listed: [FleetFixture], _ stored: [Fixture]) {
        guard let last = listed.last, last.kind == .relay else { return }
        let kept = context.options.prunes ? [] : stored.map(\.name)
        let count = Set(kept + listed.map(\.name)).count
        guard count > Relay.maximumPerSite, count > stored.count else { return }
        problems.add(last.place, "would be one of \(count) relays, and \(Relay.maximumPerSite) are the limit of a site")
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
