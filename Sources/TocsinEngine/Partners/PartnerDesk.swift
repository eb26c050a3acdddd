import Synchronization
import TocsinCore
import TocsinLedger

/// What this process knows of commands that wait for a partner: which it has sent, and whose callers wait.
///
/// The commands themselves are in the sites' states. One that stands there and was not sent by this process was sent
/// before a restart, and is sent again.
final class PartnerDesk: Sendable {
    /// A caller that gets the answer once the command is decided; after a crash there is none.
    struct Waiter: Sendable {
        var panel: PanelCommand
        var reply: SiteCommand.Reply<PanelResult>
    }

    private struct State {
        var sent: Set<EventID> = []
        var waiters: [EventID: Waiter] = [:]
    }

    /// None where nobody was wired: then nobody is asked.
    let commander: (any PartnerCommander)?
    private let state = Mutex(State())
    private let outbox = Inbox<PartnerInquiry>(capacity: .max)

    init(commander: (any PartnerCommander)?) { self.commander = commander }

    /// Whether the site's partner is asked before anything is armed or disarmed there.
    func asksPartner(of site: Site) -> Bool {
        guard site.armingModel == .platformTriggered, let partner = site.partnerID else { return false }
        return commander?.asks(partner) ?? false
    }

    func hasSent(_ id: EventID) -> Bool { state.withLock { $0.sent.contains(id) } }

    func waiter(for id: EventID) -> Waiter? { state.withLock { $0.waiters[id] } }

    func wait(_ waiter: Waiter, for id: EventID) { state.withLock { $0.waiters[id] = waiter } }

    /// Takes the caller, who is about to be answered.
    func release(_ id: EventID) -> Waiter? { state.withLock { $0.waiters.removeValue(forKey: id) } }

    /// The partner has answered, or will not: nothing more is under way.
    func closed(_ id: EventID) { state.withLock { _ = $0.sent.remove(id) } }

    /// Sends a command that is durable.
    func send(_ inquiry: PartnerInquiry) {
        let isNew = state.withLock { $0.sent.insert(inquiry.id).inserted }
        if isNew { _ = outbox.put(inquiry) }
    }

    // MARK: Running

    /// Asks partners until ``close()``, each at once, and tells what they say.
    func run(_ answered: @escaping @Sendable (PartnerInquiry, PartnerAnswer) -> Void) async {
        let commander = commander
        await withDiscardingTaskGroup { group in
            while let inquiries = await outbox.next() {
                for inquiry in inquiries {
                    group.addTask {
                        let answer =
                            await commander?.ask(inquiry) ?? .unreachable("commands are not sent by this server")
                        answered(inquiry, answer)
                    }
                }
            }
            await commander?.stop()
        }
    }

    /// Sends nothing more; who still waits learns that the server stops.
    ///
    /// Their commands are decided after the restart.
    func close() {
        outbox.close()
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters.values.map(\.reply)
        }
        for waiter in waiters {
            waiter.resume(
                returning: .failure(LedgerError(.unavailable, "the server stopped while the partner was asked"))
            )
        }
    }
}
