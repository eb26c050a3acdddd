import TocsinCore
import TocsinEngine

/// A caller whose credential is good, and who is refused all the same.
struct RefusedCaller: Error {
    var caller: Caller
    var refusal: APIError
}

/// A partner's access token that was checked, in the form in which requests bring it.
struct CheckedToken: Sendable {
    let authorization: String
    let partner: PartnerID
    let expiresAt: Instant
}

/// Turns a request's credential into its caller, or refuses it.
struct Authenticator: Sendable {
    let directory: Directory
    let tokens: TokenIssuer
    let failures: FailureLimiter
    let clock: any WallClock

    /// Throws 401; ``RefusedCaller`` for an app outside its allow list; 429 after too many failures from the address.
    func caller(authorization: String?, address: () -> ClientAddress?) async throws -> Caller {
        guard let credential = authorization.flatMap(Self.bearer) else {
            throw APIError.invalidCredentials
        }
        // A credential that is known to work is never held up by a stranger's failures behind the same address.
        func mayTry() throws { try failures.check(address()) }
        do {
            if let kind = OpaqueCredential(credential) {
                let holder = try await directory.holder(of: credential, kind: kind, mayTry: mayTry)
                return try caller(holder: holder, address: address)
            }
            let id = try await tokens.partner(of: credential, now: clock.now, mayTry: mayTry)
            guard let partner = try await directory.partner(id), !partner.isRevoked else {
                throw APIError.invalidCredentials
            }
            return .partner(partner)
        } catch let error as APIError where error.code == .invalidAPIKey {
            failures.record(address())
            throw error
        }
    }

    /// The token of a partner, if it was checked before; none says nothing of the credential.
    func checkedToken(_ authorization: String?) -> CheckedToken? {
        guard let authorization, let credential = Self.bearer(authorization), OpaqueCredential(credential) == nil,
            let (partner, expiresAt) = tokens.checked(credential)
        else { return nil }
        return CheckedToken(authorization: authorization, partner: partner, expiresAt: expiresAt)
    }

    /// Whose token it is, if the partner was looked up just now; none says nothing of the token.
    func caller(by token: CheckedToken, now: Instant) -> Caller? {
        guard now < token.expiresAt, let partner = directory.knownPartner(token.partner, now: now), !partner.isRevoked
        else { return nil }
        return .partner(partner)
    }

    private func caller(holder: Directory.Holder?, address: () -> ClientAddress?) throws -> Caller {
        switch holder {
        case nil: throw APIError.invalidCredentials
        case .admin(let token):
            if token.isRevoked { throw APIError.invalidCredentials }
            return token.dealerID.map { .dealerAdmin(token, of: $0) } ?? .platformAdmin(token)
        case .app(let app, let key, let allowed):
            if app.isRevoked || key.expiresAt.map({ $0 <= clock.now }) ?? false { throw APIError.invalidCredentials }
            // The list of texts decides whether there is a restriction: one that cannot be read allows nothing.
            if !app.ipAllowList.isEmpty {
                guard let address = address(), allowed.contains(address) else {
                    throw RefusedCaller(
                        caller: .app(app),
                        refusal: APIError(
                            .permissionDenied,
                            "The app may not be used from this address. Ask the dealer's admin to add it to the allow list."
                        )
                    )
                }
            }
            return .app(app)
        }
    }

    /// The token of `Bearer …`; the scheme's letter case does not matter.
    static func bearer(_ authorization: String) -> Substring? {
        guard let blank = authorization.utf8.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        let scheme = authorization[..<blank]
        guard scheme == "Bearer" || scheme.lowercased() == "bearer" else { return nil }
        let token = authorization[authorization.utf8.index(after: blank)...].trimmed
        return token.isEmpty || token.utf8.count > maximumLength ? nil : token
    }

    /// Longer than any credential of ours.
    static let maximumLength = 4096
}
