import Crypto
import Foundation
import TocsinCore

extension SnapshotFiles {
    /// Removes the files of contents that no snapshot has any more; young ones are left to a later sweep.
    package func remove(_ contents: [StoredContent], now: Instant) async {
        if contents.isEmpty { return }
        _ = try? await onDisk { () throws(SnapshotRefusal) in
            for content in contents { self.removeIfOld(try self.place(of: content).path, now: now) }
        }
    }

    /// Removes everything of a dealer that is gone.
    package func removeAll(of dealer: DealerID) async {
        _ = try? await onDisk { () throws(SnapshotRefusal) in
            let directory = try self.directory(of: dealer)
            for name in Disk.names(in: directory) {
                let inner = "\(directory)/\(name)"
                for file in Disk.names(in: inner) { Disk.remove("\(inner)/\(file)") }
                Disk.removeDirectory(inner)
            }
            Disk.removeDirectory(directory)
        }
    }

    /// Removes what uploads left behind that a crash broke off; only before the first one is taken.
    package func removeBrokenOff() {
        for dealer in dealers() {
            let directory = "\(root)/\(dealer)/\(Self.incomingName)"
            for name in Disk.names(in: directory) { Disk.remove("\(directory)/\(name)") }
        }
    }

    /// The dealers that have a directory.
    package func dealers() -> [DealerID] {
        Disk.names(in: root).compactMap { DealerID($0) }.sorted()
    }

    /// The contents of a dealer that have files, in parts.
    func contents(of dealer: DealerID) -> [[StoredContent]] {
        guard let directory = try? directory(of: dealer) else { return [] }
        return Disk.names(in: directory).filter { $0.utf8.count == Self.shardLength }.map { shard in
            Disk.names(in: "\(directory)/\(shard)").compactMap { name in
                ContentHash(shard + name).map { StoredContent(dealerID: dealer, hash: $0) }
            }
        }
    }

    // MARK: Checks and copies

    /// What is wrong with a content's file, in a sentence; none if it is sound.
    ///
    /// - Parameters:
    ///   - content: Whose.
    ///   - size: How long it must be.
    ///   - isDeep: Whether its bytes are read and hashed too.
    /// - Returns: The finding.
    package func finding(of content: StoredContent, size: Int, isDeep: Bool) -> String? {
        guard let path = try? place(of: content).path, let file = DiskFile.open(reading: path) else {
            return "the file of the snapshot content \(content.hash) of \(content.dealerID) is missing"
        }
        guard file.size == size else {
            return "the file of the snapshot content \(content.hash) of \(content.dealerID) is not \(size) bytes long"
        }
        if isDeep, hash(of: file) != content.hash {
            return "the file of the snapshot content \(content.hash) of \(content.dealerID) holds something else"
        }
        return nil
    }

    /// Copies a content's file into the place that it has below another data directory.
    ///
    /// - Returns: Whether there was one to copy.
    package func copy(_ content: StoredContent, to other: SnapshotFiles) throws -> Bool {
        let (from, to) = (try place(of: content).path, try other.place(of: content))
        let files = FileManager.default
        guard files.fileExists(atPath: from) else { return false }
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        try files.createDirectory(atPath: to.directory, withIntermediateDirectories: true, attributes: attributes)
        try files.copyItem(atPath: from, toPath: to.path)
        return true
    }

    /// The hash of a file's bytes; none if they cannot be read.
    private func hash(of file: DiskFile) -> ContentHash? {
        var hash = SHA256()
        var offset = 0
        while true {
            guard let block = try? file.read(from: offset, count: Self.blockLength) else { return nil }
            if block.isEmpty { return ContentHash(Array(hash.finalize()).hexadecimal) }
            hash.update(data: block)
            offset += block.count
        }
    }
}
