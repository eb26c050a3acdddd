import TocsinCore

/// Who sends a request, once the credential has been checked (decisions §2).
package enum Caller: Sendable {
    case anonymous
    case platformAdmin(AdminToken)
    case dealerAdmin(AdminToken, of: DealerID)
    case app(App)
    case partner(Partner)

    /// How far the caller sees; an anonymous one sees nothing, so that there is none.
    package var reach: Reach? {
        switch self {
        case .anonymous: nil
        case .platformAdmin: .platform
        case .dealerAdmin(_, let dealer): .dealer(dealer)
        case .app(let app): .dealer(app.dealerID)
        case .partner(let partner): .partner(partner.id)
        }
    }

    package var actor: AuditEntry.Actor {
        switch self {
        case .anonymous: AuditEntry.Actor(.system, "anonymous")
        case .platformAdmin(let token), .dealerAdmin(let token, _): AuditEntry.Actor(.admin, token.id.text)
        case .app(let app): AuditEntry.Actor(.app, app.id.text)
        case .partner(let partner): AuditEntry.Actor(.partner, partner.id.text)
        }
    }

    /// The caller, not the credential: what buckets and stored replies belong to (decisions §1).
    package var key: String {
        switch self {
        case .anonymous: "anonymous"
        case .platformAdmin(let token), .dealerAdmin(let token, _): "admin:\(token.id)"
        case .app(let app): "app:\(app.id)"
        case .partner(let partner): "partner:\(partner.id)"
        }
    }

    package var tier: RateTier {
        switch self {
        case .anonymous, .platformAdmin, .dealerAdmin: .unlimited
        case .app(let app): app.tier
        case .partner(let partner): partner.tier
        }
    }

    /// Whether the caller has the scope; admins and partners have every one (decisions §2).
    package func holds(_ scope: Scope) -> Bool {
        switch self {
        case .anonymous: false
        case .platformAdmin, .dealerAdmin, .partner: true
        case .app(let app): app.scopes.contains(scope)
        }
    }

    package var isAdmin: Bool {
        switch self {
        case .platformAdmin, .dealerAdmin: true
        case .anonymous, .app, .partner: false
        }
    }
}

/// Who may call an operation.
package struct Callers: Sendable {
    package enum AppAccess: Sendable {
        case refused
        /// Any app of the dealer, whatever its scopes: what it reads of itself.
        case any
        case holding(Scope)
    }

    package var anonymous = false
    package var platformAdmin = false
    package var dealerAdmin = false
    package var app = AppAccess.refused
    package var partner = false

    /// Everybody, without a credential.
    package static let everybody = Callers(anonymous: true)
    package static let platformAdmins = Callers(platformAdmin: true)
    package static let admins = Callers(platformAdmin: true, dealerAdmin: true)
    /// Every caller with a credential.
    package static let authenticated = Callers(platformAdmin: true, dealerAdmin: true, app: .any, partner: true)

    /// Admins, apps that hold the scope, and partners (who have every scope over their sites).
    package static func holding(_ scope: Scope) -> Callers {
        Callers(platformAdmin: true, dealerAdmin: true, app: .holding(scope), partner: true)
    }

    /// The same without partners.
    package var withoutPartners: Callers {
        var copy = self
        copy.partner = false
        return copy
    }

    package var withPartners: Callers {
        var copy = self
        copy.partner = true
        return copy
    }

    /// Throws 403 with a sentence that says what is missing.
    package func admit(_ caller: Caller) throws(APIError) {
        switch caller {
        case .anonymous: if !anonymous { throw .invalidCredentials }
        case .platformAdmin: if !platformAdmin { throw refusal("a platform admin") }
        case .dealerAdmin: if !dealerAdmin { throw refusal("a dealer's admin") }
        case .partner: if !partner { throw refusal("a partner") }
        case .app(let holder):
            switch app {
            case .any: return
            case .refused: throw refusal("an app")
            case .holding(let scope):
                guard !holder.scopes.contains(scope) else { return }
                throw APIError(
                    .permissionDenied,
                    "The app does not hold the scope \"\(scope.rawValue)\". Ask the dealer's admin for it."
                )
            }
        }
    }

    private func refusal(_ caller: String) -> APIError {
        APIError(.permissionDenied, "This is not for \(caller): \(description)")
    }

    /// A sentence for the document and for refusals.
    package var description: String {
        if anonymous { return "Callable without a credential." }
        var kinds: [String] = []
        if platformAdmin { kinds.append("platform admins") }
        if dealerAdmin { kinds.append("dealer admins") }
        switch app {
        case .refused: break
        case .any: kinds.append("apps")
        case .holding(let scope): kinds.append("apps with `\(scope.rawValue)`")
        }
        if partner { kinds.append("partners") }
        return "Callable by \(kinds.joined(separator: ", "))."
    }
}
