import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Applies and exports fleet files: what `tocsin apply`, `tocsin export` and their server operations do.
package struct FleetService: Sendable {
    /// A file's sites are stored so many to a transaction, the first with everything else of the file: an ordinary file is
    /// one transaction, and a huge one does not hold up a running server's writes for longer than a moment.
    package static let sitesPerTransaction = 500

    private let ledger: any Ledger
    private let vault: Vault
    private let clock: any WallClock
    private let randomness: any Randomness
    private let checkURL: @Sendable (String) -> String?

    /// Takes what it works with.
    ///
    /// - Parameters:
    ///   - ledger: The store that is made to match.
    ///   - vault: Seals endpoints' secrets and hashes users' codes.
    ///   - clock: Tells when things were made.
    ///   - randomness: Draws ids and secrets.
    ///   - checkURL: Says why a URL cannot be an endpoint's, or nothing.
    package init(
        ledger: any Ledger,
        vault: Vault,
        clock: any WallClock,
        randomness: any Randomness,
        checkURL: @escaping @Sendable (String) -> String?
    ) {
        self.ledger = ledger
        self.vault = vault
        self.clock = clock
        self.randomness = randomness
        self.checkURL = checkURL
    }

    /// Makes the ledger match the file, or with a dry run tells what that would change.
    ///
    /// The whole file is compared with the ledger before anything is stored, so that its problems are told together. A file
    /// of more than ``sitesPerTransaction`` sites can be left half applied only by a failure of the ledger or by somebody
    /// else's change in between; applying it again goes on from there.
    ///
    /// - Parameters:
    ///   - text: YAML or JSON.
    ///   - options: Dry run, pruning, force.
    ///   - origin: Who asks, for the audit log.
    /// - Returns: What was changed, or would be, with the secrets of what was made.
    /// - Throws: ``FleetError`` for the file, and what the ledger throws.
    package func apply(_ text: [UInt8], options: FleetOptions, origin: FleetOrigin) async throws -> FleetOutcome {
        let file = try FleetFile.parse(text)
        let context = FleetContext(
            now: clock.now,
            randomness: randomness,
            vault: vault,
            checkURL: checkURL,
            options: options,
            origin: origin
        )
        var plan = try await ledger.read { reader in
            var reconciler = FleetReconciler(reader: reader, writer: nil, context: context, names: FleetNames())
            try reconciler.applyTenants(file)
            for site in file.sites ?? [] { try reconciler.apply(site) }
            try reconciler.throwProblems()
            if options.prunes { try reconciler.prune(file) }
            try reconciler.throwProblems()
            return reconciler.outcome
        }
        if options.isDryRun {
            plan.result = FleetResult()
            return plan
        }
        return try await store(file, context: context)
    }

    private func store(_ file: FleetFile, context: FleetContext) async throws -> FleetOutcome {
        let sites = file.sites ?? []
        var outcome = FleetOutcome(isDryRun: false)
        var names = FleetNames()
        var start = 0
        repeat {
            let batch = sites[start..<min(start + Self.sitesPerTransaction, sites.count)]
            let isFirst = start == 0
            let isLast = batch.endIndex == sites.count
            let known = names
            do {
                let stored = try await ledger.write { transaction in
                    var reconciler = FleetReconciler(
                        reader: transaction,
                        writer: transaction,
                        context: context,
                        names: known
                    )
                    if isFirst { try reconciler.applyTenants(file) }
                    for site in batch { try reconciler.apply(site) }
                    try reconciler.throwProblems()
                    if isLast && context.options.prunes { try reconciler.prune(file) }
                    try reconciler.throwProblems()
                    return (outcome: reconciler.outcome, names: reconciler.names)
                }
                outcome.append(stored.outcome)
                names = stored.names
            } catch  where !isFirst {
                let problems = (error as? FleetError)?.problems ?? []
                throw FleetError(
                    .failed,
                    "only \(start) of \(sites.count) sites were applied, because: \(error). Apply the file again",
                    problems: problems,
                    partial: outcome.result
                )
            }
            start = batch.endIndex
        } while start < sites.count
        return outcome
    }

    /// The ledger's fleet in the form of a file, without codes and secrets; applying it changes nothing.
    package func export() async throws -> JSON {
        try await ledger.read { reader in try FleetExport(reader).file() }
    }
}

extension FleetReconciler {
    mutating func applyTenants(_ file: FleetFile) throws {
        for dealer in file.dealers ?? [] { try apply(dealer) }
        for partner in file.partners ?? [] { try apply(partner) }
    }
}

extension FleetOutcome {
    mutating func append(_ other: FleetOutcome) {
        result.append(other.result)
        changes += other.changes
        warnings += other.warnings
        touchedEndpoints.formUnion(other.touchedEndpoints)
        touchedApps.formUnion(other.touchedApps)
        touchedPartners.formUnion(other.touchedPartners)
        deletedDealers.formUnion(other.deletedDealers)
    }
}
