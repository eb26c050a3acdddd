import TocsinCore
import TocsinEngine
import TocsinLedger

/// The files that a ledger's snapshots need, to be checked and copied beside a running server.
struct StoredSnapshots {
    private static let contentsPerRead = 500

    let ledger: any Ledger
    let files: SnapshotFiles

    /// The files of a ledger in this data directory.
    init(_ ledger: any Ledger, dataDirectory: String) {
        self.init(ledger, root: SnapshotFiles.root(in: dataDirectory))
    }

    /// The files of a ledger in a directory of their own.
    init(_ ledger: any Ledger, root: String) {
        self.ledger = ledger
        files = SnapshotFiles(root: root, clock: SystemClock())
    }

    /// One sentence for each content whose file is missing or another; none if all are sound.
    ///
    /// A deep check reads each file.
    func findings(isDeep: Bool) async throws -> [String] {
        var findings: [String] = []
        try await forEach { content, size in
            guard let finding = files.finding(of: content, size: size, isDeep: isDeep) else { return }
            // A server that runs beside may have forgotten the snapshot since.
            if try await ledger.read({ try $0.isInUse(content) }) { findings.append(finding) }
        }
        return findings
    }

    /// Copies every file to another place.
    ///
    /// - Returns: How many there were, and how many are missing.
    func copy(to other: SnapshotFiles) async throws -> (copied: Int, missing: Int) {
        var (copied, missing) = (0, 0)
        try await forEach { content, _ in
            if try files.copy(content, to: other) { copied += 1 } else { missing += 1 }
        }
        return (copied, missing)
    }

    private func forEach(_ body: (StoredContent, Int) async throws -> Void) async throws {
        var last: StoredContent?
        repeat {
            let after = last
            let page = try await ledger.read { try $0.contents(after: after, limit: Self.contentsPerRead) }
            for (content, size) in page { try await body(content, size) }
            last = page.last?.content
        } while last != nil
    }
}
