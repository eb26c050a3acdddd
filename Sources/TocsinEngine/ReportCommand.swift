import TocsinCore
import TocsinJSON
import TocsinLedger

/// A partner's report on its way to the site engine, with all that the audit log will want to know.
package struct ReportCommand: Sendable {
    package var siteID: SiteID
    /// The partner that calls; another partner's site does not exist for it.
    package var partnerID: PartnerID
    package var report: ArmingReport
    /// When the last byte of the request was read: what decides against a deadline.
    package var receivedAt: Instant
    package var requestID: String
    package var traceID: String?
    package var address: String?
    package var idempotency: IdempotencyTicket?
    /// What its site waits for until it is there; none if nobody does.
    package var arrival: Arrivals.Arrival?

    package init(
        siteID: SiteID,
        partnerID: PartnerID,
        report: ArmingReport,
        receivedAt: Instant,
        requestID: String,
        traceID: String? = nil,
        address: String? = nil,
        idempotency: IdempotencyTicket? = nil,
        arrival: Arrivals.Arrival? = nil
    ) {
        self.siteID = siteID
        self.partnerID = partnerID
        self.report = report
        self.receivedAt = receivedAt
        self.requestID = requestID
        self.traceID = traceID
        self.address = address
        self.idempotency = idempotency
        self.arrival = arrival
    }
}

/// An `Idempotency-Key` that the reply is to be stored under, in the transaction of the change (decisions §1).
package struct IdempotencyTicket: Hashable, Sendable {
    package var caller: String
    package var method: String
    package var path: String
    package var key: String
    package var payloadHash: [UInt8]

    package init(caller: String, method: String, path: String, key: String, payloadHash: [UInt8]) {
        self.caller = caller
        self.method = method
        self.path = path
        self.key = key
        self.payloadHash = payloadHash
    }

    /// What the stored reply is sealed with: its place, so that it cannot be moved to another.
    package var sealingContext: String {
        Self.sealingContext(of: IdempotencyTicketName(caller: caller, method: method, path: path, key: key))
    }

    static func sealingContext(of name: IdempotencyTicketName) -> String {
        "idempotency/\(name.caller)/\(name.method)/\(name.path)/\(name.key)"
    }

    package func record(
        status: Int,
        reply: [UInt8],
        at instant: Instant,
        vault: Vault
    ) throws(VaultError) -> IdempotencyRecord {
        IdempotencyRecord(
            caller: caller,
            method: method,
            path: path,
            key: key,
            payloadHash: payloadHash,
            status: status,
            sealedReply: try vault.seal(reply, context: sealingContext),
            createdAt: instant
        )
    }
}

/// What became of a report.
package enum ReportResult: Sendable {
    /// Durable; the reply tells what it did.
    case accepted(ReportReply)
    case refused(ReportRefusal)
    /// There is no such site, or not for this partner.
    case unknownSite
    /// The site's arming state is not the partner's to report (decisions §3).
    case wrongAuthority
    /// The idempotency key is stored already, under this record.
    case knownKey(IdempotencyRecord)
}

/// Hears what became of a report, once, on any thread; must return at once, because others wait behind it.
package typealias ReportAnswer = @Sendable (Result<ReportResult, LedgerError>) -> Void

/// The 200 reply to a report (decisions §4).
package struct ReportReply: Sendable {
    package var siteID: SiteID
    package var receivedAt: Instant
    package var partitions: [PartitionAnswer]
    package var eventIDs: [EventID]

    package var json: [UInt8] {
        var writer = JSONWriter(reserving: 320)
        writer.object { writer in
            writer.member("site_id", siteID.text)
            writer.member("received_at", receivedAt.rfc3339Milliseconds)
            writer.name("partitions")
            writer.array { writer in
                for partition in partitions { writer.object { partition.write(to: &$0) } }
            }
            writer.name("event_ids")
            writer.array { writer in
                for id in eventIDs { writer.string(id.text) }
            }
        }
        return writer.bytes
    }
}

extension PartitionAnswer {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("partition_id", partitionID.text)
        writer.member("state", state)
        writer.member("previous_state", previousState)
        writer.member("applied", applied)
        writer.member("reason", ifPresent: reason?.rawValue)
        writer.member("version", version)
    }
}
