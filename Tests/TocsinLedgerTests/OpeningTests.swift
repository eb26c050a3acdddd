import Dispatch
import Foundation
import Synchronization
import Testing
import TocsinCore
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@Suite struct OpeningTests {
    private func refusal(_ path: String, role: SQLiteLedger.Role = .owner, migrate: Bool = true) -> LedgerError? {
        #expect(throws: LedgerError.self) { try SQLiteLedger.open(.file(path), role: role, migrate: migrate) }
    }

    private func ledger(_ directory: String) async throws -> String {
        let path = directory + "/ledger.sqlite"
        let ledger = try SQLiteLedger.open(.file(path))
        let world = try await LedgerWorld.make(in: ledger)
        for version: Int64 in 1...200 { _ = try await ledger.commit([world.decision(version: version)]) }
        try await ledger.close()
        return path
    }

    private func overwrite(_ path: String, at offset: UInt64, _ bytes: [UInt8]) throws {
        let handle = try #require(FileHandle(forUpdatingAtPath: path))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }

    @Test func `a file that is no database is refused and left alone`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            try Data("just a letter, longer than a header would be".utf8).write(to: URL(filePath: path))
            let error = refusal(path)
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("tocsin admin restore") == true)
            #expect(try Data(contentsOf: URL(filePath: path)).starts(with: Data("just".utf8)))
            #expect(refusal(directory)?.code == .corrupt)
        }
    }

    @Test func `another program's database is refused`() async throws {
        try await withTemporaryDirectory { directory in
            let path = try await ledger(directory)
            // The application id stands at byte 68 of the header.
            try overwrite(path, at: 68, [1, 2, 3, 4])
            #expect(refusal(path)?.code == .corrupt)
        }
    }

    @Test func `a damaged file is refused`() async throws {
        try await withTemporaryDirectory { directory in
            let path = try await ledger(directory)
            try overwrite(path, at: 8192 * 20, [UInt8](repeating: 0xA5, count: 8192 * 10))
            let error = refusal(path)
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("tocsin admin restore") == true)
        }
    }

    @Test func `a newer program's ledger is refused`() async throws {
        try await withTemporaryDirectory { directory in
            let path = try await ledger(directory)
            // The version of the tables stands at byte 60 of the header.
            try overwrite(path, at: 60, [0, 0, 0, 99])
            #expect(refusal(path)?.code == .newerSchema)
            let error = #expect(throws: LedgerError.self) { try SQLiteLedger.needsMigration(path: path) }
            #expect(error?.code == .newerSchema)
        }
    }

    @Test func `a second owner is refused, a guest is not`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let owner = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: owner)
            #expect(refusal(path)?.code == .locked)

            let guest = try SQLiteLedger.open(.file(path), role: .guest, migrate: false)
            let token = AdminToken(
                id: TokenID(stored: "tok_1"),
                name: "ops",
                hash: "h",
                dealerID: nil,
                createdAt: LedgerWorld.start
            )
            try await guest.write { try $0.insert(token) }
            #expect(try await owner.read { try $0.adminToken(hash: "h") } == token)
            _ = try await owner.commit([world.decision(version: 1)])
            #expect(try await guest.read { try $0.lastSequence(of: world.dealer.id) } == 2)
            try await guest.close()

            try await owner.close()
            try await SQLiteLedger.open(.file(path)).close()
        }
    }

    @Test func `a write that another process holds up is refused as locked`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let owner = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: owner)
            let guest = try SQLiteLedger.open(.file(path), role: .guest)
            let error = await #expect(throws: LedgerError.self) {
                try await owner.write { transaction in
                    // Inside the owner's transaction, so that the guest meets its lock until it gives up.
                    let blocked = Blocked<Void>()
                    Task {
                        blocked.finish(
                            await Result(catching: { try await guest.write { try $0.append(world.auditEntry()) } })
                        )
                    }
                    try blocked.wait()
                }
            }
            #expect(error?.code == .locked)
            #expect(try await owner.commit([world.decision(version: 1)]).first?.isConflict == false)
            try await guest.close()
            try await owner.close()
        }
    }

    @Test func `a tool opens a ledger whose server writes all the time, and reads it`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            let owner = try SQLiteLedger.open(.file(path))
            let world = try await LedgerWorld.make(in: owner)
            _ = try await owner.commit([world.decision(version: 1)])
            let dealer = world.dealer.id
            let last = try await owner.write { _ in
                // Inside the owner's transaction: who asks for its lock here gets none.
                let blocked = Blocked<Int64>()
                Task {
                    blocked.finish(
                        await Result(catching: {
                            let guest = try SQLiteLedger.open(.file(path), role: .guest, migrate: false)
                            let last = try await guest.read { try $0.lastSequence(of: dealer) }
                            try await guest.close()
                            return last
                        })
                    )
                }
                return try blocked.wait()
            }
            #expect(last == 2)
            try await owner.close()
        }
    }

    @Test func `a missing ledger needs a migration and is made only by one`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/ledger.sqlite"
            #expect(try SQLiteLedger.needsMigration(path: path))
            #expect(refusal(path, migrate: false)?.code == .unavailable)
            let ledger = try SQLiteLedger.open(.file(path))
            #expect(try await ledger.read { try $0.schemaVersion() } == SQLiteLedger.currentSchemaVersion)
            try await ledger.close()
            #expect(try !SQLiteLedger.needsMigration(path: path))
            #expect(refusal(directory + "/none/ledger.sqlite")?.code == .unavailable)
        }
    }
}

/// Waits on a thread for what a task comes to.
private final class Blocked<Value: Sendable>: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private let result = Mutex<Result<Value, any Error>?>(nil)

    func finish(_ result: Result<Value, any Error>) {
        self.result.withLock { $0 = result }
        done.signal()
    }

    func wait() throws -> Value {
        done.wait()
        return try #require(try result.withLock { $0 }?.get())
    }
}

extension Result where Failure == any Error {
    fileprivate init(catching body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
