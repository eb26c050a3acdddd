import Foundation
import Testing
import TocsinCore
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@Suite struct SQLiteLedgerTests {
    @Test func `a reopened ledger still has everything`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let first = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: first)
            let outcomes = try await first.commit([world.decision(version: 1)])
            #expect(outcomes.first?.events?.map(\.sequence) == [1, 2])
            try await first.close()

            let second = try SQLiteLedger.open(.file(path))
            let record = try await second.load([world.site.id])[world.site.id]
            #expect(record?.version == 2)
            #expect(record?.state.partitions[world.partition.id]?.phase == .armed(.away))
            #expect(try await second.read { try $0.events(of: world.dealer.id, after: 0, limit: 10) }.count == 2)
            #expect(try await second.read { try $0.verify() } == [])
            try await second.close()
        }
    }
}

/// Gives a directory of its own, and removes it afterwards.
func withTemporaryDirectory<T>(_ body: (String) async throws -> T) async throws -> T {
    let directory = FileManager.default.temporaryDirectory.path + "/tocsin-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    return try await body(directory)
}
