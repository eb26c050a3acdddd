import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension FleetReconciler {
    /// The order in which kinds are applied: devices first, because zones and relays refer to them.
    private static let order: [FixtureKind] = [.device, .zone, .relay, .user, .schedule, .contact]

    /// Makes a site's fixtures match, and tells the ids of all that the file names.
    mutating func applyFixtures(
        _ wanted: FleetSite,
        of site: Site,
        partitions: [Partition]
    ) throws -> [FixtureKind: [(number: Int?, name: String, id: String)]] {
        var result: [FixtureKind: [(number: Int?, name: String, id: String)]] = [:]
        var devices: [String: String]?
        warnOfAuthority(wanted, of: site)
        try checkOtherZones(wanted, of: site)
        try checkOtherCodes(wanted, of: site)
        try checkOtherSchedules(wanted, of: site, partitions)
        let numbers = Set(partitions.map(\.number))
        for kind in Self.order {
            guard var listed = wanted.fixtures[kind], !listed.isEmpty else { continue }
            if kind == .device { listed = Self.bridgesFirst(listed) }
            let stored = try reader.fixtures(of: site.id, kind: kind, within: .platform)
            if kind == .device, !checkCycles(among: listed, stored) { continue }
            checkBridges(among: listed, stored)
            checkNumber(ofRelays: listed, stored)
            if kind == .user {
                checkCodes(listed, against: stored, of: site)
                try releaseCodes(listed, stored, of: site)
            }
            let applier = FixtureApplier(stored: stored)
            for (fixture, holder) in applier.nameClashes(with: listed) {
                problems.add(
                    fixture.place.member("name"),
                    "the site’s \(kind.rawValue) \(holder.number ?? 0) is called “\(holder.name)” already: choose another name"
                )
            }
            for fixture in listed {
                checkPartitions(fixture, exist: numbers)
                var settings = fixture.settings
                if let numbers = fixture.partitions, kind == .zone {
                    settings["partitions"] = .array(numbers.value.map { JSON($0) })
                }
                if let reference = fixture.device {
                    let known = try devices ?? deviceIDs(of: site, named: result[.device] ?? [])
                    devices = known
                    guard let id = known[reference.value] else {
                        problems.add(
                            reference.place,
                            "neither the file nor the site has the device “\(reference.value)”: add it under devices"
                        )
                        continue
                    }
                    settings["device_id"] = .string(id)
                }
                if let bridge = fixture.bridge {
                    let made = result[.device] ?? []
                    guard let id = try bridgeID(bridge, of: site, stored: stored, made: made, listed) else { continue }
                    settings["bridge_id"] = .string(id)
                }
                if let reference = fixture.relay {
                    guard let id = try relayID(reference, of: site, made: result[.relay] ?? []) else { continue }
                    settings["activate"] = .string(id)
                }
                let relay = kind == .relay ? stored.first { $0.name == fixture.name } : nil
                let relayID = relay.map { RelayID(stored: $0.id) } ?? RelayID(drawnBy: context)
                try checkRules(fixture, of: site, partitions: numbers, zones: result[.zone] ?? [])
                try settle(fixture, as: relayID, stored: relay, &settings)
                checkMode(fixture, partitions)
                keep(fixture.code, as: .normal, in: &settings, of: site)
                keep(fixture.duressCode, as: .duress, in: &settings, of: site)
                let applied = try applier.apply(fixture, settings: settings, of: site, relayID: relayID, with: &self)
                checkProfile(applied, at: fixture.place, of: site)
                result[kind, default: []].append((fixture.number, fixture.name, applied.id))
            }
        }
        return result
    }

    /// The devices in an order in which each stands behind the one that it hangs on; what hangs on itself comes last.
    private static func bridgesFirst(_ listed: [FleetFixture]) -> [FleetFixture] {
        let bridges = Bridges(
            Dictionary(listed.compactMap { device in device.bridge.map { (device.name, $0.value) } }) { first, _ in
                first
            }
        )
        return listed.map { (device: $0, depth: bridges.above($0.name).count) }
            .enumerated()
            .sorted { ($0.element.depth, $0.offset) < ($1.element.depth, $1.offset) }
            .map(\.element.device)
    }

    /// Notes devices that would hang on themselves, by way of others; true where there are none.
    private mutating func checkCycles(among listed: [FleetFixture], _ stored: [Fixture]) -> Bool {
        let names = Dictionary(stored.map { ($0.id, $0.name) }) { first, _ in first }
        var bridges = Bridges([:])
        for device in stored {
            bridges.hang(device.name, on: device.settings["bridge_id"]?.string.flatMap { names[$0] })
        }
        for device in listed { if let bridge = device.bridge { bridges.hang(device.name, on: bridge.value) } }
        let turning = listed.filter { $0.bridge != nil && bridges.isCycle(at: $0.name) }
        for device in turning {
            let way = bridges.above(device.name).map { "“\($0)”" }.joined(separator: ", which hangs on ")
            problems.add(
                device.bridge?.place ?? device.place,
                "“\(device.name)” would hang on itself: it hangs on \(way). Take the bridge away from one of them"
            )
        }
        return turning.isEmpty
    }

    /// The bridge that a device names: one of the site's, or one of this file that stands before it.
    private mutating func bridgeID(
        _ bridge: Marked<String>,
        of site: Site,
        stored: [Fixture],
        made: [(number: Int?, name: String, id: String)],
        _ listed: [FleetFixture]
    ) throws -> String? {
        let wanted = listed.first { $0.name == bridge.value }
        let type = wanted?.settings["type"] ?? stored.first { $0.name == bridge.value }?.settings["type"]
        let id = try deviceIDs(of: site, named: made)[bridge.value]
        guard let id, type?.string == DeviceType.bridge.rawValue else {
            problems.add(
                bridge.place,
                "neither the file nor the site has the bridge “\(bridge.value)”: add it under devices, with type: bridge"
            )
            return nil
        }
        return id
    }

    /// A bridge that carries others stays one, as the API has it; those that this file prunes or moves are none of these.
    private mutating func checkBridges(among listed: [FleetFixture], _ stored: [Fixture]) {
        for wanted in listed
        where wanted.kind == .device && wanted.settings["type"]?.string != DeviceType.bridge.rawValue {
            guard let id = stored.first(where: { $0.name == wanted.name })?.id else { continue }
            let carried = stored.first { device in
                guard device.settings["bridge_id"]?.string == id else { return false }
                guard let entry = listed.first(where: { $0.name == device.name }) else {
                    return !context.options.prunes
                }
                return entry.bridge == nil
            }
            guard let carried else { continue }
            problems.add(
                wanted.place.member("type"),
                "must stay bridge while “\(carried.name)” hangs on it: name another bridge for that first"
            )
        }
    }

    private func keep(
        _ code: Marked<String>?,
        as members: UserCode.Members,
        in settings: inout JSONObject,
        of site: Site
    ) {
        guard let code = code?.value else { return }
        settings[members.hash] = .string(UserCode.hash(code, site: site.id, vault: context.vault))
        settings[members.digits] = JSON(code.utf8.count)
    }

    /// Takes codes away from their holders that the file gives to others, so that two people can swap theirs.
    private func releaseCodes(_ listed: [FleetFixture], _ stored: [Fixture], of site: Site) throws {
        guard let writer else { return }
        var takers: [String: String] = [:]
        for user in listed {
            for code in [user.code, user.duressCode].compactMap(\.self) {
                takers[UserCode.hash(code.value, site: site.id, vault: context.vault)] = user.name
            }
        }
        for var user in stored {
            let lost = UserCode.Members.all.filter { members in
                guard let taker = user.settings[members.hash]?.string.flatMap({ takers[$0] }) else { return false }
                return taker != user.name
            }
            if lost.isEmpty { continue }
            for members in lost { user.settings[members.hash] = nil }
            try writer.update(user)
        }
    }

    /// A rule arms in a mode that its partition has.
    private mutating func checkMode(_ rule: FleetFixture, _ partitions: [Partition]) {
        guard rule.kind == .schedule, rule.relay == nil,
            let partition = partitions.first(where: { $0.number == rule.partitions?.value.first })
        else { return }
        if let obstacle = partition.scheduleObstacle { problems.add(rule.place.member("partition"), obstacle) }
        guard let name = rule.settings["arm"]?.string, !partition.offers(ArmingMode(wireName: name)) else { return }
        problems.add(
            rule.place.member("arm"),
            "partition \(partition.number) has no mode “\(name)”: use away, stay or night, or add it to its custom_modes"
        )
    }

    private mutating func checkProfile(_ fixture: Fixture, at place: Place, of site: Site) {
        guard let zone = Zone(fixture) else { return }
        for violation in site.complianceProfile.violations(in: zone) {
            problems.add(place.member(violation.field), violation.message)
        }
    }

    /// A profile that the file sets holds for the zones too that it does not name.
    private mutating func checkOtherZones(_ wanted: FleetSite, of site: Site) throws {
        guard wanted.complianceProfile != nil, freshSite != site.id else { return }
        let named = Set((wanted.fixtures[.zone] ?? []).compactMap(\.number))
        for fixture in try reader.fixtures(of: site.id, kind: .zone, within: .platform) {
            guard let zone = Zone(fixture), !named.contains(zone.number) else { continue }
            for violation in site.complianceProfile.violations(in: zone) {
                let message = "\(violation.field) of zone \(zone.number) \(violation.message)"
                problems.add(wanted.place.member("compliance_profile"), message)
            }
        }
    }

    /// A profile that asks for longer codes holds for those too that the file does not give anew.
    private mutating func checkOtherCodes(_ wanted: FleetSite, of site: Site) throws {
        guard freshSite != site.id,
            site.complianceProfile.codeDigits.lowerBound > formerProfile.codeDigits.lowerBound
        else { return }
        let listed = Dictionary((wanted.fixtures[.user] ?? []).map { ($0.name, $0) }) { first, _ in first }
        let kept = try reader.fixtures(of: site.id, kind: .user, within: .platform).map { user in
            var user = user
            if listed[user.name]?.code != nil { user.settings[UserCode.Members.normal.hash] = nil }
            if listed[user.name]?.duressCode != nil { user.settings[UserCode.Members.duress.hash] = nil }
            return user
        }
        let names = UserCode.holders(among: kept, tooShortFor: site.complianceProfile)
        guard !names.isEmpty else { return }
        problems.add(
            wanted.place.member("compliance_profile"),
            UserCode.tooShort(names, for: site.complianceProfile)
        )
    }

    /// A partition that the file makes a common area has no schedules (I18), those that the file does not name included.
    private mutating func checkOtherSchedules(_ wanted: FleetSite, of site: Site, _ partitions: [Partition]) throws {
        let isPruned = context.options.prunes && wanted.fixtures[.schedule] != nil
        let areas = (wanted.partitions ?? []).filter { $0.policy["common_area_of"] != nil }
        guard freshSite != site.id, !isPruned, !areas.isEmpty else { return }
        let listed = Set((wanted.fixtures[.schedule] ?? []).map(\.name))
        let rules = try reader.fixtures(of: site.id, kind: .schedule, within: .platform)
            .filter { !listed.contains($0.name) }
        for area in areas {
            guard partitions.contains(where: { $0.number == area.number && $0.scheduleObstacle != nil }),
                let rule = rules.first(where: { $0.settings.integer("partition") == area.number })
            else { continue }
            problems.add(area.place.member("common_area_of"), Partition.commonAreaObstacle(schedule: rule.name))
        }
    }

    private mutating func checkPartitions(_ fixture: FleetFixture, exist partitions: Set<Int>) {
        guard let numbers = fixture.partitions else {
            if fixture.kind == .zone, partitions.count > 1, fixture.settings["type"]?.string != ZoneType.none.rawValue {
                warn(fixture.place, "no partition is named, so the zone belongs to every partition of the site")
            }
            return
        }
        for number in numbers.value where !partitions.contains(number) {
            problems.add(numbers.place, "the site has no partition \(number): add it under partitions")
        }
    }

    /// What a partner-triggered site keeps but never acts upon, because its partner holds the authority (decisions §3).
    private mutating func warnOfAuthority(_ wanted: FleetSite, of site: Site) {
        guard site.armingModel == .partnerTriggered else { return }
        if let schedule = wanted.fixtures[.schedule]?.first {
            warn(schedule.place, "the site’s partner arms it, so its schedules are kept and do nothing")
        }
        if let user = wanted.fixtures[.user]?.first(where: { $0.code != nil || $0.duressCode != nil }) {
            warn(user.place, "the site’s partner arms it, so its users’ codes are kept and do nothing")
        }
    }

    /// The site's devices by name: those that the ledger has, and those that this file has just made.
    private func deviceIDs(
        of site: Site,
        named made: [(number: Int?, name: String, id: String)]
    ) throws -> [String: String] {
        var ids: [String: String] = [:]
        for device in try reader.fixtures(of: site.id, kind: .device, within: .platform) {
            ids[device.name] = device.id
        }
        for device in made { ids[device.name] = device.id }
        return ids
    }

    /// Codes are unique in a site, those of people that the file does not name included.
    private mutating func checkCodes(_ listed: [FleetFixture], against stored: [Fixture], of site: Site) {
        let byName = Dictionary(listed.map { ($0.name, $0) }) { first, _ in first }
        // Whether the holder's code is one for duress, by the code's hash.
        var held: [String: Bool] = [:]
        for user in stored {
            let wanted = byName[user.name]
            if wanted?.code == nil, let hash = user.settings["code_hash"]?.string { held[hash] = false }
            if wanted?.duressCode == nil, let hash = user.settings["duress_code_hash"]?.string { held[hash] = true }
        }
        for user in listed {
            for (code, isDuress) in [(user.code, false), (user.duressCode, true)] {
                guard let code else { continue }
                let digits = site.complianceProfile.codeDigits
                let wanted = WantedCode(
                    code.value,
                    isDuress: isDuress,
                    at: site.id,
                    digits: digits,
                    vault: context.vault
                )
                if !wanted.isAcceptable(among: { held[$0] }) {
                    problems.add(code.place, UserCode.refusal(digits: digits))
                }
                held[wanted.hash] = isDuress
            }
        }
    }
}

/// Compares the fixtures of one kind of one site with those that are stored.
private struct FixtureApplier {
    private var byNumber: [Int: Fixture] = [:]
    private var byName: [String: Fixture] = [:]

    init(stored: [Fixture]) {
        for fixture in stored {
            if let number = fixture.number { byNumber[number] = fixture }
            byName[fixture.name] = fixture
        }
    }

    /// Numbered things of the file whose name belongs to another number that the file does not rename.
    func nameClashes(with listed: [FleetFixture]) -> [(FleetFixture, holder: Fixture)] {
        let renamed = Dictionary(listed.compactMap { fixture in fixture.number.map { ($0, fixture.name) } }) {
            first,
            _ in
            first
        }
        return listed.compactMap { fixture in
            guard let number = fixture.number, let holder = byName[fixture.name], let held = holder.number,
                held != number, renamed[held] ?? holder.name == fixture.name
            else { return nil }
            return (fixture, holder)
        }
    }

    /// Makes or changes one fixture, and returns it as it is then.
    func apply(
        _ wanted: FleetFixture,
        settings: JSONObject,
        of site: Site,
        relayID: RelayID,
        with reconciler: inout FleetReconciler
    ) throws -> Fixture {
        let noun = wanted.kind.rawValue
        let title = "\(site.name) / \(noun) \(wanted.number.map(String.init) ?? wanted.name)"
        guard let existing = wanted.number.map({ byNumber[$0] }) ?? byName[wanted.name] else {
            let fixture = Fixture(
                // What is sealed for a relay is sealed for its id.
                id: wanted.kind == .relay ? relayID.text : wanted.kind.newID(reconciler.context),
                siteID: site.id,
                kind: wanted.kind,
                number: wanted.number,
                name: wanted.name,
                settings: settings
            )
            try reconciler.writer?.insert(fixture)
            try reconciler.notePart(.create, noun, title, id: fixture.id, of: site)
            return fixture
        }
        var fixture = existing
        fixture.name = wanted.name
        if wanted.kind == .schedule {
            fixture.settings = Schedule.merge(settings, into: existing.settings)
        } else {
            for (name, value) in settings.members { fixture.settings[name] = value }
        }
        let names = existing.settings.names.filter { fixture.settings[$0] == nil } + fixture.settings.names
        let changed =
            (fixture.name == existing.name ? [] : ["name"])
            + names.filter { fixture.settings[$0] != existing.settings[$0] }
        guard !changed.isEmpty else { return existing }
        // Names what a person wrote, not what is kept of it.
        var members: [String] = []
        for name in changed {
            let written = ["_hash", "_digits"].reduce(name) { $0.replacing($1, with: "") }
                .replacing("device_id", with: "device").replacing("bridge_id", with: "bridge")
            if !members.contains(written) { members.append(written) }
        }
        try reconciler.writer?.update(fixture)
        try reconciler.notePart(.update, noun, title, id: existing.id, of: site, members: members)
        return fixture
    }
}

extension FixtureKind {
    /// A fresh id with the kind's prefix.
    fileprivate func newID(_ context: FleetContext) -> String {
        switch self {
        case .zone: ZoneID(drawnBy: context).text
        case .device: DeviceID(drawnBy: context).text
        case .relay: RelayID(drawnBy: context).text
        case .user: UserID(drawnBy: context).text
        case .schedule: ScheduleID(drawnBy: context).text
        case .contact: ID<ContactNoun>(drawnBy: context).text
        }
    }
}
