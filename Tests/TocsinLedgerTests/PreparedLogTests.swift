import Foundation
import Testing
import TocsinCore
import TocsinLedger
import TocsinTestSupport

@testable import TocsinLedgerSQLite

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct PreparedLogTests {
    private func size(_ path: String) throws -> Int64 {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64)
    }

    private func events(_ world: LedgerWorld, _ ledger: SQLiteLedger) async throws -> [Int64] {
        try await ledger.read { [dealer = world.dealer.id] in
            try $0.events(of: dealer, after: 0, limit: 1_000).map(\.sequence)
        }
    }

    private func commit(_ versions: ClosedRange<Int64>, _ world: LedgerWorld, _ ledger: SQLiteLedger) async throws {
        for version in versions { _ = try await ledger.commit([world.decision(version: version)]) }
    }

    /// The ledger's files as a `kill -9` at this moment would leave them.
    private func killed(_ path: String, in directory: String) throws -> String {
        let copy = directory + "/killed.sqlite"
        for end in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + end, toPath: copy + end) }
        return copy
    }

    private struct Disk: Sendable {
        var freeMiB: Int64
        var logMiB: Int64
    }

    private static let disks = [
        Disk(freeMiB: 1 << 20, logMiB: 256), Disk(freeMiB: 4_096, logMiB: 256), Disk(freeMiB: 1_024, logMiB: 64),
        Disk(freeMiB: 64, logMiB: 4), Disk(freeMiB: 63, logMiB: 0), Disk(freeMiB: 0, logMiB: 0),
    ]

    @Test(arguments: disks)
    private func `a small disk gets a short log`(_ disk: Disk) {
        #expect(PreparedLog.size(freeBytes: disk.freeMiB << 20) == disk.logMiB << 20)
        #expect(PreparedLog.size(freeBytes: nil) == 0)
    }

    @Test func `a prepared log does not grow, and goes with a clean close`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let ledger = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: ledger)
            let prepared = try ledger.prepareLog()
            #expect(try size(path + "-wal") == prepared)
            #expect(prepared >= PreparedLog.bytesAtLeast)
            try await commit(1...20, world, ledger)
            #expect(try size(path + "-wal") == prepared)
            try await ledger.close()
            #expect(try !FileManager.default.fileExists(atPath: path + "-wal") || size(path + "-wal") == 0)

            let again = try SQLiteLedger.open(.file(path))
            #expect(try await events(world, again) == Array(1...40))
            #expect(try await again.read { try $0.verify() } == [])
            try await again.close()
        }
    }

    @Test(arguments: [false, true])
    func `a kill leaves frames before zeros, and all of them are found`(preparedFirst: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let ledger = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: ledger)
            if preparedFirst { try ledger.prepareLog() }
            try await commit(1...20, world, ledger)
            if !preparedFirst { try ledger.prepareLog() }
            let copy = try killed(path, in: directory)
            try await ledger.close()
            let log = try #require(FileHandle(forReadingAtPath: copy + "-wal"))
            let last = Int64(try log.seekToEnd())
            try #require(last >= PreparedLog.bytesAtLeast, "the disk is too small for this test")
            try log.seek(toOffset: UInt64(last - 4_096))
            #expect(try log.readToEnd() == Data(count: 4_096))
            try log.close()

            let again = try SQLiteLedger.open(.file(copy))
            #expect(try await events(world, again) == Array(1...40))
            try again.prepareLog()
            try await commit(21...30, world, again)
            #expect(try await events(world, again) == Array(1...60))
            #expect(try await again.read { try $0.verify() } == [])
            try await again.close()
        }
    }

    @Test func `a log of zeros alone is an empty one`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let ledger = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: ledger)
            try await commit(1...5, world, ledger)
            try await ledger.close()
            try Data(count: 5 << 20).write(to: URL(filePath: path + "-wal"))
            let again = try SQLiteLedger.open(.file(path))
            try await commit(6...10, world, again)
            #expect(try await events(world, again) == Array(1...20))
            #expect(try await again.read { try $0.verify() } == [])
            try await again.close()
        }
    }

    @Test func `a tool neither prepares the log nor takes its room away`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let tool = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: tool)
            #expect(try size(path + "-wal") < PreparedLog.bytesAtLeast)
            try await tool.close()

            let server = try SQLiteLedger.open(.file(path))
            let prepared = try server.prepareLog()
            let guest = try SQLiteLedger.open(.file(path), role: .guest)
            try await guest.write { try $0.setFact("note", to: [1]) }
            try await guest.close()
            #expect(try size(path + "-wal") == prepared)
            try await commit(1...3, world, server)
            #expect(try await events(world, server) == Array(1...6))
            try await server.close()

            // Alone it leaves one whole file, as the server did.
            let last = try SQLiteLedger.open(.file(path), role: .guest)
            try await last.write { try $0.setFact("note", to: [2]) }
            try await last.close()
            #expect(try !FileManager.default.fileExists(atPath: path + "-wal") || size(path + "-wal") == 0)
        }
    }

    @Test func `a disk that fills meanwhile gives the log its old length`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/log"
            try Data(repeating: 7, count: 100).write(to: URL(filePath: path))
            var log = PreparedLog(path: path)
            let write = log.write
            log.write = { descriptor, offset, count in
                if offset < PreparedLog.step + 5_000 { return write(descriptor, offset, min(count, 4_096)) }
                errno = ENOSPC
                return -1
            }
            let error = #expect(throws: LedgerError.self) { try log.extend(to: 4 * PreparedLog.step) }
            #expect(error?.code == .full)
            #expect(try Data(contentsOf: URL(filePath: path)) == Data(repeating: 7, count: 100))
            #expect(throws: LedgerError.self) { try PreparedLog(path: path + ".none").extend(to: 4_096) }
            #expect(!FileManager.default.fileExists(atPath: path + ".none"))
        }
    }
}
