import Crypto
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Who has which credential, kept in memory so that authentication costs no query.
///
/// Filled from the ledger at need. A management write forgets what it changed, so that a revocation acts at once; an
/// entry is looked up anew after ``maximumAge``, so that a change made beside this process acts soon.
package final class Directory: Sendable {
    /// How long another process's change (`tocsin admin`, a second node) may go unnoticed.
    static let maximumAge: Duration = .seconds(5)
    /// Entries of each kind; when they are reached all are dropped and looked up again at need.
    static let capacity = 50_000

    /// An opaque credential that works.
    enum Holder: Sendable {
        case app(App, key: AppKey, allowed: [AddressBlock])
        case admin(AdminToken)
    }

    private struct Entry<Value: Sendable>: Sendable {
        var value: Value
        var loadedAt: Instant
    }

    private struct State {
        var holders: [CredentialDigest: Entry<Holder>] = [:]
        var partners: [PartnerID: Entry<Partner>] = [:]
        /// Raised by every change, so that what was loaded before one is not kept after it.
        var generation = 0
    }

    private let ledger: any Ledger
    private let clock: any WallClock
    private let state = Mutex(State())

    package init(ledger: any Ledger, clock: any WallClock) {
        self.ledger = ledger
        self.clock = clock
    }

    // MARK: Looking up

    /// The partner, revoked or not; none if there is no such partner.
    func partner(_ id: PartnerID) async throws -> Partner? {
        let now = clock.now
        let (known, generation) = state.withLock { ($0.partners[id], $0.generation) }
        if let known, now - known.loadedAt < Self.maximumAge { return known.value }
        let loaded = try await ledger.read { try $0.partner(id, within: .platform) }
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.partners.count >= Self.capacity { state.partners = [:] }
            state.partners[id] = loaded.map { Entry(value: $0, loadedAt: now) }
        }
        return loaded
    }

    /// The partner, revoked or not, if it was looked up just now.
    func knownPartner(_ id: PartnerID, now: Instant) -> Partner? {
        guard let known = state.withLock({ $0.partners[id] }), now - known.loadedAt < Self.maximumAge else {
            return nil
        }
        return known.value
    }

    /// Whose opaque credential this is; asks `mayTry` before the ledger is searched for one that is not known yet.
    func holder(
        of credential: Substring,
        kind: OpaqueCredential,
        mayTry: () throws -> Void
    ) async throws -> Holder? {
        let now = clock.now
        let digest = CredentialDigest(credential)
        let (known, generation) = state.withLock { ($0.holders[digest], $0.generation) }
        if let known, now - known.loadedAt < Self.maximumAge { return known.value }
        if known == nil { try mayTry() }
        let hash = digest.hexadecimal
        let loaded: Holder? = try await ledger.read { reader in
            switch kind {
            case .admin: try reader.adminToken(hash: hash).map(Holder.admin)
            case .app:
                try reader.app(authenticatingWith: hash).map { app, key in
                    .app(app, key: key, allowed: app.ipAllowList.compactMap(AddressBlock.init))
                }
            }
        }
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.holders.count >= Self.capacity { state.holders = [:] }
            state.holders[digest] = loaded.map { Entry(value: $0, loadedAt: now) }
        }
        return loaded
    }

    // MARK: Forgetting

    /// To be called after a commit that changed the partner.
    package func forget(_ partner: PartnerID) {
        state.withLock { state in
            state.generation += 1
            state.partners[partner] = nil
        }
    }

    /// To be called after a commit that changed the app or its keys.
    package func forget(_ app: AppID) {
        forgetHolders { holder in
            if case .app(let known, _, _) = holder { known.id == app } else { false }
        }
    }

    /// To be called after a commit that deleted a dealer: its apps and admins are gone.
    package func forget(_ dealer: DealerID) {
        forgetHolders { holder in
            switch holder {
            case .app(let app, _, _): app.dealerID == dealer
            case .admin(let token): token.dealerID == dealer
            }
        }
    }

    private func forgetHolders(where isMeant: (Holder) -> Bool) {
        state.withLock { state in
            state.generation += 1
            state.holders = state.holders.filter { !isMeant($0.value.value) }
        }
    }
}

/// The kinds of opaque credentials, told apart by their prefix (decisions §2, §11).
enum OpaqueCredential: Sendable {
    case app
    case admin

    init?(_ credential: Substring) {
        if credential.hasPrefix("tcs_live_") || credential.hasPrefix("tcs_test_") {
            self = .app
        } else if credential.hasPrefix("tcs_admin_") {
            self = .admin
        } else {
            return nil
        }
    }
}

/// SHA-256 of a credential: what it is known by in memory, so that no look-up compares the credential itself.
struct CredentialDigest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ credential: Substring) {
        var text = String(credential)
        let digest = text.withUTF8 { SHA256.hash(data: $0) }
        words = digest.withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
            )
        }
    }

    /// The form in which the ledger keeps it (`credentialHash`).
    var hexadecimal: String {
        [words.0, words.1, words.2, words.3].map { word in
            let digits = String(word.bigEndian, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
