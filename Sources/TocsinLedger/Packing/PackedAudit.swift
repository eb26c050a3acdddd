import TocsinCore
import TocsinJSON

/// An audit entry as its row keeps it; only what orders and chains entries is beside it.
package enum PackedAudit {
    private struct Flags: OptionSet {
        var rawValue: UInt8 = 0
        static let dealer = Flags(rawValue: 1)
        static let site = Flags(rawValue: 2)
        static let target = Flags(rawValue: 4)
        static let request = Flags(rawValue: 8)
        static let trace = Flags(rawValue: 16)
        static let address = Flags(rawValue: 32)
        static let details = Flags(rawValue: 64)
        static let all = Flags(rawValue: 127)
    }

    package static func pack(_ entry: AuditEntry) -> [UInt8] {
        let details = entry.details.bytes
        let optional: [(Flags, String?)] = [
            (.dealer, entry.dealerID?.text), (.site, entry.siteID?.text), (.target, entry.target),
            (.request, entry.requestID), (.trace, entry.traceID), (.address, entry.address),
        ]
        var flags: Flags = details == nil ? [] : .details
        for case (let flag, .some) in optional { flags.insert(flag) }
        var writer = PackedWriter(capacity: 200 + entry.explanation.utf8.count + (details?.count ?? 0))
        writer.append(flags.rawValue)
        for case (_, let text?) in optional { writer.append(text) }
        writer.append(entry.actor.kind.rawValue)
        writer.append(entry.actor.id)
        writer.append(entry.action)
        writer.append(entry.result)
        writer.append(entry.cause)
        writer.append(entry.explanation)
        if let details { writer.append(details) }
        return writer.bytes
    }

    /// Reads an entry.
    ///
    /// - Throws: ``PackingError``, or ``JSONError`` for its details, where the bytes are no entry of ours.
    package static func unpack(_ bytes: [UInt8], at: Instant, changesState: Bool) throws -> AuditEntry {
        var reader = PackedReader(bytes)
        let flags = Flags(rawValue: try reader.byte())
        guard flags.isSubset(of: .all) else {
            throw PackingError(description: "the ledger holds an audit entry of an unknown form")
        }
        func text(_ flag: Flags) throws(PackingError) -> String? { flags.contains(flag) ? try reader.text() : nil }
        let dealer = try text(.dealer).map { DealerID(stored: $0) }
        let site = try text(.site).map { SiteID(stored: $0) }
        let (target, request, trace, address) = (
            try text(.target), try text(.request), try text(.trace), try text(.address)
        )
        let word = try reader.text()
        guard let kind = AuditEntry.Actor.Kind(rawValue: word) else {
            throw PackingError(description: "the ledger holds an audit entry by the unknown kind of actor \"\(word)\"")
        }
        let actor = AuditEntry.Actor(kind, try reader.text())
        let (action, result, cause, explanation) = (
            try reader.text(), try reader.text(), try reader.text(), try reader.text()
        )
        return AuditEntry(
            at: at,
            dealerID: dealer,
            siteID: site,
            actor: actor,
            action: action,
            target: target,
            result: result,
            explanation: explanation,
            cause: cause,
            requestID: request,
            traceID: trace,
            address: address,
            details: flags.contains(.details) ? try JSONParser.parse(try reader.blob()).object ?? [:] : [:],
            changesState: changesState
        )
    }
}
