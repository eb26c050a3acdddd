import Testing
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@Suite struct LedgerConformanceTests {
    @Test(arguments: LedgerConformance.all)
    func `a ledger in a file conforms`(promise: LedgerCase) async throws {
        try await withTemporaryDirectory { directory in
            let ledger = try SQLiteLedger.open(.file(directory + "/ledger.sqlite"))
            try await promise.run(ledger)
            try await ledger.close()
        }
    }

    @Test(arguments: LedgerConformance.all)
    func `a ledger in memory conforms`(promise: LedgerCase) async throws {
        let ledger = try SQLiteLedger.open(.memory)
        try await promise.run(ledger)
        try await ledger.close()
    }
}
