import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let tenantCases = [
        LedgerCase("tenants are stored, changed and found by name and credential", tenantsRoundTrip),
        LedgerCase("names and client ids are unique", uniqueNames),
        LedgerCase("links are made once and taken back", links),
        LedgerCase("pages of a list show every item once", pages),
        LedgerCase("deleting a dealer takes everything of its own", deletingDealer),
        LedgerCase("deleting a partner takes its sites and endpoints", deletingPartner),
    ]

    static let tenancyCases = [
        LedgerCase("a dealer sees nothing of another dealer", dealersAreApart),
        LedgerCase("a partner sees its own sites and its linked dealers alone", partnersAreApart),
    ]

    private static func tenantsRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var dealer = world.dealer
        dealer.name = "Acme & Sons"
        var partner = world.partner
        partner.isRevoked = true
        partner.jwks = "{}"
        partner.tier = .pro
        let token = AdminToken(
            id: world.random.id(at: LedgerWorld.start),
            name: "ops",
            hash: "abc",
            dealerID: dealer.id,
            createdAt: LedgerWorld.start
        )
        var revoked = token
        revoked.isRevoked = true
        try await ledger.write { [dealer, partner] transaction in
            try transaction.update(dealer)
            try transaction.update(partner)
            try transaction.insert(token)
        }
        try await ledger.read { [dealer, partner] reader in
            try expectEqual(try reader.dealer(dealer.id, within: .platform), dealer)
            try expectEqual(try reader.dealer(named: "Acme & Sons", within: .platform), dealer)
            try expectEqual(try reader.dealer(named: "Acme", within: .platform), nil)
            try expectEqual(try reader.partner(partner.id, within: .platform), partner)
            try expectEqual(try reader.partner(named: partner.name, within: .platform), partner)
            try expectEqual(try reader.partner(authenticatingAs: partner.clientID), partner)
            try expectEqual(try reader.partner(authenticatingAs: "nobody"), nil)
            try expectEqual(try reader.adminToken(hash: "abc"), token)
            try expectEqual(try reader.adminToken(hash: "abd"), nil)
            try expectEqual(try reader.adminTokens(within: .dealer(dealer.id)), [token])
        }
        try await ledger.write { [revoked] in try $0.update(revoked) }
        try expectEqual(try await ledger.read { try $0.adminTokens(within: .platform) }, [revoked])
    }

    private static func uniqueNames(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        try await expectRefusal(.duplicate, "name") {
            try await ledger.write {
                try $0.insert(Dealer(id: world.random.id(at: start), name: "Acme", createdAt: start))
            }
        }
        var partner = world.partner
        partner.id = world.random.id(at: start)
        partner.name = "Other"
        try await expectRefusal(.duplicate, "client_id") { [partner] in
            try await ledger.write { try $0.insert(partner) }
        }
        partner.clientID = "other"
        partner.name = world.partner.name
        try await expectRefusal(.duplicate, "name") { [partner] in try await ledger.write { try $0.insert(partner) } }
        var app = world.app
        app.id = world.random.id(at: start)
        try await expectRefusal(.duplicate, "name") { [app] in try await ledger.write { try $0.insert(app) } }
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        app.dealerID = other.dealer.id
        app.name = "own"
        try await ledger.write { [app] in try $0.insert(app) }
        try await expectRefusal(.invalid) { [app] in
            var stray = app
            stray.id = world.random.id(at: start)
            stray.dealerID = DealerID(stored: "dlr_none")
            try await ledger.write { [stray] in try $0.insert(stray) }
        }
    }

    private static func links(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let (dealer, partner) = (world.dealer.id, world.partner.id)
        try await ledger.write { try $0.link(dealer, to: partner) }
        try await ledger.read { reader in
            try expect(try reader.isLinked(dealer, to: partner), "not linked")
            try expectEqual(try reader.linkedPartners(of: dealer), [partner])
            try expectEqual(try reader.linkedDealers(of: partner), [dealer])
        }
        try await ledger.write { try $0.unlink(dealer, from: partner) }
        try await ledger.read { reader in
            try expect(try !reader.isLinked(dealer, to: partner), "still linked")
            try expectEqual(try reader.linkedPartners(of: dealer), [])
            try expectEqual(try reader.dealer(dealer, within: .partner(partner)), nil)
        }
    }

    private static func pages(_ ledger: any Ledger) async throws {
        let start = LedgerWorld.start
        try await ledger.write { transaction in
            for number in 0..<7 {
                let id = DealerID(stored: "dlr_\(number)")
                try transaction.insert(Dealer(id: id, name: "Dealer \(number)", createdAt: start))
            }
        }
        var seen: [String] = []
        var after: String?
        var pages = 0
        repeat {
            let page = try await ledger.read { [after] in
                try $0.dealers(within: .platform, page: PageRequest(limit: 3, after: after))
            }
            try expect(page.items.count <= 3, "a page is too long")
            seen += page.items.map(\.name)
            after = page.next
            pages += 1
        } while after != nil && pages < 10
        try expectEqual(seen, (0..<7).map { "Dealer \($0)" })
        try expectEqual(pages, 3)
        let none = try await ledger.read { try $0.dealers(within: .dealer(DealerID(stored: "dlr_x")), page: .init()) }
        try expectEqual(none.items, [])
        try expectEqual(none.next, nil)
    }

    private static func deletingDealer(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        let apps = try await world.addEndpoint()
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        _ = try await ledger.commit([other.decision(version: 1)])
        try await ledger.record(
            DeliveryBatch(
                attempts: [attempt(event, to: apps.id)],
                exceptions: [exception(event, to: partners.id, .retrying)]
            )
        )

        try await ledger.write { try $0.deleteDealer(world.dealer.id) }

        try await ledger.read { reader in
            try expectEqual(try reader.dealer(world.dealer.id, within: .platform), nil)
            try expectEqual(try reader.site(world.site.id, within: .platform), nil)
            try expectEqual(try reader.app(world.app.id, within: .platform), nil)
            try expectEqual(try reader.endpoint(apps.id, within: .platform), nil)
            try expectEqual(try reader.secrets(of: apps.id), [])
            try expectEqual(try reader.event(event.id, within: .platform), nil)
            try expectEqual(try reader.endpoint(partners.id, within: .platform), partners)
            try expectEqual(try reader.cursors(of: partners.id), [])
            try expectEqual(try reader.nextDue(of: partners.id), nil)
            try expectEqual(try reader.verify(), [])
        }
        try await ledger.clearRemains(limit: 100)
        try await ledger.read { reader in
            let counts = try reader.counts()
            try expectEqual(counts["event"], 2)
            try expectEqual(counts["delivery_attempt"], 0)
            try expectEqual(counts["exceptional_delivery"], 0)
            try expectEqual(try reader.verify(), [])
        }
    }

    private static func deletingPartner(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let own = try await world.addSite("Depot", ofPartner: false)
        let endpoint = try await world.addEndpoint(.partner(world.partner.id))
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        try await ledger.record(DeliveryBatch(exceptions: [exception(event, to: endpoint.id, .retrying)]))

        try await ledger.write { try $0.deletePartner(world.partner.id) }

        try await ledger.read { reader in
            try expectEqual(try reader.partner(world.partner.id, within: .platform), nil)
            try expectEqual(try reader.site(world.site.id, within: .platform), nil)
            try expectEqual(try reader.site(own.site.id, within: .platform), own.site)
            try expectEqual(try reader.endpoint(endpoint.id, within: .platform), nil)
            try expectEqual(try reader.lastSequence(of: world.dealer.id), 2)
            try expectEqual(try reader.verify(), [])
        }
        try await ledger.clearRemains(limit: 100)
        try expectEqual(try await ledger.read { try $0.counts()["exceptional_delivery"] }, 0)
    }

    private static func dealersAreApart(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let endpoint = try await world.addEndpoint()
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        let zone = Fixture(
            id: "zone_1",
            siteID: world.site.id,
            kind: .zone,
            number: 5,
            name: "Back Door",
            settings: [:]
        )
        try await ledger.record(DeliveryBatch(attempts: [attempt(event, to: endpoint.id)]))
        try await ledger.write { transaction in
            try transaction.insert(zone)
            try transaction.unlink(other.dealer.id, from: other.partner.id)
        }

        try await ledger.read { reader in
            for (reach, sees) in [
                (Reach.dealer(world.dealer.id), true), (.dealer(other.dealer.id), false), (.platform, true),
            ] {
                try expectEqual(try reader.dealer(world.dealer.id, within: reach) != nil, sees)
                try expectEqual(try reader.dealer(named: "Acme", within: reach) != nil, sees)
                try expectEqual(try reader.partner(world.partner.id, within: reach) != nil, sees)
                try expectEqual(try reader.partner(named: world.partner.name, within: reach) != nil, sees)
                try expectEqual(try reader.site(world.site.id, within: reach) != nil, sees)
                try expectEqual(
                    try reader.site(named: world.site.name, of: world.dealer.id, within: reach) != nil,
                    sees
                )
                try expectEqual(try reader.siteRecord(world.site.id, within: reach) != nil, sees)
                try expectEqual(try reader.fixtures(of: world.site.id, kind: .zone, within: reach), sees ? [zone] : [])
                try expectEqual(try reader.fixture(zone.id, kind: .zone, within: reach) != nil, sees)
                try expectEqual(try reader.app(world.app.id, within: reach) != nil, sees)
                try expectEqual(try reader.endpoint(endpoint.id, within: reach) != nil, sees)
                let suffix = DeliveryID(of: event.id, to: endpoint.id).endpointSuffix
                try expectEqual(try reader.endpoint(suffix: suffix, within: reach) != nil, sees)
                try expectEqual(try reader.event(event.id, within: reach) != nil, sees)
                try expectEqual(
                    try reader.deliveries(within: reach, filter: .init(), page: .init()).items.count,
                    sees ? 1 : 0
                )
                let audit = try reader.audit(within: reach, filter: .init(siteID: world.site.id), page: .init())
                try expectEqual(audit.items.count, sees ? 1 : 0)
            }
            let sites = try reader.sites(within: .dealer(other.dealer.id), filter: .init(), page: .init())
            try expectEqual(sites.items.map(\.id), [other.site.id])
            let asked = SiteFilter(dealerID: world.dealer.id)
            try expectEqual(try reader.sites(within: .dealer(other.dealer.id), filter: asked, page: .init()).items, [])
            try expectEqual(try reader.apps(within: .dealer(other.dealer.id), page: .init()).items, [other.app])
            try expectEqual(try reader.dealers(within: .dealer(other.dealer.id), page: .init()).items, [other.dealer])
            try expectEqual(try reader.partners(within: .dealer(other.dealer.id), page: .init()).items, [])
        }
    }

    private static func partnersAreApart(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let own = try await world.addSite("Depot", ofPartner: false)
        let endpoint = try await world.addEndpoint(.partner(world.partner.id))
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        let mine = Reach.partner(world.partner.id)
        let others = Reach.partner(other.partner.id)

        try await ledger.read { reader in
            try expectEqual(try reader.dealers(within: mine, page: .init()).items, [world.dealer])
            try expectEqual(try reader.partners(within: mine, page: .init()).items, [world.partner])
            try expectEqual(try reader.sites(within: mine, filter: .init(), page: .init()).items, [world.site])
            let byExternal = SiteFilter(externalID: world.site.externalID)
            try expectEqual(try reader.sites(within: mine, filter: byExternal, page: .init()).items, [world.site])
            try expectEqual(try reader.sites(within: .platform, filter: byExternal, page: .init()).items.count, 2)
            let byPartner = SiteFilter(partnerID: world.partner.id)
            try expectEqual(try reader.sites(within: others, filter: byPartner, page: .init()).items, [])
            try expectEqual(try reader.site(own.site.id, within: mine), nil)
            try expectEqual(try reader.siteRecord(own.site.id, within: mine), nil)
            try expectEqual(try reader.apps(within: mine, page: .init()).items, [])
            try expectEqual(try reader.app(world.app.id, within: mine), nil)
            try expectEqual(try reader.adminTokens(within: mine), [])
            try expectEqual(try reader.endpoint(endpoint.id, within: mine), endpoint)
            try expectEqual(try reader.endpoint(endpoint.id, within: others), nil)
            try expectEqual(try reader.endpoint(endpoint.id, within: .dealer(world.dealer.id)), nil)
            try expectEqual(try reader.event(event.id, within: mine)?.id, event.id)
            try expectEqual(try reader.event(event.id, within: others), nil)
            try expectEqual(try reader.site(world.site.id, within: others), nil)
            try expectEqual(try reader.dealer(world.dealer.id, within: others), nil)
            try expectEqual(try reader.partner(world.partner.id, within: others), nil)
            try expectEqual(try reader.audit(within: others, filter: .init(), page: .init()).items.count, 0)
            try expectEqual(try reader.audit(within: mine, filter: .init(), page: .init()).items.count, 1)
        }
    }
}
