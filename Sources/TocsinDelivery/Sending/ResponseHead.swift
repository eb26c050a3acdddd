import NIOCore

/// What one response's head says, as far as a webhook sender needs it, collected line by line.
struct ResponseHead: Sendable {
    /// How the body ends.
    enum Framing: Hashable, Sendable {
        case none
        case length(Int)
        case chunked
        case untilClose
    }

    private(set) var status: Int
    private(set) var retryAfter: String?
    private(set) var contentType: String?
    private var keepAlive: Bool
    private let minorVersion: UInt8
    private var contentLength: Int?
    private var hasTransferEncoding = false
    private var isChunked = false

    var isInformational: Bool { status < 200 }

    init(statusLine line: ByteBuffer) throws(WebhookFailure) {
        let parsed: (minor: UInt8, status: Int)? = line.withUnsafeReadableBytes { bytes in
            let version = "HTTP/1.".utf8
            guard bytes.count >= 12, bytes.prefix(7).elementsEqual(version), bytes[7] == 0x30 || bytes[7] == 0x31,
                bytes[8] == 0x20, bytes.count == 12 || bytes[12] == 0x20
            else { return nil }
            var status = 0
            for byte in bytes[9..<12] {
                guard (0x30...0x39).contains(byte) else { return nil }
                status = status * 10 + Int(byte - 0x30)
            }
            guard (100...599).contains(status), bytes[12...].allSatisfy(ResponseHead.isValueByte) else { return nil }
            return (bytes[7] - 0x30, status)
        }
        guard let parsed else {
            throw WebhookFailure(.badResponse, "The receiver's answer does not begin with an HTTP/1.1 status line.")
        }
        status = parsed.status
        minorVersion = parsed.minor
        keepAlive = parsed.minor == 1
    }

    mutating func add(headerLine line: ByteBuffer) throws(WebhookFailure) {
        let bytes = line.readableBytesView
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > bytes.startIndex,
            bytes[..<colon].allSatisfy(RequestEncoder.isTokenByte),
            bytes[bytes.index(after: colon)...].allSatisfy(Self.isValueByte)
        else {
            throw WebhookFailure(.badResponse, "The receiver's answer has a malformed header line.")
        }
        let name = bytes[..<colon]
        let value = bytes[bytes.index(after: colon)...]
        // Lengths first: of a usual response's headers only a few are looked at.
        switch name.count {
        case 14 where Self.equals(name, "content-length"): try addContentLength(Self.text(value))
        case 17 where Self.equals(name, "transfer-encoding"): try addTransferEncoding(Self.text(value))
        case 10 where Self.equals(name, "connection"): addConnection(Self.text(value))
        case 11 where Self.equals(name, "retry-after"): retryAfter = Self.text(value)
        case 12 where Self.equals(name, "content-type"): contentType = Self.text(value)
        default: break
        }
    }

    private mutating func addContentLength(_ text: String) throws(WebhookFailure) {
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let digits = Self.trimmed(item)
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(digits),
                contentLength ?? length == length
            else {
                throw WebhookFailure(.badResponse, "The receiver's answer has an unusable Content-Length.")
            }
            contentLength = length
        }
    }

    private mutating func addTransferEncoding(_ text: String) throws(WebhookFailure) {
        // After "chunked" nothing may follow, or the end of the body is unknowable.
        let codings = text.lowercased().split(separator: ",").map(Self.trimmed)
        guard !isChunked, codings.count(where: { $0 == "chunked" }) <= 1 else {
            throw WebhookFailure(.badResponse, "The receiver's answer has an unusable Transfer-Encoding.")
        }
        hasTransferEncoding = true
        isChunked = codings.last == "chunked"
    }

    private mutating func addConnection(_ text: String) {
        for option in text.lowercased().split(separator: ",").map(Self.trimmed) {
            if option == "close" { keepAlive = false }
            if option == "keep-alive", minorVersion == 0 { keepAlive = true }
        }
    }

    /// How the body is framed (RFC 9112 §6.3); both ways at once are an attack or a bug, and refused.
    func framing() throws(WebhookFailure) -> Framing {
        if hasTransferEncoding, contentLength != nil || minorVersion == 0 {
            throw WebhookFailure(.badResponse, "The receiver's answer frames its body in two ways.")
        }
        if status == 204 || status == 304 { return .none }
        if hasTransferEncoding { return isChunked ? .chunked : .untilClose }
        guard let contentLength else { return .untilClose }
        return contentLength == 0 ? .none : .length(contentLength)
    }

    /// Tells whether the connection may serve another request after this response.
    var allowsReuse: Bool {
        keepAlive && (contentLength != nil || isChunked || status == 204 || status == 304)
    }

    /// Field values and reason phrases: no control characters but the tab.
    private static func isValueByte(_ byte: UInt8) -> Bool {
        (byte >= 0x20 && byte != 0x7F) || byte == 0x09
    }

    private static func equals(_ bytes: ByteBufferView, _ lowercased: StaticString) -> Bool {
        lowercased.withUTF8Buffer { expected in
            bytes.elementsEqual(expected) { byte, letter in
                byte == letter || ((0x41...0x5A).contains(byte) && byte | 0x20 == letter)
            }
        }
    }

    private static func text(_ bytes: ByteBufferView) -> String {
        String(trimmed(Substring(decoding: bytes, as: UTF8.self)))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let first = text.firstIndex(where: { !isBlank($0) }), let last = text.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return text[first...last]
    }
}
