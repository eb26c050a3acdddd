import HTTPTypes
import HummingbirdCore
import NIOCore
import TocsinJSON

/// What a handler answers; the pipeline adds the headers that every response has.
package struct Reply: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8], contentType: String)
        /// Written piece by piece, so many bytes in all.
        case sized(contentType: String, length: Int, @Sendable (inout any ResponseBodyWriter) async throws -> Void)
        /// Written piece by piece while the connection lives, such as an event stream.
        case stream(contentType: String, @Sendable (inout any ResponseBodyWriter) async throws -> Void)
    }

    package static let jsonType = "application/json"

    package var status: HTTPResponse.Status
    package var body: Body
    package var headers: HTTPFields

    package init(_ status: HTTPResponse.Status, body: Body = .none, headers: HTTPFields = [:]) {
        self.status = status
        self.body = body
        self.headers = headers
    }

    package static func ok(_ json: JSON) -> Reply { ok(bytes: json.bytes) }

    package static func ok(bytes: [UInt8]) -> Reply { Reply(.ok, body: .bytes(bytes, contentType: jsonType)) }

    package static func created(_ json: JSON) -> Reply {
        Reply(.created, body: .bytes(json.bytes, contentType: jsonType))
    }

    package static let noContent = Reply(.noContent)

    /// A page of a list (decisions §1).
    package static func page(_ items: [JSON], next: String?) -> Reply {
        ok(["data": .array(items), "next_cursor": JSON(next.map(Cursor.encode))])
    }

    /// The reply holds a secret that is shown once: no cache may keep it.
    package var uncached: Reply {
        var copy = self
        copy.headers[.cacheControl] = "no-store"
        return copy
    }

    package func tagged(version: Int64) -> Reply {
        var copy = self
        copy.headers[.eTag] = "\"\(version)\""
        return copy
    }
}

/// The opaque form in which a page's key leaves and comes back.
package enum Cursor {
    package static func encode(_ key: String) -> String {
        "c"
            + key.utf8.map { byte in
                let digits = String(byte, radix: 16)
                return byte < 16 ? "0" + digits : digits
            }.joined()
    }

    package static func decode(_ text: String) throws(APIError) -> String {
        let invalid = APIError(
            .invalidCursor,
            "The cursor is not one of ours. Use `next_cursor` of the page before, unchanged.",
            field: "cursor"
        )
        let digits = Array(text.utf8.dropFirst())
        guard text.hasPrefix("c"), digits.count % 2 == 0 else { throw invalid }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else {
                throw invalid
            }
            bytes.append(byte)
        }
        guard let key = String(validating: bytes, as: UTF8.self), !key.contains("\0") else { throw invalid }
        return key
    }
}
