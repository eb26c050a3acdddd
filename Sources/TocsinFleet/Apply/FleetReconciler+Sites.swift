import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension FleetReconciler {
    mutating func apply(_ wanted: FleetSite) throws {
        guard let dealer = try dealerID(wanted.dealer) else { return }
        var partner: (id: PartnerID, model: ArmingModel)?
        if let reference = wanted.partner {
            guard let found = try self.partner(reference) else { return }
            partner = found
            try link(dealer, wanted.dealer.value, to: found.id, reference.value)
        }
        let site: Site
        var partitions: [Partition]
        var before: SiteRecord?
        freshSite = nil
        if let existing = try match(wanted, dealer: dealer, partner: partner?.id) {
            guard fits(existing, wanted, dealer: dealer, partner: partner?.id) else { return }
            formerProfile = existing.complianceProfile
            site = try update(existing, to: wanted)
            before = try reader.siteRecord(existing.id, within: .platform)
            partitions = before?.configuration.partitions ?? []
            try apply(wanted.partitions ?? [], to: &partitions, of: site)
        } else {
            site = make(wanted, dealer: dealer, partner: partner)
            freshSite = site.id
            partitions = newPartitions(wanted, of: site)
            note(.create, "site", site.name)
            try writer?.insert(site, partitions: partitions)
            try audit(
                "site.create",
                dealer: dealer,
                site: site.id,
                target: site.id.text,
                "the fleet file names \(site.name)"
            )
        }
        try check(partitions, of: site, wanted)
        names.sites[wanted.place.path] = site.id
        var result = FleetResult.SiteResult(name: site.name, siteID: site.id, partitions: [], fixtures: [:])
        result.fixtures = try applyFixtures(wanted, of: site, partitions: partitions)
        result.relaySecrets = relaySecrets
        relaySecrets = [:]
        if let before { try checkGuard(of: before, with: partitions, wanted) }
        result.partitions = partitions.sorted { $0.number < $1.number }.map { ($0.number, $0.id) }
        outcome.result.sites.append(result)
    }

    /// Refuses what would take a zone out of guard while it is armed, as the API does (T46).
    private mutating func checkGuard(of before: SiteRecord, with partitions: [Partition], _ wanted: FleetSite) throws {
        let site = before.configuration.site.id
        // Zones as they are now: once they are written, as the file wants them.
        var changed = try reader.siteRecord(site, within: .platform)?.configuration ?? before.configuration
        changed.partitions = partitions
        for (zone, partition) in before.configuration.guardLost(by: changed, in: before.state) {
            problems.add(
                wanted.place,
                "\(zone.place) guards \(partition.name), which is armed, and would guard it no longer: disarm it first"
            )
        }
    }

    // MARK: - References

    private mutating func dealerID(_ reference: Marked<String>) throws -> DealerID? {
        if let known = names.dealers[reference.value] { return known }
        guard let dealer = try reader.dealer(named: reference.value, within: .platform) else {
            let message = "neither the file nor the ledger has the dealer “\(reference.value)”: add it under dealers"
            problems.add(reference.place, message)
            return nil
        }
        names.dealers[reference.value] = dealer.id
        return dealer.id
    }

    private mutating func partner(_ reference: Marked<String>) throws -> (id: PartnerID, model: ArmingModel)? {
        if let known = names.partners[reference.value] { return known }
        guard let partner = try reader.partner(named: reference.value, within: .platform) else {
            let message = "neither the file nor the ledger has the partner “\(reference.value)”: add it under partners"
            problems.add(reference.place, message)
            return nil
        }
        names.partners[reference.value] = (partner.id, partner.armingModel)
        return (partner.id, partner.armingModel)
    }

    /// A file that names dealer and partner for a site links them (decisions §3).
    private mutating func link(
        _ dealer: DealerID,
        _ dealerName: String,
        to partner: PartnerID,
        _ partnerName: String
    ) throws {
        guard names.links.insert(.init(dealer: dealer, partner: partner)).inserted else { return }
        guard try !reader.isLinked(dealer, to: partner) else { return }
        note(.create, "link", "\(dealerName) / \(partnerName)")
        // The partner's endpoints follow the dealer's log from here on.
        outcome.touchedEndpoints.formUnion(try reader.endpoints(of: .partner(partner)).map(\.id))
        try writer?.link(dealer, to: partner)
        try audit(
            "dealer.link",
            dealer: dealer,
            target: partner.text,
            "the fleet file has a site of \(dealerName) under \(partnerName)"
        )
    }

    // MARK: - The site itself

    /// The site that the file means: by its external id, else by its name.
    private func match(_ wanted: FleetSite, dealer: DealerID, partner: PartnerID?) throws -> Site? {
        if let externalID = wanted.externalID {
            // A partner's ids are unique over all its dealers.
            let filter = SiteFilter(
                dealerID: partner == nil ? dealer : nil,
                partnerID: partner,
                externalID: externalID
            )
            let found = try reader.sites(within: .platform, filter: filter, page: PageRequest(limit: 2)).items
            if let site = found.first(where: { $0.partnerID == partner }) ?? found.first { return site }
        }
        return try reader.site(named: wanted.name, of: dealer, within: .platform)
    }

    /// Whether what is fixed when a site is made is as the file says (decisions §3).
    private mutating func fits(_ site: Site, _ wanted: FleetSite, dealer: DealerID, partner: PartnerID?) -> Bool {
        if site.dealerID != dealer {
            problems.add(wanted.dealer.place, "the site \(site.id) belongs to another dealer, which cannot be changed")
            return false
        }
        if let externalID = wanted.externalID, let stored = site.externalID, stored != externalID {
            problems.add(
                wanted.place.member("external_site_id"),
                "the dealer’s site “\(site.name)” exists with the external_site_id “\(stored)”: choose another name"
            )
            return false
        }
        if site.partnerID != partner {
            let message =
                partner == nil
                ? "the site has a partner, which is fixed when a site is made: name it"
                : "the site has \(site.partnerID == nil ? "no" : "another") partner, which is fixed when a site is made"
            problems.add(wanted.partner?.place ?? wanted.place.member("partner"), message)
            return false
        }
        return true
    }

    private func make(
        _ wanted: FleetSite,
        dealer: DealerID,
        partner: (id: PartnerID, model: ArmingModel)?
    ) -> Site {
        Site(
            id: SiteID(drawnBy: context),
            dealerID: dealer,
            partnerID: partner?.id,
            externalID: wanted.externalID,
            name: wanted.name,
            timezone: wanted.timezone,
            address: wanted.address,
            testMode: wanted.testMode ?? false,
            armingModel: partner?.model ?? .platformTriggered,
            complianceProfile: wanted.complianceProfile ?? .none,
            createdAt: context.now
        )
    }

    private mutating func update(_ existing: Site, to wanted: FleetSite) throws -> Site {
        var site = existing
        site.name = wanted.name
        site.externalID = wanted.externalID ?? site.externalID
        site.timezone = wanted.timezone
        site.address = wanted.address ?? site.address
        site.testMode = wanted.testMode ?? site.testMode
        site.complianceProfile = wanted.complianceProfile ?? site.complianceProfile
        let changed = [
            site.name == existing.name ? nil : "name",
            site.externalID == existing.externalID ? nil : "external_site_id",
            site.timezone == existing.timezone ? nil : "timezone",
            site.address == existing.address ? nil : "address",
            site.testMode == existing.testMode ? nil : "test_mode",
            site.complianceProfile == existing.complianceProfile ? nil : "compliance_profile",
        ].compactMap(\.self)
        guard !changed.isEmpty else { return site }
        if site.name != existing.name, try reader.site(named: site.name, of: site.dealerID, within: .platform) != nil {
            problems.add(wanted.place.member("name"), "another site of the dealer is called “\(site.name)”")
            return existing
        }
        note(.update, "site", site.name, members: changed)
        try writer?.update(site)
        try audit(
            "site.update",
            dealer: site.dealerID,
            site: site.id,
            target: site.id.text,
            changes(changed, of: site.name)
        )
        return site
    }

    // MARK: - Partitions

    /// A site made without partitions has partition 1 (decisions §4).
    private func newPartitions(_ wanted: FleetSite, of site: Site) -> [Partition] {
        let listed = wanted.partitions ?? []
        if listed.isEmpty {
            let only = Partition(
                id: PartitionID(drawnBy: context),
                siteID: site.id,
                number: 1,
                name: "Partition 1",
                exitDelaySeconds: site.complianceProfile.defaultExitDelays
            )
            return [only]
        }
        return listed.map { partition($0, of: site) }
    }

    private func partition(_ wanted: FleetPartition, of site: Site) -> Partition {
        var partition = Partition(
            id: PartitionID(drawnBy: context),
            siteID: site.id,
            number: wanted.number,
            name: "Partition \(wanted.number)",
            exitDelaySeconds: site.complianceProfile.defaultExitDelays
        )
        partition.take(wanted)
        return partition
    }

    /// Makes partitions match; their state is kept.
    private mutating func apply(_ wanted: [FleetPartition], to partitions: inout [Partition], of site: Site) throws {
        for wanted in wanted {
            let title = "\(site.name) / partition \(wanted.number)"
            guard let index = partitions.firstIndex(where: { $0.number == wanted.number }) else {
                if partitions.count >= Partition.maximumPerSite {
                    problems.add(
                        wanted.place,
                        "the site has \(partitions.count) partitions already, which is the limit"
                    )
                    return
                }
                let partition = partition(wanted, of: site)
                partitions.append(partition)
                try writer?.insert(partition, since: context.now)
                try notePart(.create, "partition", title, id: partition.id.text, of: site)
                continue
            }
            let existing = partitions[index]
            partitions[index].take(wanted)
            let changed =
                [
                    partitions[index].name == existing.name ? nil : "name",
                    partitions[index].exitDelaySeconds == existing.exitDelaySeconds ? nil : "exit_delay_seconds",
                    partitions[index].entryDelaySeconds == existing.entryDelaySeconds ? nil : "entry_delay_seconds",
                ].compactMap(\.self) + partitions[index].policy.members(unlike: existing.policy)
            guard !changed.isEmpty else { continue }
            try writer?.update(partitions[index])
            try notePart(.update, "partition", title, id: existing.id.text, of: site, members: changed)
        }
    }

    /// Notes what of the site's settings contradicts itself or is forbidden by its profile.
    private mutating func check(_ partitions: [Partition], of site: Site, _ wanted: FleetSite) throws {
        let places = Dictionary((wanted.partitions ?? []).map { ($0.number, $0.place) }) { first, _ in first }
        func place(_ partition: Int, _ member: String) -> Place {
            places[partition]?.member(member) ?? wanted.place.member("compliance_profile")
        }
        if let problem = PartitionPolicy.problem(in: partitions) {
            problems.add(place(problem.partition, problem.field), problem.message)
        }
        for partition in partitions {
            for violation in site.complianceProfile.violations(in: partition) {
                let subject =
                    places[partition.number] == nil ? "\(violation.field) of partition \(partition.number) " : ""
                problems.add(place(partition.number, violation.field), subject + violation.message)
            }
        }
    }

    /// Notes that a part of a site was made, changed or deleted.
    mutating func notePart(
        _ action: FleetChange.Action,
        _ noun: String,
        _ title: String,
        id: String,
        of site: Site,
        members: [String] = []
    ) throws {
        note(action, noun, title, members: members)
        guard freshSite != site.id else { return }
        let explanation =
            switch action {
            case .create: "the fleet file names \(title)"
            case .update: changes(members, of: title)
            case .delete: "the fleet file leaves out \(title), and was applied with pruning"
            }
        try audit("\(noun).\(action.rawValue)", dealer: site.dealerID, site: site.id, target: id, explanation)
    }
}

extension Partition {
    /// Takes over what the file says and keeps the rest.
    fileprivate mutating func take(_ wanted: FleetPartition) {
        name = wanted.name ?? name
        entryDelaySeconds = wanted.entryDelaySeconds ?? entryDelaySeconds
        for (mode, seconds) in wanted.exitDelays { exitDelaySeconds[keyPath: mode.delay] = seconds }
        policy.take(wanted.policy)
    }
}

extension PartitionPolicy {
    /// The names of the members that differ.
    fileprivate func members(unlike other: PartitionPolicy) -> [String] {
        let (mine, others) = (settings, other.settings)
        return Self.members.filter { mine[$0] != others[$0] }
    }
}
