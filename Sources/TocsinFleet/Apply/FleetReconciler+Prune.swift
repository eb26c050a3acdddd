import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension FleetReconciler {
    /// Deletes what the file's lists leave out; to be called after all of the file was applied.
    ///
    /// A list that the file does not have says nothing about its things. What a site of the file refers to counts as named.
    mutating func prune(_ file: FleetFile) throws {
        var deleted: Set<SiteID> = []
        if let sites = file.sites {
            let kept = Set(names.sites.values)
            for site in try reader.allSites() where !kept.contains(site.id) {
                deleted.insert(site.id)
                try delete(site)
            }
            for site in sites { try pruneParts(of: site) }
        }
        for dealer in file.dealers ?? [] { try pruneApps(of: dealer) }
        for partner in file.partners ?? [] {
            guard let listed = partner.endpoints, let id = names.partners[partner.name]?.id else { continue }
            try pruneEndpoints(of: .partner(id), named: partner.name, at: listed.first?.place ?? partner.place)
        }
        if file.partners != nil { try prunePartners(ignoring: deleted) }
        if file.dealers != nil { try pruneDealers(ignoring: deleted) }
    }

    /// Notes a refusal unless forced; true lets the deletion go on.
    private mutating func allows(_ obstacles: [DeletionObstacle], _ noun: String, _ name: String) -> Bool {
        allows(Set(obstacles.map(\.clause)).sorted(), noun, name)
    }

    private mutating func allows(_ reasons: [String], _ noun: String, _ name: String) -> Bool {
        if reasons.isEmpty || context.options.forces { return true }
        let place = Place(line: 1, path: "\(noun) \(name)")
        refusals.add(place, "cannot be deleted: it \(reasons.joined(separator: ", it "))")
        return false
    }

    private mutating func delete(_ site: Site) throws {
        let record = try reader.siteRecord(site.id, within: .platform)
        let obstacles = try record.map { try DeletionGuard(reader).obstacles(to: $0) } ?? []
        guard allows(obstacles, "site", site.name) else { return }
        note(.delete, "site", site.name)
        try writer?.deleteSite(site.id)
        try auditDeletion("site", site.name, id: site.id.text, dealer: site.dealerID)
    }

    private mutating func pruneParts(of wanted: FleetSite) throws {
        guard let id = names.sites[wanted.place.path],
            let record = try reader.siteRecord(id, within: .platform)
        else { return }
        let site = record.configuration.site
        freshSite = nil
        for kind in FixtureKind.allCases {
            guard let listed = wanted.fixtures[kind] else { continue }
            let names = Set(listed.map(\.name))
            let numbers = Set(listed.compactMap(\.number))
            for fixture in try reader.fixtures(of: id, kind: kind, within: .platform) {
                let isListed = fixture.number.map(numbers.contains) ?? names.contains(fixture.name)
                if !isListed { try delete(fixture, of: record, wanted) }
            }
        }
        guard let listed = wanted.partitions, !listed.isEmpty else { return }
        let numbers = Set(listed.map(\.number))
        for partition in record.configuration.partitions where !numbers.contains(partition.number) {
            let title = "\(site.name) / partition \(partition.number)"
            guard allows(DeletionGuard.obstacles(to: [partition], in: record), "partition", title) else { continue }
            // A common area goes on with the partitions that are left; read anew, as others may have gone before.
            let left = try reader.siteRecord(site.id, within: .platform)?.configuration.partitions ?? []
            for var other in left where other.policy.commonAreaOf.contains(partition.number) {
                other.policy.commonAreaOf.removeAll { $0 == partition.number }
                try writer?.update(other)
            }
            try writer?.deletePartition(partition.id, of: site.id)
            try notePart(.delete, "partition", title, id: partition.id.text, of: site)
        }
    }

    /// The site's schedules that the file's list leaves out, too: these go with what they name.
    private func prunedSchedules(of site: SiteID, _ wanted: FleetSite) throws -> Set<String> {
        guard let listed = wanted.fixtures[.schedule] else { return [] }
        let names = Set(listed.map(\.name))
        let stored = try reader.fixtures(of: site, kind: .schedule, within: .platform)
        return Set(stored.filter { !names.contains($0.name) }.map(\.id))
    }

    private mutating func delete(_ fixture: Fixture, of record: SiteRecord, _ wanted: FleetSite) throws {
        let site = record.configuration.site
        let title = "\(site.name) / \(fixture.kind.rawValue) \(fixture.number.map(String.init) ?? fixture.name)"
        if fixture.kind == .zone {
            // A zone without partitions belongs to all of them.
            let numbers = fixture.settings["partitions"]?.array?.compactMap(\.integer)
            let guarding = record.configuration.partitions.filter { numbers?.contains(Int64($0.number)) ?? true }
            guard allows(DeletionGuard.obstacles(to: guarding, in: record), "zone", title) else { return }
        }
        if fixture.kind == .device {
            let id = DeviceID(stored: fixture.id)
            guard allows(try DeletionGuard(reader).obstacles(to: id, in: record), "device", title) else { return }
            try writer?.detachDevice(id, of: site.id)
        }
        if fixture.kind == .relay {
            let gone = try prunedSchedules(of: site.id, wanted)
            let obstacle = try DeletionGuard(reader).obstacle(toRelay: fixture, in: record, ignoring: gone)
            guard allows([obstacle?.clause].compactMap(\.self), "relay", title) else { return }
        }
        try writer?.deleteFixture(fixture.id, of: site.id)
        try notePart(.delete, fixture.kind.rawValue, title, id: fixture.id, of: site)
    }

    private mutating func pruneApps(of dealer: FleetDealer) throws {
        guard let listed = dealer.apps, let dealerID = names.dealers[dealer.name] else { return }
        for app in listed {
            guard app.endpoints != nil, let id = names.apps[app.place.path] else { continue }
            try pruneEndpoints(of: .app(id, of: dealerID), named: "\(dealer.name) / \(app.name)", at: app.place)
        }
        let kept = Set(listed.map(\.name))
        for app in try reader.allPages({ try reader.apps(within: .dealer(dealerID), page: $0) })
        where !kept.contains(app.name) {
            let title = "\(dealer.name) / \(app.name)"
            guard allows(try DeletionGuard(reader).obstacles(to: app), "app", title) else { continue }
            note(.delete, "app", title)
            outcome.touchedEndpoints.formUnion(try reader.endpoints(of: .app(app.id, of: dealerID)).map(\.id))
            outcome.touchedApps.insert(app.id)
            try writer?.deleteApp(app.id)
            try auditDeletion("app", title, id: app.id.text, dealer: dealerID)
        }
    }

    private mutating func pruneEndpoints(of owner: EndpointOwner, named title: String, at place: Place) throws {
        for endpoint in try reader.endpoints(of: owner) where !names.endpoints.contains(endpoint.id) {
            let name = "\(title) / \(endpoint.url)"
            guard allows(try DeletionGuard(reader).obstacles(to: endpoint), "endpoint", name) else { continue }
            note(.delete, "endpoint", name)
            outcome.touchedEndpoints.insert(endpoint.id)
            try writer?.deleteEndpoint(endpoint.id)
            try auditDeletion("endpoint", name, id: endpoint.id.text, dealer: owner.dealerID)
        }
    }

    private mutating func prunePartners(ignoring deleted: Set<SiteID>) throws {
        let kept = Set(names.partners.values.map(\.id))
        for partner in try reader.allPages({ try reader.partners(within: .platform, page: $0) })
        where !kept.contains(partner.id) {
            let obstacles = try DeletionGuard(reader).obstacles(to: partner, ignoring: deleted)
            guard allows(obstacles, "partner", partner.name) else { continue }
            note(.delete, "partner", partner.name)
            outcome.touchedEndpoints.formUnion(try reader.endpoints(of: .partner(partner.id)).map(\.id))
            outcome.touchedPartners.insert(partner.id)
            try writer?.deletePartner(partner.id)
            try auditDeletion("partner", partner.name, id: partner.id.text, dealer: nil)
        }
    }

    private mutating func pruneDealers(ignoring deleted: Set<SiteID>) throws {
        let kept = Set(names.dealers.values)
        for dealer in try reader.allPages({ try reader.dealers(within: .platform, page: $0) })
        where !kept.contains(dealer.id) {
            let reasons = try DeletionGuard(reader).obstacles(to: dealer, ignoring: deleted)
                .map { "has \($0.holder), which \($0.obstacle.clause)" }
            guard allows(reasons, "dealer", dealer.name) else { continue }
            note(.delete, "dealer", dealer.name)
            let apps = try reader.allPages { try reader.apps(within: .dealer(dealer.id), page: $0) }
            for app in apps {
                let endpoints = try reader.endpoints(of: .app(app.id, of: dealer.id))
                outcome.touchedEndpoints.formUnion(endpoints.map(\.id))
            }
            outcome.deletedDealers.insert(dealer.id)
            try writer?.deleteDealer(dealer.id)
            try auditDeletion("dealer", dealer.name, id: dealer.id.text, dealer: nil)
        }
    }

    private func auditDeletion(_ noun: String, _ title: String, id: String, dealer: DealerID?) throws {
        try audit(
            "\(noun).delete",
            dealer: dealer,
            target: id,
            "the fleet file leaves out \(title), and was applied with pruning"
        )
    }
}
