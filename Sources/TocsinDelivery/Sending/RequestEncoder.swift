import NIOCore

/// Writes requests as bytes, and refuses headers that could change the framing of one.
package enum RequestEncoder {
    package static let userAgent = "Tocsin/1"

    /// What the sender itself sets, and what would change how the request is framed or routed.
    private static let reservedNames: Set<String> = [
        "host", "content-length", "content-type", "user-agent", "transfer-encoding", "connection", "keep-alive", "te",
        "trailer", "upgrade", "expect", "proxy-connection", "proxy-authorization",
    ]
    private static let reservedLengths = Set(reservedNames.map(\.utf8.count))

    static func constantHead(target: String, host: String) -> String {
        """
        POST \(target) HTTP/1.1\r
        Host: \(host)\r
        User-Agent: \(userAgent)\r
        Content-Type: application/json\r
        Content-Length: \("")
        """
    }

    /// Head and body in one buffer, so that they leave in one write.
    static func encode(_ request: WebhookRequest) throws(WebhookFailure) -> ByteBuffer {
        var size = request.url.constantHead.utf8.count + request.body.readableBytes + 24
        for (name, value) in request.headers {
            if let fault = fault(name: name, value: value) { throw WebhookFailure(.invalidRequest, fault) }
            size += name.utf8.count + value.utf8.count + 4
        }
        var buffer = ByteBufferAllocator().buffer(capacity: size)
        buffer.writeString(request.url.constantHead)
        buffer.writeString(String(request.body.readableBytes))
        for (name, value) in request.headers {
            buffer.writeStaticString("\r\n")
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
        }
        buffer.writeStaticString("\r\n\r\n")
        buffer.writeImmutableBuffer(request.body)
        return buffer
    }

    /// Says in a sentence why a header cannot be sent, or nil when it can.
    package static func fault(name: String, value: String) -> String? {
        guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte) else {
            return "A header name contains characters that HTTP does not allow."
        }
        // The length is asked first: it spares lower-casing nearly every name.
        guard !reservedLengths.contains(name.utf8.count) || !reservedNames.contains(name.lowercased()) else {
            return "The header \(name) is set by the sender."
        }
        guard value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }) else {
            return "The value of the header \(name) contains a control character."
        }
        return nil
    }

    /// Tells whether a byte may be in a header name (RFC 9110 §5.6.2).
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "^"),
            UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default:
            false
        }
    }
}
