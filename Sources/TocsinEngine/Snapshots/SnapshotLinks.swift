import TocsinCore

/// Makes and checks the addresses under which whoever holds one may fetch a snapshot (decisions §7).
package struct SnapshotLinks: Sendable {
    /// Where the server is reached from outside, without a slash at the end.
    private let publicURL: String
    private let vault: Vault

    package init(publicURL: String, vault: Vault) {
        self.publicURL = publicURL
        self.vault = vault
    }

    /// The snapshot's address until it dies.
    package func url(of snapshot: Snapshot) -> String {
        let expires = snapshot.linkExpiresAt.secondsSinceEpoch
        let signature = vault.linkSignature(of: Self.signedText(snapshot.id, expires)).hexadecimal
        return "\(publicURL)/media/\(snapshot.id)?expires=\(expires)&signature=\(signature)"
    }

    /// Whether this signature is that of the snapshot and expiry; says nothing of whether the time is over.
    package func isSigned(_ id: SnapshotID, expires: Int64, signature: String) -> Bool {
        guard let bytes = Self.bytes(signature) else { return false }
        return vault.isLinkSignature(bytes, of: Self.signedText(id, expires))
    }

    private static func signedText(_ id: SnapshotID, _ expires: Int64) -> String { "media/\(id)/\(expires)" }

    /// What is written in lower-case hexadecimal digits, as signatures are.
    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
