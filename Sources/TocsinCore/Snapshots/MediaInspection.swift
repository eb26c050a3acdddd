/// Tells by content, while the bytes arrive, whether a file is what it is called; it keeps no more than a header of them.
///
/// What is looked at is the outline: signature, segments, chunks or boxes with their lengths, and the end. So a file of
/// another type, a damaged and a truncated one are noticed; whether its pixels make sense is for whoever shows it.
package struct MediaInspection: Sendable {
    private let declared: MediaType
    /// None until the signature has been read.
    private var outline: (any MediaOutline)?
    private var step = MediaStep.gather(MediaSignature.length)
    private var gathered: [UInt8] = []
    private var isEmpty = true

    package init(declared: MediaType) { self.declared = declared }

    /// Reads the bytes that come next; a problem that shows already is thrown at once.
    package mutating func take(_ bytes: [UInt8]) throws(MediaProblem) {
        if !bytes.isEmpty { isEmpty = false }
        var rest = bytes[...]
        while !rest.isEmpty {
            switch step {
            case .gather(let count):
                let part = rest.prefix(count - gathered.count)
                gathered += part
                rest = rest.dropFirst(part.count)
                if gathered.count == count { try advance() }
            case .skip(let count):
                let part = min(count, rest.count)
                rest = rest.dropFirst(part)
                step = .skip(count - part)
                if part == count { try advance() }
            case .passTo(let byte):
                guard let index = rest.firstIndex(of: byte) else { return }
                rest = rest[(index + 1)...]
                try advance()
            case .anything: return
            }
        }
    }

    /// Tells whether the file is whole.
    package mutating func finish() throws(MediaProblem) {
        if isEmpty { throw .empty }
        guard let outline else {
            // Shorter than any signature.
            if case .taken(declared) = MediaSignature(gathered) { throw .truncated }
            throw .otherType(found: nil)
        }
        switch step {
        case .anything: if !outline.mayEnd { throw .truncated }
        case .gather: if !outline.mayEnd || !gathered.isEmpty { throw .truncated }
        case .skip, .passTo: throw .truncated
        }
    }

    /// Hands over what was gathered, and goes on with what the outline wants next.
    private mutating func advance() throws(MediaProblem) {
        let bytes = gathered
        gathered = []
        guard outline != nil else { return try recognise(bytes) }
        step = try outline?.next(bytes) ?? .anything
        while case .skip(0) = step { step = try outline?.next([]) ?? .anything }
    }

    private mutating func recognise(_ head: [UInt8]) throws(MediaProblem) {
        switch MediaSignature(head) {
        case .taken(declared): break
        case .taken(let found): throw .otherType(found: found.rawValue)
        case .other(let name): throw .otherType(found: name)
        case .unknown: throw .otherType(found: nil)
        }
        let outline: any MediaOutline =
            switch declared {
            case .jpeg: JPEGOutline()
            case .png: PNGOutline()
            case .webp: WebPOutline()
            case .mp4: MP4Outline()
            }
        self.outline = outline
        step = .gather(outline.openingLength)
        // The outline begins with the signature too.
        try take(head)
    }
}

/// What is to become of the bytes that come next.
enum MediaStep: Sendable {
    /// So many are handed over.
    case gather(Int)
    /// So many do not matter; then the outline goes on with none.
    case skip(Int)
    /// They do not matter up to this byte, which is passed too.
    case passTo(UInt8)
    /// Whatever follows does not matter.
    case anything
}

/// The outline of one file format.
protocol MediaOutline: Sendable {
    /// How many bytes are handed over first.
    var openingLength: Int { get }
    /// Whether the file is whole if it ends before what is asked for next.
    var mayEnd: Bool { get }
    /// Takes what was asked for, and asks for the next.
    mutating func next(_ bytes: [UInt8]) throws(MediaProblem) -> MediaStep
}

extension [UInt8] {
    /// The number that these bytes are, the most significant first.
    var bigEndian: UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
    /// The number that these bytes are, the least significant first.
    var littleEndian: UInt64 { reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    /// The number in some of the bytes, the most significant first.
    func bigEndian(_ range: Range<Int>) -> Int { Int(Array(self[range]).bigEndian) }
    /// The name of a chunk or box.
    func name(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }
}
