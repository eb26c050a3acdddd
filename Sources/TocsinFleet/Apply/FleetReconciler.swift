import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What an application of a file is asked to do beside making and changing things.
package struct FleetOptions: Hashable, Sendable {
    /// Tells the difference and changes nothing.
    package var isDryRun: Bool
    /// Deletes what a list of the file leaves out.
    package var prunes: Bool
    /// Deletes even what is armed, in alarm or has undelivered events.
    package var forces: Bool

    package init(isDryRun: Bool = false, prunes: Bool = false, forces: Bool = false) {
        self.isDryRun = isDryRun
        self.prunes = prunes
        self.forces = forces
    }
}

/// Who applies a file, for the audit log.
package struct FleetOrigin: Sendable {
    package var actor: AuditEntry.Actor
    package var requestID: String?
    package var traceID: String?
    package var address: String?

    package init(
        actor: AuditEntry.Actor,
        requestID: String? = nil,
        traceID: String? = nil,
        address: String? = nil
    ) {
        self.actor = actor
        self.requestID = requestID
        self.traceID = traceID
        self.address = address
    }
}

/// What the reconciler needs beside the file and the ledger.
struct FleetContext: Sendable {
    var now: Instant
    var randomness: any Randomness
    var vault: Vault
    var checkURL: @Sendable (String) -> String?
    var options: FleetOptions
    var origin: FleetOrigin
}

/// Ids that later parts of a file refer to by name.
struct FleetNames: Sendable {
    var dealers: [String: DealerID] = [:]
    var partners: [String: (id: PartnerID, model: ArmingModel)] = [:]
    /// Links of dealers to partners that are known to exist.
    var links: Set<Link> = []
    /// What the file names, by its path in the file, for pruning.
    var apps: [String: AppID] = [:]
    var sites: [String: SiteID] = [:]
    var endpoints: Set<EndpointID> = []

    struct Link: Hashable {
        var dealer: DealerID
        var partner: PartnerID
    }
}

/// Compares the file with the ledger, thing by thing, and makes the ledger match.
///
/// Without a writer it only tells what it would do, and notes every problem; with one it runs inside a transaction. It may
/// run more than once for the same transaction and has no effect but through it.
struct FleetReconciler {
    let reader: any LedgerReader
    let writer: (any LedgerTransaction)?
    let context: FleetContext
    var names = FleetNames()
    var problems = ProblemList()
    var refusals = ProblemList()
    var outcome: FleetOutcome
    /// The site that is being made: its parts need no word of their own in the audit log.
    var freshSite: SiteID?
    /// The profile that the site had before the file.
    var formerProfile = ComplianceProfile.none
    /// The secrets that were drawn for relays of the site that is being applied, by the relays' ids.
    var relaySecrets: [String: String] = [:]

    init(reader: any LedgerReader, writer: (any LedgerTransaction)?, context: FleetContext, names: FleetNames) {
        self.reader = reader
        self.writer = writer
        self.context = context
        self.names = names
        outcome = FleetOutcome(isDryRun: writer == nil)
    }

    /// Throws what was noted, so that a transaction keeps nothing.
    func throwProblems() throws(FleetError) {
        if let error = problems.error() { throw error }
        if let error = refusals.error(.refused) { throw error }
    }

    // MARK: - Dealers and apps

    mutating func apply(_ dealer: FleetDealer) throws {
        let existing = try reader.dealer(named: dealer.name, within: .platform)
        let id = existing?.id ?? DealerID(drawnBy: context)
        let resolves = dealer.autoResolvesCancelled
        if var known = existing, let resolves, resolves != known.autoResolvesCancelled {
            let changed = ["auto_resolve_cancelled"]
            known.autoResolvesCancelled = resolves
            note(.update, "dealer", dealer.name, members: changed)
            try writer?.update(known)
            try audit("dealer.update", dealer: id, target: id.text, changes(changed, of: dealer.name))
        } else if existing == nil {
            note(.create, "dealer", dealer.name)
            try writer?.insert(
                Dealer(
                    id: id,
                    name: dealer.name,
                    createdAt: context.now,
                    autoResolvesCancelled: resolves ?? false
                )
            )
            try audit("dealer.create", dealer: id, target: id.text, "the fleet file names \(dealer.name)")
        }
        names.dealers[dealer.name] = id
        outcome.result.dealers.append(.init(name: dealer.name, dealerID: id))
        try applyHolidays(dealer, id: id, isNew: existing == nil)
        for app in dealer.apps ?? [] { try apply(app, of: id, named: dealer.name) }
    }

    /// Sets the dealer's holidays as a whole, where the file names any or none.
    private mutating func applyHolidays(_ dealer: FleetDealer, id: DealerID, isNew: Bool) throws {
        guard let wanted = dealer.holidays else { return }
        guard try wanted != (isNew ? [] : reader.holidays(of: id)) else { return }
        if !isNew { note(.update, "dealer", dealer.name, members: ["holidays"]) }
        try writer?.setHolidays(wanted, of: id)
        if !isNew {
            try audit("dealer.set_holidays", dealer: id, target: id.text, changes(["holidays"], of: dealer.name))
        }
    }

    private mutating func apply(_ wanted: FleetApp, of dealer: DealerID, named dealerName: String) throws {
        let title = "\(dealerName) / \(wanted.name)"
        var result: FleetResult.AppResult
        if let existing = try reader.app(named: wanted.name, of: dealer) {
            var app = existing
            app.scopes = wanted.scopes
            app.ipAllowList = wanted.ipAllowList ?? app.ipAllowList
            app.tier = wanted.tier ?? app.tier
            let changed = [
                app.scopes == existing.scopes ? nil : "scopes",
                app.ipAllowList == existing.ipAllowList ? nil : "ip_allow_list",
                app.tier == existing.tier ? nil : "tier",
            ].compactMap(\.self)
            if app.isRevoked { warn(wanted.place, "this app is revoked and stays so") }
            if !changed.isEmpty {
                note(.update, "app", title, members: changed)
                outcome.touchedApps.insert(app.id)
                try writer?.update(app)
                try audit("app.update", dealer: dealer, target: app.id.text, changes(changed, of: wanted.name))
            }
            result = .init(name: wanted.name, appID: existing.id, apiKey: nil, endpoints: [])
        } else {
            let id = AppID(drawnBy: context)
            let key = Credentials.apiKey(context.randomness)
            note(.create, "app", title)
            try writer?.insert(
                App(
                    id: id,
                    dealerID: dealer,
                    name: wanted.name,
                    scopes: wanted.scopes,
                    ipAllowList: wanted.ipAllowList ?? [],
                    tier: wanted.tier ?? .unlimited,
                    createdAt: context.now
                )
            )
            try writer?.insert(AppKey(appID: id, hash: credentialHash(key)))
            try audit("app.create", dealer: dealer, target: id.text, "the fleet file names \(wanted.name)")
            result = .init(name: wanted.name, appID: id, apiKey: key, endpoints: [])
        }
        names.apps[wanted.place.path] = result.appID
        warnOfScopes(wanted)
        result.endpoints = try apply(wanted.endpoints ?? [], of: .app(result.appID, of: dealer), named: title)
        outcome.result.apps.append(result)
    }

    /// A subscription whose scope the app does not hold is kept, and nothing is delivered under it.
    private mutating func warnOfScopes(_ app: FleetApp) {
        for endpoint in app.endpoints ?? [] {
            let missing = Set(endpoint.events.compactMap(\.requiredScope)).subtracting(app.scopes)
            for scope in missing.map(\.rawValue).sorted() {
                warn(endpoint.place, "some of its events need the scope \(scope), which the app does not hold")
            }
        }
    }

    // MARK: - Partners

    mutating func apply(_ wanted: FleetPartner) throws {
        var result: FleetResult.PartnerResult
        if let existing = try reader.partner(named: wanted.name, within: .platform) {
            if existing.armingModel != wanted.armingModel {
                problems.add(
                    wanted.place.member("arming_model"),
                    "the partner’s model is \(existing.armingModel.rawValue) and locked; a change needs a new certification"
                )
            }
            var partner = existing
            partner.jwks = wanted.jwks ?? partner.jwks
            partner.tier = wanted.tier ?? partner.tier
            let changed = [
                partner.jwks == existing.jwks ? nil : "jwks",
                partner.tier == existing.tier ? nil : "tier",
            ].compactMap(\.self)
            if partner.isRevoked { warn(wanted.place, "this partner is revoked and stays so") }
            if !changed.isEmpty {
                note(.update, "partner", wanted.name, members: changed)
                outcome.touchedPartners.insert(partner.id)
                try writer?.update(partner)
                try audit("partner.update", dealer: nil, target: partner.id.text, changes(changed, of: wanted.name))
            }
            result = .init(
                name: wanted.name,
                partnerID: existing.id,
                clientID: existing.clientID,
                clientSecret: nil,
                endpoints: []
            )
        } else {
            result = try makePartner(wanted)
        }
        names.partners[wanted.name] = (result.partnerID, wanted.armingModel)
        result.endpoints = try apply(wanted.endpoints ?? [], of: .partner(result.partnerID), named: wanted.name)
        outcome.result.partners.append(result)
    }

    private mutating func makePartner(_ wanted: FleetPartner) throws -> FleetResult.PartnerResult {
        let secret = Credentials.clientSecret(context.randomness)
        let partner = Partner(
            id: PartnerID(drawnBy: context),
            name: wanted.name,
            armingModel: wanted.armingModel,
            clientID: Credentials.clientID(context.randomness),
            clientSecretHash: credentialHash(secret),
            jwks: wanted.jwks,
            tier: wanted.tier ?? .unlimited,
            createdAt: context.now
        )
        note(.create, "partner", wanted.name)
        try writer?.insert(partner)
        try audit("partner.create", dealer: nil, target: partner.id.text, "the fleet file names \(wanted.name)")
        return .init(
            name: wanted.name,
            partnerID: partner.id,
            clientID: partner.clientID,
            clientSecret: secret,
            endpoints: []
        )
    }

    // MARK: - What every part notes

    mutating func note(_ action: FleetChange.Action, _ kind: String, _ name: String, members: [String] = []) {
        outcome.changes.append(FleetChange(action, kind, name, members: members))
    }

    mutating func warn(_ place: Place, _ message: String) { outcome.warnings.append(FleetProblem(place, message)) }

    func changes(_ members: [String], of name: String) -> String {
        "the fleet file changes \(members.joined(separator: ", ")) of \(name)"
    }

    func audit(
        _ action: String,
        dealer: DealerID?,
        site: SiteID? = nil,
        target: String,
        _ explanation: String
    ) throws {
        try writer?.append(
            AuditEntry(
                at: context.now,
                dealerID: dealer,
                siteID: site,
                actor: context.origin.actor,
                action: action,
                target: target,
                explanation: explanation,
                cause: "fleet",
                requestID: context.origin.requestID,
                traceID: context.origin.traceID,
                address: context.origin.address
            )
        )
    }
}

extension ID {
    /// A fresh id.
    init(drawnBy context: FleetContext) { self = context.randomness.id(Noun.self, at: context.now) }
}
