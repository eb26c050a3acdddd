import TocsinCore
import TocsinDelivery
import TocsinJSON
import Yams

extension FleetParser {
    private static let whole = ["certificate", "private_key"]
    /// What an export and the API show in place of the two.
    private static let shown = ["fingerprint", "expires_at"]
    private static let fingerprintLength = 64

    /// The certificate that an endpoint's receiver asks of us, as the API takes it.
    mutating func clientCertificate(_ members: Members) -> FleetCertificate? {
        guard let node = members.node("client_certificate") else { return nil }
        if node.scalarValue == .null { return FleetCertificate.none }
        let place = members.place(of: "client_certificate")
        guard let parts = reader.members(node, at: place, required: [], optional: Self.whole + Self.shown) else {
            return nil
        }
        if Self.whole.contains(where: parts.has) { return whole(parts) }
        let hint = "give “certificate” and “private_key”, both in PEM, or null to take it away"
        guard parts.has("fingerprint") else {
            reader.problems.add(place, "names no certificate: \(hint)")
            return nil
        }
        guard let fingerprint = reader.text(parts, "fingerprint", upTo: Self.fingerprintLength) else { return nil }
        return .shown(fingerprint: fingerprint, at: parts.place(of: "fingerprint"))
    }

    private mutating func whole(_ parts: Members) -> FleetCertificate? {
        for name in Self.shown where parts.has(name) {
            reader.problems.add(parts.place(of: name), "is told by the certificate itself: leave it out")
        }
        for name in Self.whole where !parts.has(name) {
            reader.problems.add(parts.place, "“\(name)” is missing: certificate and key are given together")
        }
        let chain = reader.lines(parts, "certificate", upTo: ClientIdentity.textLengthMax)
        let key = reader.lines(parts, "private_key", upTo: ClientIdentity.textLengthMax)
        guard let chain, let key else { return nil }
        do throws(ClientIdentity.Fault) {
            let identity = try ClientIdentity(certificate: chain, privateKey: key)
            return .whole(
                text: ClientIdentity.text(certificate: chain, privateKey: key),
                fingerprint: identity.fingerprint,
                expiresAt: identity.expiresAt,
                at: parts.place(of: "certificate")
            )
        } catch {
            reader.problems.add(parts.place(of: error.member), error.clause)
            return nil
        }
    }
}
