/// A JPEG file: segments, scans of coded data between them, and the end marker (ITU T.81, annex B).
struct JPEGOutline: MediaOutline {
    private enum Expected {
        case start
        case marker
        /// A byte 0xFF stood before it.
        case markerCode
        /// The length of the segment with this marker.
        case length(UInt8)
        case frame(rest: Int)
        case segmentEnd(UInt8)
        /// The byte behind a 0xFF within coded data.
        case scanCode
        case scan
    }

    private var expected = Expected.start
    private var hasFrame = false
    private var hasScan = false
    private(set) var mayEnd = false
    let openingLength = 2

    mutating func next(_ bytes: [UInt8]) throws(MediaProblem) -> MediaStep {
        switch expected {
        case .start: return marker()
        case .marker:
            guard bytes[0] == 0xFF else { throw .damaged("a segment does not begin with a marker") }
            return try take(marker: bytes[1])
        case .markerCode: return try take(marker: bytes[0])
        case .length(let code):
            let length = bytes.bigEndian(0..<2)
            guard length >= 2 else { throw .damaged("a segment is shorter than its length") }
            if Self.isFrame(code) {
                guard length >= 8 else { throw .damaged("its frame header is too short") }
                expected = .frame(rest: length - 8)
                return .gather(6)
            }
            expected = .segmentEnd(code)
            return .skip(length - 2)
        case .frame(let rest):
            // Precision, lines (which may be told later), samples a line, components.
            guard bytes.bigEndian(3..<5) > 0, bytes[5] > 0 else { throw .damaged("its picture has no extent") }
            hasFrame = true
            expected = .segmentEnd(0xC0)
            return .skip(rest)
        case .segmentEnd(0xDA):
            hasScan = true
            return scan()
        case .segmentEnd: return marker()
        case .scan:
            expected = .scanCode
            return .gather(1)
        case .scanCode:
            switch bytes[0] {
            // A stuffed byte or a restart marker: the coded data goes on.
            case 0x00, 0xD0...0xD7: return scan()
            case 0xFF: return .gather(1)
            case let code: return try take(marker: code)
            }
        }
    }

    private mutating func take(marker code: UInt8) throws(MediaProblem) -> MediaStep {
        switch code {
        case 0xFF:
            expected = .markerCode
            return .gather(1)
        case 0xD9:
            guard hasFrame, hasScan else { throw .damaged("it has no picture") }
            mayEnd = true
            return .anything
        case 0x01, 0xD0...0xD7: return marker()
        case 0x00, 0xD8: throw .damaged("a marker stands where none may be")
        default:
            expected = .length(code)
            return .gather(2)
        }
    }

    private mutating func marker() -> MediaStep {
        expected = .marker
        return .gather(2)
    }

    private mutating func scan() -> MediaStep {
        expected = .scan
        return .passTo(0xFF)
    }

    private static func isFrame(_ code: UInt8) -> Bool {
        (0xC0...0xCF).contains(code) && code != 0xC4 && code != 0xC8 && code != 0xCC
    }
}

/// A PNG file: chunks from IHDR to IEND (RFC 2083).
struct PNGOutline: MediaOutline {
    private enum Expected {
        case signature
        case chunk
        case header
        case chunkEnd
        case end
    }

    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    private static let checksumLength = 4
    private static let headerLength = 13

    private var expected = Expected.signature
    private var hasHeader = false
    private var hasData = false
    private(set) var mayEnd = false
    let openingLength = 8

    mutating func next(_ bytes: [UInt8]) throws(MediaProblem) -> MediaStep {
        switch expected {
        case .signature:
            guard bytes == Self.signature else { throw .damaged("its signature was changed on the way") }
            return chunk()
        case .chunk: return try take(chunk: bytes.name(4..<8), length: bytes.bigEndian(0..<4))
        case .header:
            guard bytes.bigEndian(0..<4) > 0, bytes.bigEndian(4..<8) > 0 else {
                throw .damaged("its picture has no extent")
            }
            hasHeader = true
            expected = .chunkEnd
            return .skip(Self.checksumLength)
        case .chunkEnd: return chunk()
        case .end:
            mayEnd = true
            return .anything
        }
    }

    private mutating func take(chunk name: String, length: Int) throws(MediaProblem) -> MediaStep {
        guard length <= Int32.max, name.utf8.allSatisfy({ (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) })
        else { throw .damaged("a chunk has no name") }
        switch name {
        case "IHDR":
            guard !hasHeader, length == Self.headerLength else { throw .damaged("its header is not one") }
            expected = .header
            return .gather(length)
        case _ where !hasHeader: throw .damaged("it does not begin with its header")
        case "IEND":
            guard hasData, length == 0 else { throw .damaged("it has no picture") }
            expected = .end
            return .skip(Self.checksumLength)
        default:
            if name == "IDAT" { hasData = true }
            expected = .chunkEnd
            return .skip(length + Self.checksumLength)
        }
    }

    private mutating func chunk() -> MediaStep {
        expected = .chunk
        return .gather(8)
    }
}

/// A WebP file: chunks within a RIFF container (RFC 9649).
struct WebPOutline: MediaOutline {
    private enum Expected {
        case container
        case chunk
        case chunkEnd
    }

    private var expected = Expected.container
    /// Bytes of the container that no chunk has taken yet.
    private var remaining = 0
    private var isFirst = true
    private var hasPicture = false
    private(set) var mayEnd = false
    let openingLength = 12

    mutating func next(_ bytes: [UInt8]) throws(MediaProblem) -> MediaStep {
        switch expected {
        case .container:
            remaining = Int(Array(bytes[4..<8]).littleEndian) - 4
            return try chunk()
        case .chunk: return try take(chunk: bytes.name(0..<4), length: Int(Array(bytes[4..<8]).littleEndian))
        case .chunkEnd: return try chunk()
        }
    }

    private mutating func take(chunk name: String, length: Int) throws(MediaProblem) -> MediaStep {
        if isFirst, !["VP8 ", "VP8L", "VP8X"].contains(name) { throw .damaged("it does not begin with a picture") }
        isFirst = false
        if ["VP8 ", "VP8L", "ANMF"].contains(name), length > 0 { hasPicture = true }
        // Chunks begin at even places.
        let padded = length + length % 2
        remaining -= 8 + padded
        guard remaining >= 0 else { throw .damaged("a chunk is longer than the file") }
        expected = .chunkEnd
        return .skip(padded)
    }

    private mutating func chunk() throws(MediaProblem) -> MediaStep {
        if remaining == 0 {
            guard hasPicture else { throw .damaged("it has no picture") }
            mayEnd = true
            return .anything
        }
        guard remaining >= 8 else { throw .damaged("its length is not that of its chunks") }
        expected = .chunk
        return .gather(8)
    }
}
