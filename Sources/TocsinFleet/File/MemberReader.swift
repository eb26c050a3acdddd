import TocsinJSON
import Yams

/// The members of one mapping of the file.
struct Members {
    let place: Place
    fileprivate let nodes: [String: Node]

    func node(_ name: String) -> Node? { nodes[name] }

    func has(_ name: String) -> Bool { nodes[name] != nil }

    func place(of name: String) -> Place { place.member(name, line: nodes[name]?.line) }
}

/// Reads members as what they should be, and notes a problem where they are something else.
struct MemberReader {
    /// A name longer than this is a mistake, not a name.
    static let maximumTextLength = 200

    var problems = ProblemList()

    /// The members of a mapping, checked against those that may and must be there.
    mutating func members(
        _ node: Node,
        at place: Place,
        required: [String],
        optional: [String] = []
    ) -> Members? {
        guard case .mapping(let mapping) = node else {
            let members = required.isEmpty ? "" : " with \(list(required))"
            problems.add(place, "must be a mapping\(members), not \(node.kind)")
            return nil
        }
        let known = required + optional
        var nodes: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            if known.contains(name) {
                nodes[name] = value
            } else {
                let hint = nearest(to: name, in: known).map { "did you mean “\($0)”?" } ?? "known are \(list(known))"
                problems.add(place.member(name, line: key.line), "unknown member: \(hint)")
            }
        }
        for name in required where nodes[name] == nil {
            problems.add(place, "“\(name)” is missing")
        }
        return Members(place: place, nodes: nodes)
    }

    mutating func text(_ members: Members, _ name: String, upTo limit: Int = maximumTextLength) -> String? {
        members.node(name).flatMap { text($0, at: members.place(of: name), upTo: limit) }
    }

    mutating func text(_ node: Node, at place: Place, upTo limit: Int = maximumTextLength) -> String? {
        switch node.scalarValue {
        case .string(let text):
            let isPrintable = !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
            if text.isEmpty || text.count > limit || !isPrintable {
                problems.add(place, "must have 1 to \(limit) characters and no control characters")
                return nil
            }
            return text
        case .integer, .decimal, .bool:
            problems.add(place, "must be a text, not \(node.kind): put it in quotes")
        case .null, .array, .object, nil:
            problems.add(place, "must be a text, not \(node.kind)")
        }
        return nil
    }

    /// A text of several lines, such as PEM: of control characters it has line ends and tabs only.
    mutating func lines(_ members: Members, _ name: String, upTo limit: Int) -> String? {
        guard let node = members.node(name) else { return nil }
        guard case .string(let text)? = node.scalarValue, !text.isEmpty, text.utf8.count <= limit else {
            problems.add(members.place(of: name), "must be a text of 1 to \(limit) characters, its lines behind “|”")
            return nil
        }
        if let other = text.unicodeScalars.first(where: \.isForeignToLines) {
            let code = String(other.value, radix: 16, uppercase: true)
            let character = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
            problems.add(members.place(of: name), "holds the control character \(character): take it out")
            return nil
        }
        return text
    }

    mutating func marked(_ members: Members, _ name: String) -> Marked<String>? {
        text(members, name).map { Marked(value: $0, place: members.place(of: name)) }
    }

    mutating func integer(_ members: Members, _ name: String, in range: ClosedRange<Int>) -> Int? {
        members.node(name).flatMap { integer($0, at: members.place(of: name), in: range) }
    }

    mutating func integer(_ node: Node, at place: Place, in range: ClosedRange<Int>) -> Int? {
        guard let value = node.scalarValue?.integer, range.contains(Int(value)) else {
            let bounds = "a whole number from \(range.lowerBound) to \(range.upperBound)"
            problems.add(place, "must be \(bounds), not \(node.scalarValue?.text ?? node.kind)")
            return nil
        }
        return Int(value)
    }

    mutating func boolean(_ members: Members, _ name: String) -> Bool? {
        guard let node = members.node(name) else { return nil }
        if let value = node.scalarValue?.bool { return value }
        problems.add(members.place(of: name), "must be true or false, not \(node.scalarValue?.text ?? node.kind)")
        return nil
    }

    /// One word of a fixed list.
    mutating func choice<T: RawRepresentable<String> & CaseIterable>(
        _ members: Members,
        _ name: String,
        of _: T.Type = T.self
    ) -> T? {
        members.node(name).flatMap { choice($0, at: members.place(of: name), among: Array(T.allCases)) }
    }

    mutating func choice<T: RawRepresentable<String>>(_ node: Node, at place: Place, among all: [T]) -> T? {
        guard let word = text(node, at: place) else { return nil }
        if let value = all.first(where: { $0.rawValue == word }) { return value }
        let words = all.map(\.rawValue)
        let hint = nearest(to: word, in: words).map { "did you mean “\($0)”?" } ?? "use one of \(list(words))"
        problems.add(place, "“\(word)” is not known: \(hint)")
        return nil
    }

    /// A list of words of a fixed list, each once.
    mutating func choices<T: RawRepresentable<String> & Hashable>(
        _ members: Members,
        _ name: String,
        among all: [T]
    ) -> Set<T>? {
        guard let elements = elements(members, name) else { return nil }
        let known = elements.map { choice($0.node, at: $0.place, among: all) }
        return known.contains(nil) ? nil : Set(known.compactMap(\.self))
    }

    /// The elements of a list, each with its place; none if there is no such list.
    mutating func elements(_ members: Members, _ name: String) -> [(node: Node, place: Place)]? {
        guard let node = members.node(name) else { return nil }
        let place = members.place(of: name)
        guard case .sequence(let sequence) = node else {
            problems.add(place, "must be a list, not \(node.kind)")
            return nil
        }
        return sequence.enumerated().map { index, element in
            (element, Place(line: element.line, path: "\(place.path)[\(index)]"))
        }
    }

    /// Every element of a list as `read` reads it.
    mutating func each<T>(
        _ members: Members,
        _ name: String,
        _ read: (inout MemberReader, Node, Place) -> T?
    ) -> [T]? {
        guard let elements = elements(members, name) else { return nil }
        var values: [T] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            if let value = read(&self, element.node, element.place) { values.append(value) }
        }
        return values
    }

    /// Notes every element whose key an earlier one has.
    mutating func distinct<T, Key: Hashable>(
        _ values: [T]?,
        _ what: String,
        by key: (T) -> Key?,
        at place: (T) -> Place
    ) {
        var seen: [Key: Int] = [:]
        for value in values ?? [] {
            guard let key = key(value) else { continue }
            if let line = seen[key] {
                problems.add(place(value), "\(what) “\(key)” is taken by the one in line \(line): choose another")
            } else {
                seen[key] = place(value).line
            }
        }
    }

    private func list(_ words: [String]) -> String { words.joined(separator: ", ") }

    /// The known word that a mistyped one was probably meant to be.
    private func nearest(to word: String, in known: [String]) -> String? {
        guard word.count <= 64 else { return nil }
        let ranked = known.map { (word: $0, distance: editDistance(word, $0)) }.min { $0.distance < $1.distance }
        guard let ranked, ranked.distance <= max(1, ranked.word.count / 3) else { return nil }
        return ranked.word
    }
}

/// How many letters must be put in, taken out or replaced to make `a` into `b`.
private func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a), b = Array(b)
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
        }
    }
    return row[b.count]
}

extension Unicode.Scalar {
    /// Who reads PEM stops at a NUL, and passes over other control characters: nobody would see what was lost behind them.
    fileprivate var isForeignToLines: Bool {
        switch self {
        case "\n", "\r", "\t": false
        default: properties.generalCategory == .control
        }
    }
}
