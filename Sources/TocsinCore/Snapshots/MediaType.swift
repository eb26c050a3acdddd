/// What a snapshot may be (decisions §7).
package enum MediaType: String, CaseIterable, Sendable {
    case jpeg = "image/jpeg"
    case png = "image/png"
    case webp = "image/webp"
    case mp4 = "video/mp4"

    /// How a saved copy's name ends.
    package var nameExtension: String {
        switch self {
        case .jpeg: "jpg"
        case .png: "png"
        case .webp: "webp"
        case .mp4: "mp4"
        }
    }
}

/// Why bytes are not the image or video that they are called.
package enum MediaProblem: Error, Hashable, Sendable {
    case empty
    /// They are something else; its name where it could be told.
    case otherType(found: String?)
    /// They end before the file does.
    case truncated
    /// Their outline is not that of the type.
    case damaged(String)

    /// What is wrong, in words that complete "The body …".
    package func sentence(called declared: MediaType) -> String {
        switch self {
        case .empty: "is empty"
        case .otherType(let found?): "is \(found), and is called \(declared.rawValue)"
        case .otherType(nil): "is called \(declared.rawValue), and is neither that nor another type that is taken"
        case .truncated: "ends before the \(declared.rawValue) file in it does"
        case .damaged(let what): "is not a sound \(declared.rawValue) file: \(what)"
        }
    }
}

/// What the first bytes of a file tell of its type.
enum MediaSignature {
    case taken(MediaType)
    /// A type that is not taken, by its name.
    case other(String)
    case unknown

    /// As many bytes as any signature needs.
    static let length = 12

    init(_ head: [UInt8]) {
        func has(_ text: String, at offset: Int = 0) -> Bool {
            head.count >= offset + text.utf8.count && head[offset...].starts(with: text.utf8)
        }
        let firstText = head.first { ![0x09, 0x0A, 0x0D, 0x20, 0xEF, 0xBB, 0xBF].contains($0) }
        if head.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .taken(.jpeg)
        } else if head.starts(with: [0x89, 0x50, 0x4E, 0x47]) {
            self = .taken(.png)
        } else if has("RIFF"), has("WEBP", at: 8) {
            self = .taken(.webp)
        } else if has("ftyp", at: 4) {
            self = .taken(.mp4)
        } else if has("GIF8") {
            self = .other("image/gif")
        } else if has("%PDF") {
            self = .other("application/pdf")
        } else if head.starts(with: [0x1A, 0x45, 0xDF, 0xA3]) {
            self = .other("video/webm")
        } else if firstText == UInt8(ascii: "<") {
            self = .other("HTML or XML")
        } else {
            self = .unknown
        }
    }
}
