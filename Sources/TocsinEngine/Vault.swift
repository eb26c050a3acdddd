import Crypto
import Foundation

/// Seals what must not be readable from the ledger alone, and hashes what must not be readable at all.
///
/// One key of 32 bytes, kept outside the ledger; keys for each purpose are derived from it.
package struct Vault: Sendable {
    package static let keyLength = 32

    private let sealing: SymmetricKey
    private var hashing: SymmetricKey
    private let checking: SymmetricKey
    private let linking: SymmetricKey

    /// Takes the key's 32 bytes; the caller has checked their number.
    package init(key: [UInt8]) {
        let root = SymmetricKey(data: key)
        func derived(_ purpose: String) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(inputKeyMaterial: root, info: Data(purpose.utf8), outputByteCount: 32)
        }
        sealing = derived("tocsin sealing 1")
        hashing = derived("tocsin hashing 1")
        checking = derived("tocsin checking 1")
        linking = derived("tocsin linking 1")
    }

    /// The key of ``keyedHash(_:context:)``, which outlives the rotation of the key that it was derived from.
    var hashingKey: [UInt8] { hashing.withUnsafeBytes { Array($0) } }

    /// The same vault with another hashing key.
    func hashing(with key: [UInt8]) -> Vault {
        var copy = self
        copy.hashing = SymmetricKey(data: key)
        return copy
    }

    /// Encrypts and authenticates; `context` must be given again to open (it ties a sealed value to its place).
    package func seal(_ plain: some Collection<UInt8>, context: String) throws(VaultError) -> [UInt8] {
        do {
            let box = try ChaChaPoly.seal(Array(plain), using: sealing, authenticating: Data(context.utf8))
            return Array(box.combined)
        } catch {
            throw VaultError(reason: "sealing failed: \(error)")
        }
    }

    /// Opens what ``seal(_:context:)`` made with the same context and key.
    package func open(_ sealed: [UInt8], context: String) throws(VaultError) -> [UInt8] {
        do {
            let box = try ChaChaPoly.SealedBox(combined: sealed)
            return Array(try ChaChaPoly.open(box, using: sealing, authenticating: Data(context.utf8)))
        } catch {
            throw VaultError(reason: "a sealed value cannot be opened with this key")
        }
    }

    /// A keyed hash: equal inputs give equal hashes, and without the key nothing can be tried against them.
    package func keyedHash(_ bytes: some Collection<UInt8>, context: String) -> [UInt8] {
        var hmac = HMAC<SHA256>(key: hashing)
        hmac.update(data: Array(context.utf8))
        hmac.update(data: [0])
        hmac.update(data: Array(bytes))
        return Array(hmac.finalize())
    }

    /// Signs what whoever holds the signature may fetch.
    package func linkSignature(of text: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: linking))
    }

    /// Whether ``linkSignature(of:)`` made it; the time that this takes tells nothing of how much of it is right.
    package func isLinkSignature(_ signature: [UInt8], of text: String) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: Data(text.utf8), using: linking)
    }

    /// What the ledger keeps to notice a wrong key before anything is sealed with it.
    package var checkValue: [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Data("tocsin".utf8), using: checking))
    }
}

/// A value could not be sealed or opened.
package struct VaultError: Error, Sendable, CustomStringConvertible {
    package var reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String { reason }
}

extension [UInt8] {
    /// Two lower-case digits a byte.
    package var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(count * 2)
        for byte in self { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Hashes of credentials with enough entropy of their own (keys, tokens): plain SHA-256 suffices.
package func credentialHash(_ credential: String) -> String {
    SHA256.hash(data: Data(credential.utf8)).map { byte in
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
    }.joined()
}
