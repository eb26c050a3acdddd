import TocsinJSON

/// Writes JSON as YAML that people like to read: blocks outside, one line for what fits one.
package enum FleetYAML {
    private static let lineLength = 110

    package static func text(_ value: JSON) -> String {
        var lines: [String] = []
        if let object = value.object { write(object, indent: 0, into: &lines) } else { lines.append(flow(value)) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ object: JSONObject, indent: Int, into lines: inout [String]) {
        let margin = String(repeating: " ", count: indent)
        for (name, value) in object.members {
            switch value {
            case .array(let elements) where !elements.isEmpty && !isOneLine(value):
                lines.append("\(margin)\(scalar(name)):")
                for element in elements { write(element: element, indent: indent + 2, into: &lines) }
            case .object(let inner) where !inner.isEmpty && !isOneLine(value):
                lines.append("\(margin)\(scalar(name)):")
                write(inner, indent: indent + 2, into: &lines)
            case .null, .bool, .integer, .decimal, .string, .array, .object:
                lines.append("\(margin)\(scalar(name)): \(flow(value))")
            }
        }
    }

    private static func write(element: JSON, indent: Int, into lines: inout [String]) {
        let margin = String(repeating: " ", count: indent)
        guard let object = element.object, !object.isEmpty, !isOneLine(element) else {
            lines.append("\(margin)- \(flow(element))")
            return
        }
        let first = lines.count
        write(object, indent: indent + 2, into: &lines)
        lines[first] = "\(margin)- \(lines[first].dropFirst(indent + 2))"
    }

    /// Whether a value stands on one line: plain values, lists of them, and mappings of both that fit.
    private static func isOneLine(_ value: JSON) -> Bool {
        switch value {
        case .null, .bool, .integer, .decimal, .string: true
        case .array(let elements): elements.allSatisfy { $0.object == nil && $0.array == nil }
        case .object(let object):
            object.members.allSatisfy { isOneLine($0.value) } && flow(value).count <= lineLength
        }
    }

    private static func flow(_ value: JSON) -> String {
        switch value {
        case .string(let text): scalar(text)
        case .array(let elements): "[\(elements.map(flow).joined(separator: ", "))]"
        case .object(let object):
            "{\(object.members.map { "\(scalar($0.name)): \(flow($0.value))" }.joined(separator: ", "))}"
        case .null, .bool, .integer, .decimal: value.text
        }
    }

    /// A text without quotes where every reader of YAML takes it for a text, else in JSON's quotes.
    private static func scalar(_ text: String) -> String {
        let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"]
        let bytes = Array(text.utf8)
        let isPlain =
            bytes.first.map(isLetter) == true && bytes.last != UInt8(ascii: " ") && bytes.last != UInt8(ascii: ":")
            && !reserved.contains(text.lowercased())
            && bytes.indices.allSatisfy { index in
                switch bytes[index] {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"),
                    UInt8(ascii: "@"), UInt8(ascii: "-"), UInt8(ascii: " "), UInt8(ascii: "?"), UInt8(ascii: "="):
                    true
                case UInt8(ascii: ":"): bytes.indices.contains(index + 1) && bytes[index + 1] != UInt8(ascii: " ")
                case let byte: isLetter(byte)
                }
            }
        return isPlain ? text : JSON.string(text).text
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: false
        }
    }
}
