import Dispatch
import GRDB
import GRDBSQLite
import Synchronization

/// Copies what the write-ahead log has gathered back into the file, beside the writer.
///
/// SQLite by itself does it in the commit that fills the log: at a closing time, when the log fills three times, each was
/// a tenth of a second in which nothing was committed. What is copied was made durable by its commit; only the file's
/// own fsync, before the log begins anew, is done here.
final class Checkpoints: Sendable {
    /// 64 MiB of 8 KiB pages: a page that changes often is then copied back seldom, and reopening still takes no second.
    static let pagesPerCheckpoint: Int32 = 8_000
    /// 4 MiB, on a disk that is nearly full.
    static let pagesAtLeast: Int32 = 500
    /// So long without a commit is a pause: what is copied then is in nobody's way.
    private static let pause: DispatchTimeInterval = .milliseconds(100)
    /// While writers never pause, the log grows to so many times that before it is copied beside them.
    private static let checkpointsWithoutPause: Int32 = 4
    /// At so many times that the writer itself copies what is left.
    private static let checkpointsMaximum: Int32 = 8

    private struct State {
        /// Opened when there is first something to copy: most programs that open a ledger never fill its log.
        var queue: DatabaseQueue?
        /// How many of the log's pages were copied when last somebody looked.
        var copied: Int32 = 0
        var isRunning = false
        /// Somebody waits for a pause.
        var isWaiting = false
        var isClosed = false
        /// How many commits there were: by it a pause is told.
        var commits = 0
    }

    private let open: @Sendable () throws -> DatabaseQueue
    private let freeBytes: @Sendable () -> Int64?
    private let state = Mutex(State())

    /// Takes what opens a connection beside the writer's, and what tells how much room the disk has, if that is known.
    init(freeBytes: @escaping @Sendable () -> Int64?, _ open: @escaping @Sendable () throws -> DatabaseQueue) {
        self.freeBytes = freeBytes
        self.open = open
    }

    /// How many pages the log gathers before they are copied: a sixteenth of the free room at most, so that with eight times
    /// as many in it there still is room for all of them in the file.
    static func pages(freeBytes: Int64) -> Int32 {
        Int32(clamping: max(Int64(pagesAtLeast), min(Int64(pagesPerCheckpoint), freeBytes / 8_192 / 16)))
    }

    /// Takes the place of the writing connection's own checkpoints; must outlive its last commit.
    func attach(to database: Database) {
        sqlite3_wal_hook(
            database.sqliteConnection,
            { context, connection, _, pages in
                guard let context else { return SQLITE_OK }
                let checkpoints = Unmanaged<Checkpoints>.fromOpaque(context).takeUnretainedValue()
                if checkpoints.committed(pages) { Checkpoints.copy(connection) }
                return SQLITE_OK
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    /// Waits for a copy that is under way; the writer does what is left when it closes.
    func close() {
        let queue = state.withLock { state in
            state.isClosed = true
            return state.queue
        }
        try? queue?.close()
    }

    /// Called after each commit with the pages that are in the log; true if the writer must make room itself.
    private func committed(_ pages: Int32) -> Bool {
        // Nothing to think about yet, however full the disk is.
        if pages < Self.pagesAtLeast { return false }
        let limit = freeBytes().map(Self.pages) ?? Self.pagesPerCheckpoint
        enum Next { case nothing, wait, copy }
        let next = state.withLock { state -> Next in
            state.commits += 1
            // The log has begun anew.
            if pages < state.copied { state.copied = 0 }
            let uncopied = pages - state.copied
            if state.isRunning || uncopied < limit { return .nothing }
            if uncopied >= limit * Self.checkpointsWithoutPause { return .copy }
            defer { state.isWaiting = true }
            return state.isWaiting ? .nothing : .wait
        }
        switch next {
        case .nothing: break
        case .wait: waitForPause()
        case .copy: start()
        }
        return pages >= limit * Self.checkpointsMaximum
    }

    /// Copies as soon as nothing is committed for a while: a closing time is over in seconds, and has better use for the disk.
    private func waitForPause() {
        let seen = state.withLock { $0.commits }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.pause) {
            let isPause = self.state.withLock { state -> Bool? in
                // What was copied meanwhile because the log grew needs no pause any more.
                if state.isClosed || !state.isWaiting { return nil }
                return state.commits == seen
            }
            guard let isPause else { return }
            if isPause { self.start() } else { self.waitForPause() }
        }
    }

    private func start() {
        let queue = state.withLock { state -> DatabaseQueue? in
            if state.isRunning || state.isClosed { return nil }
            // One that cannot be opened now is tried again at the next commit.
            if state.queue == nil { state.queue = try? open() }
            state.isWaiting = false
            state.isRunning = state.queue != nil
            return state.queue
        }
        queue?.asyncWriteWithoutTransaction { database in
            let copied = Self.copy(database.sqliteConnection)
            self.state.withLock { state in
                state.isRunning = false
                state.copied = max(copied, 0)
            }
        }
    }

    /// Copies what no reader still needs in the log, and returns how many of its pages are copied now; waits for nobody.
    ///
    /// A failure loses nothing: the pages stay in the log until the next attempt.
    @discardableResult
    private static func copy(_ connection: OpaquePointer?) -> Int32 {
        var copied: Int32 = 0
        sqlite3_wal_checkpoint_v2(connection, nil, SQLITE_CHECKPOINT_PASSIVE, nil, &copied)
        return copied
    }
}
