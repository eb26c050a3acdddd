import TocsinJSON
import Yams

/// Reads YAML (and JSON, which is YAML) into nodes with line numbers.
enum FleetText {
    /// Composes the one document of the text.
    ///
    /// - Parameters:
    ///   - bytes: YAML or JSON.
    ///   - name: What errors call the file.
    /// - Returns: The document's root.
    /// - Throws: `malformed`, with the line.
    static func compose(_ bytes: [UInt8], named name: String = "the fleet file") throws(FleetError) -> Node {
        guard bytes.count <= FleetFile.maximumBytes else {
            throw FleetError(
                .malformed,
                "\(name) has \(bytes.count) bytes, and \(FleetFile.maximumBytes) are the limit: split it"
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw FleetError(.malformed, "\(name) is not UTF-8: save it as UTF-8 text")
        }
        if let alias = firstAlias(in: bytes) {
            let message = "anchors and aliases (here “*\(alias.name)”) are not read: write the value out"
            throw FleetError(
                .malformed,
                "\(name) cannot be read",
                problems: [FleetProblem(Place(line: alias.line, path: ""), message)]
            )
        }
        do {
            // No resolver: which words are numbers or booleans is decided by what a member expects (see `scalarValue`).
            guard let root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot() else {
                throw FleetError(.malformed, "\(name) is empty: name at least one thing in it")
            }
            return root
        } catch let error as FleetError {
            throw error
        } catch {
            let (line, problem) = explain(error, text: bytes)
            throw FleetError(
                .malformed,
                "\(name) cannot be read",
                problems: [FleetProblem(Place(line: line, path: ""), problem)]
            )
        }
    }

    private static func explain(_ error: any Error, text: [UInt8]) -> (line: Int, problem: String) {
        guard let error = error as? YamlError else { return (1, "\(error)") }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return (mark.line, context.map { "\(problem) (\($0.text))" } ?? problem)
        case .reader(let problem, let offset, _, let yaml):
            let line = 1 + yaml.prefix(offset ?? 0).filter(\.isNewline).count
            return (line, problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map { "“\($0)”" }.joined(separator: ", ")
            return (context.mark.line, "\(names) stands twice in one mapping: keep one of them")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return (1, "\(error)")
        }
    }

    /// The first alias of an anchor that the text may define.
    ///
    /// A few aliases of aliases unfold to more than any memory holds, and the composer has unfolded some of it before it
    /// returns, so that they are looked for in the text. Every real alias is found; a text that has both `&word` and
    /// `*word` inside of strings is refused as well, which is rare and easily mended.
    private static func firstAlias(in bytes: [UInt8]) -> (name: String, line: Int)? {
        var anchors: Set<String> = []
        for position in bytes.indices where bytes[position] == UInt8(ascii: "&") {
            anchors.insert(word(in: bytes, after: position))
        }
        anchors.remove("")
        guard !anchors.isEmpty else { return nil }
        for position in bytes.indices where bytes[position] == UInt8(ascii: "*") {
            let name = word(in: bytes, after: position)
            if anchors.contains(name) {
                return (name, 1 + bytes[..<position].count { $0 == UInt8(ascii: "\n") })
            }
        }
        return nil
    }

    private static func word(in bytes: [UInt8], after position: Int) -> String {
        let word = bytes[(position + 1)...].prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return String(decoding: word, as: UTF8.self)
    }
}

extension Node {
    var line: Int { mark?.line ?? 1 }

    /// The scalar as YAML 1.2's core schema and JSON read it: `yes`, `18:00` and dates are texts; none for lists.
    var scalarValue: JSON? {
        guard case .scalar(let scalar) = self else { return nil }
        guard scalar.style == .plain else { return .string(scalar.string) }
        let text = scalar.string
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        guard let first = text.utf8.first, first < UInt8(ascii: ":") else { return .string(text) }
        let digits = text.hasPrefix("+") || text.hasPrefix("-") ? text.dropFirst() : text[...]
        if !digits.isEmpty, digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }) {
            return Int64(text).map(JSON.integer) ?? .decimal(text)
        }
        if let number = Double(text), number.isFinite, !text.contains("x") { return .decimal(text) }
        return .string(text)
    }

    /// The node as JSON; numbers keep their text.
    var json: JSON {
        switch self {
        case .scalar, .alias: return scalarValue ?? .null
        case .sequence(let sequence): return .array(sequence.map(\.json))
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, value) in mapping { object[key.scalar?.string ?? ""] = value.json }
            return .object(object)
        }
    }

    /// Names the node's kind as error messages do.
    var kind: String {
        switch self {
        case .scalar, .alias: scalarValue?.kind ?? "nothing"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
