/// The part of a file that a request asks for (RFC 9110 §14).
enum ByteRange: Hashable, Sendable {
    case whole
    case part(Range<Int>)
    /// Nothing of the file lies in it.
    case unsatisfiable

    /// Reads a `Range` of one part; what is not one, or several at once, may be answered with the whole file.
    init(_ header: String?, size: Int) {
        self = .whole
        guard let header, header.lowercased().hasPrefix("bytes=") else { return }
        let bounds = header.dropFirst("bytes=".count).trimmed.split(
            separator: "-",
            omittingEmptySubsequences: false
        )
        guard bounds.count == 2, let first = Self.number(bounds[0]), let last = Self.number(bounds[1]) else { return }
        switch (first, last) {
        case (nil, nil): return
        case (nil, let suffix?):
            self = suffix == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - suffix)..<size)
        case (let first?, nil): self = first < size ? .part(first..<size) : .unsatisfiable
        case (let first?, let last?):
            if last < first { return }
            self = first < size ? .part(first..<min(last, size - 1) + 1) : .unsatisfiable
        }
    }

    /// The number that a bound is; the inner none is one that was left out, the outer one that is no number.
    private static func number(_ text: Substring) -> Int?? {
        if text.isEmpty { return .some(nil) }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return .none }
        // Beyond what fits lies beyond every file.
        return .some(Int(text) ?? .max)
    }
}
