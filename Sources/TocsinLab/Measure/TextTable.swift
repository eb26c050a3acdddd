/// Rows of text in aligned columns.
package struct TextTable: Sendable {
    package enum Alignment: Sendable {
        case left
        case right
    }

    private let titles: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    package init(_ columns: [(title: String, alignment: Alignment)]) {
        titles = columns.map(\.title)
        alignments = columns.map(\.alignment)
    }

    /// Adds a row; cells that are missing at its end are empty.
    package mutating func add(_ cells: [String]) {
        rows.append(cells + Array(repeating: "", count: max(0, titles.count - cells.count)))
    }

    /// The table with a rule below the titles, each line ended.
    package var text: String {
        let widths = titles.indices.map { column in
            ([titles] + rows).map { $0[column].count }.max() ?? 0
        }
        let rule = widths.map { String(repeating: "─", count: $0) }
        return ([titles, rule] + rows).map { cells in
            var line = ""
            for (column, cell) in cells.enumerated() where column < widths.count {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ") + (alignments[column] == .left ? cell + padding : padding + cell)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

/// Numbers as people read them.
package enum Figures {
    /// Whole number with thousands apart: `12,345`.
    package static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }

    /// With so many decimals, never in scientific form.
    package static func decimal(_ number: Double, places: Int) -> String {
        guard number.isFinite else { return "–" }
        let scale = (0..<places).reduce(1.0) { power, _ in power * 10 }
        let scaled = Int((number.magnitude * scale).rounded())
        let sign = number < 0 && scaled != 0 ? "-" : ""
        guard places > 0 else { return sign + grouped(scaled) }
        let fraction = String(scaled % Int(scale))
        return sign + grouped(scaled / Int(scale)) + "."
            + String(repeating: "0", count: places - fraction.count) + fraction
    }

    /// Nanoseconds as milliseconds: `12.3 ms`.
    package static func milliseconds(_ nanoseconds: UInt64) -> String {
        decimal(Double(nanoseconds) / 1_000_000, places: nanoseconds < 100_000_000 ? 1 : 0) + " ms"
    }
}
