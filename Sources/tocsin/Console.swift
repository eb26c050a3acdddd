import Foundation
import TocsinJSON

/// The program's two outputs: results on standard output, everything said along the way on standard error.
enum Console {
    static func print(_ text: String) { write(text, to: .standardOutput) }

    static func print(_ json: JSON) { print(json.text) }

    /// Something for a person, which no program should have to skip.
    static func note(_ text: String) { write(text, to: .standardError) }

    private static func write(_ text: String, to handle: FileHandle) {
        let line = text.hasSuffix("\n") ? text : text + "\n"
        // Nobody is left to be told when this fails.
        try? handle.write(contentsOf: Data(line.utf8))
    }
}

/// A table for people: columns as wide as their widest cell.
struct TextTable {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header] }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        return rows.map { row in
            zip(row, widths)
                .map { cell, width in cell + String(repeating: " ", count: width - cell.count) }
                .joined(separator: "  ")
                .replacing(/\ +$/, with: "")
        }
        .joined(separator: "\n")
    }
}
