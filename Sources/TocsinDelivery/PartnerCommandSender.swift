import Logging
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Puts commands to the endpoints of partners that subscribe to `arming.command` (decisions §5).
///
/// One signed POST each, to the partner's first such endpoint: no retries, no entry in the attempts log, nothing to
/// resend. Signature, headers and egress rules are those of every webhook.
package final class PartnerCommandSender: PartnerCommander {
    private static let pageSize = 1000

    private let ledger: any Ledger
    private let sender: any AttemptSender
    private let vault: Vault
    private let policy: EgressPolicy
    private let clock: any WallClock
    private let logger: Logger
    /// The endpoints that take commands; asked at every command, so it is kept in memory.
    private let takers = Mutex<[EndpointID: PartnerID]>([:])

    /// Wires the sender.
    ///
    /// - Parameters:
    ///   - ledger: Where endpoints and their secrets are.
    ///   - sender: Makes the request; its own time limit should be ``PendingCommand/patience``.
    ///   - vault: Opens the secrets.
    ///   - policy: What URLs may be sent to.
    ///   - clock: Tells the time of the signature.
    ///   - logger: Gets why a partner was not reached.
    package init(
        ledger: any Ledger,
        sender: any AttemptSender,
        vault: Vault,
        policy: EgressPolicy,
        clock: any WallClock,
        logger: Logger
    ) {
        self.ledger = ledger
        self.sender = sender
        self.vault = vault
        self.policy = policy
        self.clock = clock
        self.logger = logger
    }

    package func start() async throws {
        var after: EndpointID?
        repeat {
            let from = after
            let page = try await ledger.read { try $0.allEndpoints(after: from, limit: Self.pageSize) }
            takers.withLock { takers in
                for endpoint in page {
                    if let partner = endpoint.commandTaker { takers[endpoint.id] = partner }
                }
            }
            after = page.count == Self.pageSize ? page.last?.id : nil
        } while after != nil
    }

    package func asks(_ partner: PartnerID) -> Bool { takers.withLock { $0.values.contains(partner) } }

    package func stop() async { await sender.stop() }

    // MARK: Asking

    package func ask(_ inquiry: PartnerInquiry) async -> PartnerAnswer {
        do {
            // Nobody there takes commands any more: the command stands on its own.
            guard let record = try await taker(of: inquiry.partnerID) else { return .accepted }
            let courier = Courier(record, vault: vault, policy: policy)
            let answer = Self.answer(await courier.ask(inquiry, through: sender, clock: clock))
            if case .unreachable(let words) = answer {
                logger.warning(
                    "a partner did not answer a command",
                    metadata: [
                        "endpoint": "\(record.endpoint.id)", "command": "\(inquiry.id)", "reason": "\(words)",
                    ]
                )
            }
            return answer
        } catch {
            logger.error("a command to a partner could not be sent", metadata: ["ledger.error": "\(error)"])
            return .unreachable("its endpoint could not be read")
        }
    }

    private static func answer(_ outcome: WebhookOutcome) -> PartnerAnswer {
        if let failure = outcome.failure { return .unreachable(failure.sentence) }
        guard outcome.isSuccess else {
            return .unreachable("it answered \(outcome.status.map(String.init) ?? "nothing")")
        }
        return PartnerAnswer(reply: outcome.body)
    }

    private func taker(of partner: PartnerID) async throws -> EndpointRecord? {
        try await ledger.read { reader in
            guard try reader.partner(partner, within: .platform)?.isRevoked == false else { return nil }
            let endpoint = try reader.endpoints(of: .partner(partner))
                .filter { $0.commandTaker != nil }.min { $0.id < $1.id }
            return try endpoint.map { try EndpointRecord.alone($0, in: reader) }
        }
    }

    // MARK: Changes

    /// Takes over what the ledger now says of an endpoint.
    func endpointChanged(_ id: EndpointID) async {
        await reload { reader in
            try reader.endpoint(id, within: .platform).map { [$0] } ?? []
        } replacing: {
            $0[id] = nil
        }
    }

    /// Takes over that a partner was revoked or deleted.
    func partnerChanged(_ id: PartnerID) async {
        await reload { reader in
            guard try reader.partner(id, within: .platform)?.isRevoked == false else { return [] }
            return try reader.endpoints(of: .partner(id))
        } replacing: {
            $0 = $0.filter { $0.value != id }
        }
    }

    private func reload(
        _ read: @escaping @Sendable (any LedgerReader) throws -> [Endpoint],
        replacing forget: (inout [EndpointID: PartnerID]) -> Void
    ) async {
        do {
            let endpoints = try await ledger.read(read)
            takers.withLock { takers in
                forget(&takers)
                for endpoint in endpoints {
                    if let partner = endpoint.commandTaker { takers[endpoint.id] = partner }
                }
            }
        } catch {
            // Who is asked without need is asked once more than necessary; each command looks at the ledger anyway.
            logger.error("a changed endpoint could not be read", metadata: ["ledger.error": "\(error)"])
        }
    }
}

extension Endpoint {
    /// Whose commands the endpoint takes, if it does.
    fileprivate var commandTaker: PartnerID? {
        guard isEnabled, events.contains(.armingCommand), case .partner(let partner) = owner else { return nil }
        return partner
    }
}
