import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

extension LedgerConformance {
    static let appCases = [
        LedgerCase("apps and their keys are stored and found by the key's hash", appsRoundTrip),
        LedgerCase("of two lives of a key the shorter wins", expiringKeys),
        LedgerCase("deleting an app takes its keys and endpoints", deletingApp),
    ]

    static let endpointCases = [
        LedgerCase("endpoints are stored with all their settings", endpointsRoundTrip),
        LedgerCase("all endpoints are listed in pages by id", allEndpoints),
        LedgerCase("secrets are listed oldest first and expire", expiringSecrets),
        LedgerCase("an app's endpoint starts at the end of the log", appCursorStartsAtEnd),
        LedgerCase("a partner's endpoint follows each of its dealers from when it became one", partnerCursors),
        LedgerCase("a cursor moves back only when it is set", cursorMoves),
        LedgerCase("a standing is recorded and an endpoint that is gone is ignored", standings),
    ]

    private static func appsRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var app = world.app
        app.name = "nightly"
        app.scopes = [.sitesRead, .eventsRead]
        app.ipAllowList = ["10.0.0.0/8", "2001:db8::1"]
        app.isRevoked = true
        app.tier = .free
        let key = AppKey(appID: app.id, hash: "h1", expiresAt: LedgerWorld.start)
        try await ledger.write { [app] transaction in
            try transaction.update(app)
            try transaction.insert(key)
        }
        try await ledger.read { [app] reader in
            try expectEqual(try reader.app(app.id, within: .platform), app)
            try expectEqual(try reader.app(named: "nightly", of: app.dealerID), app)
            try expectEqual(try reader.app(named: "reports", of: app.dealerID), nil)
            let found = try require(try reader.app(authenticatingWith: "h1"))
            try expectEqual(found.app, app)
            try expectEqual(found.key, key)
            try expect(try reader.app(authenticatingWith: "h2") == nil, "an unknown key was found")
        }
    }

    private static func expiringKeys(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let start = LedgerWorld.start
        try await ledger.write { transaction in
            try transaction.insert(AppKey(appID: world.app.id, hash: "old", expiresAt: start + .seconds(5)))
            try transaction.insert(AppKey(appID: world.app.id, hash: "present"))
            try transaction.insert(AppKey(appID: world.app.id, hash: "new"))
            try transaction.expireKeys(of: world.app.id, except: "new", at: start + .seconds(60))
        }
        func expiry(_ hash: String) async throws -> Instant? {
            try await ledger.read { try $0.app(authenticatingWith: hash)?.key.expiresAt }
        }
        try expectEqual(try await expiry("old"), start + .seconds(5))
        try expectEqual(try await expiry("present"), start + .seconds(60))
        try expectEqual(try await expiry("new"), nil)
        try await ledger.write { try $0.expireKeys(of: world.app.id, except: nil, at: start) }
        for hash in ["old", "present", "new"] { try expectEqual(try await expiry(hash), start) }
    }

    private static func deletingApp(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        try await ledger.record(
            DeliveryBatch(
                attempts: [attempt(event, to: endpoint.id)],
                exceptions: [exception(event, to: endpoint.id, .dead)]
            )
        )
        try await ledger.write { transaction in
            try transaction.insert(AppKey(appID: world.app.id, hash: "h1"))
            try transaction.deleteApp(world.app.id)
        }
        try await ledger.read { reader in
            try expect(try reader.app(authenticatingWith: "h1") == nil, "the key is still there")
            try expectEqual(try reader.endpoint(endpoint.id, within: .platform), nil)
            try expectEqual(try reader.secrets(of: endpoint.id), [])
            try expectEqual(try reader.cursors(of: endpoint.id), [])
            try expectEqual(try reader.attempts(of: event.position, to: endpoint.id), [])
            try expectEqual(try reader.deadCount(of: endpoint.id), 0)
            try expectEqual(try reader.verify(), [])
        }
    }

    /// Told with the endpoint where it asks for `v1a`, newest first.
    private static func publicKeysRoundTrip(_ ledger: any Ledger, _ endpoint: Endpoint) async throws {
        let start = LedgerWorld.start
        let secrets = [("whpk_1", start + .seconds(9)), ("whpk_2", nil)].enumerated().map { index, key in
            EndpointSecret(
                endpointID: endpoint.id,
                sealed: [UInt8(index)],
                createdAt: start + .seconds(Int64(index)),
                expiresAt: key.1,
                publicKey: key.0
            )
        }
        var wanted = endpoint
        wanted.signature = .v1a
        wanted.clientCertificate = nil
        try await ledger.write { [wanted] transaction in
            for secret in secrets { try transaction.insert(secret) }
            try transaction.update(wanted)
        }
        wanted.publicKeys = [
            EndpointPublicKey(text: "whpk_2"), EndpointPublicKey(text: "whpk_1", expiresAt: start + .seconds(9)),
        ]
        try await ledger.read { [wanted] reader in
            try expectEqual(try reader.endpoint(endpoint.id, within: .platform), wanted)
            try expectEqual(Array(try reader.secrets(of: endpoint.id).suffix(2)), secrets)
        }
    }

    private static func endpointsRoundTrip(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var endpoint = try await world.addEndpoint()
        let partners = try await world.addEndpoint(.partner(world.partner.id))
        try expectEqual(
            try await ledger.read { [endpoint] in try $0.endpoint(endpoint.id, within: .platform) },
            endpoint
        )
        endpoint.url = "https://example.test/other"
        endpoint.events = [.alarmCreated]
        endpoint.ordering = .site
        endpoint.sealedHeaders = ["x-key": [1, 2], "x-empty": []]
        endpoint.clientCertificate = ClientCertificate(sealed: [3], fingerprint: "f", expiresAt: LedgerWorld.start)
        endpoint.concurrency = 3
        endpoint.ratePerSecond = 9
        endpoint.retrySchedule = [30, 5, 60]
        endpoint.isEnabled = false
        endpoint.disabledReason = "gone"
        endpoint.failingSince = LedgerWorld.start
        try await ledger.write { [endpoint] in try $0.update(endpoint) }
        try await ledger.read { [endpoint] reader in
            try expectEqual(try reader.endpoint(endpoint.id, within: .dealer(world.dealer.id)), endpoint)
            try expectEqual(try reader.endpoints(of: .app(world.app.id, of: world.dealer.id)), [endpoint])
            try expectEqual(try reader.endpoints(of: .partner(world.partner.id)), [partners])
            let suffix = String(partners.id.text.suffix(16))
            try expectEqual(try reader.endpoint(suffix: suffix, within: .partner(world.partner.id)), partners)
        }
        try await publicKeysRoundTrip(ledger, endpoint)
        try await ledger.write { [endpoint] in try $0.deleteEndpoint(endpoint.id) }
        try expectEqual(try await ledger.read { try $0.endpoints(of: .app(world.app.id, of: world.dealer.id)) }, [])
    }

    private static func allEndpoints(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var made: [EndpointID] = []
        for number in 0..<5 {
            made.append(try await world.addEndpoint(number % 2 == 0 ? nil : .partner(world.partner.id)).id)
        }
        var listed: [EndpointID] = []
        while listed.count < 10 {
            let page = try await ledger.read { [last = listed.last] in try $0.allEndpoints(after: last, limit: 2) }
            if page.isEmpty { break }
            listed += page.map(\.id)
        }
        try expectEqual(listed, made.sorted())
    }

    private static func expiringSecrets(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        let start = LedgerWorld.start
        try await ledger.write { transaction in
            try transaction.insert(LedgerWorld.secret(of: endpoint, madeAt: start + .seconds(10)))
            try transaction.expireSecrets(of: endpoint, madeBefore: start + .seconds(10), at: start + .seconds(60))
        }
        var secrets = try await ledger.read { try $0.secrets(of: endpoint) }
        try expectEqual(secrets.map(\.createdAt), [start, start + .seconds(10)])
        try expectEqual(secrets.map(\.expiresAt), [start + .seconds(60), nil])
        try await ledger.write {
            try $0.expireSecrets(of: endpoint, madeBefore: start + .seconds(11), at: start + .seconds(90))
        }
        secrets = try await ledger.read { try $0.secrets(of: endpoint) }
        try expectEqual(secrets.map(\.expiresAt), [start + .seconds(60), start + .seconds(90)])
    }

    private static func appCursorStartsAtEnd(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        _ = try await ledger.commit([world.decision(version: 1)])
        let endpoint = try await world.addEndpoint()
        _ = try await ledger.commit([world.decision(version: 2)])
        let cursors = try await ledger.read { try $0.cursors(of: endpoint.id) }
        try expectEqual(cursors, [EventPosition(dealerID: world.dealer.id, sequence: 2)])
    }

    private static func partnerCursors(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let linkedLater = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let siteLater = try await LedgerWorld.make(in: ledger, name: "Cord")
        _ = try await ledger.commit([world.decision(version: 1)])
        let endpoint = try await world.addEndpoint(.partner(world.partner.id)).id
        func cursors() async throws -> [DealerID: Int64] {
            let positions = try await ledger.read { try $0.cursors(of: endpoint) }
            return Dictionary(uniqueKeysWithValues: positions.map { ($0.dealerID, $0.sequence) })
        }
        try expectEqual(try await cursors(), [world.dealer.id: 2])

        _ = try await ledger.commit([linkedLater.decision(version: 1)])
        try await ledger.write { try $0.link(linkedLater.dealer.id, to: world.partner.id) }
        try expectEqual(try await cursors(), [world.dealer.id: 2, linkedLater.dealer.id: 2])

        _ = try await ledger.commit([siteLater.decision(version: 1), world.decision(version: 2)])
        var site = siteLater.site
        site.id = world.random.id(at: LedgerWorld.start)
        site.partnerID = world.partner.id
        site.name = "another"
        site.externalID = nil
        try await ledger.write { [site] transaction in
            try transaction.insert(site, partitions: [])
            try transaction.link(world.dealer.id, to: world.partner.id)
        }
        let expected = [world.dealer.id: 2, linkedLater.dealer.id: 2, siteLater.dealer.id: 2] as [DealerID: Int64]
        try expectEqual(try await cursors(), expected)
        let second = try await world.addEndpoint(.partner(world.partner.id)).id
        let all = try await ledger.read { try $0.cursors(of: second) }
        try expectEqual(Set(all.map(\.dealerID)), Set(expected.keys))
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func cursorMoves(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint().id
        for version: Int64 in 1...3 { _ = try await ledger.commit([world.decision(version: version)]) }
        func record(_ sequence: Int64) async throws -> Int64? {
            let cursor = EndpointCursor(
                endpointID: endpoint,
                position: EventPosition(dealerID: world.dealer.id, sequence: sequence)
            )
            try await ledger.record(DeliveryBatch(cursors: [cursor]))
            return try await ledger.read { try $0.cursors(of: endpoint).first?.sequence }
        }
        try expectEqual(try await record(4), 4)
        try expectEqual(try await record(3), 4)
        try expectEqual(try await record(5), 5)
        for sequence: Int64 in [1, 6] {
            let position = EventPosition(dealerID: world.dealer.id, sequence: sequence)
            try await ledger.write { try $0.setCursor(EndpointCursor(endpointID: endpoint, position: position)) }
            try expectEqual(try await ledger.read { try $0.cursors(of: endpoint) }, [position])
        }
    }

    private static func standings(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let endpoint = try await world.addEndpoint()
        let gone = try await world.addEndpoint()
        let event = try require(try await ledger.commit([world.decision(version: 1)]).first?.events?.first)
        try await ledger.write { try $0.deleteEndpoint(gone.id) }
        let batch = DeliveryBatch(
            attempts: [attempt(event, to: endpoint.id), attempt(event, to: gone.id)],
            exceptions: [exception(event, to: gone.id, .retrying)],
            cursors: [EndpointCursor(endpointID: gone.id, position: event.position)],
            standings: [endpoint.id, gone.id].map {
                EndpointStanding(endpointID: $0, failingSince: LedgerWorld.start)
            }
        )
        try await ledger.record(batch)
        let stored = try require(try await ledger.read { try $0.endpoint(endpoint.id, within: .platform) })
        try expectEqual(stored.isEnabled, true)
        try expectEqual(stored.failingSince, LedgerWorld.start)
        let counts = try await ledger.read { try $0.counts() }
        try expectEqual(counts["delivery_attempt"], 1)
        try expectEqual(counts["exceptional_delivery"], 0)
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }
}
