import HeapModule
import TocsinCore

/// How an endpoint's admins hear that the certificate which its receiver asks of us will expire: by one wake-up per stage.
extension DeliveryLoop {
    /// Takes over the certificate of an endpoint that has come or changed, and tells what is due of it by now.
    mutating func watchCertificate(of slot: Slot) {
        let end = slot.endpoint.isEnabled ? slot.endpoint.clientCertificate?.expiresAt : nil
        if slot.certificate?.expiresAt != end { slot.certificate = end.map(CertificateWatch.init) }
        tellOfCertificate(of: slot, at: now)
    }

    mutating func tellOfCertificates(at now: Instant) {
        while let next = certificateDues.min, next.at <= now {
            _ = certificateDues.popMin()
            // One that stands for a certificate which was changed since is passed over.
            guard let slot = slots[next.slot], slot.certificateDue == next.at else { continue }
            tellOfCertificate(of: slot, at: now)
        }
    }

    private mutating func tellOfCertificate(of slot: Slot, at now: Instant) {
        if let end = slot.certificate?.expiresAt, let stage = slot.certificate?.dueStage(now: now) {
            announce(
                EndpointAnnouncement(endpointID: slot.endpoint.id, reason: .certificateExpiring(stage, at: end)),
                for: slot
            )
        }
        let due = slot.certificate?.nextAnnouncement
        guard due != slot.certificateDue else { return }
        slot.certificateDue = due
        if let due { certificateDues.insert(Wake(at: due, slot: slot.index)) }
    }
}
