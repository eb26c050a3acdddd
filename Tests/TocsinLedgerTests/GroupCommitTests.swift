import Dispatch
import Synchronization
import Testing
import TocsinLedger

@testable import TocsinLedgerSQLite

/// Which jobs share a commit.
struct GroupCommitTests {
    @Test func `what became of deliveries waits for an alarm's commit, and for no other`() throws {
        #expect(
            try groups([("lines", .afterAlarms), ("report", .ordinary), ("alarm", .alarm), ("more", .afterAlarms)])
                == [["report", "alarm"], ["lines", "more"]]
        )
    }

    @Test func `without an alarm all share one commit, in their order`() throws {
        #expect(
            try groups([("lines", .afterAlarms), ("report", .ordinary), ("more", .afterAlarms)])
                == [["lines", "report", "more"]]
        )
    }

    @Test func `what has waited for one alarm is committed with the next`() throws {
        let found = try groups([("lines", .afterAlarms), ("alarm", .alarm)], afterFirst: [("next", .alarm)])
        #expect(found == [["alarm"], ["lines", "next"]])
    }

    /// What is committed together of jobs that came while the writer was busy, and of those that come in the first commit.
    private func groups(
        _ jobs: [(String, WriteJob.Urgency)],
        afterFirst others: [(String, WriteJob.Urgency)] = []
    ) throws -> [[String]] {
        let ledger = try SQLiteLedger.open(.memory)
        let group = GroupCommit(ledger.writer, path: "memory", checkpoints: nil)
        let (isBusy, mayGoOn, isDone) = (
            DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
        )
        let committed = Mutex<[(commit: Int, name: String)]>([])
        let isFirst = Atomic(true)
        @Sendable func submit(_ name: String, _ urgency: WriteJob.Urgency) {
            group.submit(
                WriteJob(
                    perform: { _, _ in
                        if isFirst.exchange(false, ordering: .relaxed) {
                            for (name, urgency) in others { submit(name, urgency) }
                        }
                        return {
                            committed.withLock { $0.append((group.statistics.commits, name)) }
                            isDone.signal()
                        }
                    },
                    fail: { _ in isDone.signal() },
                    urgency: urgency
                )
            )
        }
        group.submit(
            WriteJob(
                perform: { _, _ in
                    isBusy.signal()
                    mayGoOn.wait()
                    return {}
                },
                fail: { _ in }
            )
        )
        isBusy.wait()
        for (name, urgency) in jobs { submit(name, urgency) }
        mayGoOn.signal()
        for _ in 0..<jobs.count + others.count { isDone.wait() }
        return Dictionary(grouping: committed.withLock { $0 }, by: \.commit).sorted { $0.key < $1.key }
            .map { $0.value.map(\.name) }
    }
}
