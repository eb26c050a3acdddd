import HTTPTypes
import NIOHTTP1

/// The header fields that the pipeline reads, found in one pass.
struct RequestHead: Sendable {
    var authorization: String?
    var contentType: String?
    var contentLength: String?
    var idempotencyKey: String?
    /// Two keys would each ask to be the one by which the request is known.
    private(set) var hasSeveralKeys = false
    private var contentEncoding: String?
    var traceID: String?
    var prefer: String?
    var ifMatch: String?
    var ifNoneMatch: String?
    var ifRange: String?
    var range: String?
    var accept: String?
    var forwardedFor: String?
    var lastEventID: String?
    private var expect: String?

    init(_ fields: HTTPFields) {
        for field in fields { take(field.name.canonicalName, field.value) }
    }

    init(_ headers: HTTPHeaders) {
        for (name, value) in headers { take(name.lowercased(), value) }
    }

    private mutating func take(_ name: String, _ value: String) {
        switch name {
        case "authorization": authorization = value
        case "content-type": contentType = value
        case "content-length": contentLength = value
        case "idempotency-key":
            hasSeveralKeys = idempotencyKey != nil
            idempotencyKey = value
        case "content-encoding": contentEncoding = contentEncoding.map { "\($0),\(value)" } ?? value
        case "x-partner-trace-id": traceID = value
        case "prefer": prefer = value
        case "if-match": ifMatch = value
        case "if-none-match": ifNoneMatch = value
        case "if-range": ifRange = value
        case "range": range = value
        case "accept": accept = value
        // Several fields of that name are one list (RFC 9110 §5.3).
        case "x-forwarded-for": forwardedFor = forwardedFor.map { "\($0),\(value)" } ?? value
        case "last-event-id": lastEventID = value
        case "expect": expect = expect.map { "\($0),\(value)" } ?? value
        default: break
        }
    }

    /// The client sends its body when it is told to (RFC 9110 §10.1.1).
    var waitsToGoOn: Bool { expect?.lowercased() == "100-continue" }

    /// Whether the client expects something that we do not know (RFC 9110 §10.1.1).
    var expectsMore: Bool { expect != nil && !waitsToGoOn }

    /// Whether the body was packed; nothing here unpacks it, and what it holds must not be taken for what it says.
    var isEncoded: Bool {
        guard let contentEncoding else { return false }
        return contentEncoding.split(separator: ",").contains { $0.trimmed.lowercased() != "identity" }
    }

    /// Unknown members of the body are refused (decisions §1).
    var isStrict: Bool {
        guard let prefer else { return false }
        // A quoted value is the same as the word, and parameters may follow (RFC 7240 §2).
        return prefer.split(separator: ",").contains { preference in
            let word = preference.split(separator: ";").first ?? ""
            return word.filter { $0 != " " && $0 != "\t" && $0 != "\"" }.lowercased() == "handling=strict"
        }
    }

    /// Whether the body is of this media type; parameters such as `charset` do not matter.
    func hasContentType(_ type: String) -> Bool {
        guard let contentType else { return false }
        if contentType == type { return true }
        return contentType.split(separator: ";", maxSplits: 1).first?.trimmed.lowercased() == type
    }
}

extension String {
    /// Whether these are 1 to `limit` visible ASCII characters, as keys and trace ids must be (decisions §1).
    func isVisibleASCII(upTo limit: Int) -> Bool {
        (1...limit).contains(utf8.count) && utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
