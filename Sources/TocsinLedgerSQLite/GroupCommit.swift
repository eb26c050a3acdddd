import GRDB
import Metrics
import Synchronization
import TocsinCore
import TocsinLedger

/// One piece of writing that waits for its group.
struct WriteJob: Sendable {
    /// Does the work inside the group's transaction and returns what tells the caller, to be called after the commit.
    ///
    /// Throws only what must not be committed at all. It may run twice: when its group failed, every job is tried alone.
    var perform: @Sendable (inout DecisionWriter, Database) throws -> @Sendable () -> Void
    /// Tells the caller that nothing was kept.
    var fail: @Sendable (LedgerError) -> Void
    /// How many decisions it holds, for the statistics.
    var decisions = 0
    var urgency = Urgency.ordinary

    enum Urgency {
        /// Somebody hears of an alarm by it.
        case alarm
        case ordinary
        /// Nobody waits for it as for an alarm: what became of deliveries.
        case afterAlarms
    }
}

/// What the ledger has done since it was opened.
package struct LedgerStatistics: Sendable, Equatable {
    /// Durable commits: each is one fsync.
    package var commits = 0
    /// Groups that were rolled back.
    package var rollbacks = 0
    /// Pieces of writing that shared those commits.
    package var jobs = 0
    package var decisions = 0
}

/// Gathers what waits to be written while the last commit is under way, and commits all of it together.
///
/// One fsync then serves every caller that waited: throughput grows with load while an idle ledger commits at once.
final class GroupCommit: Sendable {
    private struct Inbox {
        var jobs: [WriteJob] = []
        var isDraining = false
        var isClosed = false
        /// Something has waited for an alarm already, and waits for no other.
        private var hasWaited = false

        /// The next group, in the order in which its jobs came; empty if nothing waits.
        ///
        /// While an alarm is among them, what became of deliveries waits for the next group: a thousand lines of the
        /// attempts log take longer than the alarm itself. It waits for one group only, however many alarms there are.
        mutating func take() -> [WriteJob] {
            let waits = !hasWaited && jobs.contains { $0.urgency == .alarm }
            hasWaited = false
            guard waits, jobs.contains(where: { $0.urgency == .afterAlarms }) else {
                defer { jobs = [] }
                return jobs
            }
            hasWaited = true
            defer { jobs.removeAll { $0.urgency != .afterAlarms } }
            return jobs.filter { $0.urgency != .afterAlarms }
        }
    }

    private let writer: any DatabaseWriter
    private let path: String
    /// What the writing connection calls in each commit, and so is kept with it; none for a ledger in memory.
    let checkpoints: Checkpoints?
    private let inbox = Mutex(Inbox())
    /// What the last group left known of sites; nothing after a group that failed.
    private let known = Mutex<[SiteID: StoredState]>([:])
    private let counted = Mutex(LedgerStatistics())
    private let refusal = Mutex<LedgerError?>(nil)
    private let commitCounter = Counter(label: "tocsin_ledger_commits_total")

    init(_ writer: any DatabaseWriter, path: String, checkpoints: Checkpoints?) {
        self.checkpoints = checkpoints
        self.writer = writer
        self.path = path
    }

    /// Why the last group was refused as a whole, whatever was in it; none since one was committed.
    var lastRefusal: LedgerError? { refusal.withLock { $0 } }

    var statistics: LedgerStatistics { counted.withLock { $0 } }

    var waitingJobs: Int { inbox.withLock { $0.jobs.count } }

    func submit(_ job: WriteJob) {
        enum Next { case drain, wait, refuse }
        let next: Next = inbox.withLock { inbox in
            if inbox.isClosed { return .refuse }
            inbox.jobs.append(job)
            if inbox.isDraining { return .wait }
            inbox.isDraining = true
            return .drain
        }
        switch next {
        case .drain: writer.asyncWriteWithoutTransaction { self.drain($0) }
        case .wait: break
        case .refuse: job.fail(LedgerError(.unavailable, "the ledger is closed"))
        }
    }

    /// Takes no more jobs, and returns when the last one that was taken is done with.
    func close() async {
        inbox.withLock { $0.isClosed = true }
        await withCheckedContinuation { continuation in
            writer.asyncWriteWithoutTransaction { database in
                self.drain(database)
                continuation.resume()
            }
        }
    }

    private func drain(_ database: Database) {
        while true {
            let jobs: [WriteJob] = inbox.withLock { inbox in
                let jobs = inbox.take()
                if jobs.isEmpty { inbox.isDraining = false }
                return jobs
            }
            if jobs.isEmpty { return }
            run(jobs, database)
        }
    }

    /// Commits the group; if one of its jobs spoils it, each is tried alone, so that it fails alone.
    private func run(_ jobs: [WriteJob], _ database: Database) {
        do {
            let completions = try commit(jobs, database)
            refusal.withLock { $0 = nil }
            for completion in completions { completion() }
        } catch {
            let failure = ledgerError(error, path: path)
            let mayBeOneJobsFault =
                switch failure.code {
                case .duplicate, .invalid, .corrupt, .unavailable: true
                // What the whole group meets, each would meet alone, after waiting for it once more.
                case .full, .locked, .newerSchema: false
                }
            if mayBeOneJobsFault, jobs.count > 1 {
                for job in jobs { run([job], database) }
            } else {
                switch failure.code {
                case .full, .locked, .unavailable: refusal.withLock { $0 = failure }
                case .duplicate, .invalid, .corrupt, .newerSchema: break
                }
                for job in jobs { job.fail(failure) }
            }
        }
    }

    private func commit(_ jobs: [WriteJob], _ database: Database) throws -> [@Sendable () -> Void] {
        do {
            try database.beginTransaction(.immediate)
            var decisions = try DecisionWriter(database, known: takeKnown())
            var completions: [@Sendable () -> Void] = []
            completions.reserveCapacity(jobs.count)
            for job in jobs { completions.append(try job.perform(&decisions, database)) }
            try decisions.flush()
            try database.commit()
            self.known.withLock { $0 = decisions.states.known }
            commitCounter.increment()
            counted.withLock { counted in
                counted.commits += 1
                counted.jobs += jobs.count
                counted.decisions += jobs.reduce(0) { $0 + $1.decisions }
            }
            return completions
        } catch {
            // A full disk may have rolled the transaction back already.
            if database.isInsideTransaction { try? database.rollback() }
            counted.withLock { $0.rollbacks += 1 }
            throw error
        }
    }

    private func takeKnown() -> [SiteID: StoredState] {
        known.withLock { known in
            defer { known = [:] }
            return known
        }
    }
}
