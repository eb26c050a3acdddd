import Foundation

/// Where the parts of one HTTP/1.1 request lie in a buffer; nothing is copied.
struct ScannedRequest {
    var headLength: Int
    var bodyLength: Int
    /// The number that ends the path (`/hook/17`): which endpoint it is.
    var endpoint: Int
    var eventID: Range<Int>?
    /// The sender wants the connection closed behind the reply.
    var closes: Bool

    var length: Int { headLength + bodyLength }
}

enum ScanOutcome {
    case needsMore
    case request(ScannedRequest)
    case malformed
}

/// Reads just as much of a request as the receiver needs, straight from the bytes.
///
/// A receiver that measures a sender must cost less than the sender: a general parser would build a header
/// collection per request.
enum RequestScanner {
    /// More head than any webhook of ours has.
    static let maximumHeadLength = 64 * 1024

    static func scan(_ bytes: UnsafeRawBufferPointer) -> ScanOutcome {
        guard let line = lineEnd(bytes, from: 0) else { return tooLong(bytes) }
        var request = ScannedRequest(headLength: 0, bodyLength: 0, endpoint: 0, eventID: nil, closes: false)
        request.endpoint = endpointNumber(bytes[0..<line])
        var start = line + 2
        while let end = lineEnd(bytes, from: start) {
            if end == start {
                request.headLength = end + 2
                return request.length <= bytes.count ? .request(request) : .needsMore
            }
            guard note(bytes, start..<end, in: &request) else { return .malformed }
            start = end + 2
        }
        return tooLong(bytes)
    }

    private static func tooLong(_ bytes: UnsafeRawBufferPointer) -> ScanOutcome {
        bytes.count > maximumHeadLength ? .malformed : .needsMore
    }

    /// Takes what matters of one header line; false if it cannot be right.
    private static func note(
        _ bytes: UnsafeRawBufferPointer,
        _ line: Range<Int>,
        in request: inout ScannedRequest
    )
        -> Bool
    {
        if let value = value(of: "content-length", in: bytes, line) {
            guard let length = number(bytes[value]) else { return false }
            request.bodyLength = length
        } else if let value = value(of: "x-chekt-event-id", in: bytes, line) {
            request.eventID = value
        } else if let value = value(of: "connection", in: bytes, line) {
            request.closes = value.count == 5 && bytes[value.lowerBound] | 0x20 == UInt8(ascii: "c")
        } else if value(of: "transfer-encoding", in: bytes, line) != nil {
            return false
        }
        return true
    }

    /// The value's range if the line is the header `name` (lower case), without the blanks around it.
    static func value(of name: StaticString, in bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> Range<Int>? {
        let count = name.utf8CodeUnitCount
        guard line.count > count, bytes[line.lowerBound + count] == UInt8(ascii: ":") else { return nil }
        for index in 0..<count where bytes[line.lowerBound + index] | 0x20 != name.utf8Start[index] | 0x20 {
            return nil
        }
        var start = line.lowerBound + count + 1
        while start < line.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
        return start..<line.upperBound
    }

    /// The value of a header anywhere in a head that was scanned before.
    static func header(_ name: StaticString, in bytes: UnsafeRawBufferPointer) -> String? {
        var start = (lineEnd(bytes, from: 0) ?? bytes.count) + 2
        while let end = lineEnd(bytes, from: start), end > start {
            if let value = value(of: name, in: bytes, start..<end) {
                return String(decoding: bytes[value], as: UTF8.self)
            }
            start = end + 2
        }
        return nil
    }

    static func lineEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + start, 0x0D, bytes.count - start)
        else { return nil }
        let index = UnsafeRawPointer(found) - base
        return index + 1 < bytes.count ? index : nil
    }

    static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int? {
        guard !digits.isEmpty, digits.count < 10 else { return nil }
        var number = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        return number
    }

    /// `POST /hook/17 HTTP/1.1` is for endpoint 17; a path without a number is for 0.
    private static func endpointNumber(_ line: Slice<UnsafeRawBufferPointer>) -> Int {
        guard let end = line.lastIndex(of: UInt8(ascii: " ")),
            let slash = line[..<end].lastIndex(of: UInt8(ascii: "/"))
        else { return 0 }
        return number(line[(slash + 1)..<end]) ?? 0
    }
}
