import HTTPTypes
import HummingbirdCore
import NIOCore
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The image or video of a snapshot as a reply: streamed from its file, whole or in part.
struct SnapshotContent {
    /// Whose pages may show it.
    enum Sharing: String {
        case sameOrigin = "same-origin"
        case anyOrigin = "cross-origin"
    }

    private static let anything = Schema.string(0...Int(Int32.max)).described("The file's bytes.")

    static let replies = [
        Operation.ReplyShape(status: .ok, description: "The file.", content: anything, contentType: "*/*"),
        Operation.ReplyShape(
            status: .partialContent,
            description: "The part that `Range` asks for.",
            content: anything,
            contentType: "*/*"
        ),
        Operation.ReplyShape(status: .notModified, description: "The caller has it already.", content: nil),
    ]

    private let snapshot: Snapshot
    private let call: Call

    init(_ snapshot: Snapshot, _ call: Call) {
        self.snapshot = snapshot
        self.call = call
    }

    func reply(sharing: Sharing) async throws -> Reply {
        let files = call.services.snapshotFiles
        let content = StoredContent(dealerID: snapshot.dealerID, hash: snapshot.content)
        guard let file = try await files.open(content, size: snapshot.size) else {
            throw APIError.missing(.snapshotNotFound)
        }
        var headers = headers(sharing)
        if let seen = call.head.ifNoneMatch, matches(seen) { return Reply(.notModified, headers: headers) }
        // A part is of use only to whoever has the rest of the same file.
        let isCurrent = call.head.ifRange.map(matches) ?? true
        let type = snapshot.mediaType.rawValue
        func body(_ range: Range<Int>) -> Reply.Body {
            .sized(contentType: type, length: range.count) { writer in
                var offset = range.lowerBound
                while offset < range.upperBound {
                    let block = try await files.read(file, from: offset, count: range.upperBound - offset)
                    if block.isEmpty { throw SnapshotRefusal.unavailable("a snapshot's file became shorter") }
                    try await writer.write(ByteBuffer(bytes: block))
                    offset += block.count
                }
            }
        }
        switch ByteRange(isCurrent ? call.head.range : nil, size: snapshot.size) {
        case .whole: return Reply(.ok, body: body(0..<snapshot.size), headers: headers)
        case .part(let range):
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(snapshot.size)"
            return Reply(.partialContent, body: body(range), headers: headers)
        case .unsatisfiable:
            throw APIError(
                .rangeNotSatisfiable,
                "The file has \(snapshot.size) bytes. Ask for a part of them.",
                headers: [.contentRange: "bytes */\(snapshot.size)"]
            )
        }
    }

    private var tag: String { "\"\(snapshot.content.text.prefix(32))\"" }

    private func matches(_ header: String) -> Bool {
        header.split(separator: ",").contains { entry in
            let text = entry.trimmed
            return text == "*" || text == tag
        }
    }

    /// Whatever the file contains, no browser runs it.
    private func headers(_ sharing: Sharing) -> HTTPFields {
        let name = "\(snapshot.id).\(snapshot.mediaType.nameExtension)"
        return [
            .eTag: tag,
            .acceptRanges: "bytes",
            .cacheControl: "private",
            .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy: "sandbox; default-src 'none'",
            .contentDisposition: "inline; filename=\"\(name)\"",
            .crossOriginResourcePolicy: sharing.rawValue,
        ]
    }
}

/// Limits how often an address fetches by signed addresses, which anybody may try.
struct MediaLimiter: Sendable {
    /// A wall of pictures that is loaded at once.
    static let burst = 200.0
    /// More pictures than people look at.
    static let perSecond = 20.0

    private let table = BucketTable()

    /// Throws 429 while the address has used up its requests.
    func take(_ address: ClientAddress?, now: Instant) throws(APIError) {
        let wait = table.withBucket(address?.limitKey ?? "unknown", now: now) {
            TokenBucket(capacity: Self.burst, perSecond: Self.perSecond, now: now)
        } _: { bucket -> Int? in
            bucket.take(now: now) ? nil : max(1, bucket.secondsUntilNext)
        }
        guard let wait else { return }
        throw APIError(
            .rateLimited,
            "Too many requests from this address. Send this one again in \(wait) s.",
            headers: [.retryAfter: String(wait)]
        )
    }
}

extension Call {
    /// Those of the snapshots that are the site's and belong to no alarm; whatever else is named is passed over, because an
    /// alarm must not fail for a picture.
    func unusedSnapshots(_ ids: [SnapshotID], at site: SiteID) async throws -> [SnapshotID: NamedSnapshot] {
        if ids.isEmpty { return [:] }
        return try await read { try unusedSnapshots(ids, at: site, $0) }
    }

    /// The same within a reading that is under way.
    func unusedSnapshots(
        _ ids: [SnapshotID],
        at site: SiteID,
        _ reader: any LedgerReader
    ) throws -> [SnapshotID: NamedSnapshot] {
        let reach = try reach
        var found: [SnapshotID: NamedSnapshot] = [:]
        for id in Set(ids) {
            guard let snapshot = try reader.snapshot(id, within: reach), snapshot.siteID == site,
                snapshot.alarm == nil, snapshot.linkExpiresAt > receivedAt
            else { continue }
            found[id] = NamedSnapshot(id: id, url: services.snapshotLinks.url(of: snapshot))
        }
        return found
    }
}
