import Crypto
import Foundation
import Synchronization
import TocsinCore

/// The files of snapshots: for each dealer a directory, in it one file for each content, named by its hash.
///
/// ```
/// snapshots/<dealer id>/incoming/<snapshot id>    on its way in
/// snapshots/<dealer id>/ab/cdef…                  the content whose SHA-256 is abcdef…
/// ```
/// A file is on the disk under its name before the ledger hears of it; so no snapshot is ever without its file, and a
/// crash leaves at most a file that no snapshot has, which a sweep finds. Nothing that a caller wrote becomes a part of a
/// path: only ids and hashes that were checked do.
package final class SnapshotFiles: Sendable {
    /// Where they are in a data directory.
    package static func root(in dataDirectory: String) -> String { dataDirectory + "/snapshots" }

    /// Uploads at once: each holds a connection, an open file and ``blockLength`` bytes.
    package static let uploadsMaximum = 256
    /// Bytes that are written and read together.
    package static let blockLength = 64 * 1024
    /// What uploads leave free on the disk: pictures must not take the space in which alarms are recorded.
    package static let reservedSpace = 32 << 20
    /// A younger file is not removed, whatever the ledger says of it: its snapshot may be about to be stored.
    package static let graceOfFiles: Duration = .seconds(3600)

    /// The moments at which tests let a crash or a failure happen.
    package enum Moment: Sendable {
        /// The file has its name, and the ledger has not heard of it.
        case placed
    }

    let root: String
    private let clock: any WallClock
    private let disk = DiskQueue()
    private let uploads = Mutex(0)
    /// A file is named and removed in turns, so that no fresh one is taken for an old one of the same content.
    private let names = Mutex(())
    private let hook: @Sendable (Moment) throws -> Void

    package init(
        root: String,
        clock: any WallClock,
        hook: @escaping @Sendable (Moment) throws -> Void = { _ in }
    ) {
        self.root = root
        self.clock = clock
        self.hook = hook
    }

    // MARK: Coming in

    /// A file that has come in whole and is what it is called; it is gone after the upload unless it is kept.
    package struct Received: Sendable {
        package let content: StoredContent
        package let size: Int
        fileprivate let file: DiskFile
        fileprivate let path: String
    }

    /// Takes a file in, part by part, and lets `body` use it.
    ///
    /// - Parameters:
    ///   - id: The snapshot that it is for.
    ///   - dealer: Whose it is.
    ///   - type: What it is called.
    ///   - announced: Its length, if that was announced.
    ///   - next: Gives the next part; none at the end.
    ///   - body: What is to become of it; see ``keep(_:)``.
    /// - Returns: What `body` returned.
    /// - Throws: ``SnapshotRefusal``, and whatever `next` and `body` throw; nothing is left of the upload then.
    package func receive<Outcome>(
        _ id: SnapshotID,
        of dealer: DealerID,
        called type: MediaType,
        announced: Int?,
        next: () async throws -> [UInt8]?,
        body: (Received) async throws -> Outcome
    ) async throws -> Outcome {
        if let announced, announced > Snapshot.sizeMaximum { throw SnapshotRefusal.tooLarge }
        guard
            uploads.withLock({ open in
                if open >= Self.uploadsMaximum { return false }
                open += 1
                return true
            })
        else { throw SnapshotRefusal.busy }
        defer { uploads.withLock { $0 -= 1 } }
        let path = try directory(of: dealer) + "/\(Self.incomingName)/\(id)"
        let file = try await disk.run { () throws(SnapshotRefusal) in try self.create(path, for: dealer, announced) }
        defer { Disk.remove(path) }
        let (hash, size) = try await write(to: file, called: type, announced: announced, next)
        let content = StoredContent(dealerID: dealer, hash: hash)
        return try await body(Received(content: content, size: size, file: file, path: path))
    }

    private func create(
        _ path: String,
        for dealer: DealerID,
        _ announced: Int?
    ) throws(SnapshotRefusal) -> DiskFile {
        let directory = try directory(of: dealer)
        try Disk.makeDirectory(root, in: (root as NSString).deletingLastPathComponent)
        let needed = Self.reservedSpace + (announced ?? Snapshot.sizeMaximum)
        if let free = Disk.freeSpace(root), free < needed { throw .noSpace }
        try Disk.makeDirectory(directory, in: root)
        try Disk.makeDirectory("\(directory)/\(Self.incomingName)", in: directory)
        return try DiskFile.create(path)
    }

    private func write(
        to file: DiskFile,
        called type: MediaType,
        announced: Int?,
        _ next: () async throws -> [UInt8]?
    ) async throws -> (ContentHash, Int) {
        var inspection = MediaInspection(declared: type)
        var hash = SHA256()
        var size = 0
        var block: [UInt8] = []
        while let part = try await next() {
            size += part.count
            if size > Snapshot.sizeMaximum { throw SnapshotRefusal.tooLarge }
            do throws(MediaProblem) { try inspection.take(part) } catch { throw SnapshotRefusal.media(error) }
            hash.update(data: part)
            block += part
            if block.count >= Self.blockLength {
                let full = block
                block = []
                try await disk.run { () throws(SnapshotRefusal) in try file.append(full) }
            }
        }
        // A connection that ended early looks like an end too.
        if let announced, announced != size { throw SnapshotRefusal.incomplete(received: size, announced: announced) }
        do throws(MediaProblem) { try inspection.finish() } catch { throw SnapshotRefusal.media(error) }
        let rest = block
        try await disk.run { () throws(SnapshotRefusal) in try file.append(rest) }
        guard let content = ContentHash(Array(hash.finalize()).hexadecimal) else {
            throw SnapshotRefusal.unavailable("a hash is none")
        }
        return (content, size)
    }

    /// Gives the file its name, durably; a file of the same content is replaced by it, which changes nothing.
    package func keep(_ received: Received) async throws {
        let now = clock.now
        let (directory, path) = try place(of: received.content)
        let dealer = try self.directory(of: received.content.dealerID)
        try await disk.run { () throws(SnapshotRefusal) in
            try Disk.makeDirectory(directory, in: dealer)
            try received.file.seal(at: now)
            let moved = self.names.withLock { _ in
                Result { () throws(SnapshotRefusal) in try Disk.move(received.path, to: path) }
            }
            try moved.get()
            try Disk.synchronize(directory)
        }
        try hook(.placed)
    }

    // MARK: Going out

    /// The file of a content; none if it is gone, or is not as long as it should be.
    package func open(_ content: StoredContent, size: Int) async throws -> DiskFile? {
        let path = try place(of: content).path
        return try await disk.run { () throws(SnapshotRefusal) in
            guard let file = DiskFile.open(reading: path), file.size == size else { return nil }
            return file
        }
    }

    /// The next bytes of a file, at most a block of them.
    package func read(_ file: DiskFile, from offset: Int, count: Int) async throws -> [UInt8] {
        let length = min(count, Self.blockLength)
        return try await disk.run { () throws(SnapshotRefusal) in try file.read(from: offset, count: length) }
    }

    // MARK: Places

    static let incomingName = "incoming"
    /// Digits of the hash that name the directory, so that no directory gets too many files.
    static let shardLength = 2

    /// Throws for an id that is not one of ours: no such dealer is ever stored.
    func directory(of dealer: DealerID) throws(SnapshotRefusal) -> String {
        guard let checked = DealerID(dealer.text) else { throw .unavailable("\(dealer) cannot name a directory") }
        return "\(root)/\(checked)"
    }

    func place(of content: StoredContent) throws(SnapshotRefusal) -> (directory: String, path: String) {
        let directory = try directory(of: content.dealerID) + "/" + content.hash.text.prefix(Self.shardLength)
        return (directory, directory + "/" + content.hash.text.dropFirst(Self.shardLength))
    }

    /// Runs what waits for the disk.
    func onDisk<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SnapshotRefusal) -> Value
    ) async throws(SnapshotRefusal) -> Value {
        try await disk.run(body)
    }

    /// Removes a file unless it is young.
    ///
    /// - Returns: Whether it was removed.
    @discardableResult
    func removeIfOld(_ path: String, now: Instant) -> Bool {
        names.withLock { _ in
            guard let changedAt = Disk.changedAt(path), changedAt <= now - Self.graceOfFiles else { return false }
            Disk.remove(path)
            return true
        }
    }
}
