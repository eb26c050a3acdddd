import TocsinCore
import TocsinLedger

/// Something that is asked of a site, decided in the site's turn and answered once it is durable.
///
/// Alarms, devices, snapshots and relays come this way: each brings its own decision, and shares with the arming
/// commands the order, the commit and the audit.
package protocol SiteTask: Sendable {
    associatedtype Answer: Sendable

    var siteID: SiteID { get }
    /// When the last byte of it was read: what decides against a deadline.
    var receivedAt: Instant { get }
    /// Who asks; none for what Tocsin itself has noticed.
    var request: Request? { get }

    /// Alarms that it may touch beside those that the site's own state names; ``Plan/alarm(_:)`` finds them then.
    var alarms: AlarmNeeds { get }

    /// Decides on the plan; nothing has happened until the plan is committed. May be called again after a conflict.
    func decide(_ plan: inout Plan) throws(VaultError) -> Answer
}

extension SiteTask {
    package var alarms: AlarmNeeds { .none }
}

/// What became of a task.
package enum TaskResult<Answer: Sendable>: Sendable {
    /// Durable, if it changed anything.
    case answered(Answer)
    /// There is no such site, or not for this caller.
    case unknownSite
    /// The idempotency key is stored already, under this record.
    case knownKey(IdempotencyRecord)
}

/// A task with whoever waits for its answer, whatever its kind.
protocol WaitingTask: Sendable {
    var siteID: SiteID { get }
    var receivedAt: Instant { get }
    var alarms: AlarmNeeds { get }

    /// Decides, and returns what tells the answer once the decision is durable.
    func settle(_ plan: inout Plan, knownKeys: [String: IdempotencyRecord]) throws(VaultError) -> @Sendable () -> Void
    func fail(with error: LedgerError)
    func answerUnknownSite()
}

struct AskedTask<Task: SiteTask>: WaitingTask {
    var task: Task
    var reply: SiteCommand.Reply<TaskResult<Task.Answer>>

    var siteID: SiteID { task.siteID }
    var receivedAt: Instant { task.receivedAt }
    var alarms: AlarmNeeds { task.alarms }

    func settle(
        _ plan: inout Plan,
        knownKeys: [String: IdempotencyRecord]
    ) throws(VaultError) -> @Sendable () -> Void {
        let result: TaskResult<Task.Answer>
        if let request = task.request, !request.reach.covers(plan.record.configuration.site) {
            result = .unknownSite
        } else if let ticket = task.request?.idempotency, let known = knownKeys[ticket.key] {
            result = .knownKey(known)
        } else {
            result = .answered(try task.decide(&plan))
        }
        let reply = reply
        return { reply.resume(returning: .success(result)) }
    }

    func fail(with error: LedgerError) { reply.resume(returning: .failure(error)) }

    func answerUnknownSite() { reply.resume(returning: .success(.unknownSite)) }
}
