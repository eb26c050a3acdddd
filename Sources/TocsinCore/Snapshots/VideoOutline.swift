/// An MP4 file: boxes, of which one describes the film and one holds it (ISO/IEC 14496-12).
struct MP4Outline: MediaOutline {
    private enum Expected {
        case box
        case longLength(String)
        case brands
        case boxEnd
    }

    private static let headLength = 8
    /// More brands than any file lists.
    private static let brandsLengthMax = 4096
    /// No file that is taken is longer; what a box says beyond it is no length.
    private static let boxLengthMax: UInt64 = 1 << 40

    private var expected = Expected.box
    private var isFirst = true
    private var isDescribed = false
    private var isFilled = false
    let openingLength = 8

    /// Between two boxes, once there is a film.
    var mayEnd: Bool { isDescribed && isFilled }

    mutating func next(_ bytes: [UInt8]) throws(MediaProblem) -> MediaStep {
        switch expected {
        case .box:
            let (length, name) = (bytes.bigEndian(0..<4), bytes.name(4..<8))
            guard bytes[4..<8].allSatisfy({ (0x20...0x7E).contains($0) }) else { throw .damaged("a box has no name") }
            switch length {
            case 0:
                if isFirst { throw .damaged("it does not tell its brands") }
                note(name)
                return .anything
            case 1:
                expected = .longLength(name)
                return .gather(8)
            default: return try take(name, length: UInt64(length), head: Self.headLength)
            }
        case .longLength(let name): return try take(name, length: bytes.bigEndian, head: 2 * Self.headLength)
        case .brands:
            try check(brand: bytes.name(0..<4))
            return box()
        case .boxEnd: return box()
        }
    }

    private mutating func take(_ name: String, length: UInt64, head: Int) throws(MediaProblem) -> MediaStep {
        guard length >= UInt64(head), length <= Self.boxLengthMax else {
            throw .damaged("a box is shorter than its length")
        }
        let rest = Int(length) - head
        if isFirst {
            guard (8...Self.brandsLengthMax).contains(rest) else { throw .damaged("it does not tell its brands") }
            isFirst = false
            expected = .brands
            return .gather(rest)
        }
        note(name)
        expected = .boxEnd
        return .skip(rest)
    }

    private mutating func note(_ name: String) {
        if name == "moov" || name == "moof" { isDescribed = true }
        if name == "mdat" { isFilled = true }
    }

    /// Other formats have the same boxes.
    private func check(brand: String) throws(MediaProblem) {
        switch brand {
        case "qt  ": throw .otherType(found: "video/quicktime")
        case "heic", "heix", "mif1", "msf1", "hevc": throw .otherType(found: "image/heic")
        case "avif", "avis": throw .otherType(found: "image/avif")
        default: return
        }
    }

    private mutating func box() -> MediaStep {
        expected = .box
        return .gather(Self.headLength)
    }
}
