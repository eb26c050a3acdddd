import HummingbirdCore
import NIOCore
import TocsinCore

/// The body of a request that its handler reads itself, part by part; nothing of it has been read yet.
package struct MediaUpload: Sendable {
    private let body: RequestBody
    /// What it is called; none for what the operation does not take.
    package let type: MediaType?
    /// Its `Content-Length`; none if it comes in chunks.
    package let announced: Int?

    /// None for an operation whose body the pipeline reads.
    init?(_ request: HummingbirdCore.Request, of operation: Operation, _ head: RequestHead) {
        guard case .media(let types) = operation.body else { return nil }
        body = request.body
        type = types.first { head.hasContentType($0.rawValue) }
        announced = head.contentLength.flatMap(Int.init)
    }

    /// The parts, each once.
    func parts() -> Parts { Parts(iterator: body.makeAsyncIterator()) }

    struct Parts {
        fileprivate var iterator: RequestBody.AsyncIterator

        mutating func next() async throws -> [UInt8]? {
            guard var part = try await iterator.next() else { return nil }
            return part.readBytes(length: part.readableBytes) ?? []
        }
    }
}
