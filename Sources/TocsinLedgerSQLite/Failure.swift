import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Says what an error of SQLite's means to the ledger's callers; judged by its code, never by its English text.
func ledgerError(_ error: any Error, path: String = "the ledger") -> LedgerError {
    if let error = error as? LedgerError { return error }
    guard let error = error as? DatabaseError else {
        if error is CancellationError {
            return LedgerError(.unavailable, "the caller went away before the ledger answered")
        }
        if isDamage(error) {
            return LedgerError(.corrupt, "\(path) is damaged: \(error); run `tocsin admin verify`")
        }
        return LedgerError(.unavailable, "\(error)")
    }
    let reason = error.message ?? "code \(error.extendedResultCode.rawValue)"
    return switch error.resultCode {
    case .SQLITE_FULL: LedgerError(.full, "no space is left for \(path); free some: the ledger goes on by itself")
    case .SQLITE_BUSY, .SQLITE_LOCKED: LedgerError(.locked, "\(path) is held by another process; stop it first")
    case .SQLITE_CORRUPT, .SQLITE_NOTADB: damaged(path, reason)
    case .SQLITE_CONSTRAINT: constraint(error, reason)
    case .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH:
        LedgerError(.unavailable, "\(path) cannot be read or written: \(reason)")
    default: LedgerError(.unavailable, "\(path) did not do what it was asked for: \(reason)")
    }
}

/// Whether a stored value could not be read.
func isDamage(_ error: any Error) -> Bool {
    error is LedgerDamage || error is PackingError || error is SnapshotError || error is JSONError
}

func damaged(_ path: String, _ reason: String) -> LedgerError {
    LedgerError(
        .corrupt,
        "\(path) is damaged or is not a ledger (\(reason)); restore it from a backup with `tocsin admin restore`"
    )
}

private func constraint(_ error: DatabaseError, _ reason: String) -> LedgerError {
    switch error.extendedResultCode {
    case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
        let subject = UniqueColumns(named: reason)?.subject ?? "id"
        return LedgerError(.duplicate, "this \(subject) is taken already", subject: subject)
    case .SQLITE_CONSTRAINT_FOREIGNKEY:
        return LedgerError(.invalid, "what this belongs to does not exist")
    default:
        return LedgerError(.invalid, "the ledger does not take this: \(reason)")
    }
}

/// The unique constraints whose breach callers tell their own callers of, by their columns.
///
/// SQLite names the columns, and nothing but them, after the colon of its message; there is no other way to learn them.
private enum UniqueColumns: String, CaseIterable {
    case dealerName = "dealer.name"
    case partnerName = "partner.name"
    case partnerClient = "partner.client_id"
    case siteName = "site.dealer_id, site.name"
    case sitePartnerExternal = "site.partner_id, site.external_id"
    case siteDealerExternal = "site.dealer_id, site.external_id"
    case partitionNumber = "partition.site_id, partition.number"
    case fixtureNumber = "fixture.site_id, fixture.kind, fixture.number"
    case fixtureName = "fixture.site_id, fixture.kind, fixture.name"
    case userCode = "user_code.site_id, user_code.hash"
    case appName = "app.dealer_id, app.name"
    case idempotencyKey =
        "idempotency_record.caller, idempotency_record.method, idempotency_record.path, idempotency_record.key"

    init?(named message: String) {
        guard let colon = message.firstIndex(of: ":") else { return nil }
        self.init(rawValue: String(message[message.index(after: colon)...].drop { $0 == " " }))
    }

    var subject: String {
        switch self {
        case .dealerName, .partnerName, .siteName, .fixtureName, .appName: "name"
        case .partnerClient: "client_id"
        case .sitePartnerExternal, .siteDealerExternal: "external_site_id"
        case .partitionNumber, .fixtureNumber: "number"
        case .userCode: "code"
        case .idempotencyKey: "key"
        }
    }
}
