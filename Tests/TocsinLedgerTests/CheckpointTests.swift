import Testing

@testable import TocsinLedgerSQLite

struct CheckpointTests {
    private struct Case: Sendable {
        var freeMiB: Int64
        var pages: Int32
    }

    private static let cases = [
        Case(freeMiB: 1 << 40, pages: 8_000),
        Case(freeMiB: 1_024, pages: 8_000),
        Case(freeMiB: 512, pages: 4_096),
        Case(freeMiB: 90, pages: 720),
        Case(freeMiB: 1, pages: 500),
        Case(freeMiB: 0, pages: 500),
    ]

    @Test(arguments: cases) private func `the log of a ledger stays small on a small disk`(_ sample: Case) {
        #expect(Checkpoints.pages(freeBytes: sample.freeMiB << 20) == sample.pages)
    }
}
