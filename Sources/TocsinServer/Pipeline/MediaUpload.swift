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
    /// To be called before the first part is read.
    private let goOn: @Sendable () -> Void

    /// None for an operation whose body the pipeline reads.
    init?(
        _ request: HummingbirdCore.Request,
        of operation: Operation,
        _ head: RequestHead,
        goOn: @escaping @Sendable () -> Void
    ) {
        guard case .media(let types) = operation.body else { return nil }
        body = request.body
        self.goOn = goOn
        type = types.first { head.hasContentType($0.rawValue) }
        announced = head.contentLength.flatMap(Int.init)
    }

    /// The parts, each once.
    func parts() -> Parts { Parts(iterator: body.makeAsyncIterator(), goOn: goOn) }

    struct Parts {
        fileprivate var iterator: RequestBody.AsyncIterator
        fileprivate var goOn: (@Sendable () -> Void)?

        mutating func next() async throws -> [UInt8]? {
            goOn?()
            goOn = nil
            guard var part = try await iterator.next() else { return nil }
            return part.readBytes(length: part.readableBytes) ?? []
        }
    }
}
