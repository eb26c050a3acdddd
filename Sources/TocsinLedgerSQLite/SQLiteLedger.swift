import GRDB
import Metrics
import TocsinCore
import TocsinJSON
import TocsinLedger

/// The embedded ledger: one SQLite file (GRDB), write-ahead log, every commit on the disk before it is acknowledged.
package final class SQLiteLedger: Ledger {
    let writer: any DatabaseWriter
    private let group: GroupCommit
    let location: Location
    // Held for as long as the ledger is open: a data directory has one owner (decisions §13).
    private let ownership: FileLock?
    private let reads = OpenReads()
    private let readCounter = Counter(label: "tocsin_ledger_reads_total")

    init(_ writer: any DatabaseWriter, at location: Location, ownership: FileLock?, checkpoints: Checkpoints?) {
        self.writer = writer
        self.location = location
        self.ownership = ownership
        group = GroupCommit(writer, path: location.description, checkpoints: checkpoints)
    }

    /// What was committed since the ledger was opened.
    package var statistics: LedgerStatistics { group.statistics }

    package func queue(_ decisions: [Decision]) -> QueuedCommit {
        let promise = CommitPromise()
        group.submit(
            WriteJob(
                perform: { writer, _ in
                    let written = try writer.commit(decisions)
                    return { promise.keep(.success(written)) }
                },
                fail: { promise.keep(.failure($0)) },
                decisions: decisions.count,
                urgency: decisions.contains(where: \.tellsAlarm) ? .alarm : .ordinary
            )
        )
        return QueuedCommit(
            { () throws(LedgerError) in try await promise.outcomes() },
            whenDone: { promise.whenKept($0) }
        )
    }

    package func record(_ batch: DeliveryBatch) async throws(LedgerError) {
        if batch.isEmpty { return }
        let result: Result<Void, LedgerError> = await withCheckedContinuation { continuation in
            group.submit(
                WriteJob(
                    perform: { _, database in
                        try DeliveryRecorder(database).record(batch)
                        return { continuation.resume(returning: .success(())) }
                    },
                    fail: { continuation.resume(returning: .failure($0)) },
                    urgency: .afterAlarms
                )
            )
        }
        try result.get()
    }

    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any LedgerTransaction) throws -> T
    ) async throws -> T {
        let result: Result<T, any Error> = await withCheckedContinuation { continuation in
            group.submit(
                WriteJob(
                    perform: { decisions, database in
                        // The body sees and changes the dealers' counters in their table.
                        try decisions.flush()
                        let result = try Self.savepoint(database, body)
                        return { continuation.resume(returning: result) }
                    },
                    fail: { continuation.resume(returning: .failure($0)) }
                )
            )
        }
        return try result.get()
    }

    package func load(_ sites: [SiteID]) async throws(LedgerError) -> [SiteID: SiteRecord] {
        try reads.begin()
        defer { reads.end() }
        readCounter.increment()
        do {
            return try await writer.read { database in
                let loader = try SiteLoader(database)
                var records: [SiteID: SiteRecord] = [:]
                records.reserveCapacity(sites.count)
                for site in sites { records[site] = try loader.load(site) }
                return records
            }
        } catch {
            throw ledgerError(error, path: location.description)
        }
    }

    package func read<T: Sendable>(_ body: @escaping @Sendable (any LedgerReader) throws -> T) async throws -> T {
        try reads.begin()
        defer { reads.end() }
        readCounter.increment()
        let result: Result<T, any Error>
        do {
            result = try await writer.read { database in
                do {
                    return .success(try body(SQLiteReader(database: database)))
                } catch {
                    return .failure(Self.translated(error))
                }
            }
        } catch {
            throw ledgerError(error, path: location.description)
        }
        return try result.get()
    }

    package func checkWritable() async throws(LedgerError) {
        guard group.lastRefusal != nil else { return }
        do {
            try await write { try $0.setFact(Self.probe.name, to: [UInt8](repeating: 0, count: Self.probe.size)) }
        } catch {
            throw ledgerError(error, path: location.description)
        }
    }

    /// What is written to find out whether anything can be: large enough that it needs room of its own.
    private static let probe = (name: "write_probe", size: 32 << 10)

    package func close() async throws(LedgerError) {
        guard await reads.close() else { return }
        await group.close()
        group.checkpoints?.close()
        // A tool beside a server leaves it the log's room (``prepareLog()``).
        if case .file(let path) = location, ownership != nil || !FileLock.isHeld(path: path + ".owner") {
            // Leaves one whole file; what a reader beside us still holds up stays in the log, which is as safe.
            _ = try? await writer.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        }
        do {
            try writer.close()
        } catch {
            throw ledgerError(error, path: location.description)
        }
        ownership?.release()
    }

    package func backup(to path: String) async throws(LedgerError) {
        try reads.begin()
        defer { reads.end() }
        try await Backup(of: writer, at: location).run(to: path)
    }

    /// How much waits for the next commit just now.
    package var waitingJobs: Int { group.waitingJobs }

    /// What the writing connection promises, as SQLite itself tells it.
    package func settings() async throws -> (synchronous: Int, journalMode: String, foreignKeys: Bool) {
        try await writer.writeWithoutTransaction { database in
            (
                synchronous: Int(try database.number("PRAGMA synchronous")),
                journalMode: try database.first("PRAGMA journal_mode") { $0.text(0) } ?? "",
                foreignKeys: try database.number("PRAGMA foreign_keys") == 1
            )
        }
    }

    /// Bounds the file's size; what does not fit is refused as a full disk is.
    package func limitSize(toPages pages: Int) async throws(LedgerError) {
        do {
            try await writer.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = \(pages)") }
        } catch {
            throw ledgerError(error, path: location.description)
        }
    }

    /// Runs one closure of a group so that, if it throws, only it is undone.
    ///
    /// Throws what spoils the whole group; what concerns the closure's caller alone is in the result.
    private static func savepoint<T>(
        _ database: Database,
        _ body: @Sendable (any LedgerTransaction) throws -> T
    ) throws -> Result<T, any Error> {
        var value: T?
        do {
            try database.inSavepoint {
                value = try body(SQLiteTransaction(database: database))
                return .commit
            }
        } catch let error as DatabaseError where error.resultCode != .SQLITE_CONSTRAINT {
            throw error
        } catch {
            // The disk may have been full inside a body that then threw something else.
            guard database.isInsideTransaction else { throw LedgerError(.unavailable, "the group was rolled back") }
            return .failure(translated(error))
        }
        guard let value else { throw LedgerError(.unavailable, "the group was rolled back") }
        return .success(value)
    }

    /// Callers see the ledger's errors and their own, never the database's.
    private static func translated(_ error: any Error) -> any Error {
        // A JSON error may be the caller's: a body may well parse something of its own.
        let isOurs = error is DatabaseError || isDamage(error) && !(error is JSONError)
        return isOurs ? ledgerError(error) : error
    }
}
