import NIOCore

/// Reads one HTTP/1.1 response from bytes as they come, within fixed bounds, and without any I/O.
///
/// It is ours and not the general decoder because the bounds are the point: how many header bytes, informational
/// responses and body bytes a hostile receiver may make us look at (delivery.md, hostile receivers).
struct ResponseParser {
    /// Status lines, headers and trailers together, informational responses included.
    static let headBytesMax = 32 * 1024
    /// After so many body bytes reading stops, and the response is judged by its status.
    static let bodyBytesMax = 64 * 1024
    /// What the attempts log keeps of a body.
    static let bodyKeptMax = 4 * 1024
    /// Enough for any honest use of 100 and 103.
    static let informationalMax = 16
    /// A chunk size line: 16 hex digits and some extensions.
    static let chunkLineMax = 1024

    enum Step: Hashable, Sendable {
        case needsMore
        /// The response has ended; `reusable` when the connection is at a request boundary.
        case complete(reusable: Bool)
        case failed(WebhookFailure)
    }

    private enum State {
        case statusLine
        case headers
        case fixed(remaining: Int)
        case chunkSize
        case chunk(remaining: Int)
        case chunkEnd
        case trailers
        case untilClose
        case ended
    }

    private var state: State = .statusLine
    private var input = ByteBuffer()
    /// How much of `input` is known to hold no line end.
    private var scanned = 0
    private var headBytes = 0
    private var informational = 0
    private var bodyBytes = 0
    /// The head being read, and once complete the final one.
    private var current: ResponseHead?
    private(set) var head: ResponseHead?
    private(set) var body: [UInt8] = []

    /// The memory that the response holds at present, for tests of its bounds.
    var heldBytes: Int { (input.readableBytes == 0 ? 0 : input.storageCapacity) + body.capacity }

    mutating func feed(_ bytes: ByteBuffer) -> Step {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            var bytes = bytes
            input.writeBuffer(&bytes)
        }
        // What was read belongs to the socket's buffer, which can only be used again when nobody holds it.
        defer { if input.readableBytes == 0 { input = ByteBuffer() } }
        do throws(WebhookFailure) {
            while true {
                if let step = try advance() { return step }
            }
        } catch {
            state = .ended
            return .failed(error)
        }
    }

    /// The peer closed its side: the end of a body without a length, else a response cut short.
    mutating func end() -> Step {
        defer { state = .ended }
        if case .untilClose = state { return .complete(reusable: false) }
        let sentence =
            switch head {
            case nil: "The receiver closed the connection before it had answered."
            case .some: "The receiver closed the connection in the middle of its answer."
            }
        return .failed(WebhookFailure(.closedEarly, sentence))
    }

    /// Does one step; nil when there may be another.
    private mutating func advance() throws(WebhookFailure) -> Step? {
        switch state {
        case .statusLine:
            guard let line = try nextHeadLine() else { return .needsMore }
            current = try ResponseHead(statusLine: line)
            state = .headers
        case .headers:
            guard let line = try nextHeadLine() else { return .needsMore }
            guard line.readableBytes == 0 else {
                try current?.add(headerLine: line)
                return nil
            }
            return try headEnded()
        case .fixed(let remaining):
            return takeBody(remaining) { $0 == 0 ? .ended : .fixed(remaining: $0) }
        case .chunkSize:
            guard let line = try nextLine(max: Self.chunkLineMax, code: .badResponse) else { return .needsMore }
            let size = try Self.chunkSize(line)
            state = size == 0 ? .trailers : .chunk(remaining: size)
            return count(framing: line)
        case .chunk(let remaining):
            return takeBody(remaining) { $0 == 0 ? .chunkEnd : .chunk(remaining: $0) }
        case .chunkEnd:
            guard let line = try nextLine(max: Self.chunkLineMax, code: .badResponse) else { return .needsMore }
            guard line.readableBytes == 0 else { throw Self.badChunk }
            state = .chunkSize
            return count(framing: line)
        case .trailers:
            guard let line = try nextHeadLine() else { return .needsMore }
            if line.readableBytes == 0 { return complete() }
        case .untilClose:
            return takeBody(.max) { _ in .untilClose }
        case .ended:
            return complete()
        }
        return nil
    }

    private mutating func headEnded() throws(WebhookFailure) -> Step? {
        guard let ended = current else { return nil }
        if ended.isInformational {
            informational += 1
            guard ended.status != 101, informational <= Self.informationalMax else {
                throw WebhookFailure(
                    .badResponse,
                    ended.status == 101
                        ? "The receiver wants to switch protocols, which was not asked for."
                        : "The receiver sent more than \(Self.informationalMax) informational responses."
                )
            }
            state = .statusLine
            return nil
        }
        head = ended
        switch try ended.framing() {
        case .none: return complete()
        case .length(let length): state = .fixed(remaining: length)
        case .chunked: state = .chunkSize
        case .untilClose: state = .untilClose
        }
        return nil
    }

    private mutating func complete() -> Step {
        state = .ended
        return .complete(reusable: head?.allowsReuse == true && input.readableBytes == 0)
    }

    /// Takes what is there of a stretch of body, up to the read limit.
    private mutating func takeBody(_ remaining: Int, then next: (Int) -> State) -> Step? {
        let available = input.readableBytes
        guard available > 0 else { return .needsMore }
        let count = min(remaining, available, Self.bodyBytesMax - bodyBytes)
        let kept = min(count, Self.bodyKeptMax - body.count)
        if kept > 0 { body.append(contentsOf: input.readableBytesView.prefix(kept)) }
        input.moveReaderIndex(forwardBy: count)
        bodyBytes += count
        state = next(remaining - count)
        if case .ended = state { return complete() }
        return cutAtLimit()
    }

    /// Chunk lines count as body, or a receiver could send them without end.
    private mutating func count(framing line: ByteBuffer) -> Step? {
        bodyBytes += line.readableBytes + 2
        return cutAtLimit()
    }

    private mutating func cutAtLimit() -> Step? {
        guard bodyBytes >= Self.bodyBytesMax else { return nil }
        state = .ended
        return .complete(reusable: false)
    }

    private mutating func nextHeadLine() throws(WebhookFailure) -> ByteBuffer? {
        let before = input.readableBytes
        let line = try nextLine(max: Self.headBytesMax - headBytes, code: .headersTooLarge)
        headBytes += before - input.readableBytes
        return line
    }

    /// Takes a line without its end; a bare line feed ends one too.
    private mutating func nextLine(max: Int, code: WebhookFailure.Code) throws(WebhookFailure) -> ByteBuffer? {
        let view = input.readableBytesView
        let from = view.index(view.startIndex, offsetBy: scanned)
        guard let end = view[from...].firstIndex(of: UInt8(ascii: "\n")) else {
            scanned = view.count
            guard scanned <= max else { throw Self.tooLong(code) }
            return nil
        }
        scanned = 0
        let length = end - view.startIndex
        guard length < max, var line = input.readSlice(length: length) else { throw Self.tooLong(code) }
        input.moveReaderIndex(forwardBy: 1)
        if line.readableBytesView.last == UInt8(ascii: "\r") {
            line.moveWriterIndex(to: line.writerIndex - 1)
        }
        return line
    }

    private static func tooLong(_ code: WebhookFailure.Code) -> WebhookFailure {
        code == .headersTooLarge
            ? WebhookFailure(code, "The receiver's answer has more than \(headBytesMax / 1024) KiB of headers.")
            : badChunk
    }

    private static let badChunk = WebhookFailure(.badResponse, "The receiver's answer has a malformed chunk.")

    private static func chunkSize(_ line: ByteBuffer) throws(WebhookFailure) -> Int {
        var size = 0
        var digits = 0
        for byte in line.readableBytesView {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - 0x30
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = byte - 0x57
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = byte - 0x37
            case UInt8(ascii: ";"), UInt8(ascii: " "), UInt8(ascii: "\t"):
                guard digits > 0 else { throw badChunk }
                return size
            default: throw badChunk
            }
            digits += 1
            // 15 digits fit an Int with room to spare.
            guard digits <= 15 else { throw badChunk }
            size = size << 4 | Int(value)
        }
        guard digits > 0 else { throw badChunk }
        return size
    }
}
