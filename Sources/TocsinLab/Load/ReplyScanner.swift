import Foundation

/// Where the parts of one HTTP/1.1 reply lie in a buffer.
struct ScannedReply {
    var status: Int
    var headLength: Int
    var bodyLength: Int

    var length: Int { headLength + bodyLength }
}

enum ReplyScan {
    case needsMore
    case reply(ScannedReply)
    /// Not HTTP/1.1, or a body without a length, which none of the measured replies has.
    case malformed
}

/// Reads status and extent of a reply, and the events that it names.
enum ReplyScanner {
    static func scan(_ bytes: UnsafeRawBufferPointer) -> ReplyScan {
        guard let line = RequestScanner.lineEnd(bytes, from: 0) else { return .needsMore }
        guard line >= 12, let status = RequestScanner.number(bytes[9..<12]) else { return .malformed }
        var length: Int?
        var start = line + 2
        while let end = RequestScanner.lineEnd(bytes, from: start) {
            if end == start {
                guard let length else { return .malformed }
                let reply = ScannedReply(status: status, headLength: end + 2, bodyLength: length)
                return reply.length <= bytes.count ? .reply(reply) : .needsMore
            }
            if let value = RequestScanner.value(of: "content-length", in: bytes, start..<end) {
                length = RequestScanner.number(bytes[value])
            }
            start = end + 2
        }
        return .needsMore
    }

    private static let opening: StaticString = "\"event_ids\":["

    /// Calls `found` with each id in the body's `event_ids`.
    static func eventIDs(in body: UnsafeRawBufferPointer, _ found: (EventKey) -> Void) {
        guard var index = openingEnd(in: body) else { return }
        while index < body.count, body[index] == UInt8(ascii: "\"") {
            let start = index + 1
            guard let end = body[start...].firstIndex(of: UInt8(ascii: "\"")) else { return }
            found(EventKey(body[start..<end]))
            index = end + 1
            guard index < body.count, body[index] == UInt8(ascii: ",") else { return }
            index += 1
        }
    }

    /// Where the list of ids begins: searched from the end, where it stands in our replies.
    private static func openingEnd(in body: UnsafeRawBufferPointer) -> Int? {
        let count = opening.utf8CodeUnitCount
        guard let base = body.baseAddress, body.count >= count else { return nil }
        var start = body.count - count
        while start >= 0 {
            if memcmp(base + start, opening.utf8Start, count) == 0 { return start + count }
            start -= 1
        }
        return nil
    }
}
